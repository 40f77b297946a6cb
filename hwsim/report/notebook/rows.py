# SPDX-License-Identifier: Apache-2.0
"""Evaluations as flat rows: what tables, frames and figures of a comparison have in common."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hwsim.study.evaluation import Evaluation
from hwsim.study.quantities import KEYS

__all__ = [
    "COLOURS",
    "POINT_KEYS",
    "Designs",
    "evaluations_of",
    "flat",
    "labels",
    "rows_of",
    "setting_keys",
]

COLOURS = ("#4c78a8", "#f58518", "#54a24b", "#e45756", "#72b7b2", "#b279a2", "#eeca3b", "#9d755d")
Designs = Evaluation | Iterable[Evaluation] | Mapping[str, Any]
"""What tables and figures take: a comparison, evaluations, or the dict that a comparison or a store gives."""
POINT_KEYS = ("network", "format", "unit", "accelerator", "technology")


def evaluations_of(designs: Designs) -> list[Evaluation]:
    """Return the evaluations of a comparison, of a sequence, or of the dict that a comparison or a store gives.

    Raises
    ------
    TypeError
        If something else is among them.
    """
    if isinstance(designs, Evaluation):
        return [designs]
    if isinstance(designs, Mapping):
        return [Evaluation.from_dict(each) for each in designs["evaluations"]]
    found = list(designs)
    for each in found:
        if not isinstance(each, Evaluation):
            raise TypeError(f"designs must be evaluations, not {type(each).__name__}")
    return found


def setting_keys(evaluations: Iterable[Evaluation]) -> list[str]:
    """Return the settings that any of the points has, sorted."""
    return sorted({key for each in evaluations for key, _ in each.point.settings})


def flat(evaluation: Evaluation) -> dict[str, Any]:
    """Return an evaluation as one row: its point, settings by their dotted keys, all figures, and why it is refused."""
    point = {key: getattr(evaluation.point, key) for key in POINT_KEYS}
    figures = {key: evaluation.figures.get(key) for key in KEYS}
    return point | dict(evaluation.point.settings) | figures | {"refused": evaluation.refused}


def rows_of(designs: Designs) -> list[dict[str, Any]]:
    """Return the rows of designs; a comparison's have what stands beside each unit, too.

    As in a comparison's own rows, look-up tables and the like are ECP5's, but where the technology is another FPGA.
    """
    rows = [flat(each) for each in evaluations_of(designs)]
    found = designs.get("beside", ()) if isinstance(designs, Mapping) else getattr(designs, "beside", ())
    for row, others in zip(rows, found, strict=bool(found)):
        row |= {key: value for key, value in others.items() if key != "notes" and row.get(key) is None}
    return rows


def labels(evaluations: Sequence[Evaluation]) -> list[str]:
    """Return a short name of each: its format, and of what else is varied among them what it has."""
    points = [{key: getattr(each.point, key) for key in POINT_KEYS} | dict(each.point.settings) for each in evaluations]
    keys = [key for key in (*POINT_KEYS, *setting_keys(evaluations)) if key not in ("format", "unit")]
    varied = [key for key in keys if len({str(point.get(key)) for point in points}) > 1]
    found = []
    for point in points:
        parts = [point[key] if key in POINT_KEYS else f"{key} {point[key]}" for key in varied if key in point]
        found.append(", ".join((point["format"], *parts)))
    return found
