# SPDX-License-Identifier: Apache-2.0
"""A network as it would be in float32: real values on every tensor, nothing rounded to codes."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from hwsim.formats import IntegerSpec
from hwsim.network import AffineQuantization, ExactEngine, Layer, Network, Rule
from hwsim.network.float_quantization import BlockQuantization, FormatQuantization, Quantization
from hwsim.network.layers.elementwise import Elementwise
from hwsim.network.layers.multiply_accumulate import Form, MultiplyAccumulate
from hwsim.network.layers.pad import Filling
from hwsim.network.layers.qonnx import IntQuant, QonnxQuantizer, integer_range
from hwsim.network.layers.quantize_linear import Dequantize, Quantize

__all__ = [
    "FloatNetwork",
]

Array = npt.NDArray[Any]


class FloatNetwork:
    """The layers of a network in float32.

    Weights and biases have the values that the file gives them, codes times scale. A quantizer of integer codes still
    clips to the range of its codes, for files leave a ReLU to it; it does not round. What has no such float form is
    computed on codes as it is: scales that vary (dynamic quantization), integer products whose sums are the output, and
    what makes codes of values in a way of its own.

    Parameters
    ----------
    network : Network
    engine : ExactEngine, optional
        What multiplies; `hwsim.network.ExactEngine` unless given.

    Attributes
    ----------
    on_codes : tuple of str
        Names of layers that are computed on codes.
    """

    def __init__(self, network: Network, engine: ExactEngine | None = None) -> None:
        self._quantizations = _quantizations(network)
        self._types = {name: spec.dtype for name, spec in network.tensors.items()}
        self._engine = ExactEngine() if engine is None else engine
        self.on_codes = tuple(layer.name for layer in network.layers if self._needs_codes(layer))

    def values(self, tensor: str, array: Array) -> Array:
        """Return a tensor's real values: float32 of its codes, or the array itself where it is not quantized."""
        quantization = self._quantizations.get(tensor)
        return array if quantization is None else np.asarray(quantization.dequantize(array))

    def codes(self, tensor: str, values: Array) -> Array:
        """Return what the hardware would hold of real values: codes, nearest, or the values where it has no codes."""
        quantization = self._quantizations.get(tensor)
        return values if quantization is None else np.asarray(quantization.quantize(values))

    def run(self, layer: Layer, values: tuple[Array, ...]) -> tuple[Array, ...]:
        """Return the real values of a layer's outputs, given those of its inputs."""
        if layer.name in self.on_codes:
            return self._run_on_codes(layer, values)
        if isinstance(layer, MultiplyAccumulate):
            if layer.a_quantization is None and layer.b_quantization is None:
                return layer.run(values, self._engine, Rule.ONNX)
            return (_product(layer, values, self._engine),)
        if isinstance(layer, Quantize | QonnxQuantizer):
            return (_unrounded(layer, values[0]),)
        if isinstance(layer, Dequantize):
            return values
        if isinstance(layer, Elementwise):
            if not _says(layer) and layer.outputs[0] in self._quantizations:
                return self._moved(layer, values)
            return (self._elementwise(layer, values),)
        return layer.run(values, self._engine, Rule.ONNX)

    def _run_on_codes(self, layer: Layer, values: tuple[Array, ...]) -> tuple[Array, ...]:
        taken = tuple(self.codes(name, value) for name, value in zip(layer.inputs, values, strict=True))
        made = layer.run(taken, self._engine, Rule.ONNX)
        return tuple(self.values(name, value) for name, value in zip(layer.outputs, made, strict=True))

    def _moved(self, layer: Elementwise, values: tuple[Array, ...]) -> tuple[Array, ...]:
        """Return the real values of codes that are only moved, those that the layer holds among them."""
        output, data = layer.outputs[0], _data(layer)
        held = [i for i, value in enumerate(layer.constants) if value is not None and i not in layer.plain]
        by_channel = self._quantizations[output].axis is not None and (held or isinstance(layer, Filling))
        if not data or by_channel or any(name not in self._quantizations for name in data):
            return self._run_on_codes(layer, values)  # a table's codes, as they are
        constants = tuple(
            self.values(output, value) if value is not None and index in held else value
            for index, value in enumerate(layer.constants)
        )
        changes: dict[str, Any] = {}
        if isinstance(layer, Filling):
            changes["value"] = self.values(output, np.asarray(layer.value))[()]
        return (self._elementwise(replace(layer, constants=constants, **changes), values),)

    def _elementwise(self, layer: Elementwise, values: tuple[Array, ...]) -> Array:
        constants = tuple(
            value if value is None or quantization is None else quantization.dequantize(value)
            for value, quantization in zip(layer.constants, layer.quantizations, strict=True)
        )
        bare = replace(
            layer, constants=constants, quantizations=(None,) * len(layer.quantizations), output_quantization=None
        )
        (result,) = Elementwise.run(bare, values, self._engine, Rule.ONNX)  # not as a QLinear operator does on codes
        return _clipped(layer.activated(result), layer.output_quantization)

    def _needs_codes(self, layer: Layer) -> bool:
        if isinstance(layer, MultiplyAccumulate):
            return _varies(layer)
        if isinstance(layer, (Quantize, QonnxQuantizer, Dequantize)):
            return False
        known = [name in self._quantizations for name in (*layer.inputs, *layer.outputs)]
        if any(known) and not (isinstance(layer, Elementwise) and (layer.moves_only or _says(layer))):
            return True
        # What makes codes of values, but does not say by which quantization.
        taken = any(self._types[name] == "float32" for name in layer.inputs)
        made = (name for name in layer.outputs if name not in self._quantizations)
        return taken and any(self._types[name] != "float32" for name in made)


