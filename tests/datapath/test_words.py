# SPDX-License-Identifier: Apache-2.0
import random

from hwsim.datapath.words import later_seed, word, word_exact

_WORD = (1 << 64) - 1


def _splitmix(state: int) -> int:
    """Return the output of SplitMix64 in a state, as its authors print it."""
    z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _WORD
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _WORD
    return z ^ (z >> 31)


def test_words_mix_as_splitmix64_does() -> None:
    # The first outputs of SplitMix64 with seed 1234567: Rosetta Code, "Pseudo-random numbers/Splitmix64", 2026-11-22.
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    golden = 0x9E3779B97F4A7C15
    assert [_splitmix((1234567 + at * golden) & _WORD) for at in (1, 2, 3)] == published
    places = 0xC2B2AE3D27D4EB4F + 0x165667B19E3779F9
    for row, value in enumerate(published):
        seed = (1234567 - places) & _WORD  # the step's and the column's share apart
        assert word_exact(seed, row, 0, 0, 32) == value >> 32


def test_words_kernel_equals_oracle(interpreted: bool) -> None:
    source = random.Random(1)
    count = 200 if interpreted else 5_000
    for _ in range(count):
        seed, bits = source.getrandbits(source.randint(1, 62)), source.randint(1, 32)
        row, column, step = (source.getrandbits(20) for _ in range(3))
        assert word(seed, row, column, step, bits) == word_exact(seed, row, column, step, bits)
        later = later_seed(seed, step)
        assert word(later, row, column, 3, bits) == word_exact(seed, row, column, step + 3, bits)
