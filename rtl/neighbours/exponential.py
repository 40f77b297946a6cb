# SPDX-License-Identifier: Apache-2.0
"""I-ViT's exponential by shifts: a quotient of a few bits, and a barrel shifter."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib.wiring import In, Out
from numpy.typing import NDArray

from rtl.arithmetic.shift import shift_right_truncate
from rtl.blocks import Block
from rtl.part import Part

__all__ = [
    "ShiftExponential",
    "block_of",
    "blocks",
]


class ShiftExponential(Part):
    """Give about ``unit * 2**steps * exp(-distance / unit)``, as `hwsim.datapath.layers.shift_exponential` does.

    Parameters
    ----------
    bits, unit_bits : int
        Of the distance, and of the unit.
    steps : int
        The power at the distance 0 is ``unit * 2**steps``.

    Members
    -------
    distance : In, unsigned, `bits` bits
        How far the element is below the maximum.
    unit : In, `unit_bits` bits
        Not 0: of a unit of 0 the result is 0.
    power : Out, ``unit_bits + steps`` bits

    Latency: none, combinational.
    """

    def __init__(self, bits: int, unit_bits: int, steps: int) -> None:
        self._steps = steps
        super().__init__({"distance": In(bits), "unit": In(unit_bits), "power": Out(unit_bits + steps)})

    def _module_name(self) -> str:
        return f"exponential_w{len(self.distance)}_u{len(self.unit)}_n{self._steps}"

    def _build(self) -> Module:
        m = Module()
        steps, bits = self._steps, len(self.distance)
        # d + d / 2 - d / 16, each of the negated numbers rounded down.
        scaled = Signal(bits + 1, name="scaled")
        m.d.comb += scaled.eq(self.distance + ((self.distance + 1) >> 1) - ((self.distance + 15) >> 4))
        limit = Signal(len(self.unit) + steps.bit_length(), name="limit")
        limited = Signal(min(len(scaled), len(limit)), name="limited")
        m.d.comb += limit.eq(self.unit * steps)
        m.d.comb += limited.eq(Mux(scaled > limit, limit, scaled))
        rest: Any = limited
        digits = []
        for index in reversed(range(steps.bit_length())):
            multiple = Cat(Const(0, index), self.unit)
            # What is left is below the multiple above, twice this one, which bounds the widths.
            width = len(self.unit) + index + 1
            difference = Signal(width + 1, name=f"difference_{index}")
            after = Signal(min(len(rest), width - 1), name=f"rest_{index}")
            m.d.comb += difference.eq(rest - multiple)
            m.d.comb += after.eq(Mux(difference[-1], rest, difference))
            digits.append(~difference[-1])
            rest = after
        quotient = Cat(*reversed(digits))
        linear = Signal(len(self.unit) + 1, name="linear")
        m.d.comb += linear.eq((self.unit << 1) - rest)
        word = Cat(Const(0, steps - 1), linear)
        m.d.comb += self.power.eq(shift_right_truncate(m, word, quotient, "power"))
        return m


def block_of(bits: int, unit_bits: int, steps: int) -> Block:
    """Return the block of an exponential."""

    def oracle(distance: NDArray[Any], unit: NDArray[Any]) -> Mapping[str, NDArray[Any]]:
        """Divide by the unit, and take a power of two of the quotient and a line between them."""
        value, step = -distance.astype(np.int64), unit.astype(np.int64)
        divisor = np.maximum(step, 1)
        scaled = np.maximum(value + np.floor_divide(value, 2) - np.floor_divide(value, 16), -steps * step)
        whole = np.floor_divide(-scaled, divisor)
        # 2**-w (1 - f / 2), with f what the whole quotient leaves.
        power = (2 * step + scaled + whole * step) * (1 << steps) // (2 << whole)
        return {"power": np.where(step > 0, power, 0).astype(np.uint64)}

    return Block(
        name=f"exponential_{bits}_u{unit_bits}_n{steps}",
        summary=f"I-ViT's exponential by shifts, of {bits}-bit distances, {steps} bits below a unit",
        part=lambda: ShiftExponential(bits, unit_bits, steps),
        oracle=oracle,
        source="I-ViT, arXiv:2207.01405, equations 7 to 11 (Shiftexp); in exact integers",
        directed={"unit": (1, 2, 5, 20)},
    )


def blocks() -> tuple[Block, ...]:
    """Return the exponentials of I-ViT's softmax and GELU on INT8."""
    return block_of(8, 8, 15), block_of(8, 8, 23)
