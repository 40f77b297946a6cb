# SPDX-License-Identifier: Apache-2.0
"""Arrays with a stream of tiles: cycles of a matrix product in closed form, as the RTL takes them to the cycle."""

from hwsim.accelerator.arrays.cut import Cut, Schedule, cut
from hwsim.datapath.array import ArrayGeometry, ArrayKind
from hwsim.network import MatmulShape

__all__ = [
    "loads_cycles",
    "streamed",
    "sums_cycles",
]


def streamed(
    geometry: ArrayGeometry, product: MatmulShape, lanes: int, latency: int = 1, step_cycles: int = 1
) -> Schedule:
    """Schedule a matrix product on an array whose folds follow one another as soon as they can.

    Parameters
    ----------
    geometry, product, lanes, latency, step_cycles
        As of `hwsim.accelerator.schedule`. What does not fill the array is filled up: a fold costs the same whatever
        part of the array it uses.

    Returns
    -------
    Schedule
        Of the cycles from the one in which the first beat is accepted to the one in which the last output is taken,
        both counted, with a beat offered in each cycle and no output waiting. What is hidden behind a stream is not
        counted. With R rows, C columns, F folds, and L for `latency`:

        - output-stationary: F K streamed, F (R + C - 2) skew (the next tile enters when the last step has reached the
          last element), R + L drain: the last step's registers, and R rows shifted out. One fold is as `serial`;
        - broadcast matrix, cube: no skew, but R - 1 cycles of the drain before the next tile;
        - weight-stationary: R loads before the first fold, F M streamed, R + C - 2 skew, L + 1 drain: the last sum's
          registers, and the cycle in which it is taken. The other folds' loads are hidden where ``M >= 2 R - 1``: they
          follow the wave that takes the last ones into use. One fold is as `serial`, and a cycle;
        - input-stationary: the same, M and N exchanged;
        - adder tree: as weight-stationary, without skew, loads hidden where ``M >= R``.

        Where K takes several folds, these go around all of N (or M) before the next part of K, and a fold waits, as
        `skew_cycles`, until the partial sums that it starts from have come out.

    Raises
    ------
    ValueError
        If K takes several folds and the array has no partial sums.
    """
    whole = cut(geometry, product, lanes)
    if geometry.kind.keeps_outputs:
        return _outputs_stay(geometry, whole, latency, step_cycles)
    if whole.parts > 1 and not geometry.partial_sums:
        raise ValueError(
            f"array {geometry.name} must have partial sums for a K of {product.k}, which takes {whole.parts} folds"
        )
    return _operand_stays(geometry, whole, latency, step_cycles)


def loads_cycles(geometry: ArrayGeometry) -> int:
    """Return the fewest cycles between two folds for which an operand is loaded."""
    return geometry.rows if geometry.kind is ArrayKind.ADDER_TREE else 2 * geometry.rows - 1


def sums_cycles(geometry: ArrayGeometry, whole: Cut, latency: int, step_cycles: int) -> int:
    """Return the fewest cycles between two folds for which the partial sums of a part of K are out before the next."""
    out = geometry.skew_cycles + step_cycles + latency  # from a step to its output, which is taken a cycle later
    return -(-(out + 1) // whole.tiles) if whole.parts > 1 else 0


def _outputs_stay(geometry: ArrayGeometry, whole: Cut, latency: int, step_cycles: int) -> Schedule:
    between = 0 if geometry.kind is ArrayKind.OUTPUT_STATIONARY else geometry.rows - 1
    return Schedule(
        load_cycles=0,
        skew_cycles=whole.folds * geometry.skew_cycles,
        stream_cycles=whole.folds * whole.streamed * step_cycles,
        drain_cycles=(whole.folds - 1) * between + geometry.rows + latency,
        folds=whole.folds,
        a_elements=whole.a_elements,
        b_elements=whole.b_elements,
        partial_sums=0,
    )


def _operand_stays(geometry: ArrayGeometry, whole: Cut, latency: int, step_cycles: int) -> Schedule:
    rows, streams = geometry.rows, whole.streamed * step_cycles
    loaded = max(streams, loads_cycles(geometry))
    returned = sums_cycles(geometry, whole, latency, step_cycles)
    return Schedule(
        load_cycles=rows + (whole.folds - 1) * (loaded - streams),
        skew_cycles=geometry.skew_cycles + (whole.folds - 1) * max(returned - loaded, 0),
        stream_cycles=whole.folds * streams,
        drain_cycles=latency + 1,
        folds=whole.folds,
        a_elements=whole.a_elements,
        b_elements=whole.b_elements,
        partial_sums=whole.partial_sums,
    )
