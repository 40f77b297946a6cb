# SPDX-License-Identifier: Apache-2.0
"""Price units, evaluate design points, compare them, sweep over many of them."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from hwsim.study.cases import Case, case, digits
from hwsim.study.checks import check_point
from hwsim.study.comparison import Comparison, compare
from hwsim.study.evaluation import Evaluation, evaluate, point_key, value_figures, value_key
from hwsim.study.front import pareto
from hwsim.study.machine import needs_price, resolve_cost
from hwsim.study.point import DEFAULT_ACCELERATOR, FASTEST, DesignPoint
from hwsim.study.pricing import PIPELINE, known_rtl_hash, price, rtl_hash, structure_texts
from hwsim.study.quantities import QUANTITIES, Quantity, quantity
from hwsim.study.version import model_digest, model_version

if TYPE_CHECKING:
    from hwsim.sweeps.runner import Result, Runner, run
    from hwsim.sweeps.store import Store, merge
    from hwsim.sweeps.study_file import Study, read_study

__all__ = [
    "DEFAULT_ACCELERATOR",
    "FASTEST",
    "PIPELINE",
    "QUANTITIES",
    "Case",
    "Comparison",
    "DesignPoint",
    "Evaluation",
    "Quantity",
    "Result",
    "Runner",
    "Store",
    "Study",
    "case",
    "check_point",
    "compare",
    "digits",
    "evaluate",
    "known_rtl_hash",
    "merge",
    "model_digest",
    "model_version",
    "needs_price",
    "pareto",
    "point_key",
    "price",
    "quantity",
    "read_study",
    "resolve_cost",
    "rtl_hash",
    "run",
    "structure_texts",
    "value_figures",
    "value_key",
]

_HOMES = {
    "Result": "runner",
    "Runner": "runner",
    "Store": "store",
    "Study": "study_file",
    "merge": "store",
    "read_study": "study_file",
    "run": "runner",
}


def __getattr__(name: str) -> Any:
    """Import what sweeps are made of when it is asked for, so that nothing else waits for it."""
    if name in _HOMES:
        return getattr(import_module(f"hwsim.sweeps.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'hwsim.study' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
