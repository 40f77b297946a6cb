# SPDX-License-Identifier: Apache-2.0
"""How often the bits of a unit toggle with normal operands, from its spec: words of a short run, no gates."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cost_models.fitted.structure import (
    exponent_bits,
    float_window,
    is_signed_product,
    significand_bits,
    structure,
)
from hwsim import formats
from hwsim.datapath.unit import DotProductUnit, FixedAccumulator, FloatAccumulator, ScalarSpec
from hwsim.formats import BlockSpec, FloatSpec, IntegerSpec, normal_codes

__all__ = [
    "activity",
    "word_toggles",
]

_STREAMS = 16
_STEPS = 64  # of a dot product, as in the catalog's stimulus
_SEED = 7
_WORD_BITS = 62

Ints = NDArray[Any]


class _Operand(NamedTuple):
    """Codes, signed significands and exponents of elements (streams, steps, lanes), and the values of block scales."""

    codes: Ints
    significand: Ints
    exponent: Ints
    scale: NDArray[np.float64]


def activity(unit: DotProductUnit, pipeline: int) -> dict[str, float]:
    """
    Estimate how many bits of each stage of a unit toggle in a step.

    The operands are those of the catalog: normal, at the scale that the format holds best, block scales by the format;
    dot products of 64 steps. Words that the spec defines (codes, partial products, products, aligned products,
    register, output) are computed and their toggles counted; what a stage has inside counts as many cells as
    `structure` says, at the rate of its input or output word.

    Parameters
    ----------
    unit : DotProductUnit
    pipeline : int

    Returns
    -------
    dict of str to float
        By ``stage.part``, in toggles a step.

    Raises
    ------
    TypeError, ValueError
        As `structure`.
    """
    cells = structure(unit, pipeline)
    generator = np.random.default_rng(_SEED)
    a, b = (_operand(spec, unit.lanes, generator) for spec in (unit.a, unit.b))
    rates = _product_rates(unit, a, b)
    counts = {"inputs": _codes_toggles(unit, a, b)}
    rates["code"] = counts["inputs"] / (unit.lanes * (unit.element_a.bits + unit.element_b.bits))
    products, sums = _sums(unit, a, b)
    rates |= _register_rates(unit, sums)
    if unit.on_grid:
        rates |= _grid_rates(unit, products)
    else:
        rates |= {"aligned": rates["product"], "sum": rates["product"]}
    for name, cell in cells.items():
        rate = _RATE_OF.get(name)
        if rate is not None:
            counts[name] = cell * rates[rate]
    counts["registers.product"] = rates["product"] * unit.lanes * unit.product_max.bit_length()
    counts["registers.register"] = rates["register"] * unit.register.bits
    counts["round_pack.output"] = rates["output"] * (unit.output.bits if unit.converts else 0)
    return counts


_RATE_OF = {
    "decode.float": "code",
    "decode.posit": "code",
    "decode.table": "code",
    "decode.specials": "code",
    "multiply.ands": "ands",
    "multiply.adders": "ands",
    "multiply.signs": "ands",
    "multiply.exponents": "exponent",
    "multiply.scales": "code",
    "align_add.muxes": "aligned",
    "align_add.signs": "aligned",
    "align_add.tree": "sum",
    "align_add.scales": "sum",
    "accumulate.adder": "register",
    "accumulate.carry": "register",
    "accumulate.extend": "register",
    "accumulate.saturate": "register",
    "accumulate.float_swap": "placed",
    "accumulate.float_align": "window",
    "accumulate.float_add": "added",
    "accumulate.float_normalise": "added",
    "accumulate.fused_columns": "added",
    "accumulate.fused_normalise": "added",
    "accumulate.float_round": "register",
    "accumulate.float_exponent": "register",
    "registers.select": "register",
    "round_pack.search": "register",
    "round_pack.normalise": "output",
    "round_pack.round": "output",
    "round_pack.posit": "output",
}


def _operand(spec: ScalarSpec | BlockSpec, lanes: int, generator: np.random.Generator) -> _Operand:
    count = _STEPS * lanes
    if isinstance(spec, BlockSpec):
        count = -(-count // (spec.block_size or count)) * (spec.block_size or count)
    values = generator.standard_normal((_STREAMS, count))
    kept = (_STREAMS, _STEPS, lanes)
    scale = np.ones(kept)
    if isinstance(spec, BlockSpec):
        q = formats.quantize(values, spec, -1)
        assert isinstance(spec.scale, FloatSpec)
        each = np.repeat(spec.scale.decode(q.scales), spec.block_size or count, axis=1)
        scale = each[:, : _STEPS * lanes].reshape(kept)
        codes, element = q.codes, spec.element
    else:
        codes, element = normal_codes(spec, values), spec
    codes = codes[:, : _STEPS * lanes].reshape(kept)
    parts = element.unpack(codes)
    return _Operand(codes.astype(np.int64), parts.significand, parts.exponent.astype(np.int64), scale)


def word_toggles(words: Ints, bits: int) -> float:
    """Return the mean toggles of words of so many bits from step to step (axis 1), summed over what follows."""
    total = 0.0
    for low in range(0, bits, _WORD_BITS):
        limb = ((words >> low) & ((1 << min(bits - low, _WORD_BITS)) - 1)).astype(np.int64)
        total += float(np.bitwise_count(limb[:, 1:] ^ limb[:, :-1]).sum())
    return total / float(words.shape[0] * (words.shape[1] - 1))


def _codes_toggles(unit: DotProductUnit, a: _Operand, b: _Operand) -> float:
    return word_toggles(a.codes, unit.element_a.bits) + word_toggles(b.codes, unit.element_b.bits)


def _product_rates(unit: DotProductUnit, a: _Operand, b: _Operand) -> dict[str, float]:
    """Return the toggles a bit of partial products, of products, and of their exponents."""
    bits = [significand_bits(unit.element_a), significand_bits(unit.element_b)]
    words = []
    for spec, operand in ((unit.element_a, a), (unit.element_b, b)):
        signed = isinstance(spec, IntegerSpec)
        words.append(operand.significand if signed else np.abs(operand.significand))
    toggles = 0.0
    for place in range(bits[0]):
        row = np.where(words[0] >> place & 1, words[1], 0)
        toggles += word_toggles(row, bits[1])
    product = words[0] * words[1] if sum(bits) <= _WORD_BITS else words[0].astype(object) * words[1]
    product_bits = unit.product_max.bit_length() + is_signed_product(unit)
    exponents = exponent_bits(unit.element_a, unit.element_b)
    exponent = a.exponent + b.exponent - unit.product_exp_min
    return {
        "ands": toggles / (bits[0] * bits[1] * unit.lanes),
        "product": word_toggles(product, product_bits) / (product_bits * unit.lanes),
        "exponent": word_toggles(exponent, exponents) / (exponents * unit.lanes) if exponents else 0.0,
    }


def _sums(unit: DotProductUnit, a: _Operand, b: _Operand) -> tuple[Ints, NDArray[np.float64]]:
    """Return the products on their grid as integers (objects), if there is one, and the values of the steps' sums."""
    values = np.ldexp((a.significand * b.significand).astype(np.float64), (a.exponent + b.exponent).astype(np.int32))
    values = values * a.scale * b.scale
    products: Ints = np.zeros(0)
    if unit.on_grid:
        shift = a.exponent + b.exponent - unit.product_exp_min
        # A zero may have any exponent; posits' zeros have one below the grid
        products = (a.significand * b.significand).astype(object) << np.maximum(shift, 0)
    return products, values.sum(axis=2)


