# SPDX-License-Identifier: Apache-2.0
"""Reductions along axes: ReduceSum and its kin, ArgMax, CumSum, LogSoftmax, Hardmax.

Floats are reduced in float64 and rounded once, so that a result does not depend on an order of additions; integers in
64 bits, of which the low ones are kept.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from hwsim.network.graph import Shape, TensorSpec
from hwsim.network.layers.elementwise import Elementwise
from hwsim.network.layers.moves import integers, one_axis
from hwsim.network.pattern import Pattern, RawNode

__all__ = [
    "REDUCTIONS",
    "ArgExtreme",
    "Cumulative",
    "Reduce",
    "build_arg_extreme",
    "build_cumulative",
    "build_reduce",
]

Array = npt.NDArray[Any]
Axes = tuple[int, ...]


def _log_sum_exp(x: Array, axis: Axes, keepdims: bool) -> Any:
    top = np.max(x, axis=axis, keepdims=True, initial=-np.inf)
    shift = np.where(np.isfinite(top), top, 0)
    total = np.log(np.sum(np.exp(x - shift), axis=axis, keepdims=keepdims))
    return total + (shift if keepdims else np.squeeze(shift, axis=axis))


def _least(dtype: np.dtype[Any]) -> Any:
    """Return what any element is greater than, or equal to."""
    if dtype.kind in "iu":
        return np.iinfo(dtype).min
    return dtype.type(False) if dtype.kind == "b" else dtype.type(-np.inf)


def _greatest(dtype: np.dtype[Any]) -> Any:
    """Return what any element is less than, or equal to."""
    if dtype.kind in "iu":
        return np.iinfo(dtype).max
    return dtype.type(True) if dtype.kind == "b" else dtype.type(np.inf)


REDUCTIONS: Mapping[str, Callable[..., Any]] = {
    "ReduceL1": lambda x, **kw: np.sum(np.abs(x), **kw),
    "ReduceL2": lambda x, **kw: np.sqrt(np.sum(np.square(x), **kw)),
    "ReduceLogSum": lambda x, **kw: np.log(np.sum(x, **kw)),
    "ReduceLogSumExp": _log_sum_exp,
    "ReduceMax": lambda x, **kw: np.max(x, initial=_least(x.dtype), **kw),
    "ReduceMean": np.mean,
    "ReduceMin": lambda x, **kw: np.min(x, initial=_greatest(x.dtype), **kw),
    "ReduceProd": np.prod,
    "ReduceSum": np.sum,
    "ReduceSumSquare": lambda x, **kw: np.sum(np.square(x), **kw),
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reduce(Elementwise):
    """A function of all elements along some axes; which one `operator` says.

    Parameters
    ----------
    axes : tuple of int
        Not negative; none leaves each element its own group.
    keep : bool
        Whether the axes stay, of size 1.
    """

    kind: ClassVar[str] = "reduce"

    axes: Axes
    keep: bool

    def shape(self, shapes: tuple[Shape, ...]) -> Shape:
        """Return the shape without the axes."""
        sizes = [1 if axis in self.axes else size for axis, size in enumerate(shapes[0])]
        return tuple(size for axis, size in enumerate(sizes) if self.keep or axis not in self.axes)

    def result_type(self, types: tuple[str, ...]) -> str:
        """Return the type of the input, a number's."""
        return _number(self, types[0], self.operator in ("ReduceMax", "ReduceMin"))

    def keeps_batch(self, specs: tuple[TensorSpec, ...]) -> bool:
        """Tell whether axis 0 stays."""
        return len(specs[0].shape) > 0 and 0 not in self.axes

    def compute(self, values: tuple[Array, ...]) -> Array:
        """Reduce."""
        x = values[0]
        selects = self.operator in ("ReduceMax", "ReduceMin")
        if not selects:
            x = x.astype(np.float64 if x.dtype.kind not in "iu" else np.int64)
        with np.errstate(all="ignore"):
            result = np.asarray(REDUCTIONS[self.operator](x, axis=self.axes, keepdims=self.keep))
            return result.astype(values[0].dtype, copy=False)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ArgExtreme(Elementwise):
    """The index of the greatest or least element along an axis; codes of one positive scale are compared as they are.

    Parameters
    ----------
    axis : int
        Not negative.
    keep, last : bool
        Whether the axis stays, of size 1; whether the last of equals counts.
    """

    kind: ClassVar[str] = "reduce"

    axis: int
    keep: bool
    last: bool

    def shape(self, shapes: tuple[Shape, ...]) -> Shape:
        """Return the shape without the axis."""
        x = shapes[0]
        return (*x[: self.axis], *((1,) if self.keep else ()), *x[self.axis + 1 :])

    def result_type(self, types: tuple[str, ...]) -> str:
        """Return int64."""
        _number(self, types[0], False)
        return "int64"

    def keeps_batch(self, specs: tuple[TensorSpec, ...]) -> bool:
        """Tell whether axis 0 stays."""
        return self.axis != 0

    def compute(self, values: tuple[Array, ...]) -> Array:
        """Find the first or last extreme."""
        find = np.argmax if self.operator == "ArgMax" else np.argmin
        if not self.last:
            return np.asarray(find(values[0], axis=self.axis, keepdims=self.keep))
        found = find(np.flip(values[0], self.axis), axis=self.axis, keepdims=self.keep)
        return np.asarray(values[0].shape[self.axis] - 1 - found)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cumulative(Elementwise):
    """Along an axis, the sum or product of what came before: CumSum, CumProd.

    Parameters
    ----------
    axis : int
        Not negative.
    exclusive, reverse : bool
        Whether an element itself does not count; whether to start from the end.
    """

    kind: ClassVar[str] = "reduce"

    axis: int
    exclusive: bool
    reverse: bool

    def result_type(self, types: tuple[str, ...]) -> str:
        """Return the type of the input, a number's."""
        return _number(self, types[0], False)

    def keeps_batch(self, specs: tuple[TensorSpec, ...]) -> bool:
        """Tell whether the axis is not the batch."""
        return self.axis != 0

    def compute(self, values: tuple[Array, ...]) -> Array:
        """Accumulate."""
        sums = self.operator == "CumSum"
        x = np.moveaxis(values[0], self.axis, 0)
        x = (x[::-1] if self.reverse else x).astype(np.float64 if x.dtype.kind not in "iu" else np.int64)
        with np.errstate(all="ignore"):
            total = (np.cumsum if sums else np.cumprod)(x, axis=0)
        if self.exclusive:
            first = np.full_like(total[:1], 0 if sums else 1)
            total = np.concatenate([first, total[:-1]])
        total = (total[::-1] if self.reverse else total).astype(values[0].dtype)
        return np.asarray(np.moveaxis(total, 0, self.axis), order="C")


