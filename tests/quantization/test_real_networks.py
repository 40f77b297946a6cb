# SPDX-License-Identifier: Apache-2.0
"""Networks by others: the float MNIST CNN of opset 8, and ResNet-8 with its quantizers taken out."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from hwsim import accelerator
from hwsim.allocation import Probe, candidates, choose_by_simulation, layer_costs, measure_sensitivities
from hwsim.network import read, run
from hwsim.network.onnx_reader import from_model
from hwsim.quantization import Recipe, float_form, quantize


def test_quantize_mnist(shared: Path) -> None:
    folder = shared / "models"
    images = np.load(folder / "mnist_four_images.npy").astype(np.float32).reshape(-1, 1, 28, 28)
    found = quantize(folder / "mnist_float" / "mnist-12-float.onnx", Recipe(gptq=True), {"Input3": images})
    assert found.model is not None
    assert found.report.output_sqnr_db is not None
    assert found.report.output_sqnr_db > 45
    assert found.report.folded == (
        "Plus30 (Add) into the bias of Convolution28",
        "Plus112 (Add) into the bias of Convolution110",
    )
    first = {"Input3": images[:1]}
    (ours,) = run(from_model(found.model), first).values()
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(found.model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    (theirs,) = session.run(None, first)
    assert ours.argmax() == theirs.argmax() == 7


def _resnet(shared: Path) -> tuple[onnx.ModelProto, np.ndarray]:
    folder = shared / "models"
    picture = np.load(folder / "golden_io.npz")["cifar10_class3/image_nchw_uint8"]
    moved = [np.roll(picture, (dy, dx), (2, 3)) for dy, dx in ((0, 0), (-3, 0), (0, 4), (2, -2))]
    return float_form(folder / "resnet8_cifar10_int8_qdq.onnx"), np.concatenate(moved)


def test_float_form_of_resnet(shared: Path) -> None:
    """The float form's probabilities are the int8 network's to within its output's few codes."""
    model, images = _resnet(shared)
    coded = read(shared / "models" / "resnet8_cifar10_int8_qdq.onnx")
    (codes,) = run(coded, {"t0": (images.astype(np.int16) - 128).astype(np.int8)}).values()
    (values,) = run(from_model(model), {"t0": images.astype(np.float32)}).values()
    assert np.abs((codes.astype(np.int64) + 128) / 256 - values).max() < 0.05
    assert (values.argmax(axis=1) == 3).all()


@pytest.mark.slow
def test_choose_by_simulation_is_no_worse_than_uniform_formats_on_resnet(shared: Path) -> None:
    model, images = _resnet(shared)
    network, formats = from_model(model), ("int8", "int6", "int4", "mxfp4")
    chosen = candidates(formats)
    probe = Probe(network, chosen, {"t0": images.astype(np.float32)})
    sensitivities = measure_sensitivities(probe)
    costs = layer_costs(network, chosen, accelerator.read("mxfp4_4x4"))
    for column, name in enumerate(formats):
        limit = costs.total("energy", [column] * 10)
        choice = choose_by_simulation(probe, sensitivities, costs, {"energy": limit}, pool=4)
        assert choice.optimum.proven
        assert choice.loss <= probe.measure(dict.fromkeys(probe.layers, name))
        assert choice.allocation.costs["energy"] <= limit
