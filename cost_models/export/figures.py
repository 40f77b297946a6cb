# SPDX-License-Identifier: Apache-2.0
"""A cost in the terms of other tools: for one multiply-accumulate, for one cycle, for one lane."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from cost_models.cost import ALL, Cost

__all__ = [
    "BOUNDS",
    "Figures",
    "figures",
    "file_stem",
    "identifier",
    "macs_per_step",
    "number",
]

BOUNDS = ("lower", "upper")
_LANES = re.compile(r"_l(\d+)(?=_)")
_MEANING = {
    "lower": "lower: zero delay, no glitches, no wires",
    "upper": "upper: unit delay with glitches, and the technology's wire-load assumption; no worst case",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """
    A standard-cell cost, taken apart.

    Attributes
    ----------
    cost : Cost
    bound : {"lower", "upper"}
        Which of its energies.
    macs : int
        Multiply-accumulates of a step: the unit's lanes.
    period_ps : float
        The clock period that the leakage in the cost's energies is over.
    step_pj : float
        A step, its clock in it, without leakage.
    clock_pj, leak_pj : float
        The clock, and leakage, of a cycle.
    """

    cost: Cost
    bound: str
    macs: int
    area_um2: float
    leakage_uw: float
    period_ps: float
    step_pj: float
    clock_pj: float
    leak_pj: float

    @property
    def mac_pj(self) -> float:
        """A multiply-accumulate, with its share of the clock, without leakage."""
        return self.step_pj / self.macs

    @property
    def notes(self) -> tuple[str, ...]:
        """Units, bound and provenance, a line each, for the top of a file."""
        cost = self.cost
        lines = (
            f"unit: {cost.unit}, {self.macs} multiply-accumulates a step, {cost.pipeline} register ranks",
            f"technology: {cost.technology}, standard cells; area without wires",
            f"energy bound: {_MEANING[self.bound]}",
            f"operands: {cost.operands}",
            f"clock period: {number(self.period_ps)} ps",
            f"source: {cost.source}" + ("; FITTED, not measured" if cost.is_fitted else ""),
            f"netlist sha256: {cost.netlist_hash or 'none'}; {cost.verified_vectors} outputs equal to the model",
        )
        return tuple(" ".join(line.split()) for line in lines)


def identifier(cost: Cost) -> str:
    """Name a cost within its technology, in letters, digits and underscores."""
    structures = "" if cost.structures == ALL else f"_{cost.structures}"
    clock = "" if cost.clock_mhz is None else f"_{cost.clock_mhz:g}mhz"
    return file_stem(f"{cost.unit}_p{cost.pipeline}{structures}{clock}")


def file_stem(name: str) -> str:
    """Spell a name in letters, digits and underscores."""
    return re.sub(r"\W", "_", name)


def number(value: float) -> str:
    """Write a number with nine digits."""
    return f"{value:.9g}"


def macs_per_step(unit: str) -> int:
    """
    Return the multiply-accumulates of a step, from the unit's name, which spells its lanes.

    Raises
    ------
    ValueError
        The name has no lanes.
    """
    found = _LANES.findall(unit)
    if len(found) != 1:
        raise ValueError(f"unit {unit!r} must spell its lanes once, as in int8_l16_int32, to be exported")
    return int(found[0])


def figures(costs: Sequence[Cost], bound: str, tool: str) -> list[Figures]:
    """
    Take costs apart.

    Raises
    ------
    ValueError
        The bound is unknown, a cost lacks what `tool` needs, or two have one name; all that lack something are listed.
    """
    if bound not in BOUNDS:
        raise ValueError(f"bound must be one of {', '.join(BOUNDS)}, not {bound!r}")
    energy = "energy_pj" if bound == "lower" else "energy_upper_pj"
    needed = ("area_um2", "delay_ps", "leakage_uw", "clock_energy_pj", energy)
    lacking = [
        f"{cost.unit} in {cost.technology} has no {', '.join(name for name in needed if getattr(cost, name) is None)}"
        for cost in costs
        if any(getattr(cost, name) is None for name in needed)
    ]
    if lacking:
        raise ValueError(f"{tool} needs standard-cell costs with the {bound} bound of the energy: {'; '.join(lacking)}")
    names = [(cost.technology, identifier(cost)) for cost in costs]
    double = sorted({name for _, name in names if names.count((_, name)) > 1})
    if double:
        raise ValueError(f"costs must differ in unit, ranks, structures or clock: {', '.join(double)} is there twice")
    return [_figures(cost, bound, getattr(cost, energy)) for cost in costs]


def _figures(cost: Cost, bound: str, energy_pj: float) -> Figures:
    assert cost.area_um2 is not None
    assert cost.delay_ps is not None
    assert cost.leakage_uw is not None
    assert cost.clock_energy_pj is not None
    period_ps = cost.delay_ps if cost.clock_mhz is None else 1e6 / cost.clock_mhz
    leak_pj = cost.leakage_uw * period_ps * 1e-6  # uW ps is 1e-18 J
    return Figures(
        cost=cost,
        bound=bound,
        macs=macs_per_step(cost.unit),
        area_um2=cost.area_um2,
        leakage_uw=cost.leakage_uw,
        period_ps=period_ps,
        step_pj=energy_pj - leak_pj,
        clock_pj=cost.clock_energy_pj,
        leak_pj=leak_pj,
    )
