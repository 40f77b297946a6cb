# SPDX-License-Identifier: Apache-2.0
"""What is fitted of which features, and the rows that it is fitted on."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from cost_models.cost import ALL, Cost
from cost_models.fitted.features import TOGGLES, features, formats_of, kind_of
from hwsim.datapath import catalog
from hwsim.datapath.unit import DotProductUnit

__all__ = [
    "QUANTITIES",
    "Quantity",
    "Row",
    "bases",
    "basis_of",
    "beyond",
    "in_domain",
    "limits_of",
    "row_of",
    "rows_of",
]

_DEPTH = "depth."
_REACH = 1.25  # a feature may be so many times the largest that was measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """
    One fitted field or property of a cost.

    Attributes
    ----------
    name : str
        Of the field or property.
    toggles, depths : bool
        Whether it depends on toggles too, or on the depth of the logic: logarithms of counts.
    inverse : bool
        Whether it is a rate, and its inverse is fitted.
    """

    name: str
    toggles: bool = False
    depths: bool = False
    inverse: bool = False

    def measured(self, rows: Sequence["Row"]) -> list["Row"]:
        """Return the rows that have the quantity, above zero."""
        return [row for row in rows if row.values.get(self.name, 0.0) > 0]

    def goal(self, row: "Row") -> float:
        """Return what is fitted: the quantity of a row, or its inverse."""
        return self.value(row.values[self.name])

    def value(self, goal: float) -> float:
        """Return the quantity of what is fitted; or the reverse, which is the same."""
        return 1.0 / goal if self.inverse else goal


QUANTITIES = (
    Quantity(name="area_um2"),
    Quantity(name="smallest_um2"),
    Quantity(name="delay_ps", depths=True),
    Quantity(name="fastest_ps", depths=True),
    Quantity(name="wired_delay_ps", depths=True),
    Quantity(name="leakage_uw"),
    Quantity(name="energy_pj", toggles=True),
    Quantity(name="energy_upper_pj", toggles=True),
    Quantity(name="clock_energy_pj"),
    Quantity(name="lut"),
    Quantity(name="ff"),
    Quantity(name="fmax_mhz", depths=True, inverse=True),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A measured unit: its name, ranks, kind, formats, features, what is fitted of them, and the measured values."""

    unit: str
    pipeline: int
    kind: str
    formats: frozenset[str]
    features: Mapping[str, float] = field(hash=False)
    basis: Mapping[str, float] = field(hash=False)
    values: Mapping[str, float] = field(hash=False)


def row_of(unit: DotProductUnit, pipeline: int, values: Mapping[str, float]) -> Row:
    """
    Return the row of a unit with measured values by `Quantity.name`.

    Raises
    ------
    TypeError, ValueError
        As `features`.
    """
    own = features(unit, pipeline)
    return Row(
        unit=unit.name,
        pipeline=pipeline,
        kind=kind_of(unit),
        formats=formats_of(unit),
        features=own,
        basis=basis_of(own),
        values=dict(values),
    )


def rows_of(costs: Iterable[Cost]) -> tuple[list[Row], dict[str, str]]:
    """
    Return the rows of measured costs that a fit can be made of, and of each that is left out, why.

    Left out are fitted costs, prices at a clock or of one structure, and units that the features do not describe or
    whose names say too little.
    """
    rows, left_out = [], {}
    for cost in costs:
        label = f"{cost.unit} p{cost.pipeline}"
        if cost.errors or cost.structures != ALL or cost.clock_mhz is not None:
            left_out[f"{label} {cost.structures} {cost.clock_mhz}"] = "not a price of all structures at their best"
            continue
        values = {item.name: getattr(cost, item.name) for item in QUANTITIES}
        try:
            unit = catalog.named(cost.unit)
            row = row_of(unit, cost.pipeline, {name: value for name, value in values.items() if value is not None})
        except (KeyError, ValueError) as error:
            left_out[label] = str(error.args[0])
            continue
        rows.append(row)
    return rows, left_out


def basis_of(own: Mapping[str, float]) -> dict[str, float]:
    """Return features with the depths of their logic: ``depth.stage.part`` is log2 of one more than the cells."""
    depths = {
        f"{_DEPTH}{name}": float(np.log2(1.0 + value)) for name, value in own.items() if not name.startswith(TOGGLES)
    }
    return dict(own) | depths


@lru_cache(maxsize=64)
def bases(quantity: Quantity) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of the features that are summed to a quantity, and of those in its factor."""
    names = basis_of(features(catalog.named("int8"), 1))
    cells = tuple(name for name in names if not name.startswith((TOGGLES, _DEPTH)))
    more = TOGGLES if quantity.toggles else _DEPTH if quantity.depths else None
    terms = cells if more is None else cells + tuple(name for name in names if name.startswith(more))
    return terms, cells


def limits_of(rows: Sequence[Row]) -> dict[str, float]:
    """Return the largest of each feature over rows."""
    return {name: max(row.features[name] for row in rows) for name in rows[0].features}


def in_domain(own: Mapping[str, float], limits: Mapping[str, float]) -> bool:
    """Whether a unit has no more of any feature than was measured, and a little."""
    return not beyond(own, limits)


def beyond(own: Mapping[str, float], limits: Mapping[str, float]) -> list[str]:
    """Return the features of which a unit has more than that."""
    return [name for name, value in own.items() if value > _REACH * limits[name]]
