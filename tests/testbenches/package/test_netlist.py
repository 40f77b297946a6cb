# SPDX-License-Identifier: Apache-2.0
"""Reading our own Verilog: modules, registers and what they depend on, and the graph of a pipeline."""

from testbenches.package.netlist import facts, port_notes, read_modules
from testbenches.package.stages import stages

TEXT = """\
// pair: written by hwsim 9
//
// Operand a:    two words,
//               side by side
// Latency:      2 cycles
//
// Module pair (the shell)
//   input  clk          1
//   input  a            8  a word
//   output y            9
//
// Module inner
//   input  x            8  another
//   Key: no fact

module pair(clk, rst, en, valid, a, y, done);
  wire [8:0] next;
  input clk;
  wire clk;
  input rst;
  wire rst;
  input en;
  wire en;
  input valid;
  wire valid;
  input [7:0] a;
  wire [7:0] a;
  output [8:0] y;
  wire [8:0] y;
  output done;
  reg done;
  reg [7:0] held;
  reg [8:0] total;
  reg seen;
  wire [8:0] base;
  wire [7:0] squared;
  assign base = seen ? 9'h0ff : total;
  assign y = total;
  always @(posedge clk)
    if (en) held <= squared;
  always @(posedge clk)
    if (rst) seen <= 1'h0;
    else if (en) seen <= valid;
  always @(posedge clk)
    if (rst) done <= 1'h0;
    else if (en) done <= seen;
  always @(posedge clk)
    if (en) total <= next;
  pair_square square (
    .x(a),
    .y(squared)
  );
  pair_add add (
    .a(base),
    .b(held),
    .sum(next)
  );
endmodule

module pair_square(x, y);
  input [7:0] x;
  wire [7:0] x;
  output [7:0] y;
  reg [7:0] y;
  wire [7:0] y_net;
  assign y_net = x * x;
  always @*
    y = y_net;
endmodule

module pair_add(a, b, sum);
  input [8:0] a;
  wire [8:0] a;
  input [7:0] b;
  wire [7:0] b;
  output [8:0] sum;
  wire [8:0] sum;
  assign sum = a + b;
endmodule
"""


def test_netlist_modules() -> None:
    modules = read_modules(TEXT)
    assert list(modules) == ["pair", "pair_square", "pair_add"]
    pair = modules["pair"]
    assert {name: (port.direction, port.bits) for name, port in pair.ports.items()} == {
        "clk": ("input", 1),
        "rst": ("input", 1),
        "en": ("input", 1),
        "valid": ("input", 1),
        "a": ("input", 8),
        "y": ("output", 9),
        "done": ("output", 1),
    }
    assert pair.register_bits == 8 + 9 + 1 + 1
    assert pair.registers["seen"] == ("rst", "en", "valid")
    assert pair.instances["add"].connections == {"a": ("base",), "b": ("held",), "sum": ("next",)}
    assert (("base",), ("seen", "total")) in pair.assigned
    assert (("y",), ("y_net",)) in modules["pair_square"].assigned


def test_netlist_comment() -> None:
    assert facts(TEXT) == {"Operand a": "two words, side by side", "Latency": "2 cycles"}
    assert port_notes(TEXT, "pair") == {"clk": "", "a": "a word", "y": ""}
    assert port_notes(TEXT, "inner") == {"x": "another"}


def test_stages_of_a_pipeline_with_a_loop() -> None:
    modules = read_modules(TEXT)
    found = stages(modules["pair"], modules)
    columns = {(node.kind, *node.names): node.column for node in found.nodes.values()}
    assert columns == {
        ("input", "valid"): 0,
        ("input", "a"): 0,
        ("instance", "square"): 1,
        ("registers", "held"): 2,
        ("registers", "seen"): 2,
        ("instance", "add"): 3,
        ("registers", "done"): 4,
        ("registers", "total"): 4,
        ("output", "y"): 5,
        ("output", "done"): 5,
    }
    assert found.ranks == [2, 4]
    wires = {(edge.source, edge.target): (edge.bits, edge.loop) for edge in found.edges}
    assert wires["registers total", "instance add"] == (9, True)
    assert wires["registers held", "instance add"] == (8, False)
    assert wires["input a", "instance square"] == (8, False)
    assert wires["registers total", "output y"] == (9, False)
    assert ("registers seen", "instance add") not in wires
    assert sum(loop for _, loop in wires.values()) == 1
