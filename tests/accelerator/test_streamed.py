# SPDX-License-Identifier: Apache-2.0
"""Cycles of arrays with a stream of tiles: against the serial closed form, and against a walk of each operand."""

import itertools

from hwsim.accelerator import ArrayKind, serial, streamed
from hwsim.datapath.array import ArrayGeometry
from hwsim.network import MatmulShape


def _geometry(kind: ArrayKind, rows: int, columns: int) -> ArrayGeometry:
    depth = 2 if kind is ArrayKind.CUBE else 1
    return ArrayGeometry(kind=kind, rows=rows, columns=columns, depth=depth, partial_sums=not kind.keeps_outputs)


def test_streamed_one_fold_is_the_serial_form() -> None:
    compared = 0
    sizes = itertools.product(ArrayKind, (1, 2, 5), (1, 3, 4), (1, 6, 30), (1, 2, 4), (1, 8))
    for kind, rows, columns, length, latency, step_cycles in sizes:
        geometry = _geometry(kind, rows, columns)
        shape = MatmulShape(1, *{
            ArrayKind.INPUT_STATIONARY: (columns, rows, length),
            ArrayKind.WEIGHT_STATIONARY: (length, rows, columns),
            ArrayKind.ADDER_TREE: (length, rows, columns),
        }.get(kind, (rows, length, columns)))  # fmt: skip
        one = serial(geometry, shape, 1, latency, step_cycles)
        found = streamed(geometry, shape, 1, latency, step_cycles)
        assert found.folds == 1
        assert found.cycles == one.cycles + (not kind.keeps_outputs)
        assert (found.a_elements, found.b_elements) == (one.a_elements, one.b_elements)
        compared += 1
    assert compared == 6 * 27 * 6


def test_streamed_parts_of_a_convolution() -> None:
    # 16x16, (64, 72) by (72, 16): 5 parts of K, 64 steps each; loads of 16 hidden from the second on, for 64 >= 31.
    geometry = _geometry(ArrayKind.WEIGHT_STATIONARY, 16, 16)
    schedule = streamed(geometry, MatmulShape(1, 64, 72, 16), 1)
    parts = (schedule.load_cycles, schedule.skew_cycles, schedule.stream_cycles, schedule.drain_cycles)
    assert parts == (16, 30, 320, 2)
    assert schedule.partial_sums == 4 * 64 * 16
    assert streamed(geometry, MatmulShape(3, 64, 72, 16), 1).stream_cycles == 960


def _walk(geometry: ArrayGeometry, product: MatmulShape, latency: int, step_cycles: int) -> int:
    """Start each fold in the earliest cycle that its loads, the wave before it and its partial sums allow."""
    rows, columns, tree = geometry.rows, geometry.columns, geometry.kind is ArrayKind.ADDER_TREE
    swapped = geometry.kind is ArrayKind.INPUT_STATIONARY
    streams, stays = (product.n, product.m) if swapped else (product.m, product.n)
    tiles, depth, streams = -(-stays // columns), -(-product.k // rows), streams * step_cycles
    # From the beginning of a step to its output: its cycles, the ranks of a unit, the way to the last element.
    out = step_cycles + latency + (0 if tree else rows + columns - 2)
    begins: list[int] = []
    for fold in range(tiles * depth):
        earliest = rows
        if begins:
            load = begins[-1] + (0 if tree else rows - 1)  # when the wave is in the last row of the first column
            earliest = max(begins[-1] + streams, load + rows)
        if fold >= tiles:
            earliest = max(earliest, begins[fold - tiles] + out + 1)
        begins.append(earliest)
    return begins[-1] + streams - step_cycles + out + 1


def test_streamed_operand_stays_matches_a_walk_where_nothing_waits_for_partial_sums() -> None:
    compared = 0
    kinds = (ArrayKind.WEIGHT_STATIONARY, ArrayKind.INPUT_STATIONARY, ArrayKind.ADDER_TREE)
    sizes = itertools.product(kinds, (1, 3, 4), (1, 2, 5), (1, 7), (1, 3, 9), (1, 6), ((1, 1), (3, 1), (2, 8)))
    for kind, rows, columns, m, k, n, (latency, step_cycles) in sizes:
        geometry, product = _geometry(kind, rows, columns), MatmulShape(1, m, k, n)
        found = streamed(geometry, product, 1, latency, step_cycles)
        walked = _walk(geometry, product, latency, step_cycles)
        assert found.cycles >= walked
        if found.skew_cycles == geometry.skew_cycles:
            assert found.cycles == walked
            compared += 1
    assert compared > 600


def test_streamed_outputs_stay_matches_a_walk() -> None:
    compared = 0
    kinds = (ArrayKind.OUTPUT_STATIONARY, ArrayKind.BROADCAST, ArrayKind.CUBE)
    sizes = itertools.product(kinds, (1, 3, 4), (1, 2, 5), (1, 7), (1, 3, 9), (1, 6), ((1, 1), (3, 1), (2, 8)))
    for kind, rows, columns, m, k, n, (latency, step_cycles) in sizes:
        geometry = _geometry(kind, rows, columns)
        steps, folds = -(-k // geometry.depth) * step_cycles, -(-m // rows) * -(-n // columns)
        # An element may start when its own accumulator has moved on: row r from the bottom after r of the drain.
        systolic_skew = int(kind is ArrayKind.OUTPUT_STATIONARY)
        late = {(r, c): (r + c) * systolic_skew for r in range(rows) for c in range(columns)}
        begin, drained = 0, 0
        for _ in range(folds):
            drains = begin + steps + latency + max(late.values())
            drained = drains + rows
            begin = max(drains + r - latency - late[r, c] for r, c in late)
        assert streamed(geometry, MatmulShape(1, m, k, n), 1, latency, step_cycles).cycles == drained
        compared += 1
    assert compared == 3 * 9 * 12 * 3
