# SPDX-License-Identifier: Apache-2.0
"""Arrays of units: the cycles and the operand traffic of a matrix product on each."""

from hwsim.accelerator.arrays.cut import Schedule
from hwsim.accelerator.arrays.serial import serial
from hwsim.accelerator.arrays.stalls import stalled
from hwsim.accelerator.arrays.streamed import streamed
from hwsim.accelerator.spec import ArraySpec, Folds
from hwsim.network import MatmulShape

__all__ = [
    "Schedule",
    "schedule",
    "serial",
    "stalled",
    "streamed",
]

_NOTHING = Schedule(**dict.fromkeys(Schedule.__slots__, 0))
_FORMS = {Folds.STREAMED: streamed, Folds.SERIAL: serial}


def schedule(array: ArraySpec, product: MatmulShape, lanes: int, latency: int, step_cycles: int = 1) -> Schedule:
    """Schedule a matrix product on one array of an accelerator, of any kind.

    Parameters
    ----------
    array : ArraySpec
        Its `folds` choose between `streamed` and `serial`; its `count` is no business of a schedule.
    product : MatmulShape
        `groups` products of (m, k) by (k, n), one after the other; one without elements takes nothing.
    lanes : int
        Elements of K that a unit takes in a step (`DotProductUnit.width`).
    latency : int
        Register ranks of a unit; one of them is the accumulator.
    step_cycles : int
        Cycles of a step (`Accelerator.step_cycles`): more than one where the unit is bit-serial. Operands go on to the
        next element a cycle after they have entered one all the same.
    """
    if 0 in product:
        return _NOTHING
    return _FORMS[array.folds](array.geometry, product, lanes, latency, step_cycles)
