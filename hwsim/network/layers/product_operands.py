# SPDX-License-Identifier: Apache-2.0
"""Which form a matrix product has, by what stands behind its operands."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from hwsim.network.affine import BIPOLAR, AffineQuantization, storage_type
from hwsim.network.float_quantization import BlockQuantization, FormatQuantization, Quantization, as_format
from hwsim.network.layers.multiply_accumulate import Form
from hwsim.network.pattern import Operand, Pattern, RawNode

__all__ = [
    "Product",
    "read_product",
]


_SMALL = 2**15  # the magnitude up to which whole numbers of a float are taken for integer codes


class Product(NamedTuple):
    """The operands of a product, and their form."""

    form: Form
    a: Operand
    b: Operand

    @property
    def inputs(self) -> tuple[str, ...]:
        """The tensors that vary: operands, then block scales, then scale and zero point of the first operand."""
        operands = [operand.spec.name for operand in (self.a, self.b) if operand.constant is None]
        scales = [operand.scales.name for operand in (self.a, self.b) if operand.scales is not None]
        return (*operands, *scales, *(name for name in self.a.varying if name))

    @property
    def scale_inputs(self) -> tuple[bool, bool]:
        """Whether the block scales of each operand vary."""
        return self.a.scales is not None, self.b.scales is not None

    @property
    def varying_input(self) -> tuple[bool, bool]:
        """Whether the scale, and the zero point of the first operand vary."""
        scale, zero = self.a.varying
        return bool(scale), bool(zero)

    @property
    def unit(self) -> npt.NDArray[np.float64] | None:
        """Value of one unit of the integer accumulator, in the QDQ form where it is known."""
        if self.form is not Form.QDQ or any(self.a.varying):
            return None
        return np.asarray(np.float64(self.a.quantization.scale) * self.b.quantization.scale.astype(np.float64))


def read_product(
    node: RawNode, pattern: Pattern, names: tuple[str, str], a_axis: int, b_axes: tuple[int, int]
) -> Product:
    """Return the operands of a product, as codes where they can be multiplied as such.

    Parameters
    ----------
    node : RawNode
    pattern : Pattern
    names : tuple of two str
        The operands.
    a_axis : int
        The axis of k in the first operand.
    b_axes : tuple of two int
        The axes of k and of the output channels in the second.

    Raises
    ------
    ValueError
        Where block scales, or scales of small floats, do not run along k as blocks, or along the output channels.
    """
    a, b = (pattern.coded(name) for name in names)
    if isinstance(a.quantization, AffineQuantization) and b.quantization is None and b.constant is not None:
        b = _whole_numbers(b)
    if any(b.varying):
        b = pattern.plain(names[1])
    if a.quantization is None or b.quantization is None:
        if a.quantization is None and b.quantization is not None and b.constant is not None:
            weight = _as_codes(b)
            if weight is not None and _fits(node, None, weight, a_axis, b_axes):
                return Product(Form.CODED, a, weight)
        return _plain(node, pattern, names)
    if isinstance(a.quantization, AffineQuantization) and isinstance(b.quantization, AffineQuantization):
        if a.quantization.axis is None and _along_channels(b, b_axes[1]):
            return Product(Form.QDQ, a, b)
        return _plain(node, pattern, names)
    if a.varying[1]:  # a zero point that is part of no format
        return _plain(node, pattern, names)
    left, right = _as_codes(a), _as_codes(b)
    if left is None or right is None or not _fits(node, left, right, a_axis, b_axes):
        return _plain(node, pattern, names)
    return Product(Form.CODED, left, right)


def _whole_numbers(b: Operand) -> Operand:
    """Return float weights that are all small integers as codes, as FINN and QuantLab write theirs."""
    values = b.constant
    assert values is not None
    if values.dtype != np.float32 or not values.size or not (np.abs(values) <= _SMALL).all():
        return b
    codes = np.rint(values)
    if (codes != values).any():
        return b
    low, high = int(codes.min()), int(codes.max())
    bipolar = low == -1 and high == 1 and bool(codes.all())
    signed = low < 0
    bits = max((-low - 1).bit_length(), high.bit_length(), 1) + signed
    dtype = BIPOLAR if bipolar else f"{'' if signed else 'u'}int{bits}"
    quantization = AffineQuantization(scale=np.ones((), np.float32), zero_point=np.zeros((), np.int64), dtype=dtype)
    return replace(b, constant=codes.astype(storage_type(dtype)), quantization=quantization)


def _plain(node: RawNode, pattern: Pattern, names: tuple[str, str]) -> Product:
    """Return the operands as floats."""
    del node
    return Product(Form.FLOAT, pattern.plain(names[0]), pattern.plain(names[1]))


def _as_codes(operand: Operand) -> Operand | None:
    """Return an operand whose quantization is not affine, or None."""
    quantization: Quantization | None = operand.quantization
    if isinstance(quantization, AffineQuantization):
        quantization = as_format(quantization)
    return None if quantization is None else replace(operand, quantization=quantization)


def _fits(node: RawNode, a: Operand | None, b: Operand, a_axis: int, b_axes: tuple[int, int]) -> bool:
    """Tell whether scales can be applied to blocks along k and after the sum; raise where blocks lie otherwise.

    A product of integers under scales along another axis is computed on floats, as any other operator's.
    """
    wrong = []
    for operand, axis, channel in ((a, a_axis, None), (b, b_axes[0], b_axes[1])):
        if operand is None:
            continue
        quantization, rank = operand.quantization, len(operand.spec.shape)
        if isinstance(quantization, BlockQuantization):
            if quantization.axis % rank != axis % rank:
                wrong.append(
                    f"{operand.spec.name!r} has blocks along axis {quantization.axis % rank}, k is {axis % rank}"
                )
        elif quantization.axis is not None and (channel is None or quantization.axis % rank != channel % rank):
            if not _is_integer(quantization):
                wrong.append(f"{operand.spec.name!r} has scales along axis {quantization.axis % rank}")
            elif not wrong:
                return False
    if wrong:
        raise ValueError(f"node {node.label}: {'; '.join(wrong)}: no unit can apply those scales")
    return True


def _is_integer(quantization: FormatQuantization) -> bool:
    return quantization.dtype.lstrip("u").startswith("int")


def _along_channels(b: Operand, channel: int) -> bool:
    """Tell whether a second operand has one scale, or one an output channel."""
    axis = b.quantization.axis
    rank = len(b.spec.shape)
    return axis is None or (b.constant is not None and -rank <= channel < rank and axis % rank == channel % rank)
