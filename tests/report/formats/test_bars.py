# SPDX-License-Identifier: Apache-2.0
"""Bars of text: their heights, and the powers of two below them."""

from hwsim.report.formats.bars import bars, ticks
from hwsim.report.formats.facts import Binade, facts


def test_bars_of_int4() -> None:
    assert bars(facts("int4").binades) == [
        "  3 ┤        ████",
        "  2 ┤    ████████",
        "  1 ┤████████████",
        "    └┴───────┴───",
        "     2^0     2^2",
    ]


def test_bars_of_parts_and_gaps() -> None:
    lines = bars([Binade(exponent=0, count=4), Binade(exponent=2, count=3)])
    assert lines[0] == "  3 ┤████    ▅▅▅▅"  # 1 + log2(3) = 2.585: five eighths
    assert lines[2] == "  1 ┤████    ████"


def test_bars_fit_their_width() -> None:
    for name in ("float64", "float32", "float16", "int8"):
        lines = bars(facts(name).binades, width=60)
        assert max(map(len, lines)) <= 60 + 5 + 7, name
        assert len(lines) <= 14
        top = max(binade.significant_bits for binade in facts(name).binades)
        assert int(lines[0].split()[0]) >= top - 1e-9


def test_bars_ticks() -> None:
    assert ticks(-6, 9, 4) == [-4, 0, 4, 8]
    assert ticks(0, 0, 2) == [0]
    assert ticks(-1074, 1023, 10)[:2] == [-1024, -768]
