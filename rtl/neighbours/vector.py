# SPDX-License-Identifier: Apache-2.0
"""What units over whole vectors share: the vector's memory, and the largest element on the way in."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import memory

__all__ = [
    "Counter",
    "keep_largest",
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
