# SPDX-License-Identifier: Apache-2.0
"""A float ONNX graph that is being changed: nodes, constants, who makes and who reads a tensor."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from hwsim.network import Network
from hwsim.network.folding import alive, fold
from hwsim.network.onnx_reader import from_model, load

__all__ = [
    "FloatGraph",
    "attribute",
    "opened",
]

Array = npt.NDArray[Any]

_QUANTIZED = frozenset(
    [
        "QuantizeLinear",
        "DequantizeLinear",
        "DynamicQuantizeLinear",
        "QLinearConv",
        "QLinearMatMul",
        "ConvInteger",
        "MatMulInteger",
        "QGemm",
        "QLinearAdd",
        "MatMulNBits",
        "Quant",
        "IntQuant",
        "BipolarQuant",
        "FloatQuant",
        "Trunc",
        "MultiThreshold",
    ]
)
_MINIMUM_OPSET = 13  # scales along an axis: QuantizeLinear-13


def opened(model: str | os.PathLike[str] | onnx.ModelProto) -> onnx.ModelProto:
    """Return a model of our own: from a file, or a copy of one in memory; errors as `hwsim.network.read`."""
    if isinstance(model, onnx.ModelProto):
        own = onnx.ModelProto()
        own.CopyFrom(model)
        return own
    own, mapped = load(Path(model))
    inputs = [info for info in own.graph.input if info.name not in mapped]
    del own.graph.input[:]
    own.graph.input.extend(inputs)
    own.graph.initializer.extend(numpy_helper.from_array(np.asarray(value), name) for name, value in mapped.items())
    return own


def attribute(node: onnx.NodeProto, name: str, default: Any) -> Any:
    """Return an attribute's value."""
    for each in node.attribute:
        if each.name == name:
            return helper.get_attribute_value(each)
    return default


