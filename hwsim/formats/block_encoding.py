# SPDX-License-Identifier: Apache-2.0
"""Encode rows of blocks under given scales, by a fast kernel where it is proved equal, else by division; and decode."""

from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim.formats.block import BlockSpec, Scalar
from hwsim.formats.block_kernels import (
    divide_to_integers,
    encode_float,
    encode_integer,
    multiply_scales,
)
from hwsim.formats.codes import code_dtype
from hwsim.formats.float import FloatSpec
from hwsim.formats.integer import IntegerSpec
from hwsim.formats.rounding import Rounding
from hwsim.formats.threshold_kernels import encode_by_magnitude, encode_by_order

__all__ = [
    "Rounder",
    "Steps",
    "decode_rows",
    "encode_rows",
    "scale_values",
    "value_steps",
]

_CHUNK = 1 << 16  # elements that are divided at a time, so that the quotients stay in the cache
_STEP_BITS = 28
_FLOAT64_BITS = 53
_REACH, _EXCEED = (1 << 29) - 1, 1 << 29  # what is added to a float64's bits to pass by equality, or above only
_BEYOND = 1e200  # a threshold that no float32 reaches, whatever the scale
_ZEROED = 1000  # an exponent that tells a kernel to make a block zero
_SHIFT_RANGE = (3, 400)


class Rounder(NamedTuple):
    """How elements are rounded; `random` has the shape of the rows, where the mode is stochastic."""

    mode: Rounding
    random: NDArray[np.int64] | None = None
    random_bits: int | None = None

    def encode(
        self, element: Scalar, values: NDArray[np.floating], where: tuple[slice, slice]
    ) -> NDArray[np.unsignedinteger]:
        """Return the codes of some rows' and columns' values."""
        if self.random is None:
            return element.encode(values, self.mode)
        return element.encode(values, self.mode, random=self.random[where], random_bits=self.random_bits)


class Steps(NamedTuple):
    """A format of up to 16 values as steps: the code of v is ``codes[number of thresholds passed]``.

    v passes a threshold t if v > t, or v >= t where `reached`. Thresholds ascend; -0.0 stands for the step between the
    negative values and the zeros, and 0.0 for the one behind the negative zero. `bits` is the width of the widest.
    `symmetric`: the codes are sign and magnitude (1) or two's complement (2) with the thresholds of one sign for both.
    """

    thresholds: NDArray[np.float64]
    reached: NDArray[np.bool_]
    codes: NDArray[np.uint8]
    bits: int
    symmetric: int


