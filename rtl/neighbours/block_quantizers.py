# SPDX-License-Identifier: Apache-2.0
"""The block quantizers of the catalog of formats, as blocks with `hwsim.formats.quantize` for an oracle."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.formats import BlockSpec, FloatSpec, ScaleRule, named, pack_codes, quantize
from hwsim.formats.scaling import element_limit
from rtl.blocks import Block
from rtl.neighbours.divided_quantizer import DividedBlockQuantizer
from rtl.neighbours.power_quantizer import PowerBlockQuantizer

__all__ = [
    "block_of",
    "blocks",
]

_POWERS = (
    "mxfp4",
    "mxfp4_ceil",
    "mxfp4_nearest",
    "mxfp4_even",
    "mxfp6_e2m3",
    "mxfp6_e3m2",
    "mxfp8_e4m3",
    "mxfp8_e4m3_ceil",
    "mxfp8_e5m2",
    "mxint8",
    "mxint8_ceil",
    "mxint6",
    "mxint4",
    "bfp8_b64",
)
_QUOTIENTS = ("nvfp4", "nvint4", "int4_g32")
_SOURCES = {
    "power": "OCP Microscaling Formats 1.0, section 6.3; the rules of hwsim.formats.ScaleRule",
    "ratio": "NVFP4, arXiv:2509.25149, with quotients for its reciprocals; hwsim.formats.ScaleRule.AMAX",
}
_DIRECTED = 256  # blocks: of random codes alone, hardly two numbers of a block are of a size


def _numbers(values: NDArray[Any], lanes: int) -> NDArray[np.float32]:
    """Return the float32 numbers of wide codes, shape (rows, lanes)."""
    text = b"".join(int(code).to_bytes(4 * lanes, "little") for code in values.tolist())
    return np.frombuffer(text, "<f4").reshape(len(values), lanes)


def _ports(spec: BlockSpec, codes: NDArray[Any], scales: NDArray[Any]) -> Mapping[str, NDArray[Any]]:
    """Return the outputs of codes of lanes, shape (rows, lanes), lane 0 at bit 0, and of scales."""
    words = [int.from_bytes(row.tobytes(), "little") for row in pack_codes(codes, spec.element.bits)]
    dtype = np.uint64 if codes.shape[1] * spec.element.bits <= 64 else object
    return {"codes": np.array(words, dtype), "scale": scales.astype(np.uint64)}


def _quantized(spec: BlockSpec, values: NDArray[Any]) -> Mapping[str, NDArray[Any]]:
    """Return what `quantize` makes of each block."""
    with np.errstate(invalid="ignore"):  # of signalling NaNs
        found = quantize(_numbers(values, spec.block_size), spec)
    return _ports(spec, found.codes, found.scales[:, 0])


def _divided(spec: BlockSpec, values: NDArray[Any], tensor_scale: Any = 0x3F800000) -> Mapping[str, NDArray[Any]]:
    """Return what `quantize` says, by quotients in float64, of a scale of the tensor for each block."""
    scale, element = spec.scale, spec.element
    assert isinstance(scale, FloatSpec)
    given = _numbers(values, spec.block_size)
    words = np.broadcast_to(np.asarray(tensor_scale), len(given)).astype(np.uint32) & np.uint32(0x7FFFFFFF)
    outer = words.view(np.float32)
    good = np.isfinite(given).all(axis=1) & np.isfinite(outer) & (outer > 0)
    numbers = np.where(good[:, None], given, 0).astype(np.float64)
    above = np.where(good, outer, 1).astype(np.float64)
    chosen = scale.encode(np.abs(numbers).max(axis=1) / element_limit(element) / above)
    factors = scale.decode(chosen) * above
    kept = good & (factors > 0)
    codes = np.where(kept[:, None], element.encode(numbers / np.where(kept, factors, 1)[:, None]), 0)
    return _ports(spec, codes, np.where(good, chosen, scale.nan_code))


def _directed(spec: BlockSpec) -> dict[str, tuple[int, ...]]:
    """Return blocks of numbers near one another, with short mantissas or one place beside them, and subnormals."""
    generator = np.random.default_rng(spec.block_size)
    shape = (_DIRECTED, spec.block_size)
    base = generator.integers(0, 256, (_DIRECTED, 1))
    base[::4] = 127 - base[::4] % 16
    field = np.clip(base - np.abs(generator.normal(0, 4, shape)).astype(np.int64), 0, 255)
    short = (generator.integers(0, 32, shape) << 18) + generator.integers(-1, 2, shape)
    mantissa = np.where(generator.random(shape) < 0.5, short, generator.integers(0, 1 << 23, shape))
    numbers = generator.integers(0, 2, shape) << 31 | field << 23 | np.clip(mantissa, 0, (1 << 23) - 1)
    numbers[generator.random(shape) < 0.05] = 0
    blocks = tuple(int.from_bytes(row.tobytes(), "little") for row in numbers.astype("<u4"))
    return {"values": blocks} | ({"tensor_scale": (0x3F800000, 0x3A2AAAAB, 1)} if spec.tensor_scale else {})


def block_of(name: str, lanes: int | None = None) -> Block:
    """Return the quantizer of a catalogued block format, with its own block size or another."""
    spec = named(name)
    assert isinstance(spec, BlockSpec)
    if lanes is not None:
        spec = replace(spec, block_size=lanes)
    is_quotient = spec.rule is ScaleRule.AMAX
    return Block(
        name=f"quantize_{name}" if lanes is None else f"quantize_{name}_x{lanes}",
        summary=f"{spec.block_size} float32 numbers to {name}: the block's scale, and elements to nearest even",
        part=partial(DividedBlockQuantizer if is_quotient else PowerBlockQuantizer, spec),
        oracle=partial(_divided if is_quotient else _quantized, spec),
        source=_SOURCES["ratio" if is_quotient else "power"],
        directed=_directed(spec),
    )


def blocks() -> tuple[Block, ...]:
    """Return the block quantizers of the catalog's formats."""
    return tuple(block_of(name) for name in (*_POWERS, *_QUOTIENTS))
