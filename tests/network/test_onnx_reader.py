# SPDX-License-Identifier: Apache-2.0
"""Reading: what a network tells of itself, open sizes, folding, and every error in one clear line."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from hwsim import network


def small(models: Any, shape: Any = (1, 3, 8, 8), **more: Any) -> Path:
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], name="first"),
        helper.make_node("Relu", ["c"], ["r"], name="second"),
        helper.make_node("Flatten", ["r"], ["f"], name="third"),
        helper.make_node("Gemm", ["f", "g", "b"], ["y"], name="fourth"),
    ]
    constants = {
        "w": np.ones((4, 3, 3, 3), np.float32),
        "g": np.ones((144, 10), np.float32),
        "b": np.ones(10, np.float32),
    }
    path = models.save(nodes, {"x": shape}, ["y"], constants, **more)
    assert isinstance(path, Path)
    return path


def test_onnx_reader_describes_the_network(models: Any) -> None:
    net = network.read(small(models))
    assert list(net.graph.nodes) == ["first", "second", "third", "fourth"]
    assert list(net.graph.edges) == [("first", "second"), ("second", "third"), ("third", "fourth")]
    (tensor,) = net.graph.edges["third", "fourth"]["tensors"]
    assert (tensor.name, tensor.shape, tensor.dtype, tensor.bits) == ("f", (1, 144), "float32", 32)
    assert net.graph.nodes["first"]["layer"] is net.layer("first")
    summary = json.loads(net.to_json())
    assert summary["macs"] == 36 * 27 * 4 + 144 * 10
    assert summary["parameters"] == 108 + 1440 + 10
    assert [row["kind"] for row in summary["layers"]] == ["conv", "activation", "reshape", "gemm"]
    assert summary["layers"][0]["matmul"] == {"groups": 1, "m": 36, "k": 27, "n": 4}
    assert summary["inputs"] == [{"name": "x", "shape": [1, 3, 8, 8], "dtype": "float32"}]
    with pytest.raises(ValueError, match="network 'small' has no layer 'fifth'"):
        net.layer("fifth")


def test_onnx_reader_takes_an_open_batch(models: Any, rng: np.random.Generator) -> None:
    path = small(models, ("N", 3, 8, 8))
    assert network.read(path).inputs[0].shape == (1, 3, 8, 8)
    net = network.read(path, batch=4)
    assert net.inputs[0].shape == (4, 3, 8, 8)
    assert net.outputs[0].shape == (4, 10)
    x = rng.integers(-5, 5, (7, 3, 8, 8)).astype(np.float32)
    np.testing.assert_array_equal(network.run(net, {"x": x})["y"], models.oracle(path, {"x": x})["y"])


def test_onnx_reader_takes_other_open_sizes_by_name(models: Any) -> None:
    node = helper.make_node("Softmax", ["x"], ["y"], axis=-1)
    path = models.save([node], {"x": ["N", "words", 16]}, ["y"], {})
    assert network.read(path, dimensions={"words": 5}).outputs[0].shape == (1, 5, 16)
    message = r"sizes are open: axis 1 \(words\) of input 'x'; give them by name in `dimensions`"
    with pytest.raises(ValueError, match=message):
        network.read(path)


@pytest.mark.parametrize(
    ("dimensions", "error", "message"),
    [
        ({"width": 0}, ValueError, "dimension 'width' must be at least 1, not 0"),
        ({"width": 2.0}, TypeError, "dimension 'width' must be an int, not float"),
        ({"widht": 4}, ValueError, "no input has a dimension 'widht': those that its inputs leave open are n, width"),
    ],
)
def test_onnx_reader_dimensions_wrong(
    models: Any, dimensions: dict[str, Any], error: type[Exception], message: str
) -> None:
    path = models.save([helper.make_node("Relu", ["x"], ["y"])], {"x": ["n", "width"]}, ["y"], {})
    with pytest.raises(error, match=message):
        network.read(path, dimensions=dimensions)


def test_onnx_reader_dimensions_of_a_fixed_network(models: Any) -> None:
    path = models.save([helper.make_node("Relu", ["x"], ["y"])], {"x": [1, 3]}, ["y"], {})
    with pytest.raises(ValueError, match="no input has a dimension 'n': its inputs leave none open"):
        network.read(path, dimensions={"n": 2})


def test_onnx_reader_folds_the_arithmetic_of_shapes(models: Any, rng: np.random.Generator) -> None:
    # What PyTorch writes for x.view(x.size(0), -1) with an open batch.
    nodes = [
        helper.make_node("Relu", ["x"], ["r"]),
        helper.make_node("Shape", ["r"], ["s"]),
        helper.make_node("Gather", ["s", "zero"], ["n"], axis=0),
        helper.make_node("Unsqueeze", ["n", "axis"], ["u"]),
        helper.make_node("Concat", ["u", "minus"], ["t"], axis=0),
        helper.make_node("Reshape", ["r", "t"], ["y"]),
        helper.make_node("Sin", ["x"], ["nobody_reads_this"]),
    ]
    constants = {"zero": np.int64(0), "axis": np.array([0]), "minus": np.array([-1])}
    path = models.save(nodes, {"x": ["N", 3, 4]}, ["y"], constants)
    net = network.read(path)
    assert [layer.kind for layer in net.layers] == ["activation", "reshape"]
    x = rng.standard_normal((5, 3, 4)).astype(np.float32)
    np.testing.assert_array_equal(network.run(net, {"x": x})["y"], models.oracle(path, {"x": x})["y"])


def test_onnx_reader_quantizes_constant_weights(models: Any, qdq: Any, rng: np.random.Generator) -> None:
    # PyTorch writes QuantizeLinear of float weights into the graph.
    x = rng.integers(-128, 128, (2, 3, 8, 8)).astype(np.int8)
    w = (rng.integers(-128, 128, (4, 3, 3, 3)) / 128).astype(np.float32)
    operands = [("x", None, 0.5, 1, "int8"), ("w", None, 0.0078125, 0, "int8")]
    nodes, constants = qdq("Conv", operands, (0.25, 0, "int8"))
    nodes.insert(0, helper.make_node("QuantizeLinear", ["w_values", "w_scale", "w_zero"], ["w"]))
    types = {"x": TensorProto.INT8, "y": TensorProto.INT8}
    path = models.save(nodes, {"x": x.shape}, ["y"], {**constants, "w_values": w}, types=types)
    assert len(models.assert_same(path, {"x": x}).layers) == 1


def test_onnx_reader_takes_four_bit_weights(models: Any, qdq: Any, rng: np.random.Generator) -> None:
    x = rng.integers(-128, 128, (6, 20)).astype(np.int8)
    codes = rng.integers(-8, 8, (20, 7))
    operands = [("x", None, 0.5, 1, "int8"), ("w", None, 0.0625, 0, "int8")]
    nodes, constants = qdq("MatMul", operands, (1.0, 0, "int8"))
    del constants["w_zero"]
    nodes[1].input.pop()
    path = models.save(
        nodes, {"x": x.shape, "w": [20, 7]}, ["y"], constants, opset=21, ir_version=10,
        types={"x": TensorProto.INT8, "y": TensorProto.INT8, "w": TensorProto.INT4},
    )  # fmt: skip
    model = onnx.load(path)
    model.graph.initializer.append(helper.make_tensor("w", TensorProto.INT4, [20, 7], codes.ravel().tolist()))
    del model.graph.input[1]
    onnx.save(model, path)
    net = models.assert_same(path, {"x": x})
    (layer,) = net.layers
    assert layer.b_dtype == "int4"


def test_onnx_reader_runs_a_network_with_no_quantized_output(models: Any, qdq: Any, rng: np.random.Generator) -> None:
    # Mixed: integer products whose float result an unquantized Relu reads, then weights alone quantized.
    x = rng.integers(-128, 128, (6, 20)).astype(np.int8)
    w = rng.integers(-128, 128, (20, 8)).astype(np.int8)
    nodes, constants = qdq("MatMul", [("x", None, 0.5, 1, "int8"), ("w", w, 0.0625, 0, "int8")], None)
    constants |= {"v": rng.integers(-4, 5, (8, 4)).astype(np.int8), "v_scale": np.float32(0.5)}
    nodes += [
        helper.make_node("Relu", ["y"], ["r"]),
        helper.make_node("DequantizeLinear", ["v", "v_scale"], ["v_float"]),
        helper.make_node("MatMul", ["r", "v_float"], ["z"]),
    ]
    path = models.save(nodes, {"x": x.shape}, ["z"], constants, types={"x": TensorProto.INT8})
    net = models.assert_same(path, {"x": x})
    assert [getattr(layer, "quantized", None) for layer in net.layers] == [True, None, False]


def test_onnx_reader_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no such model: .*absent\.onnx"):
        network.read(tmp_path / "absent.onnx")
    with pytest.raises(ValueError, match="is not a file"):
        network.read(tmp_path)


@pytest.mark.parametrize("content", [b"", b"hello world\n", b'{"model": 1}', b"\x08\x08", b"# A readme\n" * 50])
def test_onnx_reader_other_files(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "text.onnx"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"text\.onnx is not an ONNX model: it"):
        network.read(path)


def test_onnx_reader_invalid_model(models: Any) -> None:
    path = small(models)
    model = onnx.load(path)
    model.graph.node[1].input[0] = "nothing"
    onnx.save(model, path)
    with pytest.raises(
        ValueError, match=r"is not a valid ONNX model: Nodes in a graph must be topologically sorted"
    ) as e:
        network.read(path)
    assert "\n" not in str(e.value)


def test_onnx_reader_names_what_it_writes_out_after_the_node(models: Any, rng: np.random.Generator) -> None:
    """An operator that is run as the body that the standard gives it: the last layer has the node's name."""
    nodes = [
        helper.make_node("MeanVarianceNormalization", ["x"], ["a"], name="one"),
        helper.make_node("MeanVarianceNormalization", ["a"], ["y"]),
    ]
    path = models.save(nodes, {"x": [1, 2, 3, 3]}, ["y"], {})
    net = network.read(path)
    names = [layer.name for layer in net.layers]
    assert {name.split("/")[0] for name in names} == {"one", "y"}
    assert names[-1] == "y"
    assert names[names.index("one") + 1].startswith("y/")
    assert len(set(names)) == len(names) > 4
    x = rng.normal(size=(1, 2, 3, 3)).astype(np.float32)
    found = network.run(net, {"x": x})["y"]
    np.testing.assert_allclose(found, models.oracle(path, {"x": x})["y"], rtol=1e-4, atol=1e-5)  # sums in two orders


