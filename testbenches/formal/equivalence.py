# SPDX-License-Identifier: Apache-2.0
"""Equivalence of a combinational module and its specification, by SAT."""

import re
import time

from rtl.blocks import Block
from rtl.verilog import parts_verilog
from testbenches.formal.proof import Proof, Result, elapsed, work

__all__ = [
    "prove_block",
    "prove_equal",
]

# Sweeping merges what is equal inside the two sides first, which is most where their structures are alike.
_SWEEP = "abc -g AND,XOR,MUX -script +strash;&get,-n;&fraig,-x;&put;dc2;strash;&get,-n;&fraig,-x;&put\nopt_clean\n"
_MITER = """
read_verilog -sv gold.v
proc
flatten
opt_clean
cd
design -stash gold
read_verilog -sv gate.v
proc
flatten
opt_clean
design -stash gate
design -copy-from gold -as gold {gold}
design -copy-from gate -as gate {gate}
miter -equiv -make_outputs gold gate miter
hierarchy -top miter
flatten
opt -full
techmap
opt
{sweep}sat -prove trigger 0 -show-inputs -show-outputs miter
"""
_SIZE = re.compile(r"(\d+) variables, (\d+) clauses|Solving problem with (\d+) variables and (\d+) clauses")


def prove_block(block: Block, *, seconds: float = 300.0) -> Proof:
    """
    Prove a block equal to its specification for every operand.

    Raises
    ------
    ValueError
        The block has no specification.
    """
    if not block.specification:
        raise ValueError(f"block must have a specification, and {block.name} has none")
    text = parts_verilog({block.name: block.part()})[block.name]
    return prove_equal(block.name, text, block.name, block.specification, "specification", seconds=seconds)


def prove_equal(
    name: str, text: str, top: str, specification: str, specification_top: str, *, seconds: float = 300.0
) -> Proof:
    """
    Prove two combinational modules with the same ports equal for every operand.

    Parameters
    ----------
    name : str
        What the proof is called.
    text, top : str
        Verilog and module of the one.
    specification, specification_top : str
        Verilog and module of the other.
    seconds : float, default 300
        Wall time, after which nothing is said.

    Returns
    -------
    Proof
        Proved, refuted with operands, or not proved in the time.
    """
    started = time.perf_counter()
    method = "SAT sweeping, then SAT"
    with work({"gold.v": specification, "gate.v": text}) as yosys:
        log = yosys.run(_MITER.format(gold=specification_top, gate=top, sweep=_SWEEP), seconds)
    if log is None:
        return Proof(
            name=name, method=method, result="not proved", detail=f"time up after {seconds:g} s",
            seconds=elapsed(started),
        )  # fmt: skip
    result: Result = "proved" if "SUCCESS!" in log else "refuted" if "FAIL!" in log else "not proved"
    sizes = _SIZE.findall(log)
    clauses = (sizes[-1][1] or sizes[-1][3]) if sizes else "0"
    return Proof(
        name=name, method=method, result=result, size=f"{int(clauses):,} clauses",
        detail=_counterexample(log) if result == "refuted" else "", seconds=elapsed(started),
    )  # fmt: skip


def _counterexample(log: str) -> str:
    """Return the operands and outputs that the solver found."""
    # Of more than 32 bits, the table has the binary digits alone.
    values = re.findall(r"^\s+\\((?:in|gold|gate)_\S+)\s+\S+\s+\S+\s+([01]+)$", log, re.MULTILINE)
    return " ".join(f"{name}={int(digits, 2):x}" for name, digits in values)
