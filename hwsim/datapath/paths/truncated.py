# SPDX-License-Identifier: Apache-2.0
"""Tensor-core units, 64 columns at a time: addends cut at a common exponent are integers, which int32 lanes add."""

from functools import partial
from typing import NamedTuple

import numpy as np

from hwsim.datapath.decode import point_bits
from hwsim.datapath.paths.truncated_kernel import COLUMNS, FIELD_SHIFT, Cut, Flag, narrow_kernel, wide_kernel
from hwsim.datapath.paths.truncated_operands import (
    TABLE_BITS,
    Leads,
    leads,
    load_registers,
    narrow_table,
    operand_rows,
    pack_panels,
    read_registers,
    scale_panels,
    scale_rows,
    used_leads,
    wide_table,
)
from hwsim.datapath.problem import Codes, Path, Problem
from hwsim.datapath.staged import output
from hwsim.datapath.threads import threads_for
from hwsim.datapath.unit import DotProductUnit, FloatAccumulator, TruncatedAlignment
from hwsim.datapath.vectors import compiled
from hwsim.formats import BlockSpec, Overflow, Rounding
from hwsim.formats.codes import code_dtype

__all__ = [
    "offer",
]

_NARROW_SPREAD = 126  # a zero's gap is one above the spread, and two of those are below 255
_WIDE_SPREAD = 510
_FIELD_MAX = 511
_CARRIES = (1 << 31) - 64  # a sum from here on may become 2**31 as a float32


class _Bounds(NamedTuple):
    """What the proof needs of a unit's numbers."""

    wide: bool
    product_bits: int  # of a product's significand, block scales included
    chunk: int  # lanes that an int32 sums
    sum_max: int  # the largest sum of a step, in units of the last kept place
    lead_min: int  # the least exponent of a step in which an addend is not zero; of other steps the kernels' floor
    product_min: int  # in which a product is not zero


def _register(unit: DotProductUnit) -> FloatAccumulator | None:
    """Return the register if float32 lanes hold its values and the kernels its rounding."""
    register = unit.accumulator
    if not isinstance(register, FloatAccumulator):
        return None
    spec = register.format
    usual = spec.bias == (1 << (spec.exp_bits - 1)) - 1
    fits = 2 <= spec.exp_bits <= 8 and spec.man_bits <= 23 and usual
    return register if fits and register.rounding in (Rounding.TOWARD_ZERO, Rounding.NEAREST_EVEN) else None


def _is_narrow(products: Leads, point: int, fraction_bits: int) -> bool:
    """Tell whether gaps fit bytes, a product is a normal float32, and no factor that a product meets above 2**118.

    With `top` up to 60 a gap of 255 is at most -195, below any register's least exponent. The last place kept is at
    least 2**-118, above that of a float32.
    """
    least = products.top - products.spread
    return (
        products.spread <= _NARROW_SPREAD
        and least - point >= -126
        and products.top <= 60
        and fraction_bits - least <= 118
    )


