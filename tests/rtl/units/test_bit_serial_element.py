# SPDX-License-Identifier: Apache-2.0
import random
import re
from typing import Any

import pytest
from amaranth.sim import Simulator

from rtl.units.bit_serial_element import BitSerialElement, PragmaticElement


def _signed(code: int, bits: int) -> int:
    return code - (1 << bits if code >> (bits - 1) else 0)


def _operand(source: random.Random) -> int:
    return source.choice([0, 127, 128, 255]) if source.random() < 0.4 else source.getrandbits(8)


def _compare(element: Any, draw: Any, count: int) -> int:
    """Compare the sums of drawn rows with integers; a row is its ports and what it adds."""
    source = random.Random(count)
    compared = 0

    async def bench(context: Any) -> None:
        nonlocal compared
        context.set(element.en, 1)
        expected, added = 0, []
        for number in range(count):
            ports, value = draw(source)
            added.append(value)
            begins, base = number == 2 or source.random() < 0.1, source.getrandbits(24)
            for name, code in (ports | {"first": int(begins), "base": base}).items():
                context.set(getattr(element, name), code)
            await context.tick()
            if number >= 2:
                expected = ((base if begins else expected) + added[number - 2]) % (1 << 24)
                assert context.get(element.total) == expected
                compared += 1

    simulator = Simulator(element)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return compared


@pytest.mark.parametrize("adder", ["tool", "sklansky"])
def test_bit_serial_element_adds_planes(adder: Any) -> None:
    def draw(source: random.Random) -> tuple[dict[str, int], int]:
        operands = [_operand(source) for _ in range(8)]
        bits, place, top = source.choice([0, 255, source.getrandbits(8)]), source.randrange(8), source.getrandbits(1)
        total = sum(_signed(code, 8) for i, code in enumerate(operands) if (bits >> i) & 1)
        ports = {"operands": sum(code << (8 * i) for i, code in enumerate(operands)), "bits": bits}
        return ports | {"place": place, "top": top}, (-total if top else total) << place

    assert _compare(BitSerialElement(adder=adder), draw, 250) == 248


def test_pragmatic_element_adds_shifted_operands() -> None:
    def draw(source: random.Random) -> tuple[dict[str, int], int]:
        operands = [_operand(source) for _ in range(8)]
        shifts, place = [source.choice([0, 3, source.randrange(4)]) for _ in range(8)], source.randrange(8)
        taken, negative = source.choice([255, source.getrandbits(8)]), source.choice([0, 255, source.getrandbits(8)])
        total = 0
        for i, code in enumerate(operands):
            value = _signed(code, 8) << shifts[i]
            total += ((taken >> i) & 1) * (-value if (negative >> i) & 1 else value)
        ports = {
            "operands": sum(code << (8 * i) for i, code in enumerate(operands)),
            "shifts": sum(shift << (2 * i) for i, shift in enumerate(shifts)),
            "taken": taken,
            "negative": negative,
            "place": place,
        }
        return ports, total << place

    assert _compare(PragmaticElement(), draw, 250) == 248


@pytest.mark.parametrize("kind", [BitSerialElement, PragmaticElement])
def test_element_keeps_its_sums_without_enable(kind: Any) -> None:
    element = kind()

    async def bench(context: Any) -> None:
        context.set(element.first, 1)
        for enable, base, expected in ((1, 77, 77), (0, 99, 77), (1, 99, 99)):
            context.set(element.en, enable)
            context.set(element.base, base)
            await context.tick()
            assert context.get(element.total) == expected

    simulator = Simulator(element)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: BitSerialElement(0), "lanes must be in 1..256, not 0"),
        (lambda: BitSerialElement(8, 1), "operand_bits must be in 2..32, not 1"),
        (lambda: BitSerialElement(8, 8, 6), "places must be a power of two, not 6"),
        (lambda: BitSerialElement(8, 8, 8, 18), "register_bits must be in 19..64, not 18"),
        (lambda: PragmaticElement(8, 8, 8, 20), "register_bits must be in 22..64, not 20"),
    ],
)
def test_element_arguments_wrong(make: Any, text: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        make()
