# SPDX-License-Identifier: Apache-2.0
"""Networks by others, bit for bit: recorded outputs under both rules, and ONNX Runtime tensor by tensor.

Run ``python benchmarks/networks.py MODELS``, where MODELS holds MLPerf Tiny's int8 networks and golden_io.npz.
"""

import argparse
import runpy
from pathlib import Path


def main() -> None:
    """Print the counts of tests/network/test_golden.py."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path, help="the folder of the networks")
    parser.add_argument("--images", type=int, default=256, help="random images a network")
    options = parser.parse_args()
    golden = runpy.run_path(str(Path(__file__).parents[1] / "tests" / "network" / "test_golden.py"))
    golden["main"](options.models, options.images)


if __name__ == "__main__":
    main()
