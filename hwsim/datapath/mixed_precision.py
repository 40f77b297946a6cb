# SPDX-License-Identifier: Apache-2.0
"""Products of small integer weights and wider activations, with zero point and scale behind each group: the oracle."""

from collections.abc import Iterable
from typing import NamedTuple

from hwsim.datapath.accumulate import load_exact, output_exact, step_exact
from hwsim.datapath.decode import decode_exact
from hwsim.datapath.unit import DotProductUnit
from hwsim.formats import FloatSpec, IntegerSpec

__all__ = [
    "GroupRow",
    "grouped_exact",
]


class GroupRow(NamedTuple):
    """A row of codes. With `close` or `last` it ends a group, and brings the group's zero point and scale.

    A row with `first` starts a dot product from c, one with `last` ends it and makes an output.
    """

    first: bool
    last: bool
    close: bool
    w: tuple[int, ...]
    x: tuple[int, ...]
    zero: int = 0
    scale: int = 0
    c: int = 0


def grouped_exact(
    weight: IntegerSpec, activation: IntegerSpec | FloatSpec, dequantize: DotProductUnit, rows: Iterable[GroupRow]
) -> list[int]:
    """Return d for each row with `last`: ``c + sum over groups of scale * (sum(w * x) - zero * sum(x))``.

    The sums of a group are exact, and so is the product with its scale; the register rounds or wraps once a group.

    Parameters
    ----------
    weight : IntegerSpec
        Of w; the zero point is an unsigned integer of its width.
    activation : IntegerSpec or FloatSpec
        Of x. An infinity or NaN makes the group, and so the result, a NaN.
    dequantize : DotProductUnit
        Of one lane: a is the group's sum, an integer in units of x's smallest significand; b the scale.
    rows : iterable of GroupRow

    Returns
    -------
    list of int
        Codes of ``dequantize.output``.

    Raises
    ------
    ValueError
        If the stream does not start with a `first`.

    Source
    ------
    MixPE, arXiv:2411.16158 (abstract): dequantization after the group; the arithmetic follows from the definition.
    """
    outputs = []
    register = None
    products = activations = 0
    special = False
    assert isinstance(dequantize.element_b, IntegerSpec | FloatSpec)
    for row in rows:
        if row.first:
            register, products, activations, special = load_exact(dequantize, row.c), 0, 0, False
        if register is None:
            raise ValueError("rows must start with a row that has `first`, for a register has no value before")
        for w, x in zip(row.w, row.x, strict=True):
            term = decode_exact(activation, x)
            integer = 0 if term.special else term.significand << (term.exponent - activation.exp_min)
            special |= bool(term.special)
            products += decode_exact(weight, w).significand * integer
            activations += integer
        if row.close or row.last:
            group = products - row.zero * activations
            scale = dequantize.element_b.nan_code if special else row.scale
            code = group % (1 << dequantize.element_a.bits)
            register = step_exact(dequantize, register, (code,), (scale,))
            products = activations = 0
            special = False
        if row.last:
            outputs.append(output_exact(dequantize, register))
    return outputs
