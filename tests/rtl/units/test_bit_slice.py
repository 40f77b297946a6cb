# SPDX-License-Identifier: Apache-2.0
import random
import re
from typing import Any

import pytest
from amaranth.sim import Simulator

from hwsim.datapath.digits import digits
from rtl.units.bit_slice import DigitColumn, DigitElement, DigitGroup


def _run(component: Any, bench: Any) -> None:
    simulator = Simulator(component)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


def _signed(code: int, bits: int) -> int:
    return code - (1 << bits if code >> (bits - 1) else 0)


def _sum(total: int, carries: int, step: int, bits: int) -> int:
    """Return the number that a sum and kept carries stand for."""
    kept = sum(((carries >> i) & 1) << ((i + 1) * step) for i in range(carries.bit_length()))
    return (total + kept) % (1 << bits)


@pytest.mark.parametrize(("bits", "step"), [(26, 1), (26, 2), (26, 7), (26, 26), (12, 3)])
def test_digit_element_adds_multiples(bits: int, step: int) -> None:
    element, source = DigitElement(8, bits, step), random.Random(bits * step)
    compared = 0

    async def bench(context: Any) -> None:
        nonlocal compared
        expected, known = 0, []
        for number in range(300):
            two, negative, operand = source.getrandbits(1), source.getrandbits(1), source.choice([0, 1, 127, 128, 255])
            operand = source.getrandbits(8) if source.random() < 0.5 else operand
            first = number == 0 or source.random() < 0.03
            for name, value in (("two", two), ("negative", negative), ("operand", operand), ("first", int(first))):
                context.set(getattr(element, name), value)
            expected = (0 if first else expected) + _signed(operand, 8) * (1 + two) * (1 - 2 * negative)
            known.append(expected % (1 << bits))
            await context.tick()
            if number >= 1:
                seen = _sum(context.get(element.total), context.get(element.carries), step, bits)
                assert seen == known[number - 1]
                compared += 1

    _run(element, bench)
    assert compared == 299


def test_digit_group_adds_multiples() -> None:
    group, source = DigitGroup(), random.Random(4)
    compared = 0

    async def bench(context: Any) -> None:
        nonlocal compared
        expected, known = 0, []
        for number in range(250):
            two, negative, operands = source.getrandbits(4), source.getrandbits(4), source.getrandbits(32)
            if source.random() < 0.3:
                operands = 0x80808080
            first = number == 0 or source.random() < 0.03
            for name, value in (("two", two), ("negative", negative), ("operands", operands), ("first", int(first))):
                context.set(getattr(group, name), value)
            expected = 0 if first else expected
            for i in range(4):
                digit = (1 + ((two >> i) & 1)) * (1 - 2 * ((negative >> i) & 1))
                expected += _signed((operands >> (8 * i)) & 255, 8) * digit
            known.append(expected % (1 << 26))
            await context.tick()
            if number >= 1:
                assert (context.get(group.total) + context.get(group.carries)) % (1 << 26) == known[number - 1]
                compared += 1

    _run(group, bench)
    assert compared == 249


@pytest.mark.parametrize(("elements", "encoding", "step"), [(1, "en_t", 1), (1, "booth", 2), (3, "en_t", 1)])
def test_digit_column_is_a_dot_product_weight_by_weight(elements: int, encoding: Any, step: int) -> None:
    """Feed the digits of one weight of four operands at a time, as the bench of TPE's authors does."""
    column, source = DigitColumn(elements, 8, 26, step), random.Random(elements)
    length, cycles = 32, 0
    compared = 0

    async def weight_sums(context: Any, a: list[int], b: list[list[int]], weight: int) -> list[int]:
        nonlocal cycles
        table = digits(a, 8, encoding)[:, weight].tolist()
        context.set(column.first, 0)
        # What the queue gives one cycle before, the element takes now.
        wanted: list[tuple[int, bool] | None] = []
        for begin in range(0, length, 4):
            group = table[begin : begin + 4]
            count = sum(digit != 0 for digit in group)
            codes = sum((abs(digit)) << (2 * i) for i, digit in enumerate(group))
            signs = sum((digit < 0) << i for i, digit in enumerate(group))
            for taken in range(max(count, 1)):
                context.set(column.load, int(taken == 0))
                context.set(column.digits, codes)
                context.set(column.signs, signs)
                _offer(context, wanted, b)
                if taken == 0:
                    assert context.get(column.cycles) == count
                await context.tick()
                cycles += 1
                position = begin + context.get(column.position)
                assert not count or table[position]
                wanted.append((position, begin == 0 and taken == 0) if count else (-1, begin == 0))
        context.set(column.load, 0)
        for _ in range(3):
            _offer(context, wanted, b)
            await context.tick()
            wanted.append(None)
        totals, carries = context.get(column.totals), context.get(column.carries)
        width = 25 // step
        return [
            _signed(_sum((totals >> (26 * i)) % (1 << 26), (carries >> (width * i)) % (1 << width), step, 26), 26)
            for i in range(elements)
        ]

    def _offer(context: Any, wanted: list[tuple[int, bool] | None], b: list[list[int]]) -> None:
        """Give the operands whose digit left the queue at the last edge."""
        one = wanted[-2] if len(wanted) > 1 else None
        position, first = one or (-1, False)
        chosen = [0 if position < 0 else row[position] & 255 for row in b]
        context.set(column.operands, sum(code << (8 * i) for i, code in enumerate(chosen)))
        context.set(column.first, int(first))

    async def bench(context: Any) -> None:
        nonlocal compared
        for _ in range(2):
            a = [max(-128, min(127, round(source.gauss(0, 30)))) for _ in range(length)]
            b = [[source.randint(-128, 127) for _ in range(length)] for _ in range(elements)]
            sums = [await weight_sums(context, a, b, weight) for weight in range(4)]
            for i in range(elements):
                exact = sum(x * y for x, y in zip(a, b[i], strict=True))
                assert sum(sums[weight][i] << (2 * weight) for weight in range(4)) == exact
                compared += 1
            table = digits(a, 8, encoding)
            groups = (table.T.reshape(4, -1, 4) != 0).sum(axis=2)
            assert cycles == int(groups.clip(min=1).sum()) + seen[-1]
            seen.append(cycles)

    seen = [0]
    _run(column, bench)
    assert compared == 2 * elements


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: DigitElement(1), "operand_bits must be in 2..32, not 1"),
        (lambda: DigitElement(8, 8), "register_bits must be in 9..64, not 8"),
        (lambda: DigitElement(8, 26, 0), "carry_bits must be in 1..26, not 0"),
        (lambda: DigitGroup(1), "elements must be in 2..64, not 1"),
        (lambda: DigitColumn(0), "elements must be in 1..256, not 0"),
    ],
)
def test_digit_element_arguments_wrong(make: Any, text: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        make()
