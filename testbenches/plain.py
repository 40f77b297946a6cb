# SPDX-License-Identifier: Apache-2.0
"""A self-checking testbench in plain Verilog, for those who have a simulator and no Python."""

from testbenches.design import Design
from testbenches.template import STREAM_PIECES, fill

__all__ = [
    "plain_testbench",
]

_TEXT = """\
// SPDX-License-Identifier: Apache-2.0
// Self-checking testbench of @TOP@: @ROWS@ rows, @OUTPUTS@ outputs, Verilog-2005, no other file than
// rows.mem and expected.mem in the working directory. A line a mode tells how
// far it is; the last line begins with PASS or FAIL.
//
// Mode 0: a row in every cycle and every output taken at once; the latency must be @STATED@ cycles.
// Mode 1: both ports pause for a few cycles at a time. Mode 2: for many cycles, so that the pipeline fills and empties.
// Before each mode the design is reset in the middle of a stream, eight times.
`timescale 1ns / 1ps

module @TOP@_tb;
    localparam ROWS = @ROWS@;
    localparam OUTPUTS = @OUTPUTS@;
    localparam LATENCY = @LATENCY@;
    localparam LONGEST = @LONGEST@;
    localparam FULL_RATE = @FULL_RATE@;
    localparam DEADLINE = 4 * LONGEST + 512;

    reg  [@ROW_HIGH@:0] rows [0:ROWS-1];
    reg  [@D_HIGH@:0] expected [0:OUTPUTS-1];
    integer asked [0:OUTPUTS-1];

    reg  clk;
    reg  rst;
    reg  i_valid;
    wire i_ready;
    reg  [@ROW_HIGH@:0] row;
    wire o_valid;
    reg  o_ready;
    wire [@D_HIGH@:0] o_d;

    reg  [31:0] lfsr;
    reg  waiting;
    reg  holding;
    reg  [@D_HIGH@:0] held;
    reg  failed;
    integer mode;
    integer cycle;
    integer idle;
    integer sent;
    integer wanted;
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
        .o_valid(o_valid), .o_ready(o_ready), .o_d(o_d)
    );

@PULSE@

@FAIL@

    task choose; // whether the ports are active in the coming cycle
        begin
@PAUSES@
            if (mode == 0) begin
                gap_on = 1'b1;
                stall_on = 1'b1;
            end
        end
    endtask

    task drive;
        begin
            choose;
            if (sent < ROWS && (gap_on || waiting)) begin
                i_valid = 1'b1;
                row = rows[sent];
            end else begin
                i_valid = 1'b0;
                row = rows[lfsr % ROWS];
            end
            o_ready = stall_on;
        end
    endtask

    task judge; // the output port, as it was before the clock edge
        begin
@STEADY@
            if (o_valid === 1'b1 && o_ready) compare;
        end
    endtask

    task compare;
        begin
            if (taken == wanted) begin
                $display("extra output %h", o_d);
                fail;
            end else begin
                if (o_d !== expected[taken]) begin
                    $display("output %0d is wrong: expected %h, seen %h", taken, expected[taken], o_d);
                    fail;
                end
                if (mode == 0 && (cycle - asked[taken] < LATENCY || cycle - asked[taken] > LONGEST)) begin
                    $display("the latency is %0d cycles, stated is %0d", cycle - asked[taken], LATENCY);
                    fail;
                end
                taken = taken + 1;
                compared = compared + 1;
                idle = 0;
            end
        end
    endtask

    task accept;
        begin
            waiting = i_valid && i_ready !== 1'b1;
            if (i_valid && i_ready === 1'b1) begin
                if (row[@LAST_BIT@]) begin
                    asked[wanted] = cycle;
                    wanted = wanted + 1;
                end
                sent = sent + 1;
                idle = 0;
            end else if (i_valid && mode == 0 && FULL_RATE && o_ready) begin
                $display("a row is not accepted at once, though every output is");
                fail;
            end
        end
    endtask

    task reset; // with a row on offer, which must leave no trace
        begin
            advance;
            rst = 1'b1;
            i_valid = 1'b1;
            row = rows[lfsr % ROWS];
            o_ready = lfsr[4];
            #4 pulse;
            rst = 1'b0;
            i_valid = 1'b0;
            repeat (2) begin
                #4 if (o_valid !== 1'b0) begin
                    $display("o_valid is %b after rst: the reset does not clear it", o_valid);
                    fail;
                end
                pulse;
            end
            sent = 0;
            wanted = 0;
            taken = 0;
            idle = 0;
            holding = 1'b0;
            waiting = 1'b0;
            gap_left = 0;
            stall_left = 0;
        end
    endtask

    task clock;
        begin
            #4 cycle = cycle + 1;
            idle = idle + 1;
            judge;
            accept;
            pulse;
            drive;
@STUCK@
        end
    endtask

    task drain; // nothing is offered: nothing may come
        for (count = 0; count < 2 * LONGEST + 16 && !failed; count = count + 1) begin
            o_ready = 1'b1;
            i_valid = 1'b0;
            #4 cycle = cycle + 1;
            judge;
            pulse;
        end
    endtask

@LOAD@

    initial begin
        failed = 1'b0;
        load;
        lfsr = 32'h@SEED@;
@START@
        drain;
        for (mode = 0; mode < 3 && !failed; mode = mode + 1) begin
            for (attempt = 0; attempt < 8 && !failed; attempt = attempt + 1) begin
                advance;
                length = 1 + lfsr[15:0] % (2 * LONGEST + 24);
                for (count = 0; count < length && !failed; count = count + 1) clock;
                reset;
                drain;
            end
            drive;
            while ((sent < ROWS || taken < wanted) && !failed) clock;
            drain;
            if (!failed && taken != OUTPUTS) begin
                $display("%0d of %0d outputs came", taken, OUTPUTS);
                fail;
            end
            if (!failed) $display("mode %0d of 0 to 2: %0d outputs equal", mode, taken);
            $fflush;
        end
        if (failed) $display("FAIL: @TOP@");
        else $display("PASS: @TOP@: %0d outputs compared in %0d cycles, latency %0d", compared, cycle, LATENCY);
        $finish;
    end
endmodule
"""


