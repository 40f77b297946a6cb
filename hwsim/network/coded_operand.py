# SPDX-License-Identifier: Apache-2.0
"""The codes behind a tensor of a graph: through DequantizeLinear, QONNX quantizers, and what only moves elements."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from hwsim.formats import FloatSpec
from hwsim.network.affine import CODE_RANGES, FLOAT_FORMATS, AffineQuantization, element_bits, storage_type
from hwsim.network.element_types import element_type_of, held
from hwsim.network.float_quantization import BlockQuantization, FormatQuantization, Quantization, element_format
from hwsim.network.graph import TensorSpec
from hwsim.network.moves import MOVES, moved_axis
from hwsim.network.pattern import Operand, Pattern, RawNode, affine

__all__ = [
    "codes_behind",
    "is_lazy",
    "read_dequantize",
    "shifted",
]

Array = npt.NDArray[Any]
Quantizer = Callable[[RawNode, Pattern], Operand | None]

_PRODUCTS = ("Conv", "Gemm", "MatMul")
_SCALES = ("float32", "float16", "bfloat16", "float8e8m0", "float8e4m3fn")


def is_lazy(pattern: Pattern, node: RawNode, quantizers: Mapping[tuple[str, str], Quantizer]) -> bool:
    """Tell whether a node becomes a layer of its own only where somebody reads its floats.

    That holds of what turns codes to values, and of what moves the elements of such a tensor on to products alone.
    """
    if node.domain in ("", "com.microsoft") and node.operator == "DequantizeLinear":
        return True
    if (node.domain, node.operator) in quantizers:
        return True
    moves = node.operator in MOVES or _is_plain_max_pool(node)
    if node.domain != "" or not moves or len(node.outputs) > 1 or not node.inputs:
        return False
    before, after = pattern.producer(node.inputs[0]), pattern.readers(node.outputs[0])
    if before is None or not after or not is_lazy(pattern, before, quantizers):
        return False
    return all(reader.operator in _PRODUCTS or _leads_to_products(pattern, reader) for reader in after)


def _leads_to_products(pattern: Pattern, node: RawNode) -> bool:
    """Tell whether a node moves elements, to products alone."""
    if node.domain != "" or not (node.operator in MOVES or _is_plain_max_pool(node)) or len(node.outputs) > 1:
        return False
    after = pattern.readers(node.outputs[0])
    return bool(after) and all(r.operator in _PRODUCTS or _leads_to_products(pattern, r) for r in after)


def _is_plain_max_pool(node: RawNode) -> bool:
    """Tell whether a node takes maxima of elements alone, which keep their order as codes."""
    if node.operator != "MaxPool":
        return False
    padded = any(node.attributes.get("pads", ())) or node.attributes.get("auto_pad", "NOTSET") not in (
        "NOTSET",
        "VALID",
    )
    return not padded and not node.attributes.get("ceil_mode", 0)


def codes_behind(pattern: Pattern, name: str, quantizers: Mapping[tuple[str, str], Quantizer]) -> Operand | None:
    """Return the codes behind a tensor of floats, or None where there are none.

    Parameters
    ----------
    pattern : Pattern
    name : str
    quantizers : mapping of (domain, operator) to a function
        Operators that quantize and dequantize at once (QONNX); None of the function: it has no codes.
    """
    node = pattern.producer(name)
    if name in pattern.constants or node is None:
        return None
    if node.operator == "DequantizeLinear":
        return read_dequantize(node, pattern)
    if (node.domain, node.operator) in quantizers:
        return quantizers[node.domain, node.operator](node, pattern)
    moves = node.domain == "" and (node.operator in MOVES or _is_plain_max_pool(node)) and len(node.outputs) == 1
    return _moved(node, pattern) if moves and node.inputs else None


def read_dequantize(node: RawNode, pattern: Pattern) -> Operand | None:
    """Return the codes and the parameters of a DequantizeLinear; None where these are no codes for a product.

    Raises
    ------
    ValueError
        Where types or shapes do not fit.
    """
    source = _codes(node, pattern, 0)
    if str(node.attributes.get("output_dtype", "undefined")) not in ("undefined", "float"):
        return None
    if node.attributes.get("block_size"):
        return _read_blocks(node, pattern, source)
    if not all(pattern.is_known(name) for name in node.inputs[1:] if name):
        return _dynamic(node, pattern, source)
    quantization = _scalar(node, pattern, source)
    return None if quantization is None else replace(source, quantization=quantization)


def _codes(node: RawNode, pattern: Pattern, index: int) -> Operand:
    """Return an input that is codes."""
    name = node.inputs[index]
    if name in pattern.constants:
        value = pattern.constants[name]
        spec = TensorSpec(name=name, shape=value.shape, dtype=element_type_of(value).layer_name)
        return Operand(spec=spec, constant=held(value))
    return pattern.plain(name)


def _scalar(node: RawNode, pattern: Pattern, source: Operand) -> Quantization | None:
    """Return the parameters of a tensor with one scale, or one a channel."""
    dtype = source.spec.dtype
    scale = _parameter(node, pattern, 1)
    zero = _parameter(node, pattern, 2) if node.present(2) else None
    if zero is not None and (kind := element_type_of(zero).layer_name) != dtype:
        raise ValueError(f"node {node.label}: {source.spec.name!r} is {dtype}, its zero point {kind}")
    axis = int(node.attributes.get("axis", 1))
    if scale.size != 1 and not -len(source.spec.shape) <= axis < len(source.spec.shape):
        raise ValueError(f"node {node.label}: axis {axis} is not one of {source.spec.shape}")
    if dtype in CODE_RANGES:
        return affine(node, scale, zero, dtype, axis)
    if dtype not in FLOAT_FORMATS:
        return None
    if zero is not None and (held(zero) != 0).any():
        raise ValueError(f"node {node.label}: the zero point of {dtype} must be 0")
    scales = affine(node, scale, None, "int8", axis)  # for its checks
    return _checked(
        node, FormatQuantization, format=element_format(dtype), dtype=dtype, scale=scales.scale, axis=scales.axis
    )


def _dynamic(node: RawNode, pattern: Pattern, source: Operand) -> Operand | None:
    """Return codes whose one scale, and maybe zero point, are computed by the network; None for other forms."""
    dtype = source.spec.dtype
    if source.constant is not None or not (dtype in CODE_RANGES or dtype in FLOAT_FORMATS):
        return None
    varying = []
    for index in (1, 2):
        given = pattern.plain(node.inputs[index]) if node.present(index) else None
        if given is not None and prod(given.spec.shape) != 1:
            return None
        varying.append("" if given is None or given.constant is not None else given.spec.name)
    kinds = ("float32", dtype)
    if any(name and pattern.specs[name].dtype != kind for name, kind in zip(varying, kinds, strict=True)):
        return None
    scale = np.ones((), np.float32)
    if not varying[0]:
        scale = affine(node, _parameter(node, pattern, 1), None, "int8").scale
    quantization: Quantization
    if dtype in FLOAT_FORMATS:
        if varying[1] or (node.present(2) and held(_parameter(node, pattern, 2)).any()):
            return None
        quantization = _checked(node, FormatQuantization, format=element_format(dtype), dtype=dtype, scale=scale)
    else:
        zero = _parameter(node, pattern, 2) if node.present(2) and not varying[1] else None
        quantization = affine(node, scale, zero, dtype)
    return replace(source, quantization=quantization, varying=(varying[0], varying[1]))


def _parameter(node: RawNode, pattern: Pattern, index: int) -> Array:
    """Return a scale or a zero point that is known, itself dequantized where it is codes."""
    value = pattern.plain(node.inputs[index]).constant
    if value is None:
        raise ValueError(f"node {node.label}: input {index} ({node.inputs[index]!r}) must be a constant")
    return value


def _read_blocks(node: RawNode, pattern: Pattern, source: Operand) -> Operand | None:
    """Return the codes and the block scales of a blocked DequantizeLinear."""
    dtype, shape = source.spec.dtype, source.spec.shape
    if dtype not in CODE_RANGES and dtype not in FLOAT_FORMATS:
        raise ValueError(f"node {node.label}: {source.spec.name!r} must be codes, not {dtype}")
    axis = int(node.attributes.get("axis", 1))
    if not -len(shape) <= axis < len(shape):
        raise ValueError(f"node {node.label}: axis {axis} is not one of {shape}")
    scales, outer = _block_scales(node, pattern)
    if scales.spec.dtype not in _SCALES:
        raise ValueError(
            f"node {node.label}: block scales must be one of {', '.join(_SCALES)}, not {scales.spec.dtype}"
        )
    if scales.spec.dtype in ("float16", "bfloat16") and "output_dtype" not in node.attributes:
        return None  # then the values are of that type too
    form = element_format(scales.spec.dtype)
    assert isinstance(form, FloatSpec)
    size = int(node.attributes["block_size"])
    wanted = (*shape[: axis % len(shape)], -(-shape[axis] // max(size, 1)), *shape[axis % len(shape) + 1 :])
    if scales.spec.shape != wanted:
        raise ValueError(f"node {node.label}: scales must have shape {wanted}, not {scales.spec.shape}")
    constant, dtype = _without_zero_points(node, pattern, source, wanted, axis, size)
    quantization = _checked(
        node,
        BlockQuantization,
        format=element_format(dtype),
        dtype=dtype,
        scale_format=form,
        block_size=size,
        axis=axis % len(shape),
        scales=None if scales.constant is None else _raw(scales.constant),
        tensor_scale=outer,
    )
    if constant is None and source.constant is not None:
        return None
    spec = replace(source.spec, dtype=dtype)
    varying = None if scales.constant is not None else scales.spec
    return Operand(spec=spec, constant=constant, quantization=quantization, scales=varying)


def _block_scales(node: RawNode, pattern: Pattern) -> tuple[Operand, np.float32]:
    """Return the scales of blocks, and the scale of the tensor where they are codes under one (NVFP4)."""
    name = node.inputs[1]
    inner = pattern.producer(name)
    if name in pattern.constants or inner is None or inner.operator != "DequantizeLinear":
        if name in pattern.constants:
            value = pattern.constants[name]
            spec = TensorSpec(name=name, shape=value.shape, dtype=element_type_of(value).layer_name)
            return Operand(spec=spec, constant=value), np.float32(1)
        return pattern.plain(name), np.float32(1)
    found = read_dequantize(inner, pattern)
    quantization = None if found is None or any(found.varying) else found.quantization
    if found is None or not isinstance(quantization, FormatQuantization) or quantization.axis is not None:
        return pattern.plain(name), np.float32(1)
    return replace(found, quantization=None), np.float32(quantization.scale)


def _without_zero_points(
    node: RawNode, pattern: Pattern, source: Operand, wanted: tuple[int, ...], axis: int, size: int
) -> tuple[Array | None, str]:
    """Return constant codes with the zero points of their blocks taken out, and the type that then holds them."""
    dtype = source.spec.dtype
    if not node.present(2):
        return source.constant, dtype
    zero = held(pattern.constant(node, 2))
    if zero.shape != wanted:
        raise ValueError(f"node {node.label}: zero points must have shape {wanted}, not {zero.shape}")
    if not zero.any():
        return source.constant, dtype
    if dtype not in CODE_RANGES or source.constant is None:
        raise ValueError(f"node {node.label}: zero points of blocks must be 0, but for constants of integers")
    spread = np.take(zero, np.arange(source.spec.shape[axis]) // size, axis=axis)
    return shifted(source.constant, spread, dtype)


def shifted(codes: Array, zero_points: Array, dtype: str) -> tuple[Array, str]:
    """Subtract zero points from integer codes: the result, and the smallest signed type of it."""
    difference = codes.astype(np.int64) - zero_points.astype(np.int64)
    bits = element_bits(dtype)
    low, high = int(difference.min(initial=0)), int(difference.max(initial=0))
    fits = -(2 ** (bits - 1)) <= low and high < 2 ** (bits - 1)
    name = f"int{bits if fits else bits + 1}"
    return difference.astype(storage_type(name)), name


def _raw(scales: Array) -> npt.NDArray[np.unsignedinteger]:
    """Return the codes of scales."""
    array = np.ascontiguousarray(scales)
    return array.view(f"u{array.dtype.itemsize}")


def _moved(node: RawNode, pattern: Pattern) -> Operand | None:
    """Return the codes of a tensor behind an operator that moves elements; None where its scales do not move along."""
    inner = pattern.codes_behind(node.inputs[0])
    if inner is None or inner.quantization is None:
        return None
    if node.operator == "MaxPool":
        ordered = (
            inner.varying == ("", "")
            and isinstance(inner.quantization, AffineQuantization)
            and inner.quantization.axis is None
        )
        if not ordered or inner.constant is not None or inner.quantization.scale < 0:
            return None
        return Operand(spec=_codes_layer(node, pattern, inner), quantization=inner.quantization)
    move = MOVES[node.operator]
    given = pattern.constants.get(node.inputs[1]) if node.present(1) else None
    if node.present(1) and given is None:
        return None
    target = move(node, np.broadcast_to(np.int8(0), inner.spec.shape), given).shape
    quantization = _moved_quantization(node, inner, target)
    if quantization is None:
        return None
    if inner.constant is not None:
        spec = TensorSpec(name=node.outputs[0], shape=target, dtype=inner.spec.dtype)
        return Operand(spec=spec, constant=move(node, inner.constant, given), quantization=quantization)
    return Operand(spec=_codes_layer(node, pattern, inner), quantization=quantization, varying=inner.varying)


def _codes_layer(node: RawNode, pattern: Pattern, inner: Operand) -> TensorSpec:
    """Build a node once more, on codes; return the spec of what it gives."""
    name = pattern.coded_name(node.outputs[0])
    if name not in pattern.specs:
        inputs = (inner.spec.name, *node.inputs[1:])
        pattern.emit(replace(node, name=pattern.fresh(f"{node.name}_codes"), inputs=inputs, outputs=(name,)))
    return pattern.specs[name]


def _moved_quantization(node: RawNode, inner: Operand, target: tuple[int, ...]) -> Quantization | None:
    """Return the parameters of moved codes."""
    quantization: Quantization | None = inner.quantization
    assert quantization is not None
    if quantization.axis is None:
        return quantization
    axis = moved_axis(node, inner.spec.shape, target, quantization.axis)
    if axis is None:
        return None
    if isinstance(quantization, BlockQuantization):
        if quantization.scales is None or node.operator != "Transpose":
            return None
        return replace(quantization, axis=axis, scales=MOVES["Transpose"](node, quantization.scales, None))
    return replace(quantization, axis=axis)


def _checked(node: RawNode, kind: Callable[..., Quantization], **fields: Any) -> Quantization:
    """Make a quantization; its errors name the node."""
    try:
        return kind(**fields)
    except ValueError as error:
        raise ValueError(f"node {node.label}: {error}") from None