def _varies(layer: MultiplyAccumulate) -> bool:
    """Whether a product's codes have no values that are known before it runs."""
    return layer.form is Form.INTEGER or any(layer.scale_inputs) or any(layer.varying_input)


def _product(layer: MultiplyAccumulate, values: tuple[Array, ...], engine: ExactEngine) -> Array:
    """Multiply real values in float32, add the bias, clip."""
    bare = replace(layer, a_quantization=None)  # pads with the value 0
    if layer.weight is not None and isinstance(layer.b_quantization, BlockQuantization):
        bare = replace(bare, weight=layer.b_quantization.dequantize(layer.weight), b_quantization=None)
    a, b = bare.operands(values, "channel_first")
    shape = (a.shape[0], a.shape[1], b.shape[2])
    if layer.weight is not None:
        b = _weights(layer, bare.b_quantization, b, shape)
    total = engine.float_product(a.astype(np.float32, copy=False), b.astype(np.float32, copy=False))
    if layer.channel_scale is not None:
        total = total * layer.over_channels(layer.channel_scale, shape)
    if layer.bias is not None:
        bias = layer.bias * layer.accumulator_scale()
        total = total + layer.over_channels(bias.astype(np.float32), shape)
    if layer.bias_values is not None:
        total = total + layer.over_channels(layer.bias_values, shape)
    if layer.activation is not None:
        total = np.clip(total, np.float32(layer.activation[0]), np.float32(layer.activation[1]))
    result = np.ascontiguousarray(layer.restore(total, tuple(value.shape for value in values)))
    return _clipped(result, layer.output_quantization)


def _weights(
    layer: MultiplyAccumulate, quantization: Quantization | None, b: Array, shape: tuple[int, int, int]
) -> Array:
    """Return the real values of weights (groups, k, n) that have a scale for the tensor or each column."""
    if isinstance(quantization, AffineQuantization):
        whole: Array = b.astype(np.int64) - layer.over_channels(quantization.zero_point, shape)
    elif isinstance(quantization, FormatQuantization):
        whole = quantization.elements(b)
    else:
        return b
    return whole.astype(np.float32) * layer.over_channels(quantization.scale, shape)


