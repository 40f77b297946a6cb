# SPDX-License-Identifier: Apache-2.0
import random
from fractions import Fraction
from typing import Any

import pytest

from hwsim.datapath.bit_mod import BitModRow, bit_mod_exact, booth_terms, float_terms, term_value
from hwsim.formats import codebook
from rtl.units.bit_mod import BitModCore, dequantize_unit, dot_unit
from rtl.units.step_core import Streams


@pytest.mark.parametrize(("bits", "count"), [(8, 4), (6, 3)])
def test_booth_terms_every_integer(bits: int, count: int) -> None:
    for value in range(-(1 << (bits - 1)), 1 << (bits - 1)):
        terms = booth_terms(value % (1 << bits), bits)
        assert len(terms) == count
        assert sum(term_value(*term) for term in terms) == value


def test_float_terms_every_level() -> None:
    levels = {level for bits in (3, 4) for spec in codebook.bitmod_options(bits) for level in spec.levels}
    assert {5.0, -5.0, 8.0, -8.0, 6.0, 3.0, 0.5, 1.5} <= levels
    for level in levels:
        terms = float_terms(level)
        assert [bsig for _, bsig in terms] == [1, 0]
        assert sum(term_value(*term) for term in terms) == level


def test_float_terms_level_wrong() -> None:
    with pytest.raises(ValueError, match=r"^level must be a number of 4 integer bits and a fraction bit, two ones, not 7"):
        float_terms(7.0)


def _rows(sums: int, *, wild: bool) -> list[BitModRow]:
    generator = random.Random(sums)
    rows = []
    for _ in range(sums):
        for group in reversed(range(generator.randrange(1, 4))):
            quads, scale = generator.randrange(1, 5), generator.getrandbits(8)
            for quad in reversed(range(quads)):
                x = tuple(generator.getrandbits(16) & (0xFFFF if wild else 0xBFFF) for _ in range(4))
                weights = [booth_terms(generator.getrandbits(8), 8) for _ in range(4)]
                for place in range(4):
                    bsig = weights[0][place][1]
                    ends = quad == 0 and place == 3
                    terms = tuple(weight[place][0] for weight in weights)
                    rows.append(BitModRow(ends and group == 0, ends, terms, bsig, x, scale))
    return rows


def _packed(row: BitModRow) -> dict[str, int]:
    fields = {"last": int(row.last), "close": int(row.close), "bsig": row.bsig, "scale": row.scale}
    fields["terms"] = sum(code << 4 * lane for lane, code in enumerate(row.terms))
    return fields | {"x": sum(code << 16 * lane for lane, code in enumerate(row.x))}


@pytest.mark.parametrize("wild", [False, True])
def test_bit_mod_rtl_equals_oracle(wild: bool, run_rows: Any) -> None:
    rows = _rows(16, wild=wild)
    expected = bit_mod_exact(dot_unit(), dequantize_unit(), rows)
    seen = run_rows(Streams(BitModCore()), [_packed(row) for row in rows], len(expected))
    assert seen == expected
    assert len(set(seen)) > (3 if wild else 12)
