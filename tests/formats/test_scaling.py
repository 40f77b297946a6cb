# SPDX-License-Identifier: Apache-2.0
"""Scale rules against their published definitions, in rational numbers or in the operations of the published code."""

import math
import re
from fractions import Fraction
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from numpy.typing import NDArray

from hwsim import formats
from hwsim.formats import BlockSpec, FloatSpec, IntegerSpec, ScaleRule

# Largest value and largest power of two of the elements (OCP Microscaling Formats 1.0, tables 1 and 2).
ELEMENTS: dict[str, tuple[Fraction, int, int | None]] = {
    "fp8_e5m2": (Fraction(57344), 32768, 2),
    "fp8_e4m3": (Fraction(448), 256, 3),
    "fp6_e3m2": (Fraction(28), 16, 2),
    "fp6_e2m3": (Fraction(15, 2), 4, 3),
    "fp4": (Fraction(6), 4, 1),
    "int8": (Fraction(127, 64), 1, None),
    "int4": (Fraction(7, 4), 1, None),
}


def floor_log2(value: Fraction) -> int:
    """Return the exponent of the largest power of two not above a positive number, by counting."""
    exponent = value.numerator.bit_length() - value.denominator.bit_length()
    return exponent if Fraction(2) ** exponent <= value else exponent - 1


def ceil_log2(value: Fraction) -> int:
    """Return the exponent of the smallest power of two not below a positive number."""
    exponent = floor_log2(value)
    return exponent if Fraction(2) ** exponent == value else exponent + 1


def expected_exponent(rule: str, element: str, largest: float) -> int:
    """Return k of the scale 2**k by the rule's formula, clipped to E8M0."""
    amax = Fraction(largest)
    top, power, man_bits = ELEMENTS[element]
    if rule == "ocp_floor":
        exponent = floor_log2(amax) - floor_log2(Fraction(power))
    elif rule == "ocp_ceil":
        exponent = ceil_log2(amax) - floor_log2(Fraction(power))
    elif rule == "ceil":
        exponent = ceil_log2(amax / top)
    elif rule == "nearest":  # round(l) = floor(l + 1/2) = floor of half the logarithm of 2 * s**2
        exponent = floor_log2(2 * (amax / top) ** 2) // 2
    else:
        assert rule == "even"
        assert man_bits is not None
        unit = Fraction(2) ** (floor_log2(amax) - man_bits)
        rounded = math.floor(amax / unit + Fraction(1, 2)) * unit
        exponent = floor_log2(rounded) - floor_log2(Fraction(power))
    return min(max(exponent, -127), 127)


def magnitudes() -> NDArray[np.float32]:
    """Return positive float32: all binades' ends, middles, roots of two and multiples of the largest elements."""
    powers = np.exp2(np.arange(-149, 128, dtype=np.float64))
    factors = np.array([1, 1.5, 1.25, 1.75, 1.875, 127 / 64, 2 - 2.0**-2, 2 - 2.0**-3, 2 - 2.0**-4, math.sqrt(2)])
    factors = np.concatenate([factors, factors * math.sqrt(0.5), factors * math.sqrt(2)])
    values = np.outer(powers, factors).reshape(-1)
    near = values[(values < 3.4e38) & (values >= 2.0**-149)].astype(np.float32)
    everything = [near, np.nextafter(near, np.float32(0)), np.nextafter(near, np.float32(np.inf))]
    found: NDArray[np.float32] = np.unique(np.concatenate(everything))
    return found[(found > 0) & np.isfinite(found)]


