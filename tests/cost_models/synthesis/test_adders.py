# SPDX-License-Identifier: Apache-2.0
"""Library adders in the place of adder modules: the netlist has the cells, and adds as before."""

import numpy as np
import pytest

from cost_models.activity import Simulator, levelize
from cost_models.synthesis import asic
from cost_models.synthesis.adders import has_adders, with_library_adders
from cost_models.technologies import Technology, read

TEXT = """
module u_full_adder(a, b, c, total, carry);
  input a; input b; input c; output total; output carry;
  assign total = a ^ b ^ c;
  assign carry = (a & b) | (c & (a ^ b));
endmodule
module u_half_adder(a, b, total, carry);
  input a; input b; output total; output carry;
  assign total = a ^ b;
  assign carry = a & b;
endmodule
module count(x, y);
  input [4:0] x; output [2:0] y;
  wire s1, c1, c2, c3;
  u_full_adder f1 (.a(x[0]), .b(x[1]), .c(x[2]), .total(s1), .carry(c1));
  u_full_adder f2 (.a(s1), .b(x[3]), .c(x[4]), .total(y[0]), .carry(c2));
  u_half_adder h (.a(c1), .b(c2), .total(y[1]), .carry(y[2]));
endmodule
"""


def library(name: str) -> Technology:
    found = read(name)
    assert isinstance(found, Technology)
    return found


@pytest.mark.parametrize(("technology", "cell"), [("nangate45", "FA_X1"), ("asap7", "FAx1_ASAP7_75t_R")])
def test_with_library_adders_netlist(technology: str, cell: str) -> None:
    cells = library(technology)
    result = asic(TEXT, "count", cells, ["area_cells"]).results[0]
    netlist = levelize(result.netlist_json, cells, "count")
    assert netlist.cells[cell] == 2
    x = np.arange(32, dtype=np.uint64)[None, :]
    y = Simulator(netlist, 64).run({"x": np.pad(x, ((0, 0), (0, 32)))}).outputs["y"][0, :32]
    assert y.tolist() == [value.bit_count() for value in range(32)]


def test_with_library_adders_text() -> None:
    assert has_adders(TEXT)
    assert not has_adders("module t(a); input a; endmodule")
    text = with_library_adders(TEXT, library("asap7"))
    assert "assign total = ~total_pin;" in text
    assert text.count("endmodule") == TEXT.count("endmodule")
    assert "FA_X1 cell_ (.A(a), .B(b), .CI(c), .S(total_pin), .CO(carry_pin));" in with_library_adders(
        TEXT, library("nangate45")
    )


def test_asic_recipes_that_matter() -> None:
    """A text without products or adders has the two plain recipes only, whatever is asked."""
    plain = asic("module t(input a, input b, output y); assign y = a ^ b; endmodule", "t", library("nangate45"))
    assert [result.recipe for result in plain.results] == ["area", "timing"]
    one = asic(
        "module t(input a, input b, output y); assign y = a ^ b; endmodule", "t", library("nangate45"), ["area_booth"]
    )
    assert [result.recipe for result in one.results] == ["area_booth"]
