# SPDX-License-Identifier: Apache-2.0
"""ONNX element types: the format that each one is, and the arrays that hold it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from hwsim.formats import FloatSpec, IntegerSpec, named
from hwsim.formats.codes import code_dtype

__all__ = [
    "ElementType",
    "element_type",
    "element_type_of",
    "held",
    "layer_type",
    "typed",
]

Array = npt.NDArray[Any]

# Source: ONNX IR, TensorProto.DataType, and the pages "Float stored in 8 / 6 / 4 bits" of onnx.ai/onnx/technical.
_FORMATS = {
    "FLOAT": "float32",
    "DOUBLE": "float64",
    "FLOAT16": "float16",
    "BFLOAT16": "bfloat16",
    "FLOAT8E4M3FN": "float8_e4m3fn",
    "FLOAT8E4M3FNUZ": "float8_e4m3fnuz",
    "FLOAT8E5M2": "float8_e5m2",
    "FLOAT8E5M2FNUZ": "float8_e5m2fnuz",
    "FLOAT8E8M0": "float8_e8m0fnu",
    "FLOAT6E2M3": "float6_e2m3fn",
    "FLOAT6E3M2": "float6_e3m2fn",
    "FLOAT4E2M1": "float4_e2m1fn",
    "INT2": "int2",
    "INT4": "int4",
    "INT8": "int8",
    "INT16": "int16",
    "INT32": "int32",
    "INT64": "int64",
    "UINT2": "uint2",
    "UINT4": "uint4",
    "UINT8": "uint8",
    "UINT16": "uint16",
    "UINT32": "uint32",
    "UINT64": "int64",  # only ever wrapped into, where the low bits are the same
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ElementType:
    """An element type of ONNX tensors.

    Parameters
    ----------
    name : str
        ONNX's, as in ``TensorProto.DataType``: ``"FLOAT8E4M3FN"``.
    spec : FloatSpec, IntegerSpec or None
        What its codes mean; None for BOOL and STRING.
    dtype : numpy.dtype
        Of the arrays that hold it, one element a number: NumPy's or ml_dtypes', as onnx has it.
    """

    name: str
    spec: FloatSpec | IntegerSpec | None
    dtype: np.dtype[Any]

    @property
    def is_integer(self) -> bool:
        """Whether it is an integer of any width, BOOL not included."""
        return isinstance(self.spec, IntegerSpec)

    @property
    def float_spec(self) -> FloatSpec:
        """The format of a float type."""
        assert isinstance(self.spec, FloatSpec)
        return self.spec

    @property
    def layer_name(self) -> str:
        """The name that layers have for it (`TensorSpec.dtype`): "float32" and "float64", else ONNX's in lower case."""
        return {"FLOAT": "float32", "DOUBLE": "float64"}.get(self.name, self.name.lower())

    @property
    def number(self) -> int:
        """The number by which protobuf knows it."""
        return int(onnx.TensorProto.DataType.Value(self.name))

    def codes(self, array: Array) -> npt.NDArray[np.unsignedinteger]:
        """Return the codes of an array of this type, without arithmetic; bits beyond the type's width are 0."""
        assert self.spec is not None
        raw = np.asarray(array, order="C").view(np.dtype(f"u{array.dtype.itemsize}"))
        return raw if self.spec.bits >= 8 else raw & raw.dtype.type((1 << self.spec.bits) - 1)

    def array(self, codes: npt.NDArray[np.unsignedinteger]) -> Array:
        """Return the array of this type with the given codes, without arithmetic."""
        assert self.spec is not None
        return np.asarray(codes.astype(code_dtype(self.spec.bits), copy=False)).view(self.dtype)

    def values(self, array: Array) -> Array:
        """Return the exact values of an array of a float type, as float32 or float64; a NaN keeps its code's sign."""
        if self.name in ("FLOAT", "DOUBLE"):
            return array
        spec, codes = self.float_spec, self.codes(array)
        values = spec.decode(codes)
        if spec.has_nan and spec.signed and np.isnan(values).any():
            negative = np.isnan(values) & (codes >> (spec.bits - 1) != 0)
            values = np.where(negative, np.copysign(np.nan, -1.0), values)
        return values

    def integers(self, array: Array) -> Array:
        """Return the integers of an array of an integer type or BOOL, as uint64 where it is UINT64, else as int64."""
        if array.dtype.kind in "biu":
            return array if self.name == "UINT64" else array.astype(np.int64)
        assert isinstance(self.spec, IntegerSpec)
        return self.spec.unpack(self.codes(array)).significand


def _types() -> dict[int, ElementType]:
    """Return the types that the installed onnx has, by number."""
    known = onnx.TensorProto.DataType.keys()
    found = {}
    for name, format_name in (*_FORMATS.items(), ("BOOL", ""), ("STRING", "")):
        if name not in known:
            continue
        number = onnx.TensorProto.DataType.Value(name)
        spec = named(format_name) if format_name else None
        assert spec is None or isinstance(spec, (FloatSpec, IntegerSpec))
        dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(number))
        found[number] = ElementType(name=name, spec=spec, dtype=dtype)
    return found


_TYPES = _types()


def element_type(number: int) -> ElementType:
    """Return the element type of a number of ``TensorProto.DataType``, or raise ValueError."""
    if number not in _TYPES:
        names = {value: name for name, value in onnx.TensorProto.DataType.items()}
        raise ValueError(f"element type {names.get(number, number)} is not one that hwsim converts")
    return _TYPES[number]


def element_type_of(array: Array) -> ElementType:
    """Return the element type that an array holds; strings are arrays of objects or of str. ValueError if none."""
    if array.dtype.kind in "OUS":
        return element_type(onnx.TensorProto.STRING)
    try:
        return element_type(onnx.helper.np_dtype_to_tensor_dtype(array.dtype))
    except (KeyError, ValueError):
        raise ValueError(f"an array of {array.dtype} is no ONNX tensor that hwsim converts") from None


def layer_type(name: str) -> ElementType:
    """Return the element type of a layer's tensor (`TensorSpec.dtype`). ValueError if it is none."""
    if name not in _BY_LAYER:
        raise ValueError(f"{name!r} is no element type that hwsim converts")
    return _BY_LAYER[name]


def held(array: Array) -> Array:
    """Return an array as layers hold it: integers of less than a byte in bytes, floats of a byte or less as codes."""
    kind = element_type_of(array)
    if kind.spec is None or kind.spec.bits > 8 or array.dtype.kind in "iu":
        return array
    if kind.is_integer:
        return kind.integers(array).astype(np.int8 if kind.name.startswith("INT") else np.uint8)
    return kind.codes(array)


def typed(array: Array, name: str) -> Array:
    """Return an array that layers hold, of the element type `name` of theirs, as onnx has it."""
    kind = layer_type(name)
    if array.dtype == kind.dtype or kind.spec is None:
        return array
    return kind.array(array.view(np.uint8) & np.uint8((1 << kind.spec.bits) - 1))


_BY_LAYER = {kind.layer_name: kind for kind in _TYPES.values()}
