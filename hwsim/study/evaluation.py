# SPDX-License-Identifier: Apache-2.0
"""A design point evaluated: what it computes, what it costs, what the machine does; or why it cannot be."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any, Self

from cost_models import Cost
from hwsim.prices import Priced
from hwsim.study.cases import Case
from hwsim.study.checks import check_point
from hwsim.study.machine import accelerator_text, draft, machine_figures, resolve_cost
from hwsim.study.point import DesignPoint, canonical
from hwsim.study.quantities import KEYS
from hwsim.study.values import compute, recipe, running
from hwsim.study.version import model_digest

__all__ = [
    "Evaluation",
    "evaluate",
    "point_key",
    "refusal",
    "value_figures",
    "value_key",
]

Figure = float | int | str | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What is known of a design point; the same for the same point, case, cost and version of the package.

    Parameters
    ----------
    point : DesignPoint
    key : str
        SHA-256 of all that decides the figures (`hwsim.study.point_key`).
    figures : mapping of str to value
        By the keys of `hwsim.study.QUANTITIES`, all of them; None where a figure is not known.
    layers : tuple of dict
        A layer's name, operator, macs, cycles, utilisation, energy_nj, sqnr_db (with what all layers before it have
        done) and sqnr_alone_db.
    stages : mapping of str to mapping of str to float
        The unit's ``area_um2`` and ``energy_pj`` (a step) by stage of the datapath; empty where not known.
    sources : tuple of str
        Where the figures come from, and what is assumed.
    refused : str
        Why the point cannot be; empty where it can.
    """

    point: DesignPoint
    key: str
    figures: Mapping[str, Figure] = field(default_factory=lambda: dict.fromkeys(KEYS), hash=False)
    layers: tuple[Mapping[str, Any], ...] = field(default=(), hash=False)
    stages: Mapping[str, Mapping[str, float]] = field(default_factory=dict, hash=False)
    sources: tuple[str, ...] = ()
    refused: str = ""

    def __getitem__(self, key: str) -> Any:
        """Return a figure; KeyError for a key that no quantity has."""
        return self.figures[key]

    def as_dict(self) -> dict[str, Any]:
        """Return everything as JSON-ready values."""
        return {
            "point": self.point.as_dict(),
            "key": self.key,
            "figures": dict(self.figures),
            "layers": [dict(layer) for layer in self.layers],
            "stages": {name: dict(parts) for name, parts in self.stages.items()},
            "sources": list(self.sources),
            "refused": self.refused,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the evaluation that `as_dict` gave, equal in every bit."""
        return cls(
            point=DesignPoint.from_dict(values["point"]),
            key=values["key"],
            figures=dict(values["figures"]),
            layers=tuple(dict(layer) for layer in values["layers"]),
            stages={name: dict(parts) for name, parts in values["stages"].items()},
            sources=tuple(values["sources"]),
            refused=values["refused"],
        )


def evaluate(
    point: DesignPoint,
    case: Case,
    *,
    cost: Priced = "known",
    values: Mapping[str, Any] | None = None,
    layers: bool = True,
) -> Evaluation:
    """Evaluate a design point.

    Parameters
    ----------
    point : DesignPoint
    case : Case
        Of the point's network.
    cost : Cost, None or "known"
        What an element of the array costs; None where that is not known; ``"known"`` for `resolve_cost`.
    values : mapping, optional
        What `value_figures` gave for the point, or for another of the same `value_key`.
    layers : bool
        Whether `values` are to compare each layer.

    Returns
    -------
    Evaluation
        `refused` says why, where the point cannot be: a clock that is too fast, a memory that is too small, a network
        that the unit cannot run.

    Raises
    ------
    LookupError, TypeError, ValueError
        For names that are not known, as `hwsim.study.check_point`.

    Examples
    --------
    >>> from hwsim.study import digits
    >>> found = evaluate(DesignPoint.of("mxfp4"), digits())
    >>> found["bits_per_element"], found["units"], found["cycles"]
    (4.25, 16, 1958)
    >>> evaluate(DesignPoint.of("mxfp4", settings={"array.rows": 0}), digits()).refused
    'preset mxfp4_4x4: array: rows must be in 1..4096, not 0'
    """
    check_point(point, case)
    known = _known(point, case) if cost == "known" else cost
    key = point_key(point, case, known, layers=layers)
    try:
        net = running(point, case)
        figures, each_layer, stages, sources = machine_figures(point, case, net, known)
    except (LookupError, ValueError) as error:
        return Evaluation(point=point, key=key, refused=_text(error))
    found = value_figures(point, case, layers=layers) if values is None else values
    if found["refused"]:
        return Evaluation(point=point, key=key, refused=found["refused"])
    unknown: dict[str, float | None] = {"sqnr_db": None, "sqnr_alone_db": None}
    return Evaluation(
        point=point,
        key=key,
        figures=dict.fromkeys(KEYS) | figures | dict(found["figures"]),
        layers=tuple({**each, **unknown, **found["layers"].get(each["name"], {})} for each in each_layer),
        stages=stages,
        sources=(*found["sources"], *sources),
    )


def _known(point: DesignPoint, case: Case) -> Cost | None:
    """Return what the unit costs; None where that is not known, or the point cannot be."""
    try:
        return resolve_cost(point, case)
    except ValueError:
        return None


def refusal(point: DesignPoint, case: Case) -> str:
    """Return why a point cannot be at any clock, found without running its network; empty if nothing is against it."""
    try:
        machine_figures(point.with_settings(clock_mhz=1), case, running(point, case), None)
    except (LookupError, ValueError) as error:
        return _text(error)
    return ""


def value_figures(point: DesignPoint, case: Case, *, layers: bool = True) -> dict[str, Any]:
    """Return the figures of a point that come of values: accuracy, agreement, errors; the slow part.

    They depend on the case, the unit, the settings of quantization, requantization and nonlinear functions, and the
    depth of a cube alone; `value_key` tells which points share them.

    Returns
    -------
    dict
        JSON-ready: ``figures``, ``layers``, ``sources`` and ``refused``.

    Raises
    ------
    LookupError, TypeError, ValueError
        As `evaluate`.
    """
    check_point(point, case)
    try:
        return {**compute(point, case, draft(point, case), layers=layers), "refused": ""}
    except (LookupError, ValueError) as error:
        return {"figures": {}, "layers": {}, "sources": [], "refused": _text(error)}


def value_key(point: DesignPoint, case: Case, *, layers: bool = True) -> str:
    """Return the SHA-256 of all that decides `value_figures`; empty for a point that cannot be, which needs none."""
    check_point(point, case)
    try:
        spec, chosen = draft(point, case), recipe(point)
    except (LookupError, ValueError):
        return ""
    return _hashed(
        {
            "model": model_digest(),
            "case": case.digest,
            "unit": spec.element.name,
            "operands": [spec.unit.a.name, spec.unit.b.name],
            "requantization": spec.requantization.value,
            "nonlinear": repr(spec.nonlinear),
            "quantization": None if chosen is None else chosen.as_dict(),
            "layers": layers,
        }
    )


def point_key(point: DesignPoint, case: Case, cost: Cost | None, *, layers: bool = True) -> str:
    """Return the SHA-256 of all that decides an evaluation: point, case, cost, accelerator, version of the package."""
    return _hashed(
        {
            "model": model_digest(),
            "case": case.digest,
            "point": point.as_dict(),
            "accelerator": accelerator_text(point, case)[0],
            "cost": None if cost is None else _cost_hash(cost),
            "layers": layers,
        }
    )


@lru_cache(maxsize=1024)
def _cost_hash(cost: Cost) -> str:
    """Return the SHA-256 of a price: what was found, not how long that took or who measured it."""
    return _hashed({**asdict(cost), "seconds": None, "shipped": None})


def _hashed(value: Any) -> str:
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def _text(error: Exception) -> str:
    return str(error.args[0]) if error.args else type(error).__name__
