# SPDX-License-Identifier: Apache-2.0
"""The table of ONNX operators that are run, with what builds their layers."""

from hwsim.network.constant_operators import CONSTANT_OPERATORS
from hwsim.network.layers.activation import build_clamp
from hwsim.network.layers.add import build_add, build_qlinear_add
from hwsim.network.layers.attention import build_attention, build_rotary_embedding
from hwsim.network.layers.batch_normalization import build_batch_normalization
from hwsim.network.layers.cast import build_cast
from hwsim.network.layers.conv import build_conv, build_conv_integer, build_qlinear_conv
from hwsim.network.layers.conv_transpose import build_conv_transpose
from hwsim.network.layers.dynamic_quantize import (
    build_dynamic_quantize_linear,
    build_dynamic_quantize_matmul,
    build_matmul_integer_to_float,
)
from hwsim.network.layers.einsum import build_einsum
from hwsim.network.layers.finn_nodes import (
    FINN_QUANTIZERS,
    build_im2col,
    build_integers,
    build_quant_average_pool,
    build_xnor_popcount,
)
from hwsim.network.layers.functions import FUNCTIONS
from hwsim.network.layers.gather import build_gather, build_gather_elements, build_gather_nd, build_scatter
from hwsim.network.layers.gelu import build_bias_gelu, build_gelu
from hwsim.network.layers.gemm import build_gemm, build_matmul
from hwsim.network.layers.grid_sample import build_grid_sample
from hwsim.network.layers.half import build_double_softmax, widened
from hwsim.network.layers.integer_gemm import build_matmul_integer, build_qgemm, build_qlinear_matmul
from hwsim.network.layers.layer_norm import build_layer_norm, build_skip_layer_norm
from hwsim.network.layers.moves import (
    build_depth_to_space,
    build_expand,
    build_slice,
    build_space_to_depth,
    build_split,
    build_tile,
)
from hwsim.network.layers.normalization import (
    build_group_normalization,
    build_hardmax,
    build_instance_normalization,
    build_local_response,
    build_lp_normalization,
)
from hwsim.network.layers.pad import build_pad, build_triangle
from hwsim.network.layers.pointwise import build_pointwise, build_where
from hwsim.network.layers.pool import build_average_pool, build_lp_pool, build_max_pool, build_qlinear_average_pool
from hwsim.network.layers.qattention import build_qattention
from hwsim.network.layers.qlinear_elementwise import (
    build_qlinear_leaky_relu,
    build_qlinear_mul,
    build_qlinear_sigmoid,
)
from hwsim.network.layers.qonnx_nodes import DOMAINS, QONNX_QUANTIZERS, build_quantizer, build_trunc
from hwsim.network.layers.quantize_linear import build_dequantize, build_quantize
from hwsim.network.layers.recurrent import build_recurrent
from hwsim.network.layers.reduce import REDUCTIONS, build_arg_extreme, build_cumulative, build_reduce
from hwsim.network.layers.resize import build_resize
from hwsim.network.layers.selection import build_cache_write, build_reverse_sequence, build_top_k
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
from hwsim.network.layers.weight_only import build_matmul_bnb4, build_matmul_nbits
from hwsim.network.pattern import Builder, Pattern, RawNode

__all__ = [
    "BUILDERS",
]


def _build_constant(node: RawNode, pattern: Pattern) -> None:
    """Refuse a node that is only ever computed beforehand: its inputs must be constants."""
    for index in range(len(node.inputs)):
        pattern.constant(node, index)
    raise ValueError(f"node {node.label}: a constant of an output's own is not run")