def _bounds(unit: DotProductUnit, alignment: TruncatedAlignment, register: FloatAccumulator) -> _Bounds | None:
    """Return the bounds of a unit whose sums int32 and float32 lanes hold, or None.

    No step goes to an exponent below `lead_min`, which the kernels take for the floor: one with an addend other than
    zero never does, and of zeros alone the sum is 0 at any. The last place kept is thus at least 2**-250, and `_scaled`
    makes it of two powers whose exponent fields are 2 or more.
    """
    elements = (unit.element_a, unit.element_b)
    if any(spec.bits > TABLE_BITS for spec in elements):
        return None
    spread = sum(leads(spec).spread for spec in elements)
    least = sum(leads(spec).top for spec in elements) - spread
    fraction = alignment.fraction_bits
    wide = spread > _NARROW_SPREAD
    factor, point = unit.product_max, sum(point_bits(spec) for spec in elements)
    scale_least = 0
    for scale in unit.scales:
        factor *= scale.max_significand
        point += scale.man_bits
        scale_least += 1 - scale.bias if scale.subnormals else -scale.bias
    addend = -(-(factor << fraction) >> point) if fraction < point else factor << (fraction - point)
    register_max = 2 << fraction
    product_min = max(alignment.exp_floor, least + scale_least)
    lead_min = min(product_min, max(alignment.exp_floor, 1 - register.format.bias))
    chunk = min(((1 << 31) - 1) // max(addend, 1), unit.lanes)
    parts = -(-unit.lanes // max(chunk, 1))
    sum_max = unit.lanes * addend + register_max
    quantum = 1 - register.format.bias - register.result_man_bits
    dropped = max(31 - register.result_man_bits, quantum - lead_min + fraction, 0)
    rounding_up = 1 << min(dropped, 31) if register.rounding is Rounding.NEAREST_EVEN else 0
    fits = (
        fraction <= 29
        and factor.bit_length() <= 24
        and chunk > 0
        and parts <= 4
        and sum_max + rounding_up < 1 << 32
        and (dropped < 32 or sum_max < 1 << 30)
        and lead_min - fraction >= -250
    )
    if wide:
        room = least + spread + fraction + 127 - FIELD_SHIFT - lead_min <= _FIELD_MAX
        fits = fits and room and spread <= _WIDE_SPREAD and not unit.scales
    else:
        fits = fits and _is_narrow(Leads(least + spread, spread), point, fraction)
    return _Bounds(wide, factor.bit_length(), chunk, sum_max, lead_min, product_min) if fits else None


def _flag(holds: bool) -> Flag:
    return 1 if holds else None


def _cut(unit: DotProductUnit, alignment: TruncatedAlignment, register: FloatAccumulator, bounds: _Bounds) -> Cut:
    spec = register.format
    infinity = register.overflow is Overflow.INFINITY
    kept = spec.max_magnitude_code >> (spec.man_bits - register.result_man_bits)
    limits = [
        int(np.float32(spec.decode(code)).view(np.uint32))
        for code in (spec.max_magnitude_code, kept << (spec.man_bits - register.result_man_bits))
    ]
    toward_zero = register.rounding is Rounding.TOWARD_ZERO
    direct = (spec.exp_bits, spec.man_bits) == (8, 23) and infinity and toward_zero and bounds.sum_max < 0xFFFFFF00
    ranges = [leads(operand) for operand in (unit.element_a, unit.element_b)]
    steps = [each.block_size // unit.lanes if isinstance(each, BlockSpec) else 1 << 30 for each in (unit.a, unit.b)]
    return Cut(
        lanes=unit.lanes,
        chunk=bounds.chunk,
        parted=_flag(bounds.chunk < unit.lanes),
        fraction_bits=alignment.fraction_bits,
        top=sum(each.top for each in ranges),
        most=sum(each.spread for each in ranges),
        floor=bounds.lead_min,  # not the alignment's own: in a step of zeros alone that may be beyond all fields
        apart=_flag(bounds.wide or bool(unit.scales)),
        scaled=_flag(bool(unit.scales)),
        a_steps=steps[0],
        b_steps=steps[1],
        direct=_flag(direct),
        long=_flag(direct and 1 << 24 <= bounds.sum_max < _CARRIES),
        carries=_flag(bounds.sum_max >= _CARRIES),
        fine=_flag(direct and bounds.product_min - alignment.fraction_bits < -149),
        exp_low=1 - spec.bias,
        man_bits=register.result_man_bits,
        nearest=_flag(not toward_zero),
        largest=limits[0],
        beyond=0x7F800000 if infinity else limits[1],
    )


def offer(unit: DotProductUnit, depth: int) -> Path | None:
    """Offer the path to a unit whose steps cut their addends, the register among them, toward zero.

    Not where Numba does not compile, for its vectors are LLVM's.
    """
    alignment, register = unit.alignment, _register(unit)
    if not compiled() or not isinstance(alignment, TruncatedAlignment) or not unit.is_plain:
        return None
    if register is None or not alignment.with_accumulator or depth == 0:
        return None
    bounds = _bounds(unit, alignment, register)
    if bounds is None:
        return None
    cut = _cut(unit, alignment, register, bounds)
    total = bounds.sum_max.bit_length()
    proof = (
        f"products of {bounds.product_bits} bits are exact in float32's 24, and integers once they are cut at "
        f"{cut.fraction_bits} fraction bits; {bounds.chunk} of {unit.lanes} lanes stay below 2**31 in int32, and the "
        f"sum of a step, with the register, takes {total} bits of a magnitude's 32 and is rounded once"
    )
    scale_bytes = 8 / unit.lanes if unit.scales else 0
    return Path(
        "truncated",
        proof,
        partial(_run, cut, bounds.wide),
        9 + scale_bytes,
        (12 if bounds.wide else 6) + scale_bytes,
        4 + (24 if unit.converts else 0),
    )


def _run(cut: Cut, wide: bool, problem: Problem) -> Codes:
    """Return the codes of a problem's result."""
    unit = problem.unit
    assert isinstance(unit.accumulator, FloatAccumulator)
    specs = unit.element_a, unit.element_b
    shape = (problem.a.shape[0], problem.b.shape[0])
    if 0 in shape:
        return np.empty(shape, code_dtype(unit.output.bits))
    ranges = [leads(spec) for spec in specs]
    if wide:
        used = [used_leads(spec, codes) for spec, codes in zip(specs, (problem.a, problem.b), strict=True)]
        products = Leads(sum(each.top for each in used), sum(each.spread for each in used))
        if _is_narrow(products, sum(point_bits(spec) for spec in specs), cut.fraction_bits):
            wide, ranges = False, used
            cut = cut._replace(top=products.top, most=products.spread, fine=None, apart=None)
    registers = load_registers(unit.accumulator.format, problem.c, shape)
    with threads_for(problem.a.size * registers.shape[0] * COLUMNS):
        if wide:
            right = pack_panels(wide_table(specs[1]), problem.b, True)
            wide_kernel(cut, *operand_rows(wide_table(specs[0]), problem.a, cut.lanes), *right, registers)
        else:
            tables = [narrow_table(spec, each.top, cut.most + 1) for spec, each in zip(specs, ranges, strict=True)]
            values, gaps, _ = pack_panels(tables[1], problem.b, False)
            a_scale = scale_rows(unit.scale_a, problem.a_scales, shape[0])
            b_scale = scale_panels(unit.scale_b, problem.b_scales, shape[1])
            narrow_kernel(
                cut, *operand_rows(tables[0], problem.a, cut.lanes), values, gaps, a_scale, b_scale, registers
            )
    codes = read_registers(unit.accumulator.format, registers, shape[1])
    if not unit.converts:
        return codes
    return output(unit, codes.astype(np.uint64).view(np.int64), np.zeros(shape, np.uint8))
