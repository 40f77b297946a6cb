# SPDX-License-Identifier: Apache-2.0
"""The ONNX backend interface: `onnx.backend.base`, so that the standard's own tests, and its users, can run hwsim.

Graphs of the converting operators (`OPERATORS`: Cast, CastLike, QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear
and what their function bodies are written in) are computed node by node, on every element type. All others are read as
by `hwsim.network.read`, and run exactly.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper
from onnx.backend.base import Backend, BackendRep

from hwsim.network.backend.element_types import element_type, element_type_of
from hwsim.network.backend.operators import OPERATORS
from hwsim.network.execution import run
from hwsim.network.fuse import BUILDERS
from hwsim.network.graph import Network
from hwsim.network.onnx_reader import from_model, raw_nodes
from hwsim.network.pattern import RawNode

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
Inputs = Mapping[str, Any] | Sequence[Any]


class NodesRep(BackendRep):
    """A graph of converting operators, computed node by node.

    Parameters
    ----------
    nodes : tuple of RawNode
        In topological order, each of an operator of `OPERATORS`.
    inputs, outputs : tuple of str
    constants : mapping of str to ndarray
    """

    def __init__(
        self,
        nodes: tuple[RawNode, ...],
        inputs: tuple[str, ...],
        outputs: tuple[str, ...],
        constants: Mapping[str, Array],
    ) -> None:
        self.nodes = nodes
        self.inputs = inputs
        self.outputs = outputs
        self.constants = constants

    def run(self, inputs: Inputs, **kwargs: Any) -> tuple[Array, ...]:
        """Compute the outputs, in the graph's order.

        Parameters
        ----------
        inputs : sequence or mapping by name, of ndarray or onnx.TensorProto
            Of the types that the graph says: small ones as ml_dtypes arrays.
        **kwargs
            Not looked at.

        Raises
        ------
        ValueError
            Where an input is missing, or a node cannot be computed: the message names it.
        """
        values = {**self.constants, **_bound(self.inputs, inputs)}
        for node in self.nodes:
            operands = tuple(values[name] if name else None for name in node.inputs)
            try:
                results = OPERATORS[node.operator](node, operands)
            except ValueError as error:
                raise ValueError(f"node {node.label}: {error}") from error
            values.update(zip(node.outputs, results, strict=False))
        return tuple(values[name] for name in self.outputs)


class NetworkRep(BackendRep):
    """A network of layers, run exactly.

    Parameters
    ----------
    network : Network
    """

    def __init__(self, network: Network) -> None:
        self.network = network

    def run(self, inputs: Inputs, **kwargs: Any) -> tuple[Array, ...]:
        """Compute the outputs, in the graph's order; as `NodesRep.run`."""
        given = _bound(tuple(spec.name for spec in self.network.inputs), inputs)
        results = run(self.network, {name: _held(value) for name, value in given.items()})
        return tuple(_typed(results[spec.name], spec.dtype) for spec in self.network.outputs)


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
        nodes = raw_nodes(model.graph.node, _opsets(model))
        if all(_converts(node) for node in nodes):
            held = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
            inputs = tuple(info.name for info in model.graph.input if info.name not in held)
            return NodesRep(nodes, inputs, tuple(info.name for info in model.graph.output), held)
        _check_operators(nodes)
        return NetworkRep(from_model(model))

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
            For a layer of a network (Conv, Gemm and so on) the first varies, and the others are its constants.
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
        arrays = dict(zip(names, (_array(value) for value in inputs), strict=True))
        (raw,) = raw_nodes([node], {"": opset})
        varying = names if _converts(raw) else names[:1]
        graph = onnx.helper.make_graph(
            [node],
            "node",
            [
                onnx.helper.make_tensor_value_info(name, element_type_of(arrays[name]).number, arrays[name].shape)
                for name in dict.fromkeys(varying)
            ],
            [onnx.helper.make_empty_tensor_value_info(name) for name in node.output if name],
            [numpy_helper.from_array(arrays[name], name) for name in dict.fromkeys(names) if name not in varying],
        )
        imports = [onnx.helper.make_opsetid(domain, opset if domain == "" else 1) for domain in {"", node.domain}]
        model = onnx.shape_inference.infer_shapes(onnx.helper.make_model(graph, opset_imports=imports))
        rep = cls.prepare(model, device)
        return rep.run({name: arrays[name] for name in varying})

    @classmethod
    def supports_device(cls, device: str) -> bool:
        """Tell whether a device is the CPU."""
        return device.partition(":")[0] == "CPU"


def _opsets(model: onnx.ModelProto) -> dict[str, int]:
    """Return the version of each domain."""
    return {"" if entry.domain == "ai.onnx" else entry.domain: entry.version for entry in model.opset_import}


def _converts(node: RawNode) -> bool:
    """Tell whether a node is of an operator that is computed on arrays of any type."""
    return node.domain == "" and node.operator in OPERATORS


def _check_operators(nodes: Iterable[RawNode]) -> None:
    """Raise one error that lists every node that neither way runs."""
    wrong = [node.label for node in nodes if not _converts(node) and (node.domain, node.operator) not in BUILDERS]
    if wrong:
        raise ValueError(f"{len(wrong)} node(s) of operators that are not run: {', '.join(wrong)}")


def _array(value: Any) -> Array:
    """Return an input as an array."""
    return np.asarray(numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value)


def _bound(names: tuple[str, ...], inputs: Inputs) -> dict[str, Array]:
    """Give each input its array, or raise."""
    if isinstance(inputs, Mapping):
        given = dict(inputs)
    elif len(inputs) == len(names):
        given = dict(zip(names, inputs, strict=True))
    else:
        raise ValueError(f"the graph has {len(names)} input(s) {', '.join(names)}, not {len(inputs)}")
    if set(given) != set(names):
        raise ValueError(f"inputs must be {', '.join(names)}, not {', '.join(given)}")
    return {name: _array(value) for name, value in given.items()}


def _held(array: Array) -> Array:
    """Return an array as the layers hold it: integers of less than a byte in bytes."""
    kind = element_type_of(array)
    narrow = kind.is_integer and kind.spec is not None and kind.spec.bits < 8
    return kind.integers(array).astype(np.int8 if kind.name.startswith("INT") else np.uint8) if narrow else array


def _typed(array: Array, dtype: str) -> Array:
    """Return an array that the layers hold as onnx has it."""
    kind = element_type(onnx.TensorProto.DataType.Value("FLOAT" if dtype == "float32" else dtype.upper()))
    if array.dtype == kind.dtype or kind.spec is None:
        return array
    codes = array.view(np.uint8) & np.uint8((1 << kind.spec.bits) - 1)
    return kind.array(codes)


is_compatible = HwsimBackend.is_compatible
prepare = HwsimBackend.prepare
run_model = HwsimBackend.run_model
run_node = HwsimBackend.run_node
supports_device = HwsimBackend.supports_device
