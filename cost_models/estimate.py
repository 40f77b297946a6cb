# SPDX-License-Identifier: Apache-2.0
"""What a unit costs: measured, else by the fitted model and labelled so, else an error that says how to measure it."""

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Protocol

from cost_models import measurements
from cost_models.cost import ALL, Cost
from cost_models.fitted import NotFittedError, predict_cost
from cost_models.technologies import names
from hwsim.datapath.unit import DotProductUnit

__all__ = [
    "Named",
    "NotMeasuredError",
    "catalog",
    "estimate",
    "save",
]


class Named(Protocol):
    """A unit's spec, as far as measured costs are concerned."""

    @property
    def name(self) -> str:
        """Name that spells the spec."""
        ...


class NotMeasuredError(LookupError):
    """Nobody has measured the unit in the technology."""


def estimate(
    unit: Named | str,
    technology: str,
    *,
    pipeline: int = 2,
    architecture: str | None = None,
    clock_mhz: float | None = None,
) -> Cost:
    """
    Look up the measured cost of a unit, or else estimate it.

    The user's own measurements come before those that ship with the package; `Cost.source` says which. Where nobody has
    measured, the figures are those of the fitted model (`cost_models.fitted`), and `Cost.is_fitted`, `Cost.source` and
    `Cost.errors` say so; a unit that is given by its name, an architecture and a clock are looked up only.

    Parameters
    ----------
    unit : spec with a name, or str
        The unit, for example a ``DotProductUnit``, or its name.
    technology : str
        A name from `cost_models.technologies.names`.
    pipeline : int, default 2
        Register ranks of the core.
    architecture : str, optional
        A name of `rtl.architecture.ARCHITECTURES`; without one, the best of the fixed set.
    clock_mhz : float, optional
        The clock that the unit must reach; without one, the price is that of the least area x delay.

    Returns
    -------
    Cost

    Raises
    ------
    LookupError
        The technology is unknown.
    NotMeasuredError
        Nobody has measured the unit in it with so many ranks, and the fitted model does not reach it; the text says
        what to run.

    Examples
    --------
    >>> measured = estimate("int8_l1_int32", "asap7")
    >>> measured.is_fitted, measured.unit, measured.pipeline
    (False, 'int8_l1_int32', 2)
    """
    name = unit if isinstance(unit, str) else unit.name
    if technology not in names():
        close = get_close_matches(technology, names()) or list(names())
        raise LookupError(f"technology {technology!r} is unknown; close matches: {', '.join(close)}")
    found = measurements.find(name, technology, pipeline, architecture or ALL, clock_mhz)
    why = ""
    if found is None and isinstance(unit, DotProductUnit) and architecture is None and clock_mhz is None:
        try:
            return predict_cost(unit, technology, pipeline)
        except NotFittedError as error:
            why = f" ({error})"
    if found is None:
        options = "" if architecture is None else f" --architecture {architecture}"
        options += "" if clock_mhz is None else f" --clock-mhz {clock_mhz:g}"
        raise NotMeasuredError(
            f"no measured cost of unit {name!r} with {pipeline} register ranks in technology {technology!r}; "
            f"measure it with `hwsim cost {name} --technology {technology} --pipeline {pipeline}{options}`{why}"
        )
    return found


def save(cost: Cost) -> None:
    """Keep a cost as the user's measurement, in place of an earlier one of the same."""
    measurements.keep(cost)


def catalog(technology: str) -> Iterator[Cost]:
    """Go through all measured costs of a technology, by unit name."""
    return measurements.go_through(technology)
