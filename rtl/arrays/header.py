# SPDX-License-Identifier: Apache-2.0
"""The comment on top of an array's Verilog."""

from hwsim.datapath.array import ArrayGeometry, ArrayKind
from hwsim.datapath.unit import DotProductUnit
from rtl.architecture import Architecture
from rtl.arrays.array import array_latency
from rtl.arrays.layouts import beat_fields, output_fields, vectors

__all__ = [
    "array_header",
    "array_name",
]

_WHAT = {
    ArrayKind.OUTPUT_STATIONARY: "systolic, outputs stay: row r of a is delayed by r cycles inside, column c of b by c",
    ArrayKind.WEIGHT_STATIONARY: "systolic, weights (b) stay: row r of a is delayed by r cycles inside",
    ArrayKind.INPUT_STATIONARY: "systolic, inputs (a) stay: row r of b is delayed by r cycles inside",
    ArrayKind.BROADCAST: "broadcast matrix, outputs stay: an operand reaches its whole row or column in one cycle",
    ArrayKind.CUBE: "cube, outputs stay: a dot product in each place, operands as of a broadcast matrix",
    ArrayKind.ADDER_TREE: "multiplier-adder trees, weights (b) stay: a column adds the products of all rows at once",
}


def array_name(geometry: ArrayGeometry, unit: DotProductUnit, pipeline: int = 1) -> str:
    """Return the name of an array's module."""
    return f"{geometry.name}_{unit.name}" + (f"_p{pipeline}" if pipeline > 1 else "")


def array_header(
    geometry: ArrayGeometry,
    unit: DotProductUnit,
    architecture: Architecture,
    version: str,
    *,
    name: str | None = None,
    pipeline: int = 1,
) -> str:
    """Return the comment for an array, whose module is `name`."""
    top = name or array_name(geometry, unit, pipeline)
    kind, rows = geometry.kind, geometry.rows
    element = geometry.element(unit)
    lines = [
        f"{top}: written by hwsim {version}",
        "",
        f"{rows} x {geometry.columns} array, {_WHAT[kind]}.",
        f"Element:      {element.name}, {element.lanes} product{'s' * (element.lanes > 1)} a step",
        f"Architecture: {architecture.name}",
        *([f"Pipeline:     {pipeline} ranks of registers of an element, its accumulator's with them"] * (pipeline > 1)),
        *(_tiles(geometry) if kind.keeps_outputs else _folds(geometry)),
        f"Latency:      {array_latency(geometry, pipeline)} cycles from "
        + ("the last step of a tile to its first output" if kind.keeps_outputs else "a step to its output")
        + ", with no wait",
        "Clock, reset: rising edge of clk; rst is synchronous, active high, and resets the flags only,",
        "              not the sums: "
        + (
            "the first step after rst, or after one with last, must have first: it starts from 0"
            if kind.keeps_outputs
            else "after rst come the loads, then a step with first; a step without first"
        ),
        *([] if kind.keeps_outputs else ["              before that gives an output of no meaning"]),
        "Flow:         while an output waits (o_valid and not o_ready) everything stands still; i_ready is",
        "              combinational from o_ready" + ("" if kind.keeps_outputs else " and i_load"),
        "",
        f"Module {top}",
        *_ports(geometry, unit),
    ]
    return "".join(f"// {line}".rstrip() + "\n" for line in lines)


def _tiles(geometry: ArrayGeometry) -> list[str]:
    systolic = geometry.kind is ArrayKind.OUTPUT_STATIONARY
    gap = geometry.rows + geometry.columns - 2 if systolic else geometry.rows - 1
    return [
        "A beat:       a step of a tile, a word of a for each row and of b for each column; first and last of the tile",
        f"Outputs:      {geometry.rows} for a tile, row 0 first, the last with o_last",
        f"Throughput:   a step a cycle; {gap} cycles between two tiles",
    ]


def _folds(geometry: ArrayGeometry) -> list[str]:
    stays, streams = ("a", "b") if geometry.kind is ArrayKind.INPUT_STATIONARY else ("b", "a")
    starts = ", and c, from which the sums start" if geometry.partial_sums else "; sums start at 0"
    tree = geometry.kind is ArrayKind.ADDER_TREE
    waits = (
        []
        if tree or geometry.rows < 3
        else [f"              a load waits until {geometry.rows - 1} cycles after the last step with first"]
    )
    both = "" if tree or geometry.rows == 1 else "; no beat may have load and first"
    return [
        f"A beat:       with step a vector of {streams}, a word for each row{starts};",
        f"              with load a row of {stays}, a word for each column; or both, or neither",
        f"Operand {stays}:    {geometry.rows} loads, the last row first, while the fold before computes; the step with",
        f"              first takes it into use: {geometry.rows} loads between one first and the next{both}",
        *waits,
        "Outputs:      one for each step, o_last for a step with last",
        "Throughput:   a step a cycle",
    ]


def _ports(geometry: ArrayGeometry, unit: DotProductUnit) -> list[str]:
    of = dict(zip("ab", vectors(geometry), strict=True))
    notes = {
        "first": "the first step of a tile" if geometry.kind.keeps_outputs else "the first step of a fold",
        "last": "the last step",
        "step": "there is a vector",
        "load": "there is a row of the operand that stays",
        "c": f"{geometry.columns} x {unit.accumulator.name}, column 0 at bit 0",
    }
    fields = beat_fields(geometry, unit)
    for name, spec, scale in (("a", unit.element_a, unit.scale_a), ("b", unit.element_b, unit.scale_b)):
        bits = fields[name] // of[name]
        notes[name] = f"{of[name]} words of {bits // spec.bits} x {spec.name}, word 0 and lane 0 at bit 0"
        if scale is not None:
            notes[f"scale_{name}"] = f"{fields[f'scale_{name}'] // scale.bits} x {scale.name}"
    outputs = output_fields(geometry, unit)
    ports = [
        ("input", "clk", 1, ""),
        ("input", "rst", 1, ""),
        ("input", "i_valid", 1, "there is a beat"),
        ("output", "i_ready", 1, "it is accepted at the clock's edge"),
        *(("input", f"i_{name}", bits, notes[name]) for name, bits in fields.items()),
        ("output", "o_valid", 1, "there is an output"),
        ("input", "o_ready", 1, "it is taken at the clock's edge"),
        ("output", "o_last", 1, "the last one of a tile" if geometry.kind.keeps_outputs else "the last one of a fold"),
        ("output", "o_d", outputs["d"], f"{geometry.columns} x {unit.output.name}, column 0 at bit 0"),
    ]
    return [f"  {direction:6} {name:9} {bits:5}  {text}".rstrip() for direction, name, bits, text in ports]
