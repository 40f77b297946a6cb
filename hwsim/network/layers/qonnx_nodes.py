# SPDX-License-Identifier: Apache-2.0
"""QONNX quantizers in a graph: as layers, as constant codes, as codes that products read."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from hwsim.formats import FloatSpec, Specials
from hwsim.network.affine import BIPOLAR, FLOAT_FORMATS, AffineQuantization
from hwsim.network.float_quantization import FormatQuantization
from hwsim.network.graph import TensorSpec
from hwsim.network.layers.finn import WholeNumbers
from hwsim.network.layers.qonnx import (
    ROUNDINGS,
    BipolarQuant,
    FloatQuant,
    IntQuant,
    QonnxQuantizer,
    Trunc,
    largest_value,
)
from hwsim.network.layers.quantize_linear import Dequantize
from hwsim.network.pattern import Operand, Pattern, RawNode

__all__ = [
    "DOMAINS",
    "QONNX_QUANTIZERS",
    "build_quantizer",
    "build_trunc",
    "coded_once",
]

Array = npt.NDArray[Any]

DOMAINS = ("onnx.brevitas", "finn.custom_op.general", "qonnx.custom_op.general")
_MAX_INTEGER_BITS = 24  # wider integers are not all float32 values, in which QONNX computes


def build_quantizer(node: RawNode, pattern: Pattern) -> None:
    """Build a Quant, IntQuant, BipolarQuant or FloatQuant whose values somebody reads."""
    behind = pattern.codes_behind(node.outputs[0])
    if behind is None:
        pattern.add(_layer(node, pattern, node.outputs[0], coded=False))
        return
    if behind.constant is not None:
        raise ValueError(f"node {node.label}: a constant must not be computed by a layer")
    pattern.add(
        Dequantize(
            name=pattern.fresh(f"{node.name}_values"),
            operator=node.operator,
            inputs=(behind.spec.name,),
            outputs=node.outputs,
            quantization=behind.quantization,
        )
    )


def build_trunc(node: RawNode, pattern: Pattern) -> None:
    """Build a Trunc."""
    version2 = len(node.inputs) > 5
    known = [_parameter(node, pattern, index) for index in range(1, len(node.inputs))]
    output_bits = known[4 if version2 else 3]
    if version2:
        _whole(node, "output bit width", output_bits)
    pattern.add(
        Trunc(
            name=node.name,
            operator=node.operator,
            inputs=(pattern.plain(node.inputs[0]).spec.name,),
            outputs=node.outputs,
            scale=_scale(node, known[0]),
            quantization=None,
            zero_point=known[1],
            input_bits=known[2],
            output_bits=output_bits,
            mode=_rounding(node, "FLOOR"),
            output_scale=_scale(node, known[3]) if version2 else None,
            signed=bool(node.attributes.get("signed", 1)),
            narrow=bool(node.attributes.get("narrow", 0)),
        )
    )


def _quantizer(node: RawNode, pattern: Pattern) -> Operand | None:
    """Return the codes of a quantizer: a constant's at once, else those of a layer; None where it has none."""
    source = pattern.plain(node.inputs[0])
    if source.constant is not None:
        layer = _layer(node, pattern, node.outputs[0], coded=True)
        values = source.values
        (spec,) = layer.output_specs((TensorSpec(name=node.inputs[0], shape=values.shape, dtype="float32"),))
        with np.errstate(all="ignore"):
            levels = layer.levels(values)
        if layer.quantization is None:
            return Operand(spec=spec, constant=layer.values(levels).astype(np.float32))
        return Operand(spec=spec, constant=layer.codes(levels), quantization=layer.quantization)
    return coded_once(node, pattern, lambda name: _layer(node, pattern, name, coded=True))


