# SPDX-License-Identifier: Apache-2.0
"""Element-wise layers: any function of `functions.FUNCTIONS`, with broadcasting, and Where."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from hwsim.network.graph import Shape, TensorSpec
from hwsim.network.layers.elementwise import Elementwise, broadcast, broadcast_keeps_batch
from hwsim.network.layers.functions import FUNCTIONS, Function
from hwsim.network.pattern import Pattern, RawNode

__all__ = [
    "Activation",
    "Arithmetic",
    "Comparison",
    "Logic",
    "Pointwise",
    "Transcendental",
    "Where",
    "build_pointwise",
    "build_where",
]

Array = npt.NDArray[Any]

_KINDS = {"f": "floats", "i": "signed integers", "u": "unsigned integers", "b": "bools"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pointwise(Elementwise):
    """A function of one or more tensors, element by element, broadcast; its family is the layer's kind.

    Parameters
    ----------
    attributes : mapping of str to float or str
        The function's parameters, by their ONNX names; the function is that of `operator` in `FUNCTIONS`.
    """

    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def function(self) -> Function:
        """What is computed."""
        return FUNCTIONS[self.operator]

    @property
    def parameters(self) -> int:
        """Number of constants among the operands."""
        return sum(0 if value is None else value.size for value in self.constants)

    def shape(self, shapes: tuple[Shape, ...]) -> Shape:
        """Return the broadcast shape."""
        return broadcast(self, shapes)

    def result_type(self, types: tuple[str, ...]) -> str:
        """Return bool for what is a truth, else the type of the operands (the first's where a power's differ)."""
        kinds = ["f" if name == "bfloat16" else _kind(name) for name in types]
        wrong = [name for name, kind in zip(types, kinds, strict=True) if kind not in self.function.types]
        if wrong:
            wanted = " or ".join(_KINDS[kind] for kind in self.function.types)
            raise ValueError(f"layer {self.name!r}: {self.operator} needs {wanted}, not {wrong[0]}")
        if len(set(types)) > 1 and self.operator != "Pow":
            raise ValueError(
                f"layer {self.name!r}: {self.operator} needs operands of one type, not {' and '.join(types)}"
            )
        return "bool" if self.function.truth else types[0]

    def keeps_batch(self, specs: tuple[TensorSpec, ...]) -> bool:
        """Tell whether axis 0 is the batch of every operand."""
        return broadcast_keeps_batch(specs, self.constants)

    def compute(self, values: tuple[Array, ...]) -> Array:
        """Compute the function, rounded to the operands' type."""
        dtype = values[0].dtype
        narrow = dtype.kind == "V"  # bfloat16: computed in float32, then rounded
        operands = tuple(value.astype(np.float32) for value in values) if narrow else values
        with np.errstate(all="ignore"):
            try:
                result = np.asarray(self.function.compute(*operands, **self.attributes))
            except ValueError as error:
                raise ValueError(f"layer {self.name!r}: {error}") from None
            return result if self.function.truth else result.astype(dtype, copy=False)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Activation(Pointwise):
    """Compare, select and multiply."""

    kind: ClassVar[str] = "activation"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Transcendental(Pointwise):
    """A curve that needs a table or a series."""

    kind: ClassVar[str] = "transcendental"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Arithmetic(Pointwise):
    """One operation on two or more tensors."""

    kind: ClassVar[str] = "arithmetic"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Comparison(Pointwise):
    """A truth for each element."""

    kind: ClassVar[str] = "comparison"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Logic(Pointwise):
    """An operation on truths or on bits."""

    kind: ClassVar[str] = "logic"


_FAMILIES: Mapping[str, type[Pointwise]] = {
    layer.kind: layer for layer in (Activation, Arithmetic, Comparison, Logic, Transcendental)
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Where(Elementwise):
    """The second operand where the first is true, else the third, broadcast."""

    kind: ClassVar[str] = "select"
    moves_only: ClassVar[bool] = True
    plain: ClassVar[tuple[int, ...]] = (0,)

    def shape(self, shapes: tuple[Shape, ...]) -> Shape:
        """Return the broadcast shape."""
        return broadcast(self, shapes)

    def keeps_batch(self, specs: tuple[TensorSpec, ...]) -> bool:
        """Tell whether axis 0 is the batch of every operand."""
        return broadcast_keeps_batch(specs, self.constants)

    def compute(self, values: tuple[Array, ...]) -> Array:
        """Select."""
        return np.where(*values)


def build_pointwise(node: RawNode, pattern: Pattern) -> None:
    """Build a layer of any operator of `FUNCTIONS`, float or QDQ."""
    function = FUNCTIONS[node.operator]
    count = len(node.inputs) if function.operands is None else function.operands
    attributes = {
        name: type(default)(node.attributes.get(name, default)) for name, default in function.attributes.items()
    }
    family = _FAMILIES[function.family]
    pattern.add(family(**family.fields(node, pattern, count), attributes=attributes))


def build_where(node: RawNode, pattern: Pattern) -> None:
    """Build a Where."""
    pattern.add(Where(**Where.fields(node, pattern, 3)))


def _kind(name: str) -> str:
    """Return numpy's letter for an element type; nothing for one that numpy does not compute with."""
    try:
        return np.dtype(name).kind
    except TypeError:
        return "none"
