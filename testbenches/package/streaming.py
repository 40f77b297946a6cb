# SPDX-License-Identifier: Apache-2.0
"""A self-checking testbench in plain Verilog for a module with one stream in and one stream out."""

from testbenches.package.netlist import Module

__all__ = [
    "stream_ports",
    "streaming_testbench",
]

_TEXT = """\
// SPDX-License-Identifier: Apache-2.0
// Self-checking testbench of @TOP@: @ROWS@ beats, @OUTPUTS@ outputs, Verilog-2005, no other file than
// rows.mem and expected.mem in the working directory. A line a mode tells how
// far it is; the last line begins with PASS or FAIL.
//
// Mode 0: a beat on offer in every cycle and every output taken at once. Mode 1: both ports pause for a few cycles at a
// time. Mode 2: for many cycles. Before each mode the design is reset in the middle of a stream, four times.
`timescale 1ns / 1ps

module @TOP@_tb;
    localparam ROWS = @ROWS@;
    localparam OUTPUTS = @OUTPUTS@;
    localparam DEADLINE = @DEADLINE@;

    reg  [@ROW_HIGH@:0] rows [0:ROWS-1];
    reg  [@OUT_HIGH@:0] expected [0:OUTPUTS-1];

    reg  clk;
    reg  rst;
    reg  i_valid;
    wire i_ready;
    reg  [@ROW_HIGH@:0] row;
    wire o_valid;
    reg  o_ready;
    wire [@OUT_HIGH@:0] out;

    reg  [31:0] lfsr;
    reg  waiting;
    reg  holding;
    reg  [@OUT_HIGH@:0] held;
    reg  failed;
    integer mode;
    integer cycle;
    integer idle;
    integer sent;
    integer taken;
    integer compared;
    integer gap_left;
    integer stall_left;
    reg  gap_on;
    reg  stall_on;
    integer count;
    integer attempt;
    integer length;

    @TOP@ dut (
        .clk(clk), .rst(rst), .i_valid(i_valid), .i_ready(i_ready),
@CONNECTIONS@
        .o_valid(o_valid), .o_ready(o_ready)
    );

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
    endtask

    task fail;
        if (!failed) begin
            failed = 1'b1;
            $display("  in mode %0d, cycle %0d, beat %0d, output %0d", mode, cycle, sent, taken);
        end
    endtask

    task drive;
        begin
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
            stall_left = stall_left - 1;
            // A beat that waits stays on offer, as it is.
            i_valid = sent < ROWS && (mode == 0 || gap_on || waiting);
            row = rows[i_valid ? sent : lfsr % ROWS];
            o_ready = mode == 0 || stall_on;
        end
    endtask

    task judge; // the output port, as it was before the clock edge
        begin
            if ((i_ready !== 1'b0 && i_ready !== 1'b1) || (o_valid !== 1'b0 && o_valid !== 1'b1)) begin
                $display("i_ready is %b, o_valid is %b", i_ready, o_valid);
                fail;
            end
            if (holding && o_valid !== 1'b1) begin
                $display("o_valid fell while o_ready was low: an output is lost");
                fail;
            end
            if (holding && o_valid === 1'b1 && out !== held) begin
                $display("an output changed while o_valid was high and o_ready low: was %h, is %h", held, out);
                fail;
            end
            holding = o_valid === 1'b1 && !o_ready;
            held = out;
            if (o_valid === 1'b1 && o_ready) begin
                if (taken == OUTPUTS) begin
                    $display("extra output %h", out);
                    fail;
                end else begin
                    if (out !== expected[taken]) begin
                        $display("output %0d is wrong: expected %h, seen %h", taken, expected[taken], out);
                        fail;
                    end
                    taken = taken + 1;
                    compared = compared + 1;
                    idle = 0;
                end
            end
            waiting = i_valid && i_ready !== 1'b1;
            if (i_valid && i_ready === 1'b1) begin
                sent = sent + 1;
                idle = 0;
            end
        end
    endtask

    task clock;
        begin
            #4 cycle = cycle + 1;
            idle = idle + 1;
            judge;
            pulse;
            drive;
            if (idle > DEADLINE) begin
                $display("nothing moved for %0d cycles: %0d of %0d outputs came", idle, taken, OUTPUTS);
                fail;
            end
        end
    endtask

    task drain; // nothing is offered: nothing may come
        for (count = 0; count < DEADLINE && !failed; count = count + 1) begin
            o_ready = 1'b1;
            i_valid = 1'b0;
            #4 cycle = cycle + 1;
            judge;
            pulse;
        end
    endtask

    task reset; // with a beat on offer, which must leave no trace
        begin
            advance;
            rst = 1'b1;
            i_valid = 1'b1;
            row = rows[lfsr % ROWS];
            o_ready = lfsr[4];
            repeat (2) #4 pulse;
            rst = 1'b0;
            i_valid = 1'b0;
            // Until the stream begins again, an output would be an extra one.
            sent = ROWS;
            taken = OUTPUTS;
            idle = 0;
            holding = 1'b0;
            waiting = 1'b0;
            drain;
            sent = 0;
            taken = 0;
            gap_left = 0;
            stall_left = 0;
        end
    endtask

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
    endtask

    initial begin
        failed = 1'b0;
        load;
        lfsr = 32'h9e3779b1;
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
        reset;
        for (mode = 0; mode < 3 && !failed; mode = mode + 1) begin
            for (attempt = 0; attempt < 4 && !failed; attempt = attempt + 1) begin
                advance;
                length = 1 + lfsr[15:0] % (ROWS + DEADLINE / 2);
                drive;
                for (count = 0; count < length && !failed; count = count + 1) clock;
                reset;
            end
            drive;
            while ((sent < ROWS || taken < OUTPUTS) && !failed) clock;
            if (!failed) drain;
            if (!failed) $display("mode %0d of 0 to 2: %0d outputs equal", mode, taken);
            $fflush;
        end
        if (failed) $display("FAIL: @TOP@");
        else $display("PASS: @TOP@: %0d outputs compared in %0d cycles", compared, cycle);
        $finish;
    end
endmodule
"""
_HANDSHAKE = ("clk", "rst", "i_valid", "i_ready", "o_valid", "o_ready")


