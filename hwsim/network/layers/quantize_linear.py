# SPDX-License-Identifier: Apache-2.0
"""QuantizeLinear and DequantizeLinear that stand alone."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from hwsim.network.affine import AffineQuantization, storage_type
from hwsim.network.graph import Engine, Layer, TensorSpec
from hwsim.network.pattern import Pattern, RawNode
from hwsim.network.requantize import Rule, requantize_codes

__all__ = [
    "Dequantize",
    "Quantize",
    "build_dequantize",
    "build_quantize",
]

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Quantize(Layer):
    """Values, or codes of another quantization, to codes.

    Parameters
    ----------
    quantization : AffineQuantization
        Of the output.
    source : AffineQuantization or None
        Of the input, where it is codes.
    """

    kind: ClassVar[str] = "quantize"

    quantization: AffineQuantization
    source: AffineQuantization | None = None

    def output_specs(self, specs: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
        """Return the codes' spec."""
        return (TensorSpec(name=self.outputs[0], shape=specs[0].shape, dtype=self.quantization.dtype),)

    def run(self, values: tuple[Array, ...], engine: Engine, rule: Rule) -> tuple[Array, ...]:
        """Quantize by the rule: ties to even (ONNX), or away from zero (TFLite)."""
        del engine
        target = self.quantization
        if self.source is not None:
            if rule is Rule.TFLITE and self.source.axis is None and target.axis is None:
                return (requantize_codes(values[0], self.source, target),)
            return (target.quantize(self.source.dequantize(values[0])),)
        if rule is Rule.TFLITE and target.axis is None:
            # tflite/kernels/internal/reference/quantize.h, AffineQuantize: TfLiteRound is half away from zero.
            quotient = np.asarray(values[0], np.float32) / target.scale
            rounded = np.trunc(quotient + np.copysign(np.float32(0.5), quotient)).astype(np.float64)
            return (np.clip(rounded + target.zero_point, target.low, target.high).astype(storage_type(target.dtype)),)
        return (target.quantize(values[0]),)

    def keeps_batch(self, specs: tuple[TensorSpec, ...]) -> bool:
        """Tell whether no scale runs along the batch."""
        axis = self.quantization.axis
        return axis is None or axis % len(specs[0].shape) != 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dequantize(Layer):
    """Codes to values.

    Parameters
    ----------
    quantization : AffineQuantization
        Of the input.
    """

    kind: ClassVar[str] = "dequantize"

    quantization: AffineQuantization

    def output_specs(self, specs: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
        """Return the values' spec."""
        return (TensorSpec(name=self.outputs[0], shape=specs[0].shape, dtype="float32"),)

    def run(self, values: tuple[Array, ...], engine: Engine, rule: Rule) -> tuple[Array, ...]:
        """Return (code - zero_point) * scale."""
        del engine, rule
        return (self.quantization.dequantize(values[0]),)

    def keeps_batch(self, specs: tuple[TensorSpec, ...]) -> bool:
        """Tell whether no scale runs along the batch."""
        axis = self.quantization.axis
        return axis is None or axis % len(specs[0].shape) != 0


def build_quantize(node: RawNode, pattern: Pattern) -> None:
    """Build a QuantizeLinear."""
    quantization = _quantization(node, pattern)
    behind = pattern.operand(node.inputs[0])
    pattern.add(
        Quantize(
            name=node.name,
            operator=node.operator,
            inputs=(behind.spec.name,),
            outputs=node.outputs,
            quantization=quantization,
            source=behind.quantization,
        )
    )


def build_dequantize(node: RawNode, pattern: Pattern) -> None:
    """Build a DequantizeLinear whose values somebody reads."""
    pattern.add(
        Dequantize(
            name=node.name,
            operator=node.operator,
            inputs=(pattern.plain(node.inputs[0]).spec.name,),
            outputs=node.outputs,
            quantization=_quantization(node, pattern),
        )
    )


def _quantization(node: RawNode, pattern: Pattern) -> AffineQuantization:
    """Return the node's parameters, or an error that says what of it cannot be run."""
    quantization = pattern.quantization(node)
    if quantization is None:
        raise ValueError(f"node {node.label}: scale and zero point must be constants, not blocked, of an integer type")
    return quantization
