# SPDX-License-Identifier: Apache-2.0
"""Codes that try a combinational block: all of them, or random ones of every kind that breaks arithmetic, at once."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from testbenches.compiled import to_limbs
from testbenches.stimulus import integer_corners

__all__ = [
    "corner_words",
    "crossed",
    "every",
    "mixed",
]

_Words = NDArray[np.uint64]
_CHUNK = 1 << 18  # rows at a time
_CROSSED = 1 << 16
_KINDS = 8


def every(ports: Mapping[str, int], chunk: int = _CHUNK) -> Iterator[dict[str, _Words]]:
    """Go through all operands of ports that have at most 63 bits together, so many rows at a time."""
    space = sum(ports.values())
    for begin in range(0, 1 << space, chunk):
        word = np.arange(begin, min(begin + chunk, 1 << space), dtype=np.uint64)
        rows = {}
        for name, bits in ports.items():
            rows[name] = word & np.uint64((1 << bits) - 1)
            word = word >> np.uint64(bits)
        yield rows


def corner_words(bits: int, directed: Sequence[int] = ()) -> list[int]:
    """List codes at which arithmetic goes wrong first: around zero, the ends, the middle, checkered, those given."""
    mask = (1 << bits) - 1
    return sorted({code & mask for code in (*integer_corners(bits), 3, mask - 2, *directed)})


def crossed(ports: Mapping[str, int], directed: Mapping[str, Sequence[int]]) -> dict[str, _Words]:
    """Return the corner codes of every port with those of every other, or a part of them where they are too many."""
    corners = [corner_words(bits, directed.get(name, ())) for name, bits in ports.items()]
    rows = list(itertools.islice(itertools.product(*corners), _CROSSED))
    columns = zip(*rows, strict=True)
    return {name: to_limbs(column, bits) for (name, bits), column in zip(ports.items(), columns, strict=True)}


def mixed(
    ports: Mapping[str, int], directed: Mapping[str, Sequence[int]], count: int, generator: np.random.Generator
) -> dict[str, _Words]:
    """
    Return rows in which every port has its own kind of code, drawn for each row.

    The kinds: uniform, corners, small magnitudes of either sign, one bit set or clear, a run of ones, and the code of
    the row before with one bit changed.

    Returns
    -------
    dict of str to ndarray of uint64
        Shape (count,), or (count, limbs) above 64 bits.
    """
    return {name: _codes(bits, directed.get(name, ()), count, generator) for name, bits in ports.items()}


def _codes(bits: int, directed: Sequence[int], count: int, generator: np.random.Generator) -> _Words:
    """Return codes of one port."""
    full = (1 << bits) - 1
    corners = _table(corner_words(bits, directed), bits)
    below = _table([(1 << index) - 1 for index in range(bits + 1)], bits)
    hot = _table([1 << index for index in range(bits)], bits)
    ones = _table([full], bits)
    codes = generator.integers(0, 1 << 64, (count, ones.shape[1]), dtype=np.uint64) & ones
    kind = generator.integers(0, _KINDS, count)
    at = generator.integers(0, 1 << 30, (3, count))
    kinds: tuple[tuple[int, Callable[[NDArray[np.int64]], _Words]], ...] = (
        (1, lambda rows: corners[at[0, rows] % len(corners)]),
        (2, lambda rows: codes[rows] & below[at[0, rows] % len(below)]),
        (3, lambda rows: ~(codes[rows] & below[at[0, rows] % len(below)]) & ones),
        (4, lambda rows: hot[at[0, rows] % bits] ^ np.where(at[1, rows, None] & 1, ones, 0).astype(np.uint64)),
        (5, lambda rows: below[at[0, rows] % len(below)] ^ below[at[1, rows] % len(below)]),
        (6, lambda rows: codes[rows - 1] ^ hot[at[0, rows] % bits]),
    )
    for wanted, make in kinds:
        rows = np.flatnonzero(kind == wanted)
        codes[rows] = make(rows)
    return codes[:, 0] if bits <= 64 else codes


def _table(codes: Sequence[int], bits: int) -> _Words:
    """Return codes as limbs, shape (codes, limbs)."""
    words = to_limbs(codes, bits)
    return words[:, None] if words.ndim == 1 else words
