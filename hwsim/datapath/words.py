# SPDX-License-Identifier: Apache-2.0
"""The random words of stochastic rounding: a function of a seed and of where in a matrix product they are used."""

from typing import Any

import numba
from numba.extending import overload

__all__ = [
    "later_seed",
    "word",
    "word_exact",
]

_WORD = (1 << 64) - 1
_ROW, _COLUMN, _STEP = 0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9
_FIRST, _SECOND = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


def word_exact(seed: int, row: int, column: int, step: int, bits: int) -> int:
    """Return the word of a step of one element of d.

    Parameters
    ----------
    seed : int
        In [0, 2**63).
    row, column : int
        Of d.
    step : int
        Counted from 0 along K.
    bits : int
        1 to 32.

    Returns
    -------
    int
        In [0, 2**bits): the highest bits of a 64-bit hash, so it depends neither on the order of the work nor on the
        number of threads.

    Source
    ------
    The mixing function of SplitMix64: Steele, Lea and Flood, OOPSLA 2014.
    """
    value = (seed + (row + 1) * _ROW + (column + 1) * _COLUMN + (step + 1) * _STEP) & _WORD
    value = ((value ^ (value >> 30)) * _FIRST) & _WORD
    value = ((value ^ (value >> 27)) * _SECOND) & _WORD
    return (value ^ (value >> 31)) >> (64 - bits)


def later_seed(seed: int, steps: int) -> int:
    """Return the seed, as a signed 64-bit integer, with which step 0 has the word that step `steps` has with `seed`."""
    return _signed((seed + steps * _STEP) & _WORD)


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


_ROW_64, _COLUMN_64, _STEP_64 = _signed(_ROW), _signed(_COLUMN), _signed(_STEP)
_FIRST_64, _SECOND_64 = _signed(_FIRST), _signed(_SECOND)


def _wrapped(value: int) -> int:
    """Return a sum or product of signed 64-bit integers modulo 2**64, as kernels have it by themselves."""
    return _signed(value & _WORD)


@overload(_wrapped, strict=False)
def _wrapped_in_kernels(value: Any) -> Any:
    del value
    return lambda value: value


@numba.njit(cache=True)
def word(seed: int, row: int, column: int, step: int, bits: int) -> int:
    """Return `word_exact` in int64 arithmetic, whose overflow wraps; unchecked."""
    value = _wrapped(int(seed) + (int(row) + 1) * _ROW_64 + (int(column) + 1) * _COLUMN_64 + (int(step) + 1) * _STEP_64)
    value = _wrapped((value ^ ((value >> 30) & 0x3FFFFFFFF)) * _FIRST_64)
    value = _wrapped((value ^ ((value >> 27) & 0x1FFFFFFFFF)) * _SECOND_64)
    value = value ^ ((value >> 31) & 0x1FFFFFFFF)
    return (value >> (64 - bits)) & ((1 << bits) - 1)
