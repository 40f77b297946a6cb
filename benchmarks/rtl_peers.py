# SPDX-License-Identifier: Apache-2.0
"""Peers' own RTL beside ours: the same flow, library and recipes in one run.

python -m benchmarks.rtl_peers                           # what to fetch, and from where
python -m benchmarks.rtl_peers --peers FOLDER            # all on nangate45; half an hour the first time
python -m benchmarks.rtl_peers --peers FOLDER int8_mac mxfp4_32 --technology asap7

FOLDER holds a checkout of each repository below, at FOLDER/owner/name; nothing of them is in this one. A peer is
synthesized by every recipe of `cost_models.synthesis.asic`, ours by every recipe in every architecture, and the
area-delay front of each is printed. A peer that is not in the folder is named and left out.

What is done to a peer's text: SystemVerilog that Yosys' own reader does not take is read by its slang reader and written
as flat Verilog; a wrapper fixes parameters and modes (round to nearest even, a multiply-add); an asynchronous
reset is made synchronous; and DesignWare's DW02_tree, which is not public, is replaced by levels of full adders, as
modules that the recipes with library cells take too.
"""

import argparse
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.rtl_peer_list import PEERS, Peer
from benchmarks.rtl_peer_matches import MATCHES
from cost_models.synthesis.asic import Asic, AsicResult, asic
from cost_models.synthesis.yosys import ToolError, work_directory
from cost_models.technologies import Technology, read
from rtl.verilog import parts_verilog

__all__ = [
    "main",
    "peer_verilog",
]

_ASYNCHRONOUS = re.compile(r"(@ ?\( ?posedge \w+) or negedge \w+ ?\)")
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
    texts = {name: _ASYNCHRONOUS.sub(r"\1)", text) for name, text in texts.items()}
    if not peer.slang:
        return "\n".join([*texts.values(), peer.around, _PRODUCT])
    sources = [name for name in texts if not name.endswith((".vi", ".svh"))]
    with work_directory(texts | {"around.sv": peer.around}) as directory:
        directory.yosys(_CONVERT.format(top=peer.top, files=" ".join([*sources, "around.sv"])))
        return directory.read("core.v") + _PRODUCT


def _fronts(peer: Peer, folder: Path, technology: Technology) -> Iterator[tuple[str, list[tuple[str, AsicResult]]]]:
    """Yield the front of a peer, and of what matches it among ours."""
    made = asic(peer_verilog(peer, folder), peer.top, technology)
    yield peer.repository, [("", result) for result in made.front]
    points = []
    for name, part in MATCHES[peer.function]() if peer.function in MATCHES else ():
        found = asic(parts_verilog({"unit": part})["unit"], "unit", technology)
        points += [(name, result) for result in found.results]
    if points:
        wanted = Asic(results=tuple(result for _, result in points)).front
        yield (
            "ours",
            sorted(
                ((name, result) for name, result in points if any(result is kept for kept in wanted)),
                key=lambda point: point[1].area_um2,
            ),
        )


def _missing(peer: Peer, folder: Path) -> bool:
    return not (folder / peer.repository).is_dir()


def _explain() -> str:
    lines = ["Fetch these repositories, each into FOLDER/owner/name, and give --peers FOLDER:"]
    for repository in dict.fromkeys("/".join(name.split("/")[:2]) for peer in PEERS for name in peer.files):
        commits = ", ".join(sorted({peer.commit for peer in PEERS if peer.repository == repository}))
        lines.append(f"  https://github.com/{repository}" + (f"  (read at {commits})" if commits else ""))
    return "\n".join(lines)


def main(arguments: Iterable[str] | None = None) -> int:
    """Print the fronts of each function; return the exit status, 2 where there is nothing to measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = list(dict.fromkeys(peer.function for peer in PEERS))
    parser.add_argument("functions", nargs="*", choices=[*names, []], help="default: all")
    parser.add_argument("--peers", type=Path, help="folder with the checkouts")
    parser.add_argument("--technology", choices=["nangate45", "asap7"], default="nangate45")
    chosen: Any = parser.parse_args(None if arguments is None else list(arguments))
    if chosen.peers is None or all(_missing(peer, chosen.peers) for peer in PEERS):
        print(_explain(), file=sys.stderr)
        return 2
    technology = read(chosen.technology)
    assert isinstance(technology, Technology)
    for peer in PEERS:
        if chosen.functions and peer.function not in chosen.functions:
            continue
        print(f"{peer.function}: {peer.summary}", flush=True)
        if _missing(peer, chosen.peers):
            print(f"  {peer.repository} is not in {chosen.peers}")
            continue
        try:
            for owner, points in _fronts(peer, chosen.peers, technology):
                print(f"  {owner}")
                for name, result in points:
                    print(
                        f"    {result.recipe:13} {name:11} {result.nand2_equivalents:8.0f} NAND2 {result.fo4:6.1f} FO4 "
                        f"{result.area_um2:10.2f} um2 {result.delay_ps:7.0f} ps {result.flip_flops:4d} flip-flops",
                        flush=True,
                    )
        except (FileNotFoundError, ToolError) as error:
            print(f"  cannot be measured: {error}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
