# SPDX-License-Identifier: Apache-2.0
"""What a specification can say and RTL lacks."""

from hwsim.datapath.unit import DotProductUnit, FloatAccumulator, NanResult, TruncatedAlignment
from hwsim.formats import Rounding
from rtl.datapath.entry import can_enter
from rtl.datapath.sparse import sparse_missing

__all__ = [
    "check_buildable",
]


def check_buildable(unit: DotProductUnit) -> None:
    """Raise for what a specification can say and no component here does yet.

    Raises
    ------
    ValueError
        Naming each such feature of the unit.
    """
    alignment, register = unit.alignment, unit.accumulator
    missing = {
        "signed operands unpacked to an unsigned format": not can_enter(unit),
        "several block scales of an exact step": max(unit.scale_counts) > 1
        and not isinstance(alignment, TruncatedAlignment),
    }
    missing |= sparse_missing(unit)
    if isinstance(register, FloatAccumulator):
        missing["stochastic rounding"] = register.rounding is Rounding.STOCHASTIC
        missing["signed zeros"] = register.signed_zero
        missing["results flushed to zero"] = register.flush
        missing["NaN payloads"] = register.nan is NanResult.OPERAND
    found = [what for what, there in missing.items() if there]
    if found:
        text = f"unit {unit.name} must do without {', '.join(found)} to be built as RTL"
        raise ValueError(f"{text}: only the model has that")
