# SPDX-License-Identifier: Apache-2.0
"""RNN, GRU and LSTM, unrolled: a product for all inputs, then one for each step's state.

Source: ONNX operators RNN-22, GRU-22, LSTM-22.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwsim.network.layers.expansion import Expansion
from hwsim.network.pattern import Pattern, RawNode

__all__ = [
    "build_recurrent",
]

_MAX_STEPS = 1024  # every step is a dozen layers or more: some seconds to read
_GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
_DEFAULTS = {"RNN": ("Tanh",), "GRU": ("Sigmoid", "Tanh"), "LSTM": ("Sigmoid", "Tanh", "Tanh")}
# Activation functions of the standard and the defaults of their alpha and beta.
_ACTIVATIONS: dict[str, tuple[float, ...]] = {
    "Affine": (1.0, 0.0),
    "Elu": (1.0,),
    "HardSigmoid": (0.2, 0.5),
    "LeakyRelu": (0.01,),
    "Relu": (),
    "ScaledTanh": (1.0, 1.0),
    "Sigmoid": (),
    "Softplus": (),
    "Softsign": (),
    "Tanh": (),
    "ThresholdedRelu": (1.0,),
}
Activate = Callable[[str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Direction:
    """What a pass over the sequence needs: names of tensors, empty where absent; functions of names.

    `inputs` is X W^T + b for all steps, `recurrent` is R^T (or its parts), `bias` what a GRU adds within its reset.
    """

    inputs: str
    recurrent: str
    bias: str
    state: str
    cell: str
    peephole: str
    activations: tuple[Activate, ...]
    size: int


def build_recurrent(node: RawNode, pattern: Pattern) -> None:
    """Build an RNN, GRU or LSTM of any direction and layout."""
    e = Expansion(node, pattern)
    x = e.float32(node.inputs[0])
    late = int(node.attributes.get("layout", 0))
    if len(e.shape(x)) != 3 or late not in (0, 1):
        raise ValueError(f"node {node.label}: X must have 3 axes, layout be 0 or 1, not {e.shape(x)} and {late}")
    steps = e.shape(x)[late]
    ways = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}
    direction = str(node.attributes.get("direction", "forward"))
    if direction not in ways or not 1 <= steps <= _MAX_STEPS:
        raise ValueError(
            f"node {node.label}: direction {direction!r} and {steps} steps must be known, 1 to {_MAX_STEPS}"
        )
    count, size = len(ways[direction]), e.shape(node.inputs[2])[-1]
    rows = _GATES[node.operator] * size
    shapes = (e.shape(node.inputs[1])[:2], e.shape(node.inputs[2]))
    if shapes != ((count, rows), (count, rows, size)) or int(node.attributes.get("hidden_size", size)) != size:
        raise ValueError(f"node {node.label}: W, R {shapes} and hidden_size do not fit {count} direction(s)")
    _check_lengths(e, steps)
    batch = e.shape(x)[1 - late]
    sequences, states, cells = [], [], []
    for index, backwards in enumerate(ways[direction]):
        order = range(steps)[::-1] if backwards else range(steps)
        hidden, cell = _pass(e, _direction(e, x, index, count, size), order, late)
        hidden = hidden[::-1] if backwards else hidden
        shape = (batch, 1, 1, size) if late else (1, 1, batch, size)
        parts = [e.reshape(h, *shape) for h in hidden]
        sequences.append(parts[0] if steps == 1 else e("Concat", *parts, axis=late))
        one = (batch, 1, size) if late else (1, batch, size)
        states.append(e.reshape(hidden[0 if backwards else -1], *one))
        cells.append(e.reshape(cell, *one) if cell else "")
    for output, (tensors, axis) in enumerate(((sequences, 1 + late), (states, late), (cells, late))):
        if e.output(output):
            joined = tensors[0] if count == 1 else e("Concat", *tensors, axis=axis)
            e.back(joined, node.inputs[0], e.output(output))


def _direction(e: Expansion, x: str, index: int, count: int, size: int) -> _Direction:
    """Cut out of the node's inputs what a direction needs; the product of all inputs is made here."""
    gates = _GATES[e.node.operator]
    rows = gates * size

    def cut(name: str, *shape: int) -> str:
        return e.reshape(e.slice(name, 0, index, index + 1) if count > 1 else name, *shape)

    weight = cut(e.node.inputs[1], rows, e.shape(e.node.inputs[1])[2])
    inputs = e("MatMul", x, e.transpose(weight, 1, 0))
    later = ""
    if e.present(3):
        both = cut(e.float32(e.present(3)), 2 * rows)
        first, second = e.slice(both, 0, 0, rows), e.slice(both, 0, rows, 2 * rows)
        if e.node.operator == "GRU" and e.node.attributes.get("linear_before_reset", 0):
            later = e.slice(second, 0, 2 * size, rows)
            second = e("Concat", e.slice(second, 0, 0, 2 * size), e.constant(np.zeros(size, np.float32)), axis=0)
        inputs = e("Add", inputs, e("Add", first, second))
    late = int(e.node.attributes.get("layout", 0))

    def state(position: int) -> str:
        name = e.present(position)
        known = e.value(name) if name else None
        if not name or (known is not None and not known.any()):
            return ""
        name = e.float32(name)
        batch = e.shape(name)[1 - late]
        return e.reshape(e.slice(name, late, index, index + 1) if count > 1 else name, batch, size)

    lstm = e.node.operator == "LSTM"
    return _Direction(
        inputs=inputs,
        recurrent=e.transpose(cut(e.node.inputs[2], rows, size), 1, 0),
        bias=later,
        state=state(5),
        cell=state(6) if lstm else "",
        peephole=cut(e.float32(e.present(7)), 3 * size) if lstm and e.present(7) else "",
        activations=_activations(e, index),
        size=size,
    )


