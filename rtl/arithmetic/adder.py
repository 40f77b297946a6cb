# SPDX-License-Identifier: Apache-2.0
"""Carry-propagate adders: a ripple of full adders, and parallel prefix networks of the known topologies.

Source: Sklansky 1960; Kogge and Stone 1973; Brent and Kung 1982; Han and Carlson 1987.
"""

from collections.abc import Iterator
from typing import Any

from amaranth.hdl import Cat, Const, Module, Signal

from rtl.architecture import Adder
from rtl.arithmetic.cells import FullAdder

__all__ = [
    "add",
    "prefix_spans",
]


def add(m: Module, a: Any, b: Any, carry: Any = None, *, topology: Adder = "tool", name: str) -> Any:
    """
    Return ``a + b + carry`` modulo ``2**len(a)``.

    Parameters
    ----------
    m : Module
    a, b : Value
        Of one width.
    carry : Value, optional
        One bit.
    topology : str
        Of `rtl.architecture.Adder`; ``"tool"`` is the synthesizer's own ``+``.
    name : str
        Of the nets.
    """
    width = len(a)
    if topology == "tool" or width < 2:
        total = a + b if carry is None else a + b + carry
        out = Signal(width, name=name)
        m.d.comb += out.eq(total)
        return out
    if topology == "ripple":
        return _ripple(m, a, b, carry, name)
    propagate = Signal(width, name=f"{name}_propagate")
    generate = Signal(width, name=f"{name}_generate")
    m.d.comb += [propagate.eq(a ^ b), generate.eq(a & b)]
    first = generate[0] if carry is None else generate[0] | (propagate[0] & carry)
    groups = [(first, Const(0, 1))] + [(generate[i], propagate[i]) for i in range(1, width)]
    for level, row in enumerate(prefix_spans(width - 1, topology)):
        following = list(groups)
        for high, low in row:
            g, p = groups[high]
            g_low, p_low = groups[low]
            made = Signal(name=f"{name}_g{level}_{high}")
            m.d.comb += made.eq(g | (p & g_low))
            both: Any = Const(0, 1)
            if not isinstance(p_low, Const):
                both = Signal(name=f"{name}_p{level}_{high}")
                m.d.comb += both.eq(p & p_low)
            following[high] = (made, both)
        groups = following
    carries = [Const(0, 1) if carry is None else carry, *(g for g, _ in groups[: width - 1])]
    out = Signal(width, name=name)
    m.d.comb += out.eq(propagate ^ Cat(*carries))
    return out


def prefix_spans(width: int, topology: Adder) -> Iterator[list[tuple[int, int]]]:
    """
    Give, level by level, which groups a prefix network joins.

    Parameters
    ----------
    width : int
        Groups: one a bit at the start, group i of bit i alone; at the end group i is of bits i to 0.
    topology : {"sklansky", "kogge_stone", "brent_kung", "han_carlson"}

    Yields
    ------
    list of tuple of int
        (high, low): group `high` is joined with group `low`, which ends just below it.
    """
    if topology == "sklansky":
        step = 1
        while step < width:
            yield [(i, (i // step) * step - 1) for i in range(width) if (i // step) % 2]
            step *= 2
    elif topology == "kogge_stone":
        step = 1
        while step < width:
            yield [(i, i - step) for i in range(step, width)]
            step *= 2
    elif topology == "brent_kung":
        step = 1
        while step < width:
            yield [(i, i - step) for i in range(2 * step - 1, width, 2 * step)]
            step *= 2
        while step > 1:
            step //= 2
            yield [(i, i - step) for i in range(3 * step - 1, width, 2 * step)]
    elif topology == "han_carlson":
        yield [(i, i - 1) for i in range(1, width, 2)]
        step = 2
        while step < width:
            yield [(i, i - step) for i in range(step + 1, width, 2)]
            step *= 2
        yield [(i, i - 1) for i in range(2, width, 2)]
    else:
        raise ValueError(f"topology must be sklansky, kogge_stone, brent_kung or han_carlson, not {topology!r}")


def _ripple(m: Module, a: Any, b: Any, carry: Any, name: str) -> Any:
    """Add bit by bit; the last carry is not made."""
    width = len(a)
    total = []
    for i in range(width):
        if i == width - 1:
            total.append(a[i] ^ b[i] if carry is None else a[i] ^ b[i] ^ carry)
        elif carry is None:
            total.append(a[i] ^ b[i])
            carry = a[i] & b[i]
        else:
            m.submodules[f"{name}_{i}"] = cell = FullAdder()
            m.d.comb += [cell.a.eq(a[i]), cell.b.eq(b[i]), cell.c.eq(carry)]
            total.append(cell.total)
            carry = cell.carry
    out = Signal(width, name=name)
    m.d.comb += out.eq(Cat(*total))
    return out
