# SPDX-License-Identifier: Apache-2.0
"""Drawings are small, well-formed, and show every value."""

import re
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from hwsim.formats.catalog import entries
from hwsim.report.formats.drawing import drawing
from hwsim.report.formats.facts import all_values, facts

_SVG = "{http://www.w3.org/2000/svg}"


def test_drawing_of_every_format_is_small_and_well_formed() -> None:
    compared = 0
    for entry in entries():
        text = drawing(facts(entry.spec))
        assert len(text.encode()) < 25_000, entry.name
        tree = ET.fromstring(text)
        assert tree.findtext(f"{_SVG}title") == entry.name
        width, height = float(tree.attrib["width"]), float(tree.attrib["height"])
        for path in tree.iter(f"{_SVG}path"):
            for x, y in re.findall(r"M(-?[\d.]+) (-?[\d.]+)", path.attrib["d"]):
                assert 0 <= float(x) <= width, entry.name
                assert 0 <= float(y) <= height, entry.name
        compared += 1
    assert compared == len(entries())


@pytest.mark.parametrize("name", ["float4_e2m1fn", "float6_e3m2fn", "int8", "float8_e3m4"])
def test_drawing_has_a_tick_for_each_value(name: str) -> None:
    paths = [path.attrib["d"] for path in ET.fromstring(drawing(facts(name))).iter(f"{_SVG}path")]
    places = [float(x) for x in re.findall(r"M([\d.]+) ", paths[1])]
    values = all_values(facts(name).entry.spec)
    values = np.unique(values[np.isfinite(values)])
    wanted = 56 + (values - values[0]) / (values[-1] - values[0]) * (720 - 44 - 12 - 24)
    assert places == sorted({round(x, 1) for x in wanted.tolist()})
    assert len(places) > 10


def test_drawing_has_a_bar_for_each_binade() -> None:
    text = drawing(facts("float8_e4m3fn"))
    bars = next(p.attrib["d"] for p in ET.fromstring(text).iter(f"{_SVG}path") if "fill" in p.attrib)
    assert bars.count("z") == len(facts("float8_e4m3fn").binades) == 18
    wide = drawing(facts("float64"))
    bars = next(p.attrib["d"] for p in ET.fromstring(wide).iter(f"{_SVG}path") if "fill" in p.attrib)
    assert bars.count("z") == 53  # 52 binades of subnormals, each with its own count, and all normal ones


def test_drawing_is_deterministic() -> None:
    assert drawing(facts("float8_e5m2")) == drawing(facts("float8_e5m2"))
