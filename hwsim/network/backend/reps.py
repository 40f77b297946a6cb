# SPDX-License-Identifier: Apache-2.0
"""Models made ready to run: nodes on arrays one by one, or a network of layers on the inputs that vary."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper
from onnx.backend.base import BackendRep

from hwsim.network.array_operators import OPERATORS
from hwsim.network.element_types import element_type_of, held, typed
from hwsim.network.execution import run
from hwsim.network.fuse import evaluate
from hwsim.network.graph import Network
from hwsim.network.onnx_reader import from_model
from hwsim.network.pattern import NeedsConstantError, RawNode

__all__ = [
    "Inputs",
    "NetworkRep",
    "NodesRep",
    "as_array",
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

    Every input of the graph varies, but for those that a layer takes only as constants (shapes, axes, the weights of
    a convolution, and whatever they are computed from): with these the network is read anew at each run.

    Parameters
    ----------
    model : onnx.ModelProto
    nodes : tuple of RawNode
        The graph's.
    """

    def __init__(self, model: onnx.ModelProto, nodes: tuple[RawNode, ...]) -> None:
        self.model = model
        self.nodes = nodes
        known = {tensor.name for tensor in model.graph.initializer}
        self.inputs = tuple(info.name for info in model.graph.input if info.name not in known)
        self._makers = {name: node for node in nodes for name in node.outputs if name}
        self._constant: set[str] = set()
        self._network: Network | None = None

    def run(self, inputs: Inputs, **kwargs: Any) -> tuple[Array, ...]:
        """Compute the outputs, in the graph's order; as `NodesRep.run`."""
        given = _bound(self.inputs, inputs)
        network = self._read(given)
        outputs = [info.name for info in self.model.graph.output]
        if network is None:
            values = {tensor.name: as_array(tensor) for tensor in self.model.graph.initializer} | given
            for node in self.nodes:
                values.update(evaluate(node, values))
            return tuple(values[name] for name in outputs)
        varying = {spec.name: held(given[spec.name]) for spec in network.inputs}
        results = run(network, varying)
        types = {spec.name: spec.dtype for spec in network.outputs if spec.name in network.tensors}
        return tuple(typed(results[name], types[name]) if name in types else results[name] for name in outputs)

    def _read(self, given: Mapping[str, Array]) -> Network | None:
        """Return the network for these inputs; None where all of them have to be constants."""
        self._constant |= {name for name, array in given.items() if not array.size}
        while True:
            if self._constant >= set(self.inputs):
                return None
            if self._network is not None and not self._constant and _same_shapes(self._network, given):
                return self._network
            try:
                self._network = from_model(_specialized(self.model, given, self._constant))
                return self._network
            except NeedsConstantError as error:
                fresh = self._sources(error.tensor) - self._constant
                if not fresh:
                    raise
                self._constant |= fresh
            except ValueError:
                fresh = set(self.inputs[1:]) - self._constant  # a builder that names no input
                if not fresh:
                    raise
                self._constant |= fresh

    def _sources(self, tensor: str) -> set[str]:
        """Return the graph's inputs that a tensor is computed from."""
        found: set[str] = set()
        stack, seen = [tensor], set()
        while stack:
            name = stack.pop()
            if name in seen:
                continue
            seen.add(name)
            if name in self.inputs:
                found.add(name)
            elif name in self._makers:
                stack += [each for each in self._makers[name].inputs if each]
        return found


def as_array(value: Any) -> Array:
    """Return an input as an array."""
    return np.asarray(numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value)


def _specialized(model: onnx.ModelProto, given: Mapping[str, Array], constant: set[str]) -> onnx.ModelProto:
    """Return a model for inputs of these shapes, some of them constants."""
    own = onnx.ModelProto()
    own.CopyFrom(model)
    kept = [info for info in own.graph.input if info.name not in constant]
    del own.graph.input[:]
    for info in kept:
        if info.name in given:
            array = given[info.name]
            kind = element_type_of(array).number
            info.CopyFrom(onnx.helper.make_tensor_value_info(info.name, kind, array.shape))
        own.graph.input.append(info)
    own.graph.initializer.extend(numpy_helper.from_array(given[name], name) for name in sorted(constant))
    return own


def _same_shapes(network: Network, given: Mapping[str, Array]) -> bool:
    return all(given[spec.name].shape == spec.shape for spec in network.inputs)


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
    return {name: as_array(value) for name, value in given.items()}
