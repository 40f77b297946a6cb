# SPDX-License-Identifier: Apache-2.0
"""ONNX Cast, between every pair of element types, by the formats of `hwsim.formats`.

Source: ONNX operator Cast-28 (its tables), and where that is silent the pages "Float stored in 6 bits", "Float stored
in 4 bits", "4 bit integer types" and "2 bit integer types" of onnx.ai/onnx/technical (onnx 1.23).
"""

import re
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from hwsim.formats import FloatSpec, IntegerSpec, Overflow, Rounding
from hwsim.network.element_types import ElementType, element_type_of

__all__ = [
    "ROUND_MODES",
    "cast",
    "round_values",
]

Array = npt.NDArray[Any]

# Cast-24, attribute round_mode, for FLOAT8E8M0 alone: "nearest" takes ties up, and all its values are positive.
ROUND_MODES = {"up": Rounding.UP, "down": Rounding.DOWN, "nearest": Rounding.NEAREST_AWAY}
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_LITERALS = {"inf": np.inf, "+inf": np.inf, "-inf": -np.inf, "nan": np.nan}


def cast(array: Array, target: ElementType, *, saturate: bool = True, round_mode: str = "up", opset: int = 28) -> Array:
    """Convert an array to another element type.

    Parameters
    ----------
    array : ndarray of any ONNX element type, any shape
    target : ElementType
    saturate : bool
        What is too large for a float of 8 bits becomes its largest value; else infinity, or NaN where it has none.
    round_mode : str
        ``"up"``, ``"down"`` or ``"nearest"`` (ties up), for FLOAT8E8M0 only. All other floats round to nearest even.
    opset : int
        Before 24, a saturated infinity was NaN in the FNUZ types.

    Returns
    -------
    ndarray of ``target.dtype``, same shape
        Integers of 8 bits and more are rounded toward zero, narrower ones to nearest even, as ONNX's pages on them say;
        then the low bits are kept, of integers too. A NaN keeps its sign where the type has two, and becomes the
        largest value of a type without NaN. FLOAT6 types get no negative zero.

    Raises
    ------
    ValueError
        Where the standard leaves the result undefined and no code is at hand: NaN or infinity to an integer, a string
        that is no number; if round_mode is not one of the three.
    """
    if round_mode not in ROUND_MODES:
        raise ValueError(f"round_mode must be one of {', '.join(ROUND_MODES)}, not {round_mode!r}")
    source = element_type_of(array)
    if source == target:
        return array
    if target.name == "STRING":
        return _strings(array, source)
    if source.name == "STRING":
        values: Array = _parsed(array)
    elif isinstance(source.spec, FloatSpec):
        values = source.values(array)
    else:
        values = source.integers(array)
    if target.name == "BOOL":
        return np.asarray(values != 0)
    if isinstance(target.spec, IntegerSpec):
        return _integers(values, target, target.spec)
    if values.dtype.kind in "iu":
        values = _odd_floats(values, target)
    elif opset < 24 and saturate and target.name.endswith("FNUZ"):
        values = np.where(np.isinf(values), np.copysign(np.nan, values), values)
    return round_values(values, target, saturate=saturate, round_mode=round_mode)


def round_values(values: Array, target: ElementType, *, saturate: bool = True, round_mode: str = "up") -> Array:
    """Round float32 or float64 values to a float type, by the rules of `cast`.

    Parameters
    ----------
    values : ndarray of float32 or float64, any shape
    target : ElementType
        A float type.
    saturate, round_mode
        As for `cast`.

    Returns
    -------
    ndarray of ``target.dtype``, same shape
    """
    spec = target.float_spec
    if target.name == "FLOAT8E8M0":
        return target.array(_power_of_two_codes(values, spec, saturate, ROUND_MODES[round_mode]))
    nan = np.isnan(values)
    if not spec.has_nan:
        values = np.where(nan, values.dtype.type(spec.max_value), values)
    eight = target.name.startswith("FLOAT8")
    rule = Overflow.SATURATE if (saturate and eight) or not spec.has_nan else Overflow.INFINITY
    codes = np.asarray(spec.encode(values, Rounding.NEAREST_EVEN, rule))
    sign = codes.dtype.type(1 << (spec.bits - 1))
    if spec.has_nan and spec.nan_code != sign:
        negative = np.isnan(spec.decode(codes)) & np.signbit(values)
        codes = np.where(negative, codes | sign, codes)
    if target.name.startswith("FLOAT6"):
        codes = np.where(codes == sign, codes.dtype.type(0), codes)
    return target.array(codes)


