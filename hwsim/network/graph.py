# SPDX-License-Identifier: Apache-2.0
"""A network as a graph: layers are nodes, tensors are edges."""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from math import prod
from typing import Any, ClassVar, NamedTuple, Protocol

import networkx as nx
import numpy.typing as npt

from hwsim.network.affine import element_bits
from hwsim.network.nonlinear import NonlinearKernels, NonlinearSpec
from hwsim.network.requantize import Rule
from hwsim.network.tensor_files import mapped_arrays

__all__ = [
    "Engine",
    "Images",
    "KOrder",
    "Layer",
    "MatmulShape",
    "Network",
    "Shape",
    "TensorSpec",
]

Array = npt.NDArray[Any]
Shape = tuple[int, ...]
KOrder = str  # "channel_first": K runs over (channel, kernel...); "channel_last": over (kernel..., channel)


class MatmulShape(NamedTuple):
    """The matrix product a layer is: `groups` products of (m, k) by (k, n)."""

    groups: int
    m: int
    k: int
    n: int

    @property
    def macs(self) -> int:
        """Number of multiply-accumulates."""
        return self.groups * self.m * self.k * self.n


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorSpec:
    """Name, shape and element type of a tensor.

    Parameters
    ----------
    name : str
        The tensor's name in the ONNX file.
    shape : tuple of int
        With the batch that the network was read with.
    dtype : str
        ONNX element type: "float32", "int8", "uint4" and so on.
    """

    name: str
    shape: Shape
    dtype: str

    @property
    def bits(self) -> int:
        """Width of one element."""
        return element_bits(self.dtype)

    @property
    def elements(self) -> int:
        """Number of elements."""
        return prod(self.shape)


class Engine(Protocol):
    """What performs the multiply-accumulates of a network, and says how softmax, GELU and normalization are done.

    `nonlinear_kernels` may be None where `nonlinear` names no integer kind.
    """

    k_order: KOrder
    nonlinear: NonlinearSpec
    nonlinear_kernels: NonlinearKernels | None

    def matmul(self, layer: "Layer", a: Array, b: Array) -> Array:
        """Multiply `groups` pairs of matrices.

        Parameters
        ----------
        layer : Layer
            The layer that asks: its name, its operands' quantization.
        a, b : ndarray, shape (groups, m, k) and (groups, k, n)
            Integer codes, zero points still in them, where the layer is quantized; else float32 values.

        Returns
        -------
        ndarray, shape (groups, m, n)
            The raw accumulators: an integer type for codes (or float64 of integer units), float32 for values.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Layer(ABC):
    """One layer of a network.

    Parameters
    ----------
    name : str
        Unique in the network.
    operator : str
        The ONNX operator it came from.
    inputs, outputs : tuple of str
        Names of the tensors that vary with the network's input, in the operator's order. Constants are fields.
    """

    kind: ClassVar[str] = "layer"

    name: str
    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @abstractmethod
    def output_specs(self, specs: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
        """Return the outputs' specs, given those of the inputs; ValueError where the shapes do not fit."""

    @abstractmethod
    def run(self, values: tuple[Array, ...], engine: Engine, rule: Rule) -> tuple[Array, ...]:
        """Return the outputs' values, given those of the inputs."""

    def keeps_batch(self, specs: tuple[TensorSpec, ...]) -> bool:
        """Tell whether axis 0 of every input is axis 0 of the output, image by image."""
        return bool(specs)

    def matmul_shape(self, specs: tuple[TensorSpec, ...]) -> MatmulShape | None:
        """Return the matrix product this layer is, or None."""
        return None

    @property
    def parameters(self) -> int:
        """Number of constants the layer holds."""
        return 0


class Images(Enum):
    """Where the number of images of a pass comes from: axis 0 of the inputs.

    Members
    -------
    FIXED
        The file.
    GIVEN
        The file leaves it open, and the reader was told.
    OPEN
        The file leaves it open, and nobody said: it was read with 1.
    """

    FIXED = "fixed"
    GIVEN = "given"
    OPEN = "open"


