# SPDX-License-Identifier: Apache-2.0
"""Look-up tables, flip-flops, DSP blocks and clock rate of a Verilog core on FPGAs."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from cost_models import store
from cost_models.synthesis.yosys import NEXTPNR_ECP5, YOSYS, WorkDirectory, cell_models, versions, work_directory
from cost_models.technologies import FpgaTechnology, read

__all__ = [
    "FpgaResult",
    "ecp5",
    "ecp5_models",
    "registered_wrapper",
    "xilinx",
]

_FLOW = 1  # raise when a script below or the meaning of a result changes: cached results are then made anew
_FLIP_FLOPS = ("TRELLIS_FF", "FDRE", "FDSE", "FDCE", "FDPE")
_DSPS = ("MULT18X18D", "ALU54B", "DSP48E1", "DSP48E2")
_CARRIES = ("CCU2C", "CARRY4", "CARRY8")

_MODELS = ("LUT2", "LUT4", "PFUMX", "L6MUX21", "CCU2C", "TRELLIS_FF")

_COUNT = """
read_verilog -sv core.v
{synth} -top {top}
rename -hide
rename -enumerate -pattern g%_
write_verilog -noattr netlist.v
tee -q -o stat.json stat -json
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class FpgaResult:
    """
    Counts of the bare core, and the clock rate of the core between registers.

    `lut` on ECP5 is LUT4 + 2 CCU2C (a carry cell takes two look-up tables), on Xilinx LUT1 to LUT6; `carry` counts
    CCU2C or CARRY4, `dsp` MULT18X18D or DSP48E1. `fmax_mhz` is the median over the seeds of `fmax_by_seed` and
    `fmax_spread` their range over the median; both 0 where nothing was placed. `netlist_verilog` is the mapped bare
    core.
    """

    top: str
    technology: str
    lut: int
    ff: int
    dsp: int
    carry: int
    cells: Mapping[str, int]
    fmax_mhz: float
    fmax_spread: float
    fmax_by_seed: Mapping[str, float]
    netlist_verilog: str
    netlist_hash: str
    tools: tuple[tuple[str, str], ...]


def ecp5(text: str, top: str, dsp: bool = False, seeds: Sequence[int] | None = None) -> FpgaResult:
    """
    Synthesize a core for ECP5, and place and route it for its clock rate.

    Counts are of the bare core. For the clock rate every port but the clock is registered (paths from and to pins
    would not be counted) and the whole is placed out of context, once a seed. Counts and each seed are kept in the
    user's cache as soon as they are there.

    Parameters
    ----------
    text : str
        Verilog of the core and all that it instantiates; its clock port is called ``clk``.
    top : str
        Its top module.
    dsp : bool, default False
        Whether multipliers may become DSP blocks: technology ``ecp5_dsp`` instead of ``ecp5``.
    seeds : sequence of int, optional
        Seeds of place and route; an empty one gives counts only. Default: the technology's.

    Returns
    -------
    FpgaResult

    Raises
    ------
    ValueError
        The core has no clock port.
    RuntimeError
        A tool is not installed, or fails (`ToolError`, with the tail of the log).
    """
    target = _target("ecp5_dsp" if dsp else "ecp5")
    chosen = target.seeds if seeds is None else tuple(seeds)
    synth = "synth_ecp5" if dsp else "synth_ecp5 -nodsp"
    counts = _count(text, top, synth, target)
    rates = _fmax(text, top, synth, target, chosen) if chosen else {}
    return _result(top, target, counts, rates, versions(YOSYS, *([NEXTPNR_ECP5] if chosen else [])))


def xilinx(text: str, top: str, dsp: bool = True) -> FpgaResult:
    """
    Synthesize a core for Xilinx 7-series: counts only (no open place and route gives a clock rate).

    Parameters, errors and caching are those of `ecp5`; the technology is ``xc7_dsp`` or ``xc7``. Yosys' packing of DSP
    blocks is not Vivado's.
    """
    target = _target("xc7_dsp" if dsp else "xc7")
    synth = f"synth_xilinx -family {target.family} -flatten -noiopad -noclkbuf{'' if dsp else ' -nodsp'}"
    return _result(top, target, _count(text, top, synth, target), {}, versions(YOSYS))


def ecp5_models() -> str:
    """
    Verilog models of the ECP5 logic cells (`_MODELS`), from Yosys (ISC), to simulate `FpgaResult.netlist_verilog`.

    Only these: Icarus Verilog 11 does not parse the others. A netlist with DSP blocks has no models.
    """
    text = cell_models("ecp5/common_sim.vh") + cell_models("ecp5/ccu2c_sim.vh")
    found = {name: re.search(rf"^module {name}\b.*?^endmodule", text, re.MULTILINE | re.DOTALL) for name in _MODELS}
    missing = [name for name, match in found.items() if match is None]
    if missing:
        raise RuntimeError(f"{YOSYS} has no simulation model of {', '.join(missing)}")
    return "\n".join(match.group(0) for match in found.values() if match is not None) + "\n"


def _target(name: str) -> FpgaTechnology:
    """Read a target that comes with the package."""
    target = read(name)
    assert isinstance(target, FpgaTechnology)
    return target


