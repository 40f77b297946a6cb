# SPDX-License-Identifier: Apache-2.0
"""The register map of an array behind AXI, and what its streams carry."""

from enum import IntEnum
from typing import Any

from amaranth.lib.wiring import In, Out

from hwsim.datapath.array import ArrayGeometry, ArrayKind
from hwsim.datapath.unit import DotProductUnit
from rtl.arrays.layouts import beat_fields, output_fields

__all__ = [
    "ADDRESS_BITS",
    "IDENTIFIER",
    "VERSION",
    "Register",
    "Status",
    "control_ports",
    "data_fields",
    "input_bits",
    "kind_code",
    "output_bits",
]

ADDRESS_BITS = 6
IDENTIFIER = int.from_bytes(b"hwsa", "big")
VERSION = 0x0001_0000


class Register(IntEnum):
    """Byte address of each register of 32 bits.

    IDENTIFIER, VERSION: what this is; read only, as are the next two.
    SHAPE: rows, and columns above bit 16.
    ELEMENT: `kind_code`; above bit 8 the depth; above bit 16 the lanes of a unit.
    CONTROL: bit 0 starts a job, bit 1 clears `done` and the errors; write only, reads as 0.
    STATUS: bits of `Status`; read only.
    STEPS: steps of a tile (or fold), 1 or more.
    TILES: tiles (or folds) of a job, 1 or more.
    CYCLES: of the last job, from the first beat that the array accepted to its last output, both counted; read only.
    """

    IDENTIFIER = 0x00
    VERSION = 0x04
    SHAPE = 0x08
    ELEMENT = 0x0C
    CONTROL = 0x10
    STATUS = 0x14
    STEPS = 0x18
    TILES = 0x1C
    CYCLES = 0x20


class Status(IntEnum):
    """Bit of each condition in the status register.

    BUSY: a job runs. DONE: the last one ended, all of its outputs taken; also the port `irq`.
    EARLY_LAST: TLAST in the middle of a tile. MISSING_LAST: no TLAST at its end. REFUSED: a start while busy, or of no
    steps or tiles. Errors stop nothing, and stay until they are cleared.
    """

    BUSY = 0
    DONE = 1
    EARLY_LAST = 2
    MISSING_LAST = 3
    REFUSED = 4


def kind_code(kind: ArrayKind) -> int:
    """Return the number of a kind in the register ELEMENT: its place in `ArrayKind`, from 0."""
    return list(ArrayKind).index(kind)


def data_fields(geometry: ArrayGeometry, unit: DotProductUnit) -> dict[str, int]:
    """Return the fields of TDATA of the input stream with their bits, the first at bit 0: a beat without its flags.

    `first` and `last` are counted. TUSER, where an operand stays, has `step` at bit 0 and `load` at bit 1.
    """
    flags = ("step", "first", "last", "load")
    return {name: bits for name, bits in beat_fields(geometry, unit).items() if name not in flags}


def input_bits(geometry: ArrayGeometry, unit: DotProductUnit) -> int:
    """Return the bits of TDATA of the input stream: whole bytes."""
    return -(-sum(data_fields(geometry, unit).values()) // 8) * 8


def output_bits(geometry: ArrayGeometry, unit: DotProductUnit) -> int:
    """Return the bits of TDATA of the output stream: whole bytes."""
    return -(-output_fields(geometry, unit)["d"] // 8) * 8


def control_ports() -> dict[str, Any]:
    """Return the ports of an AXI4-Lite subordinate."""
    return {
        "s_axil_awaddr": In(ADDRESS_BITS),
        "s_axil_awprot": In(3),
        "s_axil_awvalid": In(1),
        "s_axil_awready": Out(1),
        "s_axil_wdata": In(32),
        "s_axil_wstrb": In(4),
        "s_axil_wvalid": In(1),
        "s_axil_wready": Out(1),
        "s_axil_bresp": Out(2),
        "s_axil_bvalid": Out(1),
        "s_axil_bready": In(1),
        "s_axil_araddr": In(ADDRESS_BITS),
        "s_axil_arprot": In(3),
        "s_axil_arvalid": In(1),
        "s_axil_arready": Out(1),
        "s_axil_rdata": Out(32),
        "s_axil_rresp": Out(2),
        "s_axil_rvalid": Out(1),
        "s_axil_rready": In(1),
    }
