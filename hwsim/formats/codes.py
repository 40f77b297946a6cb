# SPDX-License-Identifier: Apache-2.0
"""What every format shares: the unpacked form of a code, and the checks at the public edge."""

from operator import index
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "NAN",
    "NEGATIVE_INFINITY",
    "POSITIVE_INFINITY",
    "FloatFields",
    "ScalarFormat",
    "Unpacked",
    "check_axis",
    "check_bool",
    "check_codes",
    "check_int",
    "check_values",
    "code_dtype",
    "float_bits",
]

POSITIVE_INFINITY = 1
NEGATIVE_INFINITY = 2
NAN = 3  # both bits: so OR-ing the specials of all addends gives the special of their sum


class Unpacked(NamedTuple):
    """Codes after the decode stage: ``value = significand * 2**exponent`` where `special` is 0.

    significand is signed (the sign of a zero is lost; no unit keeps it), exponent is that of the significand's unit,
    special is `POSITIVE_INFINITY`, `NEGATIVE_INFINITY`, `NAN` or 0, and then significand is 0.
    """

    significand: NDArray[np.int64]
    exponent: NDArray[np.int64]
    special: NDArray[np.uint8]


class FloatFields(NamedTuple):
    """Stored mantissa bits of float32 or float64, and the exponent of its smallest normal value."""

    man_bits: int
    exp_low: int


class ScalarFormat(Protocol):
    """What the checks below need of a format."""

    @property
    def bits(self) -> int:
        """Width of a code."""

    @property
    def name(self) -> str:
        """The catalog's name."""


def code_dtype(bits: int) -> type[np.unsignedinteger]:
    """Return the smallest unsigned dtype that holds `bits` bits, 1 to 64."""
    for dtype in (np.uint8, np.uint16, np.uint32):
        if bits <= np.dtype(dtype).itemsize * 8:
            return dtype
    return np.uint64


def check_int(name: str, value: object, low: int, high: int) -> None:
    """Raise unless value is a plain int in [low, high]."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int, not {value!r}")
    if not low <= value <= high:
        raise ValueError(f"{name} must be in {low}..{high}, not {value!r}")


def check_bool(name: str, value: object) -> None:
    """Raise unless value is a bool."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be a bool, not {value!r}")


def check_axis(axis: object, ndim: int, kinds: str = "an int") -> int:
    """Return an axis (a NumPy integer too) counted from the front, or raise; `kinds` is what the error says of it."""
    try:
        if isinstance(axis, bool):
            raise TypeError
        place = index(axis)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"axis must be {kinds}, not {axis!r}") from None
    if ndim == 0:
        raise ValueError(f"x must have at least one dimension for axis {place}, not none")
    if not -ndim <= place < ndim:
        raise ValueError(f"axis must be in {-ndim}..{ndim - 1} for an array of {ndim} dimensions, not {place}")
    return place % ndim


def check_codes(spec: ScalarFormat, codes: ArrayLike) -> NDArray[np.unsignedinteger]:
    """Return codes as an array of the format's dtype (the one given, where it is of that dtype), or raise."""
    array = np.asarray(codes)
    if array.dtype.kind not in "ui":
        raise TypeError(f"codes of {spec.name} must be integers, not {array.dtype}")
    dtype = code_dtype(spec.bits)
    if array.size and (array.dtype != dtype or array.dtype.itemsize * 8 > spec.bits):
        low, high = int(array.min()), int(array.max())
        if low < 0 or high >> spec.bits:
            raise ValueError(f"codes of {spec.name} must be in 0..2**{spec.bits} - 1, not {low if low < 0 else high}")
    return array.astype(dtype, copy=False)


def check_values(
    spec: ScalarFormat, values: ArrayLike, *, allow_nan: bool, single: bool
) -> NDArray[np.float32] | NDArray[np.float64]:
    """Return values as a contiguous float64 array, or float32 if they fit that and `single` is set, or raise."""
    array: NDArray[Any] = np.asarray(values)
    if not np.can_cast(array.dtype, np.float64):
        raise TypeError(f"values to encode as {spec.name} must be real numbers that fit float64, not {array.dtype}")
    if array.dtype.kind in "iu" and array.dtype.itemsize == 8 and array.size:
        worst = max(int(array.min()), int(array.max()), key=abs)
        if abs(worst) > 1 << 53:
            raise ValueError(f"integer values to encode as {spec.name} must be within 2**53, not {worst}")
    dtype = np.float32 if single and np.can_cast(array.dtype, np.float32) else np.float64
    with np.errstate(invalid="ignore"):  # a signalling NaN is a NaN
        wide: NDArray[Any] = np.ascontiguousarray(array, dtype=dtype).reshape(array.shape)
        bad = not allow_nan and wide.size > 0 and bool(np.isnan(wide.min()))  # quicker than isnan of all
    if bad:
        where = tuple(int(i) for i in np.argwhere(np.isnan(wide))[0])
        raise ValueError(f"values to encode as {spec.name}, which has no NaN, must not be NaN, as that at {where} is")
    return wide


def float_bits(values: NDArray[np.float32] | NDArray[np.float64]) -> tuple[NDArray[np.signedinteger], FloatFields]:
    """Return the bits of contiguous floats as a flat array of signed integers, and where their fields are."""
    if values.dtype == np.float32:
        return values.reshape(-1).view(np.int32), FloatFields(man_bits=23, exp_low=-126)
    return values.reshape(-1).view(np.int64), FloatFields(man_bits=52, exp_low=-1022)
