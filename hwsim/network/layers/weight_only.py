# SPDX-License-Identifier: Apache-2.0
"""Products of floats by packed weights: com.microsoft MatMulNBits (2, 4, 8 bits) and MatMulBnb4 (FP4, NF4).

Source: onnxruntime docs/ContribOperators.md, com.microsoft.MatMulNBits and com.microsoft.MatMulBnb4; the tables of FP4
and NF4 in onnxruntime contrib_ops/cpu/quantization/blockwise_quant_block_bnb4.h.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from hwsim.formats import FloatSpec
from hwsim.network.coded_operand import shifted
from hwsim.network.element_types import element_type_of
from hwsim.network.float_quantization import BlockQuantization, element_format
from hwsim.network.layers.expansion import Expansion
from hwsim.network.layers.gemm import Gemm
from hwsim.network.layers.multiply_accumulate import Form
from hwsim.network.pattern import Pattern, RawNode

__all__ = [
    "PackedWeight",
    "bnb4_weight",
    "build_matmul_bnb4",
    "build_matmul_nbits",
    "nbits_weight",
    "unpacked",
]

Array = npt.NDArray[Any]

Constant = Callable[[int], Array]

_SCALES = ("float32", "float16", "bfloat16")


def unpacked(data: npt.NDArray[np.uint8], bits: int, count: int) -> npt.NDArray[np.uint8]:
    """Return the codes that bytes hold, the low bits first.

    Parameters
    ----------
    data : ndarray of uint8, shape (..., bytes)
    bits : int
        2, 4 or 8.
    count : int
        Codes wanted of each row.
    """
    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    codes = (data[..., np.newaxis] >> shifts) & np.uint8((1 << bits) - 1)
    return np.asarray(codes.reshape(*data.shape[:-1], -1)[..., :count])


class PackedWeight(NamedTuple):
    """Weights as codes of shape (k, n), and what they mean."""

    codes: Array
    quantization: BlockQuantization


def nbits_weight(node: RawNode, constant: Constant) -> PackedWeight:
    """Return the weights of a MatMulNBits, the zero points taken out of the codes.

    Parameters
    ----------
    node : RawNode
    constant : callable
        Gives a constant input by its index.

    Raises
    ------
    ValueError
        Where attributes and inputs do not fit: the message names the node.
    """
    k, n, size = (_size(node, name) for name in ("K", "N", "block_size"))
    bits = int(node.attributes.get("bits", 4))
    if bits not in (2, 4, 8):
        raise ValueError(f"node {node.label}: bits must be 2, 4 or 8, not {bits}")
    if node.attributes.get("weight_prepacked", 0):
        raise ValueError(f"node {node.label}: weights packed for one kernel of a GPU cannot be read")
    blocks = -(-k // size)
    packed = constant(1)
    if packed.dtype != np.uint8 or packed.size != n * blocks * (size * bits // 8):
        wanted = (n, blocks, size * bits // 8)
        raise ValueError(f"node {node.label}: B must be uint8 of shape {wanted}, not {packed.dtype} {packed.shape}")
    codes = unpacked(packed.reshape(n, -1), bits, blocks * size)[:, :k]
    zeros = np.full((n, blocks), 1 << (bits - 1))
    if node.present(3):
        zeros = _zero_points(node, constant(3), bits, (n, blocks))
    if node.present(4) and not np.array_equal(constant(4).reshape(-1), np.arange(k) // size):
        raise ValueError(f"node {node.label}: g_idx must keep the order of K: others are not run")
    held, dtype = shifted(codes, np.repeat(zeros, size, axis=1)[:, :k], f"uint{bits}")
    return _packed(held, dtype, _scales(node, constant(2), (n, blocks)), size)


def bnb4_weight(node: RawNode, constant: Constant) -> PackedWeight:
    """Return the weights of a MatMulBnb4; parameters and errors as of `nbits_weight`."""
    k, n, size = (_size(node, name) for name in ("K", "N", "block_size"))
    kind = {0: "bnb_fp4", 1: "nf4"}.get(int(node.attributes.get("quant_type", 1)))
    if kind is None:
        raise ValueError(f"node {node.label}: quant_type must be 0 (FP4) or 1 (NF4)")
    if k % size:
        raise ValueError(f"node {node.label}: blocks of {size} must divide K, which is {k}: they reach over columns")
    if node.attributes.get("training_mode", 0) or not node.attributes.get("transB", 1):
        raise ValueError(f"node {node.label}: only inference is run, with weights of shape (N, K)")
    packed = constant(1)
    if packed.dtype != np.uint8 or packed.size != (n * k + 1) // 2:
        raise ValueError(f"node {node.label}: B must be {(n * k + 1) // 2} bytes, not {packed.dtype} {packed.shape}")
    pairs = packed.reshape(-1, 1) >> np.array([4, 0], np.uint8) & np.uint8(15)  # the high nibble comes first
    codes = pairs.reshape(-1)[: n * k].reshape(n, k)
    return _packed(codes, kind, _scales(node, constant(2), (n, k // size)), size)


def _packed(codes: Array, dtype: str, scales: Array, size: int) -> PackedWeight:
    """Return weights of shape (n, k) and scales of shape (n, blocks) as a second operand."""
    form = element_format(element_type_of(scales).layer_name)
    assert isinstance(form, FloatSpec)
    raw = np.ascontiguousarray(scales.T)
    quantization = BlockQuantization(
        format=element_format(dtype),
        dtype=dtype,
        scale_format=form,
        block_size=size,
        axis=0,
        scales=raw.view(f"u{raw.dtype.itemsize}"),
    )
    return PackedWeight(np.ascontiguousarray(codes.T), quantization)


def build_matmul_nbits(node: RawNode, pattern: Pattern) -> None:
    """Build a MatMulNBits: A by blocks of codes along K."""
    bias = pattern.constant(node, 5) if node.present(5) else None
    _add(node, pattern, nbits_weight(node, partial(pattern.constant, node)), bias)


def build_matmul_bnb4(node: RawNode, pattern: Pattern) -> None:
    """Build a MatMulBnb4: A by FP4 or NF4 of bitsandbytes, in blocks along K."""
    _add(node, pattern, bnb4_weight(node, partial(pattern.constant, node)), None)


def _add(node: RawNode, pattern: Pattern, weight: PackedWeight, bias: Array | None) -> None:
    """Append a product by weights, between casts where A is a float of half the width."""
    e = Expansion(node, pattern)
    first, output = node.inputs[0], node.outputs[0]
    half = e.dtype(first) != "float32"
    if half:
        first, output = e("Cast", first, to=1), pattern.fresh(f"{node.name}/product")
    columns = weight.codes.shape[1]
    if bias is not None and bias.shape != (columns,):
        raise ValueError(f"node {node.label}: the bias must have shape {(columns,)}, not {bias.shape}")
    a = pattern.plain(first)
    if a.constant is not None:
        raise ValueError(f"node {node.label}: A must not be a constant")
    pattern.add(
        Gemm(
            name=node.name,
            operator=node.operator,
            inputs=(a.spec.name,),
            outputs=(output,),
            form=Form.CODED,
            weight=weight.codes,
            b_quantization=weight.quantization,
            bias_values=None if bias is None else bias.astype(np.float32),
        )
    )
    if half:
        e("CastLike", output, node.inputs[0], output=node.outputs[0])


def _zero_points(node: RawNode, given: Array, bits: int, shape: tuple[int, int]) -> Array:
    """Return the zero point of each block: packed as the weights are, or whole numbers one by one."""
    n, blocks = shape
    row = -(-blocks * bits // 8)
    if given.dtype == np.uint8 and given.size == n * row:
        return unpacked(given.reshape(n, row), bits, blocks)
    values = given.astype(np.float64)
    if given.size != n * blocks or given.dtype == np.uint8 or (values != np.rint(values)).any():
        raise ValueError(f"node {node.label}: zero points must be packed codes or whole numbers for {shape} blocks")
    if np.abs(values).max(initial=0) > 1 << bits:
        raise ValueError(f"node {node.label}: zero points must be within {1 << bits}, not {np.abs(values).max()}")
    return values.reshape(shape).astype(np.int64)


def _scales(node: RawNode, given: Array, shape: tuple[int, int]) -> Array:
    """Return the scale of each block."""
    kind = element_type_of(given).layer_name
    if kind not in _SCALES or given.size != shape[0] * shape[1]:
        raise ValueError(f"node {node.label}: scales must be floats of shape {shape}, not {kind} {given.shape}")
    return given.reshape(shape)


def _size(node: RawNode, name: str) -> int:
    value = int(node.attributes[name])
    if not 1 <= value <= 1 << 24:
        raise ValueError(f"node {node.label}: {name} must be in 1..{1 << 24}, not {value}")
    return value
