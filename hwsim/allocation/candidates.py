# SPDX-License-Identifier: Apache-2.0
"""The formats a layer may have, each with the unit that computes it, and an engine with a unit for each layer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import gcd
from typing import Any

import numpy.typing as npt

from hwsim import datapath, formats
from hwsim.accelerator import Accelerator, UnitEngine
from hwsim.datapath import DotProductUnit
from hwsim.formats import BlockSpec, PhaseSpec
from hwsim.network import ExactEngine, Layer, MatmulShape, Network
from hwsim.network.layers.multiply_accumulate import MultiplyAccumulate

__all__ = [
    "OPERAND_BITS",
    "Candidate",
    "MixedEngine",
    "candidates",
    "hardware",
    "product_layers",
]

OPERAND_BITS = 64
"""Bits of one operand that every candidate's unit takes in a step, so that narrow formats have more lanes."""

Ranges = Mapping[str, tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A format of both operands of a layer, and its unit: `hwsim.datapath.comparable` with `lanes` products a step."""

    name: str
    unit: DotProductUnit


def candidates(
    names: Sequence[str], operand_bits: int = OPERAND_BITS, *, lanes: int | None = None
) -> tuple[Candidate, ...]:
    """Return the candidates of formats.

    Parameters
    ----------
    names : sequence of str
        At least two different formats that hold values of both signs.
    operand_bits : int
        A unit has the largest power of two of lanes whose elements fit in so many bits, at least one.
    lanes : int, optional
        The same number for every unit instead; block formats take no more than divide their blocks.

    Raises
    ------
    KeyError, TypeError, ValueError
        For formats that are unknown, twice there, or have no unit, and for no number of lanes.
    """
    if len(set(names)) != len(names) or len(names) < 2:
        raise ValueError(f"candidates must be at least two different formats, not {', '.join(names) or 'none'}")
    if lanes is not None and (isinstance(lanes, bool) or not isinstance(lanes, int)):
        raise TypeError(f"lanes must be an int, not {lanes!r}")
    if lanes is not None and lanes < 1:
        raise ValueError(f"lanes must be at least 1, not {lanes}")
    found = []
    for name in names:
        spec = formats.named(name)
        if isinstance(spec, PhaseSpec):
            raise ValueError(f"a candidate must hold real values, and {name} is a format of complex numbers")
        bits = spec.element.bits if isinstance(spec, BlockSpec) else spec.bits
        width = lanes or 1 << (max(operand_bits // bits, 1).bit_length() - 1)
        if isinstance(spec, BlockSpec) and spec.block_size:
            width = gcd(width, spec.block_size)
        found.append(Candidate(name=name, unit=datapath.comparable(name, width)))
    return tuple(found)


def product_layers(network: Network) -> dict[str, MatmulShape]:
    """Return the float layers that are matrix products, with their sizes for a pass of the network's batch.

    Raises
    ------
    ValueError
        Where there is none, or one that is quantized already.
    """
    found = {}
    for layer in network.layers:
        if isinstance(layer, MultiplyAccumulate):
            if layer.quantized or layer.b_quantization is not None:
                raise ValueError(f"layer {layer.name!r} is quantized already: give the float network")
            shape = layer.matmul_shape(network.specs(layer))
            assert shape is not None
            found[layer.name] = shape
    if not found:
        raise ValueError(f"network {network.name!r} has no layer that is a matrix product")
    return found


def hardware(accelerator: Accelerator, candidate: Candidate) -> Accelerator:
    """Return an accelerator with another unit, and all else alike."""
    return replace(accelerator, name=f"{accelerator.name}_{candidate.name}", unit=candidate.unit)


class MixedEngine(ExactEngine):
    """Each layer's products on the unit of its own format; float32 for layers without one.

    Parameters
    ----------
    candidates : sequence of Candidate
    ranges : mapping of layer name to the largest magnitudes of its operands
        `hwsim.network.calibrate`.
    assignment : mapping of layer name to the name of a candidate
    """

    def __init__(self, candidates: Sequence[Candidate], ranges: Ranges, assignment: Mapping[str, str]) -> None:
        engines = {each.name: UnitEngine(each.unit, ranges) for each in candidates}
        self._engines = {layer: engines[name] for layer, name in assignment.items()}

    def matmul(self, layer: Layer, a: npt.NDArray[Any], b: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Multiply `groups` pairs of matrices (see `hwsim.network.Engine`)."""
        engine = self._engines.get(layer.name)
        return super().matmul(layer, a, b) if engine is None else engine.matmul(layer, a, b)
