# SPDX-License-Identifier: Apache-2.0
"""From ONNX nodes to layers: QDQ and QOperator patterns as single quantized layers, constants computed beforehand."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from hwsim.network.array_operators import CONVERSIONS, OPERATORS
from hwsim.network.builders import BUILDERS, QUANTIZERS
from hwsim.network.coded_operand import codes_behind, is_lazy
from hwsim.network.constant_operators import CONSTANT_OPERATORS, MAX_ELEMENTS, MAX_GROWTH
from hwsim.network.element_types import element_type_of, held, typed
from hwsim.network.execution import ExactEngine
from hwsim.network.graph import Layer, Shape, TensorSpec
from hwsim.network.moves import MOVES
from hwsim.network.pattern import NeedsConstantError, Operand, Pattern, RawNode
from hwsim.network.requantize import Rule

__all__ = [
    "BUILDERS",
    "Fused",
    "can_evaluate",
    "evaluate",
    "fuse",
]

Array = npt.NDArray[Any]

# What a builder meets in a damaged file, beside its own errors.
_DAMAGE = (AttributeError, IndexError, KeyError, TypeError, ArithmeticError, MemoryError, RuntimeError)


class Fused(Pattern):
    """A pattern whose nodes are built by the table of operators."""

    def is_lazy(self, node: RawNode) -> bool:
        """Tell whether a node becomes a layer only where its floats are read."""
        return is_lazy(self, node, QUANTIZERS)

    def codes_behind(self, name: str) -> Operand | None:
        """Return the codes behind a tensor of floats, or None; errors as `emit`."""
        node = self.producer(name)
        try:
            return codes_behind(self, name, QUANTIZERS)
        except _DAMAGE as error:
            label = repr(name) if node is None else node.label
            raise ValueError(f"node {label} is malformed: {type(error).__name__}: {error}") from error

    def shape(self, name: str) -> Shape:
        """Return a tensor's shape, and build nothing for it."""
        if name in self.constants or name in self.specs:
            return self.constants[name].shape if name in self.constants else self.specs[name].shape
        node = self.producer(name)
        if node is None or not self.is_lazy(node):
            raise ValueError(f"tensor {name!r} is not there")
        if node.operator in ("Im2Col", "MaxPool"):
            behind = self.codes_behind(name)
            return self.plain(name).spec.shape if behind is None else behind.spec.shape
        before = self.shape(node.inputs[0])
        if node.operator not in MOVES or node.domain != "":
            return before
        given = self.constants.get(node.inputs[1]) if node.present(1) else None
        return MOVES[node.operator](node, np.broadcast_to(np.int8(0), before), given).shape

    def is_computed(self, node: RawNode) -> bool:
        """Compute a node whose inputs turned out to be constants, or which only asks for a known shape."""
        return _becomes_constant(node, self)

    def build(self, node: RawNode) -> None:
        """Compute a node whose inputs are all constants, else build its layer, if not lazy, now; errors as `emit`."""
        if not self.is_lazy(node) and not self.is_computed(node):
            self.emit(node)

    def emit(self, node: RawNode) -> None:
        """Build a node's layer now.

        Raises
        ------
        ValueError
            Where the node is not what its layer can run; a missing input or attribute included.
        """
        try:
            BUILDERS[node.domain, node.operator](node, self)
        except NeedsConstantError:
            raise
        except ValueError as error:
            if node.name in str(error):
                raise
            raise ValueError(f"node {node.label}: {error}") from error
        except _DAMAGE as error:
            raise ValueError(f"node {node.label} is malformed: {type(error).__name__}: {error}") from error


def fuse(pattern: Fused) -> tuple[tuple[Layer, ...], dict[str, TensorSpec]]:
    """Turn the nodes of a pattern into layers.

    Parameters
    ----------
    pattern : Fused
        Every node's operator is in `BUILDERS`.

    Returns
    -------
    layers : tuple of Layer
        In topological order.
    tensors : dict of str to TensorSpec
        Inputs and every layer's outputs.

    Raises
    ------
    ValueError
        Where a node's attributes, shapes or constants are not what its layer can run.
    """
    for node in pattern.nodes:
        if pattern.is_done(node) or pattern.is_lazy(node) or pattern.is_computed(node):
            continue
        pattern.emit(node)
    for name in pattern.outputs:
        if name not in pattern.constants:
            pattern.plain(name)
    return _needed(pattern)


