# SPDX-License-Identifier: Apache-2.0
import re
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import pytest

from hwsim import accelerator, data, datapath
from hwsim.network import read, run
from hwsim.network.layers.multiply_accumulate import MultiplyAccumulate
from hwsim.network.onnx_reader import from_model
from hwsim.quantization import LayerFormats, Recipe, float_form, quantize
from hwsim.quantization.sequential import Noise
from hwsim.simulation import simulate

Array = npt.NDArray[Any]


@pytest.fixture(scope="module")
def digits() -> dict[str, Array]:
    return {"input": data.digits_calibration()[:96]}


def _ort(model: onnx.ModelProto, inputs: dict[str, Array]) -> Array:
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(["output"], inputs)[0])


def _model() -> Any:
    return data.digits_model_path(quantized=False)


def test_quantize_everywhere_int8_equals_onnxruntime(digits: dict[str, Array]) -> None:
    found = quantize(_model(), Recipe(scope="all"), digits)
    assert found.model is not None
    network = from_model(found.model)
    kinds = [layer.kind for layer in network.layers]
    assert kinds == ["quantize", "conv", "conv", "max_pool", "conv", "max_pool", "reshape", "gemm", "dequantize"]
    assert all(layer.quantized for layer in network.layers if isinstance(layer, MultiplyAccumulate))
    images, labels = data.digits_test()
    ours, theirs = run(network, {"input": images})["output"], _ort(found.model, {"input": images})
    assert ours.size == 3600
    # ONNX Runtime adds float32 products in its own order: a sum on a rounding boundary may come out one code apart
    assert np.count_nonzero(ours != theirs) <= 3
    assert np.mean(ours.argmax(axis=1) == labels) >= 0.97


def test_quantize_weights_and_activations_against_numpy(digits: dict[str, Array]) -> None:
    """The first layer's codes, scales and zero points, computed from the definitions."""
    found = quantize(_model(), Recipe(), digits)
    assert found.model is not None
    constants = {each.name: onnx.numpy_helper.to_array(each) for each in found.model.graph.initializer}
    weight = next(
        onnx.numpy_helper.to_array(t) for t in onnx.load(_model()).graph.initializer if t.name == "conv1.weight"
    )
    scale = (np.abs(weight).reshape(8, -1).max(axis=1).astype(np.float64) / 127).astype(np.float32)
    codes = np.rint(weight / scale[:, None, None, None]).astype(np.int8)
    assert np.array_equal(constants["conv1.weight.scale"], scale)
    assert np.array_equal(constants["conv1.weight.q"], codes)
    largest = digits["input"].max()  # nothing is below 0
    assert constants["input.scale"] == np.float32(np.float64(largest) / 255)
    assert constants["input.zero"] == -128


@pytest.mark.parametrize(
    ("weights", "activations", "more"),
    [
        ("int4", "int8", {}),
        ("int5", "uint3", {"granularity": "tensor"}),
        ("int4", "int8", {"granularity": "group", "group": 4, "symmetric": True}),
        ("int4", None, {"gptq": True, "granularity": "group", "group": 16}),
        ("float8_e4m3fn", "float8_e5m2", {}),
        ("float6_e3m2fn", "float6_e2m3fn", {}),
        ("mxfp4", "none", {}),
        ("nvfp4", "int8", {"correct_bias": True}),
        ("mxint8", "int8", {"equalize": True, "smooth": 0.5, "rotate": 0}),
    ],
)
def test_quantize_file_gives_the_noise_of_the_report(
    digits: dict[str, Array], weights: str, activations: str | None, more: dict[str, Any]
) -> None:
    found = quantize(_model(), Recipe(weights=weights, activations=activations, **more), digits, effects=False)
    assert found.model is not None
    wanted, got = run(read(_model()), digits)["output"], run(from_model(found.model), digits)["output"]
    noise = Noise()
    noise.add(wanted, got)
    assert noise.sqnr_db is not None
    assert found.report.output_sqnr_db is not None
    # biases are rounded to int32 in the file, and products are added in another order
    assert abs(noise.sqnr_db - found.report.output_sqnr_db) < 0.1


@pytest.mark.parametrize("name", ["mxfp4", "mxfp8_e4m3", "nvfp4", "mxint8"])
def test_quantize_chooses_block_scales_as_the_network_runs(attention: Any, name: str) -> None:
    recipe = Recipe(weights=name, activations=name, layers={
        each: LayerFormats(weights=name, activations="int8") for each in ("scores", "mixed")
    })  # fmt: skip
    found = quantize(attention.model, recipe, attention.inputs)
    assert found.model is not None
    noise = Noise()
    wanted = run(from_model(attention.model), attention.inputs)["output"]
    noise.add(wanted, run(from_model(found.model), attention.inputs)["output"])
    assert noise.sqnr_db == pytest.approx(found.report.output_sqnr_db, abs=0.05)