def _result(
    top: str, target: FpgaTechnology, counts: dict[str, Any], rates: dict[str, float], tools: dict[str, str]
) -> FpgaResult:
    """Put counts and rates together."""
    cells, netlist = counts["cells"], counts["netlist"]
    luts = sum(count for name, count in cells.items() if name.startswith("LUT"))
    middle = median(rates.values()) if rates else 0.0
    return FpgaResult(
        top=top, technology=target.name, lut=luts + 2 * cells.get("CCU2C", 0),
        ff=sum(cells.get(name, 0) for name in _FLIP_FLOPS), dsp=sum(cells.get(name, 0) for name in _DSPS),
        carry=sum(cells.get(name, 0) for name in _CARRIES), cells=cells, fmax_mhz=middle,
        fmax_spread=(max(rates.values()) - min(rates.values())) / middle if rates else 0.0, fmax_by_seed=rates,
        netlist_verilog=netlist, netlist_hash=store.text_hash(netlist), tools=tuple(sorted(tools.items())),
    )  # fmt: skip


def _count(text: str, top: str, synth: str, target: FpgaTechnology) -> dict[str, Any]:
    """Count the cells of the bare core, from the cache if they are there."""
    name = store.key(flow=_FLOW, text=text, top=top, synth=synth, technology=target.digest, tools=versions(YOSYS))
    record: dict[str, Any] | None = store.load("fpga_counts", name)
    if record is None:
        with work_directory({"core.v": text}) as directory:
            directory.yosys(_COUNT.format(synth=synth, top=top))
            stat = json.loads(directory.read("stat.json"))
            record = {"cells": stat["design"]["num_cells_by_type"], "netlist": directory.read("netlist.v")}
        store.save("fpga_counts", name, record)
    return record


def _fmax(text: str, top: str, synth: str, target: FpgaTechnology, seeds: Sequence[int]) -> dict[str, float]:
    """Give the clock rate of each seed in MHz, each from the cache if it is there."""
    parts = {
        "flow": _FLOW, "text": text, "top": top, "synth": synth,
        "technology": target.digest, "tools": versions(YOSYS, NEXTPNR_ECP5),
    }  # fmt: skip
    names = {seed: store.key(seed=seed, **parts) for seed in seeds}
    rates = {str(seed): store.load("fpga_fmax", name) for seed, name in names.items()}
    if None in rates.values():
        with work_directory({"core.v": text}) as directory:
            directory.write("wrapper.v", registered_wrapper(_ports(directory, top), top))
            directory.yosys(f"read_verilog -sv core.v wrapper.v\n{synth} -top registered -json wrapper.json")
            for seed, name in names.items():
                if rates[str(seed)] is None:
                    rates[str(seed)] = _place(directory, target, seed)
                    store.save("fpga_fmax", name, rates[str(seed)])
    return {seed: float(rate) for seed, rate in rates.items() if rate is not None}


def _ports(directory: WorkDirectory, top: str) -> dict[str, tuple[str, int]]:
    """Ask Yosys for the ports of the core: name to direction and width."""
    directory.yosys(f"read_verilog -sv core.v\nhierarchy -top {top}\nproc\nwrite_json ports.json")
    ports = json.loads(directory.read("ports.json"))["modules"][top]["ports"]
    return {name: (port["direction"], len(port["bits"])) for name, port in ports.items()}


def registered_wrapper(ports: Mapping[str, tuple[str, int]], top: str, clock: str = "clk") -> str:
    """
    Verilog of module ``registered``: a core with every port but the clock behind a register.

    Parameters
    ----------
    ports : mapping of str to (str, int)
        Direction (``input`` or ``output``) and width of each port of the core.
    top : str
        The core's module.
    clock : str
        Its clock port.

    Raises
    ------
    ValueError
        The core has no such clock.
    """
    if ports.get(clock) != ("input", 1):
        raise ValueError(f"module {top!r} must have an input {clock!r} of 1 bit; its ports are {', '.join(ports)}")
    declared, body, edges = [f"input {clock}"], [], []
    for name, (direction, width) in ports.items():
        if name == clock:
            continue
        size = f"[{width - 1}:0]"
        if direction == "input":
            declared.append(f"input {size} {name}")
            body.append(f"  reg {size} q_{name};")
            edges.append(f"    q_{name} <= {name};")
        else:
            declared.append(f"output reg {size} {name}")
            body.append(f"  wire {size} q_{name};")
            edges.append(f"    {name} <= q_{name};")
    pins = [f".{clock}({clock})", *(f".{name}(q_{name})" for name in ports if name != clock)]
    lines = [f"module registered({', '.join(declared)});", *body, f"  {top} core({', '.join(pins)});"]
    return "\n".join([*lines, f"  always @(posedge {clock}) begin", *edges, "  end", "endmodule", ""])


def _place(directory: WorkDirectory, target: FpgaTechnology, seed: int) -> float:
    """Place and route the wrapper with one seed; the achieved clock rate in MHz."""
    directory.remove("report.json")
    directory.run(
        NEXTPNR_ECP5,
        [f"--{target.device}", "--speed", target.speed_grade, "--package", target.package, "--json", "wrapper.json",
         "--report", "report.json", "--out-of-context", "--timing-allow-fail", "--seed", str(seed),
         "--quiet", "--log", "nextpnr.log"],
        "nextpnr.log",
    )  # fmt: skip
    clocks = json.loads(directory.read("report.json"))["fmax"]
    return float(min(clock["achieved"] for clock in clocks.values()))
