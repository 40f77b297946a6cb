# SPDX-License-Identifier: Apache-2.0
"""Operators that only move elements, on arrays: codes pass through them as values do."""

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import numpy.typing as npt

from hwsim.network.pattern import RawNode

__all__ = [
    "MOVES",
    "moved_axis",
]

Array = npt.NDArray[Any]
Move = Callable[[RawNode, Array, Array | None], Array]


def _transposed(node: RawNode, x: Array, given: Array | None) -> Array:
    del given
    permutation = node.attributes.get("perm", range(x.ndim - 1, -1, -1))
    if sorted(permutation) != list(range(x.ndim)):
        raise ValueError(f"node {node.label}: {list(permutation)} does not permute the axes of {x.shape}")
    return x.transpose(permutation)


def _reshaped(node: RawNode, x: Array, given: Array | None) -> Array:
    if given is None:
        raise ValueError(f"node {node.label}: the shape must be a constant")
    keep = not node.attributes.get("allowzero", 0)
    sizes = [int(size) for size in given.reshape(-1)]
    return _into(node, x, [x.shape[i] if keep and size == 0 and i < x.ndim else size for i, size in enumerate(sizes)])


def _flattened(node: RawNode, x: Array, given: Array | None) -> Array:
    del given
    axis = int(node.attributes.get("axis", 1))
    axis += x.ndim if axis < 0 else 0
    return _into(node, x, [prod(x.shape[:axis]), prod(x.shape[axis:])])


def _squeezed(node: RawNode, x: Array, given: Array | None) -> Array:
    axes = _axes(node, given)
    drop = [i for i, n in enumerate(x.shape) if n == 1] if axes is None else [axis % x.ndim for axis in axes]
    return _into(node, x, [size for i, size in enumerate(x.shape) if i not in drop])


def _unsqueezed(node: RawNode, x: Array, given: Array | None) -> Array:
    axes = _axes(node, given)
    if axes is None:
        raise ValueError(f"node {node.label}: axes must be given")
    rank = x.ndim + len(axes)
    ones = [axis % rank for axis in axes]
    rest = iter(x.shape)
    return _into(node, x, [1 if i in ones else next(rest, 1) for i in range(rank)])


def _identity(node: RawNode, x: Array, given: Array | None) -> Array:
    del node, given
    return x


def _into(node: RawNode, x: Array, shape: list[int]) -> Array:
    try:
        return x.reshape(shape)
    except ValueError:
        raise ValueError(f"node {node.label}: {x.shape} cannot take shape {tuple(shape)}") from None


def _axes(node: RawNode, given: Array | None) -> list[int] | None:
    if "axes" in node.attributes:
        return [int(axis) for axis in node.attributes["axes"]]
    return None if given is None else [int(axis) for axis in given.reshape(-1)]


MOVES: Mapping[str, Move] = {
    "Flatten": _flattened,
    "Identity": _identity,
    "Reshape": _reshaped,
    "Squeeze": _squeezed,
    "Transpose": _transposed,
    "Unsqueeze": _unsqueezed,
}


def moved_axis(node: RawNode, source: tuple[int, ...], target: tuple[int, ...], axis: int) -> int | None:
    """Return where an axis comes to lie when a node of `MOVES` makes `target` of `source`; None if nowhere whole."""
    axis %= len(source)
    if node.operator == "Transpose":
        return list(node.attributes.get("perm", range(len(source) - 1, -1, -1))).index(axis)
    for index, size in enumerate(target):
        if size == source[axis] and prod(target[:index]) == prod(source[:axis]):
            return index
    return None
