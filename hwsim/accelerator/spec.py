# SPDX-License-Identifier: Apache-2.0
"""The specification of an accelerator: a unit, an array of it, memories, a clock and a technology."""

from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from math import ceil

from hwsim.datapath import DotProductUnit
from hwsim.datapath.array import ArrayGeometry, ArrayKind
from hwsim.formats import IntegerSpec
from hwsim.formats.codes import check_bool, check_int
from hwsim.network import Rule
from hwsim.network.nonlinear import NonlinearSpec

__all__ = [
    "Accelerator",
    "ArraySpec",
    "Constants",
    "DramSpec",
    "Folds",
    "MappingSpec",
    "Objective",
    "SramSpec",
    "WireSpec",
]


Constants = tuple[tuple[str, int | float | str], ...]
"""Constants that the user gives in place of those of `cost_models.memory`, by name; checked where they are used."""


class Folds(Enum):
    """How the folds of a product follow one another.

    STREAMED: as soon as they can, loads and outputs behind other folds, as in the arrays of `rtl.arrays`.
    SERIAL: a fold begins when the one before is out (SCALE-Sim's closed forms, and the drain).
    """

    STREAMED = "streamed"
    SERIAL = "serial"


class Objective(Enum):
    """What the mapper makes small: cycles, energy, or their product."""

    LATENCY = "latency"
    ENERGY = "energy"
    EDP = "edp"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArraySpec:
    """The arrays of units on a chip.

    Parameters
    ----------
    dataflow : ArrayKind
    rows, columns : int
        Units, 1 to 4096 each way.
    depth : int
        Steps of the unit that an element of a cube takes at once, 2 to 64; 1 for all other kinds.
    count : int
        Equal arrays that share the memories, 1 to 1024.
    folds : Folds
    serial_bits : int
        Bits of an operand that a unit takes in a cycle, 0 to 64; 0 for units that take all of them.
    """

    dataflow: ArrayKind
    rows: int
    columns: int
    depth: int = 1
    count: int = 1
    folds: Folds = Folds.STREAMED
    serial_bits: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.dataflow, ArrayKind):
            raise TypeError(f"dataflow must be an ArrayKind, not {self.dataflow!r}")
        ArrayGeometry(kind=self.dataflow, rows=self.rows, columns=self.columns, depth=self.depth)
        check_int("count", self.count, 1, 1024)
        if not isinstance(self.folds, Folds):
            raise TypeError(f"folds must be a Folds, not {self.folds!r}")
        check_int("serial_bits", self.serial_bits, 0, 64)

    @property
    def geometry(self) -> ArrayGeometry:
        """One of the arrays; where an operand stays, with partial sums."""
        return _geometry(self.dataflow, self.rows, self.columns, self.depth)

    @property
    def units(self) -> int:
        """Units of all arrays: in a cube, as many as it is deep at each place."""
        return self.count * self.rows * self.columns * self.depth


@lru_cache(maxsize=256)
def _geometry(kind: ArrayKind, rows: int, columns: int, depth: int) -> ArrayGeometry:
    return ArrayGeometry(kind=kind, rows=rows, columns=columns, depth=depth, partial_sums=not kind.keeps_outputs)


