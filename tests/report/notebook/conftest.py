# SPDX-License-Identifier: Apache-2.0
"""A comparison with figures that can be told at a glance, and one simulation."""

from hashlib import sha256
from typing import Any

import pytest

import hwsim
from hwsim import data
from hwsim.result import SimulationResult
from hwsim.study import Comparison, DesignPoint, Evaluation
from hwsim.study.quantities import KEYS

FIGURES: dict[str, dict[str, Any]] = {
    "int8": {"accuracy": 0.98, "energy_nj": 4.0, "energy_sram_nj": 3.0, "energy_units_nj": 1.0, "clock_mhz": 500},
    "float8_e4m3fn": {"accuracy": 0.97, "energy_nj": 5.0, "energy_sram_nj": 3.0, "energy_units_nj": 2.0},
    "mxfp4": {"accuracy": 0.96, "energy_nj": 2.0, "energy_sram_nj": 1.5, "energy_units_nj": 0.5, "cost_fitted": True},
    "int4": {"accuracy": 0.90, "energy_nj": 3.0, "energy_sram_nj": 2.5, "energy_units_nj": 0.5},
    "mxint8": {"accuracy": 0.985},  # the energy is not known
}
LAYERS = (("conv1", 40.0, None), ("fc", 20.0, 25.0))
STAGES = {"area_um2": {"multiply": 60.0, "accumulate": 40.0}, "energy_pj": {"multiply": 0.5, "accumulate": 0.25}}
REFUSED = "clock_mhz must be at most 1120, not <b>4000</b>"


def _evaluation(name: str, figures: dict[str, Any], *, refused: str = "") -> Evaluation:
    settings = (("array.rows", 8), ("clock_mhz", 4000)) if refused else (("array.rows", 4),)
    point = DesignPoint.of(name, settings=settings)
    layers = tuple(
        {
            "name": layer, "operator": "conv", "macs": 100, "cycles": 10, "utilisation": 0.5, "energy_nj": 1.0,
            "sqnr_db": sqnr, "sqnr_alone_db": alone,
        }
        for layer, sqnr, alone in LAYERS
    )  # fmt: skip
    return Evaluation(
        point=point,
        key=sha256(f"{name}{refused}".encode()).hexdigest(),
        figures=dict.fromkeys(KEYS) | figures,
        layers=() if refused else layers,
        stages={} if refused else STAGES,
        sources=() if refused else ("made up",),
        refused=refused,
    )


@pytest.fixture(scope="session")
def comparison() -> Comparison:
    evaluations = [_evaluation(name, figures) for name, figures in FIGURES.items()]
    evaluations.append(_evaluation("int8", {}, refused=REFUSED))
    beside = [{"lut": 100 + at, "xc7_lut": None if at else 90, "notes": ["none"]} for at in range(len(evaluations))]
    return Comparison(title="made up", evaluations=tuple(evaluations), beside=tuple(beside), notes=("made up",))


@pytest.fixture(scope="session")
def result() -> SimulationResult:
    net = hwsim.network.read(data.digits_model_path(quantized=True))
    images, _ = data.digits_test()
    return hwsim.simulate(
        net, hwsim.accelerator.read("int8_16x16"), {net.inputs[0].name: images[:4]}, against_float=True
    )
