# SPDX-License-Identifier: Apache-2.0
"""Model = oracle = RTL = mapped netlist, for every unit of the suite, with the count of outputs compared in each.

python benchmarks/verification.py            # all units, every simulator that is installed; about 40 minutes on 2 cores
python benchmarks/verification.py int8 nvfp4 --simulator icarus
"""

import argparse

import rtl
from cost_models.activity import levelize
from cost_models.synthesis import RECIPES, asic
from cost_models.technologies import Technology, cells_verilog, read
from hwsim import datapath
from hwsim.gates import check_netlist
from testbenches.simulators import MissingToolError, find
from testbenches.stimulus import stimulus
from testbenches.suite import SUITE
from testbenches.verification import check_kernel, verify


def main() -> None:
    """Verify and print a line a unit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("units", nargs="*", default=list(SUITE))
    parser.add_argument("--technology", default="asap7")
    parser.add_argument("--recipe", choices=tuple(RECIPES), help="only this one, in place of the best of all")
    parser.add_argument(
        "--gates-only", action="store_true", help="the netlist in the gate simulator alone, not under cocotb"
    )
    parser.add_argument("--simulator", choices=("icarus", "verilator"))
    options = parser.parse_args()
    technology = read(options.technology)
    assert isinstance(technology, Technology)
    simulators = []
    for name in [options.simulator] if options.simulator else ["icarus", "verilator"]:
        try:
            simulators.append(find(name).name)
        except MissingToolError as error:
            print(f"without {name}: {error}")
    for name in options.units:
        unit = datapath.named(name)
        rows = stimulus(unit)
        expected = datapath.dot_exact(unit, rows)
        words = [f"kernel = oracle on {check_kernel(unit, rows, expected):,} outputs"]
        for simulator in simulators:
            report = verify(unit, simulator=simulator)
            words.append(f"RTL in {simulator} {report.compared:,} (latency {report.latency_cycles})")
        top = f"{unit.name}_core"
        result = asic(
            rtl.core_verilog(unit), top, technology, [options.recipe] if options.recipe else tuple(RECIPES)
        ).choose()
        netlist = levelize(result.netlist_json, technology, top)
        words.append(f"netlist ({result.cells:,} cells, recipe {result.recipe}) in the gate simulator")
        words[-1] += f" {check_netlist(unit, netlist, rows, rtl.latency(unit), expected):,}"
        if options.gates_only:
            print(f"{name}: {'; '.join(words)}", flush=True)
            continue
        report = verify(
            unit,
            netlist=result.netlist_verilog,
            cell_models=cells_verilog(technology),
            vectors=512,
            exhaustive=False,
            simulator=simulators[-1],
        )
        words.append(f"in {simulators[-1]} under cocotb {report.compared:,}")
        print(f"{name}: {'; '.join(words)}", flush=True)


if __name__ == "__main__":
    main()
