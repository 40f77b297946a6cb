# SPDX-License-Identifier: Apache-2.0
"""Where two units part: the stage that they do not have alike."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from hwsim import formats
from hwsim.datapath import DotProductUnit, FloatAccumulator, Promotion, TruncatedAlignment, named
from hwsim.datapath.trace import element_rows
from hwsim.formats import FloatSpec, Rounding
from hwsim.report.units.parting import Followed, common_steps, follow, part
from hwsim.report.units.steps import fraction_text, step_as_dict, step_lines, term_text
from hwsim.report.units.tracing import pair_as_dict, pair_parts, trace_parts

_HOPPER = named("hopper_e4m3_e4m3_float32")


def _register(**more: Any) -> FloatAccumulator:
    assert isinstance(_HOPPER.accumulator, FloatAccumulator)
    return replace(_HOPPER.accumulator, **more)


def _bfloat16() -> FloatSpec:
    spec = formats.named("bfloat16")
    assert isinstance(spec, FloatSpec)
    return spec


def _follow(unit: DotProductUnit, seed: int, depth: int = 96, c: int = 0) -> Followed:
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((2, depth))
    a, b = (spec.encode(x).tolist() for spec, x in zip((unit.element_a, unit.element_b), values, strict=True))
    return follow(unit, unit.name, element_rows(unit, a, b, c), depth)


_CHANGES = {
    "align_add": replace(_HOPPER, alignment=TruncatedAlignment(fraction_bits=12, exp_floor=-133)),
    "accumulate": replace(_HOPPER, accumulator=_register(result_man_bits=9)),
    "round_pack": replace(_HOPPER, output=_bfloat16()),
    "none": replace(_HOPPER, alignment=TruncatedAlignment(fraction_bits=13, exp_floor=-130)),
}


@pytest.mark.parametrize("stage", _CHANGES)
def test_parting_stage(stage: str) -> None:
    found = 0
    for seed in range(40):
        first, second = _follow(_HOPPER, seed), _follow(_CHANGES[stage], seed)
        parting = part(first, second)
        if parting.stage == "none":
            assert first.steps[-1].output == second.steps[-1].output
            found += stage == "none"
            continue
        # What is before the parting is alike, what is behind it is not.
        assert parting.stage == stage
        at = parting.steps[0][0]
        assert parting.steps == (range(at, at + 1), range(at, at + 1))
        for step in range(at):
            assert first.steps[step].after == second.steps[step].after
        if stage != "round_pack":
            assert first.steps[at].after != second.steps[at].after
        found += 1
    assert found >= 30


def test_parting_of_other_operands() -> None:
    other = replace(_HOPPER, a=formats.named("float8_e5m2"))
    parting = part(_follow(_HOPPER, 1), _follow(other, 1))
    assert parting.stage == "decode"
    assert parting.says.startswith("a[0] is not the same number")


def test_parting_of_other_steps() -> None:
    halves = replace(_HOPPER, lanes=16)
    first, second = _follow(_HOPPER, 3), _follow(halves, 3)
    assert common_steps((first, second)) == [(0, 1), (1, 3), (2, 5)]
    parting = part(first, second)
    assert parting.stage == "align_add"
    assert len(parting.steps[0]) == 1
    assert len(parting.steps[1]) == 2
    assert "1 step of 32 by the one and in 2 steps of 16 by the other" in parting.says


def test_parting_of_an_order() -> None:
    ordered = replace(_HOPPER, lanes=16, order=tuple(k for half in (0, 2) for k in range(32) if k % 4 // 2 * 2 == half))
    first, second = _follow(_HOPPER, 5), _follow(ordered, 5)
    assert second.elements(0)[:4] == (0, 1, 4, 5)
    assert common_steps((first, second)) == [(0, 1), (1, 3), (2, 5)]


def test_parting_of_a_promotion_counts_both_registers() -> None:
    wide = _register(rounding=Rounding.NEAREST_EVEN, result_man_bits=23)
    promoted = replace(_HOPPER, promotion=Promotion(length=32, accumulator=wide))
    for seed in range(10):
        first, second = _follow(_HOPPER, seed, c=0x40490FDB), _follow(promoted, seed, c=0x40490FDB)
        parting = part(first, second)
        for ends in common_steps((first, second)):
            if ends[0] < parting.steps[0][0]:
                assert first.running(ends[0]) == second.running(ends[1])


def test_parting_texts() -> None:
    first, second = _follow(_HOPPER, 0), _follow(_CHANGES["align_add"], 0)
    parting = part(first, second)
    parts = pair_parts(first, second, full=False)
    texts = [each for each in parts if isinstance(each, str)]
    assert any(each.startswith(f"they part in step {parting.steps[0][0]}, stage align_add: ") for each in texts)
    lines = step_lines(first, parting.steps[0][0])
    assert any(line.startswith("align_add   e = ") for line in lines)
    full = pair_parts(first, second, full=True)
    assert len(full) > len(trace_parts(first)) > 3 * 4


def test_parting_json_adds_up() -> None:
    first, second = _follow(_HOPPER, 2), _follow(_CHANGES["align_add"], 2)
    found = pair_as_dict(first, second)
    assert found["stage"] == "align_add"
    compared = 0
    for followed, trace in zip((first, second), found["traces"], strict=True):
        assert trace["output"] == followed.steps[-1].output
        for step in trace["steps"]:
            kept = sum(each["kept"]["significand"] * 2.0 ** each["kept"]["exponent"] for each in step["addends"])
            assert kept == step["total"]["significand"] * 2.0 ** step["total"]["exponent"]
            compared += 1
    assert compared == 6
    assert step_as_dict(first, 1)["before"] == step_as_dict(first, 0)["after"]


def test_parting_term_texts() -> None:
    lane = _follow(_HOPPER, 0, depth=1).steps[0].lanes[0]
    sign = "-" if lane.a.significand < 0 else ""
    assert term_text(lane.a) == f"{sign}{abs(lane.a.significand)}·2^{lane.a.exponent}"
    held = lane.a._replace(significand=0, minus=True)
    assert term_text(held) == "-0"
    assert term_text(lane.a._replace(special=2)) == "-inf"
    assert [fraction_text(Fraction(*pair)) for pair in ((0, 1), (3, 16), (-1, 8), (48, 1), (-1, 1))] == [
        "0",
        "3·2^-4",
        "-2^-3",
        "3·2^4",
        "-1",
    ]
