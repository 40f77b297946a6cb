# SPDX-License-Identifier: Apache-2.0
"""ZigZag and Stream: the operational array of a core, in the layout of ZigZag 3.9."""

from collections.abc import Sequence

from cost_models.export.figures import Figures, file_stem, identifier, number

__all__ = [
    "zigzag",
]

_NOTES = (
    "Operational array of a core of ZigZag 3.9 or Stream: put it in place of the one in the core's YAML.",
    "unit_energy: pJ of one multiply-accumulate, its share of the clock and of a cycle's leakage in it, for ZigZag",
    "knows no other energy of an operational unit. unit_area: um2 of one lane. dimensions, sizes: one unit and its",
    "lanes; add those of the array.",
)


def zigzag(costs: Sequence[Figures]) -> dict[str, str]:
    """Return a file for each cost."""
    files = {}
    for each in costs:
        lines = [f"# {note}" for note in (*_NOTES, *each.notes)]
        lines += [
            "operational_array:",
            f"  unit_energy: {number(each.mac_pj + each.leak_pj / each.macs)} # pJ",
            f"  unit_area: {number(each.area_um2 / each.macs)} # um2",
            "  dimensions: [D1]",
            f"  sizes: [{each.macs}]",
        ]
        files[f"{identifier(each.cost)}_{file_stem(each.cost.technology)}.yaml"] = "\n".join(lines) + "\n"
    return files
