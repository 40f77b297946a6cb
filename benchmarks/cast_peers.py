# SPDX-License-Identifier: Apache-2.0
"""The libraries that casts.py measures: how each casts or quantizes, and to what values."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from hwsim import formats
from hwsim.conformance.blocks import Bitsandbytes
from hwsim.conformance.emulators import gfloat_info
from hwsim.conformance.numeric import cast_model
from hwsim.conformance.reference import BlockPeer, MissingReferenceError, load
from hwsim.formats import BlockSpec, FloatSpec, IntegerSpec
from hwsim.formats.posit import PositSpec

__all__ = [
    "PEERS",
    "Peer",
]

Array = NDArray[Any]


class Peer(NamedTuple):
    """A library's way to one format: the call to time, and one that gives the values it stands for."""

    library: str
    run: Callable[[Array], object]
    values: Callable[[Array], Array]


def _torch() -> Any:
    torch = load("torch", "torch")
    torch.set_num_threads(1)
    return torch


def torch_casts(name: str, library: str) -> Peer | None:
    """Cast with `Tensor.to`, or quantize to integers with scale 1."""
    torch = _torch()
    spec = formats.named(name)
    if isinstance(spec, IntegerSpec):
        low, high = spec.min_int, spec.max_int

        def whole(values: Array) -> Any:
            return torch.from_numpy(values).round().clamp_(low, high).to(torch.int8)

        return Peer(library, whole, lambda values: np.asarray(whole(values)))
    kind = getattr(torch, name, None)
    if kind is None:
        return None
    return Peer(
        library,
        lambda values: torch.from_numpy(values).to(kind),
        lambda values: np.asarray(torch.from_numpy(values).to(kind).to(torch.float64)),
    )


def ml_dtypes_casts(name: str, library: str) -> Peer | None:
    """Cast with `astype`; its casts to integers wrap, and stay out."""
    if isinstance(formats.named(name), IntegerSpec) or not hasattr(ml_dtypes, name):
        return None
    kind = np.dtype(getattr(ml_dtypes, name))
    return Peer(library, lambda values: values.astype(kind), lambda values: values.astype(kind).astype(np.float64))


def numpy_casts(name: str, library: str) -> Peer | None:
    """Round, clip and convert; for a codebook, search the middles."""
    spec = formats.named(name)
    if name == "float16":
        return Peer(library, lambda values: values.astype(np.float16), lambda values: values.astype(np.float16))
    if isinstance(spec, IntegerSpec):
        low, high = spec.min_int, spec.max_int

        def whole(values: Array) -> Array:
            rounded = np.rint(values)
            return np.clip(rounded, low, high, out=rounded).astype(np.int8)

        return Peer(library, whole, whole)
    if name != "nf4":
        return None
    levels = np.sort(spec.decode(np.arange(16)))  # type: ignore[union-attr]
    middles = ((levels[1:] + levels[:-1]) / 2).astype(np.float32)

    def search(values: Array) -> Array:
        return np.searchsorted(middles, values).astype(np.uint8)

    return Peer(library, search, lambda values: levels[search(values)])


