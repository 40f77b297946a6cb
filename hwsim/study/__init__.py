# SPDX-License-Identifier: Apache-2.0
"""Price units, evaluate design points, compare them, sweep over many of them."""

from hwsim.study.cases import Case, case, digits
from hwsim.study.checks import check_point
from hwsim.study.comparison import Comparison, compare
from hwsim.study.evaluation import Evaluation, evaluate, point_key, value_figures, value_key
from hwsim.study.front import pareto
from hwsim.study.machine import needs_price, resolve_cost
from hwsim.study.point import FASTEST, DesignPoint
from hwsim.study.pricing import PIPELINE, known_rtl_hash, price, rtl_hash, structure_texts
from hwsim.study.quantities import QUANTITIES, Quantity, quantity
from hwsim.study.version import model_digest

__all__ = [
    "FASTEST",
    "PIPELINE",
    "QUANTITIES",
    "Case",
    "Comparison",
    "DesignPoint",
    "Evaluation",
    "Quantity",
    "case",
    "check_point",
    "compare",
    "digits",
    "evaluate",
    "known_rtl_hash",
    "model_digest",
    "needs_price",
    "pareto",
    "point_key",
    "price",
    "quantity",
    "resolve_cost",
    "rtl_hash",
    "structure_texts",
    "value_figures",
    "value_key",
]
