# SPDX-License-Identifier: Apache-2.0
"""What happens to operands before they enter, against the oracle's words for one code."""

import dataclasses

import numpy as np
import pytest

from hwsim import formats
from hwsim.datapath import DotProductUnit, Sparsity, matmul, named
from hwsim.datapath.accumulate import drop_bits_exact
from hwsim.datapath.entry import enter, flush, special_of
from hwsim.formats import FloatSpec, Rounding


def _float(name: str) -> FloatSpec:
    spec = formats.named(name)
    assert isinstance(spec, FloatSpec)
    return spec


@pytest.mark.parametrize("rounding", [Rounding.TOWARD_ZERO, Rounding.NEAREST_EVEN])
@pytest.mark.parametrize(
    ("name", "ignored_bits"), [("tfloat32", 13), ("float16", 3), ("float8_e5m2", 8), ("bfloat16", 16), ("float16", 16)]
)
def test_entry_ignored_bits(name: str, ignored_bits: int, rounding: Rounding) -> None:
    spec = _float(name)
    generator = np.random.default_rng(ignored_bits)
    codes = generator.integers(0, 1 << (spec.bits + ignored_bits), 2000, dtype=np.uint64)
    ties = codes[:500] >> np.uint64(ignored_bits) << np.uint64(ignored_bits) | np.uint64(1 << (ignored_bits - 1))
    infinity = np.uint64(spec.inf_code << ignored_bits)
    around = infinity + np.arange(3, dtype=np.uint64) - np.uint64(1)
    all_codes = np.concatenate([codes, ties, around, around | np.uint64(1 << (spec.bits - 1 + ignored_bits))])
    given = all_codes.astype(np.min_scalar_type((1 << (spec.bits + ignored_bits)) - 1)).reshape(1, -1)
    unit = dataclasses.replace(
        named("float16_float32"), a=spec, b=spec, ignored_bits=ignored_bits, operand_rounding=rounding
    )
    found = enter(unit, "a", spec, given)
    assert found.tolist() == [[drop_bits_exact(spec, code, ignored_bits, rounding) for code in given[0].tolist()]]
    assert found.size == 2506


def test_entry_tfloat32_is_rounded_as_numpy_rounds() -> None:
    # To nearest even at 13 bits: the classic integer rounding of float32 bits, as libraries make tfloat32.
    bits = np.random.default_rng(2).integers(0, 0x7F000000, 5000, dtype=np.uint32)
    unit = dataclasses.replace(
        named("float16_float32"),
        a=_float("tfloat32"),
        b=_float("tfloat32"),
        ignored_bits=13,
        operand_rounding=Rounding.NEAREST_EVEN,
    )
    found = enter(unit, "a", _float("tfloat32"), bits.reshape(1, -1))
    expected = (bits + np.uint32(0xFFF) + (bits >> np.uint32(13) & np.uint32(1))) >> np.uint32(13)
    assert found[0].tolist() == expected.tolist()


def test_entry_flush_keeps_the_sign() -> None:
    spec = _float("float16")
    codes = np.arange(1 << 16, dtype=np.uint16)
    values = np.abs(spec.decode(codes))
    found = flush(spec, codes)
    small = values < 2.0**-14
    assert (found[small] == (codes[small] & 0x8000)).all()
    assert (found[~small] == codes[~small]).all()
    assert small.sum() == 2048


def _sparse(name: str) -> DotProductUnit:
    return dataclasses.replace(named(name), sparsity=Sparsity(kept=2, of=4))


def test_entry_order_and_filling() -> None:
    unit = dataclasses.replace(named("int8_l2"), order=(0, 2, 1, 3))
    given = np.array([[1, 2, 3, 4, 5, 6]], np.uint8)
    assert enter(unit, "a", unit.element_a, given).tolist() == [[1, 3, 2, 4, 5, 0, 6, 0]]


def test_entry_sparse_row_wrong() -> None:
    a = np.zeros((3000, 512), np.uint8)
    a[2999, 8:11] = 1
    text = r"^a must have at most 2 non-zeros in 4 neighbours, and row 2999 has 3 from column 8 on$"
    with pytest.raises(ValueError, match=text):
        matmul(_sparse("int8_l2"), a, np.zeros((512, 1), np.uint8))


def test_entry_sparse_leaves_out_what_is_beside_a_zero() -> None:
    float16 = _float("float16")
    one, infinite = int(float16.encode(1.0)), float16.inf_code
    d = matmul(_sparse("float16_l2_float32"), [[0, one, 0, one]], [[infinite], [one], [infinite], [one]])
    assert _float("float32").decode(d).tolist() == [[2.0]]


@pytest.mark.parametrize("name", ["float32", "float64", "float16", "float8_e4m3fn", "tfloat32", "float8_e5m2fnuz"])
def test_entry_specials_are_those_of_the_format(name: str) -> None:
    spec = _float(name)
    finite = spec.encode([[0.0, -0.0, 1.0, -2.0, float(spec.max_value), float(spec.min_value)]])
    assert special_of(spec, finite) is None
    with_nan = finite.copy()
    with_nan[0, 2] = spec.nan_code
    found = special_of(spec, with_nan)
    assert found is not None
    assert found.tolist() == [[False, False, True, False, False, False]]
    if spec.has_inf:
        with_nan[0, 3] = spec.inf_code | 1 << (spec.bits - 1)
        both = special_of(spec, with_nan)
        assert both is not None
        assert both.tolist() == [[False, False, True, True, False, False]]
