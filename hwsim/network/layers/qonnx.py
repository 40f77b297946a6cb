# SPDX-License-Identifier: Apache-2.0
"""QONNX quantizers: Quant (IntQuant), BipolarQuant, FloatQuant, Trunc, computed as qonnx 1.0's executor does.

Source: github.com/fastmachinelearning/qonnx, src/qonnx/custom_op/general (intquant.py, bipolar_quant.py, floatquant.py,
trunc.py), version 1.0.0.
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from hwsim.formats import FloatSpec
from hwsim.network.affine import AffineQuantization, NanError, storage_type
from hwsim.network.float_quantization import FormatQuantization
from hwsim.network.graph import Engine, Layer, Shape, TensorSpec
from hwsim.network.requantize import Rule

__all__ = [
    "ROUNDINGS",
    "BipolarQuant",
    "FloatQuant",
    "IntQuant",
    "QonnxQuantizer",
    "Trunc",
    "largest_value",
]

Array = npt.NDArray[Any]

ROUNDINGS: Mapping[str, Callable[[Array], Array]] = {
    "ROUND": np.rint,
    "HALF_EVEN": np.rint,
    "CEIL": np.ceil,
    "FLOOR": np.floor,
    "UP": lambda x: np.sign(x) * np.ceil(np.abs(x)),
    "DOWN": np.trunc,
    "HALF_UP": lambda x: np.sign(x) * np.floor(np.abs(x) + 0.5),
    "HALF_DOWN": lambda x: np.sign(x) * np.ceil(np.abs(x) - 0.5),
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class QonnxQuantizer(Layer):
    """A quantizer that gives codes where its parameters make a quantization of ours, else quantized values.

    Parameters
    ----------
    scale : ndarray
        Broadcasts against the input.
    quantization : AffineQuantization, FormatQuantization or None
        Of the codes. None where scales run along several axes, or levels are no codes of a format (a zero point that
        is no integer, more than 24 bits): then the output is float32.
    """

    kind: ClassVar[str] = "quantize"

    scale: Array
    quantization: AffineQuantization | FormatQuantization | None

    def output_specs(self, specs: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
        """Return the spec of the codes or values."""
        if specs[0].dtype != "float32":
            raise ValueError(f"layer {self.name!r}: {self.operator} needs float32 values, not {specs[0].dtype}")
        for name, shape in self.shapes().items():
            pairs = zip(shape[::-1], specs[0].shape[::-1], strict=False)
            if len(shape) > len(specs[0].shape) or any(size not in (1, wanted) for size, wanted in pairs):
                raise ValueError(f"layer {self.name!r}: {name} {shape} does not broadcast to {specs[0].shape}")
        dtype = "float32" if self.quantization is None else self.quantization.dtype
        return (TensorSpec(name=self.outputs[0], shape=specs[0].shape, dtype=dtype),)

    def shapes(self) -> dict[str, Shape]:
        """Return the shapes of what broadcasts against the input."""
        return {"scale": self.scale.shape}

    def keeps_batch(self, specs: tuple[TensorSpec, ...]) -> bool:
        """Tell whether no scale runs along the batch."""
        rank = len(specs[0].shape)
        return rank > 0 and (self.scale.ndim < rank or self.scale.shape[0] == 1)

    def run(self, values: tuple[Array, ...], engine: Engine, rule: Rule) -> tuple[Array, ...]:
        """Quantize by the operator's own rounding, whatever the rule."""
        del engine, rule
        with np.errstate(all="ignore"):
            levels = self.levels(values[0])
        if self.quantization is None:
            return (self.values(levels).astype(np.float32),)
        return (self.codes(levels),)

    @abstractmethod
    def levels(self, x: Array) -> Array:
        """Return the quantized values before they are scaled, in the operator's own arithmetic."""

    @abstractmethod
    def values(self, levels: Array) -> Array:
        """Return the output's values."""

    def codes(self, levels: Array) -> Array:
        """Return the codes of levels."""
        assert self.quantization is not None
        held = isinstance(self.quantization, FormatQuantization) and self.quantization.format.has_nan
        if not held and np.isnan(levels).any():
            raise NanError(f"layer {self.name!r}: a NaN has no code of {self.quantization.dtype}")
        if isinstance(self.quantization, FormatQuantization):
            assert isinstance(self.quantization.format, FloatSpec)
            overflow = "infinity" if self.quantization.format.has_nan else "saturate"
            codes: Array = self.quantization.format.encode(levels, overflow=overflow)
        else:
            codes = levels
        return codes.astype(storage_type(self.quantization.dtype))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class IntQuant(QonnxQuantizer):
    """(round(clip(x / scale + zero_point)) - zero_point) * scale, in the arithmetic of the inputs' types.

    Parameters
    ----------
    zero_point : ndarray
        Added before the rounding.
    bits : int
        One bit with a sign stands for -1 and 1.
    signed, narrow : bool
        A narrow range leaves out the least code of a signed type, the greatest of an unsigned one.
    mode : str
        How to round.
    """

    zero_point: Array
    bits: int
    signed: bool
    narrow: bool
    mode: str

    def shapes(self) -> dict[str, Shape]:
        """Return the shapes of what broadcasts against the input."""
        return {"scale": self.scale.shape, "zero point": self.zero_point.shape}

    def levels(self, x: Array) -> Array:
        """Return integers as floats."""
        y = np.asarray(x / self.scale + self.zero_point)
        if self.bits == 1 and self.signed:
            return np.asarray(np.where(y >= 0, y.dtype.type(1), y.dtype.type(-1)))
        low, high = integer_range(self.bits, self.signed, self.narrow)
        y = np.where(y > high, y.dtype.type(high), y)
        y = np.where(y < low, y.dtype.type(low), y)
        return np.asarray(ROUNDINGS[self.mode](y))

    def values(self, levels: Array) -> Array:
        """Take out the zero point and scale."""
        return np.asarray((levels - self.zero_point) * self.scale)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BipolarQuant(QonnxQuantizer):
    """The scale where x is not negative, else its opposite."""

    def levels(self, x: Array) -> Array:
        """Return 1 and -1."""
        return np.asarray(np.where(x >= 0, x.dtype.type(1), x.dtype.type(-1)))

    def values(self, levels: Array) -> Array:
        """Scale."""
        return np.asarray(levels * self.scale)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FloatQuant(QonnxQuantizer):
    """Values rounded to a float of given exponent and mantissa, with subnormals, under a scale.

    Parameters
    ----------
    exponent, mantissa, bias, max_value : ndarray, shape ()
        As the file gives them: qonnx computes in their type.
    mode : str
    saturates, has_inf, has_nan : bool
        What becomes of values beyond the largest: that value, else infinity where there is one, else NaN.
    """

    exponent: Array
    mantissa: Array
    bias: Array
    max_value: Array
    mode: str
    saturates: bool
    has_inf: bool
    has_nan: bool

    def levels(self, x: Array) -> Array:
        """Round as qonnx does, its logarithm in the type of x included."""
        y = np.asarray(x / self.scale)
        unit = np.floor(np.log2(np.abs(y) + np.finfo(y.dtype).tiny)) - self.mantissa
        unit = np.exp2(np.maximum(unit, 1.0 - self.bias - self.mantissa))
        q = np.asarray(unit * ROUNDINGS[self.mode](y / unit))
        high = largest_value(self.exponent, self.mantissa, self.bias, self.max_value)
        clipped = np.clip(q, -high, high)
        if self.saturates:
            return np.asarray(clipped)
        if self.has_inf:
            clipped = np.where(q > high, np.inf, np.where(q < -high, -np.inf, clipped)).astype(clipped.dtype)
        else:
            clipped = np.where(np.abs(q) > high, np.nan, clipped).astype(clipped.dtype)
        return np.asarray(clipped)

    def values(self, levels: Array) -> Array:
        """Scale."""
        return np.asarray(levels * self.scale)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trunc(QonnxQuantizer):
    """Integers with their low bits cut off, by QONNX's Trunc of version 1 or 2.

    Parameters
    ----------
    zero_point, input_bits, output_bits : ndarray
    mode : str
    output_scale : ndarray or None
        Version 2: the scale of the result, whose quotient by `scale` is taken as a power of two. Version 1: None; as
        many bits are cut off as `input_bits` has more than `output_bits`, and the result keeps the scale.
    signed, narrow : bool
        Version 2: the range to which the result is clipped before it is rounded.
    """

    zero_point: Array
    input_bits: Array
    output_bits: Array
    mode: str
    output_scale: Array | None = None
    signed: bool = True
    narrow: bool = False

    def shapes(self) -> dict[str, Shape]:
        """Return the shapes of what broadcasts against the input."""
        known = {"scale": self.scale.shape, "zero point": self.zero_point.shape}
        return known | {"the power of two cut off": np.shape(self._step())}

    def levels(self, x: Array) -> Array:
        """Return the truncated integers as floats."""
        y = np.rint(x / self.scale + self.zero_point) / self._step()
        if self.output_scale is not None:
            low, high = integer_range(int(self.output_bits.reshape(())), self.signed, self.narrow)
            y = np.where(y > high, y.dtype.type(high), y)
            y = np.where(y < low, y.dtype.type(low), y)
        return np.asarray(ROUNDINGS[self.mode](y))

    def values(self, levels: Array) -> Array:
        """Take out the zero point and scale."""
        if self.output_scale is None:
            return np.asarray((levels - self.zero_point) * self.scale)
        return np.asarray((levels - self.zero_point / self._step()) * self.output_scale)

    def _step(self) -> Any:
        """Return what a unit of the result is in units of the input."""
        if self.output_scale is None:
            return 2.0 ** (self.input_bits - self.output_bits)
        return 2 ** np.rint(np.log2(self.output_scale / self.scale))


def integer_range(bits: int, signed: bool, narrow: bool) -> tuple[int, int]:
    """Return the least and the greatest integer of QONNX's intN."""
    if signed:
        return -(2 ** (bits - 1)) + narrow, 2 ** (bits - 1) - 1
    return 0, 2**bits - 1 - narrow


def largest_value(exponent: Array, mantissa: Array, bias: Array, max_value: Array) -> Any:
    """Return the largest magnitude of a FloatQuant, in its parameters' type."""
    whole = np.sum(2.0 ** np.arange(0, -1.0 * float(mantissa) - 1.0, -1.0))
    return np.minimum(whole * (2 ** ((2.0**exponent) - 1.0 - bias)), max_value)
