# SPDX-License-Identifier: Apache-2.0
"""What to try after a comparison: commands made of its own points."""

import shlex
from collections.abc import Mapping
from typing import Any

__all__ = [
    "next_steps",
]


def next_steps(comparison: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what one may want to know next, and the command that answers it; of the first points of the front."""
    found = [each for each in comparison["evaluations"] if not each["refused"]]
    if not found:
        return []
    point = max(found, key=_merit)["point"]
    formats = list(dict.fromkeys(each["point"]["format"] for each in found))
    unit, accelerator = point["unit"], point["accelerator"]
    return [
        ("What does a unit compute, stage by stage, and how wide is each signal?", _command("units", unit)),
        ("What does it cost, and where does that come from?", _command("cost", unit)),
        ("The Verilog of it, with the testbench that proves it equal to the model", _command("verilog", unit, "-o", unit)),
        ("The same formats on your own network", _command("compare", *formats[:6], "--network", "model.onnx", "--report", "mine.html")),
        ("Every layer of a network on this accelerator", _command("simulate", "model.onnx", "--accelerator", accelerator)),
        ("A format for each layer, under a budget", _command("allocate", "model.onnx")),
        ("A thousand points: arrays, clocks and formats as one study", _command("sweep", "study.toml", "--report", "sweep.html")),
    ]  # fmt: skip


def _merit(evaluation: Mapping[str, Any]) -> float:
    """Order points by accuracy, and among those alike by less area."""
    figures = evaluation["figures"]
    accuracy, area = figures.get("accuracy"), figures.get("area_mm2")
    return (accuracy or 0) * 1e6 - (area or 0)


def _command(*words: str) -> str:
    return shlex.join(["hwsim", *words])
