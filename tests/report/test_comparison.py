# SPDX-License-Identifier: Apache-2.0
"""The terminal's table of a comparison: what it shows, marks and says, and the plot beside it."""

from io import StringIO
from pathlib import Path
from typing import Any

from rich.console import Console

from hwsim.report import comparison
from hwsim.report.fronts import fronts
from hwsim.report.plots import comparison_plot
from hwsim.study.quantities import KEYS


def _row(name: str, **figures: Any) -> dict[str, Any]:
    names = {"network": "digits", "format": name, "unit": f"{name}_l16", "accelerator": "a", "technology": "asap7"}
    known = {
        "accuracy": 0.97,
        "unit_area_um2": 185.56,
        "array_area_mm2": 0.0123,
        "energy_nj": 20.0,
        "cost_fitted": False,
        "cost_source": "table",
    }
    return {**names, **dict.fromkeys(KEYS), "refused": "", **known, **figures}


ROWS = [
    _row("int4", energy_nj=10.0),
    _row("int8", accuracy=0.98, energy_nj=30.0, array_area_mm2=0.03, inferences_per_j=1.25e7, images=360),
    _row("worse", accuracy=0.96, energy_nj=31.0, array_area_mm2=0.04),
    _row("fitted", accuracy=0.99, energy_nj=40.0, cost_fitted=True, cost_error=0.123, weight_qsnr_db=20.06),
    _row("wide", **dict.fromkeys(KEYS), refused="weights: 64 KiB do not hold them"),
]


def _text(*parts: Any, width: int = 130) -> str:
    console = Console(width=width, file=StringIO())
    for part in parts:
        console.print(part)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_comparison_tables_show_what_is_known() -> None:
    tables = comparison.comparison_tables(ROWS, fronts(ROWS))
    assert list(tables) == [""]
    lines = [line.split() for line in _text(tables[""]).splitlines()]
    assert ["int4", "97.00", "185.6", "12,300", "10.0", "2"] in lines
    assert ["int8", "98.00", "185.6", "30,000", "30.0", "12.5", "M", "2"] in lines
    assert ["worse", "96.00", "185.6", "40,000", "31.0"] in lines
    assert ["fitted", "99.00", "20.1", "~185.6", "~12,300", "~40.0", "1", "2"] in lines
    assert not any("wide" in line for line in lines)
    assert "delay" not in _text(tables[""])


def test_comparison_lines_say_fronts_errors_and_refusals() -> None:
    lines = list(comparison.comparison_lines(ROWS, fronts(ROWS)))
    said = "accuracy: the standard error of 360 images is 0.7 points, and leads below about 1.5 are noise"
    assert lines == [
        "front 1, accuracy (more) against array area (less): ~fitted",
        "front 2, accuracy (more) against energy (less): int4, int8, ~fitted",
        f"{said}: int8's 1.00 over int4, fitted's 1.00 over int8",
        "~ follows from a cost that is fitted, not measured, within 12 % for nine of ten formats that were held out",
        "wide: left out, weights: 64 KiB do not hold them",
    ]


def test_comparison_without_labels_is_of_the_output() -> None:
    rows = [_row(name, accuracy=None, agreement=0.75, output_sqnr_db=12.34 + len(name)) for name in ("int4", "int16")]
    (table,) = comparison.comparison_tables(rows, fronts(rows)).values()
    assert ["int16", "75.00", "17.3", "185.6", "12,300", "20.0", "1", "2"] in map(str.split, _text(table).splitlines())
    assert list(comparison.comparison_lines(rows, fronts(rows))) == [
        "front 1, output SQNR (more) against array area (less): int16",
        "front 2, output SQNR (more) against energy (less): int16",
    ]


def test_comparison_of_nothing_that_can_be() -> None:
    rows = [_row("wide", **dict.fromkeys(KEYS), refused="too wide")]
    assert comparison.comparison_tables(rows, []) == {}
    assert "wide: left out, too wide" in comparison.comparison_lines(rows, [])


def test_comparison_tables_of_details_and_ecp5() -> None:
    figures = {
        "energy_units_nj": 4.5,
        "energy_dram_nj": 2.5,
        "cycles": 1203,
        "lut_with_dsp": 497,
        "dsp": 16,
        "lut": 917,
    }
    tables = comparison.comparison_tables([_row("int4", **figures)], [], details=True, ecp5=True)
    assert list(tables) == ["", "one unit on ECP5", "an inference: cycles, energy by component, traffic"]
    _, counts, details = (_text(table).splitlines()[-1].split() for table in tables.values())
    assert counts == ["int4", "917", "497", "16"]
    assert details == ["int4", "1,203", "4.5", "2.5", "20.0"]


def test_comparison_tables_where_more_varies() -> None:
    places = (("a", "asap7"), ("b", "asap7"), ("a", "ecp5"))
    rows = [_row("int4", accelerator=accelerator, technology=technology) for accelerator, technology in places]
    rows[2] |= {"unit_area_um2": None, "array_area_mm2": None, "lut": 917, "dsp": 0}
    tables = comparison.comparison_tables(rows, [])
    assert list(tables) == ["", "one unit", "one unit on an FPGA"]
    lines = [[line.split() for line in _text(table).splitlines()[-3:]] for table in tables.values()]
    assert lines[0][0] == ["int4", "a", "asap7", "97.00", "12,300", "20.0"]
    assert lines[0][2] == ["int4", "a", "ecp5", "97.00", "20.0"]
    assert lines[1][1:] == [["int4", "asap7", "185.6"], ["int4", "ecp5"]]
    assert lines[2][-1] == ["int4", "917", "0"]


def test_comparison_lines_say_what_nobody_has_measured() -> None:
    rows = [_row("int4", accelerator=name, cost_source=None) for name in "ab"]
    lines = list(comparison.comparison_lines(rows, []))
    assert lines == ["int4_l16 was never measured in asap7: run without --no-measure"]


def test_comparison_plot_draws_points_and_fronts(tmp_path: Path) -> None:
    file = comparison_plot(ROWS, tmp_path / "plot.svg", "digits; asap7")
    text = file.read_text(encoding="utf-8")
    for name in ("int4", "int8", "worse", "fitted"):
        assert text.count(f">{name}<") == 2
    assert ">wide<" not in text
    assert "accuracy, %" in text
    assert "one is 0.28" in text
    assert "energy, nJ" in text
    assert comparison_plot(ROWS[-1:], tmp_path / "none.png", "nothing").stat().st_size > 1000


def test_comparison_plot_has_a_front_a_technology(tmp_path: Path) -> None:
    rows = [_row(name, technology=technology) for technology in ("asap7", "nangate45") for name in ("int4", "int8")]
    text = comparison_plot(rows, tmp_path / "plot.svg", "digits").read_text(encoding="utf-8")
    assert text.count(">digits, asap7<") == text.count(">digits, nangate45<") == 2
    alone = comparison_plot(rows[:2], tmp_path / "alone.svg", "digits").read_text(encoding="utf-8")
    assert ">digits, asap7<" not in alone
