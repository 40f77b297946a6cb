# SPDX-License-Identifier: Apache-2.0
"""Codes of a tensor: a format with scales and zero points, and how they are chosen for weights and activations."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from hwsim import formats
from hwsim.accelerator.scales import scale_top
from hwsim.formats import BlockSpec, IntegerSpec, PositSpec
from hwsim.formats.block import Scalar
from hwsim.formats.block_encoding import scale_values
from hwsim.formats.codes import code_dtype
from hwsim.quantization.recipe import Granularity, Observer

__all__ = [
    "BlockGrid",
    "Grid",
    "activation_grid",
    "code_range",
    "weight_grid",
]

Array = npt.NDArray[Any]
Values = npt.NDArray[np.float32]

_TINY = np.float32(np.finfo(np.float32).tiny)
_SHRINKS = np.linspace(1.0, 0.3, 71)  # shares of the largest magnitude that a search for the least error tries


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Grid:
    """A scalar format with scales: value = (code - zero point) * scale, products and quotients rounded to float32.

    Parameters
    ----------
    spec : a scalar format
    scale : ndarray of float32
        Of a shape that broadcasts to that of the values; with `groups` of shape (rows, groups).
    zero : ndarray of int64, the shape of the scale
        Code of zero; 0 but for integers.
    groups : ndarray of int64, shape (K,), or None
        Which of a row's scales each column of weights has.
    size : int
        Input channels that share a scale, where there are groups.
    symmetric : bool
        Whether the least code of a signed integer is left out.
    block : BlockSpec or None
        The block format that it is of, the scales then being those of its blocks.
    scale_codes, tensor_scale : ndarray and float32, or None
        Of a block format: the codes of its scales, and the float32 scale above them.
    """

    spec: Scalar
    scale: Values
    zero: npt.NDArray[np.int64]
    groups: npt.NDArray[np.int64] | None = None
    size: int = 0
    symmetric: bool = False
    block: BlockSpec | None = None
    scale_codes: Array | None = None
    tensor_scale: np.float32 | None = None

    @property
    def is_affine(self) -> bool:
        """Whether the codes are plain integers."""
        return _is_plain(self.spec)

    def codes(self, values: Array) -> Array:
        """Return the codes of float32 values: int64 of integers, else the format's unsigned codes.

        The quotient is rounded to float32, then to the format by ties to even, and saturates (ONNX QuantizeLinear).
        """
        scale, zero = self._spread()
        with np.errstate(over="ignore"):  # what is too large saturates
            quotient = values.astype(np.float32, copy=False) / scale
        if not self.is_affine:
            return np.asarray(self.spec.encode(quotient))
        low, high = code_range(self.spec, self.symmetric)
        return np.asarray(np.clip(np.rint(quotient).astype(np.float64) + zero, low, high).astype(np.int64))

    def values(self, codes: Array) -> Values:
        """Return the values of codes: (code - zero) * scale, rounded to float32."""
        scale, zero = self._spread()
        if self.is_affine:
            return np.asarray((codes - zero).astype(np.float32) * scale)
        return np.asarray(self.spec.decode(codes).astype(np.float32) * scale)

    def fake(self, values: Array) -> Values:
        """Return what is left of values once they have been codes."""
        return self.values(self.codes(values))

    def rows(self, first: int, last: int) -> "Grid":
        """Return the grid of some rows of (rows, K)."""
        if self.scale.shape[0] == 1:
            return self
        return replace(self, scale=self.scale[first:last], zero=self.zero[first:last])

    def column(self, index: int) -> "Grid":
        """Return the grid of one column of (rows, K)."""
        at = 0 if self.groups is None else int(self.groups[index])
        return Grid(
            spec=self.spec, scale=self.scale[:, at], zero=self.zero[:, at], symmetric=self.symmetric
        )  # fmt: skip

    def _spread(self) -> tuple[Values, npt.NDArray[np.int64]]:
        """Shape scales and zero points to broadcast."""
        if self.groups is None:
            return self.scale, self.zero
        return self.scale[:, self.groups], self.zero[:, self.groups]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BlockGrid:
    """A block format whose scales are chosen block by block as the values come.

    Parameters
    ----------
    spec : BlockSpec
    tensor_scale : float32 or None
        That of the tensor, from calibration, where the format has one.
    """

    spec: BlockSpec
    tensor_scale: np.float32 | None = None

    def fake(self, values: Array, axis: int = -1, taps: int = 1) -> Values:
        """Return what is left of values (..., K) or, along axis -2, (..., K, n) in blocks of channels.

        K runs over (channel, tap), and a block has one tap, as ONNX lays blocks.
        """
        moved = np.moveaxis(values, axis, -1)
        split = np.swapaxes(moved.reshape(*moved.shape[:-1], -1, taps), -1, -2)
        found = formats.quantize(split, self.spec, -1, scale=self.tensor_scale).dequantize().astype(np.float32)
        return np.moveaxis(np.swapaxes(found, -1, -2).reshape(moved.shape), -1, axis)


def code_range(spec: Scalar, symmetric: bool = False) -> tuple[int, int]:
    """Return the least and greatest code of a plain integer."""
    assert isinstance(spec, IntegerSpec)
    if not spec.signed:
        return 0, (1 << spec.bits) - 1
    high = (1 << (spec.bits - 1)) - 1
    return (-high if symmetric and high else -high - 1), high


def activation_grid(
    spec: Scalar | BlockSpec, low: float, high: float, *, symmetric: bool
) -> Grid | BlockGrid:  # fmt: skip
    """Return the quantizer of a tensor whose values are to lie in low..high.

    Integers, asymmetric: scale = (high - low) / codes with 0 in the range, zero point = rint(least code - low / scale)
    (ONNX DynamicQuantizeLinear). Everything else: scale = max(-low, high) / `scale_top`, zero point 0; unsigned
    integers of a tensor of both signs have theirs in the middle.
    """
    low, high = min(float(low), 0.0), max(float(high), 0.0)
    largest = max(-low, high)
    if isinstance(spec, BlockSpec):
        if not spec.tensor_scale:
            return BlockGrid(spec=spec)
        whole = np.float32(largest / (spec.element.max_value * spec.scale.max_value))
        return BlockGrid(spec=spec, tensor_scale=whole if whole > 0 else np.float32(1))
    if not _is_plain(spec):
        return Grid(spec=spec, scale=_scale(largest, scale_top(spec)), zero=np.zeros((), np.int64))
    assert isinstance(spec, IntegerSpec)
    least, most = code_range(spec)
    if not symmetric:
        scale = _scale(high - low, most - least)
        zero = np.clip(np.rint(least - np.float64(low) / scale), least, most).astype(np.int64)
        return Grid(spec=spec, scale=scale, zero=np.asarray(zero))
    if spec.signed:
        return Grid(spec=spec, scale=_scale(largest, most), zero=np.zeros((), np.int64))
    middle = (most + 1) // 2 if low < 0 else 0
    return Grid(spec=spec, scale=_scale(largest, most - middle), zero=np.asarray(middle, np.int64))


def weight_grid(
    rows: Values, spec: Scalar | BlockSpec, granularity: Granularity, group: int, observer: Observer, taps: int = 1
) -> Grid | None:
    """Return the quantizer of weights (outputs, K), K over (channel, tap).

    Parameters
    ----------
    rows : ndarray of float32
    spec : format
        Block formats bring their own groups and rule of scales; None is returned for those whose blocks choose one of
        several elements, and for blocks of more than one row.
    granularity : Granularity
        Of scalar formats.
    group : int
        Of granularity GROUP: input channels, each tap of a kernel apart.
    observer : Observer
        ABSMAX, or MSE: of the shares 1, 0.99, ... 0.3 of the largest magnitude that with the least squared error (and
        of posits, which are densest in the middle, of its multiples by powers of two).
    taps : int
        Of a convolution's kernel.
    """
    if isinstance(spec, BlockSpec):
        return _block_weights(rows, spec, taps)
    if granularity is Granularity.GROUP:
        cut, groups = _cut(rows, group, taps), _groups(rows.shape[1], group, taps)
    else:
        whole = rows.reshape(1, 1, -1) if granularity is Granularity.TENSOR else rows[:, None, :]
        cut, groups = whole, None
    low, high = cut.min(axis=-1, initial=0.0), cut.max(axis=-1, initial=0.0)
    scale, zero = _sliced(spec, low, high, 1.0)
    if observer is Observer.MSE:
        scale, zero = _least_error(spec, cut, low, high)
    size = 0 if groups is None else group
    return Grid(spec=spec, scale=scale, zero=zero, groups=groups, size=size, symmetric=True)


def _sliced(spec: Scalar, low: Array, high: Array, share: float) -> tuple[Values, npt.NDArray[np.int64]]:
    """Return scales and zero points of slices with so large a share of their range."""
    if isinstance(spec, IntegerSpec) and _is_plain(spec) and not spec.signed:
        scale = _scale((high - low) * share, (1 << spec.bits) - 1)
        return scale, np.rint(-(low * share) / scale.astype(np.float64)).astype(np.int64)
    largest = np.maximum(-low, high) * share
    scale = _scale(largest, code_range(spec)[1] if _is_plain(spec) else scale_top(spec))
    return scale, np.zeros(scale.shape, np.int64)


def _least_error(spec: Scalar, cut: Values, low: Array, high: Array) -> tuple[Values, npt.NDArray[np.int64]]:
    """Search the share of each slice's range with the least squared error."""
    shares = list(_SHRINKS)
    if not isinstance(spec, IntegerSpec):
        top = np.log2(scale_top(spec))
        powers = 2.0 ** np.arange(top - spec.scale_max, top + 1) if isinstance(spec, PositSpec) else ()
        shares += [share * power for power in powers for share in (1.0, 2**-0.5)]
    best = _sliced(spec, low, high, 1.0)
    least = np.full(low.shape, np.inf)
    for share in shares:
        scale, zero = _sliced(spec, low, high, share)
        tried = Grid(spec=spec, scale=scale[..., None], zero=zero[..., None], symmetric=True)
        error = np.square((tried.fake(cut) - cut).astype(np.float64)).sum(axis=-1)
        better = error < least
        least = np.where(better, error, least)
        best = (np.where(better, scale, best[0]), np.where(better, zero, best[1]))
    return best


