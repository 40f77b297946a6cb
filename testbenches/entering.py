# SPDX-License-Identifier: Apache-2.0
"""Rows as they come to a unit that drops bits of its operands, or takes a sparse one without its zeros."""

from collections.abc import Sequence

import numpy as np

from hwsim.datapath import DotProductUnit, Row
from hwsim.datapath.accumulate import operand_exact
from hwsim.datapath.unit import ScalarSpec

__all__ = [
    "kept_codes",
    "spread",
    "widened",
]


def spread(unit: DotProductUnit, rows: list[Row], seed: int) -> list[Row]:
    """Spread the lanes of rows over the width of a sparse step: zeros of a, any codes of b between."""
    assert unit.sparsity is not None
    random = np.random.default_rng((seed, 4))
    kept, of = unit.sparsity.kept, unit.sparsity.of
    zero = int(unit.element_a.encode(np.array([0.0]))[0])
    drawn = random.integers(0, 1 << min(unit.element_b.bits, 63), (len(rows), unit.width)).tolist()
    found = []
    for row, b in zip(rows, drawn, strict=True):
        a = [zero] * unit.width
        for lane in range(0, unit.lanes, kept):
            places = sorted(random.permutation(of)[:kept].tolist())
            for at, place in enumerate(places):
                a[lane // kept * of + place] = row.a[lane + at]
                b[lane // kept * of + place] = row.b[lane + at]
        found.append(row._replace(a=tuple(a), b=tuple(b)))
    return found


def kept_codes(unit: DotProductUnit, row: Row) -> tuple[Sequence[int], list[int]]:
    """Return the codes of a sparse a that are kept and their places: those that are not zero, then the first others."""
    if unit.sparsity is None:
        return row.a, []
    kept, of = unit.sparsity.kept, unit.sparsity.of
    spec = unit.element_a
    codes: list[int] = []
    places: list[int] = []
    for begin in range(0, unit.width, of):
        near = row.a[begin : begin + of]
        chosen = sorted(range(of), key=lambda at: (not _enters(unit, spec, near[at]), at))[:kept]
        places += sorted(chosen)
        codes += [near[at] for at in sorted(chosen)]
    return codes, places


def _enters(unit: DotProductUnit, spec: ScalarSpec, code: int) -> bool:
    """Whether a code is not zero when it has entered."""
    term = operand_exact(unit, spec, code)
    return bool(term.significand or term.special)


def widened(unit: DotProductUnit, rows: list[Row], seed: int) -> list[Row]:
    """Put bits that the unit drops below the codes of rows: zeros, a half, around it, ones, or any."""
    random = np.random.default_rng((seed, 3))
    ignored = unit.ignored_bits
    half, ones = 1 << (ignored - 1), (1 << ignored) - 1
    corner = np.array([0, 0, 1 & ones, half - 1, half, half, (half + 1) & ones, ones])

    def longer(codes: tuple[int, ...]) -> tuple[int, ...]:
        drawn = np.where(
            random.random(len(codes)) < 0.75,
            random.choice(corner, len(codes)),
            random.integers(0, ones + 1, len(codes)),
        )
        return tuple(code << ignored | low for code, low in zip(codes, drawn.tolist(), strict=True))

    return [row._replace(a=longer(row.a), b=longer(row.b)) for row in rows]