def _pass(e: Expansion, d: _Direction, order: range, late: int) -> tuple[list[str], str]:
    """Run over the sequence; return every state, in the order of steps taken, and the last cell."""
    batch, rows = e.shape(d.inputs)[1 - late], e.shape(d.inputs)[2]
    state, cell, states = d.state, d.cell, []
    for step in order:
        gates = e.reshape(e.slice(d.inputs, late, step, step + 1), batch, rows)
        if e.node.operator == "RNN":
            state = d.activations[0](_clipped(e, _plus_product(e, gates, state, d.recurrent)))
        elif e.node.operator == "GRU":
            state = _gru_step(e, d, gates, state)
        else:
            state, cell = _lstm_step(e, d, gates, state, cell)
        states.append(state)
    return states, cell


def _lstm_step(e: Expansion, d: _Direction, inputs: str, state: str, cell: str) -> tuple[str, str]:
    """Return the next state and cell."""
    f, g, h = d.activations
    gates = _plus_product(e, inputs, state, d.recurrent)

    def gate(index: int, watched: str, place: int) -> str:
        part = e.slice(gates, 1, index * d.size, (index + 1) * d.size)
        if d.peephole and watched:
            weight = e.slice(d.peephole, 0, place * d.size, (place + 1) * d.size)
            part = e("Add", part, e("Mul", weight, watched))
        return f(_clipped(e, part))

    i = gate(0, cell, 0)
    fresh = g(_clipped(e, e.slice(gates, 1, 3 * d.size, 4 * d.size)))
    new = e("Mul", i, fresh)
    if cell:
        if e.node.attributes.get("input_forget", 0):
            forget = e("Sub", e.constant(1, np.float32), i)
        else:
            forget = gate(2, cell, 2)
        new = e("Add", e("Mul", forget, cell), new)
    return e("Mul", gate(1, new, 1), h(new)), new


