# SPDX-License-Identifier: Apache-2.0
"""Sums proved by algebra, in time linear in the cells: a full adder is the equation a + b + c = total + 2 carry.

From the outputs, weighted by their places, each adder's outputs are replaced by its inputs; what is left is a weighted
sum of nets in front of all adders. Those depend on few inputs each, and fall into groups, the lanes, which are compared
with the specification on every operand of a group. Source: the rewriting of column-wise multiplier verification,
Ritirc, Biere and Kauers 2017 (FMCAD), with tables in place of polynomials.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from testbenches.formal.netlist import ADDERS, Bit, Cell, Netlist, read_netlist
from testbenches.formal.proof import Proof, Result, elapsed

__all__ = [
    "LARGEST_GROUP_BITS",
    "Term",
    "integer_terms",
    "product_term",
    "prove_sum",
]

LARGEST_GROUP_BITS = 22
_PAIRS = {"$_XOR_": (1, -2), "$_OR_": (1, -1), "$_AND_": (0, 1), "$_XNOR_": (-1, 2), "$_NAND_": (0, -1),
          "$_NOR_": (-1, 1)}  # fmt: skip
_ONES = {"$_XNOR_", "$_NAND_", "$_NOR_"}


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
    seconds : float, default 300
        For reading the text.

    Returns
    -------
    Proof
        Not proved where a net behind an adder is used in a way that is no sum (a prefix adder), or a group of inputs
        that are not separate addends has more than `LARGEST_GROUP_BITS` bits.
    """
    started = time.perf_counter()
    netlist = read_netlist(text, top, seconds)
    adders = sum(cell.kind.endswith(ADDERS) for cell in netlist.cells)
    size = f"{adders:,} full and half adders"
    method = "algebra, each group of inputs exhaustively"
    try:
        constant, leaves = _rewritten(netlist, outputs, 1 << bits)
        result, detail, groups = _compared(netlist, constant, leaves, list(terms), 1 << bits)
        size += f", {groups:,} groups of inputs"
    except _NotLinearError as error:
        result, detail = "not proved", str(error)
    return Proof(name=name, method=method, result=result, size=size, detail=detail, seconds=elapsed(started))


def _rewritten(
    netlist: Netlist, outputs: Sequence[tuple[str, int, int, int]], modulus: int
) -> tuple[int, dict[Bit, int]]:
    """Return the weighted outputs as a constant and weighted nets that depend on no adder."""
    weights: dict[Bit, int] = {}
    for port, low, width, weight in outputs:
        for index in range(width):
            _add(weights, netlist.outputs[port][low + index], weight << index, modulus)
    behind = _behind(netlist)
    pairs: dict[frozenset[Bit], list[Cell]] = {}
    for cell in netlist.cells:
        if cell.kind in _PAIRS:
            pairs.setdefault(frozenset(cell.fan_in), []).append(cell)
    for cell in reversed(netlist.cells):
        nets = [net for bits in cell.outputs.values() for net in bits]
        if not any(net in behind and weights.get(net) for net in nets):
            continue
        if cell.kind == "$add":
            _word(weights, cell, modulus)
        elif cell.kind.endswith(ADDERS):
            total, carry = (weights.pop(net, 0) for net in nets)
            if (2 * total - carry) % modulus:
                raise _NotLinearError(f"the carry of an adder weighs {carry:#x}, its sum {total:#x}")
            for net in cell.fan_in:
                _add(weights, net, total, modulus)
        elif cell.kind == "$_NOT_":
            weight = weights.pop(nets[0])
            _add(weights, "1", weight, modulus)
            _add(weights, cell.fan_in[0], -weight, modulus)
        elif cell.kind in _PAIRS:
            _pair(weights, cell, pairs[frozenset(cell.fan_in)], modulus)
        else:
            raise _NotLinearError(f"a {cell.kind} stands behind an adder")
    constant = weights.pop("1", 0)
    weights.pop("0", 0)
    return constant, {net: weight for net, weight in weights.items() if weight}


def _behind(netlist: Netlist) -> set[Bit]:
    """Return the nets that depend on an adder."""
    found: set[Bit] = set()
    for cell in netlist.cells:
        if cell.kind == "$add" or cell.kind.endswith(ADDERS) or not found.isdisjoint(cell.fan_in):
            found.update(net for bits in cell.outputs.values() for net in bits)
    return found


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


