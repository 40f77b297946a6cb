# SPDX-License-Identifier: Apache-2.0
"""Errors of a fit on formats, and on kinds of units, that it has not seen."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from cost_models.fitted.quantities import Quantity, Row, bases, in_domain, limits_of
from cost_models.fitted.regression import PENALTIES, Regression, regress

__all__ = [
    "ALL",
    "UNSEEN",
    "Errors",
    "HeldOut",
    "choose_penalty",
    "held_out_formats",
    "held_out_kinds",
    "quantiles",
]

ALL, UNSEEN = "all", "unseen"
_FOLDS = 5
_LEAST = 12  # predictions of a kind from which its errors are its own; of fewer, no less than those of all kinds


class Errors(NamedTuple):
    """Relative errors that half, and nine of ten, of the predictions on what was held out stay below."""

    median: float
    nine_of_ten: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """A row predicted without the format, or the kind, that is named: its error is ``predicted / measured - 1``."""

    row: Row
    without: str
    error: float


def held_out_formats(rows: Sequence[Row], quantity: Quantity) -> list[HeldOut]:
    """
    Predict every row from those that have none of its formats, one format after another.

    All rows in which the format is either operand's are left out, whatever their lanes, registers and ranks; so a row
    of two formats is predicted twice. The penalty is chosen each time among the rows that are left, in the same way.
    """
    kept = quantity.measured(rows)
    return _held_out(kept, quantity, [(name, [name in row.formats for row in kept]) for name in _formats(kept)])


def held_out_kinds(rows: Sequence[Row], quantity: Quantity) -> list[HeldOut]:
    """Predict every row from those of other kinds, where these have all that the row has."""
    kept = quantity.measured(rows)
    kinds = sorted({row.kind for row in kept})
    return _held_out(kept, quantity, [(name, [row.kind == name for row in kept]) for name in kinds])


def _held_out(rows: Sequence[Row], quantity: Quantity, parts: Sequence[tuple[str, list[bool]]]) -> list[HeldOut]:
    out = []
    for name, held in parts:
        seen = [row for row, away in zip(rows, held, strict=True) if not away]
        if not seen:
            continue
        limits = limits_of(seen)
        (fitted,) = _fitted(seen, quantity, [choose_penalty(seen, quantity)])
        for row, away in zip(rows, held, strict=True):
            if away and in_domain(row.features, limits):
                error = quantity.value(fitted(row.basis)) / row.values[quantity.name] - 1.0
                out.append(HeldOut(row=row, without=name, error=error))
    return out


def choose_penalty(rows: Sequence[Row], quantity: Quantity) -> float | None:
    """Return the penalty of least mean error on held-out formats, a fifth of them at a time."""
    names = _formats(rows)
    if len(names) < _FOLDS:
        return None
    errors: dict[float | None, list[float]] = {penalty: [] for penalty in PENALTIES}
    for fold in range(_FOLDS):
        away = set(names[fold::_FOLDS])
        seen = [row for row in rows if not row.formats & away]
        held = [row for row in rows if row.formats & away]
        if not seen:
            continue
        for penalty, fitted in zip(PENALTIES, _fitted(seen, quantity, PENALTIES), strict=True):
            errors[penalty] += [abs(np.log(fitted(row.basis) / quantity.goal(row))) for row in held]
    return min(PENALTIES, key=lambda penalty: float(np.mean(errors[penalty])) if errors[penalty] else 0.0)


def quantiles(formats: Sequence[HeldOut], kinds: Sequence[HeldOut]) -> dict[str, Errors]:
    """Return the errors by kind, of all kinds together, and of a kind that was never measured."""
    by_kind: dict[str, list[float]] = {}
    for held in formats:
        by_kind.setdefault(held.row.kind, []).append(abs(held.error))
    together = [error for errors in by_kind.values() for error in errors]
    every = _errors(together)
    out = {ALL: every}
    for kind, errors in sorted(by_kind.items()):
        own = _errors(errors)
        few = Errors(max(own.median, every.median), max(*errors, every.nine_of_ten))
        out[kind] = own if len(errors) >= _LEAST else few
    if kinds:
        out[UNSEEN] = _errors([abs(held.error) for held in kinds])
    return out


def _errors(errors: Sequence[float]) -> Errors:
    median, nine = np.quantile(errors, (0.5, 0.9))
    return Errors(float(median), float(nine))


def _fitted(rows: Sequence[Row], quantity: Quantity, penalties: Sequence[float | None]) -> list[Regression]:
    terms, factors = bases(quantity)
    return regress([row.basis for row in rows], [quantity.goal(row) for row in rows], terms, factors, penalties)


def _formats(rows: Sequence[Row]) -> list[str]:
    return sorted({name for row in rows for name in row.formats})
