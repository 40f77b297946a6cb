# SPDX-License-Identifier: Apache-2.0
"""Quantize against hand-worked blocks and against the rules in rational numbers."""

import math
import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from numpy.typing import NDArray

from hwsim import formats
from hwsim.formats import BlockSpec, FloatSpec, IntegerSpec
from hwsim.formats.block import Scalar

MX = ("mxfp8_e5m2", "mxfp8_e4m3", "mxfp6_e3m2", "mxfp6_e2m3", "mxfp4", "mxint8", "mxint6", "mxint4")
# OCP Microscaling Formats 1.0, section 6.3: the exponent of the largest power of two of an element.
EMAX = {
    "mxfp8_e5m2": 15,
    "mxfp8_e4m3": 8,
    "mxfp6_e3m2": 4,
    "mxfp6_e2m3": 2,
    "mxfp4": 2,
    "mxint8": 0,
    "mxint6": 0,
    "mxint4": 0,
}


def block_spec(name: str) -> BlockSpec:
    spec = formats.named(name)
    assert isinstance(spec, BlockSpec)
    return spec


def nearest_float32(value: Fraction) -> float:
    """Return the float32 nearest to a positive rational number, by comparing neighbours."""
    guess = np.float32(float(value))
    near = [np.nextafter(guess, np.float32(0)), guess, np.nextafter(guess, np.float32(np.inf))]
    return min((float(n) for n in near), key=lambda n: abs(Fraction(n) - value))


def element_code(element: Scalar, value: Fraction, oracle: Callable[..., Any]) -> int:
    """Return the code of value rounded to nearest even, saturated; -0 is for a negative value that rounds to zero."""
    if isinstance(element, FloatSpec):
        return int(oracle(element).nearest_even(value))
    assert isinstance(element, IntegerSpec)
    integer = round(value * Fraction(2) ** element.fraction_bits)
    top = (1 << (element.bits - 1)) - 1
    return min(max(integer, -top), top) % (1 << element.bits)


def samples(seed: int, rows: int, columns: int) -> NDArray[np.float32]:
    """Return rows of very different size, with ties, powers of two and their neighbours, and subnormals."""
    rng = np.random.default_rng(seed)
    normal = rng.standard_normal((rows, columns)) * np.exp2(rng.integers(-20, 20, (rows, 1)))
    ties = rng.integers(-64, 65, (rows, columns)) / 8 * np.exp2(rng.integers(-3, 4, (rows, 1)))
    powers = np.exp2(rng.integers(-12, 3, (rows, columns))) * rng.choice([-1, 1], (rows, columns))
    below = np.nextafter(powers.astype(np.float32), np.float32(0)).astype(np.float64)
    with np.errstate(under="ignore"):
        tiny = normal * 2.0**-140
        huge = np.clip(normal, -1, 1) * 2.0**127
        return np.concatenate([normal, ties, powers, below, tiny, huge]).astype(np.float32)


@pytest.mark.parametrize("name", MX)
def test_quantization_mx(name: str, oracle: Callable[..., Any]) -> None:
    spec = block_spec(name)
    x = samples(5, 12, 70)
    q = formats.quantize(x, name)
    assert (q.codes.shape, q.scales.shape, q.scales.dtype.name, q.tensor_scale) == ((72, 70), (72, 3), "uint8", 1.0)
    compared = 0
    for row in range(x.shape[0]):
        for block in range(3):
            part = [Fraction(float(v)) for v in x[row, 32 * block : 32 * block + 32]]
            largest = max(map(abs, part))
            exponent = -127
            while Fraction(2) ** (exponent + 1) * 2 ** EMAX[name] <= largest and exponent < 127:
                exponent += 1
            assert int(q.scales[row, block]) == exponent + 127
            scale = Fraction(2) ** exponent
            expected = [element_code(spec.element, v / scale, oracle) for v in part]
            ours = q.codes[row, 32 * block : 32 * block + 32].tolist()
            zero = [
                isinstance(spec.element, FloatSpec) and bool(s)
                for s in np.signbit(x[row, 32 * block : 32 * block + 32])
            ]
            sign = 1 << (spec.bits - 1)
            assert ours == [e | sign if z else e for e, z in zip(expected, zero, strict=True)]
            values = [Fraction(v) for v in q.dequantize()[row, 32 * block : 32 * block + 32].tolist()]
            assert values == [Fraction(float(v)) * scale for v in spec.element.decode(np.array(ours)).tolist()]
            compared += len(part)
    assert compared == 72 * 70


