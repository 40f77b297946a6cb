# SPDX-License-Identifier: Apache-2.0
"""The clock of machines that are compared: the one asked for, or one that all units of a technology reach."""

from collections.abc import Sequence
from math import floor

from cost_models import Cost
from hwsim.study.cases import Case
from hwsim.study.machine import draft, fastest_clock
from hwsim.study.point import FASTEST, DesignPoint

__all__ = [
    "check_clock",
    "clocked",
]


def check_clock(clock_mhz: object) -> None:
    """Raise TypeError or ValueError unless a clock is whole MHz in 1..10000, the fastest, or left to `clocked`."""
    if clock_mhz is None or clock_mhz == FASTEST:
        return
    if isinstance(clock_mhz, bool) or not isinstance(clock_mhz, int):
        raise TypeError(f"clock_mhz must be an int, {FASTEST!r} or None, not {clock_mhz!r}")
    if not 1 <= clock_mhz <= 10000:
        raise ValueError(f"clock_mhz must be in 1..10000, not {clock_mhz}")


def clocked(
    points: Sequence[DesignPoint], costs: Sequence[Cost | None], case: Case, clock_mhz: int | str | None
) -> tuple[list[DesignPoint], list[str]]:
    """Return the points at the clock asked for, or at one that all units of a technology reach; and what that is."""
    if clock_mhz is not None:
        return [point.with_settings(clock_mhz=clock_mhz) for point in points], []
    slowest: dict[str, tuple[float, str]] = {}
    for point, cost in zip(points, costs, strict=True):
        here = _fastest(point, cost, case)
        if here is not None:
            slowest[point.technology] = min(slowest.get(point.technology, here), here)
    common = {technology: _round_clock(fastest) for technology, (fastest, _) in slowest.items()}
    found = []
    for point in points:
        own = _own_clock(point, case)
        reached = common.get(point.technology, own)
        found.append(
            point if reached is None or own is None or reached >= own else point.with_settings(clock_mhz=reached)
        )
    return found, [
        f"clock in {technology}: at most {common[technology]} MHz, which all reach with wires (the slowest, {which}, "
        f"{fastest:.4g} MHz)"
        for technology, (fastest, which) in slowest.items()
    ]


def _fastest(point: DesignPoint, cost: Cost | None, case: Case) -> tuple[float, str] | None:
    """Return the clock that a point's unit and memories reach and which is the slowest; None where it is not known."""
    try:
        return None if cost is None else fastest_clock(draft(point, case), cost)
    except ValueError:
        return None  # refused, with that error


def _own_clock(point: DesignPoint, case: Case) -> int | None:
    try:
        return draft(point, case).clock_mhz
    except ValueError:
        return None


def _round_clock(fastest: float) -> int:
    """Return the highest multiple of 10 MHz that is reached; below 10 MHz, the highest whole one, at least 1."""
    return max(10 * floor(fastest / 10) or floor(fastest), 1)
