# SPDX-License-Identifier: Apache-2.0
"""Float operators: portions of a batch, transformers as they are exported, what is computed beforehand, and errors."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from hwsim import network
from hwsim.network.fuse import BUILDERS
from hwsim.network.layers.functions import FUNCTIONS
from hwsim.network.onnx_reader import from_model

Array = npt.NDArray[Any]
LONG = np.int64


def reference(model: onnx.ModelProto, inputs: dict[str, Array]) -> list[Array]:
    """Return what onnx's reference computes."""
    return [np.asarray(value) for value in ReferenceEvaluator(model).run(None, inputs)]


def model_of(
    nodes: list[onnx.NodeProto],
    inputs: dict[str, tuple[int, ...]],
    constants: dict[str, Any],
    outputs: dict[str, int],
    types: Mapping[str, int] | None = None,
) -> onnx.ModelProto:
    """Make a model of opset 22; outputs are given by their number of axes."""
    known = types or {}
    graph = helper.make_graph(
        nodes,
        "operators",
        [helper.make_tensor_value_info(n, known.get(n, TensorProto.FLOAT), s) for n, s in inputs.items()],
        [
            helper.make_tensor_value_info(n, known.get(n, TensorProto.FLOAT), [f"{n}{axis}" for axis in range(rank)])
            for n, rank in outputs.items()
        ],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)


# operator, constants after x, attributes, number of axes of the result, whether any number of images goes through
IMAGES: list[tuple[str, list[Any], dict[str, Any], int, bool]] = [
    ("Sigmoid", [], {}, 4, True),
    ("Mul", [np.ones((4, 1, 1), np.float32)], {}, 4, True),
    ("Mul", [np.ones((3, 4, 1, 1), np.float32)], {}, 4, False),
    ("Sub", [np.ones((1, 4, 6, 6), np.float32)], {}, 4, True),
    ("Slice", [np.array([1]), np.array([3]), np.array([1])], {}, 4, True),
    ("Slice", [np.array([1]), np.array([3]), np.array([0])], {}, 4, False),
    ("Gather", [np.array([2, 0])], {"axis": 1}, 4, True),
    ("Gather", [np.array([2, 0])], {"axis": 0}, 4, False),
    ("Pad", [np.array([0, 0, 1, 1, 0, 0, 1, 1])], {}, 4, True),
    ("Pad", [np.array([1, 0, 0, 0, 0, 0, 0, 0])], {}, 4, False),
    ("Tile", [np.array([1, 2, 1, 1])], {}, 4, True),
    ("Tile", [np.array([2, 1, 1, 1])], {}, 4, False),
    ("Expand", [np.array([4, 6, 6])], {}, 4, True),
    ("Expand", [np.array([1, 4, 6, 6])], {}, 4, True),
    ("Expand", [np.array([2, 3, 4, 6, 6])], {}, 5, False),
    ("ReduceMean", [np.array([2, 3])], {"keepdims": 0}, 2, True),
    ("ReduceMean", [np.array([0])], {}, 4, False),
    ("ArgMax", [], {"axis": 1}, 4, True),
    ("CumSum", [np.array(2)], {}, 4, True),
    ("CumSum", [np.array(0)], {}, 4, False),
    ("DepthToSpace", [], {"blocksize": 2}, 4, True),
    ("Trilu", [], {}, 4, True),
    ("Resize", [np.array([], np.float32), np.array([1, 1, 2, 2], np.float32)], {"mode": "cubic"}, 4, True),
    ("InstanceNormalization", [np.ones(4, np.float32), np.ones(4, np.float32)], {}, 4, True),
    ("LpNormalization", [], {"axis": 1}, 4, True),
    ("LRN", [], {"size": 3}, 4, True),
    ("Hardmax", [], {"axis": 1}, 4, True),
    ("TopK", [np.array([2])], {"axis": 1}, 4, True),
    ("TopK", [np.array([2])], {"axis": 0}, 4, False),
    ("Transpose", [], {"perm": [0, 2, 3, 1]}, 4, True),
    ("Transpose", [], {"perm": [1, 0, 2, 3]}, 4, False),
    ("ConvTranspose", [np.ones((4, 2, 3, 3), np.float32)], {"strides": [2, 2]}, 4, True),
    ("LpPool", [], {"kernel_shape": [2, 2]}, 4, True),
    ("Einsum", [np.ones((4, 5), np.float32)], {"equation": "bchw,cd->bdhw"}, 4, True),
    ("Cast", [], {"to": TensorProto.FLOAT16}, 4, True),
]


