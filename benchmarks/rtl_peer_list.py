# SPDX-License-Identifier: Apache-2.0
"""The peers that rtl_peers.py measures: where each is published, which files it is, and what is put around it."""

from typing import NamedTuple

__all__ = [
    "PEERS",
    "SOURCES",
    "Peer",
]


class Peer(NamedTuple):
    """A peer's design.

    `repository` is a name of `SOURCES`, and `commit` the one at which it was read. `files` are paths in a folder that
    holds those; `top` is a module of theirs or of `around`, which is Verilog of ours. `corrections` are texts that are
    replaced, where a design is wrong as it was read.
    """

    function: str
    summary: str
    repository: str
    commit: str
    files: tuple[str, ...]
    top: str
    around: str = ""
    slang: bool = False
    corrections: tuple[tuple[str, str], ...] = ()


def _within(folder: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{folder}/{name}" for name in names)


def _tree(inputs: int) -> str:
    """Return DW02_tree of some inputs: two words whose sum is that of the inputs, modulo, by levels of full adders."""
    lines = [
        "module peer_full_adder(a, b, c, total, carry);",
        "  input a, b, c;",
        "  output total, carry;",
        "  assign total = a ^ b ^ c;",
        "  assign carry = (a & b) | (c & (a ^ b));",
        "endmodule",
        "module DW02_tree #(parameter num_inputs = 2, parameter input_width = 2, parameter verif_en = 1) (",
        "  input [num_inputs*input_width-1:0] INPUT, output [input_width-1:0] OUT0, output [input_width-1:0] OUT1);",
        "  genvar i;",
    ]
    rows = [f"INPUT[{index}*input_width +: input_width]" for index in range(inputs)]
    count = 0
    while len(rows) > 2:
        following = []
        for first in range(0, len(rows) - 2, 3):
            x, y, z = (f"x{count}", f"y{count}", f"z{count}")
            total, carry = f"total{count}", f"carry{count}"
            lines += [
                f"  wire [input_width-1:0] {x} = {rows[first]}, {y} = {rows[first + 1]}, {z} = {rows[first + 2]};",
                f"  wire [input_width-1:0] {total}; wire [input_width:0] {carry}; assign {carry}[0] = 1'b0;",
                f"  generate for (i = 0; i < input_width; i = i + 1) begin : level{count}",
                f"    peer_full_adder add ({x}[i], {y}[i], {z}[i], {total}[i], {carry}[i+1]);",
                "  end endgenerate",
            ]
            following += [total, f"{carry}[input_width-1:0]"]
            count += 1
        rows = following + rows[len(rows) - len(rows) % 3 :]
    return "\n".join([*lines, f"  assign OUT0 = {rows[0]};", f"  assign OUT1 = {rows[1]};", "endmodule", ""])


def _lanes(instance: str, lanes: int, bits: int, result: int) -> str:
    """Return a module that gives the two unpacked arrays of a peer's module as two words."""
    return f"""
module peer(input [{lanes * bits - 1}:0] a, input [{lanes * bits - 1}:0] b, output [{result - 1}:0] total);
  logic signed [{bits - 1}:0] a_lane [{lanes}];
  logic signed [{bits - 1}:0] b_lane [{lanes}];
  for (genvar i = 0; i < {lanes}; i++) begin : lane
    assign a_lane[i] = a[i*{bits} +: {bits}];
    assign b_lane[i] = b[i*{bits} +: {bits}];
  end
  {instance} inner (.i_vec_a(a_lane), .i_vec_b(b_lane), .o_dp(total));
endmodule
"""


def _hardfloat(exp_bits: int, precision: int, recoded: bool) -> str:
    """Return a module that multiplies and adds, rounding to nearest even, codes of IEEE floats or recoded ones."""
    bits, more = exp_bits + precision, exp_bits + precision + 1
    parameters = f"#({exp_bits}, {precision})"
    convert = [f"  fNToRecFN {parameters} recode_{name} ({name}, {name}_recoded);" for name in "abc"]
    same = [f"  assign {name}_recoded = {name};" for name in "abc"]
    width = more if recoded else bits
    lines = [
        f"module peer(input [{width - 1}:0] a, input [{width - 1}:0] b, input [{width - 1}:0] c,",
        f"            output [{width - 1}:0] d);",
        f"  wire [{more - 1}:0] a_recoded, b_recoded, c_recoded, d_recoded;",
        "  wire [4:0] flags;",
        *(same if recoded else convert),
        f"  mulAddRecFN {parameters} inner (1'b1, 2'b00, a_recoded, b_recoded, c_recoded, 3'b000, d_recoded, flags);",
        "  assign d = d_recoded;" if recoded else f"  recFNToFN {parameters} decode_d (d_recoded, d);",
        "endmodule",
    ]
    return "\n".join([*lines, ""])


def _cvfpu(name: str) -> str:
    """Return a module of the peer's multiply-add without registers, rounding to nearest even, without its flags."""
    return f"""
module peer(input [7:0] a, input [7:0] b, input [7:0] c, output [7:0] d);
  fpnew_fma #(.FpFormat(fpnew_pkg::{name})) inner (
    .clk_i(1'b0), .rst_ni(1'b1), .operands_i({{c, b, a}}), .is_boxed_i(3'b111), .rnd_mode_i(fpnew_pkg::RNE),
    .op_i(fpnew_pkg::FMADD), .op_mod_i(1'b0), .tag_i(1'b0), .aux_i(1'b0), .in_valid_i(1'b1), .in_ready_o(),
    .flush_i(1'b0), .result_o(d), .status_o(), .extension_bit_o(), .tag_o(), .aux_o(), .out_valid_o(),
    .out_ready_i(1'b1), .busy_o());
endmodule
"""


_CVFPU = "openhwgroup/cvfpu"
_CVFPU_COMMIT = "0cb7fb14f8ae722ec072677f457bcb4e7003d8ec"
# Shifts by up to 3p + 4 do not fit its counter where p is 4: one E4M3 result in 20 is wrong. Later versions have this.
_SHIFTS = (("$clog2(3 * PRECISION_BITS + 3)", "$clog2(3 * PRECISION_BITS + 5)"),)
_CVFPU_FILES = (
    "pulp-platform/common_cells/include/common_cells/registers.svh",
    *_within("pulp-platform/common_cells/src", "cf_math_pkg.sv", "lzc.sv"),
    *_within(
        f"{_CVFPU}/src",
        "fpnew_pkg.sv", "fpnew_classifier.sv", "fpnew_rounding.sv", "fpnew_pipe_in.sv", "fpnew_fma.sv",
    ),
)  # fmt: skip
_PACOGEN = "manish-kj/PACoGen"
_HARDFLOAT_1 = "HardFloat-1"
_HARDFLOAT = _within(
    f"{_HARDFLOAT_1}/source",
    "HardFloat_consts.vi", "HardFloat_localFuncs.vi", "RISCV/HardFloat_specialize.vi", "HardFloat_primitives.v",
    "HardFloat_rawFN.v", "isSigNaNRecFN.v", "fNToRecFN.v", "recFNToFN.v", "mulAddRecFN.v",
)  # fmt: skip
_TPE = "fhys/High-Performance-Tensor-Processing-Engines"
_MX = "ebby-s/MX-for-FPGA"
_MX_COMMIT = "ad3b24e0954618c2fbb355968d8a2954450a76ab"
_NVFP4 = "Hrushi199/nvfp4-riscv-inference-engine"
_ARITH = f"{_MX}/src/util/arith"
_MX_FLOAT = (
    f"{_MX}/src/dot/dot_fp.sv",
    *_within(_ARITH, "mul_fp.sv", "vec_mul_fp.sv", "mul_int.sv", "vec_sum_int.sv"),
)


SOURCES = {
    _TPE: f"https://github.com/{_TPE}, a fork of the authors' of arXiv:2503.06342",
    _MX: f"https://github.com/{_MX}",
    _NVFP4: f"https://github.com/{_NVFP4}",
    _HARDFLOAT_1: "http://www.jhauser.us/arithmetic/HardFloat.html, Release 1",
    _CVFPU: f"https://github.com/{_CVFPU}",
    "pulp-platform/common_cells": "https://github.com/pulp-platform/common_cells, for CVFPU",
    _PACOGEN: f"https://github.com/{_PACOGEN}",
}
"""Where each is published, by its folder."""

PEERS = (
    Peer(
        "int8_mac",
        "INT8 by INT8 and a 32-bit register, operands registered",
        _TPE,
        "1351078ccade402ed5f9799a938ac9ee1da97fd4",
        (f"{_TPE}/OPT1/systolic_array_os/mac_pe/mac.v",),
        "mac",
    ),
    Peer(
        "int8_mac_carry_save",
        "the same, with the register as a sum and a carry word (OPT1); DW02_tree is ours",
        _TPE,
        "d7288d6ccc792fc8a9a45479e485c8f40b06d79e",
        _within(
            f"{_TPE}/OPT1/systolic_array_os/opt1_pe",
            "opt1_mac.v", "booth_pp_gen.v", "booth_partial_product_generator.v",
            "booth_partial_product_generator_pp1.v", "inv_conveter_8.v", "inv_unit.v", "inv_unit_nor_out.v",
        ),
        "opt1_mac",
        _tree(6),
    ),
    Peer(
        "e2m1_16",
        "exact dot product of 16 E2M1 elements, without scales",
        _NVFP4,
        "22315bd6844c9b5317a9e199ed2bc60fd5e1a76a",
        (
            *_within(
                f"{_NVFP4}/hardware/rtl/nvfp4_accelerator",
                "nvfp4_dot_product_16.sv", "nvfp4_multiplier.sv", "nvfp4_decoder.sv",
            ),
            f"{_NVFP4}/synthesis/src/accel/nvfp4_mac_unit.sv",
        ),
        "nvfp4_dot_product_16",
        slang=True,
    ),
    Peer(
        "e2m1_32",
        "exact dot product of 32 E2M1 elements, without scales (MXFP4)",
        _MX, _MX_COMMIT, _MX_FLOAT, "peer",
        _lanes("dot_fp #(.exp_width(2), .man_width(1), .k(32))", 32, 4, 15),
        slang=True,
    ),
    Peer(
        "int8_32",
        "exact dot product of 32 INT8 elements, without scales (MXINT8)",
        _MX, _MX_COMMIT,
        (f"{_MX}/src/dot/dot_int.sv", *_within(_ARITH, "mul_int.sv", "vec_mul_int.sv", "vec_sum_int.sv")),
        "peer",
        _lanes("dot_int #(.bit_width(8), .k(32))", 32, 8, 21),
        slang=True,
    ),
    Peer(
        "e4m3_32",
        "exact dot product of 32 E4M3 elements, every code a finite number, without scales (MXFP8)",
        _MX, _MX_COMMIT, _MX_FLOAT, "peer",
        _lanes("dot_fp #(.exp_width(4), .man_width(3), .k(32))", 32, 8, 43),
        slang=True,
    ),
    Peer(
        "e4m3_multiply_add",
        "E4M3 with IEEE's specials, a * b + c rounded once to nearest even",
        _HARDFLOAT_1, "", _HARDFLOAT, "peer", _hardfloat(4, 4, recoded=False), slang=True,
    ),
    Peer(
        "e4m3_multiply_add_recoded",
        "the same of E4M3 with operands and result in the peer's own recoded form",
        _HARDFLOAT_1, "", _HARDFLOAT, "peer", _hardfloat(4, 4, recoded=True), slang=True,
    ),
    Peer(
        "e4m3_multiply_add",
        "E4M3 with IEEE's specials, a * b + c rounded once to nearest even",
        _CVFPU, _CVFPU_COMMIT, _CVFPU_FILES, "peer", _cvfpu("FP8ALT"), slang=True,
        corrections=_SHIFTS,
    ),
    Peer(
        "e5m2_multiply_add",
        "E5M2, a * b + c rounded once to nearest even",
        _CVFPU, _CVFPU_COMMIT, _CVFPU_FILES, "peer", _cvfpu("FP8"), slang=True,
        corrections=_SHIFTS,
    ),
    Peer(
        "posit8_2_multiply_add",
        "posit(8,2), a product rounded to a posit and a sum rounded again",
        _PACOGEN, "ba7a1a1e6d9a7d332e0a75c7378608a659a01b4f",
        _within(_PACOGEN, "mult/posit_mult.v", "add/posit_add.v"),
        "peer",
        """
module peer(input [7:0] a, input [7:0] b, input [7:0] c, output [7:0] d);
  wire [7:0] product;
  posit_mult #(.N(8), .es(2)) multiply (.in1(a), .in2(b), .start(1'b1), .out(product), .inf(), .zero(), .done());
  posit_add #(.N(8), .es(2)) add (.in1(product), .in2(c), .start(1'b1), .out(d), .inf(), .zero(), .done());
endmodule
""",
        slang=True,
    ),
)  # fmt: skip
"""In the order in which they are measured."""
