# SPDX-License-Identifier: Apache-2.0
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hwsim.formats import BlockSpec, ScaleRule, named, quantize
from rtl.neighbours import block_quantizers
from rtl.neighbours.divided_quantizer import DividedBlockQuantizer
from rtl.neighbours.power_quantizer import PowerBlockQuantizer

_NAMES = [block.name.removeprefix("quantize_") for block in block_quantizers.blocks()]
_QUOTIENTS = ("nvfp4", "nvint4", "int4_g32")


def _block_spec(name: str) -> BlockSpec:
    spec = named(name)
    assert isinstance(spec, BlockSpec)
    return spec


def _numbers(lanes: int, rows: int, seed: int, around: int = -1) -> NDArray[np.uint32]:
    """Return float32 codes: exponents near one another, mantissas near short ones, subnormals, specials, zeros."""
    generator = np.random.default_rng(seed)
    shape = (rows, lanes)
    base = generator.integers(0, 256, (rows, 1)) if around < 0 else around + generator.integers(-9, 10, (rows, 1))
    field = base + np.rint(generator.normal(0, 1, shape) * generator.choice([1, 3, 8, 30], (rows, 1))).astype(np.int64)
    field = np.clip(field, 0, 254)
    field = np.where(generator.random(shape) < 0.02 * (generator.random((rows, 1)) < 0.3), 255, field)
    mantissa = generator.integers(0, 1 << 23, shape)
    short = (generator.integers(0, 32, shape) << 18) + generator.integers(-1, 2, shape)
    mantissa = np.where(generator.random(shape) < 0.5, np.clip(short, 0, (1 << 23) - 1), mantissa)
    magnitude = np.where(generator.random(shape) < 0.05, 0, field << 23 | mantissa)
    subnormal = mantissa >> generator.integers(0, 23, shape)
    magnitude = np.where(generator.random((rows, 1)) < 0.15, subnormal, magnitude)
    magnitude[generator.random(rows) < 0.02] = 0
    return (generator.integers(0, 2, shape) << 31 | magnitude).astype(np.uint32)


def _joined(words: NDArray[np.uint32]) -> NDArray[Any]:
    return np.array([int.from_bytes(row.tobytes(), "little") for row in words.astype("<u4")], object)


def _near_thresholds(spec: BlockSpec, rows: int, lanes: int, outer: np.float32, seed: int) -> NDArray[np.uint32]:
    """Return float32 codes at means of neighbouring values under some scale, and one place beside them."""
    generator = np.random.default_rng(seed)
    levels = np.unique(np.abs(spec.element.decode(np.arange(1 << spec.element.bits))))
    means = np.concatenate([levels, (levels[1:] + levels[:-1]) / 2, [levels[-1] * 1.1]])
    scales = spec.scale.decode(generator.integers(1, 0x7E, (rows, 1)))
    with np.errstate(under="ignore", over="ignore"):
        exact = (generator.choice(means, (rows, lanes)) * scales * float(outer)).astype(np.float32)
        exact[:, 0] = (levels[-1] * scales * float(outer))[:, 0].astype(np.float32)
    codes = exact.view(np.uint32).astype(np.int64) + generator.integers(-1, 2, (rows, lanes))
    signs = generator.integers(0, 2, (rows, lanes)) << 31
    return np.asarray(np.clip(codes, 0, 0x7F7FFFFF) | signs, np.uint32)


def _quantized(spec: BlockSpec, words: NDArray[np.uint32], outer: np.float32 | None) -> dict[str, NDArray[Any]]:
    """Return the ports as `quantize` makes them, packed bit by bit."""
    with np.errstate(invalid="ignore"):
        found = quantize(words.view(np.float32), spec, scale=outer)
    bits = spec.element.bits
    packed = [sum(code << (bits * lane) for lane, code in enumerate(row)) for row in found.codes.tolist()]
    return {"codes": np.array(packed, object), "scale": found.scales[:, 0].astype(np.uint64)}


def test_power_quantizers_of_few_lanes(check_blocks: Callable[..., int]) -> None:
    works = []
    for index, name in enumerate(name for name in _NAMES if name not in _QUOTIENTS):
        lanes = 2 + index % 3
        works.append((block_quantizers.block_of(name, lanes), {"values": _joined(_numbers(lanes, 500, index))}))
    assert check_blocks(works) == 14 * 500


