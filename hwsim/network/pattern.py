# SPDX-License-Identifier: Apache-2.0
"""What a layer's builder sees of the ONNX graph: operands behind dequantization, outputs up to quantization."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hwsim.network.affine import CODE_RANGES, AffineQuantization, code_range, storage_type
from hwsim.network.graph import Layer, Shape, TensorSpec
from hwsim.network.requantize import Activation

__all__ = [
    "MAX_AXES",
    "Builder",
    "NeedsConstantError",
    "Operand",
    "Pattern",
    "RawNode",
    "Tail",
    "affine",
    "input_and_output",
]

Array = npt.NDArray[Any]

_SCALE_TYPES = ("bfloat16", "float8_e8m0fnu")
MAX_AXES = 24  # of one tensor: numpy's limit is 32, and a window or a split has some more
_MAX_ELEMENTS = 2**31  # of one tensor: more is a damaged file


class NeedsConstantError(ValueError):
    """An input that must be a constant is computed by the network; `tensor` is its name."""

    def __init__(self, node: "RawNode", index: int) -> None:
        self.tensor = node.inputs[index]
        super().__init__(f"node {node.label}: input {index} ({self.tensor!r}) must be a constant")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RawNode:
    """A node of an ONNX graph, free of protobuf."""

    name: str
    operator: str
    domain: str
    opset: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]

    @property
    def label(self) -> str:
        """Name and operator, as messages show them."""
        return f"{self.name!r} ({self.domain + '::' if self.domain else ''}{self.operator})"

    def present(self, index: int) -> bool:
        """Tell whether an optional input is given."""
        return index < len(self.inputs) and self.inputs[index] != ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Operand:
    """An input of a node: a tensor that varies, or a constant; codes where `quantization` is given.

    `scales` is the tensor of its block scales, where these vary. `varying` names the tensors of its scale and of its
    zero point where these are computed (dynamic quantization); then `quantization` says the type of the codes only.
    """

    spec: TensorSpec
    constant: Array | None = None
    quantization: Any = None  # a hwsim.network.float_quantization.Quantization
    scales: TensorSpec | None = None
    varying: tuple[str, str] = ("", "")

    @property
    def values(self) -> Array:
        """The constant as float32 values, dequantized where it is codes."""
        assert self.constant is not None
        if self.quantization is None:
            return self.constant.astype(np.float32, copy=False)
        return np.asarray(self.quantization.dequantize(self.constant))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tail:
    """What follows a node and is computed with it: an activation, a quantization, and the tensor that results."""

    output: str
    activation: Activation | None = None
    quantization: AffineQuantization | None = None


class Pattern:
    """A graph being turned into layers.

    Parameters
    ----------
    nodes : tuple of RawNode
        In topological order; constant subgraphs already folded, dead nodes removed.
    constants : dict of str to ndarray
        Gets what turns out to be constant.
    inputs : tuple of TensorSpec
    outputs : tuple of str
    """

    def __init__(
        self,
        nodes: tuple[RawNode, ...],
        constants: dict[str, Array],
        inputs: tuple[TensorSpec, ...],
        outputs: tuple[str, ...],
    ) -> None:
        self.nodes = nodes
        self.constants = constants
        self.outputs = outputs
        self.specs = {spec.name: spec for spec in inputs}
        self.layers: list[Layer] = []
        self._producers = {name: node for node in nodes for name in node.outputs if name}
        self._readers: dict[str, list[RawNode]] = {}
        for node in nodes:
            for name in node.inputs:
                self._readers.setdefault(name, []).append(node)
        self._names = {*constants, *self.specs, *self._producers, *(node.name for node in nodes)}
        self._last: dict[str, int] = {}  # of `fresh`: the last number tried after a name
        self._done: set[int] = set()
        self._emitted: set[str] = set()
        self._coded_names: dict[str, str] = {}

    def is_done(self, node: RawNode) -> bool:
        """Tell whether a node has become part of a layer."""
        return id(node) in self._done

    def add(self, layer: Layer) -> None:
        """Append a layer, and learn the specs of its outputs."""
        specs = layer.output_specs(tuple(self.specs[name] for name in layer.inputs))
        if len(specs) != len(layer.outputs):
            raise ValueError(
                f"layer {layer.name!r}: {layer.operator} has {len(specs)} output(s), not {len(layer.outputs)}"
            )
        for spec in specs:
            if spec.elements > _MAX_ELEMENTS or len(spec.shape) > MAX_AXES:
                raise ValueError(f"layer {layer.name!r}: a tensor of shape {spec.shape} is too large")
            self.specs[spec.name] = spec
        self.layers.append(layer)

    def constant(self, node: RawNode, index: int) -> Array:
        """Return a constant input of a node.

        Raises
        ------
        NeedsConstantError
            Where the input is computed by the network.
        """
        name = node.inputs[index]
        if name not in self.constants:
            raise NeedsConstantError(node, index)
        return self.constants[name]

    def operand(self, name: str) -> Operand:
        """Return an input as codes where a DequantizeLinear gives it, else as it is."""
        node = self._producers.get(name)
        if node is not None and node.operator == "DequantizeLinear":
            quantization = self.quantization(node)
            if quantization is not None:
                inner = node.inputs[0]
                spec = self._constant_spec(inner) if inner in self.constants else self.specs[inner]
                if spec.dtype != quantization.dtype:
                    raise ValueError(
                        f"node {node.label}: {inner!r} is {spec.dtype}, its zero point {quantization.dtype}"
                    )
                codes = self.constants.get(inner)
                if codes is not None:
                    codes = codes.astype(storage_type(quantization.dtype), copy=False)
                return Operand(spec=spec, constant=codes, quantization=quantization)
        return self.plain(name)

    def plain(self, name: str) -> Operand:
        """Return an input as it is; a DequantizeLinear before it becomes a layer, or a constant of floats."""
        if name in self.constants:
            return Operand(spec=self._constant_spec(name), constant=self.constants[name])
        node = self._producers.get(name)
        if node is not None and name not in self._emitted and self.is_lazy(node):
            behind = self.codes_behind(name) if self.is_known(name) else None
            if behind is not None and behind.constant is not None:
                values = behind.values
                return Operand(spec=TensorSpec(name=name, shape=values.shape, dtype="float32"), constant=values)
            self._emitted.add(name)
            if not self.is_computed(node):
                self.emit(node)
            if name in self.constants:
                return Operand(spec=self._constant_spec(name), constant=self.constants[name])
        return Operand(spec=self.specs[name])

    def coded(self, name: str) -> Operand:
        """Return an input as codes of any format where there are such behind it, else as it is."""
        found = self.codes_behind(name)
        return self.plain(name) if found is None else found

    def codes_behind(self, name: str) -> Operand | None:
        """Return the codes behind a tensor, or None; the reader replaces this (`hwsim.network.coded_operand`)."""
        raise NotImplementedError

    def is_known(self, name: str) -> bool:
        """Tell whether a tensor is a constant, or the codes behind it are one."""
        if name in self.constants:
            return True
        node = self._producers.get(name)
        return node is not None and bool(node.inputs) and self.is_lazy(node) and self.is_known(node.inputs[0])

    def is_lazy(self, node: RawNode) -> bool:
        """Tell whether a node becomes a layer only where its floats are read; the reader replaces this."""
        raise NotImplementedError

    def readers(self, name: str) -> list[RawNode]:
        """Return the nodes that read a tensor."""
        return self._readers.get(name, [])

    def shape(self, name: str) -> Shape:
        """Return a tensor's shape, and build nothing for it; the reader replaces this."""
        raise NotImplementedError

    def coded_name(self, name: str) -> str:
        """Return the name of the tensor of codes that stands for a tensor of floats, the same each time."""
        if name not in self._coded_names:
            self._coded_names[name] = self.fresh(f"{name}_codes")
        return self._coded_names[name]

    def is_computed(self, node: RawNode) -> bool:
        """Compute a node whose inputs are all constants, if it is one; the reader replaces this."""
        raise NotImplementedError

    def build(self, node: RawNode) -> None:
        """Compute a node whose inputs are all constants, else build its layer; as `emit`, the reader replaces it."""
        self.emit(node)

    def emit(self, node: RawNode) -> None:
        """Build a node's layer now; the reader replaces this by its table of builders."""
        raise NotImplementedError

    def quantization(self, node: RawNode) -> AffineQuantization | None:
        """Return the parameters of a QuantizeLinear or DequantizeLinear, or None where no layer can take them in."""
        if any(name not in self.constants for name in node.inputs[1:] if name) or node.attributes.get("block_size"):
            return None
        zero_point = self.constants[node.inputs[2]] if node.present(2) else None
        if zero_point is not None:
            dtype = zero_point.dtype.name
        elif node.operator == "QuantizeLinear":
            dtype = str(node.attributes.get("output_dtype", "uint8"))
        else:
            dtype = self._dtype(node.inputs[0])
        if dtype not in CODE_RANGES:
            return None
        return affine(node, self.constants[node.inputs[1]], zero_point, dtype, int(node.attributes.get("axis", 1)))

    def tail(self, name: str, fuse_activation: bool = True) -> Tail:
        """Take in the activation and the QuantizeLinear that follow a tensor, where nothing else reads between."""
        reader = self._only_reader(name)
        activation: Activation | None = None
        taken: list[RawNode] = []
        if reader is not None and fuse_activation and reader.operator in ("Relu", "Clip") and reader.domain == "":
            activation = self.activation(reader)
            if activation is not None:
                taken.append(reader)
                reader = self._only_reader(reader.outputs[0])
        if reader is None or reader.operator != "QuantizeLinear" or reader.domain != "":
            return Tail(output=name)
        quantization = self.quantization(reader)
        if quantization is None or quantization.axis is not None:
            return Tail(output=name)
        self._done.update(id(node) for node in (*taken, reader))
        return Tail(output=reader.outputs[0], activation=activation, quantization=quantization)

    def follower(self, name: str, operator: str) -> RawNode | None:
        """Return the node that alone reads a tensor, where it is of the given operator."""
        reader = self._only_reader(name)
        return reader if reader is not None and reader.operator == operator and reader.domain == "" else None

    def known(self, name: str) -> Operand | None:
        """Return a constant, or the codes a DequantizeLinear makes a constant of; None for what varies."""
        if not self.is_known(name):
            return None
        operand = self.coded(name)
        return None if operand.constant is None else operand

    def take(self, node: RawNode) -> None:
        """Mark a node as part of a layer."""
        self._done.add(id(node))

    def fresh(self, base: str) -> str:
        """Return a name, as close to the given one as can be, that no node and no tensor has."""
        name = base
        while name in self._names:
            self._last[base] = self._last.get(base, 1) + 1
            name = f"{base}_{self._last[base]}"
        self._names.add(name)
        return name

    def producer(self, name: str) -> RawNode | None:
        """Return the node that makes a tensor."""
        return self._producers.get(name)

    def insert(self, node: RawNode) -> None:
        """Put in a node that a builder writes its own as: what reads its outputs finds it."""
        self._producers.update((name, node) for name in node.outputs if name)

    def activation(self, node: RawNode) -> Activation | None:
        """Return the range of a Relu or Clip, or None where it is not constant."""
        if node.operator == "Relu":
            return (0.0, float("inf"))
        bounds = [float("-inf"), float("inf")]
        for index, key in enumerate(("min", "max")):
            if key in node.attributes:
                bounds[index] = float(node.attributes[key])
            elif node.present(index + 1):
                bound = self.known(node.inputs[index + 1])
                if bound is None:
                    return None
                bounds[index] = float(bound.values.reshape(()))
        return (bounds[0], bounds[1])

    def _only_reader(self, name: str) -> RawNode | None:
        readers = self._readers.get(name, [])
        if len(readers) != 1 or name in self.outputs or self.is_done(readers[0]):
            return None
        return readers[0]

    def _dtype(self, name: str) -> str:
        return self.constants[name].dtype.name if name in self.constants else self.specs[name].dtype

    def _constant_spec(self, name: str) -> TensorSpec:
        value = self.constants[name]
        return TensorSpec(name=name, shape=value.shape, dtype=value.dtype.name)


