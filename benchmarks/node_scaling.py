# SPDX-License-Identifier: Apache-2.0
"""One unit in several nodes, beside the published factors between nodes: a cross-check, and used nowhere else.

python benchmarks/node_scaling.py          # the INT8 MAC
python benchmarks/node_scaling.py NAME     # another unit
"""

import argparse
from collections.abc import Callable
from itertools import combinations

from cost_models.technologies import Technology, read
from cost_models.technologies.scaling import area_factor, energy_factor
from hwsim import datapath, study

LIBRARIES = ("sky130hd", "ihp130", "nangate45", "asap7")  # of nodes that the published tables have


def main() -> None:
    """Price the unit in each library, and print a line a pair."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("unit", nargs="?", default="int8")
    options = parser.parse_args()
    costs = {name: study.price(datapath.named(options.unit), name) for name in LIBRARIES}
    print("| from | to | area | published | energy | published |\n|---|---|---|---|---|---|")
    for left, right in combinations(LIBRARIES, 2):
        ends = [read(name) for name in (left, right)]
        nodes = [end.node_nm for end in ends if isinstance(end, Technology)]
        voltages = [end.operating_point.voltage_v for end in ends if isinstance(end, Technology)]
        if nodes[0] == nodes[1]:
            continue
        first, second = costs[left], costs[right]
        area = _ratio(second.area_um2, first.area_um2)
        energy = _ratio(second.energy_pj, first.energy_pj)
        published = [
            _published(area_factor, *nodes),
            _published(energy_factor, *nodes, *voltages),
        ]
        print(f"| {left} | {right} | {area} | {published[0]} | {energy} | {published[1]} |")


def _ratio(value: float | None, reference: float | None) -> str:
    """Show a ratio of two figures."""
    return f"{value / reference:.3g}" if value is not None and reference else "not measured"


def _published(factor: Callable[..., float], *ends: float) -> str:
    """Show a published factor, or that the tables end before."""
    try:
        return f"{factor(*ends):.3g}"
    except ValueError as error:
        return f"none ({error})"


if __name__ == "__main__":
    main()
