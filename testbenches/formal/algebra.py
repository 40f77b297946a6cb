# SPDX-License-Identifier: Apache-2.0
"""Sums proved by algebra, in time linear in the cells: a full adder is the equation a + b + c = total + 2 carry.

From the outputs, weighted by their places, each adder's outputs are replaced by its inputs; what is left is a weighted
sum of nets each of which depends on the inputs of one addend of the specification only, such as a lane's two codes;
they are compared with it on every operand of that addend. Source: the rewriting of column-wise multiplier verification,
Ritirc, Biere and Kauers 2017 (FMCAD), with tables in place of polynomials.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from testbenches.formal.equivalence import prove_equal
from testbenches.formal.netlist import ADDERS, GATES, Bit, Cell, Netlist, read_netlist
from testbenches.formal.proof import Proof, Result, elapsed

__all__ = [
    "LARGEST_GROUP_BITS",
    "Term",
    "integer_terms",
    "product_term",
    "prove_sum",
]

LARGEST_GROUP_BITS = 22


class _NotLinearError(Exception):
    """A net behind an adder is used in a way that is no sum."""


@dataclass(frozen=True, slots=True)
class Term:
    """
    An addend of a specification: any function of a few input bits.

    Parameters
    ----------
    bits : tuple of (str, int)
        Port and index of each bit.
    values : ndarray of int
        Shape (2**len(bits),): its value where bit k of the index is the k-th bit.
    care : ndarray of bool, optional
        Where it is specified; everywhere if not given. Code 0 must be.
    """

    bits: tuple[tuple[str, int], ...]
    values: NDArray[Any]
    care: NDArray[np.bool_] | None = None


def integer_terms(port: str, bits: int, *, low: int = 0, signed: bool = False, weight: int = 1) -> list[Term]:
    """Return an integer of so many bits of a port, times a weight, as one term a bit."""
    terms = []
    for index in range(bits):
        place = weight << index
        value = -place if signed and index == bits - 1 else place
        terms.append(Term(((port, low + index),), np.array([0, value], object)))
    return terms


def product_term(
    a: tuple[str, int, int], b: tuple[str, int, int], values: NDArray[Any], care: NDArray[np.bool_] | None = None
) -> Term:
    """Return a function of two codes, each a port, its lowest bit and bits; values by the code of a, then of b."""
    bits = tuple((port, low + index) for port, low, width in (a, b) for index in range(width))
    return Term(bits, np.asarray(values).T.ravel(), None if care is None else care.T.ravel())


def prove_sum(
    name: str,
    text: str,
    top: str,
    outputs: Sequence[tuple[str, int, int, int]],
    terms: Iterable[Term],
    bits: int,
    *,
    rows: str | None = None,
    seconds: float = 300.0,
) -> Proof:
    """
    Prove that weighted outputs of a module are the sum of terms of its inputs, modulo ``2**bits``.

    Parameters
    ----------
    name : str
        What the proof is called.
    text, top : str
        Verilog, full and half adders as modules of their own, and the module.
    outputs : sequence of (str, int, int, int)
        Port, lowest bit, bits and weight of each word of the sum: two of a carry-save form.
    terms : iterable of Term
        The specification.
    bits : int
        Of the sum.
    rows : str, optional
        Name of the heap whose two rows a prefix adder adds to the one word of `outputs`, which weighs 1: the rows are
        proved by algebra then, and by SAT that the word is their sum.
    seconds : float, default 300
        For reading the text, and for SAT.

    Returns
    -------
    Proof
        Not proved where a net behind an adder is used in a way that is no sum, or a term has more than
        `LARGEST_GROUP_BITS` bits.

    Raises
    ------
    ValueError, TimeoutError
        As `read_netlist`.
    """
    started = time.perf_counter()
    netlist = read_netlist(text, top, seconds)
    adders = sum(cell.kind.endswith(ADDERS) for cell in netlist.cells)
    size = f"{adders:,} full and half adders"
    method = "algebra, each term exhaustively"
    terms = list(terms)
    modulus = 1 << bits
    parts = [[netlist.inputs[port][index] for port, index in term.bits] for term in terms]
    owners = netlist.owners(parts)
    start: dict[Bit, int] = {}
    for port, low, width, weight in outputs:
        for index in range(width):
            _add(start, netlist.outputs[port][low + index], weight << index, modulus)
    result, detail = _tried(netlist, start, owners, terms, modulus)
    if result == "not proved" and rows is not None:
        method += "; the last adder by SAT"
        ((port, low, width, _),) = outputs
        target = netlist.outputs[port][low : low + width]
        words = _rows(netlist, rows, target)
        adder = _last_adder(name, netlist, words, target, seconds)
        if adder.result != "proved":
            detail = f"the output is not the sum of the rows found: {adder.detail}"
            return replace(
                adder, method=method, result="not proved", detail=detail, size=size, seconds=elapsed(started)
            )
        start = {}
        for word in words:
            for index, net in enumerate(word):
                _add(start, net, 1 << index, modulus)
        result, detail = _tried(netlist, start, owners, terms, modulus)
    size += f", {len(terms):,} terms"
    return Proof(name=name, method=method, result=result, size=size, detail=detail, seconds=elapsed(started))


def _tried(
    netlist: Netlist, start: dict[Bit, int], owners: dict[Bit, int | None], terms: Sequence[Term], modulus: int
) -> tuple[Result, str]:
    """Rewrite a weighted sum and compare it."""
    try:
        constant, leaves = _rewritten(netlist, start, owners, modulus)
        return _compared(netlist, constant, leaves, owners, terms, modulus)
    except _NotLinearError as error:
        return "not proved", str(error)


def _rows(netlist: Netlist, name: str, target: Sequence[Bit]) -> tuple[list[Bit], list[Bit]]:
    """Return the rows that a prefix adder adds: below it, the output; in it, from which its first gates are."""
    propagate, generate = (netlist.names.get(f"{name}_total_{word}", []) for word in ("propagate", "generate"))
    low = len(target) - len(propagate)
    first: list[Bit] = list(target[:low])
    second: list[Bit] = ["0"] * low
    inputs = {bit for bits in netlist.inputs.values() for bit in bits}
    for once, both in zip(propagate, generate, strict=True):
        made_by = netlist.driver.get(both) or netlist.driver.get(once)
        if both not in netlist.driver and both not in inputs:  # no carry, or the last one, which nobody reads
            words = made_by.fan_in if made_by is not None and made_by.kind == "$_XOR_" else [once, "0"]
        elif _origin(netlist, once) == (both, 1) or _origin(netlist, both) == (once, 1):
            words = [both, "1"]
        elif made_by is not None and made_by.kind == "$_AND_":
            words = made_by.fan_in
        else:
            words = [once, both]
        first.append(words[0])
        second.append(words[1])
    return first, second


def _last_adder(
    name: str, netlist: Netlist, words: Sequence[Sequence[Bit]], target: Sequence[Bit], seconds: float
) -> Proof:
    """Prove by SAT that an output word is the sum of two rows."""
    width = len(target)
    rows = {f"row{index}": word for index, word in enumerate(words)}
    text = netlist.verilog("adder", rows, {"total": target})
    # A net that is in a row twice is one variable: the specification gets the rows through the same names.
    nets = netlist.verilog("rows", rows, {f"out{index}": word for index, word in enumerate(words)})
    ports = "".join(f", input [{len(word) - 1}:0] {row}" for row, word in rows.items())
    wires = "".join(f"  wire [{len(word) - 1}:0] out{index};\n" for index, word in enumerate(words))
    specification = (
        f"module specification(output [{width - 1}:0] total{ports});\n{wires}"
        "  rows r(.row0(row0), .row1(row1), .out0(out0), .out1(out1));\n  assign total = out0 + out1;\nendmodule\n"
    )
    return prove_equal(name, text, "adder", specification + nets, "specification", seconds=seconds)


def _rewritten(
    netlist: Netlist, start: dict[Bit, int], owners: dict[Bit, int | None], modulus: int
) -> tuple[int, dict[Bit, int]]:
    """Return a weighted sum of nets as a constant and weighted nets that depend on one term's inputs each."""
    weights = dict(start)
    mixed = [
        cell for cell in netlist.cells if all(owners.get(net) is None for bits in cell.outputs.values() for net in bits)
    ]
    pairs: dict[frozenset[Bit], list[Cell]] = {}
    for cell in mixed:
        if cell.kind in GATES and len(cell.inputs) == 2:
            pairs.setdefault(_origins(netlist, cell), []).append(cell)
    # Gates of the same two nets are replaced together, at the first of them: all that reads any is behind it.
    for cell in reversed(mixed):
        nets = [net for bits in cell.outputs.values() for net in bits]
        if cell.kind in GATES and len(cell.inputs) == 2:
            gates = pairs[_origins(netlist, cell)]
            if cell is gates[0]:
                _gates(weights, netlist, gates, modulus)
        elif not any(weights.get(net) for net in nets):
            continue
        elif cell.kind == "$add":
            _word(weights, cell, modulus)
        elif cell.kind == "$_NOT_":
            weight = weights.pop(nets[0])
            _add(weights, "1", weight, modulus)
            _add(weights, cell.fan_in[0], -weight, modulus)
        elif cell.kind.endswith(ADDERS):
            total, carry = (weights.pop(net, 0) for net in nets)
            if (2 * total - carry) % modulus:
                raise _NotLinearError(f"the carry of an adder weighs {carry:#x}, its sum {total:#x}")
            for net in cell.fan_in:
                _add(weights, net, total, modulus)
        else:
            raise _NotLinearError(f"a {cell.kind} stands behind an adder")
    constant = weights.pop("1", 0)
    return constant, {net: weight for net, weight in weights.items() if weight}