@pytest.mark.parametrize(("operator", "plain", "attributes", "rank", "batchable"), IMAGES)
def test_operators_keep_images_apart(
    models: Any,
    rng: np.random.Generator,
    operator: str,
    plain: list[Any],
    attributes: dict[str, Any],
    rank: int,
    batchable: bool,
) -> None:
    constants = {f"c{index}": value for index, value in enumerate(plain)}
    outputs = ["y", "i"] if operator == "TopK" else ["y"]
    node = helper.make_node(operator, ["x", *constants], outputs, **attributes)
    types = {"i": TensorProto.INT64}
    if operator == "ArgMax":
        types["y"] = TensorProto.INT64
    if operator == "Cast":
        types["y"] = TensorProto.FLOAT16
    model = model_of([node], {"x": (3, 4, 6, 6)}, constants, dict.fromkeys(outputs, rank), types)
    net = from_model(model)
    x = rng.standard_normal((3, 4, 6, 6)).astype(np.float32)
    # onnx 1.23's reference of LRN takes the number of images for that of channels
    expected = list(models.oracle(model, {"x": x}).values()) if operator == "LRN" else reference(model, {"x": x})
    got = network.run(net, {"x": x})
    for name, value in zip(outputs, expected, strict=True):
        assert got[name].dtype == value.dtype
        np.testing.assert_allclose(got[name], value, rtol=1e-5, atol=1e-6)
    assert net.batchable == batchable
    if not batchable:
        with pytest.raises(ValueError, match="axis 0 must be a positive multiple of the batch 3"):
            network.run(net, {"x": x[:2]})
        return
    many = rng.standard_normal((70, 4, 6, 6)).astype(np.float32)
    whole = network.run(net, {"x": many})
    for image in (0, 31, 32, 69):
        one = network.run(net, {"x": many[image : image + 1]})
        for name in outputs:
            if operator in ("ConvTranspose", "Einsum"):  # float32 sums, in an order that is the matrix library's
                np.testing.assert_allclose(whole[name][image : image + 1], one[name], rtol=1e-5, atol=1e-5)
            else:
                np.testing.assert_array_equal(whole[name][image : image + 1], one[name])


EXACT: dict[str, Callable[[Array], Any]] = {
    "Abs": np.abs, "Neg": np.negative, "Sqrt": np.sqrt, "Floor": np.floor, "Ceil": np.ceil, "Round": np.rint,
    "Sign": np.sign, "Reciprocal": np.reciprocal, "Relu": lambda x: np.maximum(x, np.float32(0)),
    "LeakyRelu": lambda x: np.where(x < 0, x * np.float32(0.01), x),
}  # fmt: skip
ROUNDED: dict[str, Callable[[Array], Any]] = {
    "Exp": np.exp, "Log": np.log, "Tanh": np.tanh, "Sin": np.sin, "Cos": np.cos,
    "Sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "Softplus": lambda x: np.log1p(np.exp(x)), "Mish": lambda x: x * np.tanh(np.log1p(np.exp(x))),
    "Elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))), "Swish": lambda x: x / (1 + np.exp(-x)),
}  # fmt: skip


def one(operator: str, x: Array) -> Array:
    model = model_of([helper.make_node(operator, ["x"], ["y"])], {"x": x.shape}, {}, {"y": 1})
    if operator == "Swish":
        model.opset_import[0].version = 24
    return network.run(from_model(model), {"x": x})["y"]


