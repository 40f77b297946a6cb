# SPDX-License-Identifier: Apache-2.0
"""Tasks that kill the worker which runs them, for some points; `python -m deadly_tasks` is hwsim with them."""

import os
import signal
from collections.abc import Mapping, Sequence
from typing import Any

from hwsim.study.cases import Case
from hwsim.study.evaluation import Evaluation
from hwsim.sweeps import tasks
from hwsim.sweeps.tasks import Batch, Keyed

__all__ = [
    "evaluate_batch",
    "measure_values",
]

_EVALUATE, _MEASURE = tasks.evaluate_batch, tasks.measure_values


def evaluate_batch(
    batch: Batch, case: Case, layers: bool, expected: Mapping[str, str]
) -> tuple[list[Evaluation], float]:
    """Die of the point whose format and rows DEADLY_POINT says."""
    there = [f"{each.point.format} {each.point.setting('array.rows')}" for each in batch.points]
    _die_of(os.environ.get("DEADLY_POINT"), there)
    return _EVALUATE(batch, case, layers, expected)


def measure_values(keyed: Keyed, case: Case, layers: bool, expected: Mapping[str, str]) -> tuple[dict[str, Any], float]:
    """Die of the network's run in the format that DEADLY_FORMAT says."""
    _die_of(os.environ.get("DEADLY_FORMAT"), [keyed.point.format])
    return _MEASURE(keyed, case, layers, expected)


def _die_of(deadly: str | None, there: Sequence[str | None]) -> None:
    if deadly in there:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    from importlib import import_module

    from hwsim.cli import main

    deadly = import_module("deadly_tasks")  # by its name, so that workers find the tasks
    tasks.evaluate_batch, tasks.measure_values = deadly.evaluate_batch, deadly.measure_values
    main()
