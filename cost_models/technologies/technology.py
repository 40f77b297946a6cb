# SPDX-License-Identifier: Apache-2.0
"""Technologies as data: what a standard-cell library and an FPGA target are here."""

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = [
    "Cell",
    "FpgaTechnology",
    "OperatingPoint",
    "Technology",
    "Wires",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatingPoint:
    """Where every number of a standard-cell table was taken: V, degrees C, load in fF, slew and FO4 delay in ps."""

    voltage_v: float
    temperature_c: float
    load_ff: float
    input_slew_ps: float
    fo4_ps: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Wires:
    """
    The wire-load assumption: what a net's wire adds to the pins on it (`cost_models.technologies.wires`).

    `capacitance_ff_per_um` is that of a routed wire; cells fill the share `utilization` of the area; a net is
    `pitches_per_pin` cell pitches long for each of its sinks.
    """

    capacitance_ff_per_um: float
    utilization: float
    pitches_per_pin: float

    def __post_init__(self) -> None:
        if self.capacitance_ff_per_um < 0 or self.pitches_per_pin < 0 or not 0 < self.utilization <= 1:
            raise ValueError(
                "want capacitance_ff_per_um and pitches_per_pin at least 0 and utilization above 0 and at most 1, not "
                f"{self.capacitance_ff_per_um}, {self.pitches_per_pin} and {self.utilization}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """
    One standard cell.

    `outputs` maps an output pin to its function of the input pins in Liberty syntax; of a flip-flop, of its state
    `IQ`. `pin_caps_ff` maps every input pin, the clock included, to its capacitance in fF. `delay_ps`,
    `delay_max_ps`, `out_slew_ps` are the mean and worst delay and the mean output slew at the technology's operating
    point, `internal_fj` the energy of one output transition without its load's charge, `clock_fj` that of one edge of
    the clock pin. `drive` counts reference inverters; cells of a `family` differ in drive only; an output that an
    inverter inside the cell drives has `stages` = 2. `slope_ps_per_ff` is how the delay grows with the load, where the
    source says so; 0 where it does not (`linear_delays` then derives it).
    """

    name: str
    family: str
    drive: float
    stages: int
    outputs: Mapping[str, str] = field(hash=False)
    pin_caps_ff: Mapping[str, float] = field(hash=False)
    area_um2: float
    leakage_nw: float
    internal_fj: float
    delay_ps: float
    delay_max_ps: float
    out_slew_ps: float
    clock: str = ""
    data: str = ""
    clock_fj: float = 0.0
    setup_ps: float = 0.0
    slope_ps_per_ff: float = 0.0

    @property
    def is_flip_flop(self) -> bool:
        """Whether the cell keeps state."""
        return bool(self.clock)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The input pins, without the clock."""
        return tuple(pin for pin in self.pin_caps_ff if pin != self.clock)


@dataclass(frozen=True, slots=True, kw_only=True)
class Technology:
    """
    A standard-cell library: the cells by name, the operating point, and where the facts are from.

    `inverter` and `nand2` name the reference cells of FO4 delays and NAND2 equivalents, `driver` the cell that drives
    the inputs when ABC sizes. `digest` is the SHA-256 of the data without `wires`: a netlist does not depend on
    them. `left_out` says of each cell of a Liberty file that is not used why.
    """

    name: str
    title: str
    node_nm: float
    source: str
    licence: str
    inverter: str
    nand2: str
    driver: str
    operating_point: OperatingPoint
    cells: Mapping[str, Cell] = field(hash=False)
    digest: str
    wires: Wires | None = None
    left_out: Mapping[str, str] = field(hash=False, default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class FpgaTechnology:
    """
    An FPGA target: the synthesis family, whether multipliers may become DSP blocks, and the part.

    `seeds` of place and route is empty where there is none: counts only. `digest` is the SHA-256 of the data.
    """

    name: str
    title: str
    family: str
    uses_dsp: bool
    device: str
    speed_grade: str
    package: str
    seeds: tuple[int, ...]
    source: str
    licence: str
    digest: str