def test_onnx_reader_lists_all_unsupported_operators_at_once(models: Any) -> None:
    nodes = [
        helper.make_node("RandomNormalLike", ["x"], ["s"], name="coin"),
        helper.make_node("Relu", ["s"], ["r"]),
        helper.make_node("Unique", ["r"], ["l"]),
        helper.make_node("BiasDropout", ["l"] * 2, ["y"], name="product", domain="com.microsoft"),
    ]
    path = models.save(nodes, {"x": [1, 3, 4, 4]}, ["y"], {}, rank=4)
    message = (
        r"3 node\(s\) of operators that are not run: "
        r"'coin' \(RandomNormalLike\), 'l' \(Unique\), 'product' \(com\.microsoft::BiasDropout\)"
    )
    with pytest.raises(ValueError, match=message):
        network.read(path)


def test_onnx_reader_lists_unsupported_operators_of_domains_not_imported(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("BiasDropout", ["x"], ["g"], name="drop", domain="com.microsoft"),
        helper.make_node("Bernoulli", ["g"], ["s"], name="coin"),
        helper.make_node("Riddle", ["s"], ["y"], name="few_bits", domain="onnx.brevitas"),
    ]
    info = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3]) for name in ("x", "y")]
    graph = helper.make_graph(nodes, "g", info[:1], info[1:])
    path = tmp_path / "foreign.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    message = (
        r"3 node\(s\) of operators that are not run: "
        r"'drop' \(com\.microsoft::BiasDropout\), 'coin' \(Bernoulli\), 'few_bits' \(onnx\.brevitas::Riddle\)$"
    )
    with pytest.raises(ValueError, match=message):
        network.read(path)


