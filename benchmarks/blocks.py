# SPDX-License-Identifier: Apache-2.0
"""What each block of the catalog costs: the smallest and the fastest of the fixed recipes, a line each.

python -m benchmarks.blocks                        # every block in Nangate45: half an hour on a core
python -m benchmarks.blocks --only multiply_int8   # those whose names begin so
python -m benchmarks.blocks --technology asap7

NAND2: area in the library's smallest NAND2. FO4: the longest path in delays of an inverter that drives four. No wires.
"""

import argparse

from cost_models.synthesis import asic
from cost_models.technologies import Technology, read
from rtl.blocks import blocks
from rtl.verilog import parts_verilog


def main() -> None:
    """Print a line a block."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="the beginning of the names")
    parser.add_argument("--technology", default="nangate45", choices=("nangate45", "asap7"))
    options = parser.parse_args()
    technology = read(options.technology)
    assert isinstance(technology, Technology)
    print(f"{'block':36} {'smallest: NAND2 @ FO4':>24} {'fastest: NAND2 @ FO4':>24}  {technology.title}")
    for name, block in blocks().items():
        if not name.startswith(options.only):
            continue
        found = asic(parts_verilog({name: block.part()})[name], name, technology)
        points = [
            f"{result.nand2_equivalents:.0f} @ {result.fo4:.1f} {result.recipe}"
            for result in (found.choose("smallest"), found.choose("fastest"))
        ]
        print(f"{name:36} {points[0]:>24} {points[1]:>24}", flush=True)


if __name__ == "__main__":
    main()
