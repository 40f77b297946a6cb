# SPDX-License-Identifier: Apache-2.0
"""A unit's stages as a diagram in text."""

import textwrap

from hwsim.datapath import DotProductUnit
from hwsim.report.units.stages import Stage, inputs, is_fused, stages

__all__ = [
    "diagram",
]

_WIDTH = 104  # between the outer edges of a box
_MARGIN = 14  # of the names
_RESTART = 60  # where the arrow from a promotion back to the first register stands
_LOOP = 4  # columns between a box and what goes back beside it


def diagram(unit: DotProductUnit) -> list[str]:
    """Return the stages as boxes, one below the other; each register's way back is drawn on the right."""
    boxes = stages(unit)
    back_from = next(i for i, stage in enumerate(boxes) if stage.name == "accumulate")
    back_to = back_from - 1 if is_fused(unit) else back_from
    lines = [f"  {line}" for line in inputs(unit)]
    lines.append(_wire("", turn=" "))
    for at, stage in enumerate(boxes):
        alone = stage.name == "promote"  # a register that its own sums go back to
        lines += _box(stage, enters=alone or at == back_to, leaves=alone or at == back_from)
        passing = back_to <= at < back_from
        last = at == len(boxes) - 1
        lines.append(_wire(stage.out, turn="│" if passing else " ", end=last))
        if not last and boxes[at + 1].name == "promote":
            lines[-1] = lines[-1].rstrip().ljust(_RESTART) + "▲  restarts at 0"
    return [line.rstrip() for line in lines]


def _wire(label: str, *, turn: str, end: bool = False) -> str:
    mark = "▼" if end or not label else "│"
    return f"       {mark}  {label}".ljust(_WIDTH + _LOOP) + turn


def _box(stage: Stage, *, enters: bool, leaves: bool) -> list[str]:
    """Draw a stage; the register's way back `enters` at its first line, and `leaves` at its last one."""
    edge = "═" if stage.register else "─"
    corners = ("╔╗╚╝", "┌┐└┘")[not stage.register]
    side = "║" if stage.register else "│"
    room = _WIDTH - _MARGIN - 4
    text = [line for does in stage.does for line in textwrap.wrap(does, room, subsequent_indent="  ")]
    if enters and leaves and len(text) == 1:
        text.append("")
    lines = [corners[0] + edge * (_WIDTH - 2) + corners[1]]
    for at, line in enumerate(text):
        name = stage.name if at == 0 else ""
        inner = f"{side} {name:<{_MARGIN - 1}} {line:<{room}} {side}"
        first, last = at == 0, at == len(text) - 1
        if enters and first:
            inner += " ◄──┐"
        elif leaves and last:
            inner += " ───┘"
        elif enters or (leaves and not (enters and first)):
            inner += "    │"
        lines.append(inner)
    lines.append(corners[2] + edge * (_WIDTH - 2) + corners[3] + ("    │" if enters and not leaves else ""))
    if leaves and not enters:
        lines[0] += "    │"
    return lines
