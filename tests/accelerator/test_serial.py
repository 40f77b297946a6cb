# SPDX-License-Identifier: Apache-2.0
"""Cycles of arrays whose folds do not overlap: against SCALE-Sim's closed forms and a cycle-by-cycle walk."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from hwsim.accelerator import ArrayKind, ArraySpec, Folds, schedule, serial
from hwsim.datapath.array import ArrayGeometry
from hwsim.network import MatmulShape

OS, WS, IS = ArrayKind.OUTPUT_STATIONARY, ArrayKind.WEIGHT_STATIONARY, ArrayKind.INPUT_STATIONARY
SIDES = tuple(itertools.product((1, 3, 4), (1, 2, 5)))
SIZES = tuple(itertools.product((1, 4, 7), (1, 3, 9), (1, 5, 6)))


def _array(kind: ArrayKind, rows: int, columns: int) -> ArraySpec:
    depth = 2 if kind is ArrayKind.CUBE else 1
    return ArraySpec(dataflow=kind, rows=rows, columns=columns, depth=depth, folds=Folds.SERIAL)


def _walk(rows: int, columns: int, count: int, *, skewed: bool = True) -> int:
    """Move `count` operands through rows, cycle by cycle, until the last unit has had them all."""
    done = np.zeros((rows, columns), int)
    at = -np.ones((rows, columns), int)  # which operand stands at the unit
    clock = 0
    while done.min() < count:
        edge = np.array([clock - i * skewed if 0 <= clock - i * skewed < count else -1 for i in range(rows)])
        at = np.column_stack([edge, at[:, :-1] if skewed else np.tile(edge[:, None], columns - 1)])
        done += at >= 0
        clock += 1
    return clock


@pytest.mark.parametrize("kind", list(ArrayKind))
def test_serial_matches_a_walk(kind: ArrayKind) -> None:
    compared = 0
    for (rows, columns), (m, k, n) in itertools.product(SIDES, SIZES):
        array = _array(kind, rows, columns)
        skewed = kind in (OS, WS, IS)
        walked = 0
        if kind.keeps_outputs:
            for _ in itertools.product(range(0, m, rows), range(0, n, columns)):
                walked += _walk(rows, columns, -(-k // array.depth), skewed=skewed) + rows
        else:
            stays, streams = (m, n) if kind is IS else (n, m)
            for _ in itertools.product(range(0, k, rows), range(0, stays, columns)):
                walked += rows + _walk(rows, columns, streams, skewed=skewed)
        found = schedule(array, MatmulShape(1, m, k, n), 1, 0)
        assert found.cycles == walked
        assert found.folds * 3 == schedule(array, MatmulShape(3, m, k, n), 1, 0).folds
        compared += 1
    assert compared == 243


def _first_reads(kind: ArrayKind, rows: int, columns: int, m: int, k: int, n: int) -> tuple[int, int]:
    """Count the elements of a and b that folds read, fold by fold."""
    a = b = 0
    if kind.keeps_outputs:
        for top, left in itertools.product(range(0, m, rows), range(0, n, columns)):
            a += min(rows, m - top) * k
            b += min(columns, n - left) * k
        return a, b
    stays, streams = (m, n) if kind is IS else (n, m)
    kept = moved = 0
    for start, left in itertools.product(range(0, k, rows), range(0, stays, columns)):
        kept += min(rows, k - start) * min(columns, stays - left)
        moved += min(rows, k - start) * streams
    return (kept, moved) if kind is IS else (moved, kept)


@pytest.mark.parametrize("kind", list(ArrayKind))
def test_serial_reads(kind: ArrayKind) -> None:
    compared = 0
    for (rows, columns), (m, k, n) in itertools.product(SIDES, SIZES):
        found = schedule(_array(kind, rows, columns), MatmulShape(1, m, k, n), 1, 1)
        assert (found.a_elements, found.b_elements) == _first_reads(kind, rows, columns, m, k, n)
        parts = 1 if kind.keeps_outputs else -(-k // rows)
        assert found.partial_sums == (parts - 1) * m * n
        compared += 1
    assert compared == 243


def test_serial_lanes_groups_and_latency() -> None:
    one = schedule(_array(OS, 8, 8), MatmulShape(1, 20, 33, 10), 16, 2)
    assert one.folds == 3 * 2
    assert one.stream_cycles == 6 * 3
    assert one.a_elements == 20 * 33 * 2
    assert one.b_elements == 33 * 10 * 3
    ten = schedule(_array(OS, 8, 8), MatmulShape(10, 20, 33, 10), 16, 2)
    assert ten.cycles == 10 * one.cycles
    ws = schedule(_array(WS, 8, 8), MatmulShape(1, 20, 300, 10), 16, 2)
    assert ws.folds == 3 * 2
    assert ws.partial_sums == 2 * 20 * 10
    assert ws.b_elements == 300 * 10
    assert schedule(_array(WS, 8, 8), MatmulShape(1, 20, 300, 10), 16, 5).cycles == ws.cycles + 3 * 6


def test_serial_steps_of_several_cycles() -> None:
    for kind in ArrayKind:
        geometry, product = _array(kind, 4, 5).geometry, MatmulShape(2, 9, 17, 11)
        one, eight = serial(geometry, product, 1, 2), serial(geometry, product, 1, 2, 8)
        assert eight.stream_cycles == 8 * one.stream_cycles
        assert eight.cycles - one.cycles == 7 * one.stream_cycles


@pytest.mark.parametrize("kind", list(ArrayKind))
def test_schedule_of_nothing(kind: ArrayKind) -> None:
    array = _array(kind, 4, 5)
    for folds, sizes in itertools.product(Folds, ((0, 1, 1, 1), (1, 0, 1, 1), (1, 1, 0, 1), (1, 1, 1, 0))):
        found = schedule(replace(array, folds=folds), MatmulShape(*sizes), 1, 3)
        assert (found.cycles, found.folds, found.a_elements, found.b_elements) == (0, 0, 0, 0)


def test_array_spec_geometry_and_units() -> None:
    spec = ArraySpec(dataflow=ArrayKind.CUBE, rows=4, columns=3, depth=2, count=5)
    assert spec.geometry == ArrayGeometry(kind=ArrayKind.CUBE, rows=4, columns=3, depth=2)
    assert spec.units == 4 * 3 * 2 * 5
    assert ArraySpec(dataflow=WS, rows=512, columns=512).geometry.partial_sums


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"rows": 0}, ValueError, "rows must be in 1..4096, not 0"),
        ({"rows": True}, TypeError, "rows must be an int, not True"),
        ({"dataflow": "os"}, TypeError, "dataflow must be an ArrayKind, not 'os'"),
        ({"depth": 2}, ValueError, "depth must be in 1..1, not 2"),
        ({"dataflow": ArrayKind.CUBE}, ValueError, "depth must be in 2..64, not 1"),
        ({"count": 0}, ValueError, "count must be in 1..1024, not 0"),
        ({"folds": "serial"}, TypeError, "folds must be a Folds, not 'serial'"),
        ({"serial_bits": 65}, ValueError, "serial_bits must be in 0..64, not 65"),
    ],
)
def test_array_spec_wrong(fields: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        ArraySpec(**{"dataflow": OS, "rows": 2, "columns": 2} | fields)  # type: ignore[arg-type]
    assert str(caught.value) == message
