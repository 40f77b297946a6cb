# SPDX-License-Identifier: Apache-2.0
"""FINN's and QuantLab's operators in a graph: as layers, and as codes that products read."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from hwsim.network.affine import BIPOLAR, AffineQuantization, code_range
from hwsim.network.graph import Shape, TensorSpec
from hwsim.network.layers.finn import (
    Im2Col,
    MultiThreshold,
    QuantAveragePool,
    RequantShift,
    WholeNumbers,
    XnorPopcount,
)
from hwsim.network.layers.multiply_accumulate import Form
from hwsim.network.layers.qonnx_nodes import DOMAINS, coded_once
from hwsim.network.layers.quantize_linear import Dequantize
from hwsim.network.layers.window import Window
from hwsim.network.pattern import Operand, Pattern, RawNode

__all__ = [
    "FINN_QUANTIZERS",
    "build_im2col",
    "build_integers",
    "build_quant_average_pool",
    "build_xnor_popcount",
]

Array = npt.NDArray[Any]

_TYPE = re.compile(r"(U?)INT([1-9]|1\d|2[0-4])")


def build_integers(node: RawNode, pattern: Pattern) -> None:
    """Build a MultiThreshold or RequantShift whose values somebody reads."""
    behind = pattern.codes_behind(node.outputs[0])
    if behind is None:
        pattern.add(_layer(node, pattern, node.outputs[0], coded=False))
        return
    name = pattern.fresh(f"{node.name}_values")
    pattern.add(
        Dequantize(
            name=name,
            operator=node.operator,
            inputs=(behind.spec.name,),
            outputs=node.outputs,
            quantization=behind.quantization,
        )
    )


def build_im2col(node: RawNode, pattern: Pattern) -> None:
    """Build an Im2Col of values."""
    pattern.add(_im2col(node, pattern.plain(node.inputs[0]), node.name, node.outputs[0]))


def build_quant_average_pool(node: RawNode, pattern: Pattern) -> None:
    """Build a QuantAvgPool2d."""
    size, stride, bits, output_bits = (int(node.attributes[k]) for k in ("kernel", "stride", "ibits", "obits"))
    layout = str(node.attributes.get("data_layout", "NCHW"))
    if layout not in ("NCHW", "NHWC") or not (1 <= bits <= 32 and 1 <= output_bits <= 32 and 1 <= size <= 4096):
        raise ValueError(f"node {node.label}: kernel, ibits, obits or data_layout is out of range")
    wide = ((2**bits - 1) * size * size).bit_length()
    pattern.add(
        QuantAveragePool(
            name=node.name,
            operator=node.operator,
            inputs=(pattern.plain(node.inputs[0]).spec.name,),
            outputs=node.outputs,
            window=_window(node, (size, size), (stride, stride), (0, 0, 0, 0), (1, 1)),
            shift=max(wide - output_bits, 0),
            channels_last=layout == "NHWC",
        )
    )


def build_xnor_popcount(node: RawNode, pattern: Pattern) -> None:
    """Build an XnorPopcountMatMul by a constant matrix of bits."""
    weight = pattern.constant(node, 1)
    if weight.ndim != 2 or not np.isin(weight, (0, 1)).all():
        raise ValueError(f"node {node.label}: the second operand must be a matrix of bits, 0 or 1")
    bipolar = AffineQuantization(scale=np.ones((), np.float32), zero_point=np.zeros((), np.int64), dtype=BIPOLAR)
    pattern.add(
        XnorPopcount(
            name=node.name,
            operator=node.operator,
            inputs=(pattern.plain(node.inputs[0]).spec.name,),
            outputs=node.outputs,
            form=Form.INTEGER,
            weight=(2 * weight.astype(np.int8) - 1).astype(np.int8),
            a_quantization=bipolar,
            b_quantization=bipolar,
        )
    )


def _integers(node: RawNode, pattern: Pattern) -> Operand | None:
    """Return the codes of a MultiThreshold or RequantShift; None where it gives no whole numbers of a known range."""
    return coded_once(node, pattern, lambda name: _layer(node, pattern, name, coded=True))


def _moved_windows(node: RawNode, pattern: Pattern) -> Operand | None:
    """Return the windows of codes; None where there are none, or padding has no code."""
    inner = pattern.codes_behind(node.inputs[0])
    if inner is None or inner.constant is not None or not isinstance(inner.quantization, AffineQuantization):
        return None
    held = inner.quantization
    if held.axis is not None:
        return None
    pad = int(node.attributes.get("pad_value", 0)) / float(held.scale) + int(held.zero_point)
    padded = any(node.attributes.get("pad_amount", ()))
    if padded and (pad != int(pad) or not held.low <= pad <= held.high or (held.dtype == BIPOLAR and pad == 0)):
        return None
    name = pattern.coded_name(node.outputs[0])
    if name not in pattern.specs:
        pattern.add(_im2col(node, inner, pattern.fresh(f"{node.name}_codes"), name, int(pad) if padded else 0))
    return Operand(spec=pattern.specs[name], quantization=held)


FINN_QUANTIZERS = {
    **{(domain, "MultiThreshold"): _integers for domain in DOMAINS},
    **{(domain, "Im2Col"): _moved_windows for domain in DOMAINS},
    ("PACTOps", "RequantShift"): _integers,
}


def _layer(node: RawNode, pattern: Pattern, output: str, *, coded: bool) -> WholeNumbers:
    """Make the layer of a MultiThreshold or RequantShift."""
    source = pattern.plain(node.inputs[0])
    if source.constant is not None:
        raise ValueError(f"node {node.label}: the input must not be a constant")
    common = {
        "name": node.name,
        "operator": node.operator,
        "inputs": (source.spec.name,),
        "outputs": (output,),
    }
    if node.operator == "RequantShift":
        return _requant_shift(node, pattern, source.spec, common, coded=coded)
    return _multi_threshold(node, pattern, source.spec, common, coded=coded)


def _multi_threshold(
    node: RawNode, pattern: Pattern, spec: TensorSpec, common: Mapping[str, Any], *, coded: bool
) -> MultiThreshold:
    thresholds = pattern.constant(node, 1)
    if thresholds.ndim != 2 or thresholds.dtype.kind not in "fiu" or spec.dtype != "float32":
        raise ValueError(f"node {node.label}: input must be float32, thresholds numbers of shape (channels, steps)")
    rank = len(spec.shape)
    layout = str(node.attributes.get("data_layout", "")) or {2: "NC", 3: "NWC", 4: "NCHW"}.get(rank, "")
    axis = layout.index("C") if "C" in layout else 1
    if axis >= rank or thresholds.shape[0] not in (1, spec.shape[axis]):
        raise ValueError(f"node {node.label}: thresholds {thresholds.shape} do not fit {spec.shape} along axis {axis}")
    factor, offset = (float(node.attributes.get(k, d)) for k, d in (("out_scale", 1.0), ("out_bias", 0.0)))
    dtype = _element_type(str(node.attributes.get("out_dtype", "")))
    whole = factor == int(factor) and offset == int(offset)
    return MultiThreshold(
        **common,
        quantization=_ones(dtype) if coded and whole and dtype else None,
        thresholds=thresholds,
        factor=factor,
        offset=offset,
        axis=axis,
    )


def _requant_shift(
    node: RawNode, pattern: Pattern, spec: TensorSpec, common: Mapping[str, Any], *, coded: bool
) -> RequantShift:
    mul, add = (_whole(node, pattern.constant(node, index)) for index in (1, 2))
    div, levels, signed = (_number(node, name) for name in ("div", "n_levels_out", "signed"))
    if div < 1 or levels < 2 or levels > 2**24:
        raise ValueError(f"node {node.label}: div must be positive and n_levels_out in 2..2**24")
    try:
        shape: Shape | None = np.broadcast_shapes(spec.shape, mul.shape, add.shape)
    except ValueError:
        shape = None
    if shape != spec.shape:
        raise ValueError(f"node {node.label}: mul {mul.shape} and add {add.shape} do not broadcast to {spec.shape}")
    low, high = (-(levels // 2), levels - levels // 2 - 1) if signed else (0, levels - 1)
    bits = max((levels - 1).bit_length(), 1)
    dtype = f"{'' if signed else 'u'}int{bits}"
    quantization = _ones(dtype) if coded else None
    return RequantShift(**common, quantization=quantization, mul=mul, add=add, div=div, low=low, high=high)


def _im2col(node: RawNode, source: Operand, name: str, output: str, pad: int | None = None) -> Im2Col:
    kernel, stride = (tuple(node.attributes[key]) for key in ("kernel_size", "stride"))
    pads = tuple(node.attributes.get("pad_amount", (0, 0, 0, 0)))
    dilations = tuple(node.attributes.get("dilations", (1, 1)))
    if not (len(kernel) == len(stride) == len(dilations) == 2 and len(pads) == 4):
        raise ValueError(f"node {node.label}: kernel_size, stride and dilations must have 2 numbers, pad_amount 4")
    return Im2Col(
        name=name,
        operator=node.operator,
        inputs=(source.spec.name,),
        outputs=(output,),
        window=_window(node, kernel, stride, pads, dilations),
        pad_value=int(node.attributes.get("pad_value", 0)) if pad is None else pad,
    )


def _window(node: RawNode, kernel: Shape, strides: Shape, pads: Shape, dilations: Shape) -> Window:
    if min(*kernel, *strides, *dilations) < 1 or min(pads) < 0:
        raise ValueError(f"node {node.label}: kernel, strides and dilations must be positive, pads not negative")
    return Window(kernel=kernel, strides=strides, dilations=dilations, pads=pads, ceil_mode=False)


def _element_type(name: str) -> str | None:
    """Return the element type of FINN's name of a data type; None where it is no integer."""
    if name == "BIPOLAR":
        return BIPOLAR
    match = _TYPE.fullmatch({"BINARY": "UINT1", "TERNARY": "INT2"}.get(name, name))
    return None if match is None else f"{match[1].lower()}int{match[2]}"


def _ones(dtype: str) -> AffineQuantization:
    """Return the quantization of whole numbers."""
    assert code_range(dtype) is not None
    return AffineQuantization(scale=np.ones((), np.float32), zero_point=np.zeros((), np.int64), dtype=dtype)


def _number(node: RawNode, name: str) -> int:
    """Return an attribute that is a whole number, or a tensor of one."""
    value = node.attributes[name]
    array = numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else np.asarray(value)
    return int(_whole(node, array).reshape(()))


def _whole(node: RawNode, value: Array) -> Array:
    """Return whole numbers within 2**31 as int64."""
    if value.dtype.kind not in "fiu" or (value != np.rint(value)).any() or np.abs(value).max(initial=0) > 2**31:
        raise ValueError(f"node {node.label}: mul, add, div and levels must be whole numbers within 2**31")
    return value.astype(np.int64)