def _unrounded(layer: Quantize | QonnxQuantizer, values: Array) -> Array:
    """Return what a quantizer gives but for its rounding: of integers, values within their range."""
    if isinstance(layer, IntQuant) and layer.quantization is None:
        ends = integer_range(layer.bits, layer.signed, layer.narrow)
        low, high = (((end - layer.zero_point) * layer.scale).astype(np.float32) for end in ends)
        return np.asarray(np.clip(values, low, high))
    return _clipped(values, layer.quantization)


def _clipped(values: Array, quantization: Quantization | None) -> Array:
    """Hold values in the range of integer codes, unrounded."""
    if isinstance(quantization, AffineQuantization):
        zero: Any = quantization.zero_point
        codes = quantization.low, quantization.high
    elif isinstance(quantization, FormatQuantization) and isinstance(quantization.format, IntegerSpec):
        spec = quantization.format
        zero = spec.zero_point
        codes = spec.min_int, spec.max_int
    else:
        return values
    shape = [1] * values.ndim
    if quantization.axis is not None:
        shape[quantization.axis] = -1
    ends = [((code - zero) * quantization.scale.astype(np.float64)).astype(np.float32) for code in codes]
    low, high = (end if quantization.axis is None else end.reshape(shape) for end in ends)
    return np.asarray(np.clip(values, low, high))


def _quantizations(network: Network) -> dict[str, Any]:
    """Find the quantization of every tensor of codes: where it is made, else where it is taken."""
    found: dict[str, Any] = {}
    for layer in network.layers:
        if isinstance(layer, Quantize | QonnxQuantizer):
            quantization: Any = layer.quantization
        else:
            quantization = getattr(layer, "output_quantization", None)
        if quantization is not None:
            found.update(dict.fromkeys(layer.outputs, quantization))
    for layer in network.layers:
        for name, quantization in _taken(layer):
            if quantization is not None and getattr(quantization, "scales", True) is not None:
                found.setdefault(name, quantization)
    # What only moves codes leaves them as they are, in either direction.
    types = {name: spec.dtype for name, spec in network.tensors.items()}
    movers = [
        layer for layer in network.layers if isinstance(layer, Elementwise) and layer.moves_only and not _says(layer)
    ]
    for layer in (*movers, *reversed(movers)):
        names = (*_data(layer), *layer.outputs)
        source = next((name for name in names if name in found), None)
        if source is not None and getattr(found[source], "axis", None) is None:
            for name in names:
                if types[name] == types[source]:
                    found.setdefault(name, found[source])
    return {name: found[name] for name in found if network.tensors[name].dtype != "float32"}


def _taken(layer: Layer) -> Iterable[tuple[str, Any]]:
    """Give the quantization that a layer takes each of its inputs in."""
    if isinstance(layer, MultiplyAccumulate):
        if _varies(layer):
            return
        yield layer.inputs[0], layer.a_quantization
        if layer.weight is None:
            yield layer.inputs[1], layer.b_quantization
    elif isinstance(layer, Elementwise):
        varying = [q for q, constant in zip(layer.quantizations, layer.constants, strict=True) if constant is None]
        yield from zip(layer.inputs, varying, strict=True)
    elif isinstance(layer, Dequantize):
        yield layer.inputs[0], layer.quantization
    elif isinstance(layer, Quantize):
        yield layer.inputs[0], layer.source


def _says(layer: Elementwise) -> bool:
    """Whether a layer has quantizations of its own."""
    return layer.output_quantization is not None or any(each is not None for each in layer.quantizations)


def _data(layer: Elementwise) -> list[str]:
    """Return the inputs that are no indices or conditions."""
    names = iter(layer.inputs)
    varying = [(index, next(names)) for index, constant in enumerate(layer.constants) if constant is None]
    return [name for index, name in varying if index not in layer.plain]
