# SPDX-License-Identifier: Apache-2.0
"""What an array's streams carry: one layout for all kinds, of which each has the fields that it needs."""

from typing import Any

from amaranth.hdl import Cat, Value

from hwsim.datapath.array import ArrayGeometry, ArrayKind
from hwsim.datapath.unit import DotProductUnit
from rtl.datapath.dot_product import row_fields

__all__ = [
    "beat_fields",
    "output_fields",
    "vectors",
    "word_bits",
    "words",
]


def vectors(geometry: ArrayGeometry) -> tuple[int, int]:
    """Return how many words of a, and of b, a beat has."""
    if geometry.kind is ArrayKind.INPUT_STATIONARY:
        return geometry.columns, geometry.rows
    return geometry.rows, geometry.columns


def beat_fields(geometry: ArrayGeometry, unit: DotProductUnit) -> dict[str, int]:
    """Return the fields of a beat of the input stream with their bits, the first at bit 0.

    Where outputs stay in place (output-stationary, broadcast, cube), a beat is a step of a tile: `first`, `last`,
    `a` for each row and `b` for each column, the next steps of K.

    Where an operand stays (weight-stationary, input-stationary, adder tree), a beat with `step` has a vector of the
    operand that streams, a word for each row, and with `partial_sums` a `c` for each column; one with `load` has a row
    of the operand that stays, a word for each column. A beat may have both, or neither: a gap. A fold's operand enters
    in `rows` beats with `load`, the last row first, while the fold before it computes; the step with `first` takes it
    into use; the one with `last` ends the fold. Between one `first` and the next there are `rows` loads. A beat with
    `load` waits while an operand that was loaded before is not in use everywhere, so that (systolic, more than one row)
    no beat can have both `load` and `first`.

    A word is a step of the unit, ``lanes`` codes, lane 0 at bit 0; of a cube's, ``depth`` steps. Words and scales are
    in order, row or column 0 at bit 0. A tree's rows have one `scale_a` together, and a column one `scale_b`, that of
    the last load.
    """
    of_a, of_b = vectors(geometry)
    lanes = unit.lanes * (geometry.depth if geometry.kind is ArrayKind.CUBE else 1)
    flags = ("first", "last") if geometry.kind.keeps_outputs else ("step", "first", "last", "load")
    fields = dict.fromkeys(flags, 1)
    fields |= {"a": of_a * lanes * unit.element_a.bits, "b": of_b * lanes * unit.element_b.bits}
    scales_a = 1 if geometry.kind is ArrayKind.ADDER_TREE else of_a
    for name, spec, count in (("scale_a", unit.scale_a, scales_a), ("scale_b", unit.scale_b, of_b)):
        if spec is not None:
            fields[name] = count * spec.bits
    if geometry.partial_sums:
        fields["c"] = geometry.columns * row_fields(unit)["c"]
    return fields


def output_fields(geometry: ArrayGeometry, unit: DotProductUnit) -> dict[str, int]:
    """Return the fields of the output stream: `d`, a code for each column, and `last`.

    Where outputs stay in place, a tile makes `rows` outputs, row 0 first, the last with `last`. Else each step makes
    one, and `last` is that of the step; the columns are of M in an input-stationary array.
    """
    return {"last": 1, "d": geometry.columns * unit.output.bits}


def word_bits(unit: DotProductUnit, operand: str) -> int:
    """Return the bits of an element's word: the codes of a step, and their scale above them."""
    element, scale = (unit.element_a, unit.scale_a) if operand == "a" else (unit.element_b, unit.scale_b)
    return unit.lanes * element.bits + (0 if scale is None else scale.bits)


def words(beat: Any, geometry: ArrayGeometry, unit: DotProductUnit, operand: str) -> list[Value]:
    """Return the words of an operand in a beat, codes and scale joined; `unit` is that of an element."""
    count = vectors(geometry)[operand == "b"]
    scale = unit.scale_a if operand == "a" else unit.scale_b
    codes = Value.cast(beat[operand])
    bits = len(codes) // count
    found: list[Value] = [codes[index * bits : (index + 1) * bits] for index in range(count)]
    if scale is None:
        return found
    scales = Value.cast(beat[f"scale_{operand}"])
    return [Cat(word, scales[i * scale.bits : (i + 1) * scale.bits]) for i, word in enumerate(found)]
