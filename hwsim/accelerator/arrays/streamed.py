# SPDX-License-Identifier: Apache-2.0
"""Arrays with a stream of tiles: cycles of a matrix product in closed form, as the RTL takes them to the cycle."""

from math import ceil

from hwsim.accelerator.arrays.systolic import Schedule
from hwsim.datapath.array import ArrayGeometry, ArrayKind
from hwsim.network import MatmulShape

__all__ = [
    "streamed",
]


def streamed(geometry: ArrayGeometry, product: MatmulShape, lanes: int) -> Schedule:
    """Schedule a matrix product on an array whose folds follow one another as soon as they can.

    Parameters
    ----------
    geometry : ArrayGeometry
    product : MatmulShape
        `groups` products of (m, k) by (k, n), one after the other. What does not fill the array is filled up: a fold
        costs the same whatever part of the array it uses.
    lanes : int
        Products of a unit's step.

    Returns
    -------
    Schedule
        Of the cycles from the one in which the first beat is accepted to the one in which the last output is taken,
        both counted, with a beat offered in each cycle and no output waiting. What is hidden behind a stream is not
        counted. With R rows, C columns, and F folds:

        - output-stationary: F K streamed, F (R + C - 2) skew (the next tile enters when the last step has reached the
          last element), R + 1 drain: the last step's register, and R rows shifted out. One fold is `systolic` with a
          latency of 1;
        - broadcast matrix, cube: no skew, but R - 1 cycles of the drain before the next tile;
        - weight-stationary: R loads before the first fold, F M streamed, R + C - 2 skew, 2 drain: the last sum's
          register, and the cycle in which it is taken. The other folds' loads are hidden where ``M >= 2 R - 1``: they
          follow the wave that takes the last ones into use. One fold is `systolic` with a latency of 1, and a cycle;
        - input-stationary: the same, M and N exchanged;
        - adder tree: as weight-stationary, without skew, loads hidden where ``M >= R``.

        Where K takes several folds, these go around all of N (or M) before the next part of K, and a fold waits, as
        `skew_cycles`, until the partial sums that it starts from have come out.

    Raises
    ------
    ValueError
        If K takes several folds and the array has no partial sums.
    """
    if geometry.kind.keeps_outputs:
        return _outputs_stay(geometry, product, ceil(product.k / (lanes * geometry.depth)))
    return _operand_stays(geometry, product, ceil(product.k / (lanes * geometry.rows)))


def _outputs_stay(geometry: ArrayGeometry, product: MatmulShape, steps: int) -> Schedule:
    across, down = ceil(product.n / geometry.columns), ceil(product.m / geometry.rows)
    folds = product.groups * across * down
    between = 0 if geometry.kind is ArrayKind.OUTPUT_STATIONARY else geometry.rows - 1
    return Schedule(
        load_cycles=0,
        skew_cycles=folds * geometry.skew_cycles,
        stream_cycles=folds * steps,
        drain_cycles=(folds - 1) * between + geometry.rows + 1,
        folds=folds,
        a_elements=product.groups * product.m * product.k * across,
        b_elements=product.groups * product.k * product.n * down,
        partial_sums=0,
    )


def _operand_stays(geometry: ArrayGeometry, product: MatmulShape, depth: int) -> Schedule:
    if depth > 1 and not geometry.partial_sums:
        raise ValueError(
            f"array {geometry.name} must have partial sums for a K of {product.k}, which takes {depth} folds"
        )
    stays, streams = (product.m, product.n) if geometry.kind is ArrayKind.INPUT_STATIONARY else (product.n, product.m)
    rows, tiles = geometry.rows, ceil(stays / geometry.columns)
    folds = product.groups * depth * tiles
    tree = geometry.kind is ArrayKind.ADDER_TREE
    loaded = max(streams, rows if tree else 2 * rows - 1)
    returned = ceil((geometry.skew_cycles + 3) / tiles) if depth > 1 else 0
    again, once = product.groups * tiles, product.groups
    return Schedule(
        load_cycles=rows + (folds - 1) * (loaded - streams),
        skew_cycles=geometry.skew_cycles + (folds - 1) * max(returned - loaded, 0),
        stream_cycles=folds * streams,
        drain_cycles=2,
        folds=folds,
        a_elements=product.m * product.k * (once if geometry.kind is ArrayKind.INPUT_STATIONARY else again),
        b_elements=product.k * product.n * (again if geometry.kind is ArrayKind.INPUT_STATIONARY else once),
        partial_sums=product.groups * product.m * product.n * (depth - 1),
    )