def _grid_rates(unit: DotProductUnit, products: Ints) -> dict[str, float]:
    """Return the toggles a bit of aligned products and of a step's sum, in two's complement."""
    bits = unit.sum_bits
    return {
        "aligned": word_toggles(products, bits) / (bits * unit.lanes),
        "sum": word_toggles(products.sum(axis=2), bits) / bits,
    }


def _register_rates(unit: DotProductUnit, sums: NDArray[np.float64]) -> dict[str, float]:
    """Return the toggles a bit of the register, of the window in which a float one is added, and of the output."""
    if isinstance(unit.accumulator, FixedAccumulator):
        held = np.cumsum(sums, axis=1)
        largest = 2.0 ** (unit.accumulator.bits - 1)
        scaled = np.ldexp(held, unit.accumulator.fraction_bits)
        # A float64 holds the leading bits; those below its last place are few and do not count.
        words = np.array([int(value) for value in np.fmod(scaled, largest).ravel()], object).reshape(scaled.shape)
        rates = {"register": word_toggles(words, unit.accumulator.bits) / unit.accumulator.bits}
        rates |= {"placed": 0.0, "window": 0.0, "added": 0.0}
    else:
        held, rates = _float_rates(unit, unit.accumulator, sums)
    rates["output"] = 0.0
    if unit.converts:
        rates["output"] = word_toggles(unit.output.encode(held).astype(np.int64), unit.output.bits) / unit.output.bits
    return rates


def _float_rates(
    unit: DotProductUnit, accumulator: FloatAccumulator, sums: NDArray[np.float64]
) -> tuple[NDArray[np.float64], dict[str, float]]:
    """Return the register's values and the toggles a bit of it, of both addends in the window, and of their sum."""
    window = min(float_window(unit), _WORD_BITS - 2)
    register = np.zeros(sums.shape[0])
    held, placed, aligned, added = (np.zeros_like(sums) for _ in range(4))
    for step in range(sums.shape[1]):
        addend = sums[:, step]
        larger = np.maximum(np.abs(addend), np.abs(register))
        top = np.frexp(np.where(larger > 0, larger, 1.0))[1]
        below = np.abs(addend) < np.abs(register)
        placed[:, step] = np.floor(np.ldexp(np.where(below, register, addend), window - top))
        aligned[:, step] = np.floor(np.ldexp(np.where(below, addend, register), window - top))
        added[:, step] = np.floor(np.ldexp(addend + register, window - top))
        register = accumulator.format.decode(accumulator.format.encode(addend + register))
        held[:, step] = register
    codes = accumulator.format.encode(held).astype(np.int64)
    rates = {
        "register": word_toggles(codes, accumulator.bits) / accumulator.bits,
        "placed": word_toggles(placed.astype(np.int64), window + 1) / (window + 1),
        "window": word_toggles(aligned.astype(np.int64), window + 1) / (window + 1),
        "added": word_toggles(added.astype(np.int64), window + 2) / (window + 2),
    }
    return held, rates