@pytest.mark.parametrize("name", ["nvfp4", "nvint4"])
def test_quantization_nv(name: str, oracle: Callable[..., Any]) -> None:
    spec = block_spec(name)
    largest_element = {"nvfp4": 6, "nvint4": 7}[name]
    compared = 0
    for x in np.split(samples(6, 10, 40), 6):
        q = formats.quantize(x, name)
        tensor = nearest_float32(Fraction(float(np.abs(x).max())) / (largest_element * 448))
        assert (q.tensor_scale, q.scales.shape) == (tensor, (10, 3))
        for row in range(x.shape[0]):
            for block in range(3):
                part = [Fraction(float(v)) for v in x[row, 16 * block : 16 * block + 16]]
                code = oracle(spec.scale).nearest_even(max(map(abs, part)) / largest_element / Fraction(tensor))
                assert int(q.scales[row, block]) == code
                scale = oracle(spec.scale).value(code) * Fraction(tensor)
                ours = q.codes[row, 16 * block : 16 * block + 16]
                if scale == 0:
                    assert not ours.any()
                else:
                    expected = [element_code(spec.element, v / scale, oracle) for v in part]
                    minus_zero = 8 if name == "nvfp4" else 0
                    assert [c for c in ours.tolist() if c != minus_zero] == [
                        e for c, e in zip(ours.tolist(), expected, strict=True) if c != minus_zero
                    ]
                    assert all(e in (0, 8) for c, e in zip(ours.tolist(), expected, strict=True) if c == minus_zero)
                values = q.dequantize()[row, 16 * block : 16 * block + 16].tolist()
                elements = spec.element.decode(ours).tolist()
                assert [Fraction(v) for v in values] == [Fraction(e) * scale for e in elements]
                compared += len(part)
    assert compared == 6 * 10 * 40


def test_quantization_ocp_by_hand() -> None:
    # OCP Microscaling Formats 1.0, section 6.3. E2M1: amax 6.5 has exponent 2, as the largest E2M1 power: X = 1.
    q = formats.quantize([6.5, -0.25, 0.75, 2.5, 5.0, -0.3, 0.0, 1.25], "mxfp4")
    assert q.scales.tolist() == [127]
    # 6.5 saturates at 6; 0.25 ties to 0 with its sign; 0.75 to 1, 2.5 to 2, 5 to 4 and 1.25 to 1, which are even.
    assert q.dequantize().tolist() == [6.0, -0.0, 1.0, 2.0, 4.0, -0.5, 0.0, 1.0]
    assert q.codes.tolist() == [7, 8, 2, 4, 6, 9, 0, 2]
    # E4M3: microxcaling issue 4: 957 becomes 896, for X = 2**(9 - 8) and 478.5 saturates at 448.
    q = formats.quantize([957.0], "mxfp8_e4m3")
    assert (q.scales.tolist(), q.dequantize().tolist()) == ([128], [896.0])
    # INT8: 1.999 has exponent 0; 127.9 of 64ths saturates at 127, and the opposite at -127: -2 is left unused.
    q = formats.quantize([1.999, -1.999, 1 / 128, 3 / 128], "mxint8")
    assert (q.scales.tolist(), q.codes.tolist()) == ([127], [127, 129, 0, 2])
    # The scale's range: below 2**-127 and at the largest float32.
    assert formats.quantize([2.0**-149], "mxfp4").scales.tolist() == [0]
    assert formats.quantize([float(np.finfo(np.float32).max)], "mxint8").scales.tolist() == [254]
    # Just below a power of two the exponent is the lower one (microxcaling's logarithm gives the upper).
    for k in range(-60, 61):
        below = float(np.nextafter(np.float32(2.0**k), np.float32(0)))
        assert formats.quantize([below], "mxfp8_e5m2").scales.tolist() == [k - 1 - 15 + 127]


@pytest.mark.parametrize("name", [*MX, "nvfp4", "nvint4"])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_quantization_nan_block(name: str, bad: float) -> None:
    size = block_spec(name).block_size
    x = np.ones((2, 3 * size))
    x[1, size + 1] = bad
    q = formats.quantize(x, name)
    nan_code = {"mx": 0xFF, "nv": 0x7F}[name[:2]]
    assert (q.scales == nan_code).tolist() == [[False, False, False], [False, True, False]]
    nan = np.isnan(q.dequantize())
    assert nan[1, size : 2 * size].all()
    assert nan.sum() == size
    assert np.allclose(q.dequantize()[~nan], 1, rtol=1e-7)  # NV: up to the rounding of the tensor's scale
    assert not q.codes[1, size : 2 * size].any()