@pytest.mark.parametrize("rule", ["ocp_floor", "ocp_ceil", "ceil", "nearest", "even"])
@pytest.mark.parametrize("element", ELEMENTS)
def test_scaling_powers(rule: str, element: str, thin: Any) -> None:
    if rule == "even" and ELEMENTS[element][2] is None:
        with pytest.raises(ValueError, match=r"^element must be a float for rule EVEN, not fixed\d_\d_narrow$"):
            formats.quantize([1.0], f"mx{element}", rule=rule)
        return
    values = thin(magnitudes(), 500)
    expected = [expected_exponent(rule, element, float(value)) + 127 for value in values]
    for x in (values, values.astype(np.float64)):  # a block each
        q = formats.quantize(x[:, None], f"mx{element}", rule=rule)
        assert q.scales[:, 0].tolist() == expected
    assert len(expected) >= 500
    if rule == "ceil":  # no element saturates (INT v.s. FP, below equation 9)
        inside = values[(values > 2.0**-118) & (values < 2.0**127)]
        back = formats.quantize(inside[:, None], f"mx{element}", rule=rule, rounding="up").dequantize()[:, 0]
        assert (back >= inside).all()


def test_scaling_powers_torchao() -> None:
    # torchao 0.18, prototype/mx_formats/mx_tensor.py, to_mx: its integer operations on float32, for normal maxima.
    powers = np.arange(60, 200, dtype=np.int32) << 23
    bits = np.random.default_rng(0).integers(0x00800000, 0x7F000000, 4096).astype(np.int32)
    bits = np.concatenate([bits, powers, powers - 1])
    largest = bits.view(np.float32)[:, None]
    compared = 0
    for element, (_, power, man_bits) in ELEMENTS.items():
        target = int(math.log2(power))
        floor = (bits >> 23) - 127 - target
        ceil = floor + ((bits & 0x7FFFFF) > 0)
        found = {"ocp_floor": floor, "ocp_ceil": ceil}
        if man_bits is not None:
            found["even"] = ((bits + (1 << (23 - man_bits - 1))) >> 23) - 127 - target
        for rule, exponents in found.items():
            q = formats.quantize(largest, f"mx{element}", rule=rule)
            assert np.array_equal(q.scales[:, 0], np.clip(exponents, -127, 127) + 127)
            compared += bits.size
    assert compared == 19 * 4376


def test_scaling_log2_just_below_a_power() -> None:
    # A float32 log2 rounds up to an integer there (microxcaling, 4 <= k); frexp does not.
    below = np.nextafter(np.exp2(np.arange(-120, 128)).astype(np.float32), np.float32(0))
    wrong = np.floor(np.log2(below.astype(np.float32))) != np.arange(-121, 127)
    assert wrong.sum() > 100
    q = formats.quantize(below[:, None], "mxint8")
    assert np.array_equal(q.scales[:, 0], np.arange(-121, 127) + 127)


@pytest.mark.parametrize(
    ("name", "element", "scale"),
    [("nvfp4", 6, "float8_e4m3fn"), ("nvint4", 7, "float8_e4m3fn")],
)
def test_scaling_overflow_saturates(name: str, element: int, scale: str) -> None:
    # Universal's nvblock makes NaN of a scale beyond 448; saturation is what quantizing to E4M3 means.
    spec = formats.named(scale)
    assert isinstance(spec, FloatSpec)
    q = formats.quantize([element * 1000.0, -1.0], name, scale=1.0)
    assert spec.decode(q.scales).tolist() == [448.0]
    assert q.dequantize().tolist() == [448.0 * element, 0.0]


def test_scaling_quest() -> None:
    # Quartet: 2**floor(log2(2.92247856 / 6 * std + 1e-8)), std of the population, worked out with Fractions.
    rng = np.random.default_rng(1)
    x = (rng.standard_normal((500, 32)) * np.exp2(rng.integers(-30, 30, (500, 1)))).astype(np.float32)
    q = formats.quantize(x, "mxfp4_quest")
    compared = 0
    for row, code in zip(x.tolist(), q.scales[:, 0].tolist(), strict=True):
        part = [Fraction(v) for v in row]
        mean = sum(part, Fraction(0)) / 32
        variance = sum(((v - mean) ** 2 for v in part), Fraction(0)) / 32
        deviation = Fraction(math.isqrt(variance.numerator * variance.denominator << 200), variance.denominator << 100)
        exponent = floor_log2(Fraction("2.92247856") / 6 * deviation + Fraction("1e-8"))
        assert code == exponent + 127
        compared += 1
    assert compared == 500
    assert formats.quantize(np.zeros(32), "mxfp4_quest").scales.tolist() == [127 + floor_log2(Fraction("1e-8"))]
    # All alike: no deviation, so what is far beyond saturates.
    assert formats.quantize(np.ones(32), "mxfp4_quest").dequantize().tolist() == [6 * 2.0**-27] * 32


