# SPDX-License-Identifier: Apache-2.0
"""Arrays under back-pressure: cycles of a matrix product where beats come late and outputs wait, as the RTL's."""

from collections.abc import Iterable, Iterator

from hwsim.accelerator.arrays.cut import Cut, cut
from hwsim.accelerator.arrays.streamed import loads_cycles, sums_cycles
from hwsim.datapath.array import ArrayGeometry, ArrayKind
from hwsim.network import MatmulShape

__all__ = [
    "stalled",
]


def stalled(
    geometry: ArrayGeometry,
    product: MatmulShape,
    lanes: int,
    pattern: Iterable[tuple[bool, bool]],
    latency: int = 1,
) -> int:
    """Return the cycles of a product on an array of `streamed`, whose two streams stall.

    Parameters
    ----------
    geometry, product, lanes, latency
        As of `streamed`.
    pattern : iterable of (bool, bool)
        For each cycle, whether the next beat is offered in it, and whether an output is taken in it. A beat once
        offered stays until it is accepted. Where it ends before the product does, nothing stalls any more.

    Returns
    -------
    int
        From the first cycle of the pattern to that in which the last output is taken, both counted. With nothing
        stalled, that is `streamed` to the cycle.

        While an output waits, everything stands still: so the array has a time of its own, the cycles in which it
        moves, and in that time each beat that it has accepted makes its outputs when it always does. Where outputs
        stay, it accepts the first step of a tile when that meets no sum that has yet to move, again in its own time.
        Where an operand stays, it refuses no beat of the program that `streamed` counts: a load may not come closer to
        the step before it than there.
    """
    whole = cut(geometry, product, lanes)
    out = geometry.skew_cycles + 1 + latency  # from a step to its (first) output, in the array's time
    if not geometry.kind.keeps_outputs:
        return _run(_folds(geometry, whole, latency), pattern, out, 0, 1)
    closed = geometry.skew_cycles if geometry.kind is ArrayKind.OUTPUT_STATIONARY else geometry.rows - 1
    return _run(_tiles(whole), pattern, out, closed, geometry.rows)


def _tiles(whole: Cut) -> Iterator[bool]:
    """Tell of each beat whether outputs come of it: the last step of a tile."""
    for _ in range(whole.folds):
        for step in range(whole.streamed):
            yield step == whole.streamed - 1


def _folds(geometry: ArrayGeometry, whole: Cut, latency: int) -> Iterator[bool]:
    """Tell of each beat whether an output comes of it: a step, rather than a load alone or a gap."""
    spacing = max(whole.streamed, loads_cycles(geometry), sums_cycles(geometry, whole, latency, 1))
    for _ in range(geometry.rows):
        yield False
    for fold in range(whole.folds):
        for beat in range(whole.streamed if fold == whole.folds - 1 else spacing):
            yield beat < whole.streamed


def _run(beats: Iterator[bool], pattern: Iterable[tuple[bool, bool]], out: int, closed: int, burst: int) -> int:
    """Walk through the cycles. The array's time is `now`; an output is there in each of its cycles in `due`."""
    stalls = iter(pattern)
    coming = next(beats, None)
    offered, now, opens, cycles = False, 0, 0, 0
    due: list[tuple[int, int]] = []  # the times of outputs, from and up to
    first = 0
    while coming is not None or first < len(due):
        offers, takes = next(stalls, (True, True))
        offered = coming is not None and (offered or offers)
        waits = first < len(due) and due[first][0] <= now
        cycles += 1
        if waits and not takes:
            continue
        if offered and now >= opens:
            if coming:
                due.append((now + out, now + out + burst))
                opens = now + 1 + closed
            coming, offered = next(beats, None), False
        now += 1
        if waits and due[first][1] == now:
            first += 1
    return cycles
