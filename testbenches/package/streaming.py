# SPDX-License-Identifier: Apache-2.0
"""A self-checking testbench in plain Verilog for a module with one stream in and one stream out."""

from testbenches.package.netlist import Module
from testbenches.template import STREAM_PIECES, fill

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

@PULSE@

@FAIL@

    task drive;
        begin
@PAUSES@
            // A beat that waits stays on offer, as it is.
            i_valid = sent < ROWS && (mode == 0 || gap_on || waiting);
            row = rows[i_valid ? sent : lfsr % ROWS];
            o_ready = mode == 0 || stall_on;
        end
    endtask

    task judge; // the output port, as it was before the clock edge
        begin
@STEADY@
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
@STUCK@
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

@LOAD@

    initial begin
        failed = 1'b0;
        load;
        lfsr = 32'h9e3779b1;
@START@
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
        "BEAT": "beat",
        "OUT": "out",
        "WHAT": "an output",
        "ROWS": rows,
        "OUTPUTS": outputs,
        "DEADLINE": deadline,
        "ROW_HIGH": highs["input"],
        "OUT_HIGH": highs["output"],
        "CONNECTIONS": "\n".join(connections),
    }
    return fill(_TEXT, STREAM_PIECES | values)