def _arranged(rows: Values, taps: int) -> Values:
    """Bring (rows, channel x tap) to (rows, taps, channels)."""
    return np.swapaxes(rows.reshape(rows.shape[0], -1, taps), 1, 2)


def _cut(rows: Values, size: int, taps: int) -> Values:
    """Cut rows into groups of channels, the last of each tap filled up with zeros: (rows, taps x groups, size)."""
    apart = _arranged(rows, taps)
    padded = np.pad(apart, ((0, 0), (0, 0), (0, -apart.shape[2] % size)))
    return padded.reshape(rows.shape[0], -1, size)


def _groups(length: int, size: int, taps: int) -> npt.NDArray[np.int64]:
    """Return the group of each column of K."""
    channel, tap = np.divmod(np.arange(length), taps)
    return np.asarray(tap * (-(-(length // taps) // size)) + channel // size)


def _block_weights(rows: Values, spec: BlockSpec, taps: int) -> Grid | None:
    """Return the grid of a block format, its scales multiplied out and rounded to float32."""
    if spec.others or spec.block_rows != 1 or (spec.channel_scale and taps > 1):
        return None
    found = formats.quantize(_arranged(rows, taps), spec, -1)
    above = found.tensor_scale if found.channel_scales is None else found.channel_scales
    own = scale_values(spec.scale, np.asarray(found.scales, code_dtype(spec.scale.bits)))
    scale = np.asarray(own * np.float64(1) * above, np.float32)
    scale = np.where(scale > 0, scale, _TINY)
    zero = np.zeros(scale.shape, np.int64) if found.zero_points is None else found.zero_points.astype(np.int64)
    held = spec.element
    if isinstance(held, IntegerSpec) and held.fraction_bits:  # MXINT8's elements are integers in units of 2**-6
        scale = scale * np.float32(2.0**-held.fraction_bits)
        held = replace(held, fraction_bits=0)
    size, count = spec.block_size or rows.shape[1] // taps, rows.shape[0]
    return Grid(
        spec=held, scale=scale.reshape(count, -1), zero=zero.reshape(count, -1), symmetric=True, block=spec, size=size,
        groups=_groups(rows.shape[1], size, taps), scale_codes=np.asarray(found.scales).reshape(count, -1),
        tensor_scale=np.float32(found.tensor_scale) if spec.tensor_scale else None,
    )  # fmt: skip


def _scale(extent: Any, codes: float) -> Values:
    """Return extent / codes in float32, 1 where the extent is zero."""
    quotient = np.asarray(np.asarray(extent, np.float64) / codes).astype(np.float32)
    return np.asarray(np.where(quotient > 0, np.maximum(quotient, _TINY), np.float32(1)))


def _is_plain(spec: Scalar) -> bool:
    """Whether a format is integers without fraction bits or an offset."""
    return isinstance(spec, IntegerSpec) and not spec.fraction_bits and not spec.zero_point and spec.bits > 1
