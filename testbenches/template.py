# SPDX-License-Identifier: Apache-2.0
"""Text with places to be filled, and the pieces that self-checking testbenches in plain Verilog share."""

from collections.abc import Mapping

__all__ = [
    "STREAM_PIECES",
    "fill",
]

STREAM_PIECES = {
    "PULSE": """\
    // Inputs change while clk is low and ports are read just before it rises, in one process: no simulator sees a race.
    task pulse;
        begin
            #1 clk = 1'b1;
            #5 clk = 1'b0;
        end
    endtask

    // 32-bit Galois register, x^32 + x^22 + x^2 + x + 1: the same pauses in every simulator.
    task advance;
        lfsr = lfsr[0] ? (lfsr >> 1) ^ 32'h80200003 : lfsr >> 1;
    endtask""",
    "FAIL": """\
    task fail;
        if (!failed) begin
            failed = 1'b1;
            $display("  in mode %0d, cycle %0d, @BEAT@ %0d, output %0d", mode, cycle, sent, taken);
        end
    endtask""",
    "PAUSES": """\
            if (gap_left == 0) begin
                advance;
                gap_on = ~gap_on;
                gap_left = 1 + (mode == 1 ? lfsr[9:8] : lfsr[13:8] % 40);
            end
            if (stall_left == 0) begin
                advance;
                stall_on = ~stall_on;
                stall_left = 1 + (mode == 1 ? lfsr[9:8] : lfsr[13:8] % 40);
            end
            gap_left = gap_left - 1;
            stall_left = stall_left - 1;""",
    "STEADY": """\
            if ((i_ready !== 1'b0 && i_ready !== 1'b1) || (o_valid !== 1'b0 && o_valid !== 1'b1)) begin
                $display("i_ready is %b, o_valid is %b", i_ready, o_valid);
                fail;
            end
            if (holding && o_valid !== 1'b1) begin
                $display("o_valid fell while o_ready was low: an output is lost");
                fail;
            end
            if (holding && o_valid === 1'b1 && @OUT@ !== held) begin
                $display("@WHAT@ changed while o_valid was high and o_ready low: was %h, is %h", held, @OUT@);
                fail;
            end
            holding = o_valid === 1'b1 && !o_ready;
            held = @OUT@;""",
    "STUCK": """\
            if (idle > DEADLINE) begin
                $display("nothing moved for %0d cycles: %0d of %0d outputs came", idle, taken, OUTPUTS);
                fail;
            end""",
    "LOAD": """\
    task load; // a missing line, or one that is no hexadecimal word, leaves X
        begin
            $readmemh("rows.mem", rows);
            $readmemh("expected.mem", expected);
            for (count = 0; count < ROWS; count = count + 1)
                if (!failed && ^rows[count] === 1'bx) begin
                    failed = 1'b1;
                    $display("line %0d of rows.mem is missing, or is no hexadecimal word", count + 1);
                end
            for (count = 0; count < OUTPUTS; count = count + 1)
                if (!failed && ^expected[count] === 1'bx) begin
                    failed = 1'b1;
                    $display("line %0d of expected.mem is missing, or is no hexadecimal word", count + 1);
                end
        end
    endtask""",
    "START": """\
        compared = 0;
        cycle = 0;
        gap_on = 1'b0;
        stall_on = 1'b0;
        mode = 0;
        rst = 1'b1;
        i_valid = 1'b0;
        o_ready = 1'b0;
        row = 0;
        clk = 1'b0;
        repeat (2) #4 pulse;
        reset;""",
}
"""Of a testbench of streams ``i`` and ``o``, with names: BEAT, a word of ``i``; OUT, the payload of ``o``; WHAT, it."""


def fill(text: str, values: Mapping[str, object]) -> str:
    """Put values in the place of their names, ``@NAME@``, in the order of the mapping: one may have names in it."""
    for name, value in values.items():
        text = text.replace(f"@{name}@", str(value))
    return text
