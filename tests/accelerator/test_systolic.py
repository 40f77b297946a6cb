# SPDX-License-Identifier: Apache-2.0
"""Cycles of systolic arrays against SCALE-Sim's closed forms and against a cycle-by-cycle walk."""

import itertools

import numpy as np
import pytest

from hwsim.accelerator import ArraySpec, Dataflow, systolic
from hwsim.network import MatmulShape

OS, WS = Dataflow.OUTPUT_STATIONARY, Dataflow.WEIGHT_STATIONARY


def _array(dataflow: Dataflow, rows: int, columns: int) -> ArraySpec:
    return ArraySpec(dataflow=dataflow, rows=rows, columns=columns)


@pytest.mark.parametrize(("m", "k", "n"), [(64, 27, 32), (128, 576, 64), (16, 8, 16), (256, 1, 16)])
def test_systolic_full_folds_match_scale_sim(m: int, k: int, n: int) -> None:
    rows, columns = 16, 16
    os = systolic(_array(OS, rows, columns), MatmulShape(1, m, k, n), 1, 1)
    folds = -(-m // rows) * -(-n // columns)
    assert os.skew_cycles + os.stream_cycles == folds * (rows + columns + k - 2)
    assert os.drain_cycles == folds * (1 + rows)
    ws = systolic(_array(WS, rows, columns), MatmulShape(1, m, k, n), 1, 1)
    folds = -(-k // rows) * -(-n // columns)
    assert ws.load_cycles + ws.skew_cycles + ws.stream_cycles == folds * (2 * rows + columns + m - 2)


def _walk(rows: int, columns: int, count: int) -> int:
    """Move `count` operands through skewed rows, cycle by cycle, until the last unit has had them all."""
    done = np.zeros((rows, columns), int)
    at = -np.ones((rows, columns), int)  # which operand stands at the unit
    clock = 0
    while done.min() < count:
        edge = np.array([clock - i if 0 <= clock - i < count else -1 for i in range(rows)])
        at = np.column_stack([edge, at[:, :-1]])
        done += at >= 0
        clock += 1
    return clock


def _walk_output_stationary(rows: int, columns: int, m: int, k: int, n: int) -> int:
    """Stream k steps through each tile, and shift the results of its rows out."""
    tiles = itertools.product(range(0, m, rows), range(0, n, columns))
    return sum(_walk(min(rows, m - top), min(columns, n - left), k) + min(rows, m - top) for top, left in tiles)


def test_systolic_output_stationary_matches_a_walk() -> None:
    compared = 0
    for rows, columns, m, k, n in itertools.product((1, 3, 4), (1, 2, 5), (1, 4, 7), (1, 3, 9), (1, 5, 6)):
        schedule = systolic(_array(OS, rows, columns), MatmulShape(1, m, k, n), 1, 0)
        assert schedule.cycles == _walk_output_stationary(rows, columns, m, k, n)
        compared += 1
    assert compared == 243


def _walk_weight_stationary(rows: int, columns: int, m: int, k: int, n: int) -> int:
    """Shift the weights of each tile in, and stream the m rows of the other operand through the whole height."""
    tiles = itertools.product(range(0, k, rows), range(0, n, columns))
    return sum(rows + _walk(rows, min(columns, n - left), m) for _, left in tiles)


def test_systolic_weight_stationary_matches_a_walk() -> None:
    compared = 0
    for rows, columns, m, k, n in itertools.product((1, 3, 4), (1, 2, 5), (1, 4, 7), (1, 3, 9), (1, 5, 6)):
        schedule = systolic(_array(WS, rows, columns), MatmulShape(1, m, k, n), 1, 0)
        assert schedule.cycles == _walk_weight_stationary(rows, columns, m, k, n)
        compared += 1
    assert compared == 243


def test_systolic_lanes_groups_and_traffic() -> None:
    one = systolic(_array(OS, 8, 8), MatmulShape(1, 20, 33, 10), 16, 2)
    assert one.folds == 3 * 2
    assert one.stream_cycles == 6 * 3
    assert one.a_elements == 20 * 33 * 2
    assert one.b_elements == 33 * 10 * 3
    ten = systolic(_array(OS, 8, 8), MatmulShape(10, 20, 33, 10), 16, 2)
    assert ten.cycles == 10 * one.cycles
    ws = systolic(_array(WS, 8, 8), MatmulShape(1, 20, 300, 10), 16, 2)
    assert ws.folds == 3 * 2
    assert ws.partial_sums == 2 * 20 * 10
    assert ws.b_elements == 300 * 10


def test_systolic_rows_wrong() -> None:
    with pytest.raises(ValueError, match=r"^rows must be in 1\.\.4096, not 0$"):
        _array(OS, 0, 1)
    with pytest.raises(TypeError, match=r"^dataflow must be a Dataflow, not 'os'$"):
        ArraySpec(dataflow="os", rows=1, columns=1)  # type: ignore[arg-type]
