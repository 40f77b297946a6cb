# SPDX-License-Identifier: Apache-2.0
from typing import Any

import numpy as np
import pytest
from scipy.special import log_softmax

from hwsim import accelerator, data
from hwsim.accelerator import UnitEngine
from hwsim.allocation import (
    QUANTITIES,
    Costs,
    Probe,
    Sensitivities,
    candidates,
    choose_by_simulation,
    estimate_sensitivities,
    layer_costs,
    measure_sensitivities,
)
from hwsim.network import calibrate, read, run

FORMATS = ("int8", "int4", "float4_e2m1fn", "mxfp4")


@pytest.fixture(scope="module")
def digits() -> tuple[Probe, Sensitivities, Costs]:
    network = read(data.digits_model_path(quantized=False))
    chosen = candidates(FORMATS)
    probe = Probe(network, chosen, {"input": data.digits_calibration()[:48]})
    return probe, measure_sensitivities(probe), layer_costs(network, chosen, accelerator.read("mxfp4_4x4"))


def test_probe_against_a_unit_engine(digits: Any) -> None:
    """Uniform assignments are what one unit computes; the divergence is scipy's."""
    probe, images = digits[0], {"input": data.digits_calibration()[:48]}
    network = read(data.digits_model_path(quantized=False))
    ranges = calibrate(network, images)
    exact = log_softmax(run(network, images)["output"].astype(np.float64), axis=1)
    for each in candidates(FORMATS):
        found = run(network, images, engine=UnitEngine(each.unit, ranges))["output"]
        coded = log_softmax(found.astype(np.float64), axis=1)
        expected = float((np.exp(exact) * (exact - coded)).sum(axis=1).mean())
        assert probe.measure(dict.fromkeys(probe.layers, each.name)) == pytest.approx(expected, rel=1e-9)
    assert probe.measure({}) == 0


def test_measure_sensitivities_rank_widths(digits: Any) -> None:
    _, sensitivities, _ = digits
    assert sensitivities.layers == ("conv1", "conv2", "conv3", "fc")
    assert (sensitivities.values[:, 0] < sensitivities.values[:, 1]).all()
    assert (sensitivities.values >= 0).all()


def test_layer_costs_bits_by_hand(digits: Any) -> None:
    _, _, costs = digits
    weights = np.array([8 * 9, 16 * 72, 32 * 144, 10 * 128])
    assert np.array_equal(costs.bits[:, 0], 8 * weights)
    assert np.array_equal(costs.bits[:, 1], 4 * weights)
    blocks = np.array([8 * 1, 16 * 3, 32 * 5, 10 * 4])  # of 32 along K, the last not full
    assert np.array_equal(costs.bits[:, 3], 4 * weights + 8 * blocks)
    assert (costs.energy[:, 0] > costs.energy[:, 1]).all()
    assert (costs.latency[:, 0] > costs.latency[:, 1]).all()  # 8 lanes of 8 bits against 16 of 4


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_choose_by_simulation_dominates_each_uniform_format(digits: Any, quantity: str) -> None:
    probe, sensitivities, costs = digits
    better = 0
    for column, name in enumerate(FORMATS):
        limit = costs.total(quantity, [column] * 4)
        choice = choose_by_simulation(probe, sensitivities, costs, {quantity: limit}, pool=4)
        same = probe.measure(dict.fromkeys(probe.layers, name))
        assert choice.loss <= same
        assert choice.allocation.costs[quantity] <= limit
        assert choice.optimum.proven
        assert choice.loss == probe.measure(choice.allocation.assignment)
        better += choice.loss < same
    assert better >= 1


def test_estimate_sensitivities_against_the_curvature_of_a_linear_layer(digits: Any) -> None:
    """The last layer alone: the Hessian's trace is known, mean over images of |x|^2 times that of diag(p) - p p^T."""
    probe, measured, _ = digits
    estimated = estimate_sensitivities(probe, draws=8)
    images = {"input": data.digits_calibration()[:48]}
    network = read(data.digits_model_path(quantized=False))
    seen: dict[str, Any] = {}
    run(network, images, hook=lambda name, value: seen.setdefault(name, []).append(value))
    x, logits = (np.concatenate(seen[name]).astype(np.float64) for name in ("flat", "output"))
    chance = np.exp(log_softmax(logits, axis=1))
    trace = ((x**2).sum(axis=1) * (chance - chance**2).sum(axis=1)).mean()
    weight = network.layer("fc").weight  # type: ignore[attr-defined]
    scale = np.abs(weight).max(axis=0) / 7
    error = (np.square(np.rint(weight / scale) * scale - weight)).sum()
    expected = trace / (2 * weight.size) * error
    assert estimated.values[3, 1] == pytest.approx(expected, rel=0.6)  # 8 random directions
    assert estimated.values.shape == measured.values.shape
    assert (estimated.values[:, 0] < estimated.values[:, 1]).all()


def test_candidates_wrong() -> None:
    with pytest.raises(ValueError, match=r"^candidates must be at least two different formats, not int8$"):
        candidates(["int8"])
    with pytest.raises(ValueError, match=r"^candidates must be at least two different formats, not int8, int8$"):
        candidates(["int8", "int8"])


def test_probe_quantized_wrong() -> None:
    network = read(data.digits_model_path(quantized=True))
    with pytest.raises(ValueError, match=r"^layer 'conv1' is quantized already: give the float network$"):
        Probe(network, candidates(["int8", "int4"]), {"input": data.digits_calibration()[:4]})
