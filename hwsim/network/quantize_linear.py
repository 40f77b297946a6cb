# SPDX-License-Identifier: Apache-2.0
"""ONNX QuantizeLinear, DequantizeLinear and DynamicQuantizeLinear, of every type and granularity.

Source: ONNX operators QuantizeLinear-28, DequantizeLinear-28 and DynamicQuantizeLinear-11.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from hwsim.formats import IntegerSpec, Overflow
from hwsim.network.affine import NanError
from hwsim.network.conversion import cast, round_values
from hwsim.network.element_types import ElementType, element_type_of

__all__ = [
    "dequantize_linear",
    "dynamic_quantize_linear",
    "quantize_linear",
]

Array = npt.NDArray[Any]

_PRECISIONS = ("FLOAT", "FLOAT16", "BFLOAT16")
_WIDE = ("FLOAT8E8M0", "INT32")  # types of a scale in which no quotient can be computed


def quantize_linear(
    x: Array,
    scale: Array,
    zero_point: Array | None = None,
    *,
    target: ElementType,
    axis: int = 1,
    block_size: int = 0,
    saturate: bool = True,
    precision: ElementType | None = None,
) -> Array:
    """Quantize: ``saturate(x / scale + zero_point)``.

    Parameters
    ----------
    x : ndarray of FLOAT, FLOAT16, BFLOAT16 or INT32, any shape
    scale : ndarray of these types or FLOAT8E8M0
        One number; or a vector along `axis`; or, with `block_size`, of the shape of x but for `axis`.
    zero_point : ndarray of the target's type, shape of the scale, optional
    target : ElementType
        An integer of at most 32 bits, or a float.
    axis, block_size : int
        One scale for each `block_size` neighbours along `axis`.
    saturate : bool
        As for `cast`, for floats of 8 bits. Everything else saturates always.
    precision : ElementType, optional
        In which x and the scale are divided: each of them, the quotient, and its sum with a float zero point are
        rounded to it. Else that of the scale; where that is FLOAT8E8M0, that of x; where INT32, the division is exact.

    Returns
    -------
    ndarray of ``target.dtype``, shape of x
        Quotients are rounded to integers by ties to even, before the zero point is added.

    Raises
    ------
    ValueError
        Where shapes or types do not fit, or a quotient is NaN and the target an integer.
    """
    if precision is None:
        own = element_type_of(scale)
        if own.name in _WIDE:
            own = element_type_of(x)
        precision = own if own.name in _PRECISIONS else None
    elif precision.name not in _PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(_PRECISIONS)}, not {precision.name}")
    scales = _along(_values(scale, precision), x.shape, axis, block_size, "scale")
    values = _values(x, precision)
    with np.errstate(divide="ignore", invalid="ignore"):
        # 53 bits hold twice 24 and two more, so that rounding the quotient again is as rounding it once.
        quotient = _rounded(_signed_nan(values / scales, values), precision)
    zeros = None
    if zero_point is not None:
        if element_type_of(zero_point) != target:
            raise ValueError(f"zero point must be {target.name}, not {element_type_of(zero_point).name}")
        zeros = _along(_values(zero_point, None), x.shape, axis, block_size, "zero point")
    if not isinstance(target.spec, IntegerSpec):
        shifted = quotient if zeros is None else _rounded(quotient + zeros, precision)
        return round_values(shifted, target, saturate=saturate)
    if np.isnan(quotient).any():
        wrong = np.asarray(scales)[~np.isfinite(scales) | (np.asarray(scales) == 0)]
        if wrong.size:
            raise ValueError(f"the scale must be finite and not 0, not {wrong.reshape(-1)[0]}")
        raise NanError(f"a quotient is NaN, which has no code of {target.name}")
    integers = np.rint(quotient) if zeros is None else np.rint(quotient) + zeros
    return target.array(target.spec.encode(integers, overflow=Overflow.SATURATE))


def dequantize_linear(
    x: Array,
    scale: Array,
    zero_point: Array | None = None,
    *,
    target: ElementType,
    axis: int = 1,
    block_size: int = 0,
) -> Array:
    """Dequantize: ``(x - zero_point) * scale``.

    Parameters
    ----------
    x : ndarray of any integer of at most 32 bits or float of at most 8 bits, any shape
    scale : ndarray of FLOAT, FLOAT16, BFLOAT16 or FLOAT8E8M0
        As in `quantize_linear`.
    zero_point : ndarray of the type of x, shape of the scale, optional
    target : ElementType
        FLOAT, FLOAT16 or BFLOAT16.
    axis, block_size : int
        As in `quantize_linear`.

    Returns
    -------
    ndarray of ``target.dtype``, shape of x
        The exact difference rounded to FLOAT (only INT32 ever needs it), times the scale, rounded once.

    Raises
    ------
    ValueError
        Where shapes or types do not fit.
    """
    if target.name not in _PRECISIONS:
        raise ValueError(f"the output must be one of {', '.join(_PRECISIONS)}, not {target.name}; set output_dtype")
    values = _values(x, None)
    if zero_point is not None:
        if element_type_of(zero_point) != element_type_of(x):
            kinds = f"{element_type_of(x).name}, not {element_type_of(zero_point).name}"
            raise ValueError(f"zero point must be of the type of x, {kinds}")
        values = values - _along(_values(zero_point, None), x.shape, axis, block_size, "zero point")
    single = element_type_of(np.empty(0, np.float32))
    scales = _along(_values(scale, None), x.shape, axis, block_size, "scale")
    with np.errstate(invalid="ignore"):
        product = _signed_nan(_rounded(values, single) * scales, values)
    return round_values(product, target)


def dynamic_quantize_linear(x: Array) -> tuple[Array, Array, Array]:
    """Quantize to uint8 by the range of the values.

    Parameters
    ----------
    x : ndarray of float32, any shape, not empty

    Returns
    -------
    y : ndarray of uint8, shape of x
    scale : ndarray of float32, shape ()
        ``(max(0, max x) - min(0, min x)) / 255``; 1 where that is 0, for which ONNX's text has no rule (so does ONNX
        Runtime).
    zero_point : ndarray of uint8, shape ()

    Raises
    ------
    ValueError
        If x is not float32, is empty, or has a NaN or an infinity.
    """
    if x.dtype != np.float32 or not x.size or not np.isfinite(x).all():
        raise ValueError("x must be finite float32 numbers, at least one")
    high, low = np.maximum(np.float32(0), x.max()), np.minimum(np.float32(0), x.min())
    scale = np.asarray((high - low) / np.float32(255) if high > low else np.float32(1))
    byte = element_type_of(np.empty(0, np.uint8))
    zero_point = quantize_linear(np.asarray(-low), scale, target=byte)
    return quantize_linear(x, scale, zero_point, target=byte), scale, zero_point


def _values(array: Array, precision: ElementType | None) -> npt.NDArray[np.float64]:
    """Return an array's values, rounded to a type where one is given, as float64."""
    kind = element_type_of(array)
    if kind.spec is None:
        raise ValueError(f"numbers are needed, not {kind.name}")
    if precision is not None and kind != precision:
        return np.asarray(precision.values(cast(array, precision)).astype(np.float64))
    values = kind.integers(array) if kind.is_integer else kind.values(array)
    with np.errstate(invalid="ignore"):  # a signalling NaN is a NaN
        return np.asarray(values.astype(np.float64))


