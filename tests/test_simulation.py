# SPDX-License-Identifier: Apache-2.0
"""A network on an accelerator: outputs, cycles, traffic and energy add up; dataflows give one value in int8."""

import json
from dataclasses import replace

import numpy as np
import pytest

import hwsim
from hwsim import data
from hwsim.accelerator import Dataflow
from hwsim.network import run


def test_simulation_int8_outputs_and_totals() -> None:
    net = hwsim.network.read(data.digits_model_path(quantized=True))
    images, _ = data.digits_test()
    accelerator = hwsim.accelerator.read("int8_16x16")
    inputs = {net.inputs[0].name: images[:24]}
    result = hwsim.simulate(net, accelerator, inputs)
    exact = run(net, inputs)
    for name, values in exact.items():
        assert np.array_equal(result.outputs[name], values)
    assert result.images == 24
    # 3x3 convolutions of 1, 8 and 16 channels to 8, 16 and 32 over 8x8, 8x8 and 4x4 pixels, and 128 x 10
    assert result.macs == 64 * 9 * 8 + 64 * 72 * 16 + 16 * 144 * 32 + 128 * 10
    assert result.cycles == sum(layer.compute_cycles + layer.stall_cycles for layer in result.layers)
    conv2 = next(layer for layer in result.layers if layer.name == "conv2")
    # 4 x 1 folds of 16 x 16: 72 steps, a skew of 30, a latency of 2, and 16 to drain
    assert conv2.compute_cycles == 4 * (72 + 30 + 2 + 16)
    assert conv2.traffic.activation_read_bits == 64 * 72 * 8
    assert conv2.traffic.weight_read_bits == 4 * 72 * 16 * 8
    report = json.loads(result.to_json())
    assert report["cycles"] == result.cycles
    assert len(report["layers"]) == len(net.layers)
    assert result.energy.total_pj == pytest.approx(sum(layer.energy.total_pj or 0 for layer in result.layers))


def test_simulation_dataflow_keeps_int8_values() -> None:
    net = hwsim.network.read(data.digits_model_path(quantized=True))
    images, _ = data.digits_test()
    accelerator = hwsim.accelerator.read("int8_16x16")
    stationary = replace(accelerator, array=replace(accelerator.array, dataflow=Dataflow.WEIGHT_STATIONARY))
    inputs = {net.inputs[0].name: images[:8]}
    one, other = hwsim.simulate(net, accelerator, inputs), hwsim.simulate(net, stationary, inputs)
    for name, values in one.outputs.items():
        assert np.array_equal(other.outputs[name], values)
    assert one.cycles != other.cycles


def test_simulation_result_does_not_depend_on_the_batch() -> None:
    net = hwsim.network.read(data.digits_model_path(quantized=False))
    images, _ = data.digits_test()
    accelerator = hwsim.accelerator.read("mxfp4_8x8")
    name = net.inputs[0].name
    calibration = {name: data.digits_calibration()}
    whole = hwsim.simulate(net, accelerator, {name: images[:12]}, calibration=calibration)
    one = hwsim.simulate(net, accelerator, {name: images[3:4]}, calibration=calibration)
    for output, values in whole.outputs.items():
        assert np.array_equal(values[3:4], one.outputs[output])


def test_simulation_unmeasured_unit_says_so() -> None:
    net = hwsim.network.read(data.digits_model_path(quantized=False))
    images, _ = data.digits_test()
    accelerator = replace(hwsim.accelerator.read("mxfp4_8x8"), unit=hwsim.datapath.named("int7_l3"))
    result = hwsim.simulate(net, accelerator, {net.inputs[0].name: images[:2]})
    assert result.energy.units_pj is None
    assert result.energy.total_pj is None
    assert result.energy.sram_pj > 0
    assert "int7_l3" in result.energy_note
