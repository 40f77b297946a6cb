# SPDX-License-Identifier: Apache-2.0
"""What quantization did: layer by layer, and method by method."""

import json
from dataclasses import asdict, dataclass
from typing import Any

__all__ = [
    "LayerReport",
    "Report",
    "Step",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerReport:
    """A product. Ratios of signal to quantization noise in dB on the calibration set; None where there is no noise.

    weights, activations : names of formats, None for float32
    weight_bits : all bits of the weights with their scales and zero points
    weight_sqnr_db : of the weights (after the methods that change them in float)
    output_sqnr_db : of the layer's output, the noise of all layers before it included
    """

    name: str
    operator: str
    weights: str | None
    activations: str | None
    weight_bits: int
    weight_sqnr_db: float | None
    output_sqnr_db: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A method: the ratio of the network's output, and of each layer's, once it is added to those before it."""

    name: str
    output_sqnr_db: float | None
    layers_sqnr_db: dict[str, float | None]
    places: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The result of `quantize` in figures.

    output_sqnr_db : of the network's outputs against the float network that was given
    steps : first "round to nearest", then each method with those before it
    folded : batch normalizations and additions that went into weights
    left : products that stay in float32, and why
    opset : of the written file; None where none was written
    """

    output_sqnr_db: float | None
    layers: tuple[LayerReport, ...]
    steps: tuple[Step, ...]
    folded: tuple[str, ...]
    left: tuple[str, ...]
    opset: int | None
    recipe: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """Return all figures as JSON-ready values."""
        return asdict(self)

    def to_json(self) -> str:
        """Return them as JSON."""
        return json.dumps(self.as_dict())

    def lines(self) -> list[str]:
        """Return the steps and notes, a sentence a line."""
        lines = []
        for step in self.steps:
            lines.append(f"{step.name}: output {_db(step.output_sqnr_db)}")
            lines.extend(f"  {place}" for place in step.places)
        lines.extend(f"folded: {each}" for each in self.folded)
        lines.extend(f"left in float32: {each}" for each in self.left)
        return lines


def _db(value: float | None) -> str:
    return "without noise" if value is None else f"{value:.2f} dB"
