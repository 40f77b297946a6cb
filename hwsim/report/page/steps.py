# SPDX-License-Identifier: Apache-2.0
"""What to try after a comparison: commands made of its own points."""

import shlex
from collections.abc import Mapping
from math import inf
from typing import Any

from hwsim.study import PIPELINE

__all__ = [
    "next_steps",
]

_FORMATS = 6  # of a command


def next_steps(comparison: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what one may want to know next, and the command that answers it, of the most accurate point."""
    found = [each for each in comparison["evaluations"] if not each["refused"]]
    if not found:
        return []
    point = max(found, key=_merit)["point"]
    formats = list(dict.fromkeys(each["point"]["format"] for each in found))[:_FORMATS]
    unit = point["unit"]
    return [
        ("What the most accurate unit computes, stage by stage, and how wide each signal is", _command("units", unit)),
        (
            "What it costs, by stage, and where that comes from",
            _command("cost", unit, "--technology", point["technology"], "--pipeline", str(PIPELINE), "--no-measure"),
        ),
        ("Its Verilog, with the testbench that proves it equal to the model", _command("verilog", unit, "-o", unit)),
        (
            "The same formats on a network and images of your own",
            _command("compare", *formats, "--model", "model.onnx", "--inputs", "images.npz", "--report", "mine.html"),
        ),
        (
            "Every layer of it on this accelerator, and why each is cut into tiles as it is",
            _command("simulate", "model.onnx", "--accelerator", point["accelerator"], "--explain"),
        ),
        ("A format for each layer, under a budget of area", _command("allocate", "model.onnx", "--budget", "area=60%")),
        (
            "A thousand points: arrays, clocks and formats as one study",
            _command("sweep", "study.toml", "--report", "sweep.html"),
        ),
    ]  # fmt: skip


def _merit(evaluation: Mapping[str, Any]) -> tuple[float, float]:
    """Order points by accuracy, and those alike by less area; what is not known comes last."""
    figures = evaluation["figures"]
    accuracy, area = figures.get("accuracy"), figures.get("area_mm2")
    return (-1 if accuracy is None else accuracy), (-inf if area is None else -area)


def _command(*words: str) -> str:
    return shlex.join(["hwsim", *words])