def coded_once(node: RawNode, pattern: Pattern, make: Callable[[str], QonnxQuantizer | WholeNumbers]) -> Operand | None:
    """Return the codes that a node gives, by one layer for all its readers; None where it gives no codes.

    `make` takes the name of the tensor of codes.
    """
    name = pattern.coded_name(node.outputs[0])
    if name not in pattern.specs:
        layer = make(name)
        if layer.quantization is None:
            return None
        pattern.add(layer)
    made = next(layer for layer in pattern.layers if name in layer.outputs)
    assert isinstance(made, QonnxQuantizer | WholeNumbers)
    return Operand(spec=pattern.specs[name], quantization=made.quantization)


QONNX_QUANTIZERS = {
    (domain, operator): _quantizer
    for domain in DOMAINS
    for operator in ("BipolarQuant", "FloatQuant", "IntQuant", "Quant")
}


def _layer(node: RawNode, pattern: Pattern, output: str, *, coded: bool) -> QonnxQuantizer:
    """Make a quantizer's layer."""
    source = pattern.plain(node.inputs[0])
    rank = len(source.spec.shape)
    count = {"BipolarQuant": 2, "FloatQuant": 6}.get(node.operator, 4)
    if len(node.inputs) != count:
        raise ValueError(f"node {node.label} must have {count} inputs, not {len(node.inputs)}")
    known = [_parameter(node, pattern, index) for index in range(1, count)]
    scale = _scale(node, known[0])
    common: dict[str, Any] = {
        "name": node.name,
        "operator": node.operator,
        "inputs": (node.inputs[0],),
        "outputs": (output,),
        "scale": scale,
    }
    along = _along_axis(scale, rank) if coded else None
    if node.operator == "BipolarQuant":
        return BipolarQuant(**common, quantization=_affine(along, np.zeros(()), BIPOLAR, narrow=False))
    if node.operator == "FloatQuant":
        return _float_quant(node, known, along, common)
    bits = _whole(node, "bit width", known[2])
    signed, narrow = bool(node.attributes["signed"]), bool(node.attributes["narrow"])
    bipolar = bits == 1 and signed
    dtype = BIPOLAR if bipolar else f"{'' if signed else 'u'}int{bits}"
    fits = bits <= _MAX_INTEGER_BITS and not (bits == 1 and narrow and not bipolar)
    quantization = _affine(along if fits else None, known[1], dtype, narrow=narrow and not bipolar)
    return IntQuant(
        **common,
        quantization=quantization,
        zero_point=known[1],
        bits=bits,
        signed=signed,
        narrow=narrow,
        mode=_rounding(node),
    )


def _float_quant(
    node: RawNode, known: list[Array], along: tuple[Array, int | None] | None, common: Mapping[str, Any]
) -> FloatQuant:
    """Make a FloatQuant."""
    scale, *numbers = known
    del scale
    exponent, mantissa, bias, largest = (_one(node, value) for value in numbers)
    saturates = bool(node.attributes.get("saturation", 1))
    has_inf, has_nan = (bool(node.attributes.get(key, 0)) for key in ("has_inf", "has_nan"))
    if not saturates and not (has_inf or has_nan):
        raise ValueError(f"node {node.label}: what does not saturate must have has_inf or has_nan")
    for what, value in (("exponent bit width", exponent), ("mantissa bit width", mantissa)):
        _whole(node, what, value)
    quantization = None
    spec = _float_format(exponent, mantissa, bias, largest, None if saturates else has_inf)
    if along is not None and spec is not None:
        dtype = {ours: name for name, ours in FLOAT_FORMATS.items()}.get(spec.name, spec.name)
        quantization = FormatQuantization(format=spec, dtype=dtype, scale=along[0], axis=along[1])
    return FloatQuant(
        **common,
        quantization=quantization,
        exponent=exponent,
        mantissa=mantissa,
        bias=bias,
        max_value=largest,
        mode=_rounding(node),
        saturates=saturates,
        has_inf=has_inf,
        has_nan=has_nan,
    )


