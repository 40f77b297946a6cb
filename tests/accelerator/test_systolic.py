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


def _walk_output_stationary(rows: int, columns: int, m: int, k: int, n: int) -> int:
    """Move operands through the array cycle by cycle and count until every unit has had its last step."""
    cycles = 0
    for top, left in itertools.product(range(0, m, rows), range(0, n, columns)):
        r, c = min(rows, m - top), min(columns, n - left)
        done = np.zeros((r, c), int)
        a_at = -np.ones((r, c), int)  # which step's operand stands at the unit
        clock = 0
        while done.min() < k:
            edge = np.array([clock - i if 0 <= clock - i < k else -1 for i in range(r)])
            a_at = np.column_stack([edge, a_at[:, :-1]])
            done += a_at >= 0
            clock += 1
        cycles += clock + r  # and r cycles to shift the results out
    return cycles


def test_systolic_output_stationary_matches_a_walk() -> None:
    compared = 0
    for rows, columns, m, k, n in itertools.product((1, 3, 4), (1, 2, 5), (1, 4, 7), (1, 3, 9), (1, 5, 6)):
        schedule = systolic(_array(OS, rows, columns), MatmulShape(1, m, k, n), 1, 0)
        assert schedule.cycles == _walk_output_stationary(rows, columns, m, k, n)
        compared += 1
    assert compared == 243


def _walk_weight_stationary(rows: int, columns: int, m: int, k: int, n: int) -> int:
    """Shift the weights in, then move rows of the other operand through until the last unit has had all of them."""
    cycles = 0
    for _, left in itertools.product(range(0, k, rows), range(0, n, columns)):
        c = min(columns, n - left)
        done = np.zeros((rows, c), int)
        a_at = -np.ones((rows, c), int)
        clock = 0
        while done.min() < m:
            edge = np.array([clock - i if 0 <= clock - i < m else -1 for i in range(rows)])
            a_at = np.column_stack([edge, a_at[:, :-1]])
            done += a_at >= 0
            clock += 1
        cycles += rows + clock
    return cycles


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