def _power_of_two_codes(
    values: Array, spec: FloatSpec, saturate: bool, rounding: Rounding
) -> npt.NDArray[np.unsignedinteger]:
    """Return codes of FLOAT8E8M0; where nothing saturates, what lies outside its range is NaN before any rounding."""
    if not saturate:
        values = np.where((values < spec.min_value) | (values > spec.max_value), values.dtype.type(np.nan), values)
    return np.asarray(spec.encode(values, rounding, Overflow.SATURATE if saturate else Overflow.INFINITY))


def _integers(values: Array, target: ElementType, spec: IntegerSpec) -> Array:
    """Return integers' low bits; floats are rounded before, as the width of the target says."""
    if values.dtype.kind in "iu":
        wide = values.view(np.uint64)
        return target.array(wide & np.uint64((1 << spec.bits) - 1))
    wrong = values[~np.isfinite(values)]
    if wrong.size:
        raise ValueError(f"the standard gives {wrong.flat[0]} no value as {target.name}")
    rounding = Rounding.NEAREST_EVEN if spec.bits < 8 else Rounding.TOWARD_ZERO
    return target.array(spec.encode(values, rounding, Overflow.WRAP))


def _odd_floats(values: Array, target: ElementType) -> npt.NDArray[np.float64]:
    """Return integers as float64, rounded to odd where 53 bits do not hold them, so that rounding again is exact."""
    if target.name == "DOUBLE":
        return values.astype(np.float64)
    with np.errstate(over="ignore"):  # the opposite of -2**63 is itself, and right as uint64
        magnitude = np.where(values < 0, np.negative(values.view(np.int64)), values.view(np.int64)).view(np.uint64)
    large = magnitude >> np.uint64(53) != 0
    odd = (magnitude >> np.uint64(11)) | (magnitude & np.uint64(0x7FF) != 0)
    exact = np.where(large, odd, magnitude).astype(np.float64) * np.where(large, 2048.0, 1.0)
    return np.where(values < 0, -exact, exact)


def _parsed(array: Array) -> npt.NDArray[np.float64]:
    """Return the numbers that strings spell, as float64 rounded to odd, so that rounding again is exact."""
    values = np.empty(array.shape, np.float64)
    for index, item in np.ndenumerate(array):
        text = (item.decode() if isinstance(item, bytes) else str(item)).strip()
        literal = _LITERALS.get(text.lower())
        if literal is None and not _NUMBER.fullmatch(text):
            raise ValueError(f"the string {text!r} is no number, and its cast is undefined")
        values[index] = _odd_float(text) if literal is None else literal
    return values


def _odd_float(text: str) -> float:
    """Return a decimal number as the float64 that equals it, or as its neighbour with an odd significand."""
    value = float(text)
    if value == 0 or not np.isfinite(value) or Fraction(value) == Fraction(text):
        return value
    if int(np.float64(value).view(np.int64)) & 1:
        return value
    return float(np.nextafter(value, np.inf if Fraction(text) > Fraction(value) else -np.inf))


def _strings(array: Array, source: ElementType) -> Array:
    """Return plain decimal notation, the shortest that reads back the same; INF, -INF and NaN by these names."""
    out = np.empty(array.shape, object)
    floats = isinstance(source.spec, FloatSpec)
    # NumPy knows the precision of these three, and writes no more digits than it needs; small formats are exact.
    native = array if source.name in ("FLOAT", "DOUBLE", "FLOAT16") else None
    values = (source.values(array) if native is None else native) if floats else source.integers(array)
    for index, value in np.ndenumerate(values):
        if not floats:
            out[index] = str(int(value))
        elif np.isnan(value):
            out[index] = "NaN"
        elif np.isinf(value):
            out[index] = "INF" if value > 0 else "-INF"
        else:
            out[index] = np.format_float_positional(value, trim="0")
    return out