def _needed(pattern: Fused) -> tuple[tuple[Layer, ...], dict[str, TensorSpec]]:
    """Return the layers that some output needs, and the tensors: floats that were built may be read as codes alone."""
    wanted, kept = set(pattern.outputs), []
    for layer in reversed(pattern.layers):
        if wanted & set(layer.outputs):
            wanted.update(layer.inputs)
            kept.append(layer)
    made = {name for layer in pattern.layers for name in layer.outputs}
    held = {name for layer in kept for name in layer.outputs}
    specs = {name: spec for name, spec in pattern.specs.items() if name in held or name not in made}
    return tuple(kept[::-1]), specs


def evaluate(node: RawNode, values: Mapping[str, Array]) -> dict[str, Array]:
    """Compute a node of the standard on constants, exactly, by the layers it is built as.

    Parameters
    ----------
    node : RawNode
    values : mapping of str to ndarray
        Every input, of any element type, as onnx has it.

    Returns
    -------
    dict of str to ndarray
        Its outputs by name.

    Raises
    ------
    ValueError
        Where it is of an operator that is not run, or cannot be computed: the message names it.
    """
    operands = [values[name] if name else None for name in node.inputs]
    outputs = [name for name in node.outputs if name]
    try:
        if node.operator in CONSTANT_OPERATORS:
            results = (CONSTANT_OPERATORS[node.operator](node, [x for x in operands if x is not None]),)
            return dict(zip(outputs, results, strict=True))
        if node.operator in CONVERSIONS:
            return dict(zip(outputs, OPERATORS[node.operator](node, tuple(operands)), strict=False))
        return _run_layers(node, {name: values[name] for name in node.inputs if name}, outputs)
    except (*_DAMAGE, ValueError) as error:
        reason = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        raise ValueError(f"constant node {node.label} cannot be computed: {reason}") from error


def can_evaluate(node: RawNode) -> bool:
    """Tell whether `evaluate` takes a node of this operator."""
    known = node.operator in CONSTANT_OPERATORS or node.operator in CONVERSIONS or ("", node.operator) in BUILDERS
    return known and node.domain == ""


def _run_layers(node: RawNode, values: Mapping[str, Array], outputs: list[str]) -> dict[str, Array]:
    """Build a node's layers, with as many inputs varying as they can, and run them."""
    bound: dict[str, Array] = {}
    while True:
        specs = tuple(_spec(name, value) for name, value in values.items() if name not in bound)
        pattern = Fused((node,), dict(bound), specs, tuple(outputs))
        try:
            pattern.emit(node)
            break
        except NeedsConstantError as error:
            if error.tensor not in values or error.tensor in bound:
                raise
            bound[error.tensor] = values[error.tensor]
        except ValueError:
            # A builder that takes its weights only as constants.
            rest = {name: value for name, value in list(values.items())[1:] if name not in bound}
            if not rest:
                raise
            bound.update(rest)
    tensors = pattern.specs
    limit = min(max(MAX_GROWTH, *(value.size for value in values.values())), MAX_ELEMENTS)
    wrong = [spec.shape for spec in tensors.values() if spec.elements > limit]
    if wrong:
        raise ValueError(f"a constant of shape {wrong[0]} is larger than {limit} elements")
    held_values = {name: held(value) for name, value in values.items()} | pattern.constants
    for layer in pattern.layers:
        results = layer.run(tuple(held_values[name] for name in layer.inputs), ExactEngine(), Rule.ONNX)
        held_values.update(zip(layer.outputs, results, strict=True))
    return {n: typed(held_values[n], tensors[n].dtype) if n in tensors else held_values[n] for n in outputs}


def _spec(name: str, value: Array) -> TensorSpec:
    return TensorSpec(name=name, shape=value.shape, dtype=element_type_of(value).layer_name)


def _becomes_constant(node: RawNode, pattern: Fused) -> bool:
    """Compute a node whose inputs turned out to be constants, or which only asks for a known shape."""
    if node.domain != "" or not can_evaluate(node):
        return False
    if node.operator in ("Shape", "Size"):
        like = np.broadcast_to(np.float32(0), pattern.shape(node.inputs[0]))
        pattern.constants.update(evaluate(node, {node.inputs[0]: like}))
        return True
    known = [pattern.known(name) for name in node.inputs if name]
    if not known or any(operand is None for operand in known):
        return False
    operands = {name: operand for name, operand in zip(filter(None, node.inputs), known, strict=True) if operand}
    values = {n: o.values if o.quantization is not None else o.constant for n, o in operands.items()}
    pattern.constants.update(evaluate(node, {n: v for n, v in values.items() if v is not None}))
    return True
