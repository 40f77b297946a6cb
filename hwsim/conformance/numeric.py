# SPDX-License-Identifier: Apache-2.0
"""References for floats and integers: numpy, ml_dtypes, onnx, ONNX Runtime, torch."""

from collections.abc import Callable
from functools import partial
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from hwsim.conformance.reference import Encoding, Peer, Values, load
from hwsim.formats import FloatSpec, IntegerSpec
from hwsim.formats.codes import code_dtype

__all__ = [
    "MlDtypes",
    "Numpy",
    "Onnx",
    "OnnxRuntime",
    "Torch",
    "cast_model",
]

_FLOATS = ("float16", "float32", "float64")
_FLOAT8 = ("float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz")


def _is_plain_integer(spec: Any) -> bool:
    return isinstance(spec, IntegerSpec) and not spec.narrow and spec.fraction_bits == 0 and spec.zero_point == 0


def _within_int32(values: Values) -> NDArray[np.bool_]:
    with np.errstate(invalid="ignore"):
        return np.asarray(np.abs(values) < 2.0**31)


class Numpy:
    """Numpy's float16, float32, float64 and integers, the latter by its own roundings."""

    name = "numpy"
    distribution = "numpy"

    def has(self, spec: Any) -> bool:
        """Tell whether numpy has the format."""
        return spec.name in _FLOATS or (_is_plain_integer(spec) and spec.bits in (8, 16, 32))

    def peer(self, spec: Any) -> Peer:
        """Return numpy's form of a format."""
        kind = np.dtype(spec.name)

        def decode(codes: NDArray[np.unsignedinteger]) -> NDArray[Any]:
            return np.asarray(codes.view(kind).astype(np.float64))

        if isinstance(spec, FloatSpec):
            cast = Encoding(
                rounding="nearest_even",
                overflow="infinity",
                run=lambda values: values.astype(kind).astype(np.float64),
                double=True,
            )
            return Peer(decode=decode, encodings=(cast,))
        modes = {"nearest_even": np.rint, "toward_zero": np.trunc, "up": np.ceil, "down": np.floor}
        low, high = np.iinfo(kind).min, np.iinfo(kind).max

        def cast_integer(rounded: Callable[..., Any], values: Values) -> NDArray[Any]:
            whole = np.clip(rounded(values.astype(np.float64)), low, high)
            return np.asarray(whole.astype(kind).astype(np.float64))

        return Peer(
            decode=decode,
            encodings=tuple(
                Encoding(rounding=mode, overflow="saturate", run=partial(cast_integer, rounded), double=True)
                for mode, rounded in modes.items()
            ),
        )


class MlDtypes:
    """The small floats and integers of ml_dtypes; its casts of floats to integers wrap."""

    name = "ml_dtypes"
    distribution = "ml_dtypes"

    def has(self, spec: Any) -> bool:
        """Tell whether ml_dtypes has the format."""
        return isinstance(spec, FloatSpec | IntegerSpec) and hasattr(ml_dtypes, spec.name)

    def peer(self, spec: Any) -> Peer:
        """Return ml_dtypes' form of a format."""
        kind = np.dtype(getattr(ml_dtypes, spec.name))

        def cast(values: Values) -> NDArray[Any]:
            with np.errstate(all="ignore"):
                return values.astype(kind).astype(np.float64)

        if isinstance(spec, FloatSpec):
            overflow = "infinity" if spec.has_nan else "saturate"
            encoding = Encoding(rounding="nearest_even", overflow=overflow, run=cast, double=True)
        else:
            encoding = Encoding(rounding="toward_zero", overflow="wrap", run=cast, covers=_within_int32)
        return Peer(decode=lambda codes: codes.view(kind).astype(np.float64), encodings=(encoding,))


class Torch:
    """Casts of torch on the CPU, and its fake quantization to integers of scale 1."""

    name = "torch"
    distribution = "torch"

    def has(self, spec: Any) -> bool:
        """Tell whether torch has the format."""
        floats = ("float16", "bfloat16", "float32", *_FLOAT8, "float8_e8m0fnu")
        integer = isinstance(spec, IntegerSpec) and spec.fraction_bits == spec.zero_point == 0 and spec.bits <= 16
        return spec.name in floats or integer

    def peer(self, spec: Any) -> Peer:
        """Return torch's form of a format."""
        torch = load("torch", self.distribution)
        if isinstance(spec, IntegerSpec):

            def fake(values: NDArray[np.float32]) -> NDArray[Any]:
                tensor = torch.from_numpy(values)
                return np.asarray(torch.fake_quantize_per_tensor_affine(tensor, 1.0, 0, spec.min_int, spec.max_int))

            within = Encoding(rounding="nearest_even", overflow="saturate", run=fake, covers=_within_int32)
            return Peer(decode=None, encodings=(within,))
        kind = getattr(torch, spec.name)
        carrier = {1: torch.uint8, 2: torch.int16, 4: torch.int32}[np.dtype(code_dtype(spec.bits)).itemsize]

        def decode(codes: NDArray[np.unsignedinteger]) -> NDArray[Any]:
            signed = codes.view(np.dtype(f"i{codes.itemsize}")) if codes.itemsize > 1 else codes
            return np.asarray(torch.from_numpy(signed).to(carrier).view(kind).to(torch.float64))

        def cast(values: Values) -> NDArray[Any]:
            return np.asarray(torch.from_numpy(values).to(kind).to(torch.float64))

        # The casts to E4M3 stop at 448 since torch 2.12 or so; those to the FNUZ types and E8M0 give NaN.
        overflow = "saturate" if spec.name == "float8_e4m3fn" and self._saturates(torch) else "infinity"
        return Peer(
            decode=decode,
            encodings=(Encoding(rounding="nearest_even", overflow=overflow, run=cast, double=True),),
        )

    @staticmethod
    def _saturates(torch: Any) -> bool:
        """Tell which of the two overflows of OFP8 this version's E4M3 has, by the one value 1000."""
        return bool(torch.isfinite(torch.tensor(1000.0).to(torch.float8_e4m3fn).to(torch.float32)))


