# SPDX-License-Identifier: Apache-2.0
import re
from dataclasses import replace
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
    """Scalar formats have a float32 scale an output channel; blocks of 32 along K, the last not full, a byte each."""
    _, _, costs = digits
    assert np.array_equal(costs.bits[:, 0], [832, 9_728, 37_888, 10_560])  # 8 x 72 + 32 x 8, 8 x 1152 + 32 x 16, ...
    assert np.array_equal(costs.bits[:, 1], [544, 5_120, 19_456, 5_440])  # 4 x 72 + 32 x 8, 4 x 1152 + 32 x 16, ...
    assert np.array_equal(costs.bits[:, 2], costs.bits[:, 1])
    assert np.array_equal(costs.bits[:, 3], [352, 4_992, 19_712, 5_440])  # 4 x 72 + 8 x 8 x 1, 4 x 1152 + 8 x 16 x 3
    assert (costs.energy[:, 0] > costs.energy[:, 1]).all()
    assert (costs.latency[:, 0] > costs.latency[:, 1]).all()  # 8 lanes of 8 bits against 16 of 4


def test_layer_costs_bits_without_scales() -> None:
    """Formats to which values are cast have none; NVFP4 has a float32 scale a tensor above its blocks of 16."""
    network = read(data.digits_model_path(quantized=False))
    chosen = candidates(["bfloat16", "nvfp4"], lanes=1)
    costs = layer_costs(network, chosen, replace(accelerator.read("mxfp4_4x4"), pipeline=2))
    assert np.array_equal(costs.bits[:, 0], [1_152, 18_432, 73_728, 20_480])  # 16 x 72, 16 x 1152, 16 x 4608, 16 x 1280
    assert np.array_equal(costs.bits[:, 1], [384, 5_280, 20_768, 5_792])  # 4 x 72 + 8 x 8 + 32, 4 x 1152 + 8 x 80 + 32


def test_layer_costs_say_what_is_measured() -> None:
    network = read(data.digits_model_path(quantized=False))
    notes = layer_costs(network, candidates(["int8", "int4"]), accelerator.read("mxfp4_4x4")).notes
    assert re.fullmatch(
        r"int8: int8_l8_\w+, [\d.]+ um2 \(fitted on measured units of its kind; not measured\)", notes[0]
    )
    assert re.match(r"int4: int4_l16_\w+, [\d.]+ um2 \(measured with ", notes[1])
    same = layer_costs(network, candidates(["int8", "int4"], lanes=16), accelerator.read("mxfp4_4x4"))
    assert all(" um2 (measured with " in note for note in same.notes)


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_choose_by_simulation_is_no_worse_than_the_uniform_formats_it_tries(digits: Any, quantity: str) -> None:
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


def test_loss_on_other_images(digits: Any) -> None:
    probe = digits[0]
    same = dict.fromkeys(probe.layers, "int4")
    assert probe.loss_on(same, probe.inputs) == probe.measure(same)
    images = {"input": data.digits_test()[0][:40]}
    exact = log_softmax(run(probe.network, images)["output"].astype(np.float64), axis=1)
    coded = log_softmax(probe.outputs(same, images)["output"].astype(np.float64), axis=1)
    expected = float((np.exp(exact) * (exact - coded)).sum(axis=1).mean())
    assert probe.loss_on(same, images) == pytest.approx(expected, rel=1e-9)


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


def test_candidates_lanes() -> None:
    assert [each.unit.lanes for each in candidates(["int8", "int4", "nvfp4"])] == [8, 16, 16]
    assert [each.unit.lanes for each in candidates(["int8", "int4", "nvfp4"], lanes=24)] == [24, 24, 8]
    with pytest.raises(ValueError, match=r"^lanes must be at least 1, not 0$"):
        candidates(["int8", "int4"], lanes=0)
    with pytest.raises(TypeError, match=r"^lanes must be an int, not True$"):
        candidates(["int8", "int4"], lanes=True)


def test_probe_quantized_wrong() -> None:
    network = read(data.digits_model_path(quantized=True))
    with pytest.raises(ValueError, match=r"^layer 'conv1' is quantized already: give the float network$"):
        Probe(network, candidates(["int8", "int4"]), {"input": data.digits_calibration()[:4]})
