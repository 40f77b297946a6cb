# SPDX-License-Identifier: Apache-2.0
"""Codes as the words at the ports of a unit's core, for whole arrays of rows at once."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hwsim.datapath import DotProductUnit
from hwsim.datapath.accumulate import operand_exact
from hwsim.datapath.unit import FixedAccumulator

__all__ = [
    "row_ports",
]

_Words = NDArray[np.uint64]


def row_ports(
    unit: DotProductUnit,
    a: NDArray[np.integer],
    b: NDArray[np.integer],
    scales: NDArray[np.integer] | None = None,
    c: Sequence[int] | None = None,
) -> dict[str, _Words]:
    """Pack rows into the words of a core's ports.

    Parameters
    ----------
    unit : DotProductUnit
    a, b : ndarray of integers, shape (rows, width)
        Codes, with the bits that the unit ignores; a with its zeros where it is sparse.
    scales : ndarray of integers, shape (rows, len(unit.scales)), optional
        Codes, a's before b's.
    c : sequence of int, optional
        A code of the register a row; 0 if not given.

    Returns
    -------
    dict of str to ndarray of uint64
        ``a``, ``b``, ``c``, and ``index``, ``scale_a``, ``scale_b`` where the unit has them: shape (rows,), or (rows,
        limbs), the low one first, above 64 bits.

    Raises
    ------
    ValueError
        If a has more numbers in a group of neighbours than a sparse unit keeps.
    """
    ports = {}
    bits_a, bits_b = unit.element_a.bits + unit.ignored_bits, unit.element_b.bits + unit.ignored_bits
    if unit.sparsity is not None:
        a, places = _kept(unit, a)
        ports["index"] = _packed(places, (unit.sparsity.of - 1).bit_length())
    ports["a"], ports["b"] = _packed(a, bits_a), _packed(b, bits_b)
    begin = 0
    for name, spec, count in zip("ab", (unit.scale_a, unit.scale_b), unit.scale_counts, strict=True):
        if spec is not None:
            assert scales is not None
            ports[f"scale_{name}"] = _packed(scales[:, begin : begin + count], spec.bits)
            begin += count
    register = unit.register
    bits = register.bits if isinstance(register, FixedAccumulator) else register.format.bits
    limbs = -(-bits // 64)
    nothing = np.zeros((len(a), limbs) if limbs > 1 else len(a), np.uint64)
    ports["c"] = nothing if c is None else _limbs(c, bits)
    return ports


def _packed(codes: NDArray[np.integer], bits: int) -> _Words:
    """Put the codes of each row beside one another, the first at bit 0."""
    rows, count = codes.shape
    words = np.zeros((rows, -(-count * bits // 64)), dtype=np.uint64)
    codes = codes.astype(np.uint64)
    for index in range(count):
        limb, shift = divmod(index * bits, 64)
        words[:, limb] |= codes[:, index] << np.uint64(shift)
        if shift + bits > 64:
            words[:, limb + 1] |= codes[:, index] >> np.uint64(64 - shift)
    return words if words.shape[1] > 1 else words[:, 0]


def _limbs(values: Sequence[int], bits: int) -> _Words:
    """Cut integers into 64-bit limbs."""
    if bits <= 64:
        return np.array(values, dtype=np.uint64)
    mask = (1 << 64) - 1
    return np.array(
        [[value >> (64 * limb) & mask for limb in range(-(-bits // 64))] for value in values], dtype=np.uint64
    )


def _kept(unit: DotProductUnit, a: NDArray[np.integer]) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    """Return the codes that a sparse unit takes, and their places: those that are not zero, then the first others."""
    assert unit.sparsity is not None
    kept, of = unit.sparsity.kept, unit.sparsity.of
    known, inverse = np.unique(a, return_inverse=True)
    terms = [operand_exact(unit, unit.element_a, int(code)) for code in known]
    zero = np.array([not (term.significand or term.special) for term in terms])
    groups = zero[inverse].reshape(len(a), -1, of)
    if ((~groups).sum(axis=2) > kept).any():
        raise ValueError(f"a must have at most {kept} numbers in each group of {of}, for unit {unit.name} is sparse")
    places = np.sort(np.argsort(groups, axis=2, kind="stable")[:, :, :kept], axis=2)
    codes = np.take_along_axis(a.reshape(groups.shape), places, axis=2)
    return codes.reshape(len(a), -1), places.reshape(len(a), -1)
