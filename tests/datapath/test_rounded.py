# SPDX-License-Identifier: Apache-2.0
import random

from hwsim.datapath.rounded import rounded, rule_of
from hwsim.formats.rounding import DETERMINISTIC, round_shift_exact


def test_rounded_equals_the_oracle() -> None:
    source = random.Random(1)
    compared = 0
    for rounding in DETERMINISTIC:
        rule = rule_of(rounding.index)
        for _ in range(2_000):
            places = source.choice((source.randrange(0, 8), source.randrange(0, 64), source.randrange(0, 4096)))
            value = source.getrandbits(source.randrange(0, 63))
            if source.random() < 0.3 and places < 61:  # a tie, or none lost
                value = value >> places + 1 << places + 1 | source.getrandbits(1) << max(places - 1, 0)
            value = min(value, (1 << 62) - 1)
            signed = -value if source.random() < 0.5 else value
            exact = round_shift_exact(value, places, signed < 0, rounding)
            assert rounded(rule, signed, places) == (-exact if signed < 0 else exact), (rounding, signed, places)
            compared += 1
    assert compared == 12_000
