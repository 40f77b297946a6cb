# SPDX-License-Identifier: Apache-2.0
"""The shipped digits network and its images: what they are, and what they score."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from onnx import TensorProto
from sklearn.datasets import load_digits

from hwsim.data import digits_calibration, digits_model_path, digits_test


def _session(quantized: bool) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(digits_model_path(quantized), options, providers=["CPUExecutionProvider"])


def _keys(images: NDArray[np.float32]) -> list[bytes]:
    return [image.tobytes() for image in images]


def test_data_images_are_of_the_source() -> None:
    source, source_labels = load_digits(return_X_y=True)
    known = dict(zip(_keys((source / 16).astype(np.float32)), source_labels.tolist(), strict=True))
    images, labels = digits_test()
    assert images.shape == (360, 1, 8, 8)
    assert images.dtype == np.float32
    assert np.bincount(labels).tolist() == [36] * 10
    assert [known[key] for key in _keys(images)] == labels.tolist()
    assert set(_keys(digits_calibration())) <= known.keys()


def test_data_calibration_is_apart_from_the_test() -> None:
    calibration = digits_calibration()
    assert calibration.shape == (300, 1, 8, 8)
    assert not set(_keys(calibration)) & set(_keys(digits_test()[0]))


@pytest.mark.parametrize("quantized", [False, True])
def test_data_accuracy(quantized: bool) -> None:
    images, labels = digits_test()
    right = int((_session(quantized).run(["output"], {"input": images})[0].argmax(axis=1) == labels).sum())
    assert right >= 0.98 * 360


@pytest.mark.parametrize("quantized", [False, True])
def test_data_model_form(quantized: bool) -> None:
    path = digits_model_path(quantized)
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert model.ir_version <= 10
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 17)]
    kinds = [node.op_type for node in model.graph.node if node.op_type not in {"QuantizeLinear", "DequantizeLinear"}]
    assert kinds == ["Conv", "Relu", "Conv", "Relu", "MaxPool", "Conv", "Relu", "MaxPool", "Flatten", "Gemm"]
    assert path.stat().st_size < 100_000


def test_data_int8_products_see_codes_only() -> None:
    model = onnx.load(digits_model_path(quantized=True))
    types = {constant.name: constant.data_type for constant in model.graph.initializer}
    made_by = {output: node for node in model.graph.node for output in node.output}
    products = [node for node in model.graph.node if node.op_type in {"Conv", "Gemm"}]
    assert len(products) == 4
    for node in products:
        x, weight, bias = (made_by[name] for name in node.input)
        assert {x.op_type, weight.op_type, bias.op_type} == {"DequantizeLinear"}
        assert types[x.input[2]] == types[weight.input[0]] == TensorProto.INT8
        assert types[bias.input[0]] == TensorProto.INT32


def test_data_int8_bias_unit_is_the_product_unit() -> None:
    model = onnx.load(digits_model_path(quantized=True))
    constants = {constant.name: onnx.numpy_helper.to_array(constant) for constant in model.graph.initializer}
    made_by = {output: node for node in model.graph.node for output in node.output}
    for node in (node for node in model.graph.node if node.op_type in {"Conv", "Gemm"}):
        x, weight, bias = (made_by[name].input for name in node.input)
        assert np.array_equal(constants[bias[1]], constants[x[1]] * constants[weight[1]])
        assert np.abs(constants[weight[0]]).max() == 127
        assert not constants[weight[2]].any()
