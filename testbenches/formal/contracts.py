# SPDX-License-Identifier: Apache-2.0
"""What is said of the streams of shells and arrays: references and the producer's part, for `prove_handshake`."""

from itertools import combinations
from typing import Any

from hwsim.datapath import DotProductUnit
from hwsim.datapath.array import ArrayGeometry, ArrayKind
from hwsim.datapath.unit import FixedAccumulator
from hwsim.formats import Overflow
from rtl.datapath.dot_product import chosen_ranks
from testbenches.formal.handshake import Handshake
from testbenches.ports import shell_ports

__all__ = [
    "array_handshake",
    "shell_handshake",
]


def shell_handshake(unit: DotProductUnit, *, pipeline: int | None = None, values: bool = False) -> Handshake:
    """
    Return what is said of the shell of a unit.

    Parameters
    ----------
    unit : DotProductUnit
        Without a promotion.
    pipeline : optional
        As of `rtl.verilog`.
    values : bool, default False
        Whether outputs are compared too, with a = 0, so that an output is the `c` of its first row: for integers. A
        count of those owed otherwise, from the valid flags, which is what an induction needs.

    Raises
    ------
    ValueError
        The unit has a promotion.
    """
    if unit.promotion is not None:
        raise ValueError(f"unit must have no promotion, and {unit.name} has one")
    ranks = chosen_ranks(unit, pipeline)
    ports = shell_ports(unit)
    fields: dict[str, Any] = {
        "inputs": {f"i_{port.name}": port.bits for port in ports.fields},
        "outputs": {"o_d": ports.output_bits},
        "outstanding": len(ranks),
        "patience": max(len(ranks), 2),
    }
    if not values:
        rows = ranks[: ranks.index("accumulate")]
        ends = ("done", "d_valid") if ranks[-1] != "accumulate" else ("d_valid",)
        nets = [f"core.{rank}_{flag}" for rank in rows for flag in ("valid", "last")] + [f"core.{end}" for end in ends]
        owed = [f"(dut_core_{rank}_valid & dut_core_{rank}_last)" for rank in rows]
        owed += [f"dut_core_{end}" for end in ends]
        return Handshake(**fields, nets=tuple(nets), owed=" + ".join(owed))
    top = ports.output_bits - 1
    model = (
        f"  reg [{top}:0] register;\n  wire [{top}:0] following = i_first ? i_c : register;\n"
        "  always @(posedge clk) if (accepted) register <= following;"
    )
    return Handshake(**fields, model=model, reference=("following",), assume=("i_a == 0", "!i_valid | i_first | begun"))


def array_handshake(geometry: ArrayGeometry, unit: DotProductUnit, *, values: bool = False) -> Handshake:
    """
    Return what is said of a systolic array of integers without partial sums, one lane an element.

    The producer's part (`docs/arrays.md`) is assumed: a tile or fold begins with `first` and ends with `last`; where
    the weights stay, there are as many loads as rows between one `first` and the next, and no beat has both.

    Parameters
    ----------
    geometry : ArrayGeometry
        Output-stationary or weight-stationary.
    unit : DotProductUnit
        Integers into an integer register that wraps.
    values : bool, default False
        Whether outputs are compared too, with sums of products. A count of those owed otherwise, from the flags
        inside, which is what an induction needs.

    Raises
    ------
    ValueError
        The array is another.
    """
    register = unit.accumulator
    if geometry.kind not in (ArrayKind.OUTPUT_STATIONARY, ArrayKind.WEIGHT_STATIONARY) or geometry.partial_sums:
        raise ValueError(f"geometry must be systolic, outputs or weights stay, without partial sums, not {geometry}")
    if (
        not isinstance(register, FixedAccumulator)
        or (register.fraction_bits, register.overflow, unit.lanes, unit.converts) != (0, Overflow.WRAP, 1, False)
        or unit.element_a != unit.element_b
    ):
        raise ValueError(f"unit must be of one lane of an integer, in a register that wraps, not {unit.name}")
    return (_weights_stay if geometry.kind is ArrayKind.WEIGHT_STATIONARY else _outputs_stay)(geometry, unit, values)


