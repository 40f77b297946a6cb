# SPDX-License-Identifier: Apache-2.0
"""Designs that are compared, as a table."""

from typing import Any

from hwsim.report.notebook.html import note, table
from hwsim.report.notebook.rows import POINT_KEYS, Designs, evaluations_of, rows_of, setting_keys
from hwsim.study.quantities import quantity

__all__ = [
    "designs_table",
]

_FIGURES = (
    "bits_per_element",
    "accuracy",
    "agreement",
    "output_sqnr_db",
    "unit_area_um2",
    "lut",
    "energy_pj_per_mac",
    "area_mm2",
    "latency_us",
    "energy_nj",
    "inferences_per_s_per_mm2",
    "inferences_per_j",
)
_SHOWN_ROWS, _SHOWN_REFUSED = 200, 20
_FRONTS = {"energy": "energy_nj", "area": "area_mm2", "latency": "latency_us"}


def designs_table(designs: Designs) -> str:
    """Return HTML: a row a design, what varies and what is known of any; and the refused ones with their reason."""
    from hwsim.study.front import PLACE, pareto

    evaluations = evaluations_of(designs)
    rows = [row for row in rows_of(designs) if not row["refused"]]
    settings = setting_keys(evaluations)
    varied = [
        key
        for key in (*POINT_KEYS, *settings)
        if key == "format" or (key != "unit" and len({str(row.get(key)) for row in rows}) > 1)
    ]
    known = [key for key in _FIGURES if any(row[key] is not None for row in rows)]
    marks: list[list[str]] = [[] for _ in rows]
    for name, key in _FRONTS.items():
        if "accuracy" in known and key in known:
            for mark, is_on in zip(marks, pareto(rows, {"accuracy": "more", key: "less"}, apart=PLACE), strict=True):
                mark.extend([name] if is_on else [])
    headings = [*varied, *(_heading(key) for key in known), "best accuracy for its"]
    cells = [
        [*(row.get(key) for key in varied), *(_figure(key, row[key]) for key in known), ", ".join(mark)]
        for row, mark in zip(rows, marks, strict=True)
    ]
    refused = [
        f"{each.point.format} on {each.point.accelerator}: {each.refused}" for each in evaluations if each.refused
    ]
    notes = [f"and {len(cells) - _SHOWN_ROWS:,} more, all in `table()`"] if len(cells) > _SHOWN_ROWS else []
    notes += refused[:_SHOWN_REFUSED]
    notes += [f"and {len(refused) - _SHOWN_REFUSED:,} more are refused"] if len(refused) > _SHOWN_REFUSED else []
    return table(headings, cells[:_SHOWN_ROWS], f"{len(rows):,} designs") + "".join(map(note, notes))


def _heading(key: str) -> str:
    found = quantity(key)
    unit = "%" if key in ("accuracy", "agreement") else found.unit
    return f"{found.label}, {unit}" if unit else found.label


def _figure(key: str, value: Any) -> Any:
    return 100 * value if value is not None and key in ("accuracy", "agreement") else value