def two_level_published(x: NDArray[np.float32]) -> tuple[NDArray[Any], NDArray[Any], np.float32]:
    """Return codes' values, scales' values and the decoding scale by the recipe, one numpy float32 operation each."""
    enc = np.float32(448 * 6) / np.abs(x).max()
    blocks = x.reshape(-1, 16)
    amax = np.abs(blocks).max(axis=1)
    ratio = np.minimum(amax / np.float32(6) * enc, np.float32(448))
    dec = ratio.astype(ml_dtypes.float8_e4m3fn).astype(np.float32)
    inverse = np.float32(1) / enc
    with np.errstate(divide="ignore"):
        enc_b = np.float32(1) / (dec * inverse)
    scaled = np.clip(blocks * enc_b[:, None], np.float32(-6), np.float32(6))
    size = np.abs(scaled)
    # RNE to E2M1 as printed: <= .25 -> 0, < .75 -> .5, <= 1.25 -> 1, < 1.75 -> 1.5, <= 2.5 -> 2, < 3.5 -> 3, <= 5 -> 4.
    conditions = [size <= 0.25, size < 0.75, size <= 1.25, size < 1.75, size <= 2.5, size < 3.5, size <= 5]
    rounded = np.copysign(np.select(conditions, [0, 0.5, 1, 1.5, 2, 3, 4], 6), scaled)
    return rounded.reshape(x.shape), dec, inverse


def test_scaling_two_level() -> None:
    compared = different = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        x = rng.standard_normal((8, 64)).astype(np.float32) * np.float32(2.0 ** rng.integers(-20, 20))
        if seed % 2:
            x = (rng.integers(-24, 25, (8, 64)) / 4 * rng.integers(1, 8, (8, 1))).astype(np.float32)
            x[0, 0] = 6 * 448 / 256
        q = formats.quantize(x, "nvfp4_two_level")
        elements, scales, decode = two_level_published(x)
        assert q.tensor_scale == float(decode)
        spec = q.format
        assert isinstance(spec, BlockSpec)
        assert np.array_equal(spec.scale.decode(q.scales).reshape(-1), scales.astype(np.float64))
        assert np.array_equal(spec.element.decode(q.codes), elements.astype(np.float64))
        plain = formats.quantize(x, "nvfp4")
        different += int((plain.codes != q.codes).sum())
        compared += x.size
    assert compared == 40 * 512
    assert different > 0  # the recipe's reciprocals are not divisions: they show on ties


def test_scaling_two_level_ends() -> None:
    # Open in the paper: nothing but zeros, a largest value whose encode scale is no float32, a block too small.
    q = formats.quantize(np.zeros(16), "nvfp4_two_level")
    assert (q.tensor_scale, q.scales.tolist(), q.codes.tolist()) == (1.0, [0], [0] * 16)
    q = formats.quantize([2.0**-140, 0.0], "nvfp4_two_level")
    assert q.tensor_scale == float(np.float32(1) / np.finfo(np.float32).max)
    x = np.zeros(32, np.float32)
    x[0], x[16] = 1.0, 1e-9
    q = formats.quantize(x, "nvfp4_two_level")
    assert q.scales[1] == 0
    assert not q.codes[16:].any()
    x[3] = np.nan
    q = formats.quantize(x, "nvfp4_two_level")
    assert np.isnan(q.dequantize()[:16]).all()
    assert not np.isnan(q.dequantize()[16:]).any()
    given = formats.quantize([3.0, -6.0, 1.0], "nvfp4_two_level", scale=0.5)
    assert (given.tensor_scale, given.dequantize().tolist()) == (0.5, [3.0, -6.0, 1.0])


