# SPDX-License-Identifier: Apache-2.0
"""What notebooks show: well-formed, escaped, and the figures that the objects have."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

import cost_models
import hwsim
from hwsim import data
from hwsim.network import Network
from hwsim.report.notebook import reprs
from hwsim.report.notebook.graph import DRAWN_LAYERS, network_svg
from hwsim.report.notebook.html import facts, number, table
from hwsim.report.units.stages import stages
from hwsim.result import SimulationResult
from hwsim.study import Comparison

SVG = "{http://www.w3.org/2000/svg}"
EVIL = "<script>alert('&')</script>"


@pytest.fixture(scope="module")
def network() -> Network:
    return hwsim.network.read(data.digits_model_path(quantized=True))


def _parsed(html: str) -> ET.Element:
    assert "<script" not in html
    return ET.fromstring(html)


def _cells(html: str) -> list[list[str]]:
    """Return the texts of all rows of all tables."""
    return [["".join(cell.itertext()) for cell in row] for row in _parsed(html).iter("tr")]


def _facts(html: str) -> dict[str, str]:
    return {row[0]: row[1] for row in _cells(html) if len(row) == 2}


def test_html_escapes_and_aligns() -> None:
    html = table((EVIL, "n"), [(EVIL, 1), (None, 2.5), (True, None)], EVIL)
    rows = _cells(html)
    assert rows == [[EVIL, "n"], [EVIL, "1"], ["", "2.5"], ["yes", ""]]
    first, second = next(iter(_parsed(html).iter("tbody")))[0]
    assert "right" not in first.attrib["style"]
    assert "right" in second.attrib["style"]
    assert _facts(f"<div>{facts({EVIL: EVIL, 'none': None, 'empty': '', 'zero': 0})}</div>") == {
        EVIL: EVIL,
        "zero": "0",
    }


@pytest.mark.parametrize(
    ("value", "said"),
    [(0, "0"), (1234567, "1,234,567"), (0.123456, "0.1235"), (12345.6, "12,346"), (999.96, "1,000"), (-0.5, "-0.5")],
)
def test_html_numbers(value: float, said: str) -> None:
    assert number(value) == said


@pytest.mark.parametrize("name", ["int8", "mxfp4_l16", "hopper_e4m3_e4m3_float32"])
def test_unit_html(name: str) -> None:
    unit = hwsim.datapath.named(name)
    html = reprs.unit_html(unit)
    assert _facts(html)["products a step"] == str(unit.lanes)
    (svg,) = _parsed(html).iter(f"{SVG}svg")
    assert {stage.name for stage in stages(unit)} <= {text.text for text in svg.iter(f"{SVG}text")}


@pytest.mark.parametrize(
    ("name", "largest"),
    [
        ("int8", "127"),
        ("float8_e4m3fn", "448"),
        ("posit8_1", "4,096"),
        ("nf4", "1"),
        ("mxfp4", None),
        ("fixed12_8", None),
    ],
)
def test_format_html(name: str, largest: str | None) -> None:
    fmt = hwsim.formats.named(name)
    html = reprs.format_html(fmt)
    found = _facts(html)
    assert found["bits"] == str(fmt.bits)
    assert largest is None or found["largest"] == largest
    svg = next(_parsed(html).iter(f"{SVG}svg"))
    assert "currentColor" in svg.attrib["fill"]
    assert "#ffffff" not in html


def test_cost_html_measured_and_fitted() -> None:
    cost = next(cost for cost in cost_models.catalog("asap7") if cost.area_by_stage)
    rows = _cells(reprs.cost_html(cost))
    assert ["area, um2", number(cost.area_um2 or 0)] in rows
    for stage, area in cost.area_by_stage.items():
        assert [stage, number(area)] in [row[:2] for row in rows]
    fitted = replace(cost, errors={"area_um2": 0.123})
    assert "(fitted, not measured)" in reprs.cost_html(fitted)
    assert _facts(reprs.cost_html(fitted))["area_um2: error of a fitted figure"] == "12.3 %"
    assert EVIL in _facts(reprs.cost_html(replace(cost, source=EVIL))).values()


def test_network_html(network: Network) -> None:
    html = reprs.network_html(network)
    rows = {row[0]: row[1:] for row in _cells(html)}
    assert rows["conv1"] == ["Conv", "4,608", "80", "1x8x8x8 int8"]
    assert "153,344 MACs" in html
    (svg,) = _parsed(html).iter(f"{SVG}svg")
    assert len(list(svg.iter(f"{SVG}rect"))) == len(network.layers)
    assert len(list(svg.iter(f"{SVG}path"))) == len(network.graph.edges)
    assert EVIL in "".join(_parsed(reprs.network_html(replace(network, name=EVIL))).itertext())


def test_network_svg_size_wrong(network: Network) -> None:
    long = replace(network, layers=network.layers * 40)
    text = f"^a network to draw has at most {DRAWN_LAYERS} layers, not {len(long.layers)}$"
    with pytest.raises(ValueError, match=text):
        network_svg(long)
    assert "are too many to draw" in reprs.network_html(long)


def test_accelerator_html() -> None:
    found = _facts(reprs.accelerator_html(hwsim.accelerator.read("int8_16x16")))
    assert found["array"] == "16 x 16 units, output stationary"
    assert found["MACs a cycle, at most"] == "256"


def test_result_html(result: SimulationResult) -> None:
    rows = _cells(reprs.result_html(result))
    assert ["cycles", number(result.cycles)] in rows
    by_name = {row[0]: row for row in rows}
    for layer in result.layers:
        row = by_name[layer.name]
        assert row[3] == number(layer.cycles)
        assert layer.error is not None
        own = layer.error.own
        assert row[-1] == ("equal" if own.is_equal else number(own.sqnr_db or 0))
    assert any(row[-1] == "equal" for row in rows)


def test_evaluation_html(comparison: Comparison) -> None:
    found = _facts(reprs.evaluation_html(comparison[0]))
    assert found["unit"] == comparison[0].point.unit
    assert found["accuracy"] == "0.98"
    assert found["array.rows"] == "4"
    refused = reprs.evaluation_html(comparison[-1])
    assert "<b>4000" not in refused
    assert comparison[-1].refused in "".join(_parsed(refused).itertext())


def test_comparison_html_marks_the_front(comparison: Comparison) -> None:
    html = reprs.comparison_html(comparison)
    rows = _cells(html)
    head = rows[0]
    marks = {row[0]: row[head.index("best accuracy for its")] for row in rows[1:]}
    assert marks == {"int8": "energy", "float8_e4m3fn": "", "mxfp4": "energy", "int4": "", "mxint8": ""}
    assert {row[0]: row[head.index("LUT")] for row in rows[1:]}["int4"] == "103"
    assert comparison[-1].refused in "".join(_parsed(html).itertext())


def test_comparison_html_of_many_designs(comparison: Comparison) -> None:
    many = replace(comparison, evaluations=comparison[:5] * 50, beside=comparison.beside[:5] * 50)
    html = reprs.comparison_html(many)
    assert len(_cells(html)) == 1 + 200
    assert "250 designs" in html
    assert "and 50 more, all in `table()`" in html
    refused = replace(comparison, evaluations=comparison[-1:] * 25, beside=comparison.beside[-1:] * 25)
    assert "and 5 more are refused" in reprs.comparison_html(refused)


def _shell(tmp_path: Path, code: str) -> str:
    """Run code in an IPython shell of a process of its own, which has not imported hwsim."""
    start = (
        "import warnings; warnings.simplefilter('error')\n"
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "shell = InteractiveShell.instance()\n"
        "import sys; assert not any(name.startswith('hwsim') for name in sys.modules)\n"
        "shown = lambda what: shell.display_formatter.format(what)[0]\n"
    )
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "IPYTHONDIR": str(tmp_path),
        "HOME": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-c", start + code], capture_output=True, text=True, check=False, timeout=300, env=environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_in_ipython_registers(tmp_path: Path) -> None:
    out = _shell(
        tmp_path,
        "import hwsim\n"
        "assert not {'plotly', 'numba', 'onnx', 'hwsim.datapath'} & set(sys.modules)\n"
        "unit = shown(hwsim.datapath.named('int4_by_int8_l8'))\n"
        "net = shown(hwsim.network.read(__import__('hwsim.data').data.digits_model_path(quantized=True)))\n"
        "print(sorted(unit), 'align_add' in unit['text/html'])\n"
        "print(net['text/plain'], 'conv1' in net['text/html'])\n"
        "print(sorted(shown(hwsim.formats.named('mxfp4'))), sorted(shown(hwsim.accelerator.read('int8_16x16'))))\n",
    )
    both = "['text/html', 'text/plain']"
    assert out.splitlines() == [f"{both} True", "Network digits: 9 layers, batch 1 True", f"{both} {both}"]


def test_load_ext_registers(tmp_path: Path) -> None:
    code = (
        "import IPython\n"
        "running = IPython.get_ipython; IPython.get_ipython = lambda: None\n"
        "import hwsim; IPython.get_ipython = running\n"
        "unit = hwsim.datapath.named('int8')\n"
        "print('text/html' in shown(unit))\n"
        "shell.run_line_magic('load_ext', 'hwsim')\n"
        "print('text/html' in shown(unit))\n"
    )
    assert _shell(tmp_path, code).split() == ["False", "True"]


def test_import_outside_ipython_imports_no_report() -> None:
    code = (
        "import sys, hwsim; sys.exit(' '.join({'hwsim.report', 'IPython', 'plotly', 'rich'} & set(sys.modules)) or 0)"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=100, env=environment
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_show_comparison_displays_table_and_figure(comparison: Comparison, monkeypatch: pytest.MonkeyPatch) -> None:
    import IPython.display

    seen: list[Any] = []
    monkeypatch.setattr(IPython.display, "display", seen.append)
    reprs.show_comparison(comparison)
    shown, figure = seen
    assert shown.data == reprs.comparison_html(comparison)
    assert figure.to_json() == comparison.figure().to_json()
    seen.clear()
    reprs.show_comparison(replace(comparison, evaluations=comparison[-1:], beside=comparison.beside[-1:]))
    assert len(seen) == 1
