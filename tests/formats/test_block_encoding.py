# SPDX-License-Identifier: Apache-2.0
"""The fast kernels against the exact division, on data where they could differ."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hwsim import formats
from hwsim.formats import BlockSpec, IntegerSpec
from hwsim.formats.block_encoding import value_steps

NAMES = (
    "mxfp8_e5m2",
    "mxfp8_e4m3",
    "mxfp6_e3m2",
    "mxfp6_e2m3",
    "mxfp4",
    "mxint8",
    "mxint6",
    "mxint4",
    "mxfp4_ceil",
    "mxfp4_nearest",
    "mxint8_ceil",
    "mxfp8_e4m3_even",
    "mxfp4_quest",
    "mxfp6_e2m3_ocp_ceil",
    "nvfp4",
    "nvint4",
    "nvfp4_16x16",
    "nvfp4_mse",
    "mxint4_mse",
    "nf4_b64",
    "bnb_fp4_b64",
    "bfp8_b64",
    "bfp4_e5_b16",
    "bfp16_b32",
    "dfp16",
    "dfp8",
    "qfx8",
    "bitnet",
    "bitnet_median",
    "int4_g128",
    "int8_g128",
    "bitmod_fp4_g128",
    "bitmod_fp3_g128",
    "block32_int4_float8_e8m0fnu_ocp_floor",
    "block32_uint4_float8_e8m0fnu_ocp_floor",
    "block32_float8_e4m3fnuz_float8_e8m0fnu_ocp_floor",
    "block16_float6_e2m3fn_float8_e4m3fn_amax_tensor",
    "block16_minifloat_e3m0_float8_e4m3fn_amax",
    "block16_float4_e2m1fn_float16_amax",
    "block16_posit4_1_float8_e8m0fnu_nearest",
    "block32_binary8p4se_float8_e8m0fnu_ocp_floor",
    "block32_float12_e5m6_float8_e8m0fnu_ocp_floor",
    "block32_int16_float8_e8m0fnu_nearest",
    "channel_int8_narrow_float32_amax",
)


def hard_rows(seed: int, rows: int, columns: int) -> NDArray[np.float32]:
    """Return finite float32 rows: any bits, one binade, few bits and their neighbours, subnormals, zeros."""
    rng = np.random.default_rng(seed)
    shape = (rows, columns)
    bits = rng.integers(0, 1 << 32, shape, dtype=np.uint64).astype(np.uint32)
    bits[(bits & 0x7F800000) == 0x7F800000] ^= 0x40000000
    sign = rng.integers(0, 2, shape).astype(np.uint32) << 31
    binade = sign | (rng.integers(1, 254, (rows, 1)).astype(np.uint32) << 23) | (bits & 0x7FFFFF)
    few = sign | (rng.integers(20, 240, (rows, 1)) - rng.integers(0, 12, shape)).astype(np.uint32) << 23
    few |= (bits & 0xF) << 19
    near = (few.astype(np.int64) + rng.integers(-1, 2, shape)).astype(np.uint32)
    tiny = sign | (bits & ((1 << rng.integers(1, 25, (rows, 1))) - 1).astype(np.uint32))
    mixed = np.where(rng.random(shape) < 0.9, 0, near)
    return np.concatenate([bits, binade, few, near, tiny, mixed, sign]).view(np.float32)


def both(x: NDArray[np.float32], name: str, **options: Any) -> int:
    """Check float32 data against the same in float64, which no kernel takes; return the codes compared."""
    fast = formats.quantize(x, name, **options)
    exact = formats.quantize(x.astype(np.float64), name, **options)
    assert fast.codes.dtype == exact.codes.dtype
    assert fast.tensor_scale == exact.tensor_scale
    for ours, theirs in (
        (fast.codes, exact.codes),
        (fast.scales, exact.scales),
        (fast.selectors, exact.selectors),
        (fast.channel_scales, exact.channel_scales),
    ):
        assert (ours is None) == (theirs is None)
        assert ours is None or theirs is None or np.array_equal(ours, theirs)
    return fast.codes.size


@pytest.mark.parametrize("name", NAMES)
def test_block_encoding_equals_division(name: str) -> None:
    x = hard_rows(11, 6, 147)  # blocks of 16 to 128, and a shorter one behind
    x = np.abs(x) if "uint4" in name else x
    spec = formats.named(name)
    assert isinstance(spec, BlockSpec)
    compared = both(x, name)
    if spec.block_rows == 0 or spec.tensor_scale:  # each row with its own scale of the tensor, too
        compared += sum(both(row[None], name) for row in x)
        assert compared == 2 * 42 * 147
    assert compared >= 42 * 147


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_block_encoding_equals_division_many(name: str) -> None:
    x = hard_rows(12, 256, 2049)
    compared = both(np.abs(x) if "uint4" in name else x, name)
    assert compared == 7 * 256 * 2049


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("bad", [np.nan, -np.nan, np.inf, -np.inf])
def test_block_encoding_not_finite(name: str, bad: float) -> None:
    spec = formats.named(name)
    assert isinstance(spec, BlockSpec)
    x = np.abs(hard_rows(13, 2, 147))
    x[3, 40] = bad
    x[9, 146] = bad
    if isinstance(spec.scale, IntegerSpec):
        with pytest.raises(ValueError, match=rf"^x must be finite to be quantized to {name}, whose scale has no NaN$"):
            formats.quantize(x, name)
        return
    assert both(x, name) == x.size
    q = formats.quantize(x, name)
    zero = int(spec.element.encode([0.0])[0])
    nan = np.isnan(q.dequantize())
    assert (q.codes[nan] == zero).all()
    assert nan[3, 40]
    assert nan[9, 146]
    assert nan.sum() == nan.size if spec.block_rows == 0 else nan.sum() < nan.size


@pytest.mark.parametrize(
    ("name", "thresholds", "reached", "symmetric"),
    [
        # The midpoints of 0, 0.5, 1, 1.5, 2, 3, 4, 6, ties to the even code (IEEE 754-2019, 4.3.1).
        ("float4_e2m1fn", [0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0], [0, 1, 0, 1, 0, 1, 0], 1),
        ("int4_narrow", [0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5], [0, 1, 0, 1, 0, 1, 0], 2),
        ("ternary", [0.5], [0], 2),
        ("fixed4_2_narrow", [0.125, 0.375, 0.625, 0.875, 1.125, 1.375, 1.625], [0, 1, 0, 1, 0, 1, 0], 2),
        ("uint2", [0.5, 1.5, 2.5], [0, 1, 0], 0),
    ],
)
def test_block_encoding_steps(name: str, thresholds: list[float], reached: list[int], symmetric: int) -> None:
    element = formats.named(name)
    assert not isinstance(element, BlockSpec)
    steps = value_steps(element)
    assert steps is not None
    above = steps.thresholds > 0
    assert steps.thresholds[above].tolist() == thresholds
    assert steps.reached[above].astype(int).tolist() == reached
    assert steps.symmetric == symmetric


def test_block_encoding_steps_none() -> None:
    for name in ("int5", "float8_e4m3fn", "posit8_2"):
        element = formats.named(name)
        assert not isinstance(element, BlockSpec)
        assert value_steps(element) is None


@pytest.mark.parametrize("name", NAMES)
def test_block_encoding_whole_blocks(name: str) -> None:
    x = hard_rows(14, 4, 256)  # which are taken as one long row
    assert both(np.abs(x) if "uint4" in name else x, name) == 7 * 4 * 256
