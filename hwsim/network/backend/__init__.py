# SPDX-License-Identifier: Apache-2.0
"""The ONNX backend interface: `onnx.backend.base`, so that the standard's own tests, and its users, can run hwsim.

Graphs of the converting operators (`OPERATORS`: Cast, CastLike, QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear
and what their function bodies are written in) are computed node by node, on every element type. All others are read as
by `hwsim.network.read`, and run exactly.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy.typing as npt
import onnx
from onnx import numpy_helper
from onnx.backend.base import Backend, BackendRep

from hwsim.network.array_operators import CONVERSIONS, OPERATORS
from hwsim.network.backend.reps import NetworkRep, NodesRep, as_array
from hwsim.network.element_types import element_type_of
from hwsim.network.function_bodies import with_bodies
from hwsim.network.fuse import BUILDERS
from hwsim.network.pattern import RawNode
from hwsim.network.raw_nodes import raw_nodes

__all__ = [
    "HwsimBackend",
    "NetworkRep",
    "NodesRep",
    "is_compatible",
    "prepare",
    "run_model",
    "run_node",
    "supports_device",
]

Array = npt.NDArray[Any]


class HwsimBackend(Backend):
    """hwsim as an `onnx.backend.base.Backend`."""

    @classmethod
    def is_compatible(cls, model: onnx.ModelProto, device: str = "CPU", **kwargs: Any) -> bool:
        """Tell whether `prepare` takes a model."""
        try:
            cls.prepare(model, device, **kwargs)
        except (ValueError, onnx.checker.ValidationError):
            return False
        return True

    @classmethod
    def prepare(cls, model: onnx.ModelProto, device: str = "CPU", **kwargs: Any) -> BackendRep:
        """Make a model ready to run.

        Parameters
        ----------
        model : onnx.ModelProto
            With all its data in it.
        device : str
            ``"CPU"``.
        **kwargs
            Not looked at.

        Raises
        ------
        onnx.checker.ValidationError
            If the model is not valid.
        ValueError
            If it has operators that are not run: all such nodes are listed; if the device is another.
        """
        del kwargs
        if not cls.supports_device(device):
            raise ValueError(f"device must be 'CPU', not {device!r}")
        onnx.checker.check_model(model)
        if model.functions:
            model = onnx.inliner.inline_local_functions(model)
        model = with_bodies(model)
        nodes = raw_nodes(model.graph.node, _opsets(model))
        if _converts(nodes):
            held = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
            inputs = tuple(info.name for info in model.graph.input if info.name not in held)
            return NodesRep(nodes, inputs, tuple(info.name for info in model.graph.output), held)
        _check_operators(nodes)
        return NetworkRep(model, nodes)

    @classmethod
    def run_node(
        cls,
        node: onnx.NodeProto,
        inputs: Any,
        device: str = "CPU",
        outputs_info: Sequence[tuple[Any, tuple[int, ...]]] | None = None,
        **kwargs: Any,
    ) -> tuple[Array, ...]:
        """Run one node.

        Parameters
        ----------
        node : onnx.NodeProto
        inputs : sequence of ndarray or onnx.TensorProto
            Those that its layer takes only as constants (shapes, the weights of a Conv) are that.
        device : str
            ``"CPU"``.
        outputs_info
            Not looked at: the types follow from the operator.
        **kwargs
            ``opset_version``: of the standard's operators; the newest that the installed onnx has, unless given.

        Raises
        ------
        ValueError
            As `prepare`.
        """
        del outputs_info
        opset = int(kwargs.get("opset_version", onnx.defs.onnx_opset_version()))
        names = [name for name in node.input if name]
        arrays = dict(zip(names, (as_array(value) for value in inputs), strict=True))
        graph = onnx.helper.make_graph(
            [node],
            "node",
            [
                onnx.helper.make_tensor_value_info(name, element_type_of(array).number, array.shape)
                for name, array in arrays.items()
            ],
            [onnx.helper.make_empty_tensor_value_info(name) for name in node.output if name],
        )
        imports = [onnx.helper.make_opsetid(domain, opset if domain == "" else 1) for domain in {"", node.domain}]
        model = onnx.shape_inference.infer_shapes(onnx.helper.make_model(graph, opset_imports=imports))
        return cls.prepare(model, device).run(arrays)

    @classmethod
    def supports_device(cls, device: str) -> bool:
        """Tell whether a device is the CPU."""
        return device.partition(":")[0] == "CPU"


def _opsets(model: onnx.ModelProto) -> dict[str, int]:
    """Return the version of each domain."""
    return {"" if entry.domain == "ai.onnx" else entry.domain: entry.version for entry in model.opset_import}


def _converts(nodes: Sequence[RawNode]) -> bool:
    """Tell whether all nodes are computed on arrays of any type, and at least one converts."""
    known = all(node.domain == "" and node.operator in OPERATORS for node in nodes)
    return known and any(node.operator in CONVERSIONS for node in nodes)


def _check_operators(nodes: Iterable[RawNode]) -> None:
    """Raise one error that lists every node that is not run."""
    wrong = [node.label for node in nodes if (node.domain, node.operator) not in BUILDERS]
    if wrong:
        raise ValueError(f"{len(wrong)} node(s) of operators that are not run: {', '.join(wrong)}")


is_compatible = HwsimBackend.is_compatible
prepare = HwsimBackend.prepare
run_model = HwsimBackend.run_model
run_node = HwsimBackend.run_node
supports_device = HwsimBackend.supports_device
