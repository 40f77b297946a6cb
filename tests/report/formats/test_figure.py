# SPDX-License-Identifier: Apache-2.0
"""The figure's data beside numpy's spacing, and its files."""

from pathlib import Path

import numpy as np
import pytest

from hwsim.report.formats.facts import facts
from hwsim.report.formats.figure import relative_gaps, spacing_plot


def test_figure_gaps_are_the_spacing_of_float16() -> None:
    magnitudes, gaps = relative_gaps(facts("float16"))
    values = magnitudes.astype(np.float16)
    assert np.array_equal(gaps, np.spacing(values).astype(np.float64) / magnitudes)
    assert len(gaps) == 31 * 1024 - 2  # all positive finite values but the largest, which has no next one


@pytest.mark.parametrize("name", ["float32", "float64"])
def test_figure_gaps_of_wide_formats(name: str) -> None:
    magnitudes, gaps = relative_gaps(facts(name))
    values = magnitudes.astype(name)
    inside = np.abs(values) < np.finfo(name).max
    wanted = np.spacing(values[inside]).astype(np.float64) / magnitudes[inside]
    assert np.array_equal(gaps[inside], wanted)
    assert len(gaps) > 500


@pytest.mark.parametrize("ending", ["svg", "png", "pdf"])
def test_figure_files(ending: str, tmp_path: Path) -> None:
    abouts = [facts(name) for name in ("float8_e4m3fn", "int8", "float32", "mxfp4")]
    file = spacing_plot(abouts, tmp_path / f"a.{ending}")
    head = file.read_bytes()[:8]
    assert head.startswith({"svg": b"<?xml", "png": b"\x89PNG", "pdf": b"%PDF"}[ending])
    if ending == "svg":
        text = file.read_text()
        assert "float8_e4m3fn" in text
        assert text == spacing_plot(abouts, file).read_text()


def test_figure_path_wrong(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must end in \.png, \.svg or \.pdf"):
        spacing_plot([facts("int8")], tmp_path / "a.txt")
    with pytest.raises(FileNotFoundError, match="no folder"):
        spacing_plot([facts("int8")], tmp_path / "none" / "a.png")
