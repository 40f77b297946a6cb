# SPDX-License-Identifier: Apache-2.0
"""Registers and register files: from a technology's own flip-flops, and as other tools have them."""

from dataclasses import dataclass
from operator import mul

from cost_models.memory.tables import checked, data, lookup
from cost_models.technologies import Cell, Technology

__all__ = [
    "Register",
    "RegisterFile",
    "published_register_file",
    "register",
    "register_file",
    "register_file_names",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """
    One flip-flop that passes a bit on to another one.

    `clock_pj_per_cycle` is spent in each cycle that the clock runs, `data_pj_per_toggle` where the bit changes;
    `toggle_rate` is the share of the bits moved that do.
    """

    clock_pj_per_cycle: float
    data_pj_per_toggle: float
    area_um2: float | None
    leakage_uw: float
    toggle_rate: float = 0.5
    source: str

    def __post_init__(self) -> None:
        if not 0 <= self.toggle_rate <= 1:
            raise ValueError(f"toggle_rate must be in 0..1, not {self.toggle_rate!r}")

    def energy_pj(self, bit_cycles: int, bits_moved: int) -> float:
        """Energy of the clock over so many bits times cycles, and of so many bits stored anew, in pJ."""
        return bit_cycles * self.clock_pj_per_cycle + bits_moved * self.toggle_rate * self.data_pj_per_toggle


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterFile:
    """
    A register file of one read and one write port.

    Energies are of one bit of an access, in pJ/bit; area in um2 and leakage in uW are of the whole, and None where the
    source has none.
    """

    name: str
    node_nm: int
    capacity_bytes: float
    width_bits: int
    read_pj_per_bit: float
    write_pj_per_bit: float
    area_um2: float | None = None
    leakage_uw: float | None = None
    source: str

    def as_register(self) -> Register:
        """Return what a bit takes that is written once and read once, in the terms of tools that count only those."""
        return Register(
            clock_pj_per_cycle=0.0,
            data_pj_per_toggle=self.read_pj_per_bit + self.write_pj_per_bit,
            area_um2=None,
            leakage_uw=0.0,
            toggle_rate=1.0,
            source=f"{self.source}; a write and a read for each bit moved, no clock, no leakage",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Published:
    """A row of registers.toml."""

    node_nm: int
    capacity_bytes: int
    width_bits: int
    read_pj_per_bit: float
    write_pj_per_bit: float
    area_um2_per_bit: float | None = None
    source: str


def register(technology: Technology) -> Register:
    """
    Price a flip-flop of a technology: the smallest there is.

    The clock takes two edges a cycle with the charge of the clock pin; a bit that changes takes the cell's internal
    energy and the charge of the next flip-flop's data pin. No clock tree and no wires: a lower bound.
    """
    cell = _flip_flop(technology)
    return Register(
        clock_pj_per_cycle=1e-3 * _clock_fj(technology, cell),
        data_pj_per_toggle=1e-3 * (cell.internal_fj + _charge_fj(technology, cell, cell.data)),
        area_um2=cell.area_um2,
        leakage_uw=1e-3 * cell.leakage_nw,
        source=f"{cell.name} of {technology.name}, no clock tree, no wires; half of the bits moved toggle",
    )


def register_file(technology: Technology, words: int, width_bits: int) -> RegisterFile:
    """
    Price a register file of a technology's flip-flops, whose words are gated by their lines and ORed by NAND2 cells.

    Random data at random addresses, zero delay. A write clocks the flip-flops of its word alone, and half of them
    change; half of the write port's wires toggle, each with the data pins of all words on it. A read moves the one
    word line that is high; a gate of the tree toggles as often as its words, but for the one that is read, let it. An
    OR is one NAND2 above the word gates, two further up. Without decoder, clock gates, clock tree and wires: a lower
    bound for this structure.

    Parameters
    ----------
    technology : Technology
    words : int
        A power of two, 2 to 1024.
    width_bits : int
        Bits of a word, 1 to 1024.

    Raises
    ------
    ValueError
        A number is out of range.
    """
    if not 2 <= words <= 1024 or words & (words - 1):
        raise ValueError(f"words must be a power of two in 2..1024, not {words!r}")
    if not 1 <= width_bits <= 1024:
        raise ValueError(f"width_bits must be in 1..1024, not {width_bits!r}")
    cell, nand = _flip_flop(technology), technology.cells[technology.nand2]
    pin_fj = max(_charge_fj(technology, nand, pin) for pin in nand.inputs)
    write_fj = _clock_fj(technology, cell) + 0.5 * (cell.internal_fj + pin_fj)
    write_fj += 0.5 * words * _charge_fj(technology, cell, cell.data)
    levels = words.bit_length()  # the word gates, and the ORs above them
    toggles = [(1 - 2**j / words) + (2**j - 1) / words / 2 for j in range(levels)]
    cells = [(1 if level < 2 else 2) for level in range(levels)]
    read_fj = sum(map(mul, cells, toggles)) * (nand.internal_fj + pin_fj) + (1 - 1 / words) * 2 * pin_fj
    bits = words * width_bits
    gates = width_bits * sum(count * (words >> level) for level, count in enumerate(cells))
    return RegisterFile(
        name=f"{technology.name}_{words}x{width_bits}",
        node_nm=round(technology.node_nm),
        capacity_bytes=bits / 8,
        width_bits=width_bits,
        read_pj_per_bit=1e-3 * read_fj,
        write_pj_per_bit=1e-3 * write_fj,
        area_um2=bits * cell.area_um2 + gates * nand.area_um2,
        leakage_uw=1e-3 * (bits * cell.leakage_nw + gates * nand.leakage_nw),
        source=f"{cell.name} and {nand.name} of {technology.name}, random data and addresses, no wires",
    )


def register_file_names() -> tuple[str, ...]:
    """Names of the published register files."""
    return tuple(data("registers"))


def published_register_file(name: str) -> RegisterFile:
    """
    Give a published register file by name.

    Raises
    ------
    LookupError
        No such register file; close matches are given.
    """
    row = checked(_Published, lookup(data("registers"), name, "register file"), f"registers.toml: [{name}]")
    per_bit = row.area_um2_per_bit
    return RegisterFile(
        name=name,
        node_nm=row.node_nm,
        capacity_bytes=row.capacity_bytes,
        width_bits=row.width_bits,
        read_pj_per_bit=row.read_pj_per_bit,
        write_pj_per_bit=row.write_pj_per_bit,
        area_um2=None if per_bit is None else 8 * row.capacity_bytes * per_bit,
        source=row.source,
    )


def _flip_flop(technology: Technology) -> Cell:
    """Find the smallest flip-flop."""
    return min((cell for cell in technology.cells.values() if cell.is_flip_flop), key=lambda cell: cell.area_um2)


def _charge_fj(technology: Technology, cell: Cell, pin: str) -> float:
    """Energy of one transition at a pin."""
    return 0.5 * cell.pin_caps_ff[pin] * technology.operating_point.voltage_v**2


def _clock_fj(technology: Technology, cell: Cell) -> float:
    """Energy of both clock edges of a cycle."""
    return 2 * (cell.clock_fj + _charge_fj(technology, cell, cell.clock))
