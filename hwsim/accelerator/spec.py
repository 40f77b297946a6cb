# SPDX-License-Identifier: Apache-2.0
"""The specification of an accelerator: a unit, an array of it, memories, a clock and a technology."""

from dataclasses import dataclass
from enum import Enum

from hwsim.datapath import DotProductUnit
from hwsim.formats.codes import check_int
from hwsim.network import Rule

__all__ = [
    "Accelerator",
    "ArraySpec",
    "Constants",
    "Dataflow",
    "DramSpec",
    "SramSpec",
    "WireSpec",
]


Constants = tuple[tuple[str, int | float | str], ...]
"""Constants that the user gives in place of those of `cost_models.memory`, by name; checked where they are used."""


class Dataflow(Enum):
    """What stays in place in a systolic array while the rest streams.

    OUTPUT_STATIONARY: each unit keeps the register of one output while all of K streams through.
    WEIGHT_STATIONARY: each unit keeps `lanes` weights while the rows of the other operand stream through; a partial
    sum goes down a column, from unit to unit, and enters the next fold of K at the top again.
    Both add the products in order of K.
    """

    OUTPUT_STATIONARY = "output_stationary"
    WEIGHT_STATIONARY = "weight_stationary"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArraySpec:
    """A systolic array.

    Parameters
    ----------
    dataflow : Dataflow
    rows, columns : int
        Units, 1 to 4096 each way. Rows take outputs' rows (output-stationary) or K (weight-stationary); columns take
        output channels.
    """

    dataflow: Dataflow
    rows: int
    columns: int

    def __post_init__(self) -> None:
        if not isinstance(self.dataflow, Dataflow):
            raise TypeError(f"dataflow must be a Dataflow, not {self.dataflow!r}")
        check_int("rows", self.rows, 1, 4096)
        check_int("columns", self.columns, 1, 4096)


@dataclass(frozen=True, slots=True, kw_only=True)
class SramSpec:
    """An on-chip memory.

    Parameters
    ----------
    kilobytes : int
        Capacity in KiB, 1 to 1048576.
    width_bits : int
        Bits read or written at once, 8 to 4096.
    constants : tuple of (str, number)
        The user's own, for those of `cost_models.memory.Sram` by name.
    """

    kilobytes: int
    width_bits: int
    constants: Constants = ()

    def __post_init__(self) -> None:
        check_int("kilobytes", self.kilobytes, 1, 1 << 20)
        check_int("width_bits", self.width_bits, 8, 4096)


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
