# SPDX-License-Identifier: Apache-2.0
"""RTL decoders and encoders = the formats' models, a line for each group of formats with the count of codes compared.

python benchmarks/codecs.py                  # every format of up to 16 bits
python benchmarks/codecs.py --bits 4         # those of up to 4 bits
python benchmarks/codecs.py --steps 50       # around 50 steps of each format's rounding in place of all
"""

import argparse
import time
from collections.abc import Iterator, Sequence

from hwsim import formats
from hwsim.formats import FloatSpec
from testbenches.codecs import Work, block_work, blocks, check, decoder_work, encoder_work, phase_works, scalars

__all__ = [
    "main",
]

_MODULES = 250  # in one simulation


def _batches(works: Iterator[Work]) -> Iterator[list[Work]]:
    """Give so many works together that a simulation is neither small nor slow to build."""
    batch: list[Work] = []
    for work in works:
        batch.append(work)
        if sum(len(each.parts) for each in batch) >= _MODULES:
            yield batch
            batch = []
    if batch:
        yield batch


def _line(what: str, works: Iterator[Work], simulator: str | None) -> int:
    """Compare and print; return what was compared."""
    started = time.perf_counter()
    reports = [check(batch, simulator) for batch in _batches(works)]
    modules = sum(report.modules for report in reports)
    compared = sum(report.compared for report in reports)
    names = ", ".join(sorted({report.simulator for report in reports}))
    seconds = time.perf_counter() - started
    print(f"{what}: {modules:,} modules, {compared:,} outputs equal the model ({names}, {seconds:.0f} s)", flush=True)
    return compared


def main(arguments: Sequence[str] | None = None) -> None:
    """Compare all formats."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bits", type=int, default=16, help="widest scalar format")
    parser.add_argument("--steps", type=int, default=0, help="steps of each format, at random; 0: all")
    parser.add_argument("--source", default="float32", help="format of the values that are encoded")
    parser.add_argument("--simulator", choices=("icarus", "verilator"))
    options = parser.parse_args(arguments)
    source = formats.named(options.source)
    assert isinstance(source, FloatSpec)
    found = scalars(options.bits)
    total = _line(f"decoders of {len(found)} formats, every code", map(decoder_work, found), options.simulator)
    works = map(block_work, blocks())
    total += _line(
        f"decoders of {len(blocks())} block formats, every code and scale (a sample beyond 16 bits)",
        works,
        options.simulator,
    )
    total += _line("decoder and encoder of phases", iter(phase_works(source)), options.simulator)
    for bits in sorted({spec.bits for spec in found}):
        of_width = [spec for spec in found if spec.bits == bits]
        encoders = (work for spec in of_width for work in encoder_work(spec, source, most=options.steps))
        what = f"encoders of {len(of_width)} formats of {bits} bits, every rounding mode and overflow rule"
        total += _line(what, encoders, options.simulator)
    print(f"{total:,} outputs compared")


if __name__ == "__main__":
    main()
