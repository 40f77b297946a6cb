# SPDX-License-Identifier: Apache-2.0
"""What a tile of a product takes on an accelerator's arrays."""

from copy import copy
from typing import Any, NamedTuple

from hwsim.accelerator.arrays import schedule
from hwsim.accelerator.footprint import Footprint, footprint, step_bits
from hwsim.accelerator.spec import Accelerator
from hwsim.datapath.array import ArrayKind
from hwsim.datapath.unit import ScalarSpec
from hwsim.formats import BlockSpec
from hwsim.network import MatmulShape

__all__ = [
    "Folds",
    "Machine",
    "TileCost",
]

_KIB_BITS = 8192


class Folds(NamedTuple):
    """What a fold of the array takes of each side of a product; of a side that streams, as many as the array's rows."""

    m: int
    k: int
    n: int


class TileCost(NamedTuple):
    """What a tile takes on the arrays: cycles of the busiest, bits and steps of all.

    cycles : of loads, skew, stream and drain
    a_elements, b_elements : read
    a_times, b_times : how often a tile's operand is read
    steps : of elements of the array, those of zeros among them
    register_bits : that the array's operand registers take in
    partial_sums : registers that go to the memory and back between folds of the tile
    """

    load: int
    skew: int
    stream: int
    drain: int
    folds: int
    a_elements: int
    b_elements: int
    a_times: int
    b_times: int
    partial_sums: int
    steps: int
    register_bits: int

    @property
    def cycles(self) -> int:
        """All cycles."""
        return self.load + self.skew + self.stream + self.drain


class Machine:
    """An accelerator, and what the search asks of it again and again.

    doubled : whether the memory for "activation", and for "weight", is double-buffered
    single : the memories that could be, but are used as one buffer
    """

    def __init__(self, accelerator: Accelerator) -> None:
        array, unit = accelerator.array, accelerator.unit
        self.accelerator = accelerator
        self.keeps_outputs = array.dataflow.keeps_outputs
        self.element_width = accelerator.element.width
        self.step_bits = step_bits(unit)
        self.sum_bits = unit.register.bits
        self.doubled = {
            "activation": accelerator.activations.double_buffered,
            "weight": accelerator.weights.double_buffered,
        }
        self.widths = {
            "activation": accelerator.activations.port_bits,
            "weight": accelerator.weights.port_bits,
            "dram": accelerator.dram.bits_per_cycle,
        }
        self.capacity = accelerator.activations.kilobytes * _KIB_BITS
        if self.keeps_outputs:
            self.folds = Folds(array.rows, unit.width * array.depth, array.columns)
        elif array.dataflow is ArrayKind.INPUT_STATIONARY:
            self.folds = Folds(array.columns, unit.width * array.rows, array.rows)
        else:
            self.folds = Folds(array.rows, unit.width * array.rows, array.columns)
        self._reads: dict[tuple[str, int, int, ScalarSpec | BlockSpec | int], Footprint] = {}
        self._costs: dict[tuple[MatmulShape, str], TileCost] = {}
        self.tiled: dict[object, Any] = {}  # what `visits.costs` has found
        self.single: tuple[str, ...] = ()

    def undoubled(self, memories: tuple[str, ...]) -> "Machine":
        """Return the same with memories ("activation", "weight") that are used as one buffer."""
        machine = copy(self)
        machine.doubled = self.doubled | dict.fromkeys(memories, False)
        machine.single = memories
        return machine

    def read(self, name: str, rows: int, length: int, form: ScalarSpec | BlockSpec | int) -> Footprint:
        """Return the bits of rows of operand "a" or "b", kept in a form, as the array reads them once.

        A sparse unit reads what it keeps of a, but of values that are wider than its format all: it chooses from them.
        """
        key = (name, rows, length, form)
        if key not in self._reads:
            unit = self.accelerator.unit
            chosen = isinstance(form, int) and form > unit.element_a.bits
            sparsity = None if name == "b" or chosen else unit.sparsity
            cut = None if self.keeps_outputs else self.folds.k
            self._reads[key] = footprint(form, rows, length, sparsity=sparsity, cut=cut)
        return self._reads[key]

    def cost(self, tile: MatmulShape, shared: str) -> TileCost:
        """Return what a tile takes on the arrays."""
        key = (tile, shared)
        if key not in self._costs:
            self._costs[key] = _tile_cost(self, tile, shared)
        return self._costs[key]


