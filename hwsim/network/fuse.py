# SPDX-License-Identifier: Apache-2.0
"""From ONNX nodes to layers: the table of operators, and QDQ and QOperator patterns as single quantized layers."""

from hwsim.network.graph import Layer, TensorSpec
from hwsim.network.layers.activation import build_clamp
from hwsim.network.layers.add import build_add, build_qlinear_add
from hwsim.network.layers.batch_normalization import build_batch_normalization
from hwsim.network.layers.conv import build_conv, build_conv_integer, build_qlinear_conv
from hwsim.network.layers.gemm import (
    build_gemm,
    build_matmul,
    build_matmul_integer,
    build_qgemm,
    build_qlinear_matmul,
)
from hwsim.network.layers.pool import build_average_pool, build_max_pool, build_qlinear_average_pool
from hwsim.network.layers.quantize_linear import build_dequantize, build_quantize
from hwsim.network.layers.shape_ops import (
    build_concat,
    build_flatten,
    build_identity,
    build_qlinear_concat,
    build_reshape,
    build_squeeze,
    build_transpose,
    build_unsqueeze,
)
from hwsim.network.layers.softmax import build_qlinear_softmax, build_softmax
from hwsim.network.pattern import Builder, Pattern, RawNode

__all__ = [
    "BUILDERS",
    "Fused",
    "fuse",
]

BUILDERS: dict[tuple[str, str], Builder] = {
    ("", "Add"): build_add,
    ("", "AveragePool"): build_average_pool,
    ("", "BatchNormalization"): build_batch_normalization,
    ("", "Clip"): build_clamp,
    ("", "Concat"): build_concat,
    ("", "Conv"): build_conv,
    ("", "ConvInteger"): build_conv_integer,
    ("", "DequantizeLinear"): build_dequantize,
    ("", "Dropout"): build_identity,
    ("", "Flatten"): build_flatten,
    ("", "Gemm"): build_gemm,
    ("", "GlobalAveragePool"): build_average_pool,
    ("", "GlobalMaxPool"): build_max_pool,
    ("", "Identity"): build_identity,
    ("", "MatMul"): build_matmul,
    ("", "MatMulInteger"): build_matmul_integer,
    ("", "MaxPool"): build_max_pool,
    ("", "QLinearConv"): build_qlinear_conv,
    ("", "QLinearMatMul"): build_qlinear_matmul,
    ("", "QuantizeLinear"): build_quantize,
    ("", "Relu"): build_clamp,
    ("", "Reshape"): build_reshape,
    ("", "Softmax"): build_softmax,
    ("", "Squeeze"): build_squeeze,
    ("", "Transpose"): build_transpose,
    ("", "Unsqueeze"): build_unsqueeze,
    ("com.microsoft", "DequantizeLinear"): build_dequantize,
    ("com.microsoft", "QGemm"): build_qgemm,
    ("com.microsoft", "QLinearAdd"): build_qlinear_add,
    ("com.microsoft", "QLinearAveragePool"): build_qlinear_average_pool,
    ("com.microsoft", "QLinearConcat"): build_qlinear_concat,
    ("com.microsoft", "QLinearGlobalAveragePool"): build_qlinear_average_pool,
    ("com.microsoft", "QLinearSoftmax"): build_qlinear_softmax,
    ("com.microsoft", "QuantizeLinear"): build_quantize,
}


class Fused(Pattern):
    """A pattern whose nodes are built by the table of operators."""

    def emit(self, node: RawNode) -> None:
        """Build a node's layer now.

        Raises
        ------
        ValueError
            Where the node is not what its layer can run; a missing input or attribute included.
        """
        try:
            BUILDERS[node.domain, node.operator](node, self)
        except (IndexError, KeyError, TypeError, OverflowError) as error:
            raise ValueError(f"node {node.label} is malformed: {type(error).__name__}: {error}") from error


def fuse(pattern: Fused) -> tuple[tuple[Layer, ...], dict[str, TensorSpec]]:
    """Turn the nodes of a pattern into layers.

    Parameters
    ----------
    pattern : Fused
        Every node's operator is in `BUILDERS`.

    Returns
    -------
    layers : tuple of Layer
        In topological order.
    tensors : dict of str to TensorSpec
        Inputs and every layer's outputs.

    Raises
    ------
    ValueError
        Where a node's attributes, shapes or constants are not what its layer can run.
    """
    for node in pattern.nodes:
        # A dequantization becomes a layer only where somebody reads its floats.
        if not pattern.is_done(node) and node.operator != "DequantizeLinear":
            pattern.emit(node)
    for name in pattern.outputs:
        if name not in pattern.constants:
            pattern.plain(name)
    return tuple(pattern.layers), dict(pattern.specs)