def _gru_step(e: Expansion, d: _Direction, inputs: str, state: str) -> str:
    """Return the next state."""
    f, g = d.activations
    linear = bool(e.node.attributes.get("linear_before_reset", 0))
    product = ""
    if state:
        weights = d.recurrent if linear else e.slice(d.recurrent, 1, 0, 2 * d.size)
        product = e("MatMul", state, weights)

    def gate(index: int) -> str:
        part = e.slice(inputs, 1, index * d.size, (index + 1) * d.size)
        if product:
            part = e("Add", part, e.slice(product, 1, index * d.size, (index + 1) * d.size))
        return f(_clipped(e, part))

    update, reset = gate(0), gate(1)
    candidate = e.slice(inputs, 1, 2 * d.size, 3 * d.size)
    if linear:
        inner = e.slice(product, 1, 2 * d.size, 3 * d.size) if product else ""
        if d.bias:
            inner = e("Add", inner, d.bias) if inner else d.bias
        if inner:
            candidate = e("Add", candidate, e("Mul", reset, inner))
    elif state:
        weights = e.slice(d.recurrent, 1, 2 * d.size, 3 * d.size)
        candidate = _plus_product(e, candidate, e("Mul", reset, state), weights)
    fresh = e("Mul", e("Sub", e.constant(1, np.float32), update), g(_clipped(e, candidate)))
    return e("Add", fresh, e("Mul", update, state)) if state else fresh


def _plus_product(e: Expansion, addend: str, state: str, weights: str) -> str:
    """Return addend + state weights; a state that is absent is 0."""
    return e("Add", addend, e("MatMul", state, weights)) if state else addend


def _clipped(e: Expansion, name: str) -> str:
    """Hold what goes into an activation in the node's range, if it has one."""
    if "clip" not in e.node.attributes:
        return name
    limit = abs(float(e.node.attributes["clip"]))
    return e("Clip", name, e.constant(-limit, np.float32), e.constant(limit, np.float32))


def _activations(e: Expansion, index: int) -> tuple[Activate, ...]:
    """Return a direction's activation functions."""
    defaults = _DEFAULTS[e.node.operator]
    known = {name.lower(): name for name in _ACTIVATIONS}
    given = list(e.node.attributes.get("activations", []) or defaults * (index + 1))
    names = [name.decode() if isinstance(name, bytes) else str(name) for name in given]
    wrong = [name for name in names if name.lower() not in known]
    if wrong or len(names) < len(defaults) * (index + 1):
        raise ValueError(f"node {e.node.label}: activations {names} must be of {', '.join(_ACTIVATIONS)}")
    pools = [list(e.node.attributes.get(f"activation_{which}", [])) for which in ("alpha", "beta")]
    functions: list[Activate] = []
    for position, name in enumerate(known[name.lower()] for name in names):
        values = list(_ACTIVATIONS[name])
        for place in range(len(values)):  # alphas and betas are listed for the functions that take them
            if pools[place]:
                values[place] = float(pools[place].pop(0))
        if position // len(defaults) == index:
            functions.append(_function(e, name, values))
    return tuple(functions)


def _function(e: Expansion, name: str, values: list[float]) -> Activate:
    """Return an activation function of names."""
    if name in ("Affine", "ScaledTanh"):
        alpha, beta = (e.constant(value, np.float32) for value in values)
        if name == "Affine":
            return lambda x: e("Add", e("Mul", x, alpha), beta)
        return lambda x: e("Mul", e("Tanh", e("Mul", x, beta)), alpha)
    attributes: dict[str, Any] = dict(zip(("alpha", "beta"), values, strict=False))
    return lambda x: e(name, x, **attributes)


def _check_lengths(e: Expansion, steps: int) -> None:
    """Raise unless every sequence has all steps."""
    name = e.present(4)
    if not name:
        return
    known = e.pattern.constant(e.node, 4)
    if (known != steps).any():
        raise ValueError(f"node {e.node.label}: sequence_lens must all be {steps}, not {known.tolist()}")
