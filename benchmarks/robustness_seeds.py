# SPDX-License-Identifier: Apache-2.0
"""Small sound networks in every form that is read: QDQ, QOperator, QONNX, transformer, blocked weights, recurrent."""

import numpy as np
import onnx
from onnx import numpy_helper, parser

from benchmarks import network_zoo

__all__ = [
    "small_models",
]

_HEAD = '<ir_version: 10, opset_import: ["": 21, "com.microsoft": 1, "qonnx.custom_op.general": 1]>\n'

_TEXTS = {
    "qdq": """g (float[N, 2, 6, 6] x) => (float[N, 4] y)
<float s = {0.05}, uint8 z = {128}, float ws = {0.02}, int8 wz = {0}, int8[4, 2, 3, 3] w, float[4] b, int8[4, 4] m,
 int64[2] flat = {0, 4}>
{
  xq = QuantizeLinear(x, s, z)
  xd = DequantizeLinear(xq, s, z)
  wd = DequantizeLinear(w, ws, wz)
  c = Conv<kernel_shape = [3, 3], pads = [1, 1, 1, 1], strides = [2, 2]>(xd, wd, b)
  r = Relu(c)
  rq = QuantizeLinear(r, s, z)
  rd = DequantizeLinear(rq, s, z)
  p = MaxPool<kernel_shape = [3, 3]>(rd)
  pq = QuantizeLinear(p, s, z)
  pd = DequantizeLinear(pq, s, z)
  f = Reshape(pd, flat)
  md = DequantizeLinear(m, ws, wz)
  g0 = MatMul(f, md)
  gq = QuantizeLinear(g0, s, z)
  y = DequantizeLinear(gq, s, z)
}""",
    "qoperator": """g (uint8[2, 8] x) => (uint8[2, 4] y)
<float s = {0.05}, uint8 z = {128}, int8[8, 4] w, float ws = {0.02}, int8 wz = {0}, uint8[4] c>
{
  m = QLinearMatMul(x, s, z, w, ws, wz, s, z)
  a = com.microsoft.QLinearAdd(m, s, z, c, s, z, s, z)
  y = com.microsoft.QLinearSoftmax<axis = -1, opset = 13>(a, s, z, ws, z)
}""",
    "qonnx": """g (float[1, 8] x) => (float[1, 4] y)
<float s = {0.1}, float z = {0}, float bits = {4}, float[8, 4] w, float ws = {0.05}>
{
  xq = qonnx.custom_op.general.Quant<signed = 1, narrow = 0, rounding_mode = "ROUND">(x, s, z, bits)
  wq = qonnx.custom_op.general.Quant<signed = 1, narrow = 1, rounding_mode = "ROUND">(w, ws, z, bits)
  m = MatMul(xq, wq)
  r = Relu(m)
  y = qonnx.custom_op.general.Quant<signed = 0, narrow = 0, rounding_mode = "FLOOR">(r, s, z, bits)
}""",
    "written_out": """g (float[2, 5, 8] x) => (float[2, 5, 8] y)
<float root = {1.4142135}, float one = {1}, float half = {0.5}, float two = {2}, float eps = {0.00001}, float[8] g0,
 float[8] b, int64[1] axes = {-1}, float[8, 8] w>
{
  h = MatMul(x, w)
  d = Div(h, root)
  e = Erf(d)
  a = Add(e, one)
  p = Mul(h, a)
  q = Mul(p, half)
  mean = ReduceMean<keepdims = 1>(q, axes)
  c = Sub(q, mean)
  s = Pow(c, two)
  v = ReduceMean<keepdims = 1>(s, axes)
  t = Add(v, eps)
  u = Sqrt(t)
  n = Div(c, u)
  k = Mul(n, g0)
  l = Add(k, b)
  y = Softmax<axis = -1>(l)
}""",
    "blocked": """g (float[3, 32] x) => (float[3, 8] y)
<int8[32, 8] w, float[2, 8] ws, int8[2, 8] wz>
{
  wd = DequantizeLinear<axis = 0, block_size = 16>(w, ws, wz)
  y = MatMul(x, wd)
}""",
    "nbits": """g (float[3, 32] x) => (float[3, 8] y)
<uint8[8, 2, 8] w, float[16] s, uint8[8] z>
{
  h = com.microsoft.MatMulNBits<K = 32, N = 8, bits = 4, block_size = 16>(x, w, s, z)
  y = com.microsoft.FastGelu(h)
}""",
    "attention": """g (float[1, 2, 6, 8] q, float[1, 2, 6, 8] k, float[1, 2, 6, 8] v) => (float[1, 2, 6, 8] y)
<float s = {0.05}, int8 z = {0}, float us = {0.00390625}, int8 uz = {-128}>
{
  qc = QuantizeLinear(q, s, z)
  qd = DequantizeLinear(qc, s, z)
  kc = QuantizeLinear(k, s, z)
  kd = DequantizeLinear(kc, s, z)
  t = Transpose<perm = [0, 1, 3, 2]>(kd)
  m = MatMul(qd, t)
  mc = QuantizeLinear(m, s, z)
  md = DequantizeLinear(mc, s, z)
  p = Softmax<axis = -1>(md)
  pc = QuantizeLinear(p, us, uz)
  pd = DequantizeLinear(pc, us, uz)
  vc = QuantizeLinear(v, s, z)
  vd = DequantizeLinear(vc, s, z)
  o = MatMul(pd, vd)
  oc = QuantizeLinear(o, s, z)
  y = DequantizeLinear(oc, s, z)
}""",
    "thresholds": """g (float[2, 4, 3, 3] x) => (float[2, 4, 3, 3] y)
<float[4, 7] steps, float s = {0.1}, float z = {0}, float bits = {3}>
{
  t = qonnx.custom_op.general.MultiThreshold<out_dtype = "UINT3">(x, steps)
  b = qonnx.custom_op.general.BipolarQuant(t, s)
  y = qonnx.custom_op.general.Trunc<rounding_mode = "FLOOR">(b, s, z, bits, bits)
}""",
    "recurrent": """g (float[4, 2, 3] x) => (float[4, 1, 2, 5] y)
<float[1, 20, 3] w, float[1, 20, 5] r, float[1, 40] b>
{
  y, h, c = LSTM<hidden_size = 5>(x, w, r, b)
}""",
    "shapes": """g (float[2, 3, 4] x) => (float[N, M] y)
<int64[1] start = {0}, int64[1] end = {2}, int64[1] axis = {2}, int64[4] pads = {0, 0, 1, 1}, int64[2] to = {2, -1},
 int64[2] at = {1, 0}>
{
  s = Slice(x, start, end, axis)
  t = Transpose<perm = [0, 2, 1]>(s)
  g0 = Gather<axis = 1>(t, at)
  r = Reshape(g0, to)
  p = Pad(r, pads)
  c = Concat<axis = 1>(p, p)
  y = Clip(c)
}""",
}