def _origin(netlist: Netlist, net: Bit) -> tuple[Bit, int]:
    """Return the net of which another is the inverse or the same, and 1 if it is the inverse."""
    inverted = 0
    while net in netlist.driver and netlist.driver[net].kind == "$_NOT_":
        net, inverted = netlist.driver[net].fan_in[0], 1 - inverted
    return net, inverted


def _origins(netlist: Netlist, cell: Cell) -> frozenset[Bit]:
    """Return the nets that a gate reads, inverted or not."""
    return frozenset(_origin(netlist, net)[0] for net in cell.fan_in)


def _gates(weights: dict[Bit, int], netlist: Netlist, gates: Sequence[Cell], modulus: int) -> None:
    """Replace the gates of nets a and b: each is a number and multiples of a, b and a b; those of a b must cancel."""
    square = 0
    for gate in gates:
        weight = weights.pop(gate.outputs["Y"][0], 0)
        (a, not_a), (b, not_b) = (_origin(netlist, net) for net in gate.fan_in)
        table = [[int(GATES[gate.kind](x ^ not_a, y ^ not_b)) & 1 for y in (0, 1)] for x in (0, 1)]
        _add(weights, "1", weight * table[0][0], modulus)
        _add(weights, a, weight * (table[1][0] - table[0][0]), modulus)
        _add(weights, b, weight * (table[0][1] - table[0][0]), modulus)
        square += weight * (table[1][1] - table[1][0] - table[0][1] + table[0][0])
    if square % modulus:
        raise _NotLinearError(f"a {gates[0].kind} stands behind an adder")


