# SPDX-License-Identifier: Apache-2.0
"""The ONNX backend interface: the onnx package's own node tests, by its own runner and bit for bit; and every error."""

import re
import unittest
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx.backend.base
import pytest
from onnx import TensorProto, helper, numpy_helper

from hwsim import network
from hwsim.network import backend
from hwsim.network.array_operators import CONVERSIONS, OPERATORS
from hwsim.network.backend.node_tests import WRONG_UPSTREAM, NodeTest, Outcome, reason, run_node_tests

Array = npt.NDArray[Any]

NEWEST = tuple(int(part) for part in onnx.__version__.split(".")[:2]) >= (1, 23)


@pytest.fixture(scope="module")
def results() -> list[NodeTest]:
    return list(run_node_tests())


def test_backend_passes_the_node_tests_of_the_standard(results: list[NodeTest]) -> None:
    claimed = [result for result in results if result.outcome is not Outcome.OTHER]
    failed = [result for result in claimed if not result.passed and reason(result.name) is None]
    assert failed == []
    assert len([result for result in claimed if result.passed]) >= (1652 if NEWEST else 900)
    assert len([result for result in claimed if result.outcome is Outcome.BITS]) >= (1100 if NEWEST else 600)


def test_backend_fails_where_it_says_that_it_does(results: list[NodeTest]) -> None:
    claimed = {result.name: result for result in results if result.outcome is not Outcome.OTHER}
    known = [result for name, result in claimed.items() if reason(name) is not None]
    assert [result for result in known if result.passed] == []
    refused = [result.message for result in known if result.outcome is Outcome.REFUSED]
    assert all("training mode" in text or "strings" in text or "float64" in text for text in refused)
    assert len(known) == 23 or not NEWEST


def test_backend_converts_bit_for_bit(results: list[NodeTest]) -> None:
    own = [result for result in results if result.converts]
    assert [result for result in own if result.outcome is not Outcome.BITS] == []
    assert len(own) >= (205 if NEWEST else 100)
    assert sum(result.elements for result in own) >= (2843 if NEWEST else 1000)


def test_backend_node_tests_wrong_upstream_are_still_wrong(results: list[NodeTest]) -> None:
    # One element each, NaN to FLOAT4E2M1: the case has -0, onnx.ai/onnx/technical/float4.html has 6.
    differs = {result.name: result.upstream for result in results if result.upstream}
    present = {result.name for result in results} & set(WRONG_UPSTREAM)
    assert differs == dict.fromkeys(present, 1)
    assert len(present) == 6 or not NEWEST


def test_backend_node_tests_left_out_need_other_operators(results: list[NodeTest]) -> None:
    left_out = [result for result in results if result.outcome is Outcome.OTHER]
    assert left_out
    for result in left_out:
        assert re.search(r"\d+ node\(s\) of operators that are not run: '", result.message), result


def test_backend_passes_onnx_own_runner() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test import BackendTest

        tests = BackendTest(backend.HwsimBackend, __name__)
    operators = (*CONVERSIONS, "Conv", "Gemm", "LSTM", "GRU", "Resize", "ReduceSum", "Attention_4d_gqa", "Softmax")
    tests.include(f"^test_({'|'.join(name.lower() for name in operators)})_.*_?cpu$")
    tests.exclude(f"^({'|'.join(WRONG_UPSTREAM)})_cpu$")
    outcome = unittest.TestResult()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tests.test_suite.run(outcome)
    assert outcome.failures == []
    assert outcome.errors == []
    assert outcome.testsRun - len(outcome.skipped) >= (250 if NEWEST else 100)


