# SPDX-License-Identifier: Apache-2.0
"""The fitted model of a technology: costs of units that nobody has measured, each with its error."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cost_models.fitted.features import features, kind_of
from cost_models.fitted.quantities import QUANTITIES, Quantity, Row, bases, basis_of, beyond, limits_of
from cost_models.fitted.regression import Regression, regress
from cost_models.fitted.validation import (
    ALL,
    UNSEEN,
    Errors,
    choose_penalty,
    held_out_formats,
    held_out_kinds,
    quantiles,
)
from hwsim.datapath.unit import DotProductUnit

__all__ = [
    "Estimated",
    "Fit",
    "Model",
    "NotFittedError",
    "Prediction",
    "fit",
]

_LEAST_ROWS = 30


class NotFittedError(LookupError):
    """The fitted model does not describe the unit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimated:
    """
    A predicted quantity.

    Attributes
    ----------
    value : float
    error : Errors
        Relative, from held-out formats of the unit's kind; from held-out kinds where its kind was not measured.
    contributions : mapping of str to float
        What each feature adds to the value (to the period, of a clock rate), before `correction`.
    correction : float
        The factor on their sum.
    """

    value: float
    error: Errors
    contributions: Mapping[str, float]
    correction: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """
    What the model says of a unit.

    Attributes
    ----------
    unit : str
    pipeline : int
    kind : str
        Families of its operands, and of its register.
    seen : bool
        Whether units of the kind were among the measured ones.
    estimates : mapping of str to Estimated
        By field of a cost: ``area_um2``, ``delay_ps``, ``energy_pj`` and others, as the technology has them.
    """

    unit: str
    pipeline: int
    kind: str
    seen: bool
    estimates: Mapping[str, Estimated]

    def __getitem__(self, name: str) -> float:
        """Return the value of a field."""
        return self.estimates[name].value

    @property
    def errors(self) -> dict[str, float]:
        """By field, the relative error that nine of ten held-out predictions stay below."""
        return {name: estimated.error.nine_of_ten for name, estimated in self.estimates.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """The regression of a quantity, and its errors by kind (and for `ALL` kinds and an `UNSEEN` one)."""

    regression: Regression
    errors: Mapping[str, Errors]

    def error(self, kind: str) -> Errors:
        """Return the errors to state for a unit of a kind; where none was held out, no less than those of all kinds."""
        if kind in self.errors:
            return self.errors[kind]
        together = self.errors[ALL]
        unseen = self.errors.get(UNSEEN, together)
        return Errors(max(unseen.median, together.median), max(unseen.nine_of_ten, together.nine_of_ten))


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """
    A technology's fitted model.

    Attributes
    ----------
    kinds : mapping of str to int
        How many rows of each kind it was fitted on.
    limits : mapping of str to float
        The largest of each feature among them.
    fits : mapping of str to Fit
        By `Quantity.name`.
    """

    kinds: Mapping[str, int]
    limits: Mapping[str, float]
    fits: Mapping[str, Fit]

    def predict(self, unit: DotProductUnit, pipeline: int = 2) -> Prediction:
        """
        Estimate the cost of a unit from its spec.

        Parameters
        ----------
        unit : DotProductUnit
        pipeline : int

        Returns
        -------
        Prediction

        Raises
        ------
        NotFittedError
            The unit has what no feature describes, or more of a feature than 1.25 times what was measured: the model is
            not extrapolated.
        """
        try:
            own = features(unit, pipeline)
        except ValueError as error:
            raise NotFittedError(str(error)) from error
        far = beyond(own, self.limits)
        if far:
            worst = max(far, key=lambda name: own[name] / max(self.limits[name], 1e-9))
            raise NotFittedError(
                f"the fitted model must not be extrapolated: {unit.name} has {own[worst]:g} of {worst}, and measured "
                f"units up to {self.limits[worst]:g}"
            )
        kind, basis = kind_of(unit), basis_of(own)
        quantities = {item.name: item for item in QUANTITIES}
        estimates = {
            name: Estimated(
                value=quantities[name].value(each.regression(basis)),
                error=each.error(kind),
                contributions=each.regression.contributions(basis),
                correction=each.regression.correction(basis),
            )
            for name, each in self.fits.items()
        }
        return Prediction(unit=unit.name, pipeline=pipeline, kind=kind, seen=kind in self.kinds, estimates=estimates)


def fit(rows: Sequence[Row]) -> Model:
    """
    Fit the quantities that rows have, with their errors on held-out formats and kinds.

    Parameters
    ----------
    rows : sequence of Row
        Of one technology, made by `row_of` or `rows_of`.

    Raises
    ------
    ValueError
        If no quantity has 30 rows.
    """
    fits = {item.name: _fit(item, rows) for item in QUANTITIES if len(item.measured(rows)) >= _LEAST_ROWS}
    if not fits:
        raise ValueError(f"a fit needs at least {_LEAST_ROWS} measured rows, not {len(rows)}")
    kinds: dict[str, int] = {}
    for row in rows:
        kinds[row.kind] = kinds.get(row.kind, 0) + 1
    return Model(kinds=kinds, limits=limits_of(rows), fits=fits)


def _fit(quantity: Quantity, rows: Sequence[Row]) -> Fit:
    kept = quantity.measured(rows)
    terms, factors = bases(quantity)
    goals = [quantity.goal(row) for row in kept]
    (regression,) = regress([row.basis for row in kept], goals, terms, factors, [choose_penalty(kept, quantity)])
    return Fit(
        regression=regression,
        errors=quantiles(held_out_formats(kept, quantity), held_out_kinds(kept, quantity)),
    )