def _tile_cost(machine: Machine, tile: MatmulShape, shared: str) -> TileCost:
    """Return what a tile takes, its side `shared` ("groups", "m", "n" or "") cut into parts for the arrays.

    Parts are whole folds; some arrays may have none. Each array reads its own operands: nothing is broadcast.
    """
    accelerator, unit = machine.accelerator, machine.accelerator.unit
    parts = _parts(machine, tile, shared)
    schedules = [
        (count, schedule(accelerator.array, part, unit.width, accelerator.pipeline, accelerator.step_cycles))
        for count, part in parts
    ]
    busiest = schedules[0][1]
    steps = tile.groups * tile.m * tile.n * -(-tile.k // machine.element_width)
    elements_a = sum(count * each.a_elements for count, each in schedules)
    elements_b = sum(count * each.b_elements for count, each in schedules)
    return TileCost(
        load=busiest.load_cycles,
        skew=busiest.skew_cycles,
        stream=busiest.stream_cycles,
        drain=busiest.drain_cycles,
        folds=sum(count * each.folds for count, each in schedules),
        a_elements=elements_a,
        b_elements=elements_b,
        a_times=elements_a // (tile.groups * tile.m * tile.k),
        b_times=elements_b // (tile.groups * tile.k * tile.n),
        partial_sums=sum(count * each.partial_sums for count, each in schedules),
        steps=steps,
        register_bits=_register_bits(machine, tile, steps, elements_a, elements_b),
    )


def _register_bits(machine: Machine, tile: MatmulShape, steps: int, elements_a: int, elements_b: int) -> int:
    """Return the bits that operand registers take in.

    Where outputs stay in a systolic array, an element takes both operands anew for each step. A matrix that operands
    are broadcast to has registers at its edges: each element read enters one. An operand that stays is shifted down,
    through as many registers as there are rows for the last; the other passes all elements, or a tree's edge.
    """
    array, width = machine.accelerator.array, machine.accelerator.unit.width
    kind, rows = array.dataflow, array.rows
    of_a, of_b = machine.step_bits
    if kind is ArrayKind.OUTPUT_STATIONARY:
        return steps * (of_a + of_b)
    if kind.keeps_outputs:
        return -(-elements_a * of_a // width) + -(-elements_b * of_b // width)
    if kind is ArrayKind.INPUT_STATIONARY:
        of_a, of_b, elements_a, elements_b = of_b, of_a, elements_b, elements_a
    columns = -(-elements_b // min(tile.k, rows * width))  # parts of columns, at least
    shifted = columns * (rows * (rows + 1) // 2) * of_b
    passed = -(-elements_a * of_a // width) if kind is ArrayKind.ADDER_TREE else steps * of_a
    return passed + shifted


def _parts(machine: Machine, tile: MatmulShape, shared: str) -> list[tuple[int, MatmulShape]]:
    """Return the parts of a tile, and how many arrays have each; the busiest first."""
    if not shared:
        return [(1, tile)]
    side = getattr(tile, shared)
    fold = 1 if shared == "groups" else getattr(machine.folds, shared)
    cut = -(-side // fold)
    size = min(side, -(-cut // machine.accelerator.array.count) * fold)
    full, rest = divmod(side, size)
    parts = [(full, tile._replace(**{shared: size}))]
    return parts + ([(1, tile._replace(**{shared: rest}))] if rest else [])
