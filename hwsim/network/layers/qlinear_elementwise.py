# SPDX-License-Identifier: Apache-2.0
"""com.microsoft QLinearMul, QLinearSigmoid and QLinearLeakyRelu, in ONNX Runtime's order of float32 operations."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from hwsim.network.affine import AffineQuantization, storage_type
from hwsim.network.graph import Engine, Shape, TensorSpec
from hwsim.network.layers.elementwise import Elementwise, broadcast, broadcast_keeps_batch, operand_fields
from hwsim.network.pattern import Pattern, RawNode, affine
from hwsim.network.requantize import Rule

__all__ = [
    "QLinearLeakyRelu",
    "QLinearMul",
    "QLinearSigmoid",
    "build_qlinear_leaky_relu",
    "build_qlinear_mul",
    "build_qlinear_sigmoid",
]

Array = npt.NDArray[Any]

# The rational approximation of the logistic function: onnxruntime mlas/lib/logistic.cpp, MlasLogisticConstants.
_LOGISTIC_ODD = (
    4.37031012579801e-11,
    1.15627324459942e-07,
    6.08574864600143e-05,
    8.51377133304701e-03,
    2.48287947061529e-01,
)
_LOGISTIC_EVEN = (
    6.10247389755681e-13,
    5.76102136993427e-09,
    6.29106785017040e-06,
    1.70198817374094e-03,
    1.16817656904453e-01,
    9.93151921023180e-01,
)
_LOGISTIC_RANGE = 18.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class QLinearMul(Elementwise):
    """The product of two tensors of codes, broadcast."""

    kind: ClassVar[str] = "mul"

    def shape(self, shapes: tuple[Shape, ...]) -> Shape:
        """Return the broadcast shape."""
        return broadcast(self, shapes)

    def keeps_batch(self, specs: tuple[TensorSpec, ...]) -> bool:
        """Tell whether axis 0 is the batch of every operand."""
        return broadcast_keeps_batch(specs, self.constants)

    def compute(self, values: tuple[Array, ...]) -> Array:
        """Multiply, rounded once."""
        return np.asarray(values[0] * values[1])

    def run(self, values: tuple[Array, ...], engine: Engine, rule: Rule) -> tuple[Array, ...]:
        """Multiply codes less their zero points by one float32 factor; the zero point is added before the rounding.

        Source: onnxruntime mlas/lib/qlmul.cpp, MlasQLinearMulKernel.
        """
        if rule is not Rule.ONNX:
            return Elementwise.run(self, values, engine, rule)
        first, second = self.quantizations
        output = self.output_quantization
        assert isinstance(first, AffineQuantization)
        assert isinstance(second, AffineQuantization)
        assert isinstance(output, AffineQuantization)
        x, y = self._operands(values)
        product = (x.astype(np.int32) - np.int32(first.zero_point)) * (y.astype(np.int32) - np.int32(second.zero_point))
        factor = np.float32(np.float32(first.scale * second.scale) / output.scale)
        rounded = np.rint(product.astype(np.float32) * factor + np.float32(output.zero_point))
        return (np.clip(rounded, output.low, output.high).astype(storage_type(output.dtype)),)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Table(Elementwise):
    """A function of one tensor of codes, which ONNX Runtime tabulates over all codes."""

    def run(self, values: tuple[Array, ...], engine: Engine, rule: Rule) -> tuple[Array, ...]:
        """Look every code up."""
        if rule is not Rule.ONNX:
            return Elementwise.run(self, values, engine, rule)
        (source,) = self.quantizations
        output = self.output_quantization
        assert isinstance(source, AffineQuantization)
        assert isinstance(output, AffineQuantization)
        codes = np.arange(source.low, source.high + 1).astype(storage_type(source.dtype))
        table = output.quantize(self.compute((source.dequantize(codes),)))
        (x,) = self._operands(values)
        return (table[x.astype(np.int64) - source.low],)

    @abstractmethod
    def compute(self, values: tuple[Array, ...]) -> Array:
        """Return the function of float32 values."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class QLinearSigmoid(_Table):
    """The logistic function, by ONNX Runtime's rational approximation."""

    kind: ClassVar[str] = "sigmoid"

    def compute(self, values: tuple[Array, ...]) -> Array:
        """Evaluate the approximation in float32."""
        x = np.clip(values[0], np.float32(-_LOGISTIC_RANGE), np.float32(_LOGISTIC_RANGE))
        square = x * x
        odd, even = np.float32(0), np.float32(0)
        for coefficient in _LOGISTIC_ODD:
            odd = odd * square + np.float32(coefficient)
        for coefficient in _LOGISTIC_EVEN:
            even = even * square + np.float32(coefficient)
        return np.asarray(np.clip(odd * x / even + np.float32(0.5), np.float32(0), np.float32(1)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class QLinearLeakyRelu(_Table):
    """x where it is not negative, else alpha times x.

    Parameters
    ----------
    alpha : float
    """

    kind: ClassVar[str] = "leaky_relu"

    alpha: float

    def compute(self, values: tuple[Array, ...]) -> Array:
        """Evaluate in float32."""
        x = values[0]
        return np.asarray(np.where(x >= 0, x, np.float32(self.alpha) * x))


def build_qlinear_mul(node: RawNode, pattern: Pattern) -> None:
    """Build a QLinearMul: A, its scale and zero point, B, its scale and zero point, C's scale and zero point."""
    operands = [pattern.plain(node.inputs[index]) for index in (0, 3)]
    fields = operand_fields(operands)
    fields["quantizations"] = tuple(
        _parameters(node, pattern, index + 1, operand.spec.dtype)
        for operand, index in zip(operands, (0, 3), strict=True)
    )
    output = _parameters(node, pattern, 6, operands[0].spec.dtype)
    pattern.add(
        QLinearMul(**fields, name=node.name, operator=node.operator, outputs=node.outputs, output_quantization=output)
    )


def build_qlinear_sigmoid(node: RawNode, pattern: Pattern) -> None:
    """Build a QLinearSigmoid."""
    pattern.add(QLinearSigmoid(**_table_fields(node, pattern)))


def build_qlinear_leaky_relu(node: RawNode, pattern: Pattern) -> None:
    """Build a QLinearLeakyRelu."""
    alpha = float(node.attributes.get("alpha", 0.01))
    pattern.add(QLinearLeakyRelu(**_table_fields(node, pattern), alpha=alpha))


def _table_fields(node: RawNode, pattern: Pattern) -> dict[str, Any]:
    """Return the fields of a function of X, its scale and zero point, Y's scale and zero point."""
    operand = pattern.plain(node.inputs[0])
    return {
        **operand_fields([operand]),
        "name": node.name,
        "operator": node.operator,
        "outputs": node.outputs,
        "quantizations": (_parameters(node, pattern, 1, operand.spec.dtype),),
        "output_quantization": _parameters(node, pattern, 3, operand.spec.dtype),
    }


def _parameters(node: RawNode, pattern: Pattern, index: int, dtype: str) -> AffineQuantization:
    """Return a scale and its optional zero point, for a tensor as a whole."""
    zero = pattern.constant(node, index + 1) if node.present(index + 1) else None
    found = affine(node, pattern.constant(node, index), zero, dtype)
    if found.axis is not None or dtype not in ("int8", "uint8"):
        raise ValueError(f"node {node.label}: operands must be int8 or uint8 with one scale, not {dtype}")
    return found