def test_power_quantizer_of_whole_block(check_blocks: Callable[..., int]) -> None:
    words = _numbers(32, 150, 8)
    expected = _quantized(_block_spec("mxfp6_e2m3"), words, None)
    block = block_quantizers.block_of("mxfp6_e2m3")
    assert check_blocks([(block, {"values": _joined(words)})], expected) == 150


def test_nvfp4_quantizer_is_quantize(check_blocks: Callable[..., int]) -> None:
    spec = _block_spec("nvfp4")
    rows, outers, expected = [], [], []
    for code in (0x3F800000, 0x3A2AAAAB, 0x7F7FFFFF, 0x00000003, 0x00812345):
        outer = np.array([code], np.uint32).view(np.float32)[0]
        words = np.concatenate([_near_thresholds(spec, 100, 16, outer, 2), _numbers(16, 50, 3, code >> 23)])
        rows.append(words)
        outers += [code] * len(words)
        expected.append(_quantized(spec, words, outer))
    given = {"values": _joined(np.concatenate(rows)), "tensor_scale": np.array(outers, np.uint64)}
    ports = {port: np.concatenate([each[port] for each in expected]) for port in ("codes", "scale")}
    assert check_blocks([(block_quantizers.block_of("nvfp4"), given)], ports) == 5 * 150


def test_quotient_quantizers_of_few_lanes(check_blocks: Callable[..., int]) -> None:
    works = []
    for name in _QUOTIENTS:
        block, spec = block_quantizers.block_of(name, 2), replace(_block_spec(name), block_size=2)
        words = np.concatenate([_numbers(2, 200, 1), _near_thresholds(spec, 200, 2, np.float32(1), 4)])
        outer = np.random.default_rng(9).integers(0, 1 << 32, len(words), dtype=np.uint64)
        outer[:80], outer[80:90], outer[90:100] = 0x3F800000, 0, 0x7F800000
        works.append((block, {"values": _joined(words)} | ({"tensor_scale": outer} if spec.tensor_scale else {})))
    assert check_blocks(works) == 3 * 400


def test_quotient_oracle_is_quantize() -> None:
    for name in _QUOTIENTS:
        spec, block = _block_spec(name), block_quantizers.block_of(name)
        for seed, outer in enumerate((0x3F800000, 0x35012345)):
            value = np.array([outer], np.uint32).view(np.float32)[0]
            words = _numbers(spec.block_size, 500, seed, outer >> 23)
            given = {"values": _joined(words)}
            if spec.tensor_scale:
                given["tensor_scale"] = np.full(500, outer, np.uint64)
            found = block.oracle(**given)
            expected = _quantized(spec, words, value if spec.tensor_scale else None)
            assert all(np.array_equal(found[port].astype(object), expected[port]) for port in ("codes", "scale"))


def _changed(name: str, **fields: Any) -> BlockSpec:
    return replace(_block_spec(name), **fields)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            _changed("mxfp4", rule=ScaleRule.MSE),
            "rule must be one of OCP_FLOOR, OCP_CEIL, CEIL, NEAREST, EVEN, not MSE",
        ),
        (_block_spec("dfp16"), "blocks must be along one row, with no scale above theirs; dfp16 is not so"),
        (_changed("mxint8", element=named("uint8")), "elements must be of one signed format, floats with subnormals"),
        (
            _changed("mxint8", element=named("fixed8_8")),
            "elements must reach 1 and scales 2**-127 at least",
        ),
    ],
)
def test_power_quantizer_spec_wrong(spec: BlockSpec, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message.replace('*', '[*]')}"):
        PowerBlockQuantizer(spec)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (_block_spec("mxfp4"), "rule must be AMAX, not OCP_FLOOR"),
        (_block_spec("nvfp4_16x16"), "blocks must be along one row, without scales of channels; nvfp4_16x16 is not so"),
        (
            _block_spec("int8_g128"),
            "elements must be symmetric, of at most 4 bits; those of int8_g128 are int8_narrow",
        ),
        (_changed("nvfp4", scale=named("float32")), "the scale must be a float with subnormals and NaN; that of"),
    ],
)
def test_quotient_quantizer_spec_wrong(spec: BlockSpec, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        DividedBlockQuantizer(spec)


@pytest.mark.parametrize("part", [PowerBlockQuantizer, DividedBlockQuantizer])
def test_quantizer_spec_kind_wrong(part: Any) -> None:
    with pytest.raises(TypeError, match=r"^spec must be a BlockSpec, not 'mxfp4'$"):
        part("mxfp4")