@pytest.mark.parametrize("name", [*MX, "nvfp4", "nvint4"])
def test_quantization_zero_block(name: str) -> None:
    q = formats.quantize(np.zeros((3, 40)), name, axis=1)
    assert not q.scales.any()
    assert not q.codes.any()
    assert q.tensor_scale == 1.0
    assert (q.dequantize() == 0).all()
    for shape, blocks in (((0, 40), -(-40 // block_spec(name).block_size)), ((4, 0), 0)):
        q = formats.quantize(np.zeros(shape), name)
        assert (q.codes.shape, q.scales.shape, q.dequantize().shape) == (shape, (shape[0], blocks), shape)


@pytest.mark.parametrize("name", ["mxfp8_e4m3", "mxint8", "nvfp4"])
def test_quantization_axis(name: str) -> None:
    size = block_spec(name).block_size
    x = samples(7, 2, 210).reshape(12, 5, 42)
    for axis in (0, 1, 2, -1, -2):
        turned = np.ascontiguousarray(np.moveaxis(x, axis, -1))
        expected = formats.quantize(turned, name)
        q = formats.quantize(x, name, axis=axis)
        assert q.axis == axis % 3
        assert q.scales.shape[q.axis] == -(-x.shape[axis] // size)
        assert np.array_equal(np.moveaxis(q.codes, axis, -1), expected.codes)
        assert np.array_equal(np.moveaxis(q.scales, axis, -1), expected.scales)
        assert np.array_equal(np.moveaxis(q.dequantize(), axis, -1), expected.dequantize())
    # A block never straddles rows, and the last one stands alone.
    alone = formats.quantize(x[3, 2, size * (42 // size) :], name, scale=q.tensor_scale if name == "nvfp4" else None)
    last = formats.quantize(x, name)
    assert np.array_equal(last.codes[3, 2, size * (42 // size) :], alone.codes)


def test_quantization_tensor_scale() -> None:
    x = samples(8, 2, 32)[:2]
    q = formats.quantize(x, "nvfp4", scale=np.float32(0.25))
    assert q.tensor_scale == 0.25
    plain = formats.quantize(x * 4, "nvfp4", scale=1.0)
    assert np.array_equal(q.codes, plain.codes)
    assert np.array_equal(q.scales, plain.scales)
    # The tensor's scale is the smallest float32 in place of zero; of that, 2**-149 / 6 is 0.171875 in E4M3.
    tiny = formats.quantize([2.0**-149], "nvfp4")
    assert (tiny.tensor_scale, tiny.dequantize().tolist()) == (2.0**-149, [6 * 0.171875 * 2.0**-149])
    # Division, not multiplication by a reciprocal, which is wrong for 4.8 % of tie-aligned data (arch-com issue 905).
    tied = np.array([[6.0, 0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0] * 2]) * 448 * 3
    assert formats.quantize(tied, "nvfp4", scale=3.0).dequantize().tolist() == [
        [8064, 0, 1344, 1344, 2688, 2688, 5376, 5376] * 2
    ]


def test_quantization_nv_ties(oracle: Callable[..., Any]) -> None:
    # Largest magnitudes in the middle of two scales, which a reciprocal of the tensor's scale would miss.
    scale = block_spec("nvfp4").scale
    assert isinstance(scale, FloatSpec)
    middles = oracle(scale).midpoints[: scale.max_magnitude_code]
    even = [code + code % 2 for code in range(middles.size)]
    compared = 0
    for tensor in range(1, 200, 2):
        x = np.zeros((middles.size, 16))
        x[:, 3] = middles * 6 * tensor
        assert formats.quantize(x, "nvfp4", scale=tensor).scales[:, 0].tolist() == even
        compared += middles.size
    assert compared == 100 * 126


def test_quantization_nv_element_ties(oracle: Callable[..., Any]) -> None:
    # Elements in the middle of two others, which a reciprocal of the block's scale would miss.
    grid = oracle(block_spec("nvfp4").scale).grid[1:-1]
    compared = 0
    for tensor in range(1, 200, 2):
        x = np.outer(grid * tensor, [6.0, 0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0])
        q = formats.quantize(x, "nvfp4", scale=tensor)
        assert q.scales[:, 0].tolist() == list(range(1, 127))
        assert (q.codes == [7, 0, 2, 2, 4, 4, 6, 6]).all()
        compared += x.size
    assert compared == 100 * 126 * 8


@pytest.mark.parametrize(
    "name", ["int8", "int4_narrow", "uint8", "fixed8_4", "float8_e4m3fn", "float4_e2m1fn", "float16"]
)
def test_quantization_scalar(name: str, oracle: Callable[..., Any]) -> None:
    spec = formats.named(name)
    assert isinstance(spec, FloatSpec | IntegerSpec)
    x = samples(9, 4, 30)
    x = np.abs(x) if name == "uint8" else x
    q = formats.quantize(x, name)
    assert (q.codes.shape, q.scales.shape, q.scales.dtype.name, q.axis) == ((24, 30), (24, 1), "float32", 1)
    compared = 0
    for row in range(24):
        largest = Fraction(float(np.abs(x[row]).max()))
        scale = max(nearest_float32(largest / Fraction(spec.max_value)), 2.0**-149)
        assert float(q.scales[row, 0]) == scale
        for value, code, back in zip(x[row].tolist(), q.codes[row].tolist(), q.dequantize()[row].tolist(), strict=True):
            quotient = Fraction(value) / Fraction(scale)
            if isinstance(spec, FloatSpec):
                expected = oracle(spec).nearest_even(quotient)
                if expected == 0 and math.copysign(1, value) < 0:
                    expected = 1 << (spec.bits - 1)
            else:
                integer = round(quotient * Fraction(2) ** spec.fraction_bits)
                expected = min(max(integer, spec.min_int), spec.max_int) % (1 << spec.bits)
            assert code == expected, (row, value)
            assert Fraction(back) == Fraction(float(spec.decode(np.array(code)))) * Fraction(scale)
            compared += 1
    assert compared == 24 * 30


def test_quantization_scalar_axis() -> None:
    x = samples(10, 2, 30)
    whole = formats.quantize(x, "int8", axis=None)
    assert (whole.scales.shape, whole.axis) == ((), None)
    assert float(whole.scales) == nearest_float32(Fraction(float(np.abs(x).max())) / 127)
    columns = formats.quantize(x, "int8", axis=0)
    turned = formats.quantize(x.T, "int8", axis=1)
    assert (columns.scales.shape, columns.axis) == ((1, 30), 0)
    assert np.array_equal(columns.codes, turned.codes.T)
    assert np.array_equal(columns.dequantize(), turned.dequantize().T)
    fixed = formats.quantize([[1.0, 2.0], [3.0, -400.0]], formats.named("int8"), scale=[[0.5], [2.0]])
    assert fixed.codes.tolist() == [[2, 4], [2, 128]]
    assert fixed.dequantize().tolist() == [[1.0, 2.0], [4.0, -256.0]]
    assert formats.quantize([3.0], "int8", scale=2.0, rounding="toward_zero").codes.tolist() == [1]
    assert formats.quantize([1.0, 0.0], "int8").scales.tolist() == [float(np.float32(1 / 127))]
    assert formats.quantize([0.0, 0.0], "int8").scales.tolist() == [1.0]
    assert formats.quantize(np.zeros((2, 0)), "int8").dequantize().shape == (2, 0)
    assert formats.quantize(2.5, "int8", axis=None).dequantize() == float(np.float32(2.5 / 127)) * 127
    assert formats.quantize(np.ones(4, ml_dtypes.bfloat16), "float8_e4m3fn").codes.tolist() == [0x7E] * 4
    assert formats.quantize([1, 2, 3], "int1", scale=1.0).codes.tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        (([1j], "int8"), TypeError, "x must be an array of real numbers that fit float64, not complex128"),
        (([1.0], 8), TypeError, "fmt must be a format or its name, not 8"),
        (([1.0], "int8", 1.0), TypeError, "axis must be an int or None, not 1.0"),
        (([1.0], "int8", True), TypeError, "axis must be an int or None, not True"),
        (([1.0], "int8", np.bool_(True)), TypeError, "axis must be an int or None, not np.True_"),
        (
            (1.0, "int8"),
            ValueError,
            "x must have at least one dimension for axis -1, not none",
        ),
        (([1.0], "int8", 1), ValueError, "axis must be in -1..0 for an array of 1 dimensions, not 1"),
        (([1.0], "mxfp4", None), ValueError, "axis must be an int for the block format mxfp4, not None"),
        (
            ([1.0, math.inf], "int8"),
            ValueError,
            "x must be finite to be quantized to int8, which has one scale for many elements",
        ),
        (([1.0], "int1"), ValueError, "scale must be given for int1, whose largest value is 0.0"),
        (([1e300], "int8"), ValueError, "scale must be positive and finite in float32, not inf"),
    ],
)
def test_quantization_arguments_wrong(arguments: tuple[Any, ...], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(text)}$"):
        formats.quantize(*arguments)


@pytest.mark.parametrize(
    ("fmt", "scale", "error", "text"),
    [
        ("int8", 0.0, ValueError, "scale must be positive and finite in float32, not 0.0"),
        ("int8", [1.0, math.nan], ValueError, "scale must be positive and finite in float32, not nan"),
        ("int8", 1e39, ValueError, "scale must be positive and finite in float32, not 1e+39"),
        ("int8", "1", TypeError, "scale must be real, not <U1"),
        ("int8", [[1.0], [2.0]], ValueError, "scale must broadcast to the shape (2,) of x, not (2, 1)"),
        ("int8", [1.0, 2.0, 3.0], ValueError, "scale must broadcast to the shape (2,) of x, not (3,)"),
        ("mxfp4", 1.0, ValueError, "scale must be None for mxfp4, which has no scale of the tensor"),
        ("nvfp4", [1.0], ValueError, "scale must be one number for nvfp4, not an array of shape (1,)"),
    ],
)
def test_quantization_scale_wrong(fmt: str, scale: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(text)}$"):
        formats.quantize([1.0, 2.0], fmt, scale=scale)


def test_quantization_axis_numpy() -> None:
    x = samples(23, 4, 64)
    for axis in (np.int64(1), np.uint8(0), np.int32(-1)):
        for fmt in ("mxfp4", "int8"):
            ours, plain = formats.quantize(x, fmt, axis), formats.quantize(x, fmt, int(axis))
            assert type(ours.axis) is int
            assert ours.axis == plain.axis
            assert np.array_equal(ours.codes, plain.codes)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("name", "whose", "end"),
    [
        ("nvfp4", "tensor", 448 * 6),
        ("nvint4", "tensor", 448 * 7),
        ("nvfp4_mse", "tensor", 448 * 6),
        ("bitmod_fp4_g128", "channel", 127 * 6),  # the smallest maximum of its codebooks
    ],
)
def test_quantization_bug_outer_scale_infinite(name: str, whose: str, end: int) -> None:
    # A finite float64 whose float32 scale is infinite made the whole tensor NaN.
    top = end * float(np.finfo(np.float32).max)
    text = f"x must be at most about {top:.3g} in magnitude for {name}, whose scale of the {whose} is a float32, not "
    for value in (1e50, -1e300, top * 1.01):
        with pytest.raises(ValueError, match=f"^{re.escape(text + f'{abs(value):.3g}')}$"):
            formats.quantize(np.r_[np.full(64, value), np.ones(64)], name)
    back = formats.quantize(np.r_[np.full(64, top * 0.99), np.ones(64)], name).dequantize()
    assert np.abs(back[:64] / top - 0.99).max() < 0.13
    assert np.isfinite(back).all()


@pytest.mark.filterwarnings("error")
def test_quantization_bug_two_level_beyond_float32() -> None:
    text = "x must be finite in float32 for nvfp4_two_level, whose operations are float32's, not 1e+39"
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        formats.quantize(np.r_[np.full(64, 1e39), np.ones(64)], "nvfp4_two_level")
    back = formats.quantize(np.r_[np.full(64, 1e38), np.full(16, np.inf)], "nvfp4_two_level").dequantize()
    assert np.isfinite(back).tolist() == [True] * 64 + [False] * 16


@pytest.mark.filterwarnings("error")
def test_quantization_bug_range_beyond_float64() -> None:
    # The width of the range overflowed, which made a finite block NaN; its float16 scale saturates at 65504.
    back = formats.quantize([1.7e308, -1.7e308, 1.0], "uint4_g32").dequantize()
    assert back.tolist() == [0.0, -15.0 * 65504, 0.0]


def test_quantization_format_wrong() -> None:
    with pytest.raises(KeyError, match=r"unknown format 'int': did you mean "):
        formats.quantize([1.0], "int")
    with pytest.raises(ValueError, match=r"^rounding must be one of .*, not 'nearest'$"):
        formats.quantize([1.0], "int8", rounding="nearest")
