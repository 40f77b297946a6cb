# SPDX-License-Identifier: Apache-2.0
"""Look-up tables, flip-flops, DSP blocks and clock rate of a Verilog core on FPGAs."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any, NamedTuple

from cost_models import store
from cost_models.synthesis.placement import PLACERS, TOP, harness, place
from cost_models.synthesis.recipes import FIXED_FPGA
from cost_models.synthesis.yosys import YOSYS, WorkDirectory, cell_models, versions, work_directory
from cost_models.technologies import FpgaTechnology

__all__ = [
    "FAMILIES",
    "FpgaResult",
    "ecp5_models",
    "fpga",
    "fpga_explore",
]

_MODELS = ("LUT2", "LUT4", "PFUMX", "L6MUX21", "CCU2C", "TRELLIS_FF")

_COUNT = """
read_verilog -sv core.v
{synth} -top {top}
rename -hide
rename -enumerate -pattern g%_
write_verilog -noattr netlist.v
tee -q -o stat.json stat -json
"""


class _Family(NamedTuple):
    """The synthesis command without and with DSP blocks, and patterns of cells; a carry takes `carry_luts` tables."""

    synth: str
    no_dsp: str
    dsp: str
    lut: str
    flip_flop: str
    block: str
    carry: str
    carry_luts: int


_XILINX = (
    " -flatten -noiopad -noclkbuf", " -nodsp", "", r"LUT[1-6]", r"FD[RSCP]E(_1)?", r"DSP48E[12]", r"CARRY[48]", 0,
)  # fmt: skip
FAMILIES = {
    "ecp5": _Family("synth_ecp5", " -nodsp", "", r"LUT4", r"TRELLIS_FF", r"MULT18X18D|ALU54B", r"CCU2C", 2),
    "ice40": _Family("synth_ice40", "", " -dsp", r"SB_LUT4", r"SB_DFF\w*", r"SB_MAC16", r"SB_CARRY", 0),
    "gowin": _Family("synth_gowin -noiopads", " -nodsp", "", r"LUT[1-4]", r"DFF\w*", r"MULT\w+", r"ALU", 1),
    "xc7": _Family(f"synth_xilinx -family xc7{_XILINX[0]}", *_XILINX[1:]),
    "xcup": _Family(f"synth_xilinx -family xcup{_XILINX[0]}", *_XILINX[1:]),
}
"""Families by the name that `FpgaTechnology.family` has."""
_ICE40_DEVICES = {"hx": "hx", "lp": "lp", "up": "u"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FpgaResult:
    """
    Counts of the bare core, and the clock rate of the core between registers.

    `lut` on ECP5 is LUT4 + 2 CCU2C (a carry cell takes two look-up tables), on iCE40 SB_LUT4 (a carry sits beside one),
    on Gowin LUT1 to LUT4 + ALU (a table each), on Xilinx LUT1 to LUT6. `carry` counts CCU2C, SB_CARRY, ALU, CARRY4 and
    CARRY8, `dsp` MULT18X18D, SB_MAC16, MULT9X9 and wider, DSP48E1 and DSP48E2. `fmax_mhz` is the median over the seeds
    of `fmax_by_seed` and `fmax_spread` their range over the median; both 0 where nothing was placed. `netlist_verilog`
    is the mapped bare core. `architecture` names the structure where there were several, and `lut_spread` is the range
    of `lut` over all of them, over the median; 0 where there was one.
    """

    top: str
    technology: str
    architecture: str = ""
    lut: int
    ff: int
    dsp: int
    carry: int
    lut_spread: float = 0.0
    cells: Mapping[str, int]
    fmax_mhz: float
    fmax_spread: float
    fmax_by_seed: Mapping[str, float]
    netlist_verilog: str
    netlist_hash: str
    tools: tuple[tuple[str, str], ...]


def fpga(text: str, top: str, target: FpgaTechnology, seeds: Sequence[int] | None = None) -> FpgaResult:
    """
    Synthesize a core for an FPGA, and where open tools can place it and its target has seeds, for its clock rate.

    Counts are of the bare core. For the clock rate every port but the clock is registered (paths from and to pins
    would not be counted): on ECP5 the whole is placed out of context; on iCE40, which needs pins, the registers are
    filled and read by shifting. It is placed once a seed. Counts and each seed are kept in the user's cache as soon as
    they are there. Yosys' packing of DSP blocks is not that of the vendors' tools.

    Parameters
    ----------
    text : str
        Verilog of the core and all that it instantiates; to be placed, its clock port is called ``clk``.
    top : str
        Its top module.
    target : FpgaTechnology
        Of a family of `FAMILIES`.
    seeds : sequence of int, optional
        Seeds of place and route; an empty one gives counts only. Default: the technology's.

    Returns
    -------
    FpgaResult

    Raises
    ------
    TypeError
        `target` is not an FPGA.
    ValueError
        The family is unknown or has seeds and no tool to place it, or the core has no clock port.
    RuntimeError
        A tool is not installed, or fails (`ToolError`, with the tail of the log): also where the core does not fit.
    """
    synth = _synth(target)
    chosen = target.seeds if seeds is None else tuple(seeds)
    if chosen and target.family not in PLACERS:
        raise ValueError(f"seeds must be empty for family {target.family!r}, which no open tool places, not {chosen}")
    counts = _count(text, top, synth)
    rates = _fmax(text, top, synth, target, chosen) if chosen else {}
    return _result(top, target, counts, rates)


def fpga_explore(texts: Mapping[str, str], top: str, target: FpgaTechnology) -> FpgaResult:
    """
    Synthesize a unit in each of its structures of `FIXED_FPGA`, and place that of the fewest look-up tables.

    Equal ones: fewer flip-flops, then the first. The rule is the same for every unit and target; of targets with DSP
    blocks it does not weigh the blocks.

    Parameters
    ----------
    texts : mapping of str to str
        Verilog of the core by name of its architecture.
    top, target
        As for `fpga`.

    Returns
    -------
    FpgaResult
        Of the structure chosen, with `architecture` and `lut_spread`.

    Raises
    ------
    TypeError, ValueError, RuntimeError
        As `fpga`; ValueError also if there is no text.
    """
    if not texts:
        raise ValueError("texts must have one text or more, not {}")
    tried = {name: text for name, text in texts.items() if name in FIXED_FPGA} or texts
    counted = {name: fpga(text, top, target, seeds=()) for name, text in tried.items()}
    best = min(counted, key=lambda name: (counted[name].lut, counted[name].ff))
    luts = [result.lut for result in counted.values()]
    middle = median(luts)
    spread = (max(luts) - min(luts)) / middle if middle else 0.0
    return replace(fpga(texts[best], top, target), architecture=best, lut_spread=spread)


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


def _synth(target: FpgaTechnology) -> str:
    """Write the synthesis command of a target."""
    if not isinstance(target, FpgaTechnology):
        raise TypeError(f"target must be an FpgaTechnology, not {target!r}")
    if target.family not in FAMILIES:
        raise ValueError(f"family must be one of {', '.join(FAMILIES)}, not {target.family!r}")
    family = FAMILIES[target.family]
    device = f" -device {_ICE40_DEVICES[target.device[:2]]}" if target.family == "ice40" else ""
    return family.synth + device + (family.dsp if target.uses_dsp else family.no_dsp)


def _result(top: str, target: FpgaTechnology, counts: dict[str, Any], rates: dict[str, float]) -> FpgaResult:
    """Put counts and rates together."""
    cells, netlist, family = counts["cells"], counts["netlist"], FAMILIES[target.family]
    carries = _matching(cells, family.carry)
    middle = median(rates.values()) if rates else 0.0
    tools = versions(YOSYS, *([PLACERS[target.family]] if rates else []))
    return FpgaResult(
        top=top, technology=target.name, lut=_matching(cells, family.lut) + family.carry_luts * carries,
        ff=_matching(cells, family.flip_flop), dsp=_matching(cells, family.block), carry=carries, cells=cells,
        fmax_mhz=middle, fmax_spread=(max(rates.values()) - min(rates.values())) / middle if rates else 0.0,
        fmax_by_seed=rates, netlist_verilog=netlist, netlist_hash=store.text_hash(netlist),
        tools=tuple(sorted(tools.items())),
    )  # fmt: skip


def _matching(cells: Mapping[str, int], pattern: str) -> int:
    """Count the cells whose whole name matches."""
    return sum(count for name, count in cells.items() if re.fullmatch(pattern, name))


def _count(text: str, top: str, synth: str) -> dict[str, Any]:
    """Count the cells of the bare core, from the cache if they are there."""
    name = store.key(script=_COUNT, text=text, top=top, synth=synth, tools=versions(YOSYS))
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
        "text": text, "top": top, "synth": synth, "harness": harness({"clk": ("input", 1)}, top, target.family),
        "part": [target.device, target.speed_grade, target.package],
        "tools": versions(YOSYS, PLACERS[target.family]),
    }  # fmt: skip
    names = {seed: store.key(seed=seed, **parts) for seed in seeds}
    rates = {str(seed): store.load("fpga_fmax", name) for seed, name in names.items()}
    if None in rates.values():
        with work_directory({"core.v": text}) as directory:
            directory.write("wrapper.v", harness(_ports(directory, top), top, target.family))
            directory.yosys(f"read_verilog -sv core.v wrapper.v\n{synth} -top {TOP} -json wrapper.json")
            for seed, name in names.items():
                if rates[str(seed)] is None:
                    rates[str(seed)] = place(directory, target, seed)
                    store.save("fpga_fmax", name, rates[str(seed)])
    return {seed: float(rate) for seed, rate in rates.items() if rate is not None}


def _ports(directory: WorkDirectory, top: str) -> dict[str, tuple[str, int]]:
    """Ask Yosys for the ports of the core: name to direction and width."""
    directory.yosys(f"read_verilog -sv core.v\nhierarchy -top {top}\nproc\nwrite_json ports.json")
    ports = json.loads(directory.read("ports.json"))["modules"][top]["ports"]
    return {name: (port["direction"], len(port["bits"])) for name, port in ports.items()}
