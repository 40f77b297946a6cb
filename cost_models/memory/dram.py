# SPDX-License-Identifier: Apache-2.0
"""DRAM: row activations and bits, or one published figure for a bit."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import ceil
from typing import NamedTuple

from cost_models.memory.tables import checked, data, lookup

__all__ = [
    "PAGE_POLICIES",
    "Dram",
    "Stream",
    "dram",
    "dram_names",
]

PAGE_POLICIES = ("open", "closed", "hit_rate")


class Stream(NamedTuple):
    """Bits at neighbouring addresses that are moved in order, `times` over."""

    bits: int
    times: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Dram:
    """
    A DRAM with its interface.

    Attributes
    ----------
    name : str
    row_pj : float
        Energy of an activation of a row, its precharge in it; 0 where the source has it among the bits.
    row_bytes, burst_bytes : int
        Bytes of a row, and of an access.
    array_pj_per_bit, io_pj_per_bit : float
        Energy of a bit between the row and the pins, and at the pins. Reads and writes alike.
    page_policy : {"open", "closed", "hit_rate"}
        open: a row stays open while a stream passes through it: each row that a stream touches is activated once.
        closed: each access activates its row. hit_rate: the share `row_hit_rate` of the accesses finds its row open.
    row_hit_rate : float
        0 to 1; of policy hit_rate alone.
    source : str
    """

    name: str
    row_pj: float = 0.0
    row_bytes: int = 1024
    burst_bytes: int = 32
    array_pj_per_bit: float
    io_pj_per_bit: float = 0.0
    page_policy: str = "open"
    row_hit_rate: float = 0.0
    source: str

    def __post_init__(self) -> None:
        if self.page_policy not in PAGE_POLICIES:
            raise ValueError(f"page_policy must be one of {', '.join(PAGE_POLICIES)}, not {self.page_policy!r}")
        if not 0 <= self.row_hit_rate <= 1:
            raise ValueError(f"row_hit_rate must be in 0..1, not {self.row_hit_rate!r}")
        if self.row_hit_rate and self.page_policy != "hit_rate":
            raise ValueError(f"row_hit_rate must be 0 with page_policy {self.page_policy!r}, not {self.row_hit_rate!r}")
        if not 1 <= self.burst_bytes <= self.row_bytes:
            raise ValueError(f"burst_bytes must be 1 to row_bytes, {self.row_bytes}, not {self.burst_bytes!r}")

    @property
    def counts_rows(self) -> bool:
        """Whether row activations have an energy of their own."""
        return self.row_pj > 0

    @property
    def energy_pj_per_bit(self) -> float:
        """Energy of a bit of a long stream, its share of the activations included, in pJ."""
        long = 8 * self.row_bytes * self.burst_bytes
        return self.energy_pj(long, self.activations([Stream(long)])) / long

    def activations(self, streams: Iterable[Stream]) -> int:
        """
        Count the row activations of streams, each beginning at a row's first byte.

        With policy hit_rate the count of each stream is rounded up.
        """
        total = 0
        for stream in streams:
            bursts = ceil(stream.bits / (8 * self.burst_bytes))
            if self.page_policy == "open":
                rows = ceil(stream.bits / (8 * self.row_bytes))
            elif self.page_policy == "closed":
                rows = bursts
            else:
                rows = ceil(bursts * (1 - self.row_hit_rate))
            total += stream.times * rows
        return total

    def energy_pj(self, bits: float, activations: int) -> float:
        """Energy of so many bits and row activations, in pJ."""
        return activations * self.row_pj + bits * (self.array_pj_per_bit + self.io_pj_per_bit)


def dram_names() -> tuple[str, ...]:
    """Names of the DRAM presets."""
    return tuple(data("dram"))


def dram(name: str) -> Dram:
    """
    Give a DRAM preset by name.

    Raises
    ------
    LookupError
        No such preset; close matches are given.
    """
    row = dict(lookup(data("dram"), name, "DRAM"))
    if "energy_pj_per_bit" in row:
        row["array_pj_per_bit"] = row.pop("energy_pj_per_bit")
    return replace(checked(Dram, row | {"name": name}, f"dram.toml: [{name}]"), name=name)