@pytest.mark.parametrize("operator", list(EXACT))
def test_operators_that_ieee_754_defines_are_rounded_once(rng: np.random.Generator, operator: str) -> None:
    x = (rng.standard_normal(4096) * 3).astype(np.float32)
    x = np.abs(x) if operator == "Sqrt" else x
    np.testing.assert_array_equal(one(operator, x), np.asarray(EXACT[operator](x), np.float32))


@pytest.mark.parametrize("operator", list(ROUNDED))
def test_operators_that_are_curves_are_rounded_from_float64(rng: np.random.Generator, operator: str) -> None:
    x = (rng.standard_normal(4096) * 3).astype(np.float32)
    x = np.abs(x) + np.float32(1e-3) if operator == "Log" else x
    expected = np.asarray(ROUNDED[operator](x.astype(np.float64)), np.float32)
    # Two formulas of float64 may straddle the midpoint of two float32 numbers: seldom, and then by one place.
    apart = np.abs(one(operator, x).view(np.int32).astype(LONG) - expected.view(np.int32))
    assert apart.max() <= 1
    assert np.count_nonzero(apart) <= 2


def test_operators_of_functions_are_all_built() -> None:
    assert all(("", name) in BUILDERS for name in FUNCTIONS)


def encoder(rng: np.random.Generator) -> onnx.ModelProto:
    """Return a transformer encoder in the form exporters write: shapes computed by the graph, constants by nodes."""
    width, heads, hidden = 16, 4, 32

    def weight(*shape: int) -> Array:
        return (rng.standard_normal(shape) / 4).astype(np.float32)

    constants: dict[str, Any] = {
        "table": weight(50, width), "wqkv": weight(width, 3 * width), "bqkv": weight(3 * width),
        "wo": weight(width, width), "g1": weight(width), "b1": weight(width), "w1": weight(width, hidden),
        "w2": weight(hidden, width), "zero": LONG(0), "one": LONG(1),
        "heads": np.array([heads]),
        "each": np.array([width // heads]), "all": np.array([-1]), "axes": np.array([0]),
        "thirds": np.array([width] * 3),
        "root": np.float32(2.0), "eps": np.float32(1e-5), "pow": np.float32(2), "last": np.array([-1]),
    }  # fmt: skip
    make = helper.make_node
    nodes = [
        make("Gather", ["table", "ids"], ["x"]),
        make("Shape", ["x"], ["shape"]),
        make("Gather", ["shape", "zero"], ["batch0"]),
        make("Gather", ["shape", "one"], ["length0"]),
        make("Unsqueeze", ["batch0", "axes"], ["batch"]),
        make("Unsqueeze", ["length0", "axes"], ["length"]),
        make("Concat", ["batch", "length", "heads", "each"], ["split_shape"], axis=0),
        make("Concat", ["batch", "length", "all"], ["join_shape"], axis=0),
        make("MatMul", ["x", "wqkv"], ["qkv0"]),
        make("Add", ["bqkv", "qkv0"], ["qkv"]),
        make("Split", ["qkv", "thirds"], ["q0", "k0", "v0"], axis=-1),
    ]
    for name, order in (("q", [0, 2, 1, 3]), ("k", [0, 2, 3, 1]), ("v", [0, 2, 1, 3])):
        nodes.append(make("Reshape", [f"{name}0", "split_shape"], [f"{name}1"]))
        nodes.append(make("Transpose", [f"{name}1"], [name], perm=order))
    nodes += [
        make("MatMul", ["q", "k"], ["scores0"]),
        make("Cast", ["each"], ["each_float"], to=TensorProto.FLOAT),
        make("Sqrt", ["each_float"], ["scale"]),
        make("Div", ["scores0", "scale"], ["scores"]),
        make("Softmax", ["scores"], ["weights"], axis=-1),
        make("MatMul", ["weights", "v"], ["mixed0"]),
        make("Transpose", ["mixed0"], ["mixed1"], perm=[0, 2, 1, 3]),
        make("Reshape", ["mixed1", "join_shape"], ["mixed"]),
        make("MatMul", ["mixed", "wo"], ["o"]),
        make("Add", ["x", "o"], ["r"]),
        make("LayerNormalization", ["r", "g1", "b1"], ["n"], axis=-1),
        make("MatMul", ["n", "w1"], ["h"]),
        make("Gelu", ["h"], ["a"]),
        make("MatMul", ["a", "w2"], ["f"]),
        make("Add", ["f", "n"], ["y"]),
    ]
    return model_of(nodes, {"ids": (1, 7)}, constants, {"y": 3}, {"ids": TensorProto.INT64})


def test_operators_of_an_exported_transformer(rng: np.random.Generator) -> None:
    model = encoder(rng)
    net = from_model(model)
    kinds = [layer.kind for layer in net.layers]
    assert kinds.count("gemm") == 6
    assert not {"cast", "sort"} & set(kinds)  # shapes and scales are constants
    ids = rng.integers(0, 50, (1, 7))
    expected = reference(model, {"ids": ids})[0]
    np.testing.assert_allclose(network.run(net, {"ids": ids})["y"], expected, rtol=1e-4, atol=1e-5)
    assert net.batchable  # a Reshape to a computed shape leaves axis 0 as it is
    many = rng.integers(0, 50, (3, 7))
    got = network.run(net, {"ids": many})["y"]
    for image in range(3):
        one_image = network.run(net, {"ids": many[image : image + 1]})["y"]
        np.testing.assert_allclose(got[image : image + 1], one_image, rtol=1e-5, atol=1e-6)


def test_operators_of_a_torch_transformer(tmp_path: Any, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    layer = torch.nn.TransformerEncoderLayer(16, 4, 32, activation="gelu", batch_first=True, dropout=0.0)
    module = torch.nn.TransformerEncoder(layer, 1, enable_nested_tensor=False).eval()
    x = rng.standard_normal((2, 5, 16)).astype(np.float32)
    path = tmp_path / "layer.onnx"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                module, (torch.from_numpy(x),), str(path), dynamo=False, opset_version=17, input_names=["x"],
                output_names=["y"], do_constant_folding=False,
            )  # fmt: skip
    except (TypeError, ImportError, RuntimeError) as error:
        pytest.skip(f"this torch has no exporter of its own: {error}")
    net = network.read(path)
    with torch.no_grad():
        expected = module(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(network.run(net, {"x": x})["y"], expected, rtol=1e-4, atol=1e-5)


def test_operators_with_a_function_body_are_run_as_that(rng: np.random.Generator) -> None:
    node = helper.make_node("MeanVarianceNormalization", ["x"], ["y"])  # its axes are a default of the schema
    net = from_model(model_of([node], {"x": (2, 3, 4, 5)}, {}, {"y": 4}))
    assert len(net.layers) > 3
    x = rng.standard_normal((2, 3, 4, 5)).astype(np.float32)
    mean, deviation = x.mean((0, 2, 3), keepdims=True), x.std((0, 2, 3), keepdims=True)
    np.testing.assert_allclose(network.run(net, {"x": x})["y"], (x - mean) / deviation, rtol=1e-4, atol=1e-5)


SIZES = [
    ("Expand", {"s": np.array([2**40, 1])}, "too large|larger than"),
    ("Tile", {"s": np.array([2**40])}, "too large"),
    ("Pad", {"s": np.array([0, 2**40])}, "too large"),
    ("Resize", {"": None, "s": np.array([1e6], np.float32)}, "too large"),
]


@pytest.mark.parametrize(("operator", "constants", "message"), SIZES)
def test_operators_check_sizes_first(operator: str, constants: dict[str, Any], message: str) -> None:
    given = {name: value for name, value in constants.items() if name}
    node = helper.make_node(operator, ["x", *constants], ["y"], name="node")
    with pytest.raises(ValueError, match=message):
        from_model(model_of([node], {"x": (4096,)}, given, {"y": 1}))


@pytest.mark.parametrize(
    ("operator", "values", "message"),
    [
        ("ConstantOfShape", [np.array([2**20, 2**20])], "must have 0 to 33554432 elements"),
        ("Range", [LONG(0), LONG(2**40), LONG(1)], "must have 0 to 33554432 elements"),
        ("Range", [LONG(0), LONG(9), LONG(0)], "has no end"),
        ("Expand", [np.ones(1, np.float32), np.array([2**30])], "larger than 33554432 elements"),
    ],
)
def test_operators_computed_beforehand_check_sizes_first(operator: str, values: list[Any], message: str) -> None:
    constants = {f"c{index}": value for index, value in enumerate(values)}
    nodes = [
        helper.make_node(operator, list(constants), ["big"], name="node"),
        helper.make_node("Shape", ["big"], ["shape"]),
        helper.make_node("Reshape", ["x", "shape"], ["y"]),
    ]
    with pytest.raises(ValueError, match=rf"constant node 'node' \({operator}\) cannot be computed: .*{message}"):
        from_model(model_of(nodes, {"x": (1,)}, constants, {"y": 2}))


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (helper.make_node("Slice", ["x", "a", "a", "a", "z"], ["y"], name="n"), "no step 0"),
        (helper.make_node("Gather", ["x", "a"], ["y"], name="n", axis=5), "axis 5 is not one of 2"),
        (helper.make_node("DepthToSpace", ["x"], ["y"], name="n", blocksize=2), "must have 4 axes"),
        (helper.make_node("TopK", ["x", "big"], ["y", "i"], name="n"), "k must be 0 to 3, not 99"),
        (helper.make_node("Einsum", ["x"], ["y"], name="n", equation="ijk->i"), "does not label 2 axes"),
        (helper.make_node("Pad", ["x", "a"], ["y"], name="n"), "2 axes"),
        (helper.make_node("Split", ["x"], ["y"], name="n"), "malformed|parts|not a valid|num_outputs"),
        (helper.make_node("Resize", ["x"], ["y"], name="n", mode="fine"), "mode 'fine'"),
        (helper.make_node("Erf", ["ids"], ["y"], name="n"), "Erf needs floats, not int64"),
    ],
)
def test_operators_wrong(node: onnx.NodeProto, message: str) -> None:
    constants = {"a": np.array([1]), "z": np.array([0]), "big": np.array([99])}
    types = {"ids": TensorProto.INT64}
    model = model_of([node], {"x": (2, 3), "ids": (2,)}, constants, {"y": 1}, types)
    if node.op_type == "Split":
        node.attribute.append(helper.make_attribute("num_outputs", 3))
        model = model_of([node], {"x": (2, 3), "ids": (2,)}, constants, {"y": 1}, types)
    with pytest.raises(ValueError, match=message):
        from_model(model)


def test_operators_read_for_their_shape_alone_are_no_layers() -> None:
    nodes = [
        helper.make_node("Exp", ["x"], ["e"]),
        helper.make_node("Shape", ["e"], ["shape"]),
        helper.make_node("Expand", ["c", "shape"], ["ones"]),
        helper.make_node("Add", ["x", "ones"], ["y"]),
    ]
    net = from_model(model_of(nodes, {"x": (2, 3)}, {"c": np.float32(1)}, {"y": 2}))
    assert [layer.operator for layer in net.layers] == ["Add"]
    assert set(net.tensors) == {"x", "y"}


def test_operators_index_out_of_range_is_an_error_of_the_run() -> None:
    node = helper.make_node("Gather", ["table", "ids"], ["y"], name="embedding")
    net = from_model(
        model_of([node], {"ids": (1, 2)}, {"table": np.eye(3, dtype=np.float32)}, {"y": 3}, {"ids": TensorProto.INT64})
    )
    with pytest.raises(ValueError, match=r"layer 'embedding': index 3 is out of range for sizes 3"):
        network.run(net, {"ids": np.array([[0, 3]])})
