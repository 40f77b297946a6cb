# SPDX-License-Identifier: Apache-2.0
"""What a plan says of a layer: how it is cut, when its parts happen, and what it moves."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from hwsim.accelerator.arrays import Schedule
from hwsim.accelerator.traffic import Traffic
from hwsim.network import Layer, MatmulShape

__all__ = [
    "ARRANGEMENTS",
    "AccessEnergies",
    "Event",
    "LayerPlan",
    "Mapping",
]

ARRANGEMENTS = ("plain", "packed_groups", "toeplitz", "transposed")


class AccessEnergies(NamedTuple):
    """What an access costs, in pJ a bit; a step of a unit in pJ; all units' clock and leakage in pJ a cycle.

    `step_pj` and `idle_pj_per_cycle` are None where nothing is known of the unit; steps and cycles are then free, and
    the explanation says so.
    """

    activation_read: float
    activation_write: float
    weight_read: float
    weight_write: float
    dram: float
    step_pj: float | None = None
    idle_pj_per_cycle: float | None = None

    def total_pj(self, bits: Iterable[int], steps: int, cycles: int) -> float:
        """Return what accesses (bits, port by port), steps and idling take; nothing for what is unknown."""
        accesses = sum(moved * price for moved, price in zip(bits, self[:5], strict=True))
        return accesses + steps * (self.step_pj or 0.0) + cycles * (self.idle_pj_per_cycle or 0.0)


class Event(NamedTuple):
    """Something that happens in a layer, from a cycle to another (not included), from the layer's start.

    what : "load" (DRAM to memory), "fill", "compute", "stall", "drain" (of the array), "store" (memory to DRAM)
    """

    what: str
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapping:
    """How a layer's product is cut into tiles.

    Parameters
    ----------
    tile_groups, tile_m, tile_n, tile_k : int
        Sides of a tile, of the product as arranged; the last along a side may be smaller.
    order : tuple of str
        The loops over tiles, the outermost first: "groups", then "m", "n" and "k".
    held : tuple of str
        Operands whose tiles stay on chip from their first use to the end of the layer: of "a" and "b".
    arrangement : str
        One of `ARRANGEMENTS`.
    factor : int
        Groups side by side (packed_groups), or output pixels (toeplitz); 1 otherwise.
    arrays : str
        What several arrays share out among them: "groups", "m", "n", or "" where there is one.
    tried : int
        Mappings that were compared: legal ones, over all arrangements and ways to share out.
    exhaustive : bool
        Whether these are all that there are, so that none is better.
    explanation : tuple of str
        Why: sentences with numbers.
    """

    tile_groups: int
    tile_m: int
    tile_n: int
    tile_k: int
    order: tuple[str, ...]
    held: tuple[str, ...]
    arrangement: str
    factor: int
    arrays: str
    tried: int
    exhaustive: bool
    explanation: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerPlan:
    """When a layer's parts happen, and what it moves, in a pass of the network's batch.

    Parameters
    ----------
    layer : Layer
    product : MatmulShape, optional
        Of the layer as it is in the network; None for layers that are no product.
    mapping : Mapping, optional
    schedule : Schedule, optional
        What the tiles take on the array, added up: cycles of the busiest array, elements of all arrays.
    steps : int
        Steps of units, those of zeros that an arrangement brings in among them.
    fill_cycles : int
        Until the array is full: the first tile's load from the DRAM, then operands shifted in and entering at the
        edges, and results leaving, because rows and columns are skewed (of all tiles).
    compute_cycles : int
        Steps streamed through the array, or elements through the vector unit.
    drain_cycles : int
        Results leaving the array (of all tiles), and the last tile's store to the DRAM.
    stall_cycles : int
        In which the array waits for memories: DRAM or an SRAM's port.
    traffic : Traffic
    register_bits : int
        Bits that the array's operand registers take in, from unit to unit.
    weights_resident : bool
        Whether the layer's weights are on chip before it begins.
    events : tuple of Event
        A few, in order of their starts.
    """

    layer: Layer
    product: MatmulShape | None
    mapping: Mapping | None
    schedule: Schedule | None
    steps: int
    fill_cycles: int
    compute_cycles: int
    drain_cycles: int
    stall_cycles: int
    traffic: Traffic
    register_bits: int
    weights_resident: bool
    events: tuple[Event, ...]

    @property
    def cycles(self) -> int:
        """All cycles: the parts do not overlap."""
        return self.fill_cycles + self.compute_cycles + self.drain_cycles + self.stall_cycles