@dataclass(frozen=True, slots=True, kw_only=True)
class MappingSpec:
    """What is asked of the mapper.

    Parameters
    ----------
    objective : Objective
    limit : int
        Tilings of a layer that are tried at most, 1 to 1000000; where there are more, the search is bounded.
    """

    objective: Objective = Objective.LATENCY
    limit: int = 2000

    def __post_init__(self) -> None:
        if not isinstance(self.objective, Objective):
            raise TypeError(f"objective must be an Objective, not {self.objective!r}")
        check_int("limit", self.limit, 1, 1_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class SramSpec:
    """An on-chip memory.

    Parameters
    ----------
    kilobytes : int
        Capacity in KiB, 1 to 1048576, of all banks together.
    width_bits : int
        Bits that a bank reads, and writes, at once, 8 to 4096.
    banks : int
        Equal banks that work at the same time, 1 to 64, a divisor of `kilobytes`.
    double_buffered : bool
        Whether half of it is filled, or emptied, while the array works on the other half.
    constants : tuple of (str, number)
        The user's own, for those of `cost_models.memory.Sram` by name.
    """

    kilobytes: int
    width_bits: int
    banks: int = 1
    double_buffered: bool = True
    constants: Constants = ()

    def __post_init__(self) -> None:
        check_int("kilobytes", self.kilobytes, 1, 1 << 20)
        check_int("width_bits", self.width_bits, 8, 4096)
        check_int("banks", self.banks, 1, 64)
        if self.kilobytes % self.banks:
            raise ValueError(f"banks must divide the {self.kilobytes} kilobytes, not {self.banks}")
        check_bool("double_buffered", self.double_buffered)

    @property
    def port_bits(self) -> int:
        """Bits that all banks read, and write, at once."""
        return self.banks * self.width_bits


@dataclass(frozen=True, slots=True, kw_only=True)
class DramSpec:
    """The memory outside.

    Parameters
    ----------
    kind : str
        A kind that `cost_models.memory` has an energy for; empty for that of the accelerator's memory preset.
    bits_per_cycle : int
        Bits moved in a cycle of the accelerator's clock, 1 to 65536.
    constants : tuple of (str, number or str)
        The user's own, for those of `cost_models.memory.Dram` by name.
    """

    kind: str
    bits_per_cycle: int
    constants: Constants = ()

    def __post_init__(self) -> None:
        if not isinstance(self.kind, str):
            raise TypeError(f"kind must be a str, not {self.kind!r}")
        check_int("bits_per_cycle", self.bits_per_cycle, 1, 65536)


@dataclass(frozen=True, slots=True, kw_only=True)
class WireSpec:
    """The wires between the memories on chip and the array.

    Parameters
    ----------
    name : str
        A wire of `cost_models.memory`, or ``technology`` for the capacitance of the accelerator's technology; empty
        for that of its memory preset.
    length_mm : float
        How far a bit goes, 0 to 100.
    constants : tuple of (str, number)
        The user's own, for those of `cost_models.memory.Wire` by name.
    """

    name: str
    length_mm: float
    constants: Constants = ()

    def __post_init__(self) -> None:
        if not 0 <= self.length_mm <= 100:
            raise ValueError(f"length_mm must be in 0..100, not {self.length_mm!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Accelerator:
    """An accelerator.

    Parameters
    ----------
    name : str
    unit : DotProductUnit
        What stands at each place of the array.
    pipeline : int
        Register ranks in a unit, 1 to 32 (see `rtl`): more cycles of latency, a faster clock, the same values.
    array : ArraySpec
    activations, weights : SramSpec
    dram : DramSpec
    vector_lanes : int
        Elements a cycle of the unit that requantizes, pools and adds, 1 to 4096. Its energy is not counted.
    clock_mhz : int
        1 to 10000.
    technology : str
        A technology that `cost_models` has.
    sram_node_nm : int, optional
        The process node of the memory energies: 45, 32 or 22; None with a memory preset, which has its own.
    requantization : Rule
    memory_preset : str
        A preset of `cost_models.memory`, or a file like one; empty for the CACTI grid at `sram_node_nm`.
    registers : tuple of (str, number)
        The user's own constants of an operand register's bit, for those of `cost_models.memory.Register` by name.
    wire : WireSpec, optional
        Without it, wires between the memories and the array are left out.
    nonlinear : NonlinearSpec
        How softmax, GELU and layer normalization are computed.
    mapping : MappingSpec

    Raises
    ------
    TypeError, ValueError
        If a field is out of range, the array's element is no unit that there can be, or serial bits do not go with the
        unit: it has integers to take bit by bit, and no fewer bits of a.
    """

    name: str
    unit: DotProductUnit
    pipeline: int
    array: ArraySpec
    activations: SramSpec
    weights: SramSpec
    dram: DramSpec
    vector_lanes: int
    clock_mhz: int
    technology: str
    sram_node_nm: int | None
    requantization: Rule
    memory_preset: str = ""
    registers: Constants = ()
    wire: WireSpec | None = None
    nonlinear: NonlinearSpec = field(default_factory=NonlinearSpec)
    mapping: MappingSpec = field(default_factory=MappingSpec)

    def __post_init__(self) -> None:
        check_int("pipeline", self.pipeline, 1, 32)
        check_int("vector_lanes", self.vector_lanes, 1, 4096)
        check_int("clock_mhz", self.clock_mhz, 1, 10000)
        if self.memory_preset:
            if self.sram_node_nm is not None:
                raise ValueError(f"sram_node_nm must be left out with a memory preset, not {self.sram_node_nm!r}")
        elif self.sram_node_nm not in (45, 32, 22):
            raise ValueError(f"sram_node_nm must be 45, 32 or 22, not {self.sram_node_nm!r}")
        if not self.memory_preset and not self.dram.kind:
            raise ValueError("dram.kind must be given where there is no memory preset")
        self._check_array()

    def _check_array(self) -> None:
        array, unit = self.array, self.unit
        try:
            array.geometry.element(unit)
        except ValueError as error:
            at_once = f"{array.geometry.widening} steps of unit {unit.name}"
            raise ValueError(f"array: {array.dataflow.value} takes {at_once} as one: {error}") from None
        if not array.serial_bits:
            return
        if not (isinstance(unit.a, IntegerSpec) and isinstance(unit.b, IntegerSpec)):
            raise ValueError(
                f"array.serial_bits must be 0 for unit {unit.name}, whose operands are not both integers, "
                f"not {array.serial_bits!r}"
            )
        check_int("array.serial_bits", array.serial_bits, 1, unit.a.bits)

    @property
    def element(self) -> DotProductUnit:
        """What an element of the array computes in a step: the unit whose `matmul` gives the array's values."""
        return self.array.geometry.element(self.unit)

    @property
    def step_cycles(self) -> int:
        """Cycles of a step: as many as a takes, `serial_bits` a cycle; else 1."""
        serial, spec = self.array.serial_bits, self.unit.element_a
        return ceil(spec.bits / serial) if serial else 1
