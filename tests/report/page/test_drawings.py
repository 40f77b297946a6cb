# SPDX-License-Identifier: Apache-2.0
"""Block diagrams in a browser: text stays in the drawing, names in their shapes, and no line covers another."""

from typing import Any

import pytest

from hwsim.datapath import hardware, named
from hwsim.report.units.drawing import datapath_svg

UNITS = (
    "int8",
    "int4_by_int8_l8",
    "float8_e4m3fn",
    "mxfp4_l16",
    "nvfp4_l16",
    "hopper_e4m3_e4m3_float32",
    "posit16_1_quire",
    "posit16_1_l4_quire",
    "hopper_mma_m16n8k32_f32_e4m3_e4m3",
    "cdna3_v_mfma_f32_16x16x16_f16",
)
_FAULTS = """() => {
  const svg = document.querySelector('svg'), faults = [];
  const view = svg.viewBox.baseVal;
  const texts = [...svg.querySelectorAll('text')].map(each => ({said: each.textContent, box: each.getBBox(), each}));
  const shapes = [...svg.querySelectorAll('path')].map(each => each.getBBox());
  const inside = (a, b) => a.x >= b.x - 1 && a.y >= b.y - 1 && a.x + a.width <= b.x + b.width + 1
    && a.y + a.height <= b.y + b.height + 3;
  for (const {said, box, each} of texts) {
    if (!inside(box, view)) faults.push(`outside: ${said}`);
    const centred = each.getAttribute('text-anchor');
    if (centred && !shapes.some(shape => inside(box, shape))) faults.push(`in no shape: ${said}`);
  }
  texts.forEach((one, at) => texts.slice(at + 1).forEach(other => {
    const a = one.box, b = other.box;
    const wide = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x);
    const high = Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y);
    if (wide > 1 && high > 4) faults.push(`over each other: ${one.said} / ${other.said}`);
  }));
  return {faults, texts: texts.length};
}"""


def _unit(name: str) -> Any:
    known = {entry.name: entry.unit for entry in hardware.entries()}
    return known[name] if name in known else named(name)


@pytest.mark.parametrize("width", [320, 680])
def test_drawings_text_has_room(browser: Any, width: int) -> None:
    page = browser.new_page(viewport={"width": width + 20, "height": 600})
    for name in UNITS:
        page.set_content(f"<body>{datapath_svg(_unit(name), name=name, width=width)}</body>")
        found = page.evaluate(_FAULTS)
        assert found["faults"] == [], name
        assert found["texts"] > 15
    page.close()