def affine(
    node: RawNode, scale: Array, zero_point: Array | None, dtype: str, axis: int | None = None
) -> AffineQuantization:
    """Make a quantization from a node's constants; `axis` counts only where the scale is a vector."""
    if scale.dtype not in (np.float32, np.float16) and scale.dtype.name not in _SCALE_TYPES:
        raise ValueError(f"node {node.label}: scale must be float32, not {scale.dtype.name}")
    scales = scale.astype(np.float32)
    limits = code_range(dtype)
    if zero_point is not None and limits is not None and zero_point.size:
        least, greatest = zero_point.min(), zero_point.max()
        if not (limits[0] <= least and greatest <= limits[1]):
            raise ValueError(f"node {node.label}: zero points of {dtype} must be in {limits}, not {least}..{greatest}")
    zeros = np.zeros(scales.shape, np.int64) if zero_point is None else zero_point.astype(np.int64)
    if scales.size == 1:
        scales, zeros, axis = scales.reshape(()), zeros.reshape(()), None
    elif zeros.size == 1:
        zeros = np.broadcast_to(zeros.reshape(()), scales.shape)
    try:
        return AffineQuantization(scale=scales, zero_point=zeros, dtype=dtype, axis=axis)
    except ValueError as error:
        raise ValueError(f"node {node.label}: {error}") from None


Builder = Callable[[RawNode, Pattern], None]


def input_and_output(node: RawNode, pattern: Pattern, dtype: str) -> list[AffineQuantization]:
    """Return the quantizations of a QLinear operator of X, its scale and zero point, Y's scale and zero point."""
    return [
        affine(
            node,
            pattern.constant(node, index),
            pattern.constant(node, index + 1) if node.present(index + 1) else None,
            dtype,
        )
        for index in (1, 3)
    ]
