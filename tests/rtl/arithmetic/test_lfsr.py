# SPDX-License-Identifier: Apache-2.0
from typing import Any

import pytest
from amaranth.sim import Simulator

from rtl.arithmetic.lfsr import TAPS, Lfsr, lfsr_next


def _after(bits: int, steps: int) -> list[int]:
    """Return what each bit of a state becomes after some steps: the linear map of one, by squaring."""

    def image(columns: list[int], state: int) -> int:
        out = 0
        for index, column in enumerate(columns):
            out ^= column if state >> index & 1 else 0
        return out

    result = [1 << index for index in range(bits)]
    power = [lfsr_next(1 << index, bits) for index in range(bits)]
    while steps:
        if steps & 1:
            result = [image(power, column) for column in result]
        power = [image(power, column) for column in power]
        steps >>= 1
    return result


@pytest.mark.parametrize(
    ("bits", "factors"),
    [
        (8, (3, 5, 17)),
        (12, (3, 5, 7, 13)),
        (16, (3, 5, 17, 257)),
        (20, (3, 5, 11, 31, 41)),
        (24, (3, 5, 7, 13, 17, 241)),
        (32, (3, 5, 17, 257, 65537)),
    ],
)
def test_lfsr_has_the_longest_period(bits: int, factors: tuple[int, ...]) -> None:
    period = (1 << bits) - 1
    left = period
    for factor in factors:
        assert left % factor == 0
        while left % factor == 0:
            left //= factor
    assert left == 1
    identity = [1 << index for index in range(bits)]
    assert _after(bits, period) == identity
    for factor in factors:
        assert _after(bits, period // factor) != identity


@pytest.mark.parametrize("bits", TAPS)
def test_lfsr_follows_its_model(bits: int) -> None:
    register = Lfsr(bits, seed=5)
    seen, expected = [], []

    async def bench(context: Any) -> None:
        state = 5
        for cycle in range(200):
            context.set(register.en, cycle % 3 != 0)
            seen.append(context.get(register.state))
            expected.append(state)
            state = lfsr_next(state, bits) if cycle % 3 else state
            await context.tick()

    simulator = Simulator(register)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert seen == expected
    assert len(seen) == 200


def test_lfsr_arguments_wrong() -> None:
    with pytest.raises(ValueError, match=r"^bits must be one of 8, 12, 16, 20, 24, 32, not 9$"):
        Lfsr(9)
    with pytest.raises(ValueError, match=r"^seed must be in 1..2\*\*8 - 1, not 0$"):
        Lfsr(8, seed=0)
