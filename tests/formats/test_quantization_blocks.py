# SPDX-License-Identifier: Apache-2.0
"""Quantize in blocks: the bugs known from elsewhere, tiles, stochastic rounding, codebooks, two levels of scales."""

import re
from dataclasses import replace
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest
from numpy.typing import NDArray

from hwsim import formats
from hwsim.formats import BlockSpec


def block_spec(name: str) -> BlockSpec:
    spec = formats.named(name)
    assert isinstance(spec, BlockSpec)
    return spec


def samples(seed: int, rows: int, columns: int) -> NDArray[np.float32]:
    """Return rows of very different size, with ties and subnormals."""
    rng = np.random.default_rng(seed)
    normal = rng.standard_normal((rows, columns)) * np.exp2(rng.integers(-20, 20, (rows, 1)))
    ties = rng.integers(-64, 65, (rows, columns)) / 8 * np.exp2(rng.integers(-3, 4, (rows, 1)))
    with np.errstate(under="ignore"):
        return np.concatenate([normal, ties, normal * 2.0**-140]).astype(np.float32)


def nearest_float32(value: Fraction) -> float:
    """Return the float32 nearest to a positive rational number, by comparing neighbours."""
    guess = np.float32(float(value))
    near = [np.nextafter(guess, np.float32(0)), guess, np.nextafter(guess, np.float32(np.inf))]
    return min((float(n) for n in near), key=lambda n: abs(Fraction(n) - value))


# The bugs of block quantizers that keep reappearing elsewhere, a test each.