def small_models() -> dict[str, bytes]:
    """Return ONNX files by name; every constant without a value gets a seeded one."""
    files = {}
    for name, text in _TEXTS.items():
        model = parser.parse_model(_HEAD + text)
        rng = np.random.default_rng(1)
        for tensor in model.graph.initializer:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor), tensor.name))
        for info in model.graph.value_info:  # declared, but without a value
            kind = onnx.helper.tensor_dtype_to_np_dtype(info.type.tensor_type.elem_type)
            shape = [dim.dim_value for dim in info.type.tensor_type.shape.dim]
            values = rng.uniform(0.1, 1, shape) if kind.kind == "f" else rng.integers(0, 100, shape)
            model.graph.initializer.append(numpy_helper.from_array(values.astype(kind), info.name))
        del model.graph.value_info[:]
        files[f"{name}.onnx"] = model.SerializeToString()
    zoo = {
        "vit_block_tiny": network_zoo.BUILDERS["vit_block_tiny"](),
        "gpt2_tiny": network_zoo.gpt2(layers=1, width=16, heads=2, tokens=8, vocabulary=50),
        "mobilenet_v2_tiny": network_zoo.BUILDERS["mobilenet_v2_tiny"](form="int8"),
    }
    return files | {f"{name}.onnx": model.SerializeToString() for name, model in zoo.items()}
