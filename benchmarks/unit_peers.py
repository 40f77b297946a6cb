# SPDX-License-Identifier: Apache-2.0
"""The libraries that units.py measures: how each multiplies the operands of a unit, and to what values."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from hwsim import datapath
from hwsim.conformance.reference import load
from hwsim.datapath import DotProductUnit, FloatAccumulator
from hwsim.formats import BlockSpec, FloatSpec, PositSpec

__all__ = [
    "PEERS",
    "QUOTED",
    "Operands",
    "Peer",
]

Array = NDArray[Any]

QUOTED = {
    "truncated": "MMA-Sim 0.0002, Hawkeye 0.07",
    "rounded": "CPFloat 0.41, mptorch 0.051, universal 0.013",
    "blocks": "microxcaling 1.74, universal 0.052",
    "quire": "universal 0.008",
}
"""GMAC/s of what no package registry has: of an Intel Xeon with AMX, one thread, not run here."""


class Operands(NamedTuple):
    """Codes of a, shape (M, K), and b, (K, N), and of their block scales, as `hwsim.datapath.matmul` takes them."""

    unit: DotProductUnit
    a: Array
    b: Array
    a_scales: Array | None
    b_scales: Array | None

    def cut(self, rows: int, depth: int, columns: int) -> "Operands":
        """Return the operands of a smaller product; its depth is a multiple of the blocks."""
        a_scales, b_scales = self.a_scales, self.b_scales
        if a_scales is not None:
            a_scales = np.ascontiguousarray(a_scales[:rows, : depth // _block(self.unit.a)])
        if b_scales is not None:
            b_scales = np.ascontiguousarray(b_scales[: depth // _block(self.unit.b), :columns])
        a, b = self.a[:rows, :depth], self.b[:depth, :columns]
        return Operands(self.unit, np.ascontiguousarray(a), np.ascontiguousarray(b), a_scales, b_scales)

    def multiply(self) -> Array:
        """Return our result, codes of the unit's output."""
        return datapath.matmul(self.unit, self.a, self.b, a_scales=self.a_scales, b_scales=self.b_scales)

    def values(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return what the codes and scales stand for."""
        a, b = self.unit.element_a.decode(self.a), self.unit.element_b.decode(self.b)
        if self.a_scales is not None and self.unit.scale_a is not None:
            a = a * self.unit.scale_a.decode(self.a_scales).repeat(_block(self.unit.a), axis=1)
        if self.b_scales is not None and self.unit.scale_b is not None:
            b = b * self.unit.scale_b.decode(self.b_scales).repeat(_block(self.unit.b), axis=0)
        return a, b


class Peer(NamedTuple):
    """A library's way to a unit's product of some operands: the call to time, and the values of what it returns.

    `round_ours` brings our values to the library's format of results where that is a narrower one. `same` is False
    where the library has another arithmetic, or leaves the order of its sums open: equal results are then chance.
    """

    library: str
    run: Callable[[], Any]
    values: Callable[[Any], Array] = np.asarray
    round_ours: Callable[[Array], Array] = np.asarray
    same: bool = True


Make = Callable[[Operands, int], Peer]


def _block(spec: object) -> int:
    return spec.block_size if isinstance(spec, BlockSpec) else 1


def _torch(threads: int) -> Any:
    torch = load("torch", "torch")
    torch.set_num_threads(threads)
    return torch


def _register(unit: DotProductUnit) -> FloatSpec:
    assert isinstance(unit.accumulator, FloatAccumulator)
    return unit.accumulator.format


def ml_dtypes_matmul(operands: Operands, _: int) -> Peer:
    """Multiply with `@`, whose result is float32."""
    kind = getattr(ml_dtypes, operands.unit.a.name)
    a, b = operands.a.view(kind), operands.b.view(kind)
    return Peer("ml_dtypes @", lambda: a @ b)


def numpy_rank_one(operands: Operands, _: int) -> Peer:
    """Add the products of one k after the other to the whole result, an array of the register's type."""
    register = _register(operands.unit)
    kind = np.dtype(getattr(ml_dtypes, register.name, None) or register.name)
    a, b = (values.astype(kind) for values in operands.values())

    def run() -> Array:
        total = np.zeros((a.shape[0], b.shape[1]), kind)
        with np.errstate(all="ignore"):
            for k in range(a.shape[1]):
                total += a[:, k, None] * b[k]
        return total

    return Peer(f"numpy, {kind.name} rank-1 updates", run)


def numpy_half(operands: Operands, _: int) -> Peer:
    """Multiply float16 arrays with `@`."""
    a, b = (values.astype(np.float16) for values in operands.values())

    def run() -> Array:
        with np.errstate(all="ignore"):
            return np.asarray(a @ b)

    return Peer("numpy, float16 @", run, same=False)


def numpy_integers(operands: Operands, _: int) -> Peer:
    """Multiply int32 arrays with `@`."""
    a, b = (values.astype(np.int32) for values in operands.values())
    return Peer("numpy, int32 @", lambda: a @ b)


def numpy_saturating(operands: Operands, _: int) -> Peer:
    """Add and clip the products of one k after the other."""
    a, b = (values.astype(np.int32) for values in operands.values())

    def run() -> Array:
        total = np.zeros((a.shape[0], b.shape[1]), np.int32)
        for k in range(a.shape[1]):
            total += a[:, k, None] * b[k]
            np.clip(total, -(1 << 15), (1 << 15) - 1, out=total)
        return total

    return Peer("numpy, clipped rank-1 updates", run)


def apytypes_floats(operands: Operands, _: int) -> Peer:
    """Multiply in a context with the register as the accumulator."""
    apytypes = load("apytypes", "apytypes")
    register, spec = _register(operands.unit), operands.unit.a
    assert isinstance(spec, FloatSpec)
    # One exponent bit more, for APyTypes keeps the topmost exponent for infinity and NaN.
    exp_bits = min(spec.exp_bits + 1, 8)
    a, b = (apytypes.APyFloatArray.from_array(values, exp_bits, spec.man_bits) for values in operands.values())

    def run() -> Any:
        with apytypes.APyFloatAccumulatorContext(exp_bits=register.exp_bits, man_bits=register.man_bits):
            return a @ b

    return Peer("apytypes", run, lambda product: np.asarray(product.to_numpy()))


def apytypes_fixed(operands: Operands, _: int) -> Peer:
    """Multiply as fixed-point numbers without loss."""
    apytypes = load("apytypes", "apytypes")
    fraction_bits = max(0, -operands.unit.element_a.exp_min)
    bits = int(max(operands.unit.element_a.max_value, 1)).bit_length() + 1
    a, b = (apytypes.APyFixedArray.from_float(values, bits, fraction_bits) for values in operands.values())
    return Peer("apytypes, fixed point", lambda: a @ b, lambda product: _single(operands, product.to_numpy()))


def apytypes_saturating(operands: Operands, _: int) -> Peer:
    """Multiply in a context with a saturating accumulator."""
    apytypes = load("apytypes", "apytypes")
    a, b = (apytypes.APyFixedArray.from_float(values, 8, 0) for values in operands.values())

    def run() -> Any:
        saturate = apytypes.OverflowMode.SAT
        with apytypes.APyFixedAccumulatorContext(int_bits=16, frac_bits=0, overflow=saturate):
            return a @ b

    return Peer("apytypes, fixed point", run, lambda product: np.asarray(product.to_numpy()))


def _single(operands: Operands, values: Array) -> Array:
    """Round to the unit's output where that is a float."""
    return values.astype(np.float32) if isinstance(operands.unit.output, FloatSpec) else values


def mmaemu_hopper(operands: Operands, threads: int) -> Peer:
    """Emulate an H100's FP8 product with fast accumulation, in one pass over K."""
    torch, mmaemu = _torch(threads), load("mmaemu", "mmaemu")
    a, b = (torch.from_numpy(codes.copy()).view(torch.float8_e4m3fn) for codes in (operands.a, operands.b.T))
    return Peer("mmaemu", lambda: mmaemu.accumulate(a, b, use_fast_accum=True, profile="hopper", splitk=1))


def torch_scaled(operands: Operands, threads: int) -> Peer:
    """Multiply FP8 tensors with `torch._scaled_mm` on the CPU."""
    torch = _torch(threads)
    a, b = (torch.from_numpy(codes.copy()).view(torch.float8_e4m3fn) for codes in (operands.a, operands.b.T))
    one = torch.ones(())
    return Peer("torch._scaled_mm", lambda: torch._scaled_mm(a, b.t(), one, one, out_dtype=torch.float32), same=False)


def torch_integers(operands: Operands, threads: int) -> Peer:
    """Multiply int8 tensors with `torch._int_mm`."""
    torch = _torch(threads)
    a, b = (torch.from_numpy(codes.view(np.int8)) for codes in (operands.a, operands.b))
    return Peer("torch._int_mm", lambda: torch._int_mm(a, b))


def torch_floats(kind: str, operands: Operands, threads: int) -> Peer:
    """Multiply 16-bit float tensors; the result is of their type."""
    torch = _torch(threads)
    to = getattr(torch, kind)
    a, b = (torch.from_numpy(values).to(to) for values in operands.values())
    return Peer(
        f"torch, {kind} @",
        lambda: a @ b,
        lambda product: np.asarray(product.to(torch.float64)),
        lambda ours: np.asarray(torch.from_numpy(ours).to(to).to(torch.float64)),
        same=False,
    )


def runtime_integers(operands: Operands, threads: int) -> Peer:
    """Run a model of one MatMulInteger, b a constant."""
    onnx, runtime = load("onnx", "onnx"), load("onnxruntime", "onnxruntime")
    kind, helper = onnx.TensorProto, onnx.helper
    a, b = operands.a.view(np.int8), operands.b.view(np.int8)
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["a", "b"], ["d"])],
        "product",
        [helper.make_tensor_value_info("a", kind.INT8, a.shape)],
        [helper.make_tensor_value_info("d", kind.INT32, (a.shape[0], b.shape[1]))],
        [onnx.numpy_helper.from_array(b, "b")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    session = runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return Peer("onnxruntime MatMulInteger", lambda: session.run(None, {"a": a})[0])


def torchao_blocks(operands: Operands, threads: int) -> Peer:
    """Multiply torchao's MX or NVFP4 tensors, which it dequantizes for a float32 product."""
    torch, spec = _torch(threads), operands.unit.a
    assert isinstance(spec, BlockSpec)
    assert operands.a_scales is not None
    assert operands.b_scales is not None
    module = load(f"torchao.prototype.mx_formats.{'mx' if spec.name == 'mxfp4' else 'nvfp4'}_tensor", "torchao")
    kernels = load("torchao.quantization.quantize_.common.kernel_preference", "torchao")
    kind = torch.float8_e8m0fnu if spec.name == "mxfp4" else torch.float8_e4m3fn

    def tensor(codes: Array, scales: Array) -> Any:
        packed = torch.from_numpy(np.ascontiguousarray(codes[:, ::2] | codes[:, 1::2] << 4))
        scale = torch.from_numpy(np.ascontiguousarray(scales)).view(kind)
        if spec.name == "nvfp4":
            return module.NVFP4Tensor(packed, scale, spec.block_size, torch.float32)
        emulated = kernels.KernelPreference.EMULATED
        element = torch.float4_e2m1fn_x2
        return module.MXTensor(packed, scale, element, spec.block_size, torch.float32, emulated, None, False)

    a, b = tensor(operands.a, operands.a_scales), tensor(operands.b.T, operands.b_scales.T)
    return Peer("torchao, dequantized", lambda: a @ b.t(), same=False)


def softposit_quire(operands: Operands, _: int) -> Peer:
    """Add the products of each output to a quire, in Python; the result is a posit."""
    softposit = load("softposit", "softposit")
    spec = operands.unit.a
    assert isinstance(spec, PositSpec)
    if spec.name == "posit8_0":
        posit, clear, add, back = softposit.convertDoubleToP8, softposit.q8Clr, softposit.q8_fdp_add, softposit.q8_to_p8
        value = softposit.convertP8ToDouble
    else:
        posit = partial(_with_bits, softposit.convertDoubleToPX2)
        clear, add = softposit.qX2Clr, softposit.qX2_fdp_add
        back, value = partial(_with_bits, softposit.qX2_to_pX2), softposit.convertPX2ToDouble
    a, b = operands.values()
    left = [[posit(number) for number in row] for row in a.tolist()]
    right = [[posit(number) for number in row] for row in b.T.tolist()]

    def run() -> list[list[Any]]:
        result: list[list[Any]] = []
        for row in left:
            result.append([])
            for column in right:
                quire = clear()
                for x, y in zip(row, column, strict=True):
                    quire = add(quire, x, y)
                result[-1].append(back(quire))
        return result

    return Peer(
        "softposit",
        run,
        lambda product: np.array([[value(number) for number in row] for row in product]),
        lambda ours: spec.decode(spec.encode(ours)),
    )


def _with_bits(convert: Callable[[Any, int], Any], given: Any) -> Any:
    return convert(given, 8)


PEERS: dict[str, tuple[Make, ...]] = {
    "chain": (ml_dtypes_matmul, numpy_rank_one, apytypes_floats),
    "chain_wide": (numpy_rank_one, apytypes_floats),
    "truncated": (mmaemu_hopper,),
    "float16": (numpy_half, partial(torch_floats, "float16")),
    "bfloat16": (partial(torch_floats, "bfloat16"),),
    "half": (numpy_rank_one, apytypes_floats, numpy_half),
    "rounded": (numpy_rank_one, apytypes_floats),
    "odd": (apytypes_floats,),
    "exact": (apytypes_fixed, torch_scaled),
    "blocks": (torchao_blocks,),
    "integer": (torch_integers, runtime_integers, numpy_integers, apytypes_fixed),
    "saturating": (numpy_saturating, apytypes_saturating),
    "quire": (softposit_quire,),
}
"""What can be set beside a unit, by the kind of its arithmetic."""