def _order(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return integers in the order of floats; its own inverse but for the type."""
    raw = values.view(np.int64)
    return raw ^ ((raw >> 63) & np.int64(0x7FFFFFFFFFFFFFFF))


def _in_order(place: int) -> float:
    raw = np.array([place], np.int64)
    return float((raw ^ ((raw >> 63) & np.int64(0x7FFFFFFFFFFFFFFF))).view(np.float64)[0])


def _significant_bits(value: float) -> int:
    numerator = abs(value.as_integer_ratio()[0])
    return (numerator // (numerator & -numerator)).bit_length() if numerator else 0


@lru_cache(maxsize=256)
def value_steps(element: Scalar) -> Steps | None:
    """Return the steps of a format's encode to nearest even, found by bisection over float64; None if too many."""
    if element.bits > 4:
        return None
    values = element.decode(np.arange(1 << element.bits))
    ends = np.array([-1e300, -0.0, 0.0, 1e300])
    places = np.unique(_order(np.concatenate([values[np.isfinite(values)], ends])))

    def code(place: int) -> int:
        return int(element.encode(np.array([_in_order(place)]))[0])

    thresholds, reached, codes = [], [], [code(int(places[0]))]
    for low, high in pairwise(places.tolist()):
        if code(low) == code(high):
            continue
        first, step = low, high
        while step - first > 1:
            middle = (first + step) // 2
            first, step = (middle, step) if code(middle) == code(low) else (first, middle)
        if code(step) != code(high):
            return None
        value, before = _in_order(step), _in_order(first)
        itself = _significant_bits(value) <= _STEP_BITS and abs(value) != 5e-324
        thresholds.append(value if itself else before)
        reached.append(itself)
        codes.append(code(high))
        if not itself and _significant_bits(before) > _STEP_BITS:
            return None
    bits = max(map(_significant_bits, thresholds), default=0)
    found = Steps(np.array(thresholds), np.array(reached, np.bool_), np.array(codes, np.uint8), bits, 0)
    return found._replace(symmetric=_symmetry(found, element.bits))


def _symmetry(steps: Steps, bits: int) -> int:
    positive = np.flatnonzero(steps.thresholds > 0)
    negative = np.flatnonzero(steps.thresholds < 0)[::-1]
    count = positive.size
    mirrored = (
        count == negative.size
        and count <= 7
        and np.array_equal(steps.thresholds[positive], -steps.thresholds[negative])
        and np.array_equal(steps.reached[positive], ~steps.reached[negative])
    )
    codes = steps.codes.tolist()
    upwards = list(range(count + 1))
    if mirrored and codes == [1 << (bits - 1) | code for code in reversed(upwards)] + upwards:
        return 1
    if mirrored and codes == [-code & ((1 << bits) - 1) for code in reversed(upwards)] + upwards[1:]:
        return 2
    return 0


@lru_cache(maxsize=256)
def _magnitude_table(element: Scalar) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return what `encode_by_magnitude` needs of a symmetric format: positive thresholds and their carries."""
    steps = value_steps(element)
    assert steps is not None
    above = steps.thresholds > 0
    carries = np.where(steps.reached[above], _REACH, _EXCEED)
    return _filled(steps.thresholds[above], _BEYOND, 8), _filled(carries, 0, 8)


@lru_cache(maxsize=256)
def _order_table(element: Scalar) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.uint8], tuple[int, int]]:
    """Return what `encode_by_order` needs: thresholds' magnitudes, carries, codes, and (negative ones, zero's code)."""
    steps = value_steps(element)
    assert steps is not None
    negative = np.signbit(steps.thresholds)
    carries = np.where(steps.reached ^ negative, _REACH, _EXCEED)
    zero = int(element.encode(np.zeros(1))[0])
    table = _filled(np.abs(steps.thresholds), _BEYOND, 16), _filled(carries, 0, 16)
    return *table, steps.codes, (int(negative.sum()), zero)


def _filled(values: NDArray[Any], fill: float, size: int) -> NDArray[Any]:
    return np.append(values, np.full(size - values.size, fill, values.dtype))


def scale_values(scale: FloatSpec | IntegerSpec, codes: NDArray[np.unsignedinteger]) -> NDArray[np.float64]:
    """Return the values of scale codes."""
    if scale.name == "float32":
        with np.errstate(invalid="ignore"):
            return codes.view(np.float32).astype(np.float64)
    return scale.decode(codes)


def encode_rows(
    rows: NDArray[np.float32] | NDArray[np.float64],
    spec: BlockSpec,
    element: Scalar,
    scales: NDArray[np.unsignedinteger],
    outer: NDArray[np.float64] | float,
    size: int,
    rounder: Rounder,
    out: NDArray[np.unsignedinteger],
) -> None:
    """Round ``x / (scale * outer)`` to elements.

    Parameters
    ----------
    rows : contiguous ndarray of float32 or float64, shape (rows, length)
    spec, element : BlockSpec, and one of its element formats
    scales : codes, shape (rows, blocks)
    outer : float32 values in float64, broadcastable to the scales; 1.0 for none
    size : elements of a block
    out : codes, the shape of the rows
        Elements under a scale that is zero or no number become that of 0.0.
    """
    if rows.dtype == np.float32 and rounder.mode is Rounding.NEAREST_EVEN:
        raw = rows.view(np.int32)
        if _encode_by_powers(raw, spec, element, scales, outer, size, out):
            return
        factors = np.asarray(scale_values(spec.scale, scales) * outer)
        steps = value_steps(element)
        if rows.shape[1] % size == 0 and out.flags.c_contiguous:  # one long row is quicker
            rows, raw, out = rows.reshape(1, -1), raw.reshape(1, -1), out.reshape(1, -1)
            factors = factors.reshape(1, -1)
        outer_bits = 0 if isinstance(outer, float) and outer == 1.0 else 24
        if steps is not None and steps.bits + spec.scale.sig_bits + outer_bits <= _FLOAT64_BITS:
            if steps.symmetric:
                encode_by_magnitude(
                    raw, factors, size, *_magnitude_table(element), element.bits, steps.symmetric == 2, out
                )
            else:
                encode_by_order(raw, factors, size, *_order_table(element), out)
            return
    else:
        factors = scale_values(spec.scale, scales) * outer
    integer = isinstance(element, IntegerSpec) and element.bits <= 16 and not element.zero_point
    if integer and isinstance(element, IntegerSpec) and rounder.mode is Rounding.NEAREST_EVEN:
        units = factors * 2.0**-element.fraction_bits
        if rows.dtype == np.float32:
            limits = (element.min_int, element.max_int, (1 << element.bits) - 1)
            divide_to_integers(rows, units, np.zeros(units.shape, np.int64), size, limits, out)
            return
    _encode_quotients(rows, element, factors, size, rounder, out)


def _encode_by_powers(
    raw: NDArray[np.int32],
    spec: BlockSpec,
    element: Scalar,
    scales: NDArray[np.unsignedinteger],
    outer: NDArray[np.float64] | float,
    size: int,
    out: NDArray[np.unsignedinteger],
) -> bool:
    """Encode under scales that are powers of two, if the kernels do for them; say whether."""
    scale = spec.scale
    alone = isinstance(outer, float) and outer == 1.0
    if not (alone and isinstance(scale, FloatSpec) and spec.has_power_scale):
        return False
    if not 4 < element.bits <= 16:
        return False
    if isinstance(element, FloatSpec):
        usual = element.signed and element.subnormals and 1 <= element.man_bits <= 14
        if not usual or element.decode(np.array([1 << (element.bits - 1)]))[0] != 0:
            return False
        constant = 127 + element.exp_low - scale.bias
    elif isinstance(element, IntegerSpec) and element.signed and not element.zero_point:
        constant = 150 - element.fraction_bits - scale.bias
    else:
        return False
    if not (-_SHIFT_RANGE[1] <= constant and constant + (1 << scale.exp_bits) <= _SHIFT_RANGE[1] + 300):
        return False
    low = scales.astype(np.int32) + np.int32(constant)
    low[scales > scale.max_magnitude_code] = _ZEROED
    if isinstance(element, FloatSpec):
        encode_float(raw, low, size, element.man_bits, element.max_magnitude_code, element.bits, out)
        return True
    if constant < _SHIFT_RANGE[0]:
        return False
    encode_integer(raw, low, size, (element.max_int, -element.min_int), element.bits, out)
    return True


def _encode_quotients(
    rows: NDArray[np.float32] | NDArray[np.float64],
    element: Scalar,
    factors: NDArray[np.float64],
    size: int,
    rounder: Rounder,
    out: NDArray[np.unsignedinteger],
) -> None:
    """Divide in float64 and encode, some rows and columns at a time."""
    height, length = rows.shape
    columns = min(length, _CHUNK)
    together = max(1, _CHUNK // max(columns, 1))
    usable = np.isfinite(factors) & (factors > 0)
    divisors = np.where(usable, factors, 1.0)
    for left in range(0, length, max(columns, 1)):
        blocks = np.arange(left, min(left + columns, length)) // size
        for top in range(0, height, together):
            where = (slice(top, top + together), slice(left, left + columns))
            quotients = rows[where] / divisors[where[0]][:, blocks]
            good = usable[where[0]][:, blocks]
            if not good.all():
                quotients[~good] = 0.0
            out[where] = rounder.encode(element, quotients, where)


def decode_rows(
    codes: NDArray[np.unsignedinteger],
    elements: tuple[Scalar, ...],
    choices: NDArray[np.unsignedinteger],
    factors: NDArray[np.float64],
    size: int,
    *,
    offset: bool = False,
) -> NDArray[np.float64]:
    """Return element times factor, shape of the codes; `choices` says which of the elements a block has.

    With `offset`, they are the codes of the blocks' zero points instead, whose values are subtracted first.
    """
    if offset and elements[0].bits > 8:
        blocks = np.arange(codes.shape[1]) // size
        zeros = elements[0].decode(choices)[:, blocks]
        return (elements[0].decode(codes) - zeros) * factors[:, blocks]
    if elements[0].bits > 16:
        blocks = np.arange(codes.shape[1]) // size
        return elements[0].decode(codes) * factors[:, blocks]
    every = np.arange(1 << elements[0].bits).astype(code_dtype(elements[0].bits))
    values = np.stack([element.decode(every) for element in elements])
    if offset:
        values = values - values.T
    out = np.empty(codes.shape, np.float64)
    multiply_scales(codes, values, choices, factors, size, out)
    return out