def _pair(weights: dict[Bit, int], cell: Cell, gates: Sequence[Cell], modulus: int) -> None:
    """Replace the gates of two nets: each is u (a + b) + v a b and a constant, and the v must cancel."""
    linear = square = 0
    for gate in gates:
        weight = weights.pop(gate.outputs["Y"][0], 0)
        u, v = _PAIRS[gate.kind]
        linear, square = linear + u * weight, square + v * weight
        if gate.kind in _ONES:
            _add(weights, "1", weight, modulus)
    if square % modulus:
        raise _NotLinearError(f"a {cell.kind} stands behind an adder")
    for net in cell.fan_in:
        _add(weights, net, linear, modulus)


def _compared(
    netlist: Netlist, constant: int, leaves: dict[Bit, int], terms: Sequence[Term], modulus: int
) -> tuple[Result, str, int]:
    """Compare what is left with the specification, a group of inputs at a time."""
    names = {net: (port, index) for port, bits in netlist.inputs.items() for index, net in enumerate(bits)}
    term_nets = [[netlist.inputs[port][index] for port, index in term.bits] for term in terms]
    group_of = _groups([*map(netlist.support, leaves), *map(frozenset, term_nets)])
    groups: dict[Bit, tuple[list[Bit], list[int]]] = {}
    for leaf in leaves:
        root = group_of[next(iter(netlist.support(leaf)))] if netlist.support(leaf) else "1"
        groups.setdefault(root, ([], []))[0].append(leaf)
    for index, nets in enumerate(term_nets):
        groups.setdefault(group_of[nets[0]], ([], []))[1].append(index)
    members: dict[Bit, list[Bit]] = {}
    for net in sorted(group_of, key=lambda net: names[net]):
        members.setdefault(group_of[net], []).append(net)
    difference = constant
    for root, (nets, indices) in groups.items():
        bits = members.get(root, [])
        if len(bits) > LARGEST_GROUP_BITS:
            raise _NotLinearError(f"{len(bits)} inputs are in one group")
        at_zero, wrong = _difference(
            netlist, bits, {net: leaves[net] for net in nets},
            [(term_nets[index], terms[index]) for index in indices], modulus,
        )  # fmt: skip
        if wrong is not None:
            operands = " ".join("{}[{}]={}".format(*names[net], (wrong >> i) & 1) for i, net in enumerate(bits))
            return "refuted", f"the sum is off for {operands}", len(groups)
        difference += at_zero
    if difference % modulus:
        return "refuted", f"the sum is off by {difference % modulus:#x} for every operand", len(groups)
    return "proved", "", len(groups)


def _groups(supports: Iterable[frozenset[Bit]]) -> dict[Bit, Bit]:
    """Return a common member for each net of those that a chain of supports connects."""
    parent: dict[Bit, Bit] = {}

    def root(net: Bit) -> Bit:
        while parent.setdefault(net, net) != net:
            parent[net] = parent[parent[net]]
            net = parent[net]
        return net

    for support in supports:
        roots = [root(net) for net in support]
        for other in roots[1:]:
            parent[root(other)] = root(roots[0])
    return {net: root(net) for net in parent}


def _difference(
    netlist: Netlist,
    bits: Sequence[Bit],
    leaves: dict[Bit, int],
    terms: Sequence[tuple[list[Bit], Term]],
    modulus: int,
) -> tuple[int, int | None]:
    """Return implementation less specification at zero, and an operand for which it is another, if there is one."""
    rows = np.arange(1 << len(bits))
    values = {net: (rows >> index) & 1 == 1 for index, net in enumerate(bits)}
    narrow = modulus <= 1 << 64
    total = np.zeros(rows.size, np.uint64 if narrow else object)
    for net, value in netlist.evaluate(leaves, values).items():
        weight = leaves[net]
        total += value.astype(total.dtype) * (np.uint64(weight) if narrow else weight)
    care = np.ones(rows.size, bool)
    for nets, term in terms:
        index = np.zeros(rows.size, np.int64)
        for place, net in enumerate(nets):
            index |= values[net].astype(np.int64) << place
        reduced = term.values.astype(object) % modulus
        if term.care is not None:
            care &= term.care[index]
        total -= (reduced.astype(np.uint64) if narrow else reduced)[index]
    total = total & np.uint64(modulus - 1) if narrow else total % modulus
    wrong = np.flatnonzero((total != total[0]) & care)
    return int(total[0]), int(wrong[0]) if wrong.size else None
