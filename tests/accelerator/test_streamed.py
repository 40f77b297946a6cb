# SPDX-License-Identifier: Apache-2.0
"""Cycles of arrays with a stream of tiles: against the serial closed form, and against a walk of each operand."""

import itertools

from hwsim.accelerator import ArraySpec, Dataflow, streamed, systolic
from hwsim.datapath.array import ArrayGeometry, ArrayKind
from hwsim.network import MatmulShape


def _geometry(kind: ArrayKind, rows: int, columns: int) -> ArrayGeometry:
    depth = 2 if kind is ArrayKind.CUBE else 1
    return ArrayGeometry(kind=kind, rows=rows, columns=columns, depth=depth, partial_sums=not kind.keeps_outputs)


def test_streamed_one_fold_is_the_serial_form() -> None:
    compared = 0
    for rows, columns, length in itertools.product((1, 2, 5), (1, 3, 4), (1, 6, 30)):
        shape = MatmulShape(1, rows, length, columns)
        serial = systolic(ArraySpec(dataflow=Dataflow.OUTPUT_STATIONARY, rows=rows, columns=columns), shape, 1, 1)
        assert streamed(_geometry(ArrayKind.OUTPUT_STATIONARY, rows, columns), shape, 1) == serial
        shape = MatmulShape(1, length, rows, columns)
        serial = systolic(ArraySpec(dataflow=Dataflow.WEIGHT_STATIONARY, rows=rows, columns=columns), shape, 1, 1)
        found = streamed(_geometry(ArrayKind.WEIGHT_STATIONARY, rows, columns), shape, 1)
        assert found.cycles == serial.cycles + 1
        assert (found.a_elements, found.b_elements) == (serial.a_elements, serial.b_elements)
        compared += 2
    assert compared == 54


def test_streamed_parts_of_a_convolution() -> None:
    # 16x16, (64, 72) by (72, 16): 5 parts of K, 64 steps each; loads of 16 hidden from the second on, for 64 >= 31.
    geometry = _geometry(ArrayKind.WEIGHT_STATIONARY, 16, 16)
    schedule = streamed(geometry, MatmulShape(1, 64, 72, 16), 1)
    parts = (schedule.load_cycles, schedule.skew_cycles, schedule.stream_cycles, schedule.drain_cycles)
    assert parts == (16, 30, 320, 2)
    assert schedule.partial_sums == 4 * 64 * 16
    assert streamed(geometry, MatmulShape(3, 64, 72, 16), 1).stream_cycles == 960


def _walk(geometry: ArrayGeometry, product: MatmulShape) -> int:
    """Start each fold in the earliest cycle that its loads, the wave before it and its partial sums allow."""
    rows, columns, tree = geometry.rows, geometry.columns, geometry.kind is ArrayKind.ADDER_TREE
    swapped = geometry.kind is ArrayKind.INPUT_STATIONARY
    streams, stays = (product.n, product.m) if swapped else (product.m, product.n)
    tiles, depth = -(-stays // columns), -(-product.k // rows)
    out = 2 if tree else rows + columns  # from a step to its output
    begins: list[int] = []
    for fold in range(tiles * depth):
        earliest = rows
        if begins:
            load = begins[-1] + (0 if tree else rows - 1)  # when the wave is in the last row of the first column
            earliest = max(begins[-1] + streams, load + rows)
        if fold >= tiles:
            earliest = max(earliest, begins[fold - tiles] + out + 1)
        begins.append(earliest)
    return begins[-1] + streams - 1 + out + 1


def test_streamed_operand_stays_matches_a_walk_where_nothing_waits_for_partial_sums() -> None:
    compared = 0
    kinds = (ArrayKind.WEIGHT_STATIONARY, ArrayKind.INPUT_STATIONARY, ArrayKind.ADDER_TREE)
    for kind, rows, columns, m, k, n in itertools.product(kinds, (1, 3, 4), (1, 2, 5), (1, 7), (1, 3, 9), (1, 6)):
        geometry, product = _geometry(kind, rows, columns), MatmulShape(1, m, k, n)
        schedule, walked = streamed(geometry, product, 1), _walk(geometry, product)
        assert schedule.cycles >= walked
        if schedule.skew_cycles == geometry.skew_cycles:
            assert schedule.cycles == walked
            compared += 1
    assert compared > 200


def test_streamed_outputs_stay_matches_a_walk() -> None:
    compared = 0
    kinds = (ArrayKind.OUTPUT_STATIONARY, ArrayKind.BROADCAST, ArrayKind.CUBE)
    for kind, rows, columns, m, k, n in itertools.product(kinds, (1, 3, 4), (1, 2, 5), (1, 7), (1, 3, 9), (1, 6)):
        geometry = _geometry(kind, rows, columns)
        steps, folds = -(-k // geometry.depth), -(-m // rows) * -(-n // columns)
        # An element may start when its own accumulator has moved on: row r from the bottom after r of the drain.
        systolic_skew = int(kind is ArrayKind.OUTPUT_STATIONARY)
        late = {(r, c): (r + c) * systolic_skew for r in range(rows) for c in range(columns)}
        begin, drained = 0, 0
        for _ in range(folds):
            drains = begin + steps - 1 + 2 + max(late.values())
            drained = drains + rows
            begin = max(drains + r - 1 - late[r, c] for r, c in late)
        assert streamed(geometry, MatmulShape(1, m, k, n), 1).cycles == drained
        compared += 1
    assert compared == 3 * 9 * 12
