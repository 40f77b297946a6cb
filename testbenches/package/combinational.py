# SPDX-License-Identifier: Apache-2.0
"""A self-checking testbench in plain Verilog for a combinational module."""

from testbenches.package.netlist import Module
from testbenches.template import fill

__all__ = [
    "combinational_testbench",
]

_TEXT = """\
// SPDX-License-Identifier: Apache-2.0
// Self-checking testbench of @TOP@, which is combinational: @ROWS@ rows, Verilog-2005, no other file than
// rows.mem and expected.mem in the working directory. It prints PASS or FAIL in its last line.
`timescale 1ns / 1ps

module @TOP@_tb;
    localparam ROWS = @ROWS@;

    reg  [@ROW_HIGH@:0] rows [0:ROWS-1];
    // The low half of a word: the outputs. The high half: the mask, a 1 for each bit of them that counts.
    reg  [@WANT_HIGH@:0] expected [0:ROWS-1];
    reg  [@ROW_HIGH@:0] row;
    wire [@SEEN_HIGH@:0] seen;
    reg  [@SEEN_HIGH@:0] want;
    reg  [@SEEN_HIGH@:0] care;
    integer index;
    integer wrong;
    reg  broken;

    @TOP@ dut (
@CONNECTIONS@
    );

    initial begin
        $readmemh("rows.mem", rows);
        $readmemh("expected.mem", expected);
        wrong = 0;
        // A missing line, or one that is no hexadecimal word, leaves X.
        for (index = 0; index < ROWS; index = index + 1) begin
            if (^rows[index] === 1'bx) begin
                wrong = wrong + 1;
                if (wrong <= 10) $display("line %0d of rows.mem is missing, or is no hexadecimal word", index + 1);
            end else if (^expected[index] === 1'bx) begin
                wrong = wrong + 1;
                if (wrong <= 10) $display("line %0d of expected.mem is missing, or is no hexadecimal word", index + 1);
            end
        end
        broken = wrong != 0;
        for (index = 0; index < ROWS && !broken; index = index + 1) begin
            row = rows[index];
            {care, want} = expected[index];
            #1;
            if (((seen ^ want) & care) !== @SEEN_BITS@'d0) begin
                wrong = wrong + 1;
                if (wrong <= 10)
                    $display("row %0d is wrong: inputs %h, expected %h, seen %h", index, row, want & care, seen & care);
            end
        end
        if (wrong != 0) $display("FAIL: @TOP@: %0d of %0d rows", wrong, ROWS);
        else $display("PASS: @TOP@: %0d rows compared", ROWS);
        $finish;
    end
endmodule
"""


def combinational_testbench(module: Module, rows: int) -> str:
    """
    Write the Verilog of a testbench that checks itself.

    Parameters
    ----------
    module : Module
        With neither clock nor state.
    rows : int
        Lines of ``rows.mem``, the inputs side by side, the first at bit 0; and of ``expected.mem``, the outputs so, and
        above them a word of the same width with a 1 for each bit that counts.

    Returns
    -------
    str
        Verilog-2005, module ``<name>_tb``.
    """
    connections, lows = [], {"input": 0, "output": 0}
    for name, port in module.ports.items():
        low = lows[port.direction]
        word = "row" if port.direction == "input" else "seen"
        connections.append(f"        .{name}({word}[{low + port.bits - 1}:{low}])")
        lows[port.direction] += port.bits
    values = {
        "TOP": module.name,
        "ROWS": rows,
        "ROW_HIGH": lows["input"] - 1,
        "SEEN_HIGH": lows["output"] - 1,
        "SEEN_BITS": lows["output"],
        "WANT_HIGH": 2 * lows["output"] - 1,
        "CONNECTIONS": ",\n".join(connections),
    }
    return fill(_TEXT, values)