def _rounded(values: Array, precision: ElementType | None) -> npt.NDArray[np.float64]:
    """Round values to a type, and return them as float64."""
    if precision is None:
        return values
    return np.asarray(precision.values(round_values(np.asarray(values), precision)).astype(np.float64))


def _signed_nan(result: Array, values: Array) -> Array:
    """Give each NaN the sign of the value it comes from: what 0 / 0 has differs between processors."""
    nan = np.isnan(result)
    return np.where(nan, np.copysign(np.nan, values), result) if nan.any() else result


def _along(values: Array, shape: tuple[int, ...], axis: int, block_size: int, what: str) -> Array:
    """Shape a scale or zero point to broadcast against a tensor."""
    if values.size == 1 and not block_size:
        return values.reshape(())
    if not -len(shape) <= axis < len(shape):
        raise ValueError(f"axis must be in {-len(shape)}..{len(shape) - 1}, not {axis}")
    axis %= len(shape)
    size = shape[axis]
    if not block_size:
        if values.shape != (size,):
            raise ValueError(f"{what} must have shape ({size},) along axis {axis} of {shape}, not {values.shape}")
        return values.reshape([-1 if i == axis else 1 for i in range(len(shape))])
    if block_size < 0:
        raise ValueError(f"block_size must be at least 0, not {block_size}")
    wanted = (*shape[:axis], -(-size // block_size), *shape[axis + 1 :])
    if values.shape != wanted:
        raise ValueError(f"{what} must have shape {wanted} in blocks of {block_size} of {shape}, not {values.shape}")
    return np.take(values, np.arange(size) // block_size, axis=axis)
