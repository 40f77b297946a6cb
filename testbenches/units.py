# SPDX-License-Identifier: Apache-2.0
"""A unit's shell at compiled speed against the kernels: ten million rows, with pauses on both sides."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import rtl
from hwsim.datapath import DotProductUnit, dot, dot_exact
from rtl.architecture import Architecture
from testbenches.blocks import EXHAUSTIVE_BITS
from testbenches.compiled import Compiled, from_limbs, to_limbs
from testbenches.ports import register_bits
from testbenches.rows import Rows, pair_rows, pairs_bits, random_arrays
from testbenches.runner import VerificationError

__all__ = [
    "UnitReport",
    "check_unit",
]

_CHUNK = 1 << 17
_SAMPLE = 512
_PAUSES = ((0.0, 0.0), (0.125, 0.0), (0.0, 0.125), (0.25, 0.25), (0.0, 0.75), (0.75, 0.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitReport:
    """
    What was compared; there is none of a unit that differs from its model.

    Parameters
    ----------
    name : str
        Of the unit.
    rows, outputs : int
        Rows sent, outputs compared.
    exhaustive : bool
        Whether all pairs of operand codes were among them; with several lanes, of those that are numbers.
    model : {"kernel", "oracle"}
        What gave the expected outputs: the compiled kernel, which a sample of each piece has compared with the
        oracle; or the oracle, where there is no kernel.
    cycles : int
        Clock cycles.
    seconds : float
        Wall time, with the build.
    """

    name: str
    rows: int
    outputs: int
    exhaustive: bool
    model: str
    cycles: int
    seconds: float


def check_unit(
    unit: DotProductUnit,
    *,
    pipeline: int | None = None,
    architecture: Architecture | None = None,
    rows: int = 10_000_000,
    oracle_rows: int = 20_000,
    text: str | None = None,
    top: str | None = None,
    seed: int = 1,
) -> UnitReport:
    """
    Compare every output of a unit's shell with the model.

    Parameters
    ----------
    unit : DotProductUnit
        The unit.
    pipeline, architecture : optional
        As of `rtl.verilog`.
    rows : int, default 10_000_000
        Rows at least. All pairs of operand codes (with several lanes, of those that are numbers) come first where a
        pair has at most `testbenches.blocks.EXHAUSTIVE_BITS` bits.
    oracle_rows : int, default 20_000
        Rows in place of `rows`, without the pairs, where there is no kernel: a register of more than 63 bits.
    text, top : str, optional
        Verilog of a shell of another style and its module, in place of that of `rtl.verilog`.
    seed : int, default 1
        Of the rows and the pauses.

    Returns
    -------
    UnitReport
        What was compared.

    Raises
    ------
    VerificationError
        An output differs, there are too few or too many, an output changed while it waited, or kernel and oracle
        differ.
    MissingToolError, BuildError
        As `testbenches.compiled.Compiled`.
    ValueError
        `rows` is less than 1, or the unit has sparse operands, ignored bits or several scales a step.
    """
    if rows < 1:
        raise ValueError(f"rows must be at least 1, not {rows!r}")
    started = time.perf_counter()
    if text is None:
        text = rtl.verilog(unit, pipeline=pipeline, architecture=architecture)
    shell = Compiled(text, unit.name if top is None else top)
    shell.reset()
    kernel = register_bits(unit) <= 63
    exhaustive = kernel and pairs_bits(unit) <= EXHAUSTIVE_BITS
    sent = outputs = cycles = 0
    for index, piece in enumerate(_pieces(unit, rows if kernel else min(rows, oracle_rows), exhaustive, seed)):
        expected = _expected(unit, piece, kernel=kernel)
        bubbles, stalls = _PAUSES[index % len(_PAUSES)]
        done = shell.stream(piece.ports(unit), len(expected), bubbles=bubbles, stalls=stalls, seed=seed + index)
        where = f"{shell.top}, piece {index}"
        if (done.accepted, done.given, done.broken) != (len(piece.a), len(expected), 0):
            raise VerificationError(
                f"{where}: took {done.accepted} of {len(piece.a)} rows, gave {done.given} outputs for"
                f" {len(expected)}, changed or took back a waiting output in {done.broken} cycles"
            )
        _compare(where, piece, from_limbs(done.outputs["o_d"]), expected)
        sent, outputs, cycles = sent + len(piece.a), outputs + len(expected), cycles + done.cycles
    return UnitReport(
        name=shell.top, rows=sent, outputs=outputs, exhaustive=exhaustive, model="kernel" if kernel else "oracle",
        cycles=cycles, seconds=time.perf_counter() - started,
    )  # fmt: skip


def _pieces(unit: DotProductUnit, rows: int, exhaustive: bool, seed: int) -> Iterator[Rows]:
    """Go through the rows, so many at a time."""
    generator = np.random.default_rng((seed, 6))
    done = 0
    if exhaustive:
        for piece in pair_rows(unit, _CHUNK, generator):
            done += len(piece.a)
            yield piece
    while done < rows:
        count = min(_CHUNK, rows - done)
        yield random_arrays(unit, count, generator)
        done += count


def _expected(unit: DotProductUnit, piece: Rows, *, kernel: bool) -> NDArray[np.generic]:
    """Return the outputs that the model makes, the kernel's checked on the first rows."""
    if not kernel:
        return from_limbs(to_limbs(dot_exact(unit, piece.listed(0, len(piece.a))), unit.output.bits))
    scales = piece.scales if unit.scales else None
    expected = dot(unit, piece.a, piece.b, piece.first, piece.last, piece.c, scales=scales)
    exact = dot_exact(unit, piece.listed(0, _SAMPLE))
    if expected[: len(exact)].tolist() != exact:
        raise VerificationError(f"{unit.name}: the kernel differs from the oracle in the first {_SAMPLE} rows")
    return expected.astype(np.uint64)


def _compare(where: str, piece: Rows, seen: NDArray[np.generic], expected: NDArray[np.generic]) -> None:
    """Raise if an output differs, with the rows of the first that does."""
    wrong = np.flatnonzero(seen != expected)
    if not wrong.size:
        return
    output = int(wrong[0])
    row = int(np.flatnonzero(piece.last)[output])
    begin = int(np.flatnonzero(piece.first[: row + 1])[-1])
    raise VerificationError(
        f"{where}: {wrong.size} of {len(expected)} outputs differ, first output {output}: {int(seen[output]):#x}, not"
        f" {int(expected[output]):#x}, of {piece.listed(begin, row + 1)}"
    )
