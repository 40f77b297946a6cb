# SPDX-License-Identifier: Apache-2.0
"""Print how many of the onnx package's own node tests pass, bit for bit and within the standard's tolerance.

Run as ``python benchmarks/onnx_nodes.py``; it exits with 1 if one fails that is not known to. ``--operators`` adds a
line for each operator.
"""

import re
import sys
from collections import Counter

import onnx

from hwsim.network.backend.node_tests import WRONG_UPSTREAM, NodeTest, Outcome, reason, run_node_tests

__all__ = [
    "main",
]


def main(arguments: list[str]) -> int:
    """Print the counts, every failure, what is wrong upstream, what is left out; return the number of new failures."""
    results = list(run_node_tests())
    claimed = [result for result in results if result.outcome is not Outcome.OTHER]
    counts = Counter(result.outcome for result in results)
    print(
        f"onnx {onnx.__version__} node tests: {len(claimed)} of {len(results)} have only operators that are run: "
        f"{counts[Outcome.BITS] + counts[Outcome.VALUES]} pass ({counts[Outcome.BITS]} bit for bit, "
        f"{counts[Outcome.VALUES]} within the case's tolerance), {counts[Outcome.WRONG]} differ, "
        f"{counts[Outcome.REFUSED]} are refused"
    )
    converting = [result for result in claimed if result.converts]
    bits = [result for result in converting if result.outcome is Outcome.BITS]
    print(f"of those that quantize, dequantize or cast, {len(bits)} of {len(converting)} pass, all bit for bit")
    _print_failures(claimed)
    wrong = [result for result in claimed if result.upstream]
    print(f"{len(wrong)} have {sum(r.upstream for r in wrong)} elements that are held to the standard's text:")
    for why in dict.fromkeys(WRONG_UPSTREAM[result.name] for result in wrong):
        print(f"  {', '.join(r.name for r in wrong if WRONG_UPSTREAM[r.name] == why)}: {why}")
    _print_left_out([result for result in results if result.outcome is Outcome.OTHER])
    if "--operators" in arguments:
        _print_operators(claimed)
    return sum(not result.passed and reason(result.name) is None for result in claimed)


def _print_failures(claimed: list[NodeTest]) -> None:
    failed = [result for result in claimed if not result.passed]
    for why in dict.fromkeys(reason(result.name) for result in failed):
        names = [result for result in failed if reason(result.name) == why]
        if why is None:
            for result in names:
                print(f"FAILED {result.name}: {result.message}")
        else:
            print(f"{len(names)} known to fail, {why}: {', '.join(result.name for result in names)}")


def _print_left_out(others: list[NodeTest]) -> None:
    operators: Counter[str] = Counter()
    for result in others:
        operators.update(set(re.findall(r"\(([\w:.]+)\)", result.message)) - {"s"})
    table = ", ".join(f"{name} {count}" for name, count in sorted(operators.items()))
    print(f"{len(others)} need operators that are not run: {table}")


def _print_operators(claimed: list[NodeTest]) -> None:
    single = [result for result in claimed if len(result.operators) == 1]
    for operator in sorted({result.operators[0] for result in single}):
        own = [result for result in single if result.operators == (operator,)]
        bits = sum(result.outcome is Outcome.BITS for result in own)
        print(f"  {operator}: {sum(r.passed for r in own)} of {len(own)}, {bits} of them bit for bit")


if __name__ == "__main__":
    sys.exit(min(main(sys.argv[1:]), 1))
