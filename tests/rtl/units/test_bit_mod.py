# SPDX-License-Identifier: Apache-2.0
import random
import re
from typing import Any

import numpy as np
import pytest

from hwsim.datapath.bit_mod import BitModRow, bit_mod_exact, booth_terms, float_terms, term_value
from hwsim.formats import codebook
from rtl.units.bit_mod import BitModCore, dequantize_unit, dot_unit
from rtl.units.bit_mod import blocks as term_sum_blocks
from rtl.units.bit_mod_terms import BoothTerms, blocks
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
    text = "level must be a number of 4 integer bits and a fraction bit, two ones, not 7.0"
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
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
    rows = _rows(10, wild=wild)
    expected = bit_mod_exact(dot_unit(), dequantize_unit(), rows)
    seen = run_rows(Streams(BitModCore()), [_packed(row) for row in rows], len(expected))
    assert seen == expected
    assert len(set(seen)) > (3 if wild else 8)


def test_term_sum_equals_oracle(run_block: Any) -> None:
    assert run_block(term_sum_blocks()[0], 3000) == 9000


@pytest.mark.parametrize("block", blocks(), ids=lambda block: block.name)
def test_terms_rtl_every_code(block: Any, evaluate: Any) -> None:
    """Every weight: against the block's oracle, and against the terms that the processing element's oracle takes."""
    bits = int(block.name[-1])
    specials = range(4) if block.name.startswith("float") else [0]
    columns = [(weight, special) for weight in range(1 << bits) for special in specials]
    ports = {"weight": np.array([weight for weight, _ in columns], dtype=np.uint64)}
    if block.name.startswith("float"):
        ports["special"] = np.array([special for _, special in columns], dtype=np.uint64)
        spec = codebook.bitmod_options(bits)
        wanted = [float_terms(spec[special].levels[weight]) for weight, special in columns]
    else:
        wanted = [booth_terms(weight, bits) for weight, _ in columns]
    inputs = [{name: int(column[i]) for name, column in ports.items()} for i in range(len(columns))]
    seen = evaluate(block.part(), inputs, "terms")
    assert seen == [sum(code << 4 * place for place, (code, _) in enumerate(terms)) for terms in wanted]
    assert seen == [int(code) for code in block.oracle(**ports)["terms"]]
    assert len(seen) == len(columns) >= 32


def test_booth_terms_bits_wrong() -> None:
    with pytest.raises(ValueError, match=r"^bits must be even, not 7$"):
        BoothTerms(7)