def test_onnx_reader_misses_the_import_of_operators_that_are_run(models: Any) -> None:
    nodes = [helper.make_node("QLinearAdd", ["x"] * 8, ["y"], domain="com.microsoft")]
    path = models.save(nodes, {"x": [1, 3]}, ["y"], {}, rank=2)
    model = onnx.load(path)
    del model.opset_import[:]
    model.opset_import.append(helper.make_opsetid("", 17))
    onnx.save(model, path)
    with pytest.raises(ValueError, match=r"No opset import for domain 'com\.microsoft'"):
        network.read(path)


def test_onnx_reader_shapes_wrong(models: Any) -> None:
    path = small(models)
    model = onnx.load(path)
    model.graph.initializer[1].CopyFrom(numpy_helper.from_array(np.ones((99, 10), np.float32), "g"))
    onnx.save(model, path)
    with pytest.raises(ValueError, match=r"\.onnx: (shapes do not fit|layer 'fourth': operands)"):
        network.read(path)


def test_onnx_reader_missing_external_data(models: Any) -> None:
    path = small(models)
    onnx.save(onnx.load(path), path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert network.read(path).layers
    (path.parent / "weights.bin").unlink()
    with pytest.raises(
        ValueError, match=r"external data is missing: 'weights\.bin' of tensor 'b', 'weights\.bin' of tensor"
    ):
        network.read(path)


@pytest.mark.parametrize(
    ("batch", "error", "message"),
    [
        (0, ValueError, "batch must be at least 1, not 0"),
        (1.5, TypeError, "batch must be an int, not float"),
        (3, ValueError, "input 'x' has a batch of 1 in the file, not 3"),
    ],
)
def test_onnx_reader_batch_wrong(models: Any, batch: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        network.read(small(models), batch=batch)


def test_onnx_reader_input_type_wrong(models: Any) -> None:
    node = helper.make_node("Identity", ["x"], ["y"])
    types = {"x": TensorProto.STRING, "y": TensorProto.STRING}
    path = models.save([node], {"x": [1, 3]}, ["y"], {}, types=types)
    with pytest.raises(ValueError, match="input 'x' must be of numbers or bools, not strings"):
        network.read(path)


def test_onnx_reader_missing_attribute(models: Any) -> None:
    constants = {"s": np.float32(1), "z": np.uint8(0)}
    node = helper.make_node("QLinearConcat", ["s", "z", "x", "s", "z"], ["y"], domain="com.microsoft", name="join")
    types = {"x": TensorProto.UINT8, "y": TensorProto.UINT8}
    path = models.save([node], {"x": [1, 3]}, ["y"], constants, types=types, rank=2)
    with pytest.raises(
        ValueError, match=r"node 'join' \(com.microsoft::QLinearConcat\) is malformed: KeyError: 'axis'"
    ):
        network.read(path)


def test_onnx_reader_element_types_wrong(models: Any) -> None:
    path = models.save(
        [helper.make_node("Add", ["x", "c"], ["y"])], {"x": [1, 3]}, ["y"], {"c": np.ones(3, np.float32)}
    )
    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.INT8
    onnx.save(model, path)
    with pytest.raises(
        ValueError, match=r"layer 'y': Add needs operands of one type, not int8 and float32|shapes do not fit"
    ):
        network.read(path)


def test_onnx_reader_zero_point_type_wrong(models: Any, qdq: Any) -> None:
    operands = [("x", None, 0.5, 1, "int8"), ("w", np.ones((4, 3), np.float32), 0.5, 0, "int8")]
    nodes, constants = qdq("MatMul", operands, (1.0, 0, "int8"))
    types = {"x": TensorProto.INT8, "y": TensorProto.INT8}
    path = models.save(nodes, {"x": [1, 4]}, ["y"], constants, types=types)
    with pytest.raises(ValueError, match=r"'dq_w' \(DequantizeLinear\)|shapes do not fit"):
        network.read(path)
