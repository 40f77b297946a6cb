# SPDX-License-Identifier: Apache-2.0
"""What to try after a comparison: commands made of its own points, which run as they are printed."""

import shlex
from collections.abc import Iterator, Mapping
from math import inf
from typing import Any

from hwsim.report.page.built import own_unit, ranks

__all__ = [
    "next_steps",
]

_DIGITS = "digits"  # the network that commands take where none is named


def next_steps(comparison: Mapping[str, Any], models: Mapping[str, str] | None = None) -> list[tuple[str, str]]:
    """Return what one may want to know next, and the command that answers it, of the most accurate point.

    Parameters
    ----------
    comparison : mapping
        As of `write_page`.
    models : mapping of str to str, optional
        The ONNX files of networks by name; what needs one that is not known is left out.
    """
    found = [each for each in comparison["evaluations"] if not each["refused"]]
    if not found:
        return []
    point = max(found, key=_merit)["point"]
    return [*_of_unit(point), *_of_network(point, models or {}), *_others()]


def _of_unit(point: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    unit, pipeline = point["unit"], ranks(point)
    yield "What the most accurate unit computes, stage by stage, and how wide each signal is", _command("units", unit)
    if pipeline is None:
        return
    built = ("--pipeline", str(pipeline))
    yield (
        "What it costs, by stage, and where that comes from",
        _command("cost", unit, "--technology", point["technology"], *built, "--no-measure"),
    )
    yield (
        "Its Verilog as it was priced, with the testbench that proves it equal to the model",
        _command("verilog", unit, *built, "-o", unit),
    )


def _of_network(point: Mapping[str, Any], models: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    network, accelerator = point["network"], point["accelerator"]
    if network != _DIGITS and network not in models:
        return
    model = () if network == _DIGITS else (models[network], "--cycles-only")  # its images may be in no file
    own = own_unit(accelerator)
    if own is not None:
        unit = "" if own == point["unit"] else f", with its own unit {own}"
        yield (
            f"Every layer on {accelerator} as the preset is{unit}, and why each is cut into tiles as it is",
            _command("simulate", *model, "--accelerator", accelerator, "--explain"),
        )
    if network == _DIGITS:
        yield "A format for each layer, under a budget of energy", _command("allocate", "--budget", "energy=70%")


def _others() -> Iterator[tuple[str, str]]:
    yield "The same on a network and images of your own: --model and --inputs", _command("compare", "--help")
    yield (
        "Hundreds of points, arrays, memories, clocks and formats, as one study (in a checkout)",
        _command("sweep", "examples/sweep_arrays.toml", "--report", "sweep.html"),
    )


def _merit(evaluation: Mapping[str, Any]) -> tuple[float, float, float]:
    """Order points by accuracy, else the output's SQNR, and those alike by less area; what is not known comes last."""
    figures = evaluation["figures"]
    accuracy, sqnr, area = (figures.get(key) for key in ("accuracy", "output_sqnr_db", "array_area_mm2"))
    return (
        -1 if accuracy is None else accuracy,
        -inf if sqnr is None or accuracy is not None else sqnr,
        -inf if area is None else -area,
    )


def _command(*words: str) -> str:
    return shlex.join(["hwsim", *words])
