# SPDX-License-Identifier: Apache-2.0
"""The block diagram of a unit as SVG and as a picture."""

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from hwsim.datapath import DotProductUnit, hardware, named
from hwsim.report.units.drawing import COLOURS, datapath_svg
from hwsim.report.units.figure import stages_figure
from hwsim.report.units.layout import laid_out
from hwsim.report.units.stages import stages

PROMOTED = "hopper_mma_m16n8k32_f32_e4m3_e4m3"
UNITS = (
    "int8",
    "int4_by_int8_l8",
    "float8_e4m3fn",
    "mxfp4_l16",
    "nvfp4_l16",
    "hopper_e4m3_e4m3_float32",
    "posit16_1_quire",
    "float16_l4_float32",
    "nf4_l4_float32",
    PROMOTED,
)
SVG = "{http://www.w3.org/2000/svg}"


def _unit(name: str) -> DotProductUnit:
    return hardware.entry(name).unit if name == PROMOTED else named(name)


def _text(svg: str) -> str:
    lines = (element.text or "" for element in ET.fromstring(svg).iter(f"{SVG}text"))
    return re.sub(r"\s+", " ", " ".join(lines))


@pytest.mark.parametrize("width", [320, 680])
@pytest.mark.parametrize("name", UNITS)
def test_drawing_says_what_the_stages_say(name: str, width: int) -> None:
    unit = _unit(name)
    svg = datapath_svg(unit, name=name, width=width)
    text, found = _text(svg), stages(unit)
    assert len(found) >= 5
    for stage in found:
        for said in (stage.name, stage.out, stage.loss or "exact", *stage.does):
            assert re.sub(r"\s+", " ", said) in text, (stage.name, said)
    assert len(svg.encode()) < 12_000
    root = ET.fromstring(svg)
    assert (root.get("role"), root[0].text) == ("img", f"Datapath of {name}")
    assert not any(element.get("id") for element in root.iter())
    assert svg == datapath_svg(_unit(name), name=name, width=width)


@pytest.mark.slow
def test_drawing_of_every_unit_of_the_catalog() -> None:
    for entry in hardware.entries():
        svg = datapath_svg(entry.unit, name=entry.name)
        text = _text(svg)
        assert all(stage.out in text for stage in stages(entry.unit)), entry.name
        assert len(svg.encode()) < 12_000, entry.name


def test_drawing_loses_where_the_unit_loses() -> None:
    losses = {name: {stage.name: stage.loss for stage in stages(_unit(name))} for name in UNITS}
    assert losses["int8"] == dict.fromkeys(("decode", "multiply", "align_add", "round_pack"), "") | {
        "accumulate": "wraps"
    }
    assert losses["hopper_e4m3_e4m3_float32"]["align_add"] == "cuts"  # toward zero, as Hopper's tensor cores
    assert losses["mxfp4_l16"] | {"accumulate": ""} == dict.fromkeys(losses["mxfp4_l16"], "")
    assert losses["mxfp4_l16"]["accumulate"] == "rounds"
    assert losses["posit16_1_quire"]["round_pack"] == "rounds"
    assert losses["posit16_1_quire"]["accumulate"] == "wraps"


def test_drawing_has_each_register_and_its_way_back() -> None:
    for name, ways in (("int8", 1), (PROMOTED, 2)):
        kinds = [shape.kind for shape in laid_out(_unit(name), name, 680).shapes]
        assert kinds.count("loop") == kinds.count("loop_head") == ways
        assert kinds.count("restart") == ways - 1
    drawing = laid_out(_unit("hopper_e4m3_e4m3_float32"), "", 680)  # where the register is one of those aligned
    ends = [shape.points[-1][1] for shape in drawing.shapes if shape.kind == "loop"]
    tops = {text.text: text.y for text in drawing.texts}
    assert ends[0] < tops["align_add"] < tops["accumulate"]


def test_drawing_has_a_box_a_lane_and_a_port_an_operand() -> None:
    for name, boxes, ports in (("int8", 4, 4), ("mxfp4_l2_float32", 4 + 2, 5), ("mxfp4_l16", 4 + 2 * 3, 5)):
        kinds = [shape.kind for shape in laid_out(_unit(name), name, 680).shapes]
        assert (kinds.count("logic"), kinds.count("port")) == (boxes, ports), name


def test_drawing_takes_its_colours_from_the_page() -> None:
    svg = datapath_svg(_unit(PROMOTED))
    for name in COLOURS:
        assert f"var(--hw-{name}, {COLOURS[name]})" in svg
    assert "<style" not in svg
    assert "prefers-color-scheme" in datapath_svg(_unit(PROMOTED), alone=True)


def test_drawing_files(tmp_path: Path) -> None:
    unit = named("int4_by_int8_l8")
    svg = stages_figure("<int4 & int8>", unit, tmp_path / "unit.svg").read_text()
    assert ET.fromstring(svg)[0].text == "Datapath of <int4 & int8>"
    assert stages_figure("unit", unit, tmp_path / "unit.png").read_bytes().startswith(b"\x89PNG")
    first = stages_figure("unit", unit, tmp_path / "unit.pdf").read_bytes()
    assert first == stages_figure("unit", unit, tmp_path / "unit.pdf").read_bytes()
    assert first.startswith(b"%PDF")


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"width": 100}, ValueError, "width must be in 320..2000, not 100"),
        ({"width": 400.0}, TypeError, "width must be an int, not 400.0"),
    ],
)
def test_datapath_svg_width_wrong(options: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(text)}$"):
        datapath_svg(named("int8"), **options)


def test_datapath_svg_unit_wrong() -> None:
    unit: Any = "int8"
    with pytest.raises(TypeError, match=r"^unit must be a DotProductUnit, not 'int8'$"):
        datapath_svg(unit)
