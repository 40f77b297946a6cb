# SPDX-License-Identifier: Apache-2.0
"""Arrays whose folds follow one another without overlap: cycles of a matrix product in closed form."""

from hwsim.accelerator.arrays.cut import Schedule, cut
from hwsim.datapath.array import ArrayGeometry
from hwsim.network import MatmulShape

__all__ = [
    "serial",
]


def serial(
    geometry: ArrayGeometry, product: MatmulShape, lanes: int, latency: int = 1, step_cycles: int = 1
) -> Schedule:
    """Schedule a matrix product on an array that begins a fold when the one before is out.

    Parameters
    ----------
    geometry, product, lanes, latency, step_cycles
        As of `hwsim.accelerator.schedule`.

    Returns
    -------
    Schedule
        A fold takes, whatever part of R rows and C columns it uses: output-stationary ``K + R + C - 2`` cycles until
        the last unit has its last step, `latency` until that is in the register and converted, R to shift the results
        out of the columns. Weight-stationary: R to shift the weights in, ``M + R + C - 2`` until the last partial sum
        has entered the last unit, `latency` until it leaves. Input-stationary: the same, M and N exchanged. Broadcast
        matrix, cube, adder tree: without the skew ``R + C - 2``. K and M count `step_cycles` for each step.

    Source
    ------
    Without the drain these are SCALE-Sim's ``R + C + K - 2``, ``2R + C + M - 2`` and ``2R + C + N - 2``; its report is
    one less than their sum.
    """
    whole = cut(geometry, product, lanes)
    rows, outputs_stay = geometry.rows, geometry.kind.keeps_outputs
    return Schedule(
        load_cycles=0 if outputs_stay else whole.folds * rows,
        skew_cycles=whole.folds * geometry.skew_cycles,
        stream_cycles=whole.folds * whole.streamed * step_cycles,
        drain_cycles=whole.folds * (latency + (rows if outputs_stay else 0)),
        folds=whole.folds,
        a_elements=whole.a_elements,
        b_elements=whole.b_elements,
        partial_sums=whole.partial_sums,
    )