def test_quantize_kv_cache_has_its_own_format(attention: Any) -> None:
    found = quantize(attention.model, Recipe(kv_cache="int4"), attention.inputs)
    assert found.model is not None
    layers = {layer.name: layer for layer in from_model(found.model).layers if isinstance(layer, MultiplyAccumulate)}
    for name in ("scores", "mixed"):
        assert (layers[name].a_dtype, layers[name].b_dtype) == ("int8", "int4")
    assert layers["q"].b_dtype == "int8"
    assert [each.weights for each in found.report.layers if each.name == "scores"] == ["int4"]


@pytest.mark.parametrize(
    ("weights", "activations", "unit"), [("int8", "int8", "int8"), ("int4", "int8", "int8_by_int4")]
)
def test_quantize_network_runs_on_units_of_its_formats(
    digits: dict[str, Array], weights: str, activations: str, unit: str
) -> None:
    """On integer units the sums are exact: what the array gives is what the file means, bit for bit."""
    found = quantize(_model(), Recipe(weights=weights, activations=activations), digits, effects=False)
    assert found.model is not None
    network = from_model(found.model)
    machine = replace(accelerator.read("int8_16x16"), unit=datapath.named(unit))
    images = {"input": digits["input"][:8]}
    result = simulate(network, machine, images)
    assert np.array_equal(result.outputs["output"], run(network, images)["output"])
    assert result.cycles > 0


def test_quantize_takes_open_sizes_from_the_calibration_set(attention: Any) -> None:
    model = onnx.ModelProto()
    model.CopyFrom(attention.model)
    for info in (*model.graph.input, *model.graph.output):
        info.type.tensor_type.shape.dim[1].dim_param = "tokens"
    found = quantize(model, Recipe(rotate=16), attention.inputs, effects=False)
    assert found.model is not None
    assert found.model.graph.input[0].type.tensor_type.shape.dim[1].dim_param == "tokens"
    longer = {"input": np.concatenate([attention.inputs["input"]] * 2, axis=1)}
    outputs = run(from_model(found.model, dimensions={"tokens": 12}), longer)["output"]
    assert outputs.shape == (8, 12, 32)


def test_quantize_methods_help_each(digits: dict[str, Array]) -> None:
    """With 4-bit weights each step is better than what was before."""
    recipe = Recipe(weights="int4", activations="int8", equalize=True, gptq=True, correct_bias=True)
    report = quantize(_model(), recipe, digits).report
    assert [step.name for step in report.steps] == ["round to nearest", "equalize", "gptq", "correct_bias"]
    ratios = [step.output_sqnr_db for step in report.steps]
    assert all(b > a for a, b in pairwise(ratios) if a is not None and b is not None)
    assert report.output_sqnr_db == ratios[-1]


def test_quantize_bias_correction_takes_out_the_mean(convolutional: Any) -> None:
    recipe = Recipe(weights="int3", activations=None, correct_bias=True)
    found = quantize(convolutional.model, recipe, convolutional.inputs)
    assert found.model is not None
    exact, coded = (_means(model, convolutional.inputs) for model in (convolutional.model, found.model))
    assert np.abs(coded - exact).max() < 1e-4 * np.abs(exact).max()
    plain = quantize(convolutional.model, Recipe(weights="int3", activations=None), convolutional.inputs)
    assert plain.model is not None
    assert np.abs(_means(plain.model, convolutional.inputs) - exact).max() > 1e-2 * np.abs(exact).max()


def _means(model: onnx.ModelProto, inputs: dict[str, Array]) -> Array:
    """The mean of each output of the network, whose last layer is a product."""
    return np.asarray(run(from_model(model), inputs)["output"].mean(axis=0, dtype=np.float64))


def test_quantize_other_formats_are_evaluated_only(digits: dict[str, Array]) -> None:
    recipe = Recipe(weights="nf4", activations="posit8_1", observer="mse")
    found = quantize(_model(), recipe, digits, written=False)
    assert found.model is None
    assert found.report.output_sqnr_db is not None
    assert found.report.output_sqnr_db > 12
    with pytest.raises(
        ValueError, match=r"^ONNX cannot carry weights in nf4; activations in posit8_1\. It carries int2"
    ):
        quantize(_model(), recipe, digits)


