// SPDX-License-Identifier: Apache-2.0
// INT8 multiply-accumulate by hand: the smallest design that obeys the ports of a unit. Latency 2.
module mac_int8_core (
    input  wire        clk,
    input  wire        rst,
    input  wire        en,
    input  wire        valid,
    input  wire        first,
    input  wire        last,
    input  wire [7:0]  a,
    input  wire [7:0]  b,
    input  wire [31:0] c,
    output wire [31:0] d,
    output wire        d_valid
);
    reg         row_valid;
    reg         row_first;
    reg         row_last;
    reg  [15:0] product;
    reg  [31:0] start;
    reg  [31:0] sum;
    reg         done;

    wire [31:0] addend = {{16{product[15]}}, product};
    wire [31:0] base   = row_first ? start : sum;

    always @(posedge clk) begin
        if (rst) begin
            row_valid <= 1'b0;
            done <= 1'b0;
        end else if (en) begin
            row_valid <= valid;
            done <= row_valid & row_last;
        end
    end

    always @(posedge clk) begin
        if (en) begin
            row_first <= first;
            row_last <= last;
            product <= $signed(a) * $signed(b);
            start <= c;
            if (row_valid) sum <= base + addend;
        end
    end

    assign d = sum;
    assign d_valid = done;
endmodule

module mac_int8 (
    input  wire        clk,
    input  wire        rst,
    input  wire        i_valid,
    output wire        i_ready,
    input  wire        i_first,
    input  wire        i_last,
    input  wire [7:0]  i_a,
    input  wire [7:0]  i_b,
    input  wire [31:0] i_c,
    output wire        o_valid,
    input  wire        o_ready,
    output wire [31:0] o_d
);
    wire en = o_ready | ~o_valid;

    assign i_ready = en;

    mac_int8_core core (
        .clk(clk), .rst(rst), .en(en), .valid(i_valid), .first(i_first), .last(i_last),
        .a(i_a), .b(i_b), .c(i_c), .d(o_d), .d_valid(o_valid)
    );
endmodule
