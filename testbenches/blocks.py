# SPDX-License-Identifier: Apache-2.0
"""Blocks of the catalog against their oracles at compiled speed: every operand, or millions of all kinds."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtl.blocks import Block
from rtl.verilog import parts_verilog
from testbenches import vectors as operands
from testbenches.compiled import Compiled, from_limbs
from testbenches.runner import VerificationError

__all__ = [
    "EXHAUSTIVE_BITS",
    "BlockReport",
    "check_block",
]

EXHAUSTIVE_BITS = 22
_CHUNK = 1 << 18


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockReport:
    """
    What was compared; there is none of a block that differs from its oracle.

    Parameters
    ----------
    name : str
        Of the block.
    exhaustive : bool
        Whether every operand was tried.
    vectors : int
        Rows compared, every output port of each.
    seconds : float
        Wall time, with the build.
    """

    name: str
    exhaustive: bool
    vectors: int
    seconds: float


def check_block(block: Block, *, vectors: int = 1 << 20, seed: int = 1, text: str | None = None) -> BlockReport:
    """
    Compare a block's Verilog with its oracle, bit for bit.

    Parameters
    ----------
    block : Block
        The block.
    vectors : int, default 2**20
        Rows where the operands have more than `EXHAUSTIVE_BITS` bits together: corners crossed, then random ones of
        all kinds (`testbenches.vectors`). Below, every operand comes once.
    seed : int, default 1
        Of the random ones.
    text : str, optional
        Verilog of the module ``block.name`` in place of the block's own: a netlist with the models of its cells.

    Returns
    -------
    BlockReport
        What was compared.

    Raises
    ------
    VerificationError
        A port differs; the text has the first row that does.
    MissingToolError, BuildError
        As `testbenches.compiled.Compiled`.
    ValueError
        `vectors` is less than 1.
    """
    if vectors < 1:
        raise ValueError(f"vectors must be at least 1, not {vectors!r}")
    started = time.perf_counter()
    module = Compiled(parts_verilog({block.name: block.part()})[block.name] if text is None else text, block.name)
    exhaustive = sum(module.inputs.values()) <= EXHAUSTIVE_BITS
    compared = 0
    for rows in operands.every(module.inputs) if exhaustive else _rows(block, module.inputs, vectors, seed):
        compared += _compare(block, module, rows)
    return BlockReport(name=block.name, exhaustive=exhaustive, vectors=compared, seconds=time.perf_counter() - started)


def _rows(block: Block, ports: Mapping[str, int], vectors: int, seed: int) -> Iterator[dict[str, NDArray[np.uint64]]]:
    """Go through the corners and the random rows, in pieces."""
    generator = np.random.default_rng((seed, 5))
    corners = operands.crossed(ports, block.directed)
    done = min(vectors, len(next(iter(corners.values()))))
    yield {name: codes[:done] for name, codes in corners.items()}
    while done < vectors:
        count = min(_CHUNK, vectors - done)
        yield operands.mixed(ports, block.directed, count, generator)
        done += count


def _compare(block: Block, module: Compiled, rows: Mapping[str, NDArray[np.uint64]]) -> int:
    """Compare some rows, raising at the first that differs; return how many they are."""
    seen = {name: from_limbs(words) for name, words in module.run(rows).items()}
    codes = {name: from_limbs(words) for name, words in rows.items()}
    expected = block.oracle(**codes)
    if set(expected) != set(seen):
        raise VerificationError(f"{block.name} has the outputs {', '.join(seen)}, its oracle {', '.join(expected)}")
    for name, got in seen.items():
        want = _as_codes(expected[name], got)
        wrong = np.flatnonzero(got != want)
        if wrong.size:
            row = int(wrong[0])
            inputs = " ".join(f"{port}={int(values[row]):#x}" for port, values in codes.items())
            raise VerificationError(
                f"{block.name}: {name} differs from the oracle in {wrong.size} of {len(got)} rows, first for {inputs}:"
                f" {int(got[row]):#x}, not {int(want[row]):#x}"
            )
    return len(next(iter(seen.values())))


def _as_codes(given: Any, like: NDArray[Any]) -> NDArray[Any]:
    """Return an oracle's codes in the type of the module's; a constant stands for every row."""
    codes = np.broadcast_to(np.asarray(given), like.shape)
    return codes if like.dtype == object else codes.astype(np.uint64)
