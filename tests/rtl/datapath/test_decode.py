# SPDX-License-Identifier: Apache-2.0
import random
from typing import Any

import pytest

from hwsim import formats
from hwsim.datapath.decode import decode_exact
from hwsim.formats import BlockSpec
from hwsim.formats.codes import NAN
from rtl.datapath.decode import Decode
from rtl.datapath.layouts import operand_raw

_SMALL = (
    *("int1", "uint1", "int2", "uint4", "int4", "int8", "uint8", "fixed8_3", "int8_narrow"),
    *("float8_e4m3fn", "float8_e5m2", "float8_e4m3", "float8_e3m4", "float8_e4m3fnuz", "float8_e5m2fnuz"),
    *("float8_e4m3b11fnuz", "float6_e2m3fn", "float6_e3m2fn", "float4_e2m1fn", "float8_e8m0fnu", "float8_e5m3fnu"),
    *("minifloat_e1m2", "minifloat_e2m0", "float5_e1m3fn"),
)


def _check(evaluate: Any, name: str, codes: list[int]) -> None:
    spec = formats.named(name)
    assert not isinstance(spec, BlockSpec)
    seen = evaluate(Decode(spec), [{"codes": code} for code in codes], "operands")
    assert len(seen) == len(codes)
    for code, (fields,) in zip(codes, seen, strict=True):
        term = decode_exact(spec, code)
        assert fields["nan"] == (term.special == NAN)
        assert fields["infinite"] == (term.special in (1, 2))
        if term.special:
            assert term.special == NAN or fields["negative"] == (term.special == 2)
            continue
        significand = -fields["significand"] if fields["negative"] else fields["significand"]
        assert significand == term.significand
        assert fields["exponent"] + operand_raw(spec).offset == term.exponent


@pytest.mark.parametrize("name", _SMALL)
def test_decode_every_code(evaluate: Any, name: str) -> None:
    _check(evaluate, name, list(range(1 << formats.named(name).bits)))


@pytest.mark.parametrize("name", ["int16", "float16", "bfloat16", "tfloat32", "float32"])
def test_decode_wide(evaluate: Any, name: str) -> None:
    spec = formats.named(name)
    source = random.Random(name)
    codes = [0, 1, (1 << spec.bits) - 1, 1 << (spec.bits - 1), (1 << (spec.bits - 1)) - 1]
    if not isinstance(spec, BlockSpec) and spec.has_inf:
        codes += [0x7F800000 >> (32 - spec.bits), 0x7C00]
    _check(evaluate, name, codes + [source.getrandbits(spec.bits) for _ in range(500)])


def test_decode_lanes(evaluate: Any) -> None:
    spec = formats.named("float4_e2m1fn")
    assert not isinstance(spec, BlockSpec)
    [alone] = zip(*evaluate(Decode(spec), [{"codes": code} for code in range(16)], "operands"), strict=True)
    codes = list(range(16))
    packed = sum(code << (4 * lane) for lane, code in enumerate(codes))
    assert evaluate(Decode(spec, 16), [{"codes": packed}], "operands") == [list(alone)]
