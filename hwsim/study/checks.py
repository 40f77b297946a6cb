# SPDX-License-Identifier: Apache-2.0
"""Misspelt names in a design point: errors before any work, where a point that cannot be is a result."""

import difflib
from dataclasses import fields
from functools import lru_cache

from hwsim.accelerator import UnknownNameError
from hwsim.quantization import Granularity, Observer, Recipe, Scope
from hwsim.study.cases import Case
from hwsim.study.machine import QUANTIZATION, accelerator_text, check_technology, draft
from hwsim.study.point import DesignPoint
from hwsim.study.values import recipe

__all__ = [
    "check_point",
]

_CHOICES = {"granularity": Granularity, "scope": Scope, "observer": Observer, "weight_observer": Observer}
_RECIPE = tuple(each.name for each in fields(Recipe) if each.name != "layers")


@lru_cache(maxsize=4096)
def check_point(point: DesignPoint, case: Case) -> None:
    """Raise for what a point names and there is not, and for settings of the wrong kind.

    Raises
    ------
    LookupError
        For an unknown unit, format, technology or accelerator; with close matches.
    TypeError
        For a setting of the wrong kind.
    ValueError
        For another network than the case's, an unknown key, and a value that is none of those that a key can have.
    """
    if point.network != case.name:
        raise ValueError(f"the case must be that of network {point.network!r}, not {case.name!r}")
    check_technology(point.technology)
    accelerator_text(point, case)
    try:
        _ = point.dot_product_unit
    except ValueError:
        return  # a unit that cannot be: a result
    _check_recipe(point)
    for check in (lambda: draft(point, case), lambda: recipe(point)):
        try:
            check()
        except UnknownNameError:
            raise
        except ValueError:
            continue


def _check_recipe(point: DesignPoint) -> None:
    """Raise for settings of quantization that no recipe has."""
    for key, value in point.settings:
        if not key.startswith(QUANTIZATION):
            continue
        name = key.removeprefix(QUANTIZATION)
        if name not in _RECIPE:
            close = difflib.get_close_matches(name, _RECIPE, n=2) or _RECIPE
            raise UnknownNameError(
                f"unknown setting {key!r}; did you mean {', '.join(QUANTIZATION + c for c in close)}?"
            )
        if name in _CHOICES:
            _CHOICES[name](value)