def _outputs_stay(geometry: ArrayGeometry, unit: DotProductUnit, values: bool) -> Handshake:
    """Say it of an output-stationary array: a beat with `last` asks for a row of outputs a row of elements."""
    rows, columns, skew = geometry.rows, geometry.columns, geometry.skew_cycles
    top = unit.output.bits - 1
    model = ["  reg inside; always @(posedge clk) inside <= ~rst & (accepted ? ~i_last : inside);"]
    for row in range(rows):
        for column in range(columns):
            at = f"{row}_{column}"
            model += [
                f"  reg [{top}:0] sum_{at};",
                _product(unit, at, _code(unit, "i_a", row), _code(unit, "i_b", column)),
                f"  wire [{top}:0] next_{at} = (i_first ? 0 : sum_{at}) + product_{at};",
                f"  always @(posedge clk) if (accepted) sum_{at} <= next_{at};",
            ]
    sums = [", ".join(f"next_{row}_{column}" for column in reversed(range(columns))) for row in range(rows)]
    reference = tuple(f"{{1'd{int(row == rows - 1)}, {sums[row]}}}" for row in range(rows))
    flags = [f"last_{stage}" for stage in range(skew + rows)] + ["o_last"]
    owed = [f"{rows} * dut_{flag}" for flag in flags[: skew + 1]]
    owed += [f"{rows - index} * dut_{flag}" for index, flag in enumerate(flags[skew + 1 :])]
    apart = [
        f"!(dut_{flags[one]} & dut_{flags[two]})"
        for one, two in combinations(range(len(flags)), 2)
        if two - one <= skew
    ]
    return Handshake(
        inputs=_beat(geometry, unit, ("first", "last")),
        outputs={"o_last": 1, "o_d": columns * unit.output.bits},
        outstanding=rows * -(-len(flags) // (skew + 1)),
        patience=skew + 2,
        count=rows,
        assume=("!i_valid | i_first == ~inside",),
        model="\n".join(model if values else model[:1]),
        reference=reference if values else (),
        nets=() if values else tuple(flags),
        owed="" if values else " + ".join(owed),
        invariants=() if values else tuple(apart),
    )


def _weights_stay(geometry: ArrayGeometry, unit: DotProductUnit, values: bool) -> Handshake:
    """Say it of a weight-stationary array: each beat with `step` asks for an output."""
    rows, columns = geometry.rows, geometry.columns
    top, code = unit.output.bits - 1, unit.element_b.bits - 1
    contract = [
        "  reg inside; always @(posedge clk) inside <= ~rst & (accepted & i_step ? ~i_last : inside);",
        "  reg [7:0] loads; always @(posedge clk)",
        "    loads <= rst ? 0 : accepted ? (i_step & i_first ? 0 : loads) + i_load : loads;",
    ]
    model = []
    for column in range(columns):
        for row in range(rows):
            at = f"{row}_{column}"
            above = f"kept_{row - 1}_{column}" if row else _code(unit, "i_b", column)
            model += [
                f"  reg [{code}:0] kept_{at}, used_{at};",
                f"  wire [{code}:0] now_{at} = i_first ? kept_{at} : used_{at};",
                f"  always @(posedge clk) if (accepted & i_load) kept_{at} <= {above};",
                f"  always @(posedge clk) if (accepted & i_step) used_{at} <= now_{at};",
                _product(unit, at, _code(unit, "i_a", row), f"now_{at}"),
            ]
        products = " + ".join(f"product_{row}_{column}" for row in range(rows))
        model.append(f"  wire [{top}:0] sum_{column} = {products};")
    sums = ", ".join(f"sum_{column}" for column in reversed(range(columns)))
    flags = [f"step_{stage}" for stage in range(rows + columns - 1)] + ["o_valid"]
    return Handshake(
        inputs=_beat(geometry, unit, ("step", "first", "last", "load")),
        outputs={"o_last": 1, "o_d": columns * unit.output.bits},
        outstanding=rows + columns,
        patience=rows + columns,
        last="i_step",
        assume=(
            f"!(i_valid & i_load) | loads < {rows}",
            f"!(i_valid & i_step & i_first) | (loads == {rows} & !i_load)",
            "!(i_valid & i_step) | i_first == ~inside",
        ),
        model="\n".join(contract + model if values else contract),
        reference=(f"{{i_last, {sums}}}",) if values else (),
        nets=() if values else tuple(flags),
        owed="" if values else " + ".join(f"dut_{flag}" for flag in flags),
    )


def _beat(geometry: ArrayGeometry, unit: DotProductUnit, flags: tuple[str, ...]) -> dict[str, int]:
    """Return the ports of a beat."""
    words = {"i_a": geometry.rows * unit.element_a.bits, "i_b": geometry.columns * unit.element_b.bits}
    return {f"i_{flag}": 1 for flag in flags} | words


def _code(unit: DotProductUnit, port: str, index: int) -> str:
    """Return one code of a port."""
    bits = unit.element_a.bits
    return f"{port}[{index * bits + bits - 1}:{index * bits}]"


def _product(unit: DotProductUnit, at: str, a: str, b: str) -> str:
    """Return the declaration of a signed product."""
    return f"  wire signed [{unit.output.bits - 1}:0] product_{at} = $signed({a}) * $signed({b});"
