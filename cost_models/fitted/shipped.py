# SPDX-License-Identifier: Apache-2.0
"""The fitted models that come with the package: JSON, each with the hash of the table that it was fitted on."""

import json
from collections.abc import Mapping
from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from typing import Any

from cost_models import measurements
from cost_models.cost import Cost
from cost_models.fitted.model import Fit, Model, NotFittedError, Prediction
from cost_models.fitted.regression import Regression
from cost_models.fitted.validation import Errors
from cost_models.store import text_hash
from hwsim.datapath.unit import DotProductUnit

__all__ = [
    "PATH",
    "cost_of",
    "from_record",
    "load",
    "predict_cost",
    "stale",
    "table_hash",
    "to_record",
    "write",
]

PATH = Path(__file__).parents[1] / "measured" / "fitted.json"
_DIGITS = 6
_WHOLE = ("lut", "ff")
_FIELDS = {item.name for item in fields(Cost)}


def table_hash(technology: str) -> str:
    """Return the SHA-256 of the shipped table of a technology; empty where there is none."""
    path = measurements.shipped_path(technology)
    return text_hash(path.read_text(encoding="utf-8")) if path.is_file() else ""


def write(models: Mapping[str, Model], path: Path = PATH) -> None:
    """Write models by technology, with the hashes of the tables as they are now."""
    records = {technology: {"table": table_hash(technology)} | to_record(model) for technology, model in models.items()}
    path.write_text(json.dumps(records, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def load(technology: str, path: Path = PATH) -> Model:
    """
    Return the fitted model of a technology.

    Raises
    ------
    NotFittedError
        There is none.
    """
    records = _records(path)
    if technology not in records:
        have = ", ".join(sorted(records)) or "none"
        raise NotFittedError(f"technology {technology!r} has no fitted model; there are those of {have}")
    return from_record(records[technology])


def stale(path: Path = PATH) -> tuple[str, ...]:
    """Return the technologies whose model was fitted on another table than the one that is shipped."""
    return tuple(name for name, record in sorted(_records(path).items()) if record["table"] != table_hash(name))


def predict_cost(unit: DotProductUnit, technology: str, pipeline: int = 2) -> Cost:
    """
    Return the fitted cost of a unit that nobody has measured, labelled as such and with its errors.

    Raises
    ------
    LookupError
        The technology has no fitted model.
    NotFittedError
        The model does not describe the unit (a LookupError, too).
    """
    return cost_of(load(technology).predict(unit, pipeline), technology)


def cost_of(prediction: Prediction, technology: str) -> Cost:
    """Return a prediction as a cost: counts rounded, `errors` those that nine of ten predictions stay below."""
    values: dict[str, Any] = {
        name: round(each.value) if name in _WHOLE else each.value
        for name, each in prediction.estimates.items()
        if name in _FIELDS
    }
    whence = "of its kind" if prediction.seen else f"of other kinds than {prediction.kind}, of which none was measured"
    return Cost(
        unit=prediction.unit,
        technology=technology,
        pipeline=prediction.pipeline,
        architecture="",
        source=f"fitted on measured units {whence}; not measured",
        errors=prediction.errors,
        **values,
    )


def to_record(model: Model) -> dict[str, Any]:
    """Return a model as what JSON can hold, numbers of six digits."""
    fits = {
        name: {
            "weights": {term: _short(weight) for term, weight in each.regression.weights.items()},
            "factor": {term: [_short(x) for x in numbers] for term, numbers in each.regression.factor.items()},
            "errors": {kind: [_short(x) for x in errors] for kind, errors in each.errors.items()},
        }
        for name, each in model.fits.items()
    }
    limits = {name: _short(limit) for name, limit in model.limits.items()}
    return {"kinds": dict(model.kinds), "limits": limits, "fits": fits}


def from_record(record: Mapping[str, Any]) -> Model:
    """Return the model of a record of `to_record`."""
    fits = {
        name: Fit(
            regression=Regression(
                weights=each["weights"],
                factor={term: (one[0], one[1], one[2], one[3]) for term, one in each["factor"].items()},
            ),
            errors={kind: Errors(*errors) for kind, errors in each["errors"].items()},
        )
        for name, each in record["fits"].items()
    }
    return Model(kinds=record["kinds"], limits=record["limits"], fits=fits)


@lru_cache(maxsize=4)
def _records(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    records: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return records


def _short(number: float) -> float:
    return float(f"{number:.{_DIGITS}g}")
