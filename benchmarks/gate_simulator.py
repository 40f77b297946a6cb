# SPDX-License-Identifier: Apache-2.0
"""The gate simulators: how fast they are, and their toggle counts against the VCD of Icarus Verilog on every net.

python benchmarks/gate_simulator.py                  # speed, then equality; about three minutes
python benchmarks/gate_simulator.py --speed
python benchmarks/gate_simulator.py --equality int8 posit8_0 --technology asap7 --cycles 1000
"""

import argparse
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

import rtl
from cost_models.activity import GlitchSimulator, Netlist, Simulator, levelize
from cost_models.activity.vcd import bench, count_changes, unit_delay_cells
from cost_models.synthesis import RECIPES, AsicResult, asic
from cost_models.technologies import Technology, cells_verilog, read
from hwsim import datapath

UNITS = ("int4", "int8", "float4_e2m1fn", "float8_e4m3fn", "posit8_0", "mxfp4_l4", "mxfp4_l16")
FAST = {"float8_e4m3fn": "E4M3 MAC", "int8": "INT8 MAC"}
CHANCES = {"rst": 0.01, "en": 0.9, "valid": 0.9, "first": 0.1, "last": 0.1}  # of a 1; other bits are fair coins
PIPELINE = 2
LANES = 2048
CYCLES = 64
RUNS = 9


def main() -> None:
    """Print a line a measurement and a line a comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("units", nargs="*", default=UNITS, help="for the equality")
    parser.add_argument("--technology", nargs="+", default=["nangate45", "asap7"])
    parser.add_argument("--recipe", nargs="+", choices=tuple(RECIPES), default=["timing", "area"])
    parser.add_argument("--cycles", type=int, default=300, help="of the equality")
    parser.add_argument("--speed", action="store_true", help="only the speed")
    parser.add_argument("--equality", action="store_true", help="only the equality")
    options = parser.parse_args()
    technologies = [found for name in options.technology if isinstance(found := read(name), Technology)]
    if not options.equality:
        for technology in technologies:
            for recipe in options.recipe:
                for name, title in FAST.items():
                    print(f"{title}, {speed(name, technology, recipe)}", flush=True)
    if not options.speed:
        if shutil.which("iverilog") is None:
            parser.error("the equality needs Icarus Verilog (apt-get install iverilog)")
        for name in options.units:
            for technology in technologies:
                print(equality(name, technology, options.recipe[0], options.cycles), flush=True)


def mapped(name: str, technology: Technology, recipe: str) -> tuple[AsicResult, Netlist]:
    """Return a unit's core on standard cells."""
    unit = datapath.named(name)
    top = f"{unit.name}_core"
    result = asic(rtl.core_verilog(unit, pipeline=PIPELINE), top, technology, [recipe]).results[0]
    return result, levelize(result.netlist_json, technology, top)


def stimuli(netlist: Netlist, cycles: int, lanes: int, seed: int) -> dict[str, NDArray[Any]]:
    """Return random codes at the operands, and controls of which most let a row through."""
    rng = np.random.default_rng(seed)
    inputs: dict[str, NDArray[Any]] = {}
    for name, nets in netlist.inputs.items():
        if name in CHANCES:
            inputs[name] = (rng.random((cycles, lanes)) < CHANCES[name]).astype(np.uint8)
            continue
        limbs = rng.integers(0, 2**64, (cycles, lanes, -(-len(nets) // 64)), dtype=np.uint64)
        inputs[name] = limbs if len(nets) > 64 else limbs[:, :, 0] & np.uint64((1 << len(nets)) - 1)
    return inputs


def speed(name: str, technology: Technology, recipe: str) -> str:
    """Measure both simulators, in processor time of the one thread that they run in."""
    _, netlist = mapped(name, technology, recipe)
    inputs = stimuli(netlist, CYCLES, LANES, 1)
    words = []
    for kind in (Simulator, GlitchSimulator):
        simulator = kind(netlist, LANES)
        planes = simulator.pack(inputs)
        kernel = rate(partial(simulator.run, planes, outputs=False))
        packing = rate(partial(simulator.run, inputs, outputs=False))
        whole = rate(partial(simulator.run, inputs))
        words.append(f"{kernel:.1f} M vectors/s (with packing {packing:.1f}, and with outputs {whole:.1f})")
    return (
        f"{technology.name}, recipe {recipe}, {len(netlist.gates):,} gates and {len(netlist.flip_flops)} flip-flops: "
        f"zero delay {words[0]}, unit delay {words[1]}, one thread"
    )


def rate(run: Callable[[], object]) -> float:
    """Return million vectors a second, the median of the runs."""
    run()
    seconds = []
    for _ in range(RUNS):
        start = time.process_time()
        run()
        seconds.append(time.process_time() - start)
    return CYCLES * LANES / statistics.median(seconds) / 1e6


def equality(name: str, technology: Technology, recipe: str, cycles: int) -> str:
    """Compare every net of a unit, without delays and with unit delays."""
    result, netlist = mapped(name, technology, recipe)
    inputs = stimuli(netlist, cycles, 1, 2)
    words = []
    for kind, cells in ((Simulator, cells_verilog(technology)), (GlitchSimulator, unit_delay_cells(technology))):
        texts = {"netlist.v": result.netlist_verilog, "cells.v": cells, "bench.v": bench(netlist, inputs)}
        counted = icarus(texts, settled=kind is Simulator)
        toggles = kind(netlist, 1).run(inputs).toggles
        nets = {net for label, net in netlist.names.items() if label != netlist.clock}
        wrong = {
            net for label, net in netlist.names.items() if label != netlist.clock and counted[label] != toggles[net]
        }
        words.append(
            f"{'zero' if kind is Simulator else 'unit'} delay on {len(nets) - len(wrong):,} of {len(nets):,} nets, "
            f"{int(toggles[sorted(nets)].sum()):,} toggles"
        )
    how = "toggle counts equal the VCD of Icarus Verilog"
    return f"{name}, {technology.name}, {cycles:,} cycles: {how}, {'; '.join(words)}"


def icarus(texts: Mapping[str, str], settled: bool) -> dict[str, int]:
    """Run the bench in Icarus and count the changes."""
    with TemporaryDirectory(prefix="hwsim_") as folder:
        for name, text in texts.items():
            Path(folder, name).write_text(text, encoding="utf-8")
        for command in (["iverilog", "-g2012", "-o", "bench.vvp", *texts], ["vvp", "-n", "bench.vvp"]):
            subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        return count_changes(Path(folder, "trace.vcd"), settled=settled)


if __name__ == "__main__":
    main()
