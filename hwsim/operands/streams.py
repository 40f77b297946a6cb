# SPDX-License-Identifier: Apache-2.0
"""Streams of codes that enter a unit, a row a cycle."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim.datapath import DotProductUnit
from hwsim.datapath.entry import zero_code
from hwsim.datapath.unit import ScalarSpec
from hwsim.operands.ports import row_ports

__all__ = [
    "STEPS",
    "STREAMS",
    "Codes",
    "Operands",
    "Statistics",
]

STREAMS = 512
STEPS = 128

Codes = NDArray[np.unsignedinteger]


class Statistics(NamedTuple):
    """
    What makes operands cheap or dear, of one side.

    zeros : share of the codes that are zero
    common : share of the code that comes most often; of a quantized tensor with a zero point often that of zero
    toggles : share of the bits of a code that differ from the same lane's code a step before
    """

    zeros: float
    common: float
    toggles: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Operands:
    """
    Streams of rows, all of one length; a row a cycle.

    Parameters
    ----------
    unit : DotProductUnit
        What they are for.
    a, b : ndarray of unsigned integers, shape (streams, steps, width)
        Codes, with the bits that the unit ignores; a with its zeros where it is sparse.
    a_scales, b_scales : ndarray of unsigned integers, shape (streams, steps, scales of a step), optional
        Codes, where the format has them.
    first, last : ndarray of bool, shape (streams, steps)
        Where a dot product starts from c, and ends.
    c : ndarray of unsigned integers, shape (streams, steps), optional
        Codes of the register; 0 if not given.
    description : str
        Where they are from, for a table.

    Raises
    ------
    ValueError
        If an array has not that shape, or a code too many bits.
    """

    unit: DotProductUnit
    a: Codes
    b: Codes
    a_scales: Codes | None = None
    b_scales: Codes | None = None
    first: NDArray[np.bool_]
    last: NDArray[np.bool_]
    c: Codes | None = None
    description: str

    def __post_init__(self) -> None:
        unit = self.unit
        rows = self.first.shape
        counts = unit.scale_counts
        wanted: list[tuple[str, Any, tuple[int, ...], int]] = [
            ("a", self.a, (*rows, unit.width), unit.element_a.bits + unit.ignored_bits),
            ("b", self.b, (*rows, unit.width), unit.element_b.bits + unit.ignored_bits),
            ("last", self.last, rows, 1),
        ]
        for name, spec, count in (("a_scales", unit.scale_a, counts[0]), ("b_scales", unit.scale_b, counts[1])):
            scales = getattr(self, name)
            if (scales is None) != (spec is None):
                raise ValueError(f"{name} must be given if and only if unit {unit.name} has them")
            if spec is not None:
                wanted.append((name, scales, (*rows, count), spec.bits))
        for name, array, shape, bits in wanted:
            if array.shape != shape:
                raise ValueError(f"{name} must have shape {shape}, not {array.shape}")
            if array.size and int(array.max()) >> bits:
                raise ValueError(f"{name} must be codes of {bits} bits, not {int(array.max())}")

    def ports(self) -> dict[str, NDArray[np.uint64]]:
        """Return the words at the ports of the unit's core: shape (steps, streams), and limbs above 64 bits."""
        streams, steps = self.first.shape

        def rows(codes: Codes | None) -> Codes | None:
            return None if codes is None else np.swapaxes(codes, 0, 1).reshape(streams * steps, -1)

        a, b = rows(self.a), rows(self.b)
        assert a is not None
        assert b is not None
        scales = [side for side in (rows(self.a_scales), rows(self.b_scales)) if side is not None]
        c = None if self.c is None else self.c.T.ravel().tolist()
        flat = row_ports(self.unit, a, b, np.concatenate(scales, axis=1) if scales else None, c)
        ports = {name: words.reshape(steps, streams, *words.shape[1:]) for name, words in flat.items()}
        ports |= {name: getattr(self, name).T.astype(np.uint64) for name in ("first", "last")}
        ones = np.ones((steps, streams), np.uint64)
        return ports | {"en": ones, "valid": ones, "rst": np.zeros_like(ones)}

    def statistics(self) -> tuple[Statistics, Statistics]:
        """Return those of a and of b."""
        unit = self.unit
        return _statistics(self.a, unit.element_a, unit), _statistics(self.b, unit.element_b, unit)


def _statistics(codes: Codes, spec: ScalarSpec, unit: DotProductUnit) -> Statistics:
    zero = zero_code(spec)
    zeros = 0.0 if zero is None else float(np.mean(codes >> unit.ignored_bits == zero))
    common = np.unique_counts(codes).counts.max() / codes.size
    changed = np.bitwise_count(codes[:, 1:] ^ codes[:, :-1])
    toggles = float(changed.mean()) / (spec.bits + unit.ignored_bits) if changed.size else 0.0
    return Statistics(zeros, float(common), toggles)
