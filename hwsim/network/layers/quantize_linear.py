# SPDX-License-Identifier: Apache-2.0
"""QuantizeLinear and DequantizeLinear that stand alone."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from hwsim.network.affine import CODE_RANGES, FLOAT_FORMATS, AffineQuantization, storage_type
from hwsim.network.coded_operand import read_dequantize
from hwsim.network.element_types import ElementType, element_type, element_type_of, held, layer_type, typed
from hwsim.network.float_quantization import BlockQuantization, FormatQuantization, Quantization, element_format
from hwsim.network.graph import Engine, Layer, Shape, TensorSpec
from hwsim.network.pattern import Pattern, RawNode, affine
from hwsim.network.quantize_linear import dequantize_linear, quantize_linear
from hwsim.network.requantize import Rule, requantize_codes

__all__ = [
    "ArrayConversion",
    "Dequantize",
    "Quantize",
    "build_dequantize",
    "build_quantize",
]

Array = npt.NDArray[Any]

_VALUES = ("float32", "float16", "bfloat16", "float64", "int32")
_LISTED = f"{', '.join(_VALUES[:-1])} or {_VALUES[-1]}"


def check_scales(layer: Layer, quantization: Quantization, shape: Shape) -> None:
    """Raise ValueError where a scale an axis is not one for each of the axis' elements."""
    if quantization.axis is None or isinstance(quantization, BlockQuantization):
        return
    axis, size = quantization.axis, quantization.scale.size
    if not -len(shape) <= axis < len(shape):
        raise ValueError(f"layer {layer.name!r}: axis must be in {-len(shape)}..{len(shape) - 1}, not {axis}")
    if shape[axis] != size:
        raise ValueError(f"layer {layer.name!r}: {size} scales do not fit an axis of {shape[axis]} elements")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Quantize(Layer):
    """Values, or codes of another quantization, to codes.

    Parameters
    ----------
    quantization : AffineQuantization or FormatQuantization
        Of the output.
    source : AffineQuantization or None
        Of the input, where it is codes.
    """

    kind: ClassVar[str] = "quantize"

    quantization: AffineQuantization | FormatQuantization
    source: AffineQuantization | None = None

    def output_specs(self, specs: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
        """Return the codes' spec."""
        if self.source is None and specs[0].dtype not in _VALUES:
            raise ValueError(f"layer {self.name!r}: {self.operator} needs values of {_LISTED}, not {specs[0].dtype}")
        check_scales(self, self.quantization, specs[0].shape)
        return (TensorSpec(name=self.outputs[0], shape=specs[0].shape, dtype=self.quantization.dtype),)

    def run(self, values: tuple[Array, ...], engine: Engine, rule: Rule) -> tuple[Array, ...]:
        """Quantize by the rule: ties to even (ONNX), or away from zero (TFLite)."""
        del engine
        target = self.quantization
        if isinstance(target, FormatQuantization):
            return (target.quantize(values[0] if self.source is None else self.source.dequantize(values[0])),)
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
    quantization : AffineQuantization, FormatQuantization or BlockQuantization
        Of the input.
    """

    kind: ClassVar[str] = "dequantize"

    quantization: Quantization

    def output_specs(self, specs: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
        """Return the values' spec."""
        check_scales(self, self.quantization, specs[0].shape)
        return (TensorSpec(name=self.outputs[0], shape=specs[0].shape, dtype="float32"),)

    def run(self, values: tuple[Array, ...], engine: Engine, rule: Rule) -> tuple[Array, ...]:
        """Return (code - zero_point) * scale."""
        del engine, rule
        return (self.quantization.dequantize(values[0]),)

    def keeps_batch(self, specs: tuple[TensorSpec, ...]) -> bool:
        """Tell whether no scale runs along the batch: those of blocks always do."""
        if isinstance(self.quantization, BlockQuantization):
            return False
        axis = self.quantization.axis
        return axis is None or axis % len(specs[0].shape) != 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ArrayConversion(Layer):
    """QuantizeLinear or DequantizeLinear of any types, blocks, and parameters that may vary: on arrays, as ONNX says.

    Parameters
    ----------
    constants : tuple of ndarray or None
        The scale, and the zero point where there is one, as onnx has them; None for what varies.
    types : tuple of str
        Element types of the inputs that vary.
    target : ElementType
        Of the output.
    axis, block_size, saturate, precision
        As `hwsim.network.quantize_linear.quantize_linear` takes them.
    """

    kind: ClassVar[str] = "quantize"

    constants: tuple[Array | None, ...]
    types: tuple[str, ...]
    target: ElementType
    axis: int
    block_size: int
    saturate: bool = True
    precision: ElementType | None = None

    def output_specs(self, specs: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
        """Return the output's spec."""
        return (TensorSpec(name=self.outputs[0], shape=specs[0].shape, dtype=self.target.layer_name),)

    def keeps_batch(self, specs: tuple[TensorSpec, ...]) -> bool:
        """Tell whether parameters that vary have the batch of the input, and no other has one."""
        rank = len(specs[0].shape)
        if self.block_size:
            return self.axis % rank != 0 and all(constant is None for constant in self.constants)
        along = [0 if constant is None else constant.size for constant in self.constants]
        return all(size == 1 for size in along) or (all(along) and self.axis % rank != 0)

    def run(self, values: tuple[Array, ...], engine: Engine, rule: Rule) -> tuple[Array, ...]:
        """Convert."""
        del engine, rule
        return (self.converted(values),)

    def converted(self, values: tuple[Array, ...]) -> Array:
        """Return the output of inputs as layers hold them."""
        x, *varying = (typed(value, kind) for value, kind in zip(values, self.types, strict=True))
        scale, *zero = (varying.pop(0) if constant is None else constant for constant in self.constants)
        zero_point = zero[0] if zero else None
        try:
            if self.operator == "DequantizeLinear":
                y = dequantize_linear(
                    x, scale, zero_point, target=self.target, axis=self.axis, block_size=self.block_size
                )
            else:
                y = quantize_linear(
                    x,
                    scale,
                    zero_point,
                    target=self.target,
                    axis=self.axis,
                    block_size=self.block_size,
                    saturate=self.saturate,
                    precision=self.precision,
                )
        except ValueError as error:
            raise ValueError(f"layer {self.name!r}: {error}") from error
        return held(y)


def build_quantize(node: RawNode, pattern: Pattern) -> None:
    """Build a QuantizeLinear."""
    quantization = _target(node, pattern)
    if quantization is None:
        _add_conversion(node, pattern)
        return
    behind = pattern.operand(node.inputs[0])
    if behind.quantization is None and behind.spec.dtype != "float32":
        _add_conversion(node, pattern)
        return
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
    found = read_dequantize(node, pattern)
    if found is None or found.scales is not None or found.constant is not None or any(found.varying):
        _add_conversion(node, pattern)
        return
    pattern.add(
        Dequantize(
            name=node.name,
            operator=node.operator,
            inputs=(found.spec.name,),
            outputs=node.outputs,
            quantization=found.quantization,
        )
    )


def _target(node: RawNode, pattern: Pattern) -> AffineQuantization | FormatQuantization | None:
    """Return the parameters of a QuantizeLinear; None where they vary, are blocked, or of a type of their own."""
    if node.attributes.get("block_size") or any(n not in pattern.constants for n in node.inputs[1:] if n):
        return None
    scale = pattern.constants[node.inputs[1]]
    if scale.dtype != np.float32 or node.attributes.get("precision"):
        return None
    kind = _quantized_type(node, pattern).layer_name
    axis = int(node.attributes.get("axis", 1))
    if kind in CODE_RANGES:
        return affine(node, scale, pattern.constants[node.inputs[2]] if node.present(2) else None, kind, axis)
    if kind not in FLOAT_FORMATS:
        raise ValueError(f"node {node.label}: {kind} is no type of codes")
    if node.present(2) and held(pattern.constants[node.inputs[2]]).any():
        return None
    scales = affine(node, scale, None, "int8", axis)  # for its checks
    saturate = bool(node.attributes.get("saturate", 1))
    return FormatQuantization(
        format=element_format(kind), dtype=kind, scale=scales.scale, axis=scales.axis, saturate=saturate
    )


def _quantized_type(node: RawNode, pattern: Pattern) -> ElementType:
    """Return the type that a QuantizeLinear makes."""
    if node.present(2):
        name = node.inputs[2]
        held_here = name in pattern.constants
        return element_type_of(pattern.constants[name]) if held_here else layer_type(pattern.plain(name).spec.dtype)
    given = str(node.attributes.get("output_dtype", "undefined"))
    return layer_type("uint8" if given == "undefined" else given)


def _check_types(node: RawNode, scale: ElementType, x: ElementType) -> None:
    """Raise ValueError where the scale, or what is quantized, is of a type that the operator does not take."""
    quantizes = node.operator == "QuantizeLinear"
    wide = ("FLOAT", "FLOAT16", "BFLOAT16", "DOUBLE", *(("INT32",) if quantizes else ()))
    if scale.name not in (*wide, "FLOAT8E8M0"):
        raise ValueError(f"node {node.label}: the scale must be of a float type, not {scale.layer_name}")
    if quantizes and x.name not in wide:
        raise ValueError(f"node {node.label} needs values of {_LISTED}, not {x.layer_name}")


def _add_conversion(node: RawNode, pattern: Pattern) -> None:
    """Append a conversion on arrays; of a constant by constants, compute it."""
    names = [name for name in node.inputs if name]
    data = node.inputs[0]
    x = pattern.constants.get(data)
    first = data if x is not None else pattern.plain(data).spec.name
    known = [pattern.constants.get(name) for name in names[1:]]
    for index, name in enumerate(names[1:]):
        if known[index] is None:
            known[index] = pattern.plain(name).constant
    varying = [name for name, constant in zip(names[1:], known, strict=True) if constant is None]
    scale = known[0]
    scale_type = layer_type(pattern.specs[names[1]].dtype) if scale is None else element_type_of(scale)
    _check_types(node, scale_type, element_type_of(x) if x is not None else layer_type(pattern.specs[first].dtype))
    precision = node.attributes.get("precision", 0)
    single = layer_type("float32")
    if node.operator == "DequantizeLinear":
        given = str(node.attributes.get("output_dtype", "undefined"))
        target = scale_type if given == "undefined" else layer_type("float32" if given == "float" else given)
        target = single if target.name == "FLOAT8E8M0" else target
    else:
        target = _quantized_type(node, pattern)
    layer = ArrayConversion(
        name=node.name,
        operator=node.operator,
        inputs=(first, *varying),
        outputs=node.outputs,
        constants=tuple(known),
        types=tuple(pattern.specs[name].dtype for name in (first, *varying) if name in pattern.specs),
        target=target,
        axis=int(node.attributes.get("axis", 1)),
        block_size=int(node.attributes.get("block_size", 0)),
        saturate=bool(node.attributes.get("saturate", 1)),
        precision=element_type(int(precision)) if precision else None,
    )
    if x is None:
        pattern.add(layer)
        return
    if varying:
        raise ValueError(f"node {node.label}: a constant must have a constant scale and zero point")
    kind = element_type_of(x).layer_name
    value = replace(layer, types=(kind,)).converted((held(x),))
    pattern.constants[node.outputs[0]] = typed(value, layer.target.layer_name)
