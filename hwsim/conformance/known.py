# SPDX-License-Identifier: Apache-2.0
"""Where references are known to differ from the formats' definitions, and what they give there.

Seen in ml_dtypes 0.6.0, torch 2.13, onnx 1.23, ONNX Runtime 1.31, gfloat 0.5.2, APyTypes 0.5.1 and bitsandbytes 0.50; a
version that has been mended differs nowhere, and then nothing is counted here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.conformance.reference import Encoding, Values
from hwsim.formats import FloatSpec, IntegerSpec

__all__ = [
    "KNOWN",
    "Known",
    "same",
]

Ours = Callable[[Values], NDArray[np.float64]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A difference with a reason.

    references : tuple of str
    applies : callable
        Tells for which formats, and under which rules.
    result : callable
        Takes the format, the encoding, the values and our encode-and-decode; returns what the reference gives. A
        difference counts as known only where the reference gives exactly that.
    reason : str
    """

    references: tuple[str, ...]
    applies: Callable[[Any, Encoding], bool]
    result: Callable[[Any, Encoding, Values, Ours], NDArray[np.float64]]
    reason: str


def same(ours: NDArray[Any], theirs: NDArray[Any]) -> NDArray[np.bool_]:
    """Tell where two arrays of values are equal, NaNs alike, and zeros of the same sign."""
    equal = (ours == theirs) & (np.signbit(ours) == np.signbit(theirs))
    return np.asarray(equal | (np.isnan(ours) & np.isnan(theirs)))


def _is_scale(spec: Any, _: Encoding) -> bool:
    return bool(spec.name == "float8_e8m0fnu")


def _single(values: Values) -> NDArray[np.float32]:
    with np.errstate(over="ignore", under="ignore"):
        return values.astype(np.float32)


def _rounded_twice(_: Any, __: Encoding, values: Values, ours: Ours) -> NDArray[np.float64]:
    return ours(_single(values))


def _scale_up(_: Any, __: Encoding, values: Values, ours: Ours) -> NDArray[np.float64]:
    """Round a float32 subnormal up: it has no hidden bit, and these casts take its top bit for the one to round by."""
    single = _single(values)
    return np.where((single > 2.0**-127) & (single < 1.5 * 2.0**-127), 2.0**-126, ours(single))


def _scale_without_sign(spec: Any, encoding: Encoding, values: Values, ours: Ours) -> NDArray[np.float64]:
    single = np.abs(_single(values))
    return np.where(single == 0, 2.0**-127, _scale_up(spec, encoding, single, ours))


def _scale_onnx(spec: Any, encoding: Encoding, values: Values, ours: Ours) -> NDArray[np.float64]:
    size = np.abs(_single(values))
    found = ours(size)
    if encoding.rounding == "nearest_even":
        found = _scale_up(spec, encoding, size, ours)
    elif encoding.rounding == "up":
        found = np.where((size > 0) & (size < 2.0**-126), 2.0**-126, found)
    return np.where(np.isinf(size), np.nan, found)


def _int32_overflow(spec: Any, _: Encoding, values: Values, ours: Ours) -> NDArray[np.float64]:
    return np.where(values >= 2.0**31, spec.min_value, ours(values))


def _runtime_e4m3(_: Any, __: Encoding, values: Values, ours: Ours) -> NDArray[np.float64]:
    size = np.abs(values)
    return np.where((size >= 480) & (size < 496), np.copysign(448.0, values), ours(values))


def _runtime_e5m2(_: Any, __: Encoding, values: Values, ours: Ours) -> NDArray[np.float64]:
    size = np.abs(values)
    return np.where((size >= 61440) & (size < 65536), np.nan, ours(values))


