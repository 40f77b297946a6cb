# SPDX-License-Identifier: Apache-2.0
"""Which kernel takes a unit on the GPU, and the way of operands and result."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from hwsim.datapath.gpu.blocks import blocks, run_blocks
from hwsim.datapath.gpu.chain import chain, run_chain
from hwsim.datapath.gpu.cut import cut
from hwsim.datapath.gpu.integers import integers, run_integers
from hwsim.datapath.gpu.operands import Side, steps_of
from hwsim.datapath.gpu.reals import cuda
from hwsim.datapath.gpu.truncated import run_truncated
from hwsim.datapath.matmul import checked
from hwsim.datapath.problem import Codes
from hwsim.datapath.round_pack import round_pack
from hwsim.datapath.unit import DotProductUnit
from hwsim.formats import BlockSpec, FloatSpec, Quantized, Rounding
from hwsim.formats.codes import code_dtype

__all__ = [
    "multiply",
    "multiply_on_device",
]

_KINDS: tuple[tuple[Callable[[DotProductUnit], Any], Callable[..., Any], int], ...] = (
    (chain, run_chain, 1),
    (cut, run_truncated, 2),
    (blocks, run_blocks, 1),
    (integers, run_integers, 1),
)
"""Who may take a unit, what runs it, and of what the places of a step are made a multiple."""


@lru_cache(maxsize=256)
def _kind(unit: DotProductUnit) -> tuple[Any, Callable[..., Any], int]:
    """Return the first kernel that takes a unit."""
    for offer, run, multiple in _KINDS:
        how = offer(unit)
        if how is not None:
            return how, run, -(-unit.lanes // multiple) * multiple
    raise ValueError(
        f"unit {unit.name} has no kernel for the GPU, which has those of truncated alignment, of a chain in float32 or "
        "float64, of exact steps into float32, and of integers of 8 bits into 32: use hwsim.datapath.matmul"
    )


def multiply_on_device(unit: DotProductUnit, a: Any, b: Any, c: Any, a_scales: Any, b_scales: Any) -> Any:
    """Return codes of the unit's register, on the GPU; see `hwsim.datapath.gpu.product`."""
    if not isinstance(unit, DotProductUnit):
        raise TypeError(f"unit must be a DotProductUnit, not {unit!r}")
    if unit.converts:
        raise ValueError(f"unit must give its register, and {unit.name} converts it to {unit.output.name}")
    ignored = unit.ignored_bits
    given = {
        "a": (_on_device("a", a, unit.element_a.bits + ignored), 2),
        "b": (_on_device("b", b, unit.element_b.bits + ignored), 2),
    }
    left, right = given["a"][0], given["b"][0]
    if left.shape[1] != right.shape[0]:
        raise ValueError(f"a's columns and b's rows must be as many, not {left.shape[1]} and {right.shape[0]}")
    shape = (left.shape[0], right.shape[1])
    start = None if c is None else _on_device("c", c, unit.register.bits)
    if start is not None and tuple(start.shape) != shape:
        raise ValueError(f"c must have the shape {shape}, not {tuple(start.shape)}")
    scales: list[Any] = []
    for name, array, spec, expected in (
        ("a_scales", a_scales, unit.a, (shape[0], -1)),
        ("b_scales", b_scales, unit.b, (-1, shape[1])),
    ):
        if not isinstance(spec, BlockSpec):
            if array is not None:
                raise ValueError(f"{name} must be None, for {spec.name} has no block scales")
            scales.append(None)
            continue
        if array is None:
            raise ValueError(f"{name} must be given for the block format {spec.name}")
        held = _on_device(name, array, spec.scale.bits)
        count = -(-left.shape[1] // spec.block_size)
        wanted = tuple(count if extent < 0 else extent for extent in expected)
        if tuple(held.shape) != wanted:
            raise ValueError(f"{name} must have the shape {wanted}, not {tuple(held.shape)}")
        scales.append(held)
    return _run(unit, left, right, start, scales[0], scales[1])


def _on_device(name: str, array: Any, bits: int) -> Any:
    """Return an array of the GPU's, of the dtype of codes so wide."""
    held = array if hasattr(array, "copy_to_host") else cuda.as_cuda_array(array)  # Numba's own, or another library's
    if held.dtype != code_dtype(bits) or len(held.shape) != 2:
        raise TypeError(f"{name} must be a matrix of {np.dtype(code_dtype(bits))} on the GPU, not of {held.dtype}")
    return held


def _run(unit: DotProductUnit, a: Any, b: Any, c: Any, a_scales: Any, b_scales: Any) -> Any:
    """Run the kernel of a unit; all arrays are on the GPU and checked."""
    how, run, width = _kind(unit)
    depth = a.shape[1]
    steps, source = steps_of(unit, depth, width)
    places = cuda.to_device(source)
    sides = []
    for codes, by_k, scales, spec in ((a, False, a_scales, unit.a), (b, True, b_scales, unit.b)):
        size = spec.block_size if isinstance(spec, BlockSpec) else 1
        block = cuda.to_device((np.arange(steps) * unit.lanes // size).astype(np.int32))
        rows = codes.shape[1] if by_k else codes.shape[0]
        infinity = 0
        if unit.ignored_bits and unit.operand_rounding is Rounding.NEAREST_EVEN:
            assert isinstance(spec, FloatSpec)
            infinity = spec.inf_code << unit.ignored_bits
        sides.append(Side(codes, by_k, rows, unit.ignored_bits, infinity, places, scales, block))
    return run(unit, how, sides[0], sides[1], c)


def multiply(
    unit: DotProductUnit,
    a: ArrayLike | Quantized,
    b: ArrayLike | Quantized,
    c: ArrayLike | None,
    a_scales: ArrayLike | None,
    b_scales: ArrayLike | None,
) -> Codes:
    """Return codes of the unit's output; see `hwsim.datapath.gpu.matmul`."""
    if not isinstance(unit, DotProductUnit):
        raise TypeError(f"unit must be a DotProductUnit, not {unit!r}")
    job = checked(unit, a, b, c, a_scales, b_scales)
    _kind(unit)
    shape = (job.a.shape[0], job.b.shape[0])
    if 0 in shape:
        return np.zeros(shape, code_dtype(unit.output.bits))
    by_columns = (job.b, job.b_scales)
    b_codes, b_scale_codes = (None if array is None else array.T for array in by_columns)
    given = (job.a, b_codes, job.c, job.a_scales, b_scale_codes)
    arrays = [None if array is None else cuda.to_device(np.ascontiguousarray(array)) for array in given]
    codes: Codes = _run(unit, *arrays).copy_to_host()
    if not unit.converts:
        return codes
    significand, exponent, special = unit.register.format.unpack(codes)  # no integer register here sees specials
    return round_pack(unit.output, significand, exponent, special, unit.rounding, unit.overflow)
