# SPDX-License-Identifier: Apache-2.0
"""The block quantizers of the catalog of formats, as blocks with `hwsim.formats.quantize` for an oracle."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.formats import BlockSpec, FloatSpec, ScaleRule, named, quantize
from hwsim.formats.scaling import element_limit
from rtl.blocks import Block
from rtl.neighbours.divided_quantizer import DividedBlockQuantizer
from rtl.neighbours.power_quantizer import PowerBlockQuantizer
from rtl.part import Part

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


def _words(codes: NDArray[Any], lanes: int, bits: int) -> NDArray[np.uint32]:
    """Return the lanes of wide codes, shape (rows, lanes), each of up to 32 bits."""
    size = -(-lanes * bits // 8)
    text = b"".join(int(code).to_bytes(size, "little") for code in codes.tolist())
    if bits == 32:
        return np.frombuffer(text, "<u4").reshape(len(codes), lanes)
    flat = np.unpackbits(np.frombuffer(text, np.uint8).reshape(len(codes), size), axis=1, bitorder="little")
    parts = flat[:, : lanes * bits].reshape(len(codes), lanes, bits).astype(np.uint32)
    return np.asarray((parts << np.arange(bits, dtype=np.uint32)).sum(axis=2), np.uint32)


def _joined(codes: NDArray[Any], bits: int) -> NDArray[Any]:
    """Return the codes of lanes, shape (rows, lanes), as one word each, lane 0 at bit 0."""
    planes = (codes[:, :, None] >> np.arange(bits)) & 1
    packed = np.packbits(planes.reshape(len(codes), -1).astype(np.uint8), axis=1, bitorder="little")
    words = [int.from_bytes(row.tobytes(), "little") for row in packed]
    return np.array(words, np.uint64 if codes.shape[1] * bits <= 64 else object)


def _power_oracle(spec: BlockSpec) -> Any:
    """Return what `quantize` makes of each block."""

    def run(values: NDArray[Any]) -> Mapping[str, NDArray[Any]]:
        with np.errstate(invalid="ignore"):  # of signalling NaNs
            found = quantize(_words(values, spec.block_size, 32).view(np.float32), spec)
        return {
            "codes": _joined(found.codes.astype(np.int64), spec.element.bits),
            "scale": found.scales[:, 0].astype(np.uint64),
        }

    return run


def _quotient_oracle(spec: BlockSpec) -> Any:
    """Return what `quantize` says, by quotients in float64, of a scale of the tensor for each block."""
    scale, element = spec.scale, spec.element
    assert isinstance(scale, FloatSpec)

    def run(values: NDArray[Any], tensor_scale: Any = 0x3F800000) -> Mapping[str, NDArray[Any]]:
        given = _words(values, spec.block_size, 32).view(np.float32)
        words = np.broadcast_to(np.asarray(tensor_scale), len(given)).astype(np.uint32) & np.uint32(0x7FFFFFFF)
        outer = words.view(np.float32)
        good = np.isfinite(given).all(axis=1) & np.isfinite(outer) & (outer > 0)
        numbers = np.where(good[:, None], given, 0).astype(np.float64)
        above = np.where(good, outer, 1).astype(np.float64)
        chosen = scale.encode(np.abs(numbers).max(axis=1) / element_limit(element) / above)
        factors = scale.decode(chosen) * above
        kept = (good & (factors > 0))[:, None]
        codes = np.where(kept, element.encode(numbers / np.where(kept[:, 0], factors, 1)[:, None]), 0)
        scales = np.where(good, chosen, scale.nan_code)
        return {"codes": _joined(codes.astype(np.int64), element.bits), "scale": scales.astype(np.uint64)}

    return run


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
    chosen = spec
    return Block(
        name=f"quantize_{name}" if lanes is None else f"quantize_{name}_x{lanes}",
        summary=f"{spec.block_size} float32 numbers to {name}: the block's scale, and elements to nearest even",
        part=lambda: _part(chosen),
        oracle=(_quotient_oracle if spec.rule is ScaleRule.AMAX else _power_oracle)(chosen),
        source=_SOURCES["ratio" if spec.rule is ScaleRule.AMAX else "power"],
        directed=_directed(chosen),
    )


def _part(spec: BlockSpec) -> Part:
    return DividedBlockQuantizer(spec) if spec.rule is ScaleRule.AMAX else PowerBlockQuantizer(spec)


def blocks() -> tuple[Block, ...]:
    """Return the block quantizers of the catalog's formats."""
    return tuple(block_of(name) for name in (*_POWERS, *_QUOTIENTS))
