# SPDX-License-Identifier: Apache-2.0
"""Small ONNX models, and ONNX Runtime without optimizations as the outside oracle."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from hwsim import network

Array = npt.NDArray[Any]


class Models:
    """Builds models, saves them, runs them on both sides."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = 0

    def save(
        self,
        nodes: Sequence[onnx.NodeProto],
        inputs: Mapping[str, Sequence[int | str]],
        outputs: Sequence[str],
        constants: Mapping[str, Array],
        *,
        opset: int = 13,
        types: Mapping[str, int] | None = None,
        rank: int = 0,
        ir_version: int = 8,
    ) -> Path:
        """Write a model; float32 unless `types` says otherwise; `rank` of outputs whose shape onnx cannot infer."""
        known = types or {}
        graph = helper.make_graph(
            list(nodes),
            "small",
            [helper.make_tensor_value_info(n, known.get(n, TensorProto.FLOAT), list(s)) for n, s in inputs.items()],
            [helper.make_tensor_value_info(n, known.get(n, TensorProto.FLOAT), None) for n in outputs],
            [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
        )
        imports = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
        model = helper.make_model(graph, opset_imports=imports, ir_version=ir_version)
        model = onnx.shape_inference.infer_shapes(model)
        for output in model.graph.output:
            if not output.type.tensor_type.HasField("shape"):
                output.CopyFrom(
                    helper.make_tensor_value_info(
                        output.name, known.get(output.name, TensorProto.FLOAT), [f"d{i}" for i in range(rank)]
                    )
                )
        path = self.folder / f"model_{self.count}.onnx"
        self.count += 1
        onnx.save(model, path)
        return path

    @staticmethod
    def oracle(
        model: Path | onnx.ModelProto, inputs: Mapping[str, Array], extra: Sequence[str] = ()
    ) -> dict[str, Array]:
        """Run ONNX Runtime, optimizations off; `extra` names tensors inside the graph to return as well."""
        proto = onnx.load(model) if isinstance(model, Path) else model
        present = {output.name for output in proto.graph.output}
        proto.graph.output.extend(onnx.ValueInfoProto(name=name) for name in extra if name not in present)
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(names, dict(inputs)), strict=True))

    def assert_same(self, path: Path, inputs: Mapping[str, Array]) -> network.Network:
        """Run both sides and compare every output bit for bit."""
        net = network.read(path)
        ours = network.run(net, inputs)
        theirs = self.oracle(path, inputs)
        compared = 0
        for name, expected in theirs.items():
            assert ours[name].dtype == expected.dtype
            np.testing.assert_array_equal(ours[name], expected)
            spec = next(spec for spec in net.outputs if spec.name == name)
            assert (spec.shape[1:], spec.dtype) == (expected.shape[1:], expected.dtype.name)
            compared += expected.size
        assert compared > 0
        return net


@pytest.fixture
def models(tmp_path: Path) -> Models:
    """Return a builder of small models."""
    return Models(tmp_path)


@pytest.fixture
def rng() -> np.random.Generator:
    """Return a generator with a fixed seed."""
    return np.random.default_rng(20240229)


Qdq = Callable[..., tuple[list[onnx.NodeProto], dict[str, Array]]]


@pytest.fixture
def qdq() -> Qdq:
    """Return a builder of QDQ graphs around one float operator."""
    return _qdq


def _qdq(
    operator: str,
    operands: Sequence[tuple[str, Array | None, float | Array, int | Array, str]],
    output: tuple[float, int, str] | None,
    *,
    activation: str | None = None,
    scale_axis: int = 0,
    **attributes: Any,
) -> tuple[list[onnx.NodeProto], dict[str, Array]]:
    """Dequantize each operand (name, constant codes, scale, zero point, type), apply the operator, quantize to `y`."""
    nodes: list[onnx.NodeProto] = []
    constants: dict[str, Array] = {}
    for name, codes, scale, zero_point, dtype in operands:
        if codes is not None:
            constants[name] = codes
        constants[f"{name}_scale"] = np.asarray(scale, np.float32)
        constants[f"{name}_zero"] = np.broadcast_to(np.asarray(zero_point, dtype), np.shape(scale))
        along: dict[str, Any] = {"axis": scale_axis} if np.ndim(scale) else {}
        source = [name, f"{name}_scale", f"{name}_zero"]
        nodes.append(helper.make_node("DequantizeLinear", source, [f"{name}_float"], name=f"dq_{name}", **along))
    names = [f"{operand[0]}_float" for operand in operands]
    if output is None:
        nodes.append(helper.make_node(operator, names, ["y"], name="operator", **attributes))
        return nodes, constants
    nodes.append(helper.make_node(operator, names, ["y_float"], name="operator", **attributes))
    last = "y_float"
    if activation is not None:
        extra = []
        if activation == "Clip":
            constants["clip_low"], constants["clip_high"] = np.asarray(0, np.float32), np.asarray(6, np.float32)
            extra = ["clip_low", "clip_high"]
        nodes.append(helper.make_node(activation, [last, *extra], ["y_active"], name="activation"))
        last = "y_active"
    constants["y_scale"] = np.asarray(output[0], np.float32)
    constants["y_zero"] = np.asarray(output[1], output[2])
    nodes.append(helper.make_node("QuantizeLinear", [last, "y_scale", "y_zero"], ["y"], name="q_y"))
    return nodes, constants
