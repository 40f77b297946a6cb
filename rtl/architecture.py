# SPDX-License-Identifier: Apache-2.0
"""How a unit is built: structures that change what it costs, and never what it computes."""

from dataclasses import dataclass, fields
from typing import Literal, get_args, get_type_hints

__all__ = [
    "ARCHITECTURES",
    "Accumulation",
    "Adder",
    "Architecture",
    "Multiplier",
    "Reduction",
    "architecture",
]

Multiplier = Literal["tool", "array", "booth", "dadda"]
Reduction = Literal["tool", "heap"]
Adder = Literal["tool", "ripple", "sklansky", "kogge_stone", "brent_kung", "han_carlson"]
Accumulation = Literal["binary", "carry_save"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """
    Structures of a unit.

    Parameters
    ----------
    multiplier : {"tool", "array", "booth", "dadda"}
        How products are made: the synthesizer's own ``*``; AND rows with carry-save rows behind one another; radix-4
        Booth digits; AND rows (signed operands: Baugh and Wooley's form), alone in a tree of Dadda's stages, in a heap
        with all that is added to them.
    reduction : {"tool", "heap"}
        How products and register are added: the synthesizer's own ``+``, in a tree; or one carry-save tree over the
        weighted bits of all of them, with one carry-propagate adder behind.
    adder : {"tool", "ripple", "sklansky", "kogge_stone", "brent_kung", "han_carlson"}
        The carry-propagate adders.
    accumulation : {"binary", "carry_save"}
        What the register holds between rows: a number; or a sum and a carry word, added once behind the last row
        (OPT1 of TPE, arXiv:2503.06342).

    Raises
    ------
    ValueError
        A field is none of its words.
    """

    multiplier: Multiplier = "tool"
    reduction: Reduction = "tool"
    adder: Adder = "tool"
    accumulation: Accumulation = "binary"

    def __post_init__(self) -> None:
        words = get_type_hints(type(self))
        for field in fields(self):
            value, known = getattr(self, field.name), get_args(words[field.name])
            if value not in known:
                raise ValueError(f"{field.name} must be one of {', '.join(known)}, not {value!r}")

    @property
    def name(self) -> str:
        """Its name in `ARCHITECTURES`, else its words joined by hyphens."""
        for name, known in ARCHITECTURES.items():
            if known == self:
                return name
        return "-".join(getattr(self, field.name) for field in fields(self))


ARCHITECTURES = {
    "tool": Architecture(),
    "booth_heap": Architecture(multiplier="booth", reduction="heap"),
    "dadda_heap": Architecture(multiplier="dadda", reduction="heap"),
    "fast_heap": Architecture(multiplier="dadda", reduction="heap", adder="sklansky"),
    "carry_save": Architecture(multiplier="booth", reduction="heap", adder="sklansky", accumulation="carry_save"),
}
"""The fixed set that prices are taken over, the same for every unit."""


def architecture(name: str) -> Architecture:
    """
    Return the architecture of a name.

    Raises
    ------
    KeyError
        There is none of that name; the message has those there are.
    """
    if name not in ARCHITECTURES:
        raise KeyError(f"unknown architecture {name!r}; there are {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[name]
