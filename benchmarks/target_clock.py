# SPDX-License-Identifier: Apache-2.0
"""Area of a unit at several clock periods: the smallest netlist of a sweep of sizing targets that meets each.

    python benchmarks/target_clock.py [UNIT] [--technology NAME] [--periods PS ...]

Without periods: the fastest netlist of the fixed set, and 1.25, 1.5, 2 and 2.5 times that.
"""

import argparse

from cost_models.synthesis import explore, sweep
from cost_models.technologies import Technology, read
from hwsim import datapath
from hwsim.study import structure_texts

__all__ = [
    "main",
]

_FACTORS = (1.0, 1.25, 1.5, 2.0, 2.5)


def main() -> None:
    """Print a line a period."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("unit", nargs="?", default="int8_l1_int28_to_float32")
    parser.add_argument("--technology", default="asap7")
    parser.add_argument("--periods", nargs="*", type=float, default=[])
    options = parser.parse_args()
    unit, technology = datapath.named(options.unit), read(options.technology)
    assert isinstance(technology, Technology)
    texts, top = structure_texts(unit, 2), f"{unit.name}_core"
    fixed = explore(texts, top, technology)
    fastest = fixed.choose("fastest").delay_ps
    for period in options.periods or [factor * fastest for factor in _FACTORS]:
        found = sweep(texts, top, technology, period)
        best, before = found.at_clock(period), fixed.at_clock(period)
        print(
            f"{period:7.0f} ps: {best.area_um2:9.2f} um2 at {best.delay_ps:6.0f} ps, "
            f"{best.architecture} {best.recipe}; "
            f"the fixed set {before.area_um2:9.2f} um2, {before.architecture} {before.recipe}; "
            f"{len(found.results)} netlists",
            flush=True,
        )


if __name__ == "__main__":
    main()
