// SPDX-License-Identifier: Apache-2.0
// Dot product of 32 signed bytes onto 64 bits: ports wider than a machine word. Latency 1.
module dot_int8_l32 (
    input  wire         clk,
    input  wire         rst,
    input  wire         i_valid,
    output wire         i_ready,
    input  wire         i_first,
    input  wire         i_last,
    input  wire [255:0] i_a,
    input  wire [255:0] i_b,
    input  wire [63:0]  i_c,
    output reg          o_valid,
    input  wire         o_ready,
    output reg  [63:0]  o_d
);
    reg signed [63:0] total;
    integer lane;

    assign i_ready = o_ready | ~o_valid;

    always @* begin
        total = i_first ? i_c : o_d;
        for (lane = 0; lane < 32; lane = lane + 1)
            total = total + $signed(i_a[8*lane +: 8]) * $signed(i_b[8*lane +: 8]);
    end

    always @(posedge clk) begin
        if (i_ready & i_valid) o_d <= total;
        if (rst) o_valid <= 1'b0;
        else if (i_ready) o_valid <= i_valid & i_last;
    end
endmodule