class FloatGraph:
    """A float network whose nodes and constants may be changed.

    Parameters
    ----------
    model : onnx.ModelProto
        Valid; left as it is.
    opset : int
        Version of the standard operators to convert to, where the model has an older one; at least 13.
    dimensions : mapping of str to int, optional
        Sizes of axes that the model names, for reading it; they stay open.

    Raises
    ------
    ValueError
        Where the model is quantized already, cannot be read (`hwsim.network.read`), or cannot be converted.
    """

    def __init__(
        self, model: onnx.ModelProto, opset: int = _MINIMUM_OPSET, dimensions: Mapping[str, int] | None = None
    ) -> None:
        found = sorted({node.op_type for node in model.graph.node} & _QUANTIZED)
        if found:
            raise ValueError(
                f"the model is quantized already (it has {', '.join(found)}); quantize its float form "
                "(hwsim.quantization.float_form)"
            )
        # Read first: on a damaged node, onnx's conversion and its inference of shapes can end the process.
        shapes = _static_shapes(model, from_model(model, dimensions=dimensions))
        self.model = _converted(model, max(opset, _MINIMUM_OPSET))
        nodes, self.constants = fold(self.model, shapes)
        self.nodes: list[onnx.NodeProto] = []
        for node in nodes:
            own = onnx.NodeProto()
            own.CopyFrom(node)
            self.nodes.append(own)
        self.outputs = [info.name for info in self.model.graph.output]
        self.kept: set[str] = set()  # nodes that stay in float: rotations computed as the network runs
        self._name_nodes()

    @property
    def opset(self) -> int:
        """Version of the standard operators."""
        return int(next(entry.version for entry in self.model.opset_import if entry.domain in ("", "ai.onnx")))

    def producer(self, tensor: str) -> onnx.NodeProto | None:
        """Return the node that makes a tensor; None for an input or a constant."""
        return next((node for node in self.nodes if tensor in node.output), None)

    def readers(self, tensor: str) -> list[onnx.NodeProto]:
        """Return the nodes that read a tensor."""
        return [node for node in self.nodes if tensor in node.input]

    def only_reader(self, tensor: str) -> onnx.NodeProto | None:
        """Return the node that alone reads a tensor; None where it is also an output, or several read it."""
        readers = self.readers(tensor)
        return readers[0] if len(readers) == 1 and tensor not in self.outputs else None

    def node(self, name: str) -> onnx.NodeProto:
        """Return a node by its name."""
        return next(node for node in self.nodes if node.name == name)

    def fresh(self, base: str) -> str:
        """Return a name like `base` that no tensor or node has."""
        taken = self._names()
        name, count = base, 1
        while name in taken:
            count += 1
            name = f"{base}_{count}"
        return name

    def add_constant(self, base: str, value: Array) -> str:
        """Add a constant, and return its name."""
        name = self.fresh(base)
        self.constants[name] = value
        return name

    def own_constant(self, node: onnx.NodeProto, index: int, value: Array) -> str:
        """Set a constant input of a node, under a name of its own where others read the old one too."""
        old = node.input[index] if index < len(node.input) else ""
        alone = old in self.constants and sum(list(each.input).count(old) for each in self.nodes) == 1
        name = old if alone else self.fresh(f"{node.name}.{index}")
        self.constants[name] = value
        while len(node.input) <= index:
            node.input.append("")
        node.input[index] = name
        return name

    def append(self, operator: str, inputs: Iterable[str], base: str, **attributes: Any) -> str:
        """Add a node, named as its output; return the output's name."""
        output = self.fresh(base)
        self.nodes.append(helper.make_node(operator, list(inputs), [output], output, **attributes))
        return output

    def redirect(self, old: str, new: str, readers: Iterable[onnx.NodeProto]) -> None:
        """Let nodes read another tensor."""
        for node in readers:
            for index, name in enumerate(node.input):
                if name == old:
                    node.input[index] = new

    def remove(self, node: onnx.NodeProto) -> None:
        """Take a node of one output out; its readers must have been redirected, or its output gets a new producer."""
        self.nodes.remove(node)

    def to_model(self) -> onnx.ModelProto:
        """Return the graph as a model, nodes in topological order, constants that nobody reads left out."""
        read = {name for node in self.nodes for name in node.input} | set(self.outputs)
        tensors = [numpy_helper.from_array(value, name) for name, value in self.constants.items() if name in read]
        fixed = {tensor.name for tensor in self.model.graph.initializer}
        inputs = [info for info in self.model.graph.input if info.name not in fixed]
        graph = helper.make_graph(
            self._sorted({*self.constants, *(info.name for info in inputs)}),
            self.model.graph.name or "network",
            inputs,
            list(self.model.graph.output),
            tensors,
        )
        opsets = list(self.model.opset_import)
        return helper.make_model(
            graph,
            producer_name="hwsim",
            opset_imports=opsets,
            ir_version=max(helper.find_min_ir_version_for(opsets, ignore_unknown=True), 8),
        )

    def _sorted(self, known: set[str]) -> list[onnx.NodeProto]:
        left, ordered = list(self.nodes), []
        while left:
            ready = [node for node in left if all(not name or name in known for name in node.input)]
            assert ready, "the graph has a cycle, or reads what nobody makes"
            for node in ready:
                known.update(node.output)
            ordered += ready
            chosen = {id(node) for node in ready}
            left = [node for node in left if id(node) not in chosen]
        return ordered

    def _names(self) -> set[str]:
        names = {name for node in self.nodes for name in (node.name, *node.input, *node.output)}
        return names | set(self.constants) | {info.name for info in self.model.graph.input}

    def _name_nodes(self) -> None:
        taken: set[str] = set()
        for node in self.nodes:
            base = node.name or next((name for name in node.output if name), node.op_type)
            name, count = base, 1
            while name in taken:
                count += 1
                name = f"{base}_{count}"
            taken.add(name)
            node.name = name


def _converted(model: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    """Return a copy of a model of at least an opset, its constants no inputs, without nodes that no output needs."""
    own = onnx.ModelProto()
    own.CopyFrom(model)
    needed = alive(own.graph)
    del own.graph.node[:]
    own.graph.node.extend(needed)
    del own.graph.value_info[:]
    held = {tensor.name for tensor in own.graph.initializer}
    inputs = [info for info in own.graph.input if info.name not in held]
    del own.graph.input[:]
    own.graph.input.extend(inputs)
    own.ir_version = max(own.ir_version, 8)
    given = next((entry.version for entry in own.opset_import if entry.domain in ("", "ai.onnx")), 1)
    if given >= opset:
        return own
    try:
        return onnx.version_converter.convert_version(own, opset)
    except (RuntimeError, ValueError) as error:
        text = " ".join(str(error).split())[:300]
        raise ValueError(f"the model of opset {given} cannot be converted to opset {opset}: {text}") from None


def _static_shapes(model: onnx.ModelProto, network: Network) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a model's tensors as it was read, or none where it leaves a size open."""
    held = {tensor.name for tensor in model.graph.initializer}
    inputs = [info.type.tensor_type.shape for info in model.graph.input if info.name not in held]
    if not all(dim.HasField("dim_value") for shape in inputs for dim in shape.dim):
        return {}
    return {name: spec.shape for name, spec in network.tensors.items()}
