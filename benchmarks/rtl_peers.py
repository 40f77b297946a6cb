# SPDX-License-Identifier: Apache-2.0
"""Peers' own RTL beside ours: the same flow, library and recipes in one run.

python -m benchmarks.rtl_peers                           # what to fetch, and from where
python -m benchmarks.rtl_peers --peers FOLDER            # all on nangate45; an hour the first time
python -m benchmarks.rtl_peers --peers FOLDER int8_mac e2m1_32 --technology asap7

FOLDER holds a checkout of each repository at FOLDER/owner/name; nothing of them is in this one. A peer is synthesized
by every recipe of `cost_models.synthesis.asic`, ours by every recipe in every architecture, and the area-delay front of
each is printed. A peer that is not in the folder is named and left out.

What is done to a peer's text: it is read by Yosys' slang reader and written as flat Verilog, but the two MACs are
plain Verilog. A wrapper fixes parameters and modes (round to nearest even, a multiply-add) and leaves flags open. An
asynchronous reset is made synchronous. Modules of one name in several files are told apart. DesignWare's DW02_tree is
not public: levels of full adders are in its place, modules that the recipes with library cells take as they do ours.
"""

import argparse
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.float_quality import FUNCTIONS
from benchmarks.rtl_peer_list import PEERS, SOURCES, Peer
from benchmarks.rtl_quality import ours
from cost_models.synthesis import Asic, AsicResult, asic
from cost_models.synthesis.yosys import ToolError, work_directory
from cost_models.technologies import Technology, read
from hwsim.datapath.unit import DotProductUnit, ExactAlignment, FixedAccumulator
from hwsim.formats import FloatSpec, Overflow, Specials
from rtl.architecture import ARCHITECTURES, Architecture
from rtl.datapath.merged import RowSum
from rtl.datapath.step import Step
from rtl.verilog import parts_verilog

__all__ = [
    "main",
    "match",
    "peer_verilog",
]

_ASYNCHRONOUS = re.compile(r"(@ ?\( ?posedge \w+) or negedge \w+ ?\)")
_MODULE = re.compile(r"^[ \t]*module[ \t]+(\w+)", re.MULTILINE)
# `asic` leaves out the recipes with Booth multipliers where it sees no product, and sees none without spaces around it
# or between concatenations; a peer gets all recipes.
_PRODUCT = "\n// product * product\n"
_CONVERT = """
read_slang --threads 1 --top {top} {files}
hierarchy -check -top {top}
proc
flatten
opt_clean
rename -hide
write_verilog -noattr core.v
"""
_NAMED = {
    "int8_mac": "mac:int8",
    "int8_mac_carry_save": "mac:int8",
    "e2m1_16": "float4_e2m1fn_l16",
    "e2m1_32": "float4_e2m1fn_l32",
    "int8_32": "int8_l32",
}
_STEPS = {"e4m3_multiply_add": "fma_e4m3", "e5m2_multiply_add": "fma_e5m2"}


def _finite_e4m3(lanes: int) -> DotProductUnit:
    """Return a unit of E4M3 codes that are all numbers."""
    element = FloatSpec(exp_bits=4, man_bits=3, bias=7, specials=Specials.FINITE)
    accumulator = FixedAccumulator(bits=60, fraction_bits=-2 * element.exp_min, overflow=Overflow.WRAP)
    return DotProductUnit(
        a=element,
        b=element,
        lanes=lanes,
        alignment=ExactAlignment(),
        accumulator=accumulator,
        output=accumulator.format,
    )


def match(function: str, architecture: Architecture) -> str | None:
    """Return Verilog of a module ``quality`` of ours that computes a peer's function, or None where there is none."""
    carry_save = architecture.accumulation == "carry_save"
    if carry_save is not function.endswith("carry_save"):
        return None
    if function in _NAMED:
        return ours(_NAMED[function], architecture)
    if function in _STEPS:
        return parts_verilog({"quality": Step(FUNCTIONS[_STEPS[function]](), architecture)})["quality"]
    if function == "e4m3_32":
        return parts_verilog({"quality": RowSum(_finite_e4m3(32), architecture)})["quality"]
    return None


