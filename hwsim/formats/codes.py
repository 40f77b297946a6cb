# SPDX-License-Identifier: Apache-2.0
"""What every format shares: the unpacked form of a code, and the checks at the public edge."""

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "NAN",
    "NEGATIVE_INFINITY",
    "POSITIVE_INFINITY",
    "ScalarFormat",
    "Unpacked",
    "check_bool",
    "check_codes",
    "check_int",
    "check_values",
    "code_dtype",
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


class ScalarFormat(Protocol):
    """What the checks below need of a format."""

    @property
    def bits(self) -> int: ...

    @property
    def name(self) -> str: ...


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


def check_codes(spec: ScalarFormat, codes: ArrayLike) -> NDArray[np.unsignedinteger]:
    """Return codes as an unsigned array of the format's dtype, or raise."""
    array = np.asarray(codes)
    if array.dtype.kind not in "ui":
        raise TypeError(f"codes of {spec.name} must be integers, not {array.dtype}")
    if array.size and (array.min() < 0 or int(array.max()) >> spec.bits):
        bad = int(array.min()) if array.min() < 0 else int(array.max())
        raise ValueError(f"codes of {spec.name} must be in 0..2**{spec.bits} - 1, not {bad}")
    return array.astype(code_dtype(spec.bits))


def check_values(spec: ScalarFormat, values: ArrayLike, *, allow_nan: bool) -> NDArray[np.float64]:
    """Return values as a contiguous float64 array, or raise."""
    array = np.asarray(values)
    if array.dtype.kind not in "fiub" and not np.can_cast(array.dtype, np.float64):
        raise TypeError(f"values to encode as {spec.name} must be real numbers, not {array.dtype}")
    if array.dtype.kind in "iu" and array.dtype.itemsize == 8 and array.size and np.abs(array).max() > 1 << 53:
        raise ValueError(f"integer values to encode as {spec.name} must be within 2**53, not {array.max()}")
    with np.errstate(invalid="ignore"):  # a signalling NaN is a NaN
        wide = np.ascontiguousarray(array, dtype=np.float64).reshape(array.shape)
    if not allow_nan and np.isnan(wide).any():
        where = tuple(int(i) for i in np.argwhere(np.isnan(wide))[0])
        raise ValueError(f"values to encode as {spec.name}, which has no NaN, must not be NaN, as the one at {where} is")
    return wide