def test_float_form_gives_the_network_back(digits: dict[str, Array]) -> None:
    """An int8 network's float form is the float network to within the rounding of its weights."""
    plain, own = run(read(_model()), digits)["output"], float_form(data.digits_model_path(quantized=True))
    found = run(from_model(own), digits)["output"]
    noise = Noise()
    noise.add(plain, found)
    assert noise.sqnr_db is not None
    assert noise.sqnr_db > 38
    assert not {"QuantizeLinear", "DequantizeLinear"} & {node.op_type for node in own.graph.node}


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"observer": "max"}, r"^observer must be one of absmax, percentile, mse, entropy, not 'max'$"),
        ({"group": 0}, r"^group must be in 1\.\.65536, not 0$"),
        ({"rotate": 12}, r"^rotate must be 0 or a power of two from 2, not 12$"),
        ({"smooth": 1.5}, r"^smooth must be in 0\.\.1, not 1\.5$"),
        ({"percentile": 50}, r"^percentile must be above 50 and at most 100, not 50$"),
        ({"damping": 0.0}, r"^damping must be above 0 and below 1, not 0\.0$"),
        ({"act_order": True}, r"^act_order must be False without gptq, not True$"),
        ({"weight_observer": "entropy"}, r"^weight_observer must be absmax or mse"),
        ({"scope": "all", "activations": "float8_e5m2"}, r"^scope all needs integer activations, not float8_e5m2$"),
        ({"scope": "all", "kv_cache": "int4"}, r"^scope all has one format of activations, int8, not int4 as well$"),
        ({"weights": "float32x"}, r"unknown format 'float32x'"),
    ],
)
def test_recipe_wrong(fields: dict[str, Any], text: str) -> None:
    with pytest.raises((ValueError, KeyError)) as caught:
        Recipe(**fields)
    assert re.search(text, str(caught.value.args[0]))


def test_quantize_model_wrong(digits: dict[str, Array]) -> None:
    with pytest.raises(
        ValueError, match=r"^the model is quantized already \(it has DequantizeLinear, QuantizeLinear\)"
    ):
        quantize(data.digits_model_path(quantized=True), Recipe(), digits)
    with pytest.raises(ValueError, match=r"^layers must be among the products conv1, conv2, conv3, fc, not conv9$"):
        quantize(_model(), Recipe(layers={"conv9": LayerFormats(weights="int8", activations="int8")}), digits)
    with pytest.raises(ValueError, match=r"^calibration must have one number of images above 0 for all inputs, not"):
        quantize(_model(), Recipe(), {"input": digits["input"][:0]})
    with pytest.raises(
        ValueError, match=r"blocks whose scales are chosen as the network runs must divide the channels"
    ):
        quantize(_model(), Recipe(weights="mxfp4", activations="mxfp4"), digits)


@pytest.mark.parametrize(
    ("node", "text"),
    [
        (
            onnx.helper.make_node("GatherND", ["x", "i"], ["z"], "g", batch_dims=-3),
            r"^node 'g' \(GatherND\): batch_dims must not be negative, not -3$",
        ),
        (
            onnx.helper.make_node("Split", ["x"], ["z", *"opqrstuv"], "s", axis=1, num_outputs=9),
            r"^node 's' \(Split\): 9 parts of sizes \[1, 1, 1, 1, 1, 1, 1, 1, -4\] do not make 4$",
        ),
    ],
)
@pytest.mark.parametrize("opset", [18, 21])
def test_quantize_damaged_node_wrong(node: onnx.NodeProto, text: str, opset: int) -> None:
    """On such nodes onnx's inference of shapes, and its conversion to another opset, can end the process."""
    single = onnx.TensorProto.FLOAT
    x, y, z = (
        onnx.helper.make_tensor_value_info(name, single, [2, size]) for name, size in zip("xyz", (4, 4, 1), strict=True)
    )
    held = [onnx.numpy_helper.from_array(np.eye(4, dtype=np.float32) / 3, "w")]
    held.append(onnx.numpy_helper.from_array(np.zeros((1, 1), np.int64), "i"))
    product = onnx.helper.make_node("MatMul", ["x", "w"], ["y"], "m")
    opsets = [onnx.helper.make_opsetid("", opset)]
    images = {"x": np.ones((2, 4), np.float32)}
    graph = onnx.helper.make_graph([product, node], "damaged", [x], [y, z], held)
    with pytest.raises(ValueError, match=text):
        quantize(onnx.helper.make_model(graph, opset_imports=opsets, ir_version=10), Recipe(weights="int4"), images)
    unread = onnx.helper.make_graph([product, node], "damaged", [x], [y], held)
    found = quantize(
        onnx.helper.make_model(unread, opset_imports=opsets, ir_version=10), Recipe(weights="int4"), images
    )
    assert found.model is not None
    assert node.op_type not in [each.op_type for each in found.model.graph.node]
