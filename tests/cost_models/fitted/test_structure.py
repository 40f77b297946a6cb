# SPDX-License-Identifier: Apache-2.0
"""Counts of cells and register bits against the RTL."""

import re

import pytest
from amaranth.back import rtlil

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
from rtl.datapath.dot_product import chosen_ranks
from rtl.datapath.layouts import product_raw, total_layout
from rtl.part import Boxes

UNITS = (
    "int8", "int4_by_int8", "float8_e4m3fn", "float8_e5m2", "float6_e3m2fn_l4_float32", "int8_l4_float32",
    "posit4_1", "ternary", "mxfp4_l4", "mxint8_l4", "nvfp4_l4", "int4_by_float16_float32",
    "int8_l4_int28_to_float32", "mxfp8_e5m2_l1", "int4_int16_sat",
)  # fmt: skip


def register_bits(unit: DotProductUnit, pipeline: int) -> int:
    """Return the bits of the flip-flops in the core's own module."""
    text = rtlil.convert(rtl.Core(unit, pipeline), "core", Boxes("part"), emit_src=False)
    cells = re.findall(r"^  cell (\S+) .*\n((?:    .*\n)*)", text, re.MULTILINE)
    widths = [re.findall(r"\\WIDTH (\d+)", body) for kind, body in cells if kind == "$dff"]
    return sum(int(width) for (width,) in widths)


@pytest.mark.parametrize("name", UNITS)
def test_structure_flip_flops_are_those_of_the_rtl(name: str) -> None:
    unit = datapath.named(name)
    compared = 0
    for pipeline in range(1, len(rtl.ranks(unit)) + 1):
        assert ranks(unit, pipeline) == chosen_ranks(unit, pipeline)
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
    assert compared == 8


@pytest.mark.parametrize("name", ["float8_e5m2", "int4_float32"])
def test_structure_fused_columns_are_those_of_the_rtl(name: str) -> None:
    unit = datapath.named(name)
    boxes = Boxes("part")
    rtlil.convert(rtl.Core(unit, None, architecture("fast_heap")), "core", boxes, emit_src=False)
    (width,) = {int(found[1]) for name in boxes.modules if (found := re.search(r"_round_float32_w(\d+)", name))}
    assert fused_columns(unit) + 1 == width


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