def _float_format(
    exponent: Array, mantissa: Array, bias: Array, largest: Array, infinite: bool | None
) -> FloatSpec | None:
    """Return the format with the values of a FloatQuant, and infinity or NaN where asked for; None if there is none."""
    high = float(largest_value(exponent, mantissa, bias, largest))
    if float(bias) != int(bias):
        return None
    wanted = {None: (Specials.FN, Specials.IEEE, Specials.FINITE), True: (Specials.IEEE,), False: (Specials.FN,)}
    for specials in wanted[infinite]:
        try:
            spec = FloatSpec(exp_bits=int(exponent), man_bits=int(mantissa), bias=int(bias), specials=specials)
        except ValueError:
            continue
        exact = spec.max_value == high
        if specials is Specials.FINITE:  # a largest value below the format's leaves codes unused
            exact = spec.max_value >= high and float(spec.decode(spec.encode(np.float64(high)))) == high
        if exact and spec.bits <= 16 and "_e" in spec.name:
            return spec
    return None


def _affine(
    along: tuple[Array, int | None] | None, zero_point: Array, dtype: str, *, narrow: bool
) -> AffineQuantization | None:
    """Return the quantization of integer levels; None where it is not one scale and whole zero points."""
    if along is None or not np.isfinite(zero_point).all() or (zero_point != np.rint(zero_point)).any():
        return None
    scale, axis = along
    if zero_point.size != 1 or np.abs(zero_point).max() >= 2**31:
        return None
    zeros = np.broadcast_to(zero_point.reshape(()).astype(np.int64), scale.shape)
    return AffineQuantization(scale=scale, zero_point=zeros, dtype=dtype, axis=axis, narrow=narrow)


def _along_axis(scale: Array, rank: int) -> tuple[Array, int | None] | None:
    """Return scales as one number or a vector along an axis; None where they run along several."""
    axes = [index for index, size in enumerate(scale.shape) if size > 1]
    if scale.ndim > rank or len(axes) > 1 or scale.dtype != np.float32:
        return None
    if not axes:
        return scale.reshape(()), None
    return scale.reshape(-1), axes[0] + rank - scale.ndim


def _parameter(node: RawNode, pattern: Pattern, index: int) -> Array:
    """Return an input that must be a constant of numbers."""
    operand = pattern.plain(node.inputs[index])
    if operand.constant is None:
        raise ValueError(f"node {node.label}: input {index} ({node.inputs[index]!r}) must be a constant")
    value = operand.constant
    if value.dtype.kind not in "fiu" or not np.isfinite(value).all() or not value.size:
        raise ValueError(f"node {node.label}: input {index} ({node.inputs[index]!r}) must be finite numbers")
    return value


def _scale(node: RawNode, value: Array) -> Array:
    if (value == 0).any():
        raise ValueError(f"node {node.label}: a scale must not be 0")
    return value


def _one(node: RawNode, value: Array) -> Array:
    if value.size != 1:
        raise ValueError(f"node {node.label}: widths, bias and max_val must be one number, not shape {value.shape}")
    return value.reshape(())


def _whole(node: RawNode, what: str, value: Array) -> int:
    """Return a width, checked to be a whole number from 0 to 32, a bit width from 1."""
    number = float(_one(node, value))
    least = 0 if what.startswith("mantissa") else 1
    if number != int(number) or not least <= number <= 32:
        raise ValueError(f"node {node.label}: the {what} must be a whole number in {least}..32, not {number:g}")
    return int(number)


def _rounding(node: RawNode, default: str = "ROUND") -> str:
    """Return a node's rounding mode, checked: ROUND, HALF_EVEN, CEIL, FLOOR, UP, DOWN, HALF_UP or HALF_DOWN."""
    mode = str(node.attributes.get("rounding_mode", default)).upper()
    if mode not in ROUNDINGS:
        raise ValueError(f"node {node.label}: rounding_mode must be one of {', '.join(ROUNDINGS)}, not {mode!r}")
    return mode
