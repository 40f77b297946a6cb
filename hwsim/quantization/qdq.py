# SPDX-License-Identifier: Apache-2.0
"""A quantized network as standard ONNX: QuantizeLinear and DequantizeLinear around float operators."""

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
import numpy.typing as npt
import onnx

from hwsim.formats import FloatSpec, IntegerSpec
from hwsim.quantization import carriers
from hwsim.quantization.carriers import carrier, tensor
from hwsim.quantization.float_graph import FloatGraph
from hwsim.quantization.grids import BlockGrid, Grid, code_range
from hwsim.quantization.products import Product

__all__ = [
    "PASSING",
    "BiasUnits",
    "bias_units",
    "quantize_blocks",
    "quantize_everywhere",
    "quantize_operand",
    "write_bias",
    "write_weights",
]

Array = npt.NDArray[Any]

PASSING = frozenset(["MaxPool", "Flatten", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Identity", "Dropout"])
"""Operators that only choose and move values: quantizing before them is quantizing behind them."""


def quantize_operand(
    graph: FloatGraph, tensor_name: str, grid: Grid, readers: list[tuple[onnx.NodeProto, int]]
) -> None:
    """Let some inputs of nodes read a tensor through its codes.

    That of integers moves up through operators that only move values, where nobody else reads what is between.
    """
    chain = [tensor_name]
    others = [node for node in graph.readers(tensor_name) if all(node is not each for each, _ in readers)]
    while grid.is_affine and not others and chain[0] not in graph.outputs:
        node = graph.producer(chain[0])
        if node is None or node.op_type not in PASSING or graph.only_reader(node.input[0]) is not node:
            break
        chain.insert(0, node.input[0])
    for name, after in pairwise(chain):
        node = graph.producer(after)
        assert node is not None
        node.input[0] = _pair(graph, name, grid, clipped=name != chain[0])
    through = _pair(graph, tensor_name, grid, clipped=len(chain) > 1)
    for node, index in readers:
        node.input[index] = through


def quantize_everywhere(graph: FloatGraph, tensors: Mapping[str, Grid]) -> None:
    """Put a quantizer behind each tensor, network outputs included."""
    for name, grid in tensors.items():
        readers, producer = graph.readers(name), graph.producer(name)
        before = producer is not None and producer.op_type in PASSING
        if name in graph.outputs:
            assert producer is not None
            inner = graph.fresh(f"{name}.float")
            producer.output[list(producer.output).index(name)] = inner
            graph.redirect(name, inner, readers)
            through = _pair(graph, inner, grid, clipped=before)
            last = graph.producer(through)
            assert last is not None
            last.output[0] = name
            graph.redirect(inner, name, readers)
        else:
            through = _pair(graph, name, grid, clipped=before)
            graph.redirect(name, through, readers)


def quantize_blocks(
    graph: FloatGraph, name: str, grid: BlockGrid, axis: int, rank: int, readers: list[tuple[onnx.NodeProto, int]]
) -> None:
    """Let some inputs of nodes read a tensor through codes whose block scales are computed as the network runs.

    Blocks lie along an axis whose length they divide: the largest magnitude of a block, over the power of two of the
    element's largest exponent, cast to FLOAT8E8M0 rounding down (OCP Microscaling 1.0, section 6.3); or, under a scale
    of the tensor, over the element's largest value, cast to FLOAT8E4M3FN, not below its least.
    """
    spec, held = grid.spec, carriers.element(grid.spec)
    found = carriers.carrier(held)
    assert found is not None
    split = [*[0] * (rank - 1), -1, spec.block_size]
    shape = graph.add_constant(f"{name}.block_shape", np.array(split, np.int64))
    moved, behind = name, rank - 1 - axis
    if behind:  # channels go last for the maxima, as Reshape's zeros copy only sizes in the same place
        order = [*range(axis), *range(axis + 1, rank), axis]
        moved = graph.append("Transpose", [name], f"{name}.channels_last", perm=order)
    cut = graph.append("Reshape", [moved, shape], f"{name}.blocks")
    axes = graph.add_constant(f"{name}.block_axis", np.array([-1], np.int64))
    largest = graph.append(
        "ReduceMax", [graph.append("Abs", [cut], f"{name}.sizes"), axes], f"{name}.largest", keepdims=0
    )
    if behind:
        back = [*range(axis), rank - 1, *range(axis, rank - 1)]
        largest = graph.append("Transpose", [largest], f"{name}.largest_in_place", perm=back)
    scale = _running_scale(graph, name, grid, largest)
    along = {"axis": axis, "block_size": spec.block_size}
    kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(found.dtype))
    codes = graph.append("QuantizeLinear", [name, scale], f"{name}.q", output_dtype=int(kind), **along)
    single = {} if spec.tensor_scale else {"output_dtype": int(onnx.TensorProto.FLOAT)}
    values = graph.append("DequantizeLinear", [codes, scale], f"{name}.dq", **along, **single)
    for node, index in readers:
        node.input[index] = values


def _running_scale(graph: FloatGraph, name: str, grid: BlockGrid, largest: str) -> str:
    """Compute the scales of blocks from their largest magnitudes."""
    spec, held = grid.spec, carriers.element(grid.spec)
    if not spec.tensor_scale:
        unit = graph.add_constant(f"{name}.unit", np.asarray(2.0 ** -math.floor(math.log2(held.max_value)), np.float32))
        ratio = graph.append("Mul", [largest, unit], f"{name}.ratio")
        power = int(onnx.TensorProto.FLOAT8E8M0)
        return graph.append("Cast", [ratio], f"{name}.scale", to=power, round_mode="down")
    whole = np.asarray(grid.tensor_scale, np.float32)
    unit = graph.add_constant(f"{name}.unit", np.asarray(whole * np.float32(held.max_value), np.float32))
    least = graph.add_constant(f"{name}.least", np.asarray(2.0**-9, np.float32))
    ratio = graph.append("Max", [graph.append("Div", [largest, unit], f"{name}.quotient"), least], f"{name}.ratio")
    codes = graph.append("Cast", [ratio], f"{name}.scale.q", to=int(onnx.TensorProto.FLOAT8E4M3FN))
    above = graph.add_constant(f"{name}.tensor_scale", whole)
    return graph.append("DequantizeLinear", [codes, above], f"{name}.scale")


def _pair(graph: FloatGraph, name: str, grid: Grid, *, clipped: bool = False) -> str:
    """Add the two nodes behind a tensor; a Clip before them where the carrier is wider, unless there was one."""
    found = carrier(grid.spec)
    assert found is not None
    scale = graph.add_constant(f"{name}.scale", grid.scale.reshape(()))
    zero = graph.add_constant(f"{name}.zero", tensor(grid.spec, np.asarray(grid.zero)))
    source = name
    if isinstance(grid.spec, IntegerSpec) and not clipped:
        limits = code_range(grid.spec)
        if limits != carriers.limits(found):
            ends = [graph.add_constant(f"{name}.{key}", grid.values(np.asarray(code)).reshape(())) for key, code in
                    zip(("low", "high"), limits, strict=True)]  # fmt: skip
            source = graph.append("Clip", [name, *ends], f"{name}.clipped")
    codes = graph.append("QuantizeLinear", [source, scale, zero], f"{name}.q")
    return graph.append("DequantizeLinear", [codes, scale, zero], f"{name}.dq")


def write_weights(product: Product, grid: Grid, codes: Array) -> None:
    """Put the codes of weights (outputs, K) and a DequantizeLinear in the place of the weights."""
    graph, name = product.graph, product.name
    if grid.groups is not None:
        _write_blocks(product, grid, codes)
        return
    shape = product.weight.shape
    held = graph.add_constant(f"{name}.weight.q", tensor(grid.spec, product.as_weight(codes).reshape(shape)))
    vector = grid.scale.size > 1
    scale = graph.add_constant(f"{name}.weight.scale", grid.scale.reshape(-1) if vector else grid.scale.reshape(()))
    zeros = tensor(grid.spec, grid.zero.reshape(-1) if vector else grid.zero.reshape(()))
    zero = graph.add_constant(f"{name}.weight.zero", zeros)
    axis = {"axis": 1 if product.is_transposed else 0} if vector else {}
    product.node.input[1] = graph.append("DequantizeLinear", [held, scale, zero], f"{name}.weight.dq", **axis)


def _write_blocks(product: Product, grid: Grid, codes: Array) -> None:
    """Write weights with a scale a block of input channels."""
    graph, name = product.graph, product.name
    held = graph.add_constant(f"{name}.weight.q", tensor(grid.spec, product.as_weight(codes)))
    inputs = [held, _block_scales(product, grid)]
    if grid.zero.any():
        zeros = tensor(grid.spec, _as_blocks(product, grid.zero))
        inputs.append(graph.add_constant(f"{name}.weight.zero", zeros))
    scales = graph.constants.get(inputs[1])
    precision = {} if scales is None or scales.dtype == np.float32 else {"output_dtype": int(onnx.TensorProto.FLOAT)}
    axis = 0 if product.is_transposed else 1
    block = min(grid.size, product.weight.shape[axis])
    product.node.input[1] = graph.append(
        "DequantizeLinear", inputs, f"{name}.weight.dq", axis=axis, block_size=block, **precision
    )


def _as_blocks(product: Product, array: Array) -> Array:
    """Bring (outputs, taps x groups) to the weights' shape with groups in the place of channels."""
    if product.is_transposed:
        return np.ascontiguousarray(array.T)
    if not product.is_conv:
        return array
    apart = array.reshape(array.shape[0], product.taps, -1).transpose(0, 2, 1)
    return np.ascontiguousarray(apart).reshape(array.shape[0], -1, *product.weight.shape[2:])


def _block_scales(product: Product, grid: Grid) -> str:
    """Return the tensor of the scales: of powers of two E8M0 codes, E4M3 under a float32 scale, else float32."""
    graph, name, block = product.graph, product.name, grid.block
    scales = _as_blocks(product, grid.scale)
    if block is not None and block.scale.name == "float8_e8m0fnu":
        exponents = np.clip(np.frexp(scales)[1] - 1 + 127, 0, 254)
        return graph.add_constant(f"{name}.weight.scale", exponents.astype(np.uint8).view(ml_dtypes.float8_e8m0fnu))
    if block is None or block.scale.name != "float8_e4m3fn" or grid.scale_codes is None:
        return graph.add_constant(f"{name}.weight.scale", scales)
    assert isinstance(block.scale, FloatSpec)
    codes = _as_blocks(product, grid.scale_codes)
    inputs = [
        graph.add_constant(f"{name}.weight.scale.q", tensor(block.scale, codes)),
        graph.add_constant(f"{name}.weight.tensor_scale", np.asarray(grid.tensor_scale, np.float32)),
    ]
    return graph.append("DequantizeLinear", inputs, f"{name}.weight.scale")


class BiasUnits(NamedTuple):
    """A bias as int32 codes, and the value of one unit of each."""

    codes: npt.NDArray[np.float64]
    unit: npt.NDArray[np.float32]


def bias_units(
    product: Product, bias: Array, weights: Grid | None, activations: Grid | BlockGrid | None
) -> BiasUnits | None:
    """Return a Conv's or Gemm's bias in units of the scales' product; None but for integers whose bias fits 32 bits."""
    if product.node.op_type == "MatMul" or weights is None or weights.groups is not None or not bias.any():
        return None
    if not (weights.is_affine and isinstance(activations, Grid) and activations.is_affine):
        return None
    unit = (activations.scale.reshape(()) * weights.scale.reshape(-1)).astype(np.float32)
    if np.any(unit < np.finfo(np.float32).tiny):
        return None
    codes = np.rint(bias.astype(np.float64) / unit)
    return BiasUnits(codes, unit) if np.abs(codes).max() < 2**31 else None


def write_bias(product: Product, units: BiasUnits) -> None:
    """Write a bias as int32 and a DequantizeLinear."""
    graph, name = product.graph, product.name
    held = graph.add_constant(f"{name}.bias.q", units.codes.astype(np.int32))
    vector = units.unit.size > 1
    scale = graph.add_constant(f"{name}.bias.scale", units.unit if vector else units.unit.reshape(()))
    values = graph.append("DequantizeLinear", [held, scale], f"{name}.bias.dq", **({"axis": 0} if vector else {}))
    product.node.input[2] = values
