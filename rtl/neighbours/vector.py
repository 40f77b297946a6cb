# SPDX-License-Identifier: Apache-2.0
"""What units over whole vectors share: the vector's memory, its largest element, and sums that saturate."""

from typing import Any

from amaranth.hdl import Const, Module, Mux, Signal
from amaranth.lib import memory

from hwsim.datapath.layers.specs import FACTOR

__all__ = [
    "Counter",
    "keep_largest",
    "limited",
    "vector_memory",
]


class Counter:
    """A counter of the elements of a vector, which begins again behind the last one."""

    def __init__(self, length: int) -> None:
        self.index = Signal(range(max(length, 2)), name="index")
        self.last = self.index == length - 1

    def step(self, m: Module) -> None:
        """Go on at the next clock edge."""
        m.d.sync += self.index.eq(Mux(self.last, 0, self.index + 1))


def vector_memory(m: Module, shape: Any, length: int, counter: Counter) -> tuple[Any, Any]:
    """Return the ports to write and to read, in the same cycle, the element that a counter is at."""
    m.submodules.elements = elements = memory.Memory(shape=shape, depth=length, init=[])
    write, read = elements.write_port(), elements.read_port(domain="comb")
    m.d.comb += [write.addr.eq(counter.index), read.addr.eq(counter.index)]
    return write, read


def keep_largest(m: Module, largest: Any, value: Any, first: Any, least: int | None) -> None:
    """Take an element into the largest one: of the elements since the first, and of `least` if it is not None."""
    base = Signal(largest.shape(), name="largest_so_far")
    m.d.comb += base.eq(Mux(first, value if least is None else least, largest))
    m.d.sync += largest.eq(Mux(value > base, value, base))


def limited(m: Module, value: Any, name: str) -> Any:
    """Return a value not above 2**31 - 1, of 31 bits."""
    out = Signal(31, name=name)
    above = value[31:].any() if len(value) > 31 else Const(0, 1)
    m.d.comb += out.eq(Mux(above, FACTOR, value))
    return out