_ONNX_TYPES = {
    "float16": "FLOAT16",
    "bfloat16": "BFLOAT16",
    "float8_e4m3fn": "FLOAT8E4M3FN",
    "float8_e4m3fnuz": "FLOAT8E4M3FNUZ",
    "float8_e5m2": "FLOAT8E5M2",
    "float8_e5m2fnuz": "FLOAT8E5M2FNUZ",
    "float8_e8m0fnu": "FLOAT8E8M0",
    "float6_e2m3fn": "FLOAT6E2M3",
    "float6_e3m2fn": "FLOAT6E3M2",
    "float4_e2m1fn": "FLOAT4E2M1",
    **{f"{sign}int{bits}": f"{sign.upper()}INT{bits}" for sign in ("", "u") for bits in (2, 4, 8, 16)},
}


def cast_model(spec: Any, opset: int, *, back: bool = True, **attributes: Any) -> Any:
    """Return a model that casts, or quantizes with scale 1, and (unless told not to) goes back to float32."""
    import onnx
    from onnx import TensorProto, helper

    kind = getattr(TensorProto, _ONNX_TYPES[spec.name])
    if isinstance(spec, IntegerSpec):
        zero = helper.make_tensor("zero", kind, [], [0])
        one = helper.make_tensor("one", TensorProto.FLOAT, [], [1.0])
        nodes = [
            helper.make_node("QuantizeLinear", ["x", "one", "zero"], ["q"]),
            helper.make_node("DequantizeLinear", ["q", "one", "zero"], ["y"]),
        ]
        constants = [zero, one]
    else:
        nodes = [
            helper.make_node("Cast", ["x"], ["q"], to=kind, **attributes),
            helper.make_node("Cast", ["q"], ["y"], to=TensorProto.FLOAT),
        ]
        constants = []
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None])
    result = helper.make_tensor_value_info("y" if back else "q", TensorProto.FLOAT if back else kind, [None])
    graph = helper.make_graph(nodes if back else nodes[:1], "cast", [given], [result], constants)
    imports = [helper.make_opsetid("", opset)]
    return onnx.helper.make_model(graph, opset_imports=imports, ir_version=10)


class Onnx:
    """The reference evaluator of the onnx package: its Cast, and QuantizeLinear with scale 1."""

    name = "onnx.reference"
    distribution = "onnx"

    def has(self, spec: Any) -> bool:
        """Tell whether the evaluator of the installed version has the format."""
        from onnx import TensorProto, defs

        # Cast and the two Linear operators take two bits since opset 25, E8M0 since 24.
        newer = defs.onnx_opset_version() >= 25 or spec.name not in ("float8_e8m0fnu", "int2", "uint2")
        return newer and hasattr(TensorProto, _ONNX_TYPES.get(spec.name, "-"))

    def peer(self, spec: Any) -> Peer:
        """Return the evaluator's form of a format."""
        from onnx import defs
        from onnx.reference import ReferenceEvaluator

        opset = min(defs.onnx_opset_version(), 25)

        def encoding(rounding: str, overflow: str, **attributes: Any) -> Encoding:
            evaluator = ReferenceEvaluator(cast_model(spec, opset, **attributes))

            def run(values: NDArray[np.float32]) -> NDArray[Any]:
                with np.errstate(all="ignore"):
                    return np.asarray(evaluator.run(None, {"x": values})[0])  # type: ignore[index]

            return Encoding(rounding=rounding, overflow=overflow, run=run)

        if spec.name == "float8_e8m0fnu":
            encodings = [
                encoding("nearest_even", "saturate", round_mode="nearest"),
                encoding("up", "saturate", round_mode="up"),
                encoding("down", "saturate", round_mode="down"),
            ]
        elif spec.name in _FLOAT8:
            encodings = [
                encoding("nearest_even", "saturate", saturate=1),
                encoding("nearest_even", "infinity", saturate=0),
            ]
        else:
            encodings = [encoding("nearest_even", "infinity" if spec.has_nan else "saturate")]
        return Peer(decode=None, encodings=tuple(encodings))


class OnnxRuntime:
    """ONNX Runtime's Cast and QuantizeLinear on the CPU, without optimizations."""

    name = "onnxruntime"
    distribution = "onnxruntime"

    def has(self, spec: Any) -> bool:
        """Tell whether ONNX Runtime has the format."""
        names = ("float16", "bfloat16", *_FLOAT8, "int8", "uint8", "int16", "uint16", "int4", "uint4")
        return spec.name in names

    def peer(self, spec: Any) -> Peer:
        """Return ONNX Runtime's form of a format."""
        runtime = load("onnxruntime", self.distribution)
        options = runtime.SessionOptions()
        options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.intra_op_num_threads = 1

        def encoding(overflow: str, **attributes: Any) -> Encoding:
            model = cast_model(spec, 21, **attributes).SerializeToString()
            session = runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
            return Encoding(
                rounding="nearest_even",
                overflow=overflow,
                run=lambda values: np.asarray(session.run(None, {"x": values})[0]),
            )

        if spec.name in _FLOAT8:
            return Peer(decode=None, encodings=(encoding("saturate", saturate=1), encoding("infinity", saturate=0)))
        return Peer(decode=None, encodings=(encoding("infinity" if spec.has_nan else "saturate"),))
