# SPDX-License-Identifier: Apache-2.0
"""AXI4-Lite: one write and one read at a time, every output from a register."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal

from rtl.axi.layouts import ADDRESS_BITS

__all__ = [
    "Bus",
    "bus",
]

_OKAY, _SUBORDINATE_ERROR = 0, 2


@dataclass(frozen=True, slots=True)
class Bus:
    """What a write asks for.

    writes : high in the cycle in which a write takes effect
    address : of the word, without the low two bits
    data, strobes : what is written, and which bytes of it
    """

    writes: Signal
    address: Signal
    data: Signal
    strobes: Signal

    def at(self, register: int) -> Any:
        """Return whether a register is written."""
        return self.writes & _is(self.address, register)

    def merged(self, old: Any) -> Any:
        """Return a register's bits after the write, byte by byte as the strobes say."""
        mask = Cat(*(strobe.replicate(8) for strobe in self.strobes))[: len(old)]
        return (self.data[: len(old)] & mask) | (old & ~mask)


def bus(m: Module, ports: Any, readable: Mapping[Any, Any], writable: set[int]) -> Bus:
    """Build a subordinate; return its side of the writes.

    Parameters
    ----------
    m : Module
    ports : component
        With `control_ports`.
    readable : mapping of int (or IntEnum) to Value
        By byte address. A read of any other is answered by SLVERR and 0.
    writable : set of int
        Byte addresses; a write to any other is answered by SLVERR, and changes nothing.
    """
    address = Signal(ADDRESS_BITS - 2, name="write_address")
    data, strobes = Signal(32, name="write_data"), Signal(4, name="write_strobes")
    has_address, has_data, writes = Signal(name="has_address"), Signal(name="has_data"), Signal(name="writes")
    m.d.comb += [
        ports.s_axil_awready.eq(~has_address),
        ports.s_axil_wready.eq(~has_data),
        writes.eq(has_address & has_data & ~ports.s_axil_bvalid),
    ]
    with m.If(ports.s_axil_awvalid & ports.s_axil_awready):
        m.d.sync += [has_address.eq(1), address.eq(ports.s_axil_awaddr[2:])]
    with m.If(ports.s_axil_wvalid & ports.s_axil_wready):
        m.d.sync += [has_data.eq(1), data.eq(ports.s_axil_wdata), strobes.eq(ports.s_axil_wstrb)]
    with m.If(ports.s_axil_bvalid & ports.s_axil_bready):
        m.d.sync += ports.s_axil_bvalid.eq(0)
    known = Signal(name="write_known")
    m.d.comb += known.eq(Cat(*(_is(address, place) for place in sorted(writable))).any())
    with m.If(writes):
        m.d.sync += [
            has_address.eq(0),
            has_data.eq(0),
            ports.s_axil_bvalid.eq(1),
            ports.s_axil_bresp.eq(Mux(known, _OKAY, _SUBORDINATE_ERROR)),
        ]
    selects = [_is(ports.s_axil_araddr[2:], place) for place in readable]
    found = Signal(32, name="read_data")
    words = [Mux(select, value, 0) for select, value in zip(selects, readable.values(), strict=True)]
    m.d.comb += [found.eq(reduce(or_, words)), ports.s_axil_arready.eq(~ports.s_axil_rvalid)]
    with m.If(ports.s_axil_rvalid & ports.s_axil_rready):
        m.d.sync += ports.s_axil_rvalid.eq(0)
    with m.If(ports.s_axil_arvalid & ports.s_axil_arready):
        m.d.sync += ports.s_axil_rvalid.eq(1)
        m.d.sync += [
            ports.s_axil_rdata.eq(found),
            ports.s_axil_rresp.eq(Mux(Cat(*selects).any(), _OKAY, _SUBORDINATE_ERROR)),
        ]
    return Bus(writes, address, data, strobes)


def _is(address: Any, place: int) -> Any:
    """Return whether the address of a word is that of a byte address; for 0, no comparison of many bits with one."""
    return address == place >> 2 if place >> 2 else ~address.any()
