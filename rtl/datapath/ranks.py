# SPDX-License-Identifier: Apache-2.0
"""Where a unit has registers: behind its stages by name, or, asked for more, within them, where the paths balance."""

from hwsim.datapath.unit import DotProductUnit
from rtl.architecture import Architecture
from rtl.datapath.balanced import DEEPEST, split
from rtl.datapath.buildable import check_buildable
from rtl.datapath.entry import entered
from rtl.datapath.layouts import fused, product_raw, scale_max
from rtl.datapath.merged import check_architecture
from rtl.datapath.promote import first_register

__all__ = [
    "chosen_ranks",
    "depth",
    "is_deep",
    "latency",
    "ranks",
    "split_ranks",
]

_DEFAULT = 2  # accumulate always has registers, multiply always can
_PREFERENCE = ("accumulate", "promote", "resolve", "multiply", "round_pack", "align_add")


def ranks(unit: DotProductUnit, architecture: Architecture | None = None) -> tuple[str, ...]:
    """Return the stages after which a unit can have registers, in the order of the data.

    With a heap, what stands behind `multiply` is the sum of a row in place of its products, unless there is a rank
    behind `align_add` too: for a fixed accumulator as two words. Carry-save accumulation has the rank `resolve`, behind
    the addition of the register's words, and behind `round_pack` if there is one. With a promotion, `promote` is the
    second register, a cycle behind the first one.
    """
    promoted, converts = unit.promotion is not None, unit.converts
    unit = first_register(entered(unit))
    nothing_to_add = unit.lanes == 1 and scale_max(unit) == 1 and not (unit.on_grid and product_raw(unit).bits)
    names = ["multiply"]
    if not (fused(unit) or nothing_to_add):
        names.append("align_add")
    names.append("accumulate")
    if promoted:
        names.append("promote")
    if architecture is not None and architecture.accumulation == "carry_save" and not promoted:
        names.append("resolve")
    elif converts:
        names.append("round_pack")
    return tuple(names)


def depth(unit: DotProductUnit, pipeline: int | None = None, architecture: Architecture | None = None) -> int:
    """Return the ranks of registers that a unit gets: `pipeline`, or the default.

    Parameters
    ----------
    unit : DotProductUnit
    pipeline : int, optional
        1 to `DEEPEST`, 2 if not given: up to ``len(ranks(unit, architecture))`` behind named stages (accumulate, then
        resolve, multiply, round_pack, align_add), beyond that within the parts before and behind the accumulator. A
        unit with a promotion has the named ones only.
    architecture : Architecture, optional

    Raises
    ------
    TypeError, ValueError
        If unit is no DotProductUnit, pipeline no int in the range, or the architecture none that the unit can have.
    """
    if not isinstance(unit, DotProductUnit):
        raise TypeError(f"unit must be a DotProductUnit, not {unit!r}")
    check_buildable(unit)
    if architecture is not None:
        check_architecture(unit, architecture)
    if pipeline is None:
        return _DEFAULT
    if isinstance(pipeline, bool) or not isinstance(pipeline, int):
        raise TypeError(f"pipeline must be an int, not {pipeline!r}")
    possible = ranks(unit, architecture)
    most = len(possible) if unit.promotion is not None else DEEPEST
    if not 1 <= pipeline <= most:
        more = "" if most == len(possible) else f"; beyond {len(possible)}, within them"
        raise ValueError(
            f"pipeline must be in 1..{most} for {unit.name} ({', '.join(possible)}{more}), not {pipeline!r}"
        )
    return pipeline


def is_deep(unit: DotProductUnit, pipeline: int | None = None, architecture: Architecture | None = None) -> bool:
    """Whether there are more ranks than named stages."""
    return depth(unit, pipeline, architecture) > len(ranks(unit, architecture))


def split_ranks(unit: DotProductUnit, pipeline: int, architecture: Architecture | None = None) -> tuple[int, int]:
    """Return the ranks in front of the accumulator and behind it, of a deep pipeline."""
    return split(first_register(entered(unit)), architecture or Architecture(), pipeline)


def chosen_ranks(
    unit: DotProductUnit, pipeline: int | None = None, architecture: Architecture | None = None
) -> tuple[str, ...]:
    """Return the stages of a unit after which there are registers, for a depth of the pipeline as of `depth`.

    In a deep pipeline, ``row 1``, ``row 2``, ... stand for the ranks in front of the accumulator, ``result 1``, ... for
    those behind it.
    """
    pipeline = depth(unit, pipeline, architecture)
    possible = ranks(unit, architecture)
    if pipeline > len(possible):
        ahead, behind = split_ranks(unit, pipeline, architecture)
        rows = [f"row {index + 1}" for index in range(ahead)]
        return (*rows, "accumulate", *(f"result {index + 1}" for index in range(behind)))
    preferred = [name for name in _PREFERENCE if name in possible]
    return tuple(name for name in possible if name in preferred[:pipeline])


def latency(unit: DotProductUnit, pipeline: int | None = None, architecture: Architecture | None = None) -> int:
    """Return the enabled cycles from a row with `last` to its output: one for each rank of registers."""
    return depth(unit, pipeline, architecture)