def runtime_casts(name: str, library: str) -> Peer | None:
    """Run a model of one Cast or QuantizeLinear."""
    floats = ("float8_e4m3fn", "float8_e5m2", "float16", "bfloat16")
    if name not in (*floats, "int8", "int4"):
        return None
    runtime = load("onnxruntime", "onnxruntime")
    options = runtime.SessionOptions()
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    spec = formats.named(name)
    there, back = (
        runtime.InferenceSession(
            cast_model(spec, 21, back=back).SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        for back in (False, True)
    )

    def run(values: Array) -> object:
        given = runtime.OrtValue.ortvalue_from_numpy(values.reshape(-1))
        return there.run_with_ort_values(None, {"x": given})

    return Peer(library, run, lambda values: np.asarray(back.run(None, {"x": values.reshape(-1)})[0]))


def gfloat_rounds(name: str, library: str) -> Peer | None:
    """Round to values with `round_ndarray`; blocks with `quantize_block`."""
    gfloat = load("gfloat", "gfloat")
    spec = formats.named(name)
    nearest = gfloat.RoundMode.TiesToEven
    if isinstance(spec, FloatSpec):
        info = gfloat_info(spec)

        def run(values: Array) -> Array:
            return np.asarray(gfloat.round_ndarray(info, values, nearest, True))

        return Peer(library, run, run)
    if name not in ("mxfp4", "mxfp8_e4m3"):
        return None
    assert isinstance(spec, BlockSpec)
    assert isinstance(spec.element, FloatSpec)
    assert isinstance(spec.scale, FloatSpec)
    block = gfloat.BlockFormatInfo(name, gfloat_info(spec.element), spec.block_size, gfloat_info(spec.scale))

    def blocks(values: Array) -> Array:
        parts = values.astype(np.float64).reshape(-1, spec.block_size)
        return np.concatenate([gfloat.quantize_block(block, part, gfloat.compute_scale_amax) for part in parts])

    return Peer(library, blocks, blocks)


def apytypes_casts(name: str, library: str) -> Peer | None:
    """Make arrays of APyTypes' floats or fixed-point numbers."""
    apytypes = load("apytypes", "apytypes")
    spec = formats.named(name)
    if isinstance(spec, IntegerSpec):
        even, saturate = apytypes.QuantizationMode.TIES_EVEN, apytypes.OverflowMode.SAT

        def fixed(values: Array) -> Any:
            wide = apytypes.APyFixedArray.from_float(values, 31, 31)
            return wide.cast(int_bits=spec.bits, frac_bits=0, quantization=even, overflow=saturate)

        return Peer(library, fixed, lambda values: fixed(values).to_numpy())
    if name not in ("float8_e5m2", "float16", "bfloat16"):
        return None
    assert isinstance(spec, FloatSpec)

    def floats(values: Array) -> Any:
        return apytypes.APyFloatArray.from_array(values, spec.exp_bits, spec.man_bits)

    return Peer(library, floats, lambda values: floats(values).to_numpy())


def softposit_casts(name: str, library: str) -> Peer | None:
    """Convert one value after the other; SoftPosit's Python module has no arrays."""
    softposit = load("softposit", "softposit")
    if name not in ("posit8_0", "posit8_2"):
        return None

    def cast(values: Array) -> list[Any]:
        if name == "posit8_0":
            return [softposit.convertDoubleToP8(value) for value in values.reshape(-1).tolist()]
        return [softposit.convertDoubleToPX2(value, 8) for value in values.reshape(-1).tolist()]

    back = softposit.convertP8ToDouble if name == "posit8_0" else softposit.convertPX2ToDouble
    return Peer(library, cast, lambda values: np.array([back(posit) for posit in cast(values)]))


def qtorch_casts(name: str, library: str) -> Peer | None:
    """Round to values of posits or floats, in C++."""
    torch = _torch()
    quant = load("qtorch_plus.quant", "qtorch_plus")
    spec = formats.named(name)

    def run(values: Array) -> Any:
        tensor = torch.from_numpy(values)
        if isinstance(spec, PositSpec):
            return quant.posit_quantize(tensor, spec.bits, spec.es)
        assert isinstance(spec, FloatSpec)
        return quant.float_quantize(tensor, spec.exp_bits, spec.man_bits, rounding="nearest")

    fits = isinstance(spec, PositSpec) or (isinstance(spec, FloatSpec) and spec.bits <= 8)
    return Peer(library, run, lambda values: np.asarray(run(values))) if fits else None


def pychop_rounds(name: str, library: str) -> Peer | None:
    """Round to values with its torch backend."""
    torch = _torch()
    pychop = load("pychop", "pychop")
    pychop.backend("torch")
    spec = formats.named(name)
    blocks = {"mxfp4": "mxfp4_e2m1", "mxfp8_e4m3": "mxfp8_e4m3", "mxint8": "mxint8"}
    if name in blocks:

        def quantize(values: Array) -> Any:
            return pychop.mx_quantize(torch.from_numpy(values.reshape(-1)), blocks[name])

        return Peer(library, quantize, lambda values: np.asarray(quantize(values)))
    if not isinstance(spec, FloatSpec):
        return None
    chop = pychop.Chop(exp_bits=spec.exp_bits, sig_bits=spec.man_bits)

    def run(values: Array) -> Any:
        return chop(torch.from_numpy(values))

    return Peer(library, run, lambda values: np.asarray(run(values)))


def torchao_quantizes(name: str, library: str) -> Peer | None:
    """Quantize to MX, NVFP4 and NF4, or to FP6 and FP4; eager or through torch.compile."""
    torch = _torch()
    kernels = load("torchao.prototype.mx_formats.kernels", "torchao")
    constants = load("torchao.prototype.mx_formats.constants", "torchao")
    mx = load("torchao.prototype.mx_formats.mx_tensor", "torchao")
    nv = load("torchao.prototype.mx_formats.nvfp4_tensor", "torchao")
    compiled = "compiled" in library
    small = {"float4_e2m1fn": "f4", "float6_e2m3fn": "f6_e2m3", "float6_e3m2fn": "f6_e3m2"}
    if name in small:
        there = getattr(kernels, f"f32_to_{small[name]}_unpacked")
        back = getattr(kernels, f"{small[name]}_unpacked_to_f32")
        there = torch.compile(there) if compiled else there
        return Peer(
            library,
            lambda values: there(torch.from_numpy(values)),
            lambda values: np.asarray(back(there(torch.from_numpy(values)))),
        )
    kinds = {"mxfp4": torch.float4_e2m1fn_x2, "mxfp8_e4m3": torch.float8_e4m3fn, "mxfp6": constants.DTYPE_FP6_E2M3}
    if name in kinds:
        to_mx = torch.compile(mx.to_mx) if compiled else mx.to_mx

        def decoded(values: Array) -> Array:
            scales, data = to_mx(torch.from_numpy(values), kinds[name], 32)
            return np.asarray(mx.to_dtype(data, scales, kinds[name], 32, torch.float64))

        return Peer(library, lambda values: to_mx(torch.from_numpy(values), kinds[name], 32), decoded)
    if name != "nvfp4":
        return None

    def two_levels(tensor: Any) -> Any:
        whole = nv.per_tensor_amax_to_scale(tensor.abs().max())
        return (*nv.nvfp4_quantize(tensor, 16, whole), whole)

    quantize = torch.compile(two_levels) if compiled else two_levels

    def values_of(values: Array) -> Array:
        scales, packed, whole = quantize(torch.from_numpy(values))
        elements = kernels.f4_unpacked_to_f32(kernels.unpack_uint4(packed)).to(torch.float64)
        factor = scales.to(torch.float64) * whole.to(torch.float64)
        return np.asarray(elements.reshape(len(values), -1, 16) * factor.unsqueeze(-1))

    return Peer(library, lambda values: quantize(torch.from_numpy(values)), values_of)


def bitsandbytes_quantizes(name: str, library: str) -> Peer | None:
    """Quantize to NF4 in blocks of 64 with float32 scales, in C++."""
    if name != "nf4_b64":
        return None
    torch = _torch()
    functional = load("bitsandbytes.functional", "bitsandbytes")

    def run(values: Array) -> Any:
        return functional.quantize_4bit(torch.from_numpy(values), blocksize=64, quant_type="nf4")

    blocks = Bitsandbytes().peer(formats.named(name))
    assert isinstance(blocks, BlockPeer)
    exact = blocks.encodings[0].quantize  # its own dequantize gives products rounded to float32
    return Peer(library, run, lambda values: exact(values)[0])


def torch_logarithms(name: str, library: str) -> Peer | None:
    """Round the logarithm, as the papers' own code does (FQ-ViT, RepQ-ViT)."""
    if not name.startswith("log2_"):
        return None
    torch = _torch()
    last = (1 << formats.named(name).bits) - 1

    def run(values: Array) -> Any:
        return torch.from_numpy(values).log2().neg_().round_().clamp_(0, last)

    def values_of(values: Array) -> Array:
        codes = np.asarray(run(values)).astype(np.uint8)
        return np.asarray(formats.named(name).decode(codes))  # type: ignore[union-attr]

    return Peer(library, run, values_of)


def _if_installed(module: str, make: Callable[[str, str], Peer | None]) -> Callable[[str, str], Peer | None]:
    def found(name: str, library: str) -> Peer | None:
        if find_spec(module) is None:
            return None
        try:
            return make(name, library)
        except MissingReferenceError as error:
            raise RuntimeError(str(error)) from error

    return found


PEERS: dict[str, Callable[[str, str], Peer | None]] = {
    "torch": _if_installed("torch", torch_casts),
    "torch, log2": _if_installed("torch", torch_logarithms),
    "ml_dtypes": ml_dtypes_casts,
    "numpy": numpy_casts,
    "onnxruntime": _if_installed("onnxruntime", runtime_casts),
    "gfloat": _if_installed("gfloat", gfloat_rounds),
    "apytypes": _if_installed("apytypes", apytypes_casts),
    "softposit": _if_installed("softposit", softposit_casts),
    "qtorch_plus": _if_installed("qtorch_plus", qtorch_casts),
    "pychop": _if_installed("pychop", pychop_rounds),
    "torchao": _if_installed("torchao", torchao_quantizes),
    "torchao compiled": _if_installed("torchao", torchao_quantizes),
    "bitsandbytes": _if_installed("bitsandbytes", bitsandbytes_quantizes),
}
