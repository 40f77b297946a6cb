# SPDX-License-Identifier: Apache-2.0
"""A design under test: its Verilog, what is said of it, and the files that a bench reads."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from testbenches.ports import ShellPorts

__all__ = [
    "MODES",
    "Design",
    "write_job",
]

MODES = ("full_throughput", "random_stalls", "long_stalls", "reset_in_stream")

# Rows of the modes that pause or reset, the last ones: values do not depend on pauses, so that a part is enough. Fewer
# for a netlist, which is slow: its shell is the one that the RTL was tried with.
_PAUSED_ROWS = (4096, 4096, 512)
_MAPPED_PAUSED_ROWS = (256, 256, 128)


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """The Verilog of a shell and what is said of it.

    Parameters
    ----------
    top : str
        Module of the shell.
    sources : tuple of (str, str)
        File name and Verilog text of each source.
    ports : ShellPorts
        Its streams.
    latency : int
        Stated clock cycles from an accepted row with ``last`` to its output, at least 1: 1 where the output can be
        taken at the next clock edge.
    mapped : bool, default False
        Whether the core is a netlist of cells.
    full_rate : bool, default True
        Whether it accepts a row in every cycle as long as every output is taken at once.
    longest_latency : int, optional
        Where the latency depends on the operands: the most cycles, at least `latency`, which is the fewest then.

    Raises
    ------
    ValueError
        If `latency` is less than 1, the longest is less, or there are no sources.
    """

    top: str
    sources: tuple[tuple[str, str], ...]
    ports: ShellPorts
    latency: int
    mapped: bool = False
    full_rate: bool = True
    longest_latency: int | None = None

    def __post_init__(self) -> None:
        if self.latency < 1:
            raise ValueError(f"latency must be at least 1, not {self.latency!r}")
        if self.longest_latency is not None and self.longest_latency < self.latency:
            raise ValueError(f"longest_latency must be at least {self.latency}, not {self.longest_latency!r}")
        if not self.sources:
            raise ValueError("sources must hold at least one Verilog text, not ()")


def write_job(
    folder: Path, design: Design, stimulus: Mapping[str, Sequence[int]], expected: Sequence[int], *, seed: int
) -> None:
    """Write what the bench reads: ``bench.json``, the vectors and the Verilog.

    Parameters
    ----------
    folder : Path
        Where to; it must exist.
    design : Design
        The shell.
    stimulus : mapping of str to sequence of int
        The rows: for each field of the ports one code a row. The first row has ``first`` set.
    expected : sequence of int
        The code of each output, in order: one for each row with ``last`` set.
    seed : int
        Seed of the pauses.

    Raises
    ------
    ValueError
        If the rows do not fit the ports, the first does not begin a sum, or the outputs are not one for each ``last``.
    """
    words = design.ports.pack(stimulus)
    first, last = stimulus["first"], stimulus["last"]
    if not words or not first[0]:
        raise ValueError("stimulus must begin with a row that has first set")
    asked = sum(map(bool, last))
    if asked != len(expected) or asked == 0:
        raise ValueError(f"expected must have an output for each row with last, {asked} (not 0), not {len(expected)}")
    bits = design.ports.output_bits
    for index, value in enumerate(expected):
        if not 0 <= value < 1 << bits:
            raise ValueError(f"expected must fit {bits} bits, not {value:#x} in output {index}")
    parts = (len(words), *(_MAPPED_PAUSED_ROWS if design.mapped else _PAUSED_ROWS))
    windows = {mode: (_tail(first, rows), len(words)) for mode, rows in zip(MODES, parts, strict=True)}
    config = {
        "top": design.top,
        "sources": [name for name, _ in design.sources],
        "fields": [(port.name, port.bits) for port in design.ports.fields],
        "output_bits": bits,
        "latency": design.latency,
        "longest_latency": design.latency if design.longest_latency is None else design.longest_latency,
        "full_rate": design.full_rate,
        "seed": seed,
        "rows": "rows.mem",
        "expected": "expected.mem",
        "results": "results.json",
        "modes": windows,
    }
    (folder / "bench.json").write_text(json.dumps(config, indent=1) + "\n")
    _write_words(folder / "rows.mem", words, design.ports.row_bits)
    _write_words(folder / "expected.mem", expected, bits)
    for name, text in design.sources:
        (folder / name).write_text(text)


def _tail(first: Sequence[int], rows: int) -> int:
    """Find where the last `rows` rows begin, at a row that begins a sum."""
    begin = max(len(first) - rows, 0)
    while not first[begin]:
        begin -= 1
    return begin


def _write_words(path: Path, words: Sequence[int], bits: int) -> None:
    """Write one hexadecimal word a line, as $readmemh reads it."""
    digits = (bits + 3) // 4
    path.write_text("".join(f"{word:0{digits}x}\n" for word in words))