def one_node(node: onnx.NodeProto, inputs: dict[str, int], output: int, rank: int = 1) -> onnx.ModelProto:
    graph = helper.make_graph(
        [node],
        "one",
        [helper.make_tensor_value_info(name, kind, ["n"] * rank) for name, kind in inputs.items()],
        [helper.make_tensor_value_info(node.output[0], output, ["m"] * rank)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def test_backend_lists_every_node_it_does_not_run(models: Any) -> None:
    nodes = [
        helper.make_node("Cast", ["x"], ["a"], name="first", to=TensorProto.FLOAT16),
        helper.make_node("Det", ["a"], ["b"], name="second"),
        helper.make_node("Unique", ["b"], ["y"], name="third"),
    ]
    path = models.save(nodes, {"x": [2, 3]}, ["y"], {}, types={"y": TensorProto.FLOAT16}, rank=1)
    model = onnx.load(path)
    message = r"2 node\(s\) of operators that are not run: 'second' \(Det\), 'third' \(Unique\)"
    with pytest.raises(ValueError, match=message):
        backend.prepare(model)
    assert not backend.is_compatible(model)
    with pytest.raises(ValueError, match=r"1 node\(s\) of operators that are not run: 'y' \(Det\)"):
        backend.run_node(helper.make_node("Det", ["x"], ["y"]), [np.zeros((3, 3), np.float32)])


def test_backend_runs_networks_of_layers(models: Any, rng: np.random.Generator) -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("Flatten", ["r"], ["y"]),
    ]
    w = rng.integers(-4, 5, (4, 3, 3, 3)).astype(np.float32)
    path = models.save(nodes, {"x": (2, 3, 8, 8)}, ["y"], {"w": w})
    model = onnx.load(path)
    x = rng.integers(-5, 5, (2, 3, 8, 8)).astype(np.float32)
    expected = network.run(network.read(path), {"x": x})["y"]
    assert backend.is_compatible(model)
    for (got,) in (backend.run_model(model, [x]), backend.prepare(model).run({"x": numpy_helper.from_array(x)})):
        np.testing.assert_array_equal(got, expected)
    (got,) = backend.run_node(nodes[0], [x, w])
    np.testing.assert_array_equal(got, models.oracle(path, {"x": x}, ["c"])["c"])


def test_backend_gives_narrow_integers_of_layers_as_onnx_has_them() -> None:
    node = helper.make_node("Transpose", ["x"], ["y"])
    x = np.arange(-8, 8).reshape(4, 4).astype(helper.tensor_dtype_to_np_dtype(TensorProto.INT4))
    model = one_node(node, {"x": TensorProto.INT4}, TensorProto.INT4, 2)
    for dim in (*model.graph.input[0].type.tensor_type.shape.dim, *model.graph.output[0].type.tensor_type.shape.dim):
        dim.dim_value = 4
    (y,) = backend.run_model(model, [x])
    assert y.dtype == x.dtype
    np.testing.assert_array_equal(y.astype(np.int8), x.T.astype(np.int8))


def test_backend_runs_a_node() -> None:
    node = helper.make_node("QuantizeLinear", ["x", "s"], ["y"], output_dtype=TensorProto.FLOAT8E5M2)
    x = np.array([1.0, 3.3, 1e9], np.float32)
    (y,) = backend.run_node(node, [x, numpy_helper.from_array(np.asarray(0.5, np.float32))], opset_version=21)
    assert y.view(np.uint8).tolist() == [0x40, 0x47, 0x7B]  # 2, 7 (of 6 and 7 the nearer to 6.6), 57344
    (y,) = backend.run_node(helper.make_node("Cast", ["x"], ["y"], to=TensorProto.INT64), [x[:2]])
    assert y.tolist() == [1, 3]


def test_backend_device_wrong() -> None:
    assert backend.supports_device("CPU")
    assert backend.supports_device("CPU:0")
    assert not backend.supports_device("CUDA")
    model = one_node(helper.make_node("Identity", ["x"], ["y"]), {"x": TensorProto.FLOAT}, TensorProto.FLOAT)
    with pytest.raises(ValueError, match="device must be 'CPU', not 'CUDA'"):
        backend.prepare(model, "CUDA")


def test_backend_inputs_wrong() -> None:
    node = helper.make_node("CastLike", ["x", "like"], ["y"])
    model = one_node(node, {"x": TensorProto.FLOAT, "like": TensorProto.INT8}, TensorProto.INT8)
    rep = backend.prepare(model)
    x = np.zeros(3, np.float32)
    with pytest.raises(ValueError, match=r"the graph has 2 input\(s\) x, like, not 1"):
        rep.run([x])
    with pytest.raises(ValueError, match="inputs must be x, like, not x, other"):
        rep.run({"x": x, "other": x})


def test_backend_names_the_node_that_cannot_be_computed() -> None:
    model = one_node(
        helper.make_node("Cast", ["x"], ["y"], name="narrow", to=TensorProto.INT8),
        {"x": TensorProto.FLOAT},
        TensorProto.INT8,
    )
    message = r"node 'narrow' \(Cast\): the standard gives nan no value as INT8"
    with pytest.raises(ValueError, match=message):
        backend.run_model(model, [np.array([1, np.nan], np.float32)])
    model = one_node(helper.make_node("Erf", ["x"], ["y"]), {"x": TensorProto.INT32}, TensorProto.INT32)
    with pytest.raises(ValueError, match=r"layer 'y': Erf needs floats, not int32"):
        backend.run_model(model, [np.zeros(3, np.int32)])


def test_backend_refuses_an_invalid_model() -> None:
    node = helper.make_node("Cast", ["absent"], ["y"], to=TensorProto.INT8)
    with pytest.raises(onnx.checker.ValidationError):
        backend.prepare(one_node(node, {"x": TensorProto.FLOAT}, TensorProto.INT8))


def test_backend_is_what_onnx_calls_one() -> None:
    assert issubclass(backend.HwsimBackend, onnx.backend.base.Backend)
    assert set(CONVERSIONS) < set(OPERATORS)
    model = one_node(helper.make_node("Identity", ["x"], ["y"]), {"x": TensorProto.FLOAT}, TensorProto.FLOAT)
    assert isinstance(backend.prepare(model), onnx.backend.base.BackendRep)
