# SPDX-License-Identifier: Apache-2.0
"""The keys of a sweep's points, made where the sweep is started: what each costs, and what its row depends on."""

from collections.abc import Mapping
from dataclasses import replace

from cost_models import Cost
from cost_models.store import key as content_key
from hwsim.study.cases import Case
from hwsim.study.checks import check_point
from hwsim.study.evaluation import point_key, value_key
from hwsim.study.machine import draft, needs_price, resolve_cost
from hwsim.study.point import DesignPoint
from hwsim.study.version import price_digest
from hwsim.sweeps.plan import PriceTask
from hwsim.sweeps.tasks import Keyed

__all__ = [
    "Keyring",
]


class Keyring:
    """Gives points their prices and keys.

    Prices are resolved here and travel with the points: what a worker has measured for itself does not matter.

    Parameters
    ----------
    cases : mapping of str to Case
    layers : bool
    stored : mapping of str to Cost, optional
        Measured prices by key; None where prices that nobody has measured are not to be.
    """

    def __init__(self, cases: Mapping[str, Case], layers: bool, stored: Mapping[str, Cost] | None) -> None:
        self.costs: dict[str, Cost | None] = {"": None}
        self._cases = cases
        self._layers = layers
        self._stored = stored
        self._wanted: dict[str, PriceTask] = {}

    def price(self, point: DesignPoint) -> tuple[str, PriceTask | None]:
        """Return the name of a point's price in `costs`, and what is to be measured where it is not there.

        Raises
        ------
        LookupError, TypeError, ValueError
            For names that are not known, as `hwsim.study.check_point`.
        """
        case = self._cases[point.network]
        check_point(point, case)
        try:
            spec = draft(point, case)
            name = f"{spec.element.name} p{spec.pipeline} {spec.technology}{' serial' * bool(spec.array.serial_bits)}"
            if name not in self.costs and name not in self._wanted:
                self._resolve(name, point, case, PriceTask("", spec.element.name, spec.technology, spec.pipeline))
        except (LookupError, ValueError):
            return "", None  # a point that cannot be
        return name, self._wanted.get(name)

    def add(self, name: str, cost: Cost) -> None:
        """Take a price that has been measured."""
        self.costs[name] = replace(cost, seconds=0.0)
        self._wanted.pop(name, None)

    def keyed(self, point: DesignPoint, name: str) -> Keyed:
        """Return a point with its keys; `name` is of `price`."""
        case = self._cases[point.network]
        return Keyed(
            point=point,
            key=point_key(point, case, self.costs[name], layers=self._layers),
            value_key=value_key(point, case, layers=self._layers),
            cost_key=name,
        )

    def _resolve(self, name: str, point: DesignPoint, case: Case, price: PriceTask) -> None:
        key = content_key(unit=price.unit, technology=price.technology, pipeline=price.pipeline, model=price_digest())
        if self._stored is not None and key in self._stored:
            self.add(name, self._stored[key])
        elif self._stored is not None and needs_price(point, case):
            self._wanted[name] = price._replace(key=key)
        else:
            cost = resolve_cost(point, case)
            self.costs[name] = None if cost is None else replace(cost, seconds=0.0)
