# SPDX-License-Identifier: Apache-2.0
"""Shapes of all tensors of a graph, as its layers have them, found when first asked for.

onnx's own inference is not used: on a damaged file (a GatherND of negative batch_dims, a Split of too many outputs) it
ends the process.
"""

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy.typing as npt

from hwsim.network.fuse import Fused, fuse
from hwsim.network.graph import Shape, TensorSpec
from hwsim.network.pattern import RawNode

__all__ = [
    "StaticShapes",
]

Array = npt.NDArray[Any]


class StaticShapes(Mapping[str, Shape]):
    """The shape of each tensor by its name.

    Parameters
    ----------
    nodes : tuple of RawNode
    constants : mapping of str to ndarray
    inputs : tuple of TensorSpec
    outputs : tuple of str

    Raises
    ------
    ValueError
        When first asked, where a node is not what its layer can run.
    """

    def __init__(
        self,
        nodes: tuple[RawNode, ...],
        constants: Mapping[str, Array],
        inputs: tuple[TensorSpec, ...],
        outputs: tuple[str, ...],
    ) -> None:
        self._pattern = Fused(nodes, dict(constants), inputs, outputs)

    @cached_property
    def _built(self) -> Fused:
        fuse(self._pattern)
        return self._pattern

    def __getitem__(self, name: str) -> Shape:
        built = self._built
        try:
            return built.shape(name)
        except ValueError:
            raise KeyError(name) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._built.specs)

    def __len__(self) -> int:
        return len(self._built.specs)