@pytest.mark.parametrize("name", ["bitnet", "bitnet_median"])
def test_scaling_bitnet(name: str) -> None:
    # BitNet b1.58, equations 1 to 3: gamma = mean |W|, RoundClip(W / gamma, -1, 1).
    compared = 0
    for seed in range(20):
        x = np.random.default_rng(seed).standard_normal((5, 7 + seed)).astype(np.float32)
        part = sorted(abs(Fraction(v)) for v in x.reshape(-1).tolist())
        middle = (part[(len(part) - 1) // 2] + part[len(part) // 2]) / 2
        gamma = sum(part) / len(part) if name == "bitnet" else middle
        q = formats.quantize(x, name, axis=None)
        assert q.scales.shape == (1, 1)
        scale = q.scales.view(np.float32)[0, 0]
        assert scale == np.float32(float(gamma))
        ternary = np.clip(np.rint(x.astype(np.float64) / float(scale)), -1, 1)
        assert np.array_equal(q.dequantize(), ternary * float(scale))
        compared += x.size
    assert compared == sum(5 * (7 + seed) for seed in range(20))
    tiny = formats.quantize(np.full(4, 1e-9), name, axis=None)
    assert tiny.scales.view(np.float32).tolist() == [float(np.float32(1e-5))]
    row = formats.quantize([[0.3, -0.1, 0.7], [3.0, -1.0, 7.0]], "ternary", rule="absmean")
    assert row.scales.tolist() == [[float(np.float32(1.1 / 3))], [float(np.float32(11 / 3))]]
    assert row.dequantize()[1].tolist() == [float(np.float32(11 / 3)), 0.0, float(np.float32(11 / 3))]


@pytest.mark.parametrize(
    "name", ["uint4_g32", "uint8_g128", "block32_int8_float32_range", "block64_uint4_uint8_range_channel"]
)
def test_scaling_range(name: str) -> None:
    spec = formats.named(name)
    assert isinstance(spec, BlockSpec)
    element = spec.element
    assert isinstance(element, IntegerSpec)
    rng = np.random.default_rng(3)
    x = (rng.standard_normal((6, 200)) + rng.integers(-2, 3, (6, 1))).astype(np.float32)
    q = formats.quantize(x, name)
    assert q.zero_points is not None
    assert q.zero_points.shape == q.scales.shape
    scales, back = spec.scale.decode(q.scales), q.dequantize()
    if q.channel_scales is not None:
        scales = scales * q.channel_scales
    compared = 0
    for row in range(6):
        for block in range(scales.shape[1]):
            part = [Fraction(v) for v in x[row, block * spec.block_size : (block + 1) * spec.block_size].tolist()]
            low, high = min(*part, Fraction(0)), max(*part, Fraction(0))
            width = (high - low) / (element.max_int - element.min_int)
            scale = Fraction(float(scales[row, block]))
            assert abs(scale / width - 1) < (Fraction(1, 500) if q.channel_scales is None else Fraction(1, 3))
            zero = min(max(element.min_int - round(low / scale), element.min_int), element.max_int)
            mask = (1 << element.bits) - 1
            assert int(q.zero_points[row, block]) == zero & mask
            for i, value in enumerate(part):
                column = block * spec.block_size + i
                integer = min(max(round(value / scale) + zero, element.min_int), element.max_int)
                assert int(q.codes[row, column]) == integer & mask
                assert Fraction(back[row, column]) == (integer - zero) * scale
                compared += 1
    assert compared == 6 * 200


@pytest.mark.parametrize("name", ["mxfp4_mse", "mxint8_mse", "nvfp4_mse", "nvint4_b32_mse", "mxfp4_2x16_mse"])
def test_scaling_mse(name: str) -> None:
    spec = formats.named(name)
    assert isinstance(spec, BlockSpec)
    assert isinstance(spec.scale, FloatSpec)
    x = np.random.default_rng(4).standard_normal((4, 96)).astype(np.float32)
    q = formats.quantize(x, name)
    usual = ScaleRule.NEAREST if name.startswith("mx") else ScaleRule.AMAX
    start = formats.quantize(x, name, rule=usual)
    reach = 1 << spec.scale.man_bits
    compared = better = 0
    rows = spec.block_rows
    for row in range(0, 4, rows):
        for block in range(q.scales.shape[1]):
            where = (slice(row, row + rows), slice(block * spec.block_size, (block + 1) * spec.block_size))
            errors = {}
            for step in range(-reach, reach + 1):
                code = min(int(start.scales[row // rows, block]) + step, spec.scale.max_magnitude_code)
                scale = Fraction(float(spec.scale.decode([code])[0])) * Fraction(q.tensor_scale)
                quotients = [float(Fraction(v) / scale) for v in x[where].reshape(-1).tolist()]
                values = spec.element.decode(spec.element.encode(quotients)).tolist()
                pairs = zip(x[where].reshape(-1).tolist(), values, strict=True)
                errors[step] = sum((Fraction(v) - Fraction(e) * scale) ** 2 for v, e in pairs)
            step = int(q.scales[row // rows, block]) - int(start.scales[row // rows, block])
            assert errors[step] == min(errors.values())
            better += errors[step] < errors[0]
            compared += 1
    assert compared == q.scales.size
    assert better > 0


def test_scaling_qfx() -> None:
    # The binary point that makes the least squared error, tried by hand around the one that holds the largest value.
    x = np.random.default_rng(5).standard_normal((40, 50)).astype(np.float32)
    x[0, 0] = 40.0
    q = formats.quantize(x, "qfx6", axis=None)
    exponent = int(q.scales.reshape(-1)[0]) - 127
    errors = {}
    for power in range(-6, 4):
        back = np.clip(np.rint(x.astype(np.float64) / 2.0**power), -32, 31) * 2.0**power
        errors[power] = float(((back - x) ** 2).sum())
    assert min(errors, key=lambda power: errors[power]) == exponent
    assert q.dequantize().dtype == np.float64


def test_scaling_dfp16() -> None:
    # arXiv:1802.00930: E_s = E_max - (P - 2) with E_max = floor(log2(max)), P = 16; I = round(x / 2**E_s).
    x = (np.random.default_rng(6).standard_normal((30, 40)) * 1e-3).astype(np.float32)
    q = formats.quantize(x, "dfp16", axis=None)
    shared = math.frexp(float(np.abs(x).max()))[1] - 1 - 14
    assert int(q.scales.reshape(-1)[0]) - 127 == shared
    integers = np.clip(np.rint(np.ldexp(x.astype(np.float64), -shared)), -32768, 32767).astype(np.int64)
    assert np.array_equal(q.codes, integers & 0xFFFF)
    assert np.abs(integers).max() >= 1 << 14


def test_scaling_rule_wrong() -> None:
    with pytest.raises(ValueError, match=r"^rule must be one of ocp_floor, .*, mse, not 'log'$"):
        formats.quantize([1.0], "mxfp4", rule="log")
    with pytest.raises(TypeError, match=re.escape("rule must be a ScaleRule or a str, not 3")):
        ScaleRule(3)
    text = "rule must be AMAX, ABSMEAN, ABSMEDIAN or one of powers of two for int8, not MSE"
    with pytest.raises(ValueError, match=f"^{text}$"):
        formats.quantize([1.0], "int8", rule="mse")


@pytest.mark.parametrize("rule", ["ocp_floor", "ceil", "nearest", "ocp_ceil"])
def test_scaling_scalar_powers(rule: str) -> None:
    x = np.random.default_rng(7).standard_normal((50, 8)).astype(np.float32)
    q = formats.quantize(x, "float4_e2m1fn", rule=rule)
    like = formats.quantize(x, "mxfp4_b8", rule=rule)
    assert np.array_equal(q.scales, np.exp2(like.scales.astype(np.float64) - 127))
    assert np.array_equal(q.codes, like.codes)
    assert formats.quantize(np.zeros((2, 3)), "int8", None, rule=rule).scales.tolist() == 1.0