def _add(weights: dict[Bit, int], net: Bit, weight: int, modulus: int) -> None:
    """Add a weighted net."""
    if net != "0":
        weights[net] = (weights.get(net, 0) + weight) % modulus


def _word(weights: dict[Bit, int], cell: Cell, modulus: int) -> None:
    """Replace a word adder's sum, whose bits weigh as their places do, by its addends."""
    nets = cell.outputs["Y"]
    unit = weights.get(nets[0], 0)
    for index, net in enumerate(nets):
        if (weights.pop(net, 0) - (unit << index)) % modulus:
            raise _NotLinearError("the bits of a word adder do not weigh as their places do")
    if (unit << len(nets)) % modulus:
        raise _NotLinearError("a word adder loses a carry")
    for word in cell.inputs.values():
        for index, net in enumerate(word):
            _add(weights, net, unit << index, modulus)


def _compared(
    netlist: Netlist,
    constant: int,
    leaves: dict[Bit, int],
    owners: dict[Bit, int | None],
    terms: Sequence[Term],
    modulus: int,
) -> tuple[Result, str]:
    """Compare what is left with the specification, a term at a time."""
    groups: list[dict[Bit, int]] = [{} for _ in terms]
    difference = constant
    for leaf, weight in leaves.items():
        owner = owners.get(leaf)
        if owner is None:
            raise _NotLinearError("an input is an addend and in no term, or a net is constant")
        groups[owner][leaf] = weight
    for term, group in zip(terms, groups, strict=True):
        if len(term.bits) > LARGEST_GROUP_BITS:
            raise _NotLinearError(f"{len(term.bits)} inputs are in one term")
        at_zero, wrong = _difference(netlist, group, term, modulus)
        if wrong is not None:
            operands = " ".join(f"{port}[{index}]={wrong >> i & 1}" for i, (port, index) in enumerate(term.bits))
            return "refuted", f"the sum is off for {operands}"
        difference += at_zero
    if difference % modulus:
        return "refuted", f"the sum is off by {difference % modulus:#x} for every operand"
    return "proved", ""


def _difference(netlist: Netlist, leaves: dict[Bit, int], term: Term, modulus: int) -> tuple[int, int | None]:
    """Return implementation less specification at zero, and an operand for which it is another, if there is one."""
    rows = np.arange(1 << len(term.bits))
    values = {netlist.inputs[port][at]: (rows >> i) & 1 == 1 for i, (port, at) in enumerate(term.bits)}
    narrow = modulus <= 1 << 64
    kind = np.uint64 if narrow else object
    total = np.zeros(rows.size, kind)
    for net, value in netlist.evaluate(leaves, values).items():
        total += value.astype(kind) * (np.uint64(leaves[net]) if narrow else leaves[net])
    total -= (term.values.astype(object) % modulus).astype(kind)
    total = total & np.uint64(modulus - 1) if narrow else total % modulus
    wrong = total != total[0]
    if term.care is not None:
        wrong &= term.care
    return int(total[0]), int(np.flatnonzero(wrong)[0]) if wrong.any() else None
