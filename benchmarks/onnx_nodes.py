# SPDX-License-Identifier: Apache-2.0
"""Print how many of the onnx package's own node tests of the converting operators pass, bit for bit.

Run as ``python benchmarks/onnx_nodes.py``; it exits with 1 if one fails.
"""

import sys
from collections import Counter

import onnx

from hwsim.network.backend.node_tests import TESTED, WRONG_UPSTREAM, run_node_tests

__all__ = [
    "main",
]


def main() -> int:
    """Print the counts, what is wrong upstream, what is left out; return the number of failures."""
    results = list(run_node_tests())
    own = [result for result in results if result.operator]
    passed = [result for result in own if result.passed]
    counts = Counter(result.operator for result in passed)
    table = ", ".join(f"{name} {counts[name]}" for name in TESTED)
    print(f"onnx {onnx.__version__} node tests: {len(passed)} of {len(own)} pass ({table})")
    print(f"{sum(result.elements for result in own)} output elements compared bit for bit")
    wrong = [result for result in own if result.upstream]
    print(f"{len(wrong)} of them have {sum(r.upstream for r in wrong)} elements that are held to the standard's text:")
    for reason in dict.fromkeys(WRONG_UPSTREAM[result.name] for result in wrong):
        print(f"  {', '.join(r.name for r in wrong if WRONG_UPSTREAM[r.name] == reason)}: {reason}")
    for result in own:
        if not result.passed:
            print(f"FAILED {result.name}: {result.message or f'{result.wrong} elements differ'}")
    others = [result for result in results if not result.operator]
    ran = [result for result in others if result.ran]
    print(
        f"{len(others)} function bodies of other operators use these five: {sum(r.passed for r in ran)} of {len(ran)} "
        f"that need nothing else pass too, {len(others) - len(ran)} need operators that are not run"
    )
    return len(own) - len(passed) + sum(not result.passed for result in ran)


if __name__ == "__main__":
    sys.exit(min(main(), 1))
