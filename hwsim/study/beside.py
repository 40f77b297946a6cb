# SPDX-License-Identifier: Apache-2.0
"""What stands beside a compared unit: its counts on FPGAs and its figures in a second library."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cost_models import Cost
from cost_models.measurements import find
from hwsim.datapath import DotProductUnit
from hwsim.study.point import DesignPoint
from hwsim.study.pricing import PIPELINE, price

__all__ = [
    "FPGAS",
    "beside",
    "beside_points",
    "measured",
]

FPGAS = ("ecp5", "ecp5_dsp", "xc7", "xc7_dsp")
_FIELDS = {
    "ecp5": {"lut": "lut", "ff": "ff", "fmax_mhz": "fmax_mhz", "fmax_spread": "fmax_spread"},
    "ecp5_dsp": {"lut_with_dsp": "lut", "dsp": "dsp", "fmax_with_dsp_mhz": "fmax_mhz"},
    "xc7": {"xc7_lut": "lut", "xc7_ff": "ff"},
    "xc7_dsp": {"xc7_lut_with_dsp": "lut", "xc7_dsp": "dsp"},
    "nangate45": {
        "nangate45_area_um2": "area_um2",
        "nangate45_delay_ps": "delay_ps",
        "nangate45_energy_pj": "energy_pj",
    },
}


def measured(
    unit: DotProductUnit, technology: str, pipeline: int, *, measure: bool, progress: Callable[[str], None]
) -> Cost | None:
    """Return the measured cost of a unit, measured now if need be; None where that is not wanted.

    Counts of FPGAs are of the synthesizer's own operators where nobody tried the other structures.
    """
    known = find(unit.name, technology, pipeline) or find(unit.name, technology, pipeline, "tool")
    if known is not None and (known.shipped or not measure):
        return known
    return price(unit, technology, pipeline=pipeline, progress=progress) if measure else None


def beside(unit: DotProductUnit, *, measure: bool, progress: Callable[[str], None]) -> tuple[dict[str, Any], list[str]]:
    """Return a unit's measured figures on FPGAs and in Nangate45, and the FPGAs in which it was never measured.

    Parameters
    ----------
    unit : DotProductUnit
    measure : bool
        Whether to synthesize what was never measured on an FPGA; else its figures are None.
    progress : callable

    Returns
    -------
    figures : dict
        ``lut``, ``ff``, ``fmax_mhz``, ``fmax_spread`` (ECP5 without DSP blocks), ``lut_with_dsp``, ``dsp``,
        ``fmax_with_dsp_mhz``; ``xc7_lut``, ``xc7_ff``, ``xc7_lut_with_dsp``, ``xc7_dsp``; ``nangate45_area_um2``,
        ``nangate45_delay_ps``, ``nangate45_energy_pj_per_mac``.
    missing : list of str
    """
    figures: dict[str, Any] = {}
    missing = []
    for technology, fields in _FIELDS.items():
        is_fpga = technology in FPGAS
        cost = measured(unit, technology, PIPELINE, measure=measure and is_fpga, progress=progress)
        if cost is None and is_fpga:
            missing.append(technology)
        figures |= {key: None if cost is None else getattr(cost, field) for key, field in fields.items()}
    energy = figures.pop("nangate45_energy_pj")
    figures["nangate45_energy_pj_per_mac"] = None if energy is None else energy / unit.width
    return figures, missing


def beside_points(
    points: Sequence[DesignPoint], costs: Sequence[Cost | None], *, measure: bool, progress: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Return what stands beside each point: `beside`, ``leakage_uw``, and in ``notes`` which units nobody measured.

    A unit is looked up once, and the note is the same for all that it names.
    """
    found = {point.unit: point.dot_product_unit for point in points}
    known = {name: beside(unit, measure=measure, progress=progress) for name, unit in found.items()}
    missing = {
        name: tuple(dict.fromkeys((*_unpriced(name, points, costs), *places))) for name, (_, places) in known.items()
    }
    note = _unmeasured({name: places for name, places in missing.items() if places})
    return [
        {
            **known[point.unit][0],
            "leakage_uw": None if cost is None else cost.leakage_uw,
            "notes": [note] if missing[point.unit] else [],
        }
        for point, cost in zip(points, costs, strict=True)
    ]


def _unpriced(unit: str, points: Sequence[DesignPoint], costs: Sequence[Cost | None]) -> list[str]:
    """Return the technologies of a unit's points without a price."""
    return [point.technology for point, cost in zip(points, costs, strict=True) if point.unit == unit and cost is None]


def _unmeasured(missing: Mapping[str, tuple[str, ...]]) -> str:
    """Say in a line which units were never measured where."""
    units: dict[tuple[str, ...], list[str]] = {}
    for unit, places in missing.items():
        units.setdefault(places, []).append(unit)
    parts = [f"{', '.join(names)} in {', '.join(places)}" for places, names in units.items()]
    return f"never measured: {'; '.join(parts)}: run without --no-measure"
