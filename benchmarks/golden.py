# SPDX-License-Identifier: Apache-2.0
"""Outputs of real tensor cores, all of them, beside the catalogued units: a line a case with the counts, and totals.

Run ``python benchmarks/golden.py VECTORS``, where VECTORS holds ``hopper_h200`` (every instruction of an H200, whole
products of cuBLAS) and ``other_gpus`` (V100, A100, A2, L40S, RTX 1000 Ada, H100, H200, B200; by Khattak and Mikaitis).
"""

import argparse
import runpy
from pathlib import Path

__all__ = [
    "main",
]


def main() -> None:
    """Print the counts of tests/datapath/golden.py; fail on a mismatch."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vectors", type=Path, help="the folder of the vectors")
    options = parser.parse_args()
    golden = runpy.run_path(str(Path(__file__).parents[1] / "tests" / "datapath" / "golden.py"))
    raise SystemExit(golden["main"](options.vectors) != 0)


if __name__ == "__main__":
    main()
