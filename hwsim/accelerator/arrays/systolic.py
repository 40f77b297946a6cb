# SPDX-License-Identifier: Apache-2.0
"""Systolic arrays: cycles of a matrix product in closed form, fold by fold, each part apart."""

from dataclasses import dataclass
from math import ceil

from hwsim.accelerator.spec import ArraySpec, Dataflow
from hwsim.network import MatmulShape

__all__ = [
    "Schedule",
    "systolic",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """What a matrix product takes on an array.

    load_cycles : weights shifted into the array before a fold (weight-stationary)
    skew_cycles : cycles in which operands still enter at the edges, or results still leave, because rows and columns
    are skewed stream_cycles : cycles of steps: a step of `lanes` products enters at the first unit
    drain_cycles : the units' own latency, and results shifted out (output-stationary)
    folds : tiles of the array that the product was cut into
    a_elements, b_elements : elements of each operand read from its memory
    partial_sums : registers written to and read back from memory between folds of K (each counts once for either way)
    """

    load_cycles: int
    skew_cycles: int
    stream_cycles: int
    drain_cycles: int
    folds: int
    a_elements: int
    b_elements: int
    partial_sums: int

    @property
    def cycles(self) -> int:
        """All cycles; the folds follow one another without overlap."""
        return self.load_cycles + self.skew_cycles + self.stream_cycles + self.drain_cycles


def systolic(array: ArraySpec, product: MatmulShape, lanes: int, latency: int) -> Schedule:
    """Schedule a matrix product.

    Parameters
    ----------
    array : ArraySpec
    product : MatmulShape
        `groups` products of (m, k) by (k, n), one after the other.
    lanes : int
        Products of a unit's step; K takes ``ceil(k / lanes)`` steps.
    latency : int
        Register ranks of a unit; one of them is the accumulator.

    Returns
    -------
    Schedule
        A fold takes, with r rows and c columns in use: output-stationary ``steps + r + c - 2`` cycles until the last
        unit has its last step, `latency` until that is in the register and converted, r to shift the results out of the
        columns. Weight-stationary, R rows in all: R to shift the weights in, ``m + R + c - 2`` until the last partial
        sum has entered the last unit, `latency` until it leaves.

    Source
    ------
    With full folds these are SCALE-Sim's ``R + C + K - 2`` and ``2R + C + M - 2`` (its report is one less), plus the
    drain.
    """
    if array.dataflow is Dataflow.OUTPUT_STATIONARY:
        one = _output_stationary(array, product, ceil(product.k / lanes), latency)
    else:
        one = _weight_stationary(array, product, lanes, latency)
    return Schedule(**{field: value * product.groups for field, value in one.items()})


def _tiles(total: int, size: int) -> list[int]:
    """Cut a length into tiles of `size`, the last one shorter."""
    return [min(size, total - start) for start in range(0, total, size)]


def _output_stationary(array: ArraySpec, product: MatmulShape, steps: int, latency: int) -> dict[str, int]:
    rows, columns = _tiles(product.m, array.rows), _tiles(product.n, array.columns)
    folds = len(rows) * len(columns)
    return {
        "load_cycles": 0,
        "skew_cycles": sum(rows) * len(columns) + sum(columns) * len(rows) - 2 * folds,
        "stream_cycles": folds * steps,
        "drain_cycles": folds * latency + sum(rows) * len(columns),
        "folds": folds,
        "a_elements": product.m * product.k * len(columns),
        "b_elements": product.k * product.n * len(rows),
        "partial_sums": 0,
    }


def _weight_stationary(array: ArraySpec, product: MatmulShape, lanes: int, latency: int) -> dict[str, int]:
    depth = ceil(product.k / (array.rows * lanes))
    columns = _tiles(product.n, array.columns)
    folds = depth * len(columns)
    return {
        "load_cycles": folds * array.rows,
        "skew_cycles": folds * (array.rows - 2) + depth * sum(columns),
        "stream_cycles": folds * product.m,
        "drain_cycles": folds * latency,
        "folds": folds,
        "a_elements": product.m * product.k * len(columns),
        "b_elements": product.k * product.n,
        "partial_sums": product.m * product.n * (depth - 1),
    }