BUILDERS: dict[tuple[str, str], Builder] = {
    **{("", name): build_pointwise for name in FUNCTIONS},
    **{("", name): build_reduce for name in REDUCTIONS},
    **{("", name): _build_constant for name in CONSTANT_OPERATORS},
    ("PACTOps", "RequantShift"): build_integers,
    **dict.fromkeys(QONNX_QUANTIZERS, build_quantizer),
    **{(domain, "Im2Col"): build_im2col for domain in DOMAINS},
    **{(domain, "MultiThreshold"): build_integers for domain in DOMAINS},
    **{(domain, "QuantAvgPool2d"): build_quant_average_pool for domain in DOMAINS},
    **{(domain, "Trunc"): build_trunc for domain in DOMAINS},
    **{(domain, "XnorPopcountMatMul"): build_xnor_popcount for domain in DOMAINS},
    ("", "Add"): build_add,
    ("", "ArgMax"): build_arg_extreme,
    ("", "ArgMin"): build_arg_extreme,
    ("", "Attention"): build_attention,
    ("", "AveragePool"): widened(build_average_pool),
    ("", "BatchNormalization"): widened(build_batch_normalization),
    ("", "Cast"): build_cast,
    ("", "CastLike"): build_cast,
    ("", "Clip"): build_clamp,
    ("", "Concat"): build_concat,
    ("", "Conv"): widened(build_conv),
    ("", "ConvInteger"): build_conv_integer,
    ("", "ConvTranspose"): widened(build_conv_transpose),
    ("", "CumProd"): build_cumulative,
    ("", "CumSum"): build_cumulative,
    ("", "DepthToSpace"): build_depth_to_space,
    ("", "DequantizeLinear"): build_dequantize,
    ("", "Dropout"): build_identity,
    ("", "Einsum"): build_einsum,
    ("", "Expand"): build_expand,
    ("", "DynamicQuantizeLinear"): build_dynamic_quantize_linear,
    ("", "Flatten"): build_flatten,
    ("", "GRU"): build_recurrent,
    ("", "Gather"): build_gather,
    ("", "GatherElements"): build_gather_elements,
    ("", "GatherND"): build_gather_nd,
    ("", "Gelu"): widened(build_gelu),
    ("", "Gemm"): widened(build_gemm),
    ("", "GlobalAveragePool"): widened(build_average_pool),
    ("", "GlobalLpPool"): build_lp_pool,
    ("", "GlobalMaxPool"): build_max_pool,
    ("", "GridSample"): build_grid_sample,
    ("", "GroupNormalization"): build_group_normalization,
    ("", "Hardmax"): build_hardmax,
    ("", "Identity"): build_identity,
    ("", "InstanceNormalization"): build_instance_normalization,
    ("", "LRN"): build_local_response,
    ("", "LSTM"): build_recurrent,
    ("", "LayerNormalization"): build_layer_norm,
    ("", "LpNormalization"): build_lp_normalization,
    ("", "LpPool"): build_lp_pool,
    ("", "MatMul"): widened(build_matmul),
    ("", "MatMulInteger"): build_matmul_integer,
    ("", "MaxPool"): build_max_pool,
    ("", "Pad"): build_pad,
    ("", "QLinearConv"): build_qlinear_conv,
    ("", "QLinearMatMul"): build_qlinear_matmul,
    ("", "QuantizeLinear"): build_quantize,
    ("", "RMSNormalization"): build_layer_norm,
    ("", "RNN"): build_recurrent,
    ("", "Relu"): build_clamp,
    ("", "Reshape"): build_reshape,
    ("", "Resize"): build_resize,
    ("", "ReverseSequence"): build_reverse_sequence,
    ("", "RotaryEmbedding"): build_rotary_embedding,
    ("", "Scatter"): build_scatter,
    ("", "ScatterElements"): build_scatter,
    ("", "ScatterND"): build_scatter,
    ("", "Slice"): build_slice,
    ("", "Softmax"): widened(build_double_softmax(build_softmax)),
    ("", "SpaceToDepth"): build_space_to_depth,
    ("", "Split"): build_split,
    ("", "Squeeze"): build_squeeze,
    ("", "TensorScatter"): build_cache_write,
    ("", "Tile"): build_tile,
    ("", "TopK"): build_top_k,
    ("", "Transpose"): build_transpose,
    ("", "Trilu"): build_triangle,
    ("", "Unsqueeze"): build_unsqueeze,
    ("", "Upsample"): build_resize,
    ("", "Where"): build_where,
    ("com.microsoft", "BiasGelu"): build_bias_gelu,
    ("com.microsoft", "DequantizeLinear"): build_dequantize,
    ("com.microsoft", "FastGelu"): build_gelu,
    ("com.microsoft", "Gelu"): build_gelu,
    ("com.microsoft", "DynamicQuantizeMatMul"): build_dynamic_quantize_matmul,
    ("com.microsoft", "MatMulBnb4"): build_matmul_bnb4,
    ("com.microsoft", "MatMulIntegerToFloat"): build_matmul_integer_to_float,
    ("com.microsoft", "MatMulNBits"): build_matmul_nbits,
    ("com.microsoft", "QAttention"): build_qattention,
    ("com.microsoft", "QGemm"): build_qgemm,
    ("com.microsoft", "QLinearAdd"): build_qlinear_add,
    ("com.microsoft", "QLinearAveragePool"): build_qlinear_average_pool,
    ("com.microsoft", "QLinearConcat"): build_qlinear_concat,
    ("com.microsoft", "QLinearGlobalAveragePool"): build_qlinear_average_pool,
    ("com.microsoft", "QLinearLeakyRelu"): build_qlinear_leaky_relu,
    ("com.microsoft", "QLinearMul"): build_qlinear_mul,
    ("com.microsoft", "QLinearSigmoid"): build_qlinear_sigmoid,
    ("com.microsoft", "QLinearSoftmax"): build_qlinear_softmax,
    ("com.microsoft", "QuantizeLinear"): build_quantize,
    ("com.microsoft", "SkipLayerNormalization"): build_skip_layer_norm,
    ("com.microsoft", "SkipSimplifiedLayerNormalization"): build_skip_layer_norm,
}


QUANTIZERS = {**QONNX_QUANTIZERS, **FINN_QUANTIZERS}
"""Operators whose output is float values of codes, which a product takes as they are."""
