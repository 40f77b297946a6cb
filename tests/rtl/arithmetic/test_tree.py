# SPDX-License-Identifier: Apache-2.0
import random
from typing import Any

import pytest
from amaranth.hdl import Module, Signal, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.arithmetic.tree import add_signed, maximum


class _Adder(wiring.Component):
    """A sum of operands that may be negated."""

    def __init__(self, shapes: list[Any], negated: list[int], bits: int) -> None:
        self._count, self._negated, self._bits = len(shapes), negated, bits
        ports = {f"value_{index}": In(shape) for index, shape in enumerate(shapes)}
        super().__init__(
            ports
            | {f"negative_{index}": In(width) for index, width in enumerate(negated)}
            | {"total": Out(signed(bits))}
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        values = [getattr(self, f"value_{index}") for index in range(self._count)]
        negatives = [getattr(self, f"negative_{index}") for index in range(self._count)]
        m.d.comb += self.total.eq(add_signed(values, negatives, self._bits))
        return m


class _Maximum(wiring.Component):
    """The largest of three operands."""

    x: In(3)  # type: ignore[valid-type]
    y: In(4)  # type: ignore[valid-type]
    z: In(2)  # type: ignore[valid-type]
    largest: Out(4)  # type: ignore[valid-type]

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        out = Signal(4)
        m.d.comb += [out.eq(maximum(m, [self.x, self.y, self.z], "max")), self.largest.eq(out)]
        return m


@pytest.mark.parametrize(
    ("shapes", "negated"),
    [
        ([unsigned(4)], [0]),
        ([signed(4)], [0]),
        ([unsigned(4)], [1]),
        ([signed(4)], [1]),
        ([unsigned(4)] * 5, [1] * 5),
        ([signed(4)] * 8, [0] * 8),
        ([signed(4)] * 3, [1] * 3),
        ([unsigned(3)] * 4, [0] * 4),
        ([unsigned(3), unsigned(6), signed(5)], [1, 0, 1]),
    ],
)
def test_tree_add_signed(evaluate: Any, shapes: list[Any], negated: list[int]) -> None:
    source = random.Random(str((shapes, negated)))
    inputs, expected = [], []
    for number in range(300):
        row: dict[str, int] = {}
        total = 0
        for index, (shape, width) in enumerate(zip(shapes, negated, strict=True)):
            low, high = (
                (-(1 << (shape.width - 1)), (1 << (shape.width - 1)) - 1)
                if shape.signed
                else (0, (1 << shape.width) - 1)
            )
            value = (low, high, source.randint(low, high))[min(number, 2)]
            negative = source.getrandbits(1) if width else 0
            row |= {f"value_{index}": value} | ({f"negative_{index}": negative} if width else {})
            total += -value if negative else value
        inputs.append(row)
        expected.append(total)
    bits = max(abs(total) for total in expected).bit_length() + 2
    assert evaluate(_Adder(shapes, negated, bits), inputs, "total") == expected


def test_tree_maximum_exhaustive(evaluate: Any) -> None:
    inputs = [{"x": x, "y": y, "z": z} for x in range(8) for y in range(16) for z in range(4)]
    assert evaluate(_Maximum(), inputs, "largest") == [max(row.values()) for row in inputs]
