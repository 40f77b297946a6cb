# SPDX-License-Identifier: Apache-2.0
"""A network on an accelerator: outputs, cycles, traffic and energy add up; dataflows give one value in int8."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import hwsim
from hwsim import data
from hwsim.accelerator import ArrayKind, DramSpec, SramSpec
from hwsim.network import run
from hwsim.network.checkpoint import Checkpoint


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
    assert result.cycles == sum(layer.cycles for layer in result.layers)
    conv2 = next(layer for layer in result.layers if layer.name == "conv2")
    # 4 x 1 folds of 16 x 16 without a pause between: 72 steps and a skew of 30 each; then 2 of latency and 16 rows out
    assert conv2.compute_cycles == 4 * 72
    assert conv2.cycles - conv2.stall_cycles == 4 * (72 + 30) + 2 + 16
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
    stationary = replace(accelerator, array=replace(accelerator.array, dataflow=ArrayKind.WEIGHT_STATIONARY))
    inputs = {net.inputs[0].name: images[:8]}
    one, other = hwsim.simulate(net, accelerator, inputs), hwsim.simulate(net, stationary, inputs)
    for name, values in one.outputs.items():
        assert np.array_equal(other.outputs[name], values)
    assert one.cycles != other.cycles


def test_simulation_result_does_not_depend_on_the_batch() -> None:
    net = hwsim.network.read(data.digits_model_path(quantized=False))
    images, _ = data.digits_test()
    accelerator = hwsim.accelerator.read("mxfp4_4x4")
    name = net.inputs[0].name
    calibration = {name: data.digits_calibration()}
    whole = hwsim.simulate(net, accelerator, {name: images[:12]}, calibration=calibration)
    one = hwsim.simulate(net, accelerator, {name: images[3:4]}, calibration=calibration)
    for output, values in whole.outputs.items():
        assert np.array_equal(values[3:4], one.outputs[output])


def test_simulation_unmeasured_unit_says_so() -> None:
    net = hwsim.network.read(data.digits_model_path(quantized=False))
    images, _ = data.digits_test()
    unit = hwsim.datapath.named("int7_l3")
    accelerator = replace(hwsim.accelerator.read("mxfp4_4x4"), unit=unit, technology="gf180")
    result = hwsim.simulate(net, accelerator, {net.inputs[0].name: images[:2]})
    assert result.energy.units_pj is None
    assert result.energy.total_pj is None
    assert result.energy.sram_pj > 0
    assert "int7_l3" in result.energy_note


def test_simulation_fitted_unit_says_so() -> None:
    net = hwsim.network.read(data.digits_model_path(quantized=False))
    images, _ = data.digits_test()
    accelerator = replace(hwsim.accelerator.read("mxfp4_4x4"), unit=hwsim.datapath.named("int7_l3"))
    result = hwsim.simulate(net, accelerator, {net.inputs[0].name: images[:2]})
    assert result.energy.units_pj is not None
    assert result.energy.units_pj > 0
    assert "fitted" in result.energy_note
    assert "not measured; operands of the units it was fitted on; " in result.energy_note


@pytest.mark.parametrize("preset", ["int8_16x16", "int8_16x16_ws_tflite"])
@pytest.mark.parametrize(
    ("name", "case"),
    [
        ("resnet8_cifar10_int8", "rng1234"),
        ("resnet8_cifar10_int8", "cifar10_class3"),
        ("dscnn_kws_int8", "rng1234"),
        ("mobilenetv1_vww_int8", "rng1234"),
    ],
)
def test_simulation_gives_the_recorded_outputs(preset: str, name: str, case: str, shared: Path) -> None:
    net = hwsim.network.read(shared / "models" / f"{name}_qdq.onnx")
    accelerator = hwsim.accelerator.read(preset)
    with np.load(shared / "models" / "golden_io.npz") as golden:
        if case == "cifar10_class3":
            image = (golden["cifar10_class3/image_nchw_uint8"].astype(np.int16) - 128).astype(np.int8)
        else:
            image = golden[f"{name}/{case}/input_nhwc"].transpose(0, 3, 1, 2)
        wanted = golden[f"{name}/{case}/{'tflite_ref' if 'tflite' in preset else 'ort_noopt'}"]
    result = hwsim.simulate(net, accelerator, {net.inputs[0].name: np.ascontiguousarray(image)})
    (output,) = result.outputs.values()
    assert np.array_equal(output, wanted)
    assert result.macs > 1_000_000


def test_simulation_dram_traffic_by_hand() -> None:
    net = hwsim.network.read(data.digits_model_path(quantized=True))
    images, _ = data.digits_test()
    accelerator = hwsim.accelerator.read("int8_16x16")
    inputs = {net.inputs[0].name: images[:2]}
    edges = 64 * 32 + 10 * 32  # one image of 64 float32 values in, ten out
    result = hwsim.simulate(net, accelerator, inputs)
    assert sum(layer.traffic.dram_bits for layer in result.layers) == edges
    # 9 x 8, 72 x 16, 144 x 32 and 128 x 10 weights of 8 bits do not fit 4 KiB together; conv3's alone do not either,
    # but its 16 rows of outputs are one row of tiles
    small = replace(accelerator, weights=replace(accelerator.weights, kilobytes=4))
    weights = (9 * 8 + 72 * 16 + 144 * 32 + 128 * 10) * 8
    result = hwsim.simulate(net, small, inputs)
    assert sum(layer.traffic.dram_bits for layer in result.layers) == edges + weights
    assert sum(layer.traffic.weight_write_bits for layer in result.layers) == weights


def test_simulation_narrow_memories_stall() -> None:
    net = hwsim.network.read(data.digits_model_path(quantized=True))
    images, _ = data.digits_test()
    accelerator = hwsim.accelerator.read("int8_16x16")
    narrow = replace(accelerator, activations=replace(accelerator.activations, width_bits=32))
    result = hwsim.simulate(net, narrow, {net.inputs[0].name: images[:2]})
    conv2 = next(layer for layer in result.layers if layer.name == "conv2")
    assert conv2.cycles == 64 * 72 * 8 // 32  # what 32 bits a cycle take to read 64 rows of 72 bytes


def test_simulation_two_activations_are_no_weights(tmp_path: Path) -> None:
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "y"], ["z"], name="product")],
        "two",
        [value("x", TensorProto.FLOAT, [32, 64]), value("y", TensorProto.FLOAT, [64, 32])],
        [value("z", TensorProto.FLOAT, [32, 32])],
    )
    path = tmp_path / "two.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    net = hwsim.network.read(path)
    generator = np.random.default_rng(0)
    arrays = {
        "x": generator.normal(size=(32, 64)).astype(np.float32),
        "y": generator.normal(size=(64, 32)).astype(np.float32),
    }
    (layer,) = hwsim.simulate(net, hwsim.accelerator.read("int8_16x16"), arrays).layers
    assert layer.traffic.dram_bits == (32 * 64 + 64 * 32 + 32 * 32) * 32
    assert layer.traffic.weight_read_bits == 0
    # 2 x 2 folds: each operand is read once for every tile of the other; the result is read for the DRAM
    assert layer.traffic.activation_read_bits == 2 * (32 * 64 + 64 * 32) * 8 + 32 * 32 * 32
    assert layer.traffic.activation_write_bits == (32 * 64 + 64 * 32) * 8 + 32 * 32 * 32


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"technology": "asap8"}, "technology: must be one of asap7, "),
        (
            {"clock_mhz": 10000},
            "clock_mhz: must be at most 2994, which the unit with 2 register ranks reaches in asap7",
        ),
        ({"dram": DramSpec(kind="ddr9", bits_per_cycle=64)}, "memory.dram.kind: DRAM 'ddr9' is unknown"),
        ({"weights": SramSpec(kilobytes=1, width_bits=64)}, "memory.weights: SRAM capacity must be 4 to 4096 KiB"),
    ],
)
def test_simulation_price_wrong(change: dict[str, Any], message: str) -> None:
    net = hwsim.network.read(data.digits_model_path(quantized=True))
    images, _ = data.digits_test()
    accelerator = replace(hwsim.accelerator.read("int8_16x16"), **change)
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        hwsim.simulate(net, accelerator, {net.inputs[0].name: images[:1]})


@pytest.mark.parametrize("preset", ["int8_16x16", "int8_16x16_ws_tflite", "mxfp4_4x4"])
def test_simulation_cycles_add_up(preset: str) -> None:
    net = hwsim.network.read(data.digits_model_path(quantized=preset.startswith("int8")))
    result = hwsim.simulate(net, hwsim.accelerator.read(preset), values="none")
    at = 0
    for layer in result.layers:
        assert layer.start_cycle == at
        assert layer.cycles == layer.fill_cycles + layer.compute_cycles + layer.drain_cycles + layer.stall_cycles
        for part in ("compute", "stall"):
            events = [event for event in layer.plan.events if event.what == part]
            assert sum(event.end - event.start for event in events) == getattr(layer, f"{part}_cycles")
        at += layer.cycles
    assert at == result.cycles
    report = json.loads(result.to_json())
    for part in ("fill", "compute", "drain", "stall"):
        assert report[f"{part}_cycles"] == sum(layer[f"{part}_cycles"] for layer in report["layers"])


class _Shaped:
    """An array that has a shape and a type, and no value that could be read."""

    def __init__(self, array: Any) -> None:
        self.shape, self.ndim, self.size, self.dtype = array.shape, array.ndim, array.size, array.dtype

    def __array__(self, *_: object, **__: object) -> Any:
        raise AssertionError("a value was looked at")


@pytest.mark.parametrize(("preset", "quantized"), [("int8_16x16", True), ("mxfp4_4x4", False)])
def test_simulation_without_values_reads_none(preset: str, quantized: bool) -> None:
    """The same figures as with values, from a network whose weights cannot be looked at."""
    net = hwsim.network.read(data.digits_model_path(quantized=quantized))
    accelerator = hwsim.accelerator.read(preset)
    images, _ = data.digits_test()
    whole = hwsim.simulate(net, accelerator, {net.inputs[0].name: images[:3]})
    layers = tuple(
        replace(layer, weight=_Shaped(layer.weight)) if getattr(layer, "weight", None) is not None else layer  # type: ignore[attr-defined,call-arg]
        for layer in net.layers
    )
    bare = hwsim.simulate(replace(net, layers=layers), accelerator, values="none")
    assert (bare.values, bare.images, dict(bare.outputs)) == ("none", 0, {})
    figures = json.loads(whole.to_json())
    assert json.loads(bare.to_json()) == {**figures, "values": "none", "images": 0, "outputs": {}}


def test_simulation_without_values_checks_the_unit() -> None:
    net = hwsim.network.read(data.digits_model_path(quantized=True))
    with pytest.raises(ValueError, match=r"cannot run on unit mxfp4\S*: conv1 "):
        hwsim.simulate(net, hwsim.accelerator.read("mxfp4_4x4"), values="none")


def test_simulation_goes_on_where_it_stopped(tmp_path: Path) -> None:
    net = hwsim.network.read(data.digits_model_path(quantized=False))
    accelerator = hwsim.accelerator.read("mxfp4_4x4")
    images, _ = data.digits_test()
    inputs = {net.inputs[0].name: images[:40]}
    wanted = hwsim.simulate(net, accelerator, inputs)
    begun: list[str] = []

    def stop(layer: str) -> None:
        begun.append(layer)
        if layer == "conv3":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        hwsim.simulate(net, accelerator, inputs, progress=stop, resume=Checkpoint(tmp_path / "kept"))
    assert begun == ["conv1", "conv2", "conv3"]
    begun.clear()
    result = hwsim.simulate(net, accelerator, inputs, progress=begun.append, resume=Checkpoint(tmp_path / "kept"))
    assert begun == ["conv3", "fc", "conv1", "conv2", "conv3", "fc"]  # the rest of 32 images, and 8 more
    for name, values in wanted.outputs.items():
        assert np.array_equal(result.outputs[name], values)


def test_simulation_says_how_long(monkeypatch: pytest.MonkeyPatch) -> None:
    net = hwsim.network.read(data.digits_model_path(quantized=True))
    images, _ = data.digits_test()
    seconds = iter(range(0, 1000, 4))
    monkeypatch.setattr("hwsim.simulation.pace.monotonic", lambda: float(next(seconds)))
    said: list[str] = []
    hwsim.simulate(net, hwsim.accelerator.read("int8_16x16"), {net.inputs[0].name: images[:64]}, progress=said.append)
    # conv1, conv2, conv3 and fc have 4608, 73728, 73728 and 1280 multiply-accumulates; 32 images go through at once
    assert said[0] == "conv1"  # nothing is said in the first five seconds
    for text, layer, done, passed in ((said[1], "conv2", 4608, 8), (said[2], "conv3", 4608 + 73728, 12)):
        left = passed * (2 * 153344 - done) / done
        rest = f"{left:.0f} s" if left < 90 else f"{left / 60:.0f} min"
        assert text == f"{layer} ({100 * done / 306688:.0f} % done, about {rest} left)"
    assert said[4] == "conv1 (50 % done, about 20 s left)"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"values": "all"}, "values must be one of exact, none, sampled, not 'all'"),
        ({}, "inputs must be given with values 'exact', not None"),
        ({"inputs": [1]}, "inputs must be a mapping of names to arrays, not list"),
        (
            {"values": "none", "against_float": True},
            "against_float must be left out with values 'none': it takes every value",
        ),
        (
            {"values": "sampled", "inputs": {}, "record": print},
            "record must be left out with values 'sampled': it takes every value",
        ),
        (
            {"inputs": {}, "against_float": True, "resume": "kept"},
            "against_float must be False with resume: the errors of layers already finished are lost",
        ),
    ],
)
def test_simulation_options_wrong(options: dict[str, Any], message: str) -> None:
    net = hwsim.network.read(data.digits_model_path(quantized=True))
    with pytest.raises((TypeError, ValueError), match=f"^{re.escape(message)}"):
        hwsim.simulate(net, hwsim.accelerator.read("int8_16x16"), **options)
