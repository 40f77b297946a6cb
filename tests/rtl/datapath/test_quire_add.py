# SPDX-License-Identifier: Apache-2.0
"""One product in a wide fixed register, and the posit made of one: equal to plain integers."""

import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hwsim import formats
from hwsim.datapath import DotProductUnit, ExactAlignment, FixedAccumulator, named, output_exact, step_exact
from hwsim.formats import FloatSpec, Overflow
from rtl.architecture import ARCHITECTURES, Architecture
from rtl.datapath.layouts import register_layout
from rtl.datapath.posit_pack import PositPack
from rtl.datapath.quire_add import quire_step
from rtl.verilog import parts_verilog
from testbenches.compiled import Compiled, from_limbs, to_limbs

_HEAP = ARCHITECTURES["dadda_heap"]


def _kulisch(name: str, bits: int) -> DotProductUnit:
    spec, output = formats.named(name), formats.named("float32")
    assert isinstance(spec, FloatSpec)
    assert isinstance(output, FloatSpec)
    register = FixedAccumulator(bits=bits, fraction_bits=-2 * spec.exp_min, overflow=Overflow.WRAP)
    return DotProductUnit(a=spec, b=spec, lanes=1, alignment=ExactAlignment(), accumulator=register, output=output)


_UNITS = [*(named(f"{name}_quire") for name in ("posit8_0", "posit8_2")), _kulisch("float8_e4m3", 40)]
_SLOW = [*(named(f"{name}_quire") for name in ("posit8_1", "posit16_1")), _kulisch("float8_e5m2", 72)]


def _words(codes: list[int], bits: int) -> NDArray[Any]:
    return to_limbs(codes, bits) if bits > 64 else np.array(codes, np.uint64)


def _numbers(found: NDArray[Any], bits: int) -> list[int]:
    return [int(code) for code in (from_limbs(found) if bits > 64 else np.asarray(found).reshape(-1))]


def _signed(code: int, bits: int) -> int:
    return code - (1 << bits) if code >> (bits - 1) else code


def _check_step(unit: DotProductUnit, count: int) -> None:
    part = quire_step(unit, _HEAP)
    assert part is not None
    compiled = Compiled(parts_verilog({"quire": part})["quire"], "quire")
    bits, special_bits = (register_layout(unit)[name].width for name in ("value", "special"))
    source = random.Random(1)
    a, b = ([source.randrange(1 << unit.element_a.bits) for _ in range(count)] for _ in range(2))
    held = [source.getrandbits(bits) for _ in range(count)]
    size = bits + special_bits
    inputs = {"a": np.array(a, np.uint64), "b": np.array(b, np.uint64), "register": _words(held, size)}
    found = _numbers(compiled.run(inputs)["following"], size)
    values, specials = [code % (1 << bits) for code in found], [code >> bits for code in found]
    seen = 0
    for x, y, start, value, special in zip(a, b, held, values, specials, strict=True):
        expected, is_special = step_exact(unit, (_signed(start, bits), 0), [x], [y])
        seen += bool(is_special)
        assert special == (is_special if special_bits == 2 else bool(is_special)), (x, y)
        assert is_special or value == expected % (1 << bits), (x, y, start)
    assert 0 < seen < count // 4


@pytest.mark.parametrize("unit", _UNITS, ids=lambda unit: unit.name)
def test_quire_add_equals_oracle(unit: DotProductUnit) -> None:
    _check_step(unit, 2000)


@pytest.mark.slow
@pytest.mark.parametrize("unit", _SLOW, ids=lambda unit: unit.name)
def test_quire_add_more(unit: DotProductUnit) -> None:
    _check_step(unit, 10000)


@pytest.mark.parametrize(
    ("name", "overflow"),
    [
        ("posit8_2", Overflow.SATURATE),
        pytest.param("posit8_2", Overflow.INFINITY, marks=pytest.mark.slow),
        pytest.param("posit16_1", Overflow.SATURATE, marks=pytest.mark.slow),
        pytest.param("posit16_1", Overflow.INFINITY, marks=pytest.mark.slow),
    ],
)
def test_posit_pack_equals_oracle(name: str, overflow: Overflow) -> None:
    unit = replace(named(f"{name}_quire"), overflow=overflow)
    bits, count = register_layout(unit)["value"].width, 400
    source = random.Random(2)
    held = [0, 1, (1 << bits) - 1, 1 << (bits - 1)]
    while len(held) < count:
        place = source.randrange(bits)
        number = source.choice(
            [source.getrandbits(place + 1), (1 << place) + source.randrange(-2, 3), source.getrandbits(5) << place]
        )
        held.append(source.choice([number, -number]) % (1 << bits))
    special = [int(index % 50 == 7) for index in range(count)]
    compiled = Compiled(parts_verilog({"pack": PositPack(unit)})["pack"], "pack")
    codes = [code | seen << bits for code, seen in zip(held, special, strict=True)]
    found = _numbers(compiled.run({"register": _words(codes, bits + 1)})["d"], unit.output.bits)
    expected = [output_exact(unit, (_signed(code, bits), 3 * seen)) for code, seen in zip(held, special, strict=True)]
    assert found == expected
    assert len(set(expected)) > 60


def test_quire_step_only_where_it_is_one() -> None:
    unit = named("posit8_2_quire")
    assert quire_step(unit, Architecture()) is None
    assert quire_step(unit, ARCHITECTURES["carry_save"]) is None
    assert quire_step(named("int8"), _HEAP) is None
    assert quire_step(replace(unit, lanes=2), _HEAP) is None


def test_posit_pack_output_wrong() -> None:
    with pytest.raises(TypeError, match="output must be a PositSpec, not"):
        PositPack(named("int8"))