def _gfloat_scale(_: Any, encoding: Encoding, values: Values, ours: Ours) -> NDArray[np.float64]:
    wide = values.astype(np.float64)
    fraction, exponent = np.frexp(wide)
    if encoding.rounding == "nearest_even":  # to the even code, as P3109 has it for formats without mantissa
        fraction = np.where((fraction == 0.75) & (exponent % 2 == 0), np.nextafter(fraction, 0), fraction)
    below = (wide < 2.0**-127) & (wide > 0)  # no member of the format then
    found = ours(np.where(below, fraction, np.ldexp(fraction, exponent)))
    found = np.where(below, np.ldexp(found, np.where(below, exponent, 0)), found)
    return np.where(wide == 0, 0.0, found)


def _lost_carry(spec: Any, _: Encoding, values: Values, ours: Ours) -> NDArray[np.float64]:
    smallest = 2.0**spec.exp_low
    found = ours(values)
    carried = (np.abs(values) < smallest) & (np.abs(found) == smallest)
    return np.where(carried, np.copysign(0.0, found), found)


def _single_middles(spec: Any, _: Encoding, values: Values, __: Ours) -> NDArray[np.float64]:
    levels = np.unique(spec.decode(np.arange(1 << spec.bits))).astype(np.float32) + np.float32(0)  # one zero, positive
    middles = (levels[1:] + levels[:-1]) / np.float32(2)
    return np.asarray(levels.astype(np.float64)[np.searchsorted(middles, values)])


KNOWN: tuple[Known, ...] = (
    Known(
        references=("ml_dtypes", "torch"),
        applies=lambda spec, _: isinstance(spec, FloatSpec),
        result=_rounded_twice,
        reason="a float64 is rounded to float32 first, and then again",
    ),
    Known(
        references=("ml_dtypes",),
        applies=_is_scale,
        result=_scale_up,
        reason="just above 2**-127, a float32 subnormal, E8M0 goes up to 2**-126",
    ),
    Known(
        references=("torch",),
        applies=_is_scale,
        result=_scale_without_sign,
        reason="E8M0 of a negative value is that of its magnitude, that of 0 is 2**-127, and just above that it is "
        "2**-126",
    ),
    Known(
        references=("onnx.reference",),
        applies=_is_scale,
        result=_scale_onnx,
        reason="E8M0 of a negative value is that of its magnitude, that of infinity is NaN though it saturates, and "
        "float32 subnormals go up",
    ),
    Known(
        references=("onnx.reference",),
        applies=lambda spec, _: isinstance(spec, IntegerSpec),
        result=_int32_overflow,
        reason="QuantizeLinear goes through int32, and values from 2**31 up become the smallest",
    ),
    Known(
        references=("onnxruntime",),
        applies=lambda spec, encoding: spec.name == "float8_e4m3fn" and encoding.overflow == "infinity",
        result=_runtime_e4m3,
        reason="without saturation, 480 to 496 become 448, though 464 to 480 become NaN",
    ),
    Known(
        references=("onnxruntime",),
        applies=lambda spec, encoding: spec.name == "float8_e5m2" and encoding.overflow == "infinity",
        result=_runtime_e5m2,
        reason="without saturation, 61440 to 65536 become NaN, though larger ones become infinity",
    ),
    Known(
        references=("gfloat",),
        applies=lambda spec, _: isinstance(spec, FloatSpec) and not spec.subnormals,
        result=_gfloat_scale,
        reason="E8M0 ties go to the even code, not up (IEEE 754-2019, 4.3.1), and below 2**-127 the result is no "
        "member of the format (issue 62)",
    ),
    Known(
        references=("apytypes",),
        applies=lambda spec, _: isinstance(spec, FloatSpec),
        result=_lost_carry,
        reason="a subnormal that rounds up to the smallest normal value becomes zero",
    ),
    Known(
        references=("bitsandbytes",),
        applies=lambda spec, _: spec.name in ("nf4", "bnb_fp4"),
        result=_single_middles,
        reason="on the CPU the boundaries are middles rounded to float32, those of FP4 not the decision points of its "
        "CUDA kernel, and there is one zero",
    ),
)
