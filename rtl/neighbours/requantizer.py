# SPDX-License-Identifier: Apache-2.0
"""Dyadic requantization: a multiplier, a shifter that keeps what it rounds by, and a clamp."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Self

import numpy as np
from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib.wiring import In, Out
from numpy.typing import NDArray

from hwsim.datapath.layers.specs import RequantizerSpec, ShiftRounding
from rtl.blocks import Block
from rtl.part import Part

__all__ = [
    "Requantizer",
    "block_of",
    "blocks",
]


class Requantizer(Part):
    """Multiply by an integer, divide by a power of two, round once and clamp.

    Parameters
    ----------
    spec : RequantizerSpec

    Members
    -------
    value : In, signed, ``spec.value_bits`` bits
    multiplier : In, unsigned, ``spec.multiplier_bits`` bits
    shift : In, as many bits as ``spec.shift_max - spec.shift_min`` needs, maybe none
        The shift less shift_min.
    code : Out, ``spec.code_bits`` bits

    Latency: none, combinational.
    """

    def __new__(cls, spec: RequantizerSpec) -> Self:
        """Check the spec before there is a component: Amaranth warns of one that is not used."""
        if not isinstance(spec, RequantizerSpec):
            raise TypeError(f"spec must be a RequantizerSpec, not {spec!r}")
        made: Self = super().__new__(cls)
        return made

    def __init__(self, spec: RequantizerSpec) -> None:
        self.spec = spec
        super().__init__(
            {
                "value": In(signed(spec.value_bits)),
                "multiplier": In(spec.multiplier_bits),
                "shift": In((spec.shift_max - spec.shift_min).bit_length()),
                "code": Out(spec.code_bits),
            }
        )

    def _module_name(self) -> str:
        spec = self.spec
        return f"requantize_w{spec.value_bits}_m{spec.multiplier_bits}_c{spec.code_bits}_{spec.rounding.value}"

    def _build(self) -> Module:
        m = Module()
        spec = self.spec
        product = Signal(signed(spec.value_bits + spec.multiplier_bits), name="product")
        m.d.comb += product.eq(self.value * self.multiplier)
        sign = product[-1]
        padded = Cat(Const(0, 2), product, sign.replicate(max(spec.shift_min + spec.code_bits - len(product), 0)))
        low = spec.shift_min
        # From the bottom: whether anything is cut below, the highest bit that is cut, and the quotient's floor.
        word: Any = Cat(padded[: low + 1].any(), padded[low + 1 :])
        word, beyond = self._shifted(m, word, sign)
        below, guard, floor = word[0], word[1], word[2:]
        one = Signal(name="increment")
        m.d.comb += one.eq(_increment(spec.rounding, floor[0], guard, below, sign))
        rounded = Signal(spec.code_bits, name="rounded")
        m.d.comb += rounded.eq(floor + one)
        lowest, highest = (Const(each, spec.code_bits) for each in (spec.min_code, spec.max_code))
        if spec.signed:
            is_beyond = beyond | (floor[-1] ^ sign)
            clamped = Mux(sign, lowest, highest)
            over = ~sign & rounded[-1]
            m.d.comb += self.code.eq(Mux(is_beyond, clamped, Mux(over, highest, rounded)))
        else:
            over = one & ~rounded.any()
            m.d.comb += self.code.eq(Mux(sign, lowest, Mux(beyond | over, highest, rounded)))
        return m

    def _shifted(self, m: Module, word: Any, sign: Any) -> tuple[Any, Any]:
        """Shift right, largest step first, and say whether bits above the code's differ from the sign.

        After each step, what no later one can bring into the code is only compared with the sign, so that the later
        steps are narrow; the lowest bit keeps whether anything was cut.
        """
        kept = self.spec.code_bits + 2
        beyond: Any = Const(0, 1)
        word, beyond = _cut_above(word, sign, kept + (1 << len(self.shift)) - 1)
        for index in reversed(range(len(self.shift))):
            step = 1 << index
            length = len(word)
            extended = Cat(word, sign.replicate(step))
            lost = word[: min(step + 1, length)].any()
            moved = Cat(lost, extended[step + 1 : step + length])
            shifted = Signal(length, name=f"shifted_{step}")
            m.d.comb += shifted.eq(Mux(self.shift[index], moved, word))
            word, above = _cut_above(shifted, sign, kept + step - 1)
            beyond = beyond | above
        return word, beyond


def _cut_above(word: Any, sign: Any, needed: int) -> tuple[Any, Any]:
    """Return the low bits of a word, and whether one above them differs from the sign."""
    if len(word) <= needed:
        return word, Const(0, 1)
    return word[:needed], (word[needed:] ^ sign.replicate(len(word) - needed)).any()


def _increment(rounding: ShiftRounding, last: Any, guard: Any, below: Any, sign: Any) -> Any:
    """Return whether the floor is incremented, by its last bit, the one below it, and whether any further is set."""
    return {
        ShiftRounding.NEAREST_EVEN: guard & (below | last),
        ShiftRounding.NEAREST_AWAY: guard & (below | ~sign),
        ShiftRounding.NEAREST_UP: guard,
        ShiftRounding.DOWN: Const(0, 1),
    }[rounding]


def _codes(
    spec: RequantizerSpec, value: NDArray[Any], multiplier: NDArray[Any], shift: Any = 0
) -> Mapping[str, NDArray[Any]]:
    """Return the outputs for some inputs, by floors and rests of quotients in int64."""
    codes, factors, amounts = (np.asarray(each).astype(np.int64) for each in (value, multiplier, shift))
    product = (codes - ((codes >> (spec.value_bits - 1)) << spec.value_bits)) * factors
    unit = np.int64(1) << (amounts + spec.shift_min)
    nearest = product // unit
    twice = 2 * (product - nearest * unit)
    upwards = {
        ShiftRounding.DOWN: np.zeros(product.shape, np.bool_),
        ShiftRounding.NEAREST_UP: twice == unit,
        ShiftRounding.NEAREST_EVEN: (twice == unit) & (nearest % 2 == 1),
        ShiftRounding.NEAREST_AWAY: (twice == unit) & (product > 0),
    }[spec.rounding]
    nearest = nearest + (upwards | ((twice > unit) & (spec.rounding is not ShiftRounding.DOWN)))
    clamped = np.minimum(np.maximum(nearest, spec.min_code), spec.max_code) % (1 << spec.code_bits)
    return {"code": clamped.astype(np.uint64)}


def blocks() -> tuple[Block, ...]:
    """Return requantizers: HAWQ-V3's at full width, and small ones of every rounding, which can be exhausted."""
    wide = RequantizerSpec(shift_min=31)
    small = RequantizerSpec(value_bits=7, multiplier_bits=5, shift_min=2, shift_max=9, code_bits=4)
    specs = [wide, replace(wide, code_bits=4), replace(wide, rounding=ShiftRounding.NEAREST_UP)]
    for rule in ShiftRounding:
        specs += [replace(small, signed=is_signed, rounding=rule) for is_signed in (True, False)]
    return tuple(block_of(spec) for spec in specs)


def block_of(spec: RequantizerSpec) -> Block:
    """Return the block of a specification.

    Raises
    ------
    ValueError
        If the shift's port, which has whole bits, reaches above 62.
    """
    reach = spec.shift_min + (1 << (spec.shift_max - spec.shift_min).bit_length()) - 1
    if reach > 62:
        raise ValueError(f"the shift port must reach 62 at most, not {reach}")
    kind = f"{'' if spec.signed else 'u'}int{spec.code_bits}"
    top = 1 << (spec.value_bits - 1)
    return Block(
        name=f"requantize_{spec.value_bits}x{spec.multiplier_bits}_{kind}_{spec.rounding.value}",
        summary=f"{kind} from {spec.value_bits}-bit accumulators: times an integer, over a power of two, clamped",
        part=partial(Requantizer, spec),
        oracle=partial(_codes, spec),
        source="HAWQ-V3, arXiv:2011.10680, section 3; in exact integers",
        directed={"value": (top - 1, top, top + 1), "multiplier": (1 << (spec.multiplier_bits - 1),)},
    )