def stream_ports(module: Module, direction: str) -> dict[str, int]:
    """Return the ports of a stream's payload with their bits: of ``"input"`` or ``"output"``."""
    return {
        name: port.bits for name, port in module.ports.items() if port.direction == direction and name not in _HANDSHAKE
    }


def streaming_testbench(module: Module, rows: int, outputs: int, deadline: int) -> str:
    """
    Write the Verilog of a testbench that checks itself.

    Parameters
    ----------
    module : Module
        With ``clk``, ``rst``, valid and ready of ``i`` and ``o``, and payloads ``i_...`` and ``o_...``.
    rows, outputs : int
        Lines of ``rows.mem`` and ``expected.mem``: payloads side by side in the module's order, the first at bit 0.
    deadline : int
        Cycles within which something moves, and an emptying module is empty.

    Returns
    -------
    str
        Verilog-2005, module ``<name>_tb``.
    """
    connections = []
    highs = {}
    for direction, word in (("input", "row"), ("output", "out")):
        low = 0
        for name, bits in stream_ports(module, direction).items():
            connections.append(f"        .{name}({word}[{low + bits - 1}:{low}]),")
            low += bits
        highs[direction] = low - 1
    values = {
        "TOP": module.name,
        "ROWS": rows,
        "OUTPUTS": outputs,
        "DEADLINE": deadline,
        "ROW_HIGH": highs["input"],
        "OUT_HIGH": highs["output"],
        "CONNECTIONS": "\n".join(connections),
    }
    text = _TEXT
    for key, value in values.items():
        text = text.replace(f"@{key}@", str(value))
    return text