def test_quantization_bug_blocks_straddle_rows() -> None:
    # mase issue 321: the flattened array was cut into blocks. Rows of 40 are a block of 32 and one of 8.
    x = np.repeat(np.array([[1.0], [1024.0], [2.0**-20]], np.float32), 40, axis=1)
    for name, size in (("mxfp4", 32), ("mxint8", 32), ("nvfp4", 16)):
        q = formats.quantize(x, name)
        assert q.scales.shape == (3, -(-40 // size))
        assert (q.scales == q.scales[:, :1]).all()
        alone = [formats.quantize(row, name, scale=q.tensor_scale if name == "nvfp4" else None) for row in x]
        assert np.array_equal(q.codes, np.stack([each.codes for each in alone]))
        assert np.array_equal(q.scales, np.stack([each.scales for each in alone]))


def test_quantization_bug_reciprocal_in_nvfp4() -> None:
    # arch-com issue 905: x * (1 / s) in float32 is not x / s on tie-aligned data, where it goes to the other code.
    e4m3 = block_spec("nvfp4").scale.decode(np.arange(1, 127))
    ties = np.array([0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0, 6.0])
    compared = wrong = 0
    for tensor in np.array([1 / 3, 1 / 7, 0.1, 3e-5, 11 / 9], np.float32):
        x = (ties * e4m3[:, None]).astype(np.float32) * np.float32(1)
        scaled = (x.astype(np.float64) * float(tensor)).astype(np.float32)
        q = formats.quantize(scaled, "nvfp4", scale=tensor)
        for row in range(scaled.shape[0]):
            scale = Fraction(float(block_spec("nvfp4").scale.decode(q.scales[row])[0])) * Fraction(float(tensor))
            reciprocal = np.float32(1) / np.float32(float(scale))
            for value, code in zip(scaled[row].tolist(), q.codes[row].tolist(), strict=True):
                expected = nearest_e2m1(Fraction(value) / scale)
                assert code == expected
                wrong += nearest_e2m1(Fraction(float(np.float32(value) * reciprocal))) != expected
                compared += 1
    assert compared == 5 * 126 * 8
    assert wrong > 100  # it would show


def nearest_e2m1(quotient: Fraction) -> int:
    """Return the code of the nearest of 0, 0.5, 1, 1.5, 2, 3, 4, 6 to a positive number, a tie to the even code."""
    levels = [Fraction(level) / 2 for level in (0, 1, 2, 3, 4, 6, 8, 12)]
    return min(range(8), key=lambda code: (abs(levels[code] - quotient), code % 2))


def test_quantization_bug_ties_up_in_e2m1() -> None:
    # ROCm aiter issues 974, 2247, 3992: 0.25, 1.25, 2.5 and 5 went up. The scale is 1 in each of these formats.
    ties = [0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0, 6.0]
    even = [0.0, 1.0, 1.0, 2.0, 2.0, 4.0, 4.0, 6.0]
    x = np.array([ties, [-tie for tie in ties]], np.float32)
    for name, scale in (("mxfp4", None), ("mxfp4_ceil", None), ("nvfp4", 1.0), ("nvfp4_two_level", 1.0)):
        for data in (x, x.astype(np.float64)):
            q = formats.quantize(data, name, scale=scale)
            assert q.dequantize().tolist() == [even, [-value for value in even]]
            assert q.codes[1].tolist() == [8, 10, 10, 12, 12, 14, 14, 15]


def test_quantization_bug_e4m3_957() -> None:
    # microxcaling issue 4: OCP's floor makes 896 of 957, as the scale 2 leaves 478.5 beyond 448; the ceiling does not.
    assert formats.quantize([957.0], "mxfp8_e4m3").dequantize().tolist() == [896.0]
    assert formats.quantize([957.0], "mxfp8_e4m3_ceil").dequantize().tolist() == [960.0]


def test_quantization_bug_nvfp4_scale_overflow() -> None:
    # Universal's nvblock: a block scale beyond E4M3 became NaN, and with it the block.
    q = formats.quantize([1e6, 1.0, -1e6], "nvfp4", scale=1.0)
    assert q.dequantize().tolist() == [2688.0, 0.0, -2688.0]


def test_quantization_bug_reciprocal_out_of_range() -> None:
    # A float32 reciprocal of a small scale overflows, and one of a large scale is flushed to zero.
    for scale in (2.0**-149, 2.0**-130, 2.0**120):
        x = (np.array([6.0, 3.0, 1.0, -0.5]) * 8 * scale).astype(np.float32)
        q = formats.quantize(x, "nvfp4", scale=scale)
        assert q.dequantize().tolist() == x.astype(np.float64).tolist()


@pytest.mark.parametrize(
    "name", ["mxfp8_e4m3", "mxint8", "mxfp4", "nvfp4", "nf4_b64", "dfp16", "uint4_g32", "nvfp4_two_level"]
)
def test_quantization_stochastic(name: str) -> None:
    x = samples(14, 2, 45)[:4]
    rng = np.random.default_rng(15)
    words = rng.integers(0, 256, x.shape)
    if name == "dfp16":
        x = x[:1]
        words = words[:1]
    for axis in (None,) if name == "dfp16" else (0, 1):
        q = formats.quantize(x, name, axis, rounding="stochastic", random=words, random_bits=8)
        down = formats.quantize(x, name, axis, rounding="stochastic", random=np.zeros((1, 1), int), random_bits=8)
        assert np.array_equal(q.scales, formats.quantize(x, name, axis).scales)
        if name not in ("uint4_g32", "nvfp4_two_level"):  # whose zero points and products are rounded by themselves
            zero = formats.quantize(x, name, axis, rounding="toward_zero")
            assert np.array_equal(down.dequantize(), zero.dequantize())
        assert (q.codes != down.codes).any()
        again = formats.quantize(x, name, axis, rounding="stochastic", random=words, random_bits=8)
        assert np.array_equal(again.codes, q.codes)
    with pytest.raises(ValueError, match=r"^random and random_bits must be given for stochastic rounding, not None$"):
        formats.quantize(x, name, 0, rounding="stochastic")


def test_quantization_stochastic_words() -> None:
    # 2.25 lies a quarter above 2, between 2 and 3: two of the eight words of 3 bits carry.
    x = np.full((3, 8), 2.25, np.float32)
    x[:, 0] = 6.0
    words = np.broadcast_to(np.arange(8), (3, 8))
    q = formats.quantize(x, "mxfp4", rounding="stochastic", random=words, random_bits=3)
    assert q.dequantize()[:, 1:].tolist() == [[2.0, 2.0, 2.0, 2.0, 2.0, 3.0, 3.0]] * 3
    q = formats.quantize(x.T, "mxfp4", axis=0, rounding="stochastic", random=words.T, random_bits=3)
    assert q.dequantize().T[:, 1:].tolist() == [[2.0, 2.0, 2.0, 2.0, 2.0, 3.0, 3.0]] * 3
    q = formats.quantize(x, "float4_e2m1fn", scale=1.0, rounding="stochastic", random=words, random_bits=3)
    assert q.dequantize()[:, 1:].tolist() == [[2.0, 2.0, 2.0, 2.0, 2.0, 3.0, 3.0]] * 3


@pytest.mark.parametrize("name", ["nvfp4_16x16", "mxfp4_4x8_ceil", "bfp8_16x16"])
def test_quantization_tiles(name: str) -> None:
    # A tile has the codes and the scale of its elements in a row.
    spec = block_spec(name)
    x = samples(16, 12, 50)
    q = formats.quantize(x, name)
    rows, size = spec.block_rows, spec.block_size
    assert q.scales.shape == (-(-36 // rows), -(-50 // size))
    flat = replace(spec, block_rows=1, block_size=rows * size)
    scale = q.tensor_scale if spec.tensor_scale else None
    compared = 0
    for i in range(q.scales.shape[0]):
        for j in range(q.scales.shape[1]):
            where = (slice(i * rows, (i + 1) * rows), slice(j * size, (j + 1) * size))
            one = formats.quantize(x[where].reshape(-1), flat, scale=scale)
            assert one.scales.tolist() == [q.scales[i, j]]
            assert np.array_equal(one.codes, q.codes[where].reshape(-1))
            assert np.array_equal(one.dequantize(), q.dequantize()[where].reshape(-1))
            compared += one.codes.size
    assert compared == 36 * 50
    turned = formats.quantize(x.T, name, axis=0)
    assert np.array_equal(turned.codes, q.codes.T)
    deep = formats.quantize(np.stack([x, -x]), name, scale=scale)
    assert np.array_equal(deep.scales, np.stack([q.scales] * 2))
    assert np.array_equal(deep.codes[0], q.codes)


@pytest.mark.parametrize("bits", [3, 4])
def test_quantization_bitmod(bits: int) -> None:
    # BitMoD: of the four codebooks, the one with the least squared error, under an 8-bit scale of the channel's.
    name = f"bitmod_fp{bits}_g16"
    options = formats.bitmod_options(bits)
    x = np.random.default_rng(17).standard_normal((5, 70)).astype(np.float32)
    x[:, 3] *= 3
    q = formats.quantize(x, name)
    assert q.selectors is not None
    assert q.channel_scales is not None
    assert (q.selectors.shape, q.channel_scales.shape, q.tensor_scale) == ((5, 5), (5, 1), 1.0)
    least_top = min(max(map(abs, option.levels)) for option in options)
    compared = 0
    for row in range(5):
        channel = float(q.channel_scales[row, 0])
        assert channel == nearest_float32(Fraction(float(np.abs(x[row]).max())) / Fraction(least_top * 127))
        for block in range(5):
            part = x[row, 16 * block : 16 * block + 16].astype(np.float64)
            errors, codes = [], []
            for option in options:
                top = max(map(abs, option.levels))
                code = round(Fraction(float(np.abs(part).max())) / Fraction(top) / Fraction(channel))
                values = option.decode(option.encode(part / (code * channel))) * (code * channel)
                errors.append(float(((part - values) ** 2).sum()))
                codes.append((code, values))
            chosen = int(q.selectors[row, block])
            assert chosen == errors.index(min(errors))
            assert int(q.scales[row, block]) == codes[chosen][0]
            assert q.dequantize()[row, 16 * block : 16 * block + 16].tolist() == codes[chosen][1].tolist()
            compared += part.size
    assert compared == 5 * 70
    assert len(set(q.selectors.reshape(-1).tolist())) == 4
    turned = formats.quantize(x.T, name, axis=0)
    assert turned.selectors is not None
    assert np.array_equal(turned.selectors.T, q.selectors)
    assert np.array_equal(turned.dequantize().T, q.dequantize())


def test_quantization_nf4() -> None:
    # bitsandbytes: absmax in float32, then the nearest of the 16 levels.
    spec = block_spec("nf4_b64").element
    levels = spec.decode(np.arange(16))
    x = np.random.default_rng(18).standard_normal((9, 200)).astype(np.float32)
    q = formats.quantize(x, "nf4_b64")
    assert q.scales.dtype == np.uint32
    compared = 0
    for row in range(9):
        for block in range(4):
            part = x[row, 64 * block : 64 * block + 64]
            scale = np.abs(part).max()
            assert q.scales.view(np.float32)[row, block] == scale
            distances = np.abs(part[:, None].astype(np.float64) / float(scale) - levels)
            assert np.array_equal(q.codes[row, 64 * block : 64 * block + 64], distances.argmin(axis=1))
            compared += part.size
    assert compared == 9 * 200


def test_quantization_channel_scale_given() -> None:
    name = "block16_int4_narrow_uint8_amax_channel"
    q = formats.quantize([[7.0, 14.0], [70.0, -7.0]], name, scale=[[0.5], [1.0]])
    assert (q.scales.tolist(), q.dequantize().tolist()) == ([[4], [10]], [[8.0, 14.0], [70.0, -10.0]])
    text = re.escape(f"scale must have the shape (2, 1) for {name}, not (2,)")
    with pytest.raises(ValueError, match=f"^{text}$"):
        formats.quantize([[7.0, 14.0], [70.0, -7.0]], name, scale=[0.5, 1.0])


def test_quantization_float_scales() -> None:
    # float32, bfloat16 and UE5M3 scales saturate, keep NaN, and round once.
    x = samples(19, 2, 32)
    for scale, dtype in (("float32", np.float32), ("bfloat16", ml_dtypes.bfloat16), ("float16", np.float16)):
        q = formats.quantize(x, f"block16_int8_narrow_{scale}_amax")
        largest = np.abs(x.reshape(6, 2, 16)).max(axis=-1).astype(np.float64) / 127
        with np.errstate(over="ignore"):
            expected = largest.astype(dtype).astype(np.float64)
        spec = q.format
        assert isinstance(spec, BlockSpec)
        tops = {"float32": 3.4028234663852886e38, "bfloat16": 3.3895313892515355e38, "float16": 65504.0}
        assert np.array_equal(spec.scale.decode(q.scales), np.minimum(expected, tops[scale]))
