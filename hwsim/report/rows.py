# SPDX-License-Identifier: Apache-2.0
"""Flat rows of design points: what tells them apart, and which of their figures follow from a fitted price."""

from collections.abc import Mapping, Sequence
from typing import Any

from hwsim.study.evaluation import Evaluation
from hwsim.study.point import FASTEST
from hwsim.study.quantities import KEYS, quantity

__all__ = [
    "Row",
    "fit_error",
    "is_fitted",
    "is_known",
    "labels",
    "row_of",
    "settings_of",
    "short_names",
    "varying",
    "varying_settings",
]

Row = Mapping[str, Any]
"""A point's fields, its figures and why it is refused, as in `hwsim.study.Comparison.rows`."""
_NAMES = ("network", "format", "unit", "accelerator", "technology")
_CLOCK = "clock_mhz"
_AREA, _ENERGY = (("array_area_mm2",), "area_mm2"), (("energy_units_nj", "energy_leakage_nj"), "energy_nj")
_PARTS = {  # which part of what the units are, where memories are in a figure too
    "area_mm2": _AREA,
    "inferences_per_s_per_mm2": _AREA,
    "energy_nj": _ENERGY,
    "inferences_per_j": _ENERGY,
    "power_mw": _ENERGY,
}


def row_of(evaluation: Evaluation) -> dict[str, Any]:
    """Return an evaluation as a flat row."""
    point = evaluation.point.as_dict()
    return {**point, "key": evaluation.key, **evaluation.figures, "refused": evaluation.refused}


def settings_of(row: Row) -> Mapping[str, Any]:
    """Return the settings of a row's point by their dotted keys."""
    found: Mapping[str, Any] = row.get("settings", {})
    return found


def varying(rows: Sequence[Row]) -> tuple[str, ...]:
    """Return the names that tell rows apart: the format, and those that differ between rows of one format."""
    others = [key for key in _NAMES if key != "format" and len({row[key] for row in rows}) > 1]
    if "unit" in others and len({(row["format"], row["unit"]) for row in rows}) == len({row["format"] for row in rows}):
        others.remove("unit")
    return ("format", *(key for key in _NAMES if key in others))


def varying_settings(rows: Sequence[Row]) -> tuple[str, ...]:
    """Return the settings that differ between rows."""
    settings = dict.fromkeys(key for row in rows for key in settings_of(row))
    return tuple(key for key in settings if len({settings_of(row).get(key) for row in rows}) > 1)


def short_names(keys: Sequence[str]) -> list[str]:
    """Return the last parts of dotted keys, as many of each as tell it apart: `rows`, `weights.kilobytes`."""
    parts = [key.split(".") for key in keys]
    return [
        next(
            ".".join(own[-count:])
            for count in range(1, len(own) + 1)
            if count == len(own) or sum(other[-count:] == own[-count:] for other in parts) == 1
        )
        for own in parts
    ]


def labels(rows: Sequence[Row], among: Sequence[Row] | None = None) -> list[str]:
    """Return a name for each row: `mxfp4 asap7`, with the settings that differ where names alone are not enough.

    The names are those that tell apart all rows that these are `among`.
    """
    keys = varying(rows if among is None else among)
    names = [" ".join(str(row[key]) for key in keys) for row in rows]
    if len(set(names)) == len(rows):
        return names
    settings = varying_settings(rows)
    return [" ".join([name, *_settings(row, settings)]) for name, row in zip(names, rows, strict=True)]


def is_known(rows: Sequence[Row], key: str) -> bool:
    """Tell whether some row has a figure."""
    return any(row.get(key) is not None for row in rows)


def is_fitted(row: Row, key: str) -> bool:
    """Tell whether a figure follows from a price of the unit that is fitted, by `hwsim.study.Quantity.prices`.

    A clock, and what follows from it, is fitted where it is "fastest" of a unit whose delay is.
    """
    return bool(_fitted_prices(row, key))


def fit_error(row: Row, key: str) -> float:
    """Return the relative error of a figure that follows from the error of the fit; 0 where it is not fitted.

    That of memories in it, which are not fitted, is none; that of a "fastest" clock is added.
    """
    prices = _fitted_prices(row, key)
    shares = (_CLOCK in prices) + (_share(row, key) if any(price != _CLOCK for price in prices) else 0.0)
    return float(shares * (row["cost_error"] or 0.0))


def _fitted_prices(row: Row, key: str) -> list[str]:
    """Return the prices that a figure is made of and that are fitted."""
    if not row["cost_fitted"] or key not in KEYS:
        return []
    fastest = settings_of(row).get(_CLOCK) == FASTEST
    return [price for price in quantity(key).prices if price != _CLOCK or fastest]


def _share(row: Row, key: str) -> float:
    """Return which part of a figure the units are."""
    parts, whole = _PARTS.get(key, ((), ""))
    known = [row[part] for part in parts if row[part] is not None]
    return sum(known) / row[whole] if known and row[whole] else 1.0


def _settings(row: Row, keys: Sequence[str]) -> list[str]:
    held = settings_of(row)
    return [f"{name}={held[key]}" for key, name in zip(keys, short_names(keys), strict=True) if key in held]