@dataclass(frozen=True, kw_only=True, eq=False)
class Network:
    """A network ready to run: layers in an order in which each comes after those it reads.

    Parameters
    ----------
    name : str
        Of the ONNX graph.
    layers : tuple of Layer
    inputs, outputs : tuple of TensorSpec
    tensors : mapping of str to TensorSpec
        Every tensor that varies with the input, by its ONNX name.
    constants : mapping of str to ndarray
        Outputs that do not depend on any input.
    images : Images
    keeps_images : bool
        False where the network, read with another number of images, is not the same but for that.
    """

    name: str
    layers: tuple[Layer, ...]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    tensors: Mapping[str, TensorSpec]
    constants: Mapping[str, Array]
    images: Images = Images.FIXED
    keeps_images: bool = True

    @cached_property
    def graph(self) -> "nx.DiGraph[str]":
        """The layers by name (attribute `layer`), and an edge for each pair that shares tensors (`tensors`)."""
        graph: nx.DiGraph[str] = nx.DiGraph(name=self.name)
        producer: dict[str, str] = {}
        for layer in self.layers:
            graph.add_node(layer.name, layer=layer)
            for tensor in dict.fromkeys(layer.inputs):
                if tensor in producer:
                    source = producer[tensor]
                    known = graph.edges[source, layer.name]["tensors"] if graph.has_edge(source, layer.name) else ()
                    graph.add_edge(source, layer.name, tensors=(*known, self.tensors[tensor]))
            producer.update(dict.fromkeys(layer.outputs, layer.name))
        return graph

    @cached_property
    def batch(self) -> int:
        """The batch the network was read with: axis 0 of its first input."""
        return self.inputs[0].shape[0] if self.inputs and self.inputs[0].shape else 1

    @cached_property
    def batchable(self) -> bool:
        """Whether any number of images can go through at once: axis 0 is the batch from end to end."""
        tensors = [*self.inputs, *self.tensors.values()]
        if not self.keeps_images or any(not spec.shape or spec.shape[0] != self.batch for spec in tensors):
            return False
        return all(layer.keeps_batch(self.specs(layer)) for layer in self.layers)

    @cached_property
    def mapped(self) -> tuple[tuple[Array, ...], ...]:
        """Of each layer, the constants that are pages of a file (`hwsim.network.tensor_files`)."""
        return tuple(tuple(mapped_arrays(layer)) for layer in self.layers)

    def layer(self, name: str) -> Layer:
        """Return a layer by its name.

        Raises
        ------
        ValueError
            Where there is no such layer.
        """
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise ValueError(f"network {self.name!r} has no layer {name!r}")

    def specs(self, layer: Layer) -> tuple[TensorSpec, ...]:
        """Return the specs of a layer's inputs."""
        return tuple(self.tensors[name] for name in layer.inputs)

    def rows(self) -> list[dict[str, Any]]:
        """Return a summary: one row a layer, with its shapes, multiply-accumulates and parameters."""
        rows: list[dict[str, Any]] = []
        for layer in self.layers:
            specs = self.specs(layer)
            shape = layer.matmul_shape(specs)
            rows.append(
                {
                    "name": layer.name,
                    "kind": layer.kind,
                    "operator": layer.operator,
                    "inputs": [_spec_row(spec) for spec in specs],
                    "outputs": [_spec_row(self.tensors[name]) for name in layer.outputs],
                    "matmul": None if shape is None else shape._asdict(),
                    "macs": 0 if shape is None else shape.macs,
                    "parameters": layer.parameters,
                }
            )
        return rows

    def to_json(self) -> str:
        """Return the summary as a JSON object: name, inputs, outputs, layers, macs, parameters."""
        rows = self.rows()
        summary = {
            "name": self.name,
            "inputs": [_spec_row(spec) for spec in self.inputs],
            "outputs": [_spec_row(spec) for spec in self.outputs],
            "macs": sum(row["macs"] for row in rows),
            "parameters": sum(row["parameters"] for row in rows),
            "layers": rows,
        }
        return json.dumps(summary)


def _spec_row(spec: TensorSpec) -> dict[str, Any]:
    """Return a tensor's row in a summary."""
    return {"name": spec.name, "shape": list(spec.shape), "dtype": spec.dtype}
