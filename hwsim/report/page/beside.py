# SPDX-License-Identifier: Apache-2.0
"""Figures of a point's unit in other technologies, which a comparison has beside its evaluations, as columns too."""

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = [
    "GROUP",
    "merged",
]

GROUP = "The unit elsewhere"
_ECP5 = "on ECP5, median over placements"
_FIGURES = (
    # key, label, unit, better, digits, what it is
    ("lut", "LUT, ECP5", "", "less", 6, f"Look-up tables of the unit {_ECP5}, without DSP blocks."),
    ("ff", "FF, ECP5", "", "less", 6, f"Flip-flops of the unit {_ECP5}, without DSP blocks."),
    ("fmax_mhz", "Fmax, ECP5", "MHz", "more", 4, f"Clock rate of the unit {_ECP5}, without DSP blocks."),
    ("lut_with_dsp", "LUT, ECP5 with DSP", "", "less", 6, f"Look-up tables {_ECP5}, beside DSP blocks."),
    ("dsp", "DSP, ECP5", "", "less", 6, f"DSP blocks of the unit {_ECP5}."),
    ("fmax_with_dsp_mhz", "Fmax, ECP5 with DSP", "MHz", "more", 4, f"Clock rate of the unit {_ECP5}, with DSP blocks."),
    ("xc7_lut", "LUT, Xilinx 7", "", "less", 6, "Look-up tables of the unit on Xilinx 7-series, without DSP blocks."),
    ("xc7_ff", "FF, Xilinx 7", "", "less", 6, "Flip-flops of the unit on Xilinx 7-series."),
    ("xc7_lut_with_dsp", "LUT, Xilinx 7 with DSP", "", "less", 6, "Look-up tables there, beside DSP blocks."),
    ("xc7_dsp", "DSP, Xilinx 7", "", "less", 6, "DSP blocks of the unit on Xilinx 7-series."),
    ("nangate45_area_um2", "unit area, Nangate45", "um2", "less", 4, "Cell area of the unit in Nangate45."),
    ("nangate45_delay_ps", "unit delay, Nangate45", "ps", "less", 4, "Shortest clock period of the unit in Nangate45."),
    (
        "nangate45_energy_pj_per_mac", "energy/MAC, Nangate45", "pJ", "less", 3,
        "Switching energy of the unit a multiply-accumulate in Nangate45.",
    ),
    ("leakage_uw", "unit leakage", "uW", "less", 4, "Leakage power of one unit in the point's technology."),
)  # fmt: skip


def merged(comparison: Mapping[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the quantities and the evaluations of a comparison, each with what stands beside them.

    Keys get the prefix ``beside.``, since an evaluation in an FPGA has look-up tables of its own. What the comparison
    notes of a point is added to the point's sources.
    """
    evaluations: list[dict[str, Any]] = list(comparison["evaluations"])
    others: Sequence[Mapping[str, Any]] = comparison.get("beside") or ()
    if not others:
        return list(comparison["quantities"]), evaluations
    quantities = [*comparison["quantities"], *(_quantity(*row) for row in _FIGURES)]
    keys = [row[0] for row in _FIGURES]
    return quantities, [
        {
            **each,
            "figures": {**each["figures"], **{f"beside.{key}": other.get(key) for key in keys}},
            "sources": [*each["sources"], *other.get("notes", ())],
        }
        for each, other in zip(evaluations, others, strict=True)
    ]


def _quantity(key: str, label: str, unit: str, better: str, digits: int, description: str) -> dict[str, Any]:
    return {
        "key": f"beside.{key}", "label": label, "unit": unit, "better": better, "digits": digits,
        "kind": "int" if unit == "" else "float", "description": description,
    }  # fmt: skip
