# SPDX-License-Identifier: Apache-2.0
"""What every layer without multiply-accumulates does: dequantize, compute, activate, quantize, by the rule."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from hwsim.network.affine import AffineQuantization
from hwsim.network.float_quantization import BlockQuantization
from hwsim.network.graph import Engine, Layer, Shape, TensorSpec
from hwsim.network.pattern import Operand, Pattern, RawNode
from hwsim.network.requantize import Activation, Rule, requantize_codes

__all__ = [
    "Elementwise",
    "broadcast",
    "broadcast_keeps_batch",
    "operand_fields",
]

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Elementwise(Layer):
    """A layer computed on values, or on codes where its inputs and its output are quantized.

    Parameters
    ----------
    constants : tuple of ndarray or None
        One entry an operand: its value where it is constant, None where it is the next of `inputs`.
    quantizations : tuple of AffineQuantization or None
        One entry an operand; all None where the layer works on the tensors as they are.
    output_quantization : AffineQuantization or None
    activation : tuple of two floats or None
        Range of the Relu or Clip computed with the layer.
    """

    kind: ClassVar[str] = "elementwise"
    moves_only: ClassVar[bool] = False  # whether the layer only moves values, so that codes can pass as they are
    fuses_activation: ClassVar[bool] = True
    plain: ClassVar[tuple[int, ...]] = ()  # operands that are indices or conditions: of another type, never codes

    constants: tuple[Array | None, ...] = (None,)
    quantizations: tuple[AffineQuantization | None, ...] = (None,)
    output_quantization: AffineQuantization | None = None
    activation: Activation | None = None

    @classmethod
    def fields(cls, node: RawNode, pattern: Pattern, count: int, output: int = 0) -> dict[str, Any]:
        """Return the fields of a layer for a node's first `count` inputs and an output, what follows it taken in."""
        names = node.inputs[:count]
        if len(names) < count or not all(names):
            raise ValueError(f"node {node.label} must have {count} inputs, not {len([name for name in names if name])}")
        data = [name for index, name in enumerate(names) if index not in cls.plain and name not in pattern.constants]
        coded = [_is_coded(name, pattern) for name in data]
        tail = pattern.tail(node.outputs[output], cls.fuses_activation) if coded and all(coded) else None
        if tail is not None and tail.quantization is None:
            tail = None
        operands = [
            pattern.plain(name) if tail is None or index in cls.plain else _operand(name, pattern)
            for index, name in enumerate(names)
        ]
        return {
            "name": node.name if output == 0 else pattern.fresh(f"{node.name}_{output}"),
            "operator": node.operator,
            **operand_fields(operands),
            "outputs": (node.outputs[output] if tail is None else tail.output,),
            "output_quantization": None if tail is None else tail.quantization,
            "activation": None if tail is None else tail.activation,
        }

    @abstractmethod
    def compute(self, values: tuple[Array, ...]) -> Array:
        """Return the output's values from the operands' values (or codes, where nothing is quantized)."""

    def shape(self, shapes: tuple[Shape, ...]) -> Shape:
        """Return the output's shape, given the operands'."""
        return shapes[0]

    def output_specs(self, specs: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
        """Return the output's spec."""
        operands = self._operands(specs)
        shape = self.shape(tuple(tuple(value.shape) for value in operands))
        quantization = self.output_quantization
        if quantization is None:
            dtype = self.result_type(tuple(_type_name(value) for value in operands))
        else:
            dtype = quantization.dtype
        return (TensorSpec(name=self.outputs[0], shape=shape, dtype=dtype),)

    def result_type(self, types: tuple[str, ...]) -> str:
        """Return the element type of an output that is not quantized, given those of all operands."""
        data = [name for index, name in enumerate(types) if index not in self.plain]
        if len(set(data)) > 1 or not (self.moves_only or data[0] == "float32"):
            wanted = "operands of one type" if self.moves_only else "float32 operands"
            raise ValueError(f"layer {self.name!r}: {self.operator} needs {wanted}, not {' and '.join(data)}")
        return data[0]

    def run(self, values: tuple[Array, ...], engine: Engine, rule: Rule) -> tuple[Array, ...]:
        """Compute on codes or on values, as the rule says."""
        del engine
        operands = self._operands(values)
        output = self.output_quantization
        if output is None:
            return (self.compute(operands),)
        if rule is Rule.TFLITE:
            return (self.compute_tflite(operands),)
        if self.moves_only and self.activation is None and self._same_codes():
            return (self.compute(operands),)
        return (output.quantize(self.activated(self.compute(self.dequantized(operands)))),)

    def compute_tflite(self, operands: tuple[Array, ...]) -> Array:
        """Return the output's codes from the operands' codes by the TFLite rule.

        By default the operands are first brought to the output's quantization, as TFLite converters do with a
        QUANTIZE operator, and then only moved.
        """
        assert self.output_quantization is not None
        if not self.moves_only:
            raise ValueError(f"layer {self.name!r}: the TFLite rule has no integer kernel for {self.operator}")
        return self.compute(tuple(self.to_output(operands)))

    def to_output(self, operands: tuple[Array, ...]) -> list[Array]:
        """Bring every operand's codes to the output's quantization by the TFLite rule."""
        output = self.output_quantization
        assert output is not None
        moved = []
        for index, (codes, quantization) in enumerate(zip(operands, self.quantizations, strict=True)):
            if index in self.plain:
                moved.append(codes)
                continue
            source = self.tflite_quantization(quantization)
            moved.append(requantize_codes(codes, source, output, self.activation))
        return moved

    def tflite_quantization(self, quantization: AffineQuantization | None) -> AffineQuantization:
        """Return a quantization, checked to be one the TFLite rule can use."""
        if quantization is None or quantization.axis is not None:
            raise ValueError(f"layer {self.name!r}: the TFLite rule needs operands with one scale for the tensor")
        return quantization

    def dequantized(self, operands: tuple[Array, ...]) -> tuple[Array, ...]:
        """Return the operands' values."""
        pairs = zip(operands, self.quantizations, strict=True)
        return tuple(codes if q is None else q.dequantize(codes) for codes, q in pairs)

    def activated(self, values: Array) -> Array:
        """Apply the activation computed with the layer."""
        if self.activation is None:
            return values
        return np.clip(values, np.float32(self.activation[0]), np.float32(self.activation[1]))

    def _operands(self, varying: tuple[Any, ...]) -> tuple[Any, ...]:
        """Put the constants between what varies."""
        rest = iter(varying)
        return tuple(next(rest) if constant is None else constant for constant in self.constants)

    def _same_codes(self) -> bool:
        """Whether every operand has the output's quantization, so that codes need no arithmetic."""
        output = self.output_quantization
        data = [q for index, q in enumerate(self.quantizations) if index not in self.plain]
        return output is not None and all(q is not None and q.same_as(output) for q in data)


def _is_coded(name: str, pattern: Pattern) -> bool:
    """Tell whether codes are behind a tensor."""
    node = pattern.producer(name)
    return node is not None and pattern.is_lazy(node)


def _operand(name: str, pattern: Pattern) -> Operand:
    """Return an operand as codes, where they are of one scale or one a channel that is known."""
    operand = pattern.coded(name)
    other = any(operand.varying) or isinstance(operand.quantization, BlockQuantization)
    return pattern.plain(name) if other else operand


def _type_name(value: TensorSpec | Array) -> str:
    """Return the element type of a tensor or a constant."""
    return value.dtype if isinstance(value, TensorSpec) else value.dtype.name


def broadcast(layer: Layer, shapes: tuple[Shape, ...]) -> Shape:
    """Return the shape that all broadcast to."""
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        shown = " and ".join(str(shape) for shape in shapes)
        raise ValueError(f"layer {layer.name!r}: shapes {shown} do not broadcast") from None


def broadcast_keeps_batch(specs: tuple[TensorSpec, ...], constants: tuple[Array | None, ...]) -> bool:
    """Tell whether axis 0 is the batch of every operand that varies, and no constant has one."""
    rank = max((len(spec.shape) for spec in specs), default=0)
    if rank == 0 or any(len(spec.shape) != rank or spec.shape[0] != specs[0].shape[0] for spec in specs):
        return False
    return all(
        value.ndim < rank or (value.ndim == rank and value.shape[0] == 1) for value in constants if value is not None
    )


def operand_fields(operands: list[Operand]) -> dict[str, Any]:
    """Return the fields that say where the operands of a layer come from."""
    return {
        "inputs": tuple(operand.spec.name for operand in operands if operand.constant is None),
        "constants": tuple(operand.constant for operand in operands),
        "quantizations": tuple(operand.quantization for operand in operands),
    }