def plain_testbench(design: Design, rows: int, outputs: int, *, seed: int = 1) -> str:
    """Write the Verilog of a testbench that checks itself.

    It reads ``rows.mem`` and ``expected.mem`` (`testbenches.design.write_job`), pauses both ports, resets in the middle
    of a stream, and compares order, number, value and, at full throughput, latency of the outputs.

    Parameters
    ----------
    design : Design
        The shell.
    rows, outputs : int
        Lines of the two files.
    seed : int, default 1
        Seed of the pauses.

    Returns
    -------
    str
        Verilog-2005, module ``<top>_tb``.
    """
    low, last_bit, connections = 0, 0, []
    for port in design.ports.fields:
        connections.append(f"        .i_{port.name}(row[{low + port.bits - 1}:{low}]),")
        if port.name == "last":
            last_bit = low
        low += port.bits
    longest = design.latency if design.longest_latency is None else design.longest_latency
    values = {
        "TOP": design.top,
        "BEAT": "row",
        "OUT": "o_d",
        "WHAT": "o_d",
        "ROWS": rows,
        "OUTPUTS": outputs,
        "LATENCY": design.latency,
        "LONGEST": longest,
        "STATED": design.latency if longest == design.latency else f"{design.latency} to {longest}",
        "FULL_RATE": int(design.full_rate),
        "ROW_HIGH": design.ports.row_bits - 1,
        "D_HIGH": design.ports.output_bits - 1,
        "LAST_BIT": last_bit,
        "CONNECTIONS": "\n".join(connections),
        "SEED": f"{(seed * 2654435761 & 0xFFFFFFFF) | 1:08x}",
    }
    return fill(_TEXT, STREAM_PIECES | values)
