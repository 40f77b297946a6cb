# SPDX-License-Identifier: Apache-2.0
"""Arrays under back-pressure: nothing stalled is the closed form; what stalls add, counted by hand."""

import itertools

import pytest

from hwsim.accelerator import ArrayKind, stalled, streamed
from hwsim.datapath.array import ArrayGeometry
from hwsim.network import MatmulShape


def _geometry(kind: ArrayKind, rows: int, columns: int) -> ArrayGeometry:
    depth = 2 if kind is ArrayKind.CUBE else 1
    return ArrayGeometry(kind=kind, rows=rows, columns=columns, depth=depth, partial_sums=not kind.keeps_outputs)


@pytest.mark.parametrize("kind", list(ArrayKind))
def test_stalled_by_nothing_is_streamed(kind: ArrayKind) -> None:
    compared = 0
    sizes = itertools.product((1, 3, 4), (1, 2, 5), (1, 2), (1, 7), (1, 9), (1, 6), (1, 3))
    for rows, columns, groups, m, k, n, latency in sizes:
        geometry, product = _geometry(kind, rows, columns), MatmulShape(groups, m, k, n)
        assert stalled(geometry, product, 1, (), latency) == streamed(geometry, product, 1, latency).cycles
        compared += 1
    assert compared == 288


@pytest.mark.parametrize("kind", list(ArrayKind))
def test_stalled_before_and_behind(kind: ArrayKind) -> None:
    geometry, product = _geometry(kind, 3, 2), MatmulShape(1, 2, 3, 2)
    outputs = 3 if kind.keeps_outputs else 2  # of one fold
    steady = streamed(geometry, product, 1).cycles
    assert stalled(geometry, product, 1, [(False, True)] * 7) == steady + 7
    # The first output waits for the first cycle in which one is taken; then they come one a cycle.
    assert stalled(geometry, product, 1, [(True, False)] * 1000) == 1000 + outputs
    # The first output comes in cycle `steady - outputs`; with one taken in every second cycle only, each waits one.
    taken = [(True, (cycle - (steady - outputs)) % 2 == 1) for cycle in range(steady + 100)]
    assert stalled(geometry, product, 1, taken) == steady + outputs
    # A beat in every third cycle, while the array moves all the time: the last beat comes two cycles late for each.
    beats = steady - (geometry.skew_cycles + 2) - (outputs if kind.keeps_outputs else 1) + 1
    assert stalled(geometry, product, 1, itertools.cycle([(True, True), (False, True), (False, True)])) == (
        steady + 2 * (beats - 1)
    )
