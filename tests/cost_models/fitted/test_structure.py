# SPDX-License-Identifier: Apache-2.0
"""Counts of cells and register bits against the RTL."""

import re

import pytest

import rtl
from cost_models.fitted.structure import (
    exponent_bits,
    fused_columns,
    ranks,
    structure,
    sum_magnitude_bits,
    table_muxes,
)
from hwsim import datapath, formats
from hwsim.datapath.unit import DotProductUnit, FloatAccumulator
from hwsim.formats import CodebookSpec
from rtl.architecture import architecture
from rtl.datapath.layouts import product_raw, total_layout

UNITS = (
    "int8", "uint4", "int4_by_int8", "float8_e4m3fn", "float8_e5m2", "float4_e2m1fn_l4", "float6_e3m2fn_l4_float32",
    "int8_l4_float32", "posit8_0", "posit6_1_quire", "nf4", "ternary", "mxfp4_l4", "mxint8_l4", "nvfp4_l16",
    "float16_float32", "int4_by_float16_float32", "int8_l16_int28_to_float32", "mxfp8_e5m2_l1", "int4_int16_sat",
)  # fmt: skip
_WRITTEN = re.compile(r"^\s+(?:if \(\w+\) )?(?:if \(\w+\) )?(?:else )?\\?(\w+)(?:\[[\d:]+\])? <= ", re.MULTILINE)
_REGISTER = re.compile(r"^  (?:output )?reg (?:signed )?(?:\[(\d+):0\] )?(\w+)(?: = .*)?;$", re.MULTILINE)


def register_bits(unit: DotProductUnit, pipeline: int) -> int:
    """Return the bits of what is written at clock edges in the core's own module."""
    core = rtl.core_verilog(unit, pipeline=pipeline).split("endmodule")[0]
    written = set(_WRITTEN.findall(core))
    widths = {name: int(high or 0) + 1 for high, name in _REGISTER.findall(core)}
    return sum(widths[name] for name in written)


@pytest.mark.parametrize("name", UNITS)
def test_structure_flip_flops_are_those_of_the_rtl(name: str) -> None:
    unit = datapath.named(name)
    compared = 0
    for pipeline in range(1, len(rtl.ranks(unit)) + 1):
        assert ranks(unit, pipeline) == rtl.datapath.dot_product.chosen_ranks(unit, pipeline)
        assert structure(unit, pipeline)["registers.flip_flops"] == register_bits(unit, pipeline)
        compared += 1
    assert compared >= 2


def test_structure_widths_are_those_of_the_rtl() -> None:
    compared = 0
    for name in UNITS:
        unit = datapath.named(name)
        assert exponent_bits(unit.element_a, unit.element_b) == product_raw(unit).bits
        if isinstance(unit.accumulator, FloatAccumulator):
            total = total_layout(unit)["sum"].shape
            assert sum_magnitude_bits(unit) == total.width - total.signed
            compared += 1
    assert compared == 10


@pytest.mark.parametrize("name", ["float8_e5m2", "float16_float32", "int8_l4_float32", "mxfp4_l4", "nf4"])
def test_structure_fused_columns_are_those_of_the_rtl(name: str) -> None:
    unit = datapath.named(name)
    text = rtl.core_verilog(unit, architecture=architecture("fast_heap"))
    (width,) = set(re.findall(r"^module \w+_round_float32_w(\d+)\(", text, re.MULTILINE))
    assert fused_columns(unit) + 1 == int(width)


def test_structure_e4m3_by_hand() -> None:
    """Significands of 4 bits; products of 8, shifted by 0..28: stages of 9, 11, 15, 23 and 36 bits; a sum of 37."""
    counts = structure(datapath.named("float8_e4m3fn"), 2)
    assert counts["multiply.ands"] == 16
    assert counts["multiply.adders"] == 12
    assert counts["multiply.exponents"] == 5  # fields 1..15 each: 2..30
    assert counts["align_add.muxes"] == 9 + 11 + 15 + 23 + 36
    assert counts["align_add.signs"] == 36
    assert counts["accumulate.adder"] == 37
    assert counts["accumulate.carry"] == counts["accumulate.extend"] == 12
    assert counts["decode.float"] == 8
    assert counts["accumulate.float_add"] == counts["accumulate.fused_columns"] == 0


def test_structure_int8_by_hand() -> None:
    counts = structure(datapath.named("int8_l4"), 1)
    assert counts["multiply.ands"] == 4 * 64
    assert counts["multiply.adders"] == 4 * 56
    assert counts["align_add.tree"] == 2 * 17 + 18  # products of 16 bits
    assert counts["align_add.muxes"] == counts["multiply.exponents"] == counts["decode.float"] == 0


@pytest.mark.parametrize(("name", "muxes"), [("binary", 1), ("ternary", 2), ("pot4", 11)])
def test_structure_table_muxes(name: str, muxes: int) -> None:
    """A binary code is its sign; a ternary one has a sign and a zero; powers of two 1..64 twice: see the diagrams."""
    spec = formats.named(name)
    assert isinstance(spec, CodebookSpec)
    assert table_muxes(spec) == muxes


def test_structure_keys_are_the_same_for_all_units() -> None:
    names = {frozenset(structure(datapath.named(name), 1)) for name in UNITS}
    assert len(names) == 1


def test_structure_unit_wrong() -> None:
    with pytest.raises(TypeError, match="unit must be a DotProductUnit, not 'int8'"):
        structure("int8", 2)  # type: ignore[arg-type]
    message = "for units with exact alignment and plain operands; .* has the alignment t"
    with pytest.raises(ValueError, match=message):
        structure(datapath.named("hopper_e4m3_e4m3_float32"), 2)
    with pytest.raises(ValueError, match="nvfp4_l64_float32 has several scales a step"):
        structure(datapath.named("nvfp4_l64_float32"), 2)


def test_structure_pipeline_wrong() -> None:
    unit = datapath.named("int8")
    with pytest.raises(TypeError, match="pipeline must be an int, not True"):
        structure(unit, True)
    with pytest.raises(ValueError, match=r"of int8_l1_int32 is for 1\.\.2 register ranks, not 3"):
        structure(unit, 3)
