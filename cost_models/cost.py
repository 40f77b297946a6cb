# SPDX-License-Identifier: Apache-2.0
"""What a unit costs in a technology: the record that is measured, kept, shipped and compared."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = [
    "ALL",
    "Cost",
    "Point",
]

ALL = "all"


class Point(NamedTuple):
    """One structure and recipe of the fixed set, with its area in um2 and its shortest clock period in ps."""

    architecture: str
    recipe: str
    area_um2: float
    delay_ps: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """
    Cost of a unit in a technology; a field is None where the technology has no such quantity.

    Attributes
    ----------
    unit, technology : str
        Names.
    pipeline : int
        Register ranks of the core that was priced, which are its latency in cycles.
    structures : str
        What the price was chosen from: ``"all"``, the fixed set of architectures, or the one that was asked for.
    clock_mhz : float, optional
        The clock that was asked for; the price is the smallest netlist that reaches it. Without one, it is that of the
        least area x delay.
    source : str
        How it was measured: tools with versions, recipe, and the netlist's hash; or that it is fitted.
    architecture, recipe : str
        The structure (a name of `rtl.architecture.ARCHITECTURES`) and the synthesis recipe chosen.
    tools : str
        Tools with versions.
    netlist_hash, rtl_hash : str
        SHA-256 of the mapped netlist that was priced, and of the Verilog of all structures that were tried.
    verified_vectors : int
        Outputs in which that netlist equalled the model; 0 if it was not verified.
    area_um2, delay_ps, leakage_uw : float, optional
        Standard cells: cell area, shortest clock period without wires, leakage power.
    wired_delay_ps : float, optional
        The period with the technology's wire-load assumption.
    energy_pj, energy_upper_pj : float, optional
        Energy of one accepted row, clock and leakage in it, with the operands that `operands` describes: zero delay and
        no wires, a lower bound; and unit delay, glitches counted, with the wire-load assumption.
    clock_energy_pj : float, optional
        The part of both that the clock pins of the flip-flops take.
    operands : str
        The stimuli of the energies; empty without them.
    area_by_stage, energy_by_stage, energy_upper_by_stage : mapping of str to float
        The same by stage of the datapath, in um2 and pJ.
    front : tuple of Point
        The area-delay front of the fixed set, smallest first.
    area_spread, delay_spread : float, optional
        (max - min) / median over the fixed set: what one synthesis alone may be off by.
    lut, ff, dsp, carry : int, optional
        FPGA counts of the bare core; `ff` of standard cells too.
    lut_spread : float, optional
        (max - min) / median of the look-up tables over the structures.
    fmax_mhz, fmax_spread : float, optional
        FPGA clock rate between registers, median over seeds, and (max - min) / median.
    errors : mapping of str to float
        Of a fitted cost: by field, the relative error that nine of ten held-out formats stay below. Empty where
        everything was measured.
    seconds : float
        Processor time that the measurement took; less where it went on from syntheses that were kept.
    shipped : bool
        Whether the record came with the package; a test of the package keeps those to the RTL of its version.
    """

    unit: str
    technology: str
    source: str
    netlist_hash: str = ""
    pipeline: int = 2
    structures: str = ALL
    clock_mhz: float | None = None
    architecture: str = "tool"
    recipe: str = ""
    tools: str = ""
    rtl_hash: str = ""
    verified_vectors: int = 0
    area_um2: float | None = None
    delay_ps: float | None = None
    wired_delay_ps: float | None = None
    leakage_uw: float | None = None
    energy_pj: float | None = None
    energy_upper_pj: float | None = None
    clock_energy_pj: float | None = None
    operands: str = ""
    area_by_stage: Mapping[str, float] = field(default_factory=dict, hash=False)
    energy_by_stage: Mapping[str, float] = field(default_factory=dict, hash=False)
    energy_upper_by_stage: Mapping[str, float] = field(default_factory=dict, hash=False)
    front: tuple[Point, ...] = ()
    area_spread: float | None = None
    delay_spread: float | None = None
    lut: int | None = None
    ff: int | None = None
    dsp: int | None = None
    carry: int | None = None
    lut_spread: float | None = None
    fmax_mhz: float | None = None
    fmax_spread: float | None = None
    errors: Mapping[str, float] = field(default_factory=dict, hash=False)
    seconds: float = 0.0
    shipped: bool = False

    @property
    def smallest_um2(self) -> float | None:
        """Area of the smallest netlist of the fixed set, whatever its delay."""
        return self.front[0].area_um2 if self.front else None

    @property
    def fastest_ps(self) -> float | None:
        """Period of the fastest netlist of the fixed set, whatever its area."""
        return self.front[-1].delay_ps if self.front else None

    @property
    def is_fitted(self) -> bool:
        """Whether the figures are those of the fitted model: nobody has measured the unit."""
        return bool(self.errors)