def build_reduce(node: RawNode, pattern: Pattern) -> None:
    """Build a reduction: axes are an attribute in older opsets, a constant input in newer ones."""
    rank = len(pattern.shape(node.inputs[0]))
    given: list[int] | None = None
    if "axes" in node.attributes:
        given = integers(node.attributes["axes"])
    elif node.present(1):
        given = integers(pattern.constant(node, 1))
    if not given:
        given = [] if node.attributes.get("noop_with_empty_axes", 0) else list(range(rank))
    axes = tuple(sorted({one_axis(node, axis, rank) for axis in given}))
    keep = bool(node.attributes.get("keepdims", 1))
    pattern.add(Reduce(**Reduce.fields(node, pattern, 1), axes=axes, keep=keep))


def build_arg_extreme(node: RawNode, pattern: Pattern) -> None:
    """Build an ArgMax or ArgMin, on codes where these have the order of their values."""
    behind = pattern.operand(node.inputs[0])
    quantization = behind.quantization
    if (
        quantization is None
        or quantization.axis is not None
        or not quantization.scale > 0
        or behind.constant is not None
    ):
        behind = pattern.plain(node.inputs[0])
    axis = one_axis(node, int(node.attributes.get("axis", 0)), len(behind.spec.shape))
    pattern.add(
        ArgExtreme(
            name=node.name,
            operator=node.operator,
            inputs=() if behind.constant is not None else (behind.spec.name,),
            constants=(behind.constant,),
            outputs=node.outputs,
            axis=axis,
            keep=bool(node.attributes.get("keepdims", 1)),
            last=bool(node.attributes.get("select_last_index", 0)),
        )
    )


def build_cumulative(node: RawNode, pattern: Pattern) -> None:
    """Build a CumSum or CumProd along a constant axis."""
    rank = len(pattern.shape(node.inputs[0]))
    axis = one_axis(node, int(pattern.constant(node, 1).reshape(())), rank)
    exclusive, reverse = (bool(node.attributes.get(name, 0)) for name in ("exclusive", "reverse"))
    fields = Cumulative.fields(node, pattern, 1)
    pattern.add(Cumulative(**fields, axis=axis, exclusive=exclusive, reverse=reverse))


def _number(layer: Elementwise, name: str, truths: bool) -> str:
    """Return an element type, or raise where it is not a number's."""
    try:
        kind = str(np.dtype(name).kind)
    except TypeError:
        kind = "none"
    if kind not in "iufV" and not (truths and kind == "b"):
        raise ValueError(f"layer {layer.name!r}: {layer.operator} needs numbers, not {name}")
    return name
