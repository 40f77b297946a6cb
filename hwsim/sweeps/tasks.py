# SPDX-License-Identifier: Apache-2.0
"""What a worker of a sweep runs: a price, the value figures of one key, a batch of points; each with its seconds."""

import platform
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cost_models import Cost
from hwsim.study.cases import Case
from hwsim.study.evaluation import Evaluation, evaluate, value_figures
from hwsim.study.point import DesignPoint
from hwsim.study.pricing import price
from hwsim.study.version import model_digest

__all__ = [
    "Batch",
    "Keyed",
    "MismatchError",
    "evaluate_batch",
    "fingerprint",
    "measure_price",
    "measure_values",
    "pass_on",
]

_ONE_AT_A_TIME = threading.Lock()  # a worker may have many threads; a second evaluation in one process gains nothing


class MismatchError(RuntimeError):
    """A worker's hwsim is not the client's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyed:
    """A point with the keys that the client gave it: of its row, its value figures (empty: needs none), its price."""

    point: DesignPoint
    key: str
    value_key: str
    cost_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Points of one case, with the value figures and prices that they ask for, each once."""

    points: tuple[Keyed, ...]
    values: Mapping[str, Mapping[str, Any]] = field(hash=False)
    costs: Mapping[str, Cost | None] = field(hash=False)


def fingerprint() -> dict[str, str]:
    """Return what must be the same on client and workers, for results to be."""
    import numba
    import numpy as np

    return {
        "hwsim": model_digest(),
        "Python": ".".join(platform.python_version_tuple()[:2]),
        "numpy": np.__version__,
        "numba": numba.__version__,
    }


def pass_on(case: Case) -> Case:
    """Return the case: as a task's result it is sent to a worker once, and again to another if that worker dies."""
    return case


def measure_price(unit: str, technology: str, pipeline: int, expected: Mapping[str, str]) -> tuple[Cost, float]:
    """Price a unit (`hwsim.study.price`); the time it took is not part of the record."""
    from hwsim import datapath

    _check(expected)
    with _ONE_AT_A_TIME:
        began = time.perf_counter()
        cost = price(datapath.named(unit), technology, pipeline=pipeline)
        return replace(cost, seconds=0.0), time.perf_counter() - began


def measure_values(keyed: Keyed, case: Case, layers: bool, expected: Mapping[str, str]) -> tuple[dict[str, Any], float]:
    """Return the value figures of a point's key."""
    _check(expected)
    with _ONE_AT_A_TIME:
        began = time.perf_counter()
        figures = value_figures(keyed.point, case, layers=layers)
        return figures, time.perf_counter() - began


def evaluate_batch(
    batch: Batch, case: Case, layers: bool, expected: Mapping[str, str]
) -> tuple[list[Evaluation], float]:
    """Evaluate points with prices and value figures that are known."""
    _check(expected)
    with _ONE_AT_A_TIME:
        began = time.perf_counter()
        found = []
        for each in batch.points:
            values = batch.values[each.value_key] if each.value_key else None
            evaluation = evaluate(each.point, case, cost=batch.costs[each.cost_key], values=values, layers=layers)
            if evaluation.key != each.key:
                raise MismatchError(f"the key of {each.point} is {each.key} at the client and {evaluation.key} here")
            found.append(evaluation)
        return found, time.perf_counter() - began


def _check(expected: Mapping[str, str]) -> None:
    """Raise where a worker that came late is another version."""
    here = fingerprint()
    differing = [f"{name} {here[name]} (client: {expected[name]})" for name in expected if here[name] != expected[name]]
    if differing:
        raise MismatchError(f"a worker on {platform.node()} has another {', '.join(differing)}")
