# SPDX-License-Identifier: Apache-2.0
"""Damaged ONNX and TOML files: each has to give an error of ours or a correct result, in time and memory.

Run ``python -m benchmarks.robustness [--files 10000] [--models FOLDER]``. A file is made from a sound one by a seed
(`benchmarks.mutations`, `benchmarks.text_mutations`), read, simulated without values and, where it is small, run,
exactly and on a unit of one of six accelerators. What counts as right:

- refused: ValueError, TypeError or FileNotFoundError, its message naming the file, or what of it is wrong;
- same: the outputs of the sound network, bit for bit;
- equal: another network, whose outputs are those of the ONNX reference evaluator (within float32 and a quantization);
- sound: another network, read and simulated, that the reference evaluator cannot run or nobody ran.

Wrong is any other exception, an output that differs, more than 20 s, more than 2 GiB, or the end of the process.
"""

import argparse
import collections
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks.robustness_worker import Outcome, Pool, sound_files

__all__ = [
    "main",
    "outcomes",
    "summary",
]

_LISTED = 3  # files of those with the same text, to so many characters
_ALIKE = 60
_RIGHT = ("refused", "same", "equal", "sound")


class _Totals(NamedTuple):
    """What became of some files."""

    counts: "collections.Counter[str]"
    wrong: list[Outcome]


def outcomes(count: int, models: Path | None, seed: int, workers: int) -> Iterator[Outcome]:
    """Yield what becomes of `count` damaged files."""
    with Pool(sound_files(models), seed, workers) as pool:
        yield from pool.run(count)


def summary(found: list[Outcome]) -> str:
    """Return a line for each outcome, and for some of the files that went wrong alike."""
    totals = _totals(found)
    lines = [f"{len(found)} files"]
    for kind, number in sorted(totals.counts.items(), key=lambda item: -item[1]):
        lines.append(f"  {kind:10} {number:6}  {'' if kind in _RIGHT else 'WRONG'}".rstrip())
    seen: collections.Counter[str] = collections.Counter()
    for one in totals.wrong:
        seen[one.text[:_ALIKE]] += 1
        if seen[one.text[:_ALIKE]] <= _LISTED:
            lines.append(f"  file {one.number} ({one.base}, {one.damage}): {one.kind}: {one.text}")
    return "\n".join(lines)


def _totals(found: list[Outcome]) -> _Totals:
    """Count outcomes, and sort out the wrong ones."""
    return _Totals(collections.Counter(one.kind for one in found), [one for one in found if one.kind not in _RIGHT])


def main() -> None:
    """Damage files and print what became of them; exit 1 where anything went wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=10000)
    parser.add_argument("--first", type=int, default=0, help="number of the first file: to look at one again")
    parser.add_argument("--models", type=Path, help="a folder of more ONNX files to start from")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    start = time.perf_counter()
    with Pool(sound_files(options.models), options.seed, options.workers) as pool:
        found = list(pool.run(options.files, options.first))
    sys.stdout.write(f"{summary(found)}\n{time.perf_counter() - start:.0f} s, {options.workers} processes\n")
    sys.exit(bool(_totals(found).wrong))


if __name__ == "__main__":
    main()
