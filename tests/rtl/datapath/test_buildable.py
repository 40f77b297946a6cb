# SPDX-License-Identifier: Apache-2.0
"""Units that the specification can say and the RTL cannot build yet are refused by name, before any work."""

import dataclasses
from typing import Any

import pytest

from hwsim import formats
from hwsim.datapath import (
    CascadedAlignment,
    FloatAccumulator,
    NanResult,
    PairwiseAlignment,
    Promotion,
    Sparsity,
    TruncatedAlignment,
    named,
)
from hwsim.formats import FloatSpec, Overflow, Rounding
from rtl import verilog
from rtl.datapath.dot_product import check_buildable
from rtl.datapath.step import check_step

_FLOAT32 = formats.named("float32")
assert isinstance(_FLOAT32, FloatSpec)
_REGISTER = FloatAccumulator(
    format=_FLOAT32, rounding=Rounding.NEAREST_EVEN, overflow=Overflow.INFINITY, result_man_bits=23
)
_CASCADED = CascadedAlignment(fraction_bits=24, sum_fraction_bits=31, register_fraction_bits=24)


def _with(**changes: Any) -> FloatAccumulator:
    return dataclasses.replace(_REGISTER, **changes)


@pytest.mark.parametrize(
    ("name", "changes", "feature"),
    [
        ("nvfp4", {"lanes": 32}, "several block scales of an exact step"),
        (
            "float16_l4_float32",
            {"accumulator": _with(rounding=Rounding.STOCHASTIC, random_bits=4)},
            "stochastic rounding",
        ),
        ("float16_l4_float32", {"accumulator": _with(signed_zero=True)}, "signed zeros"),
        ("float16_l4_float32", {"accumulator": _with(flush=True)}, "results flushed to zero"),
        ("float32_l1_float32", {"accumulator": _with(nan=NanResult.OPERAND)}, "NaN payloads"),
    ],
)
def test_buildable_refuses(name: str, changes: dict[str, Any], feature: str) -> None:
    unit = dataclasses.replace(named(name), **changes)
    with pytest.raises(ValueError, match=f"must do without {feature} to be built as RTL: only the model has that$"):
        verilog(unit)


@pytest.mark.parametrize("name", ["int8", "mxfp4_l16", "nvfp4", "hopper_e4m3_e4m3_float32", "posit8_2", "nf4_l4"])
def test_buildable_accepts(name: str) -> None:
    check_buildable(named(name))


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("float16_l4_float32", {"promotion": Promotion(length=8, accumulator=_REGISTER)}),
        ("float16_l4_float32", {"order": (3, 2, 1, 0)}),
        ("float16_l4_float32", {"ignored_bits": 3}),
        ("float16_l4_float32", {"flush_operands": True}),
        ("float8_e4m3fn_l4_float32", {"unpacked": formats.named("float16")}),
        ("int8_l2", {"sparsity": Sparsity(kept=2, of=4)}),
    ],
)
def test_step_refuses_what_only_a_whole_unit_has(name: str, changes: dict[str, Any]) -> None:
    unit = dataclasses.replace(named(name), **changes)
    check_buildable(unit)
    with pytest.raises(ValueError, match=r"to be an element of an array: only a unit by itself has that$"):
        check_step(unit)


@pytest.mark.parametrize(
    "alignment",
    [PairwiseAlignment(), _CASCADED, TruncatedAlignment(fraction_bits=9, exp_floor=-133, rounding=Rounding.DOWN)],
)
def test_step_accepts_every_alignment(alignment: Any) -> None:
    check_step(dataclasses.replace(named("float16_l4_float32"), alignment=alignment))