def peer_verilog(peer: Peer, folder: Path) -> str:
    """
    Return the text of a peer's core.

    Raises
    ------
    FileNotFoundError
        A file of the peer is not in the folder.
    ToolError
        Yosys does not read it.
    """
    texts = {Path(name).name: (folder / name).read_text("utf-8") for name in peer.files}
    texts = _distinct({name: _ASYNCHRONOUS.sub(r"\1)", text) for name, text in texts.items()})
    for wrong, right in peer.corrections:
        texts = {name: text.replace(wrong, right) for name, text in texts.items()}
    if not peer.slang:
        return "\n".join([*texts.values(), peer.around, _PRODUCT])
    sources = [name for name in texts if not name.endswith((".vi", ".svh"))]
    with work_directory(texts | {"around.sv": peer.around}) as directory:
        directory.yosys(_CONVERT.format(top=peer.top, files=" ".join([*sources, "around.sv"])))
        return directory.read("core.v") + _PRODUCT


def _distinct(texts: dict[str, str]) -> dict[str, str]:
    """Rename the modules that several files have, each its own, by the file that they are in."""
    defined = {name: set(_MODULE.findall(text)) for name, text in texts.items()}
    count = Counter(module for modules in defined.values() for module in modules)
    made = {}
    for name, text in texts.items():
        shared = [module for module in defined[name] if count[module] > 1]
        pattern = re.compile(rf"\b({'|'.join(map(re.escape, shared))})\b")
        made[name] = pattern.sub(rf"\1_of_{Path(name).stem}", text) if shared else text
    return made


def _match_front(function: str, technology: Technology) -> list[tuple[str, AsicResult]]:
    """Return the front of ours over architectures and recipes, with the architectures' names."""
    points = []
    for name, architecture in ARCHITECTURES.items():
        text = match(function, architecture)
        if text is not None:
            points += [(name, result) for result in asic(text, "quality", technology).results]
    by_result = {id(result): name for name, result in points}
    return [(by_result[id(result)], result) for result in Asic(results=tuple(result for _, result in points)).front]


def _show(owner: str, points: Iterable[tuple[str, AsicResult]]) -> Iterator[str]:
    yield f"  {owner}"
    for name, result in points:
        size = f"{result.nand2_equivalents:8.0f} NAND2 {result.fo4:6.1f} FO4"
        absolute = f"{result.area_um2:10.2f} um2 {result.delay_ps:6.0f} ps"
        yield f"    {result.recipe:13} {name:11} {size} {absolute} {result.flip_flops:4d} flip-flops"


def _explain() -> str:
    lines = ["Fetch these, and give --peers FOLDER:"]
    for name, address in SOURCES.items():
        commits = ", ".join(sorted({peer.commit for peer in PEERS if peer.repository == name and peer.commit}))
        lines.append(f"  FOLDER/{name}: {address}" + (f", read at {commits}" if commits else ""))
    return "\n".join(lines)


def main(arguments: Iterable[str] | None = None) -> int:
    """Print the fronts of each function; return the exit status, 2 where there is nothing to measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = list(dict.fromkeys(peer.function for peer in PEERS))
    parser.add_argument("functions", nargs="*", choices=[*names, []], help="default: all")
    parser.add_argument("--peers", type=Path, help="folder with the checkouts")
    parser.add_argument("--technology", choices=["nangate45", "asap7"], default="nangate45")
    chosen: Any = parser.parse_args(None if arguments is None else list(arguments))
    there = [peer for peer in PEERS if chosen.peers is not None and (chosen.peers / peer.repository).is_dir()]
    if not there:
        print(_explain(), file=sys.stderr)
        return 2
    technology = read(chosen.technology)
    assert isinstance(technology, Technology)
    for function in chosen.functions or names:
        peers = [peer for peer in PEERS if peer.function == function]
        print(f"{function}: {peers[0].summary}", flush=True)
        for peer in peers:
            if peer not in there:
                print(f"  {peer.repository} is not in {chosen.peers}")
                continue
            try:
                front = asic(peer_verilog(peer, chosen.peers), peer.top, technology).front
            except (FileNotFoundError, ToolError) as error:
                print(f"  {peer.repository} cannot be measured: {error}")
                continue
            print(*_show(peer.repository, (("", result) for result in front)), sep="\n", flush=True)
        points = _match_front(function, technology)
        print(*_show("ours" if points else "of ours nothing computes the same", points), sep="\n", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
