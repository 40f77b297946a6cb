# SPDX-License-Identifier: Apache-2.0
"""The example notebooks run in a kernel, as a new user's would, and their cells show what they say."""

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

nbformat: Any = import_module("nbformat")  # half of its functions have types
NOTEBOOKS = Path(__file__).resolve().parents[1] / "examples" / "notebooks"
RUN = """
import sys
import nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], 4)
notebook.cells.append(nbformat.v4.new_code_cell(sys.argv[3], id="check"))
NotebookClient(notebook, timeout=300, kernel_name="python3", record_timing=False).execute()
nbformat.write(notebook, sys.argv[2])
"""
FIGURE = "application/vnd.plotly.v1+json"
COMPARED = """
assert [each.point.format for each in comparison] == formats
assert not any(each.refused for each in comparison)
assert all(each["accuracy"] > 0.9 and each["energy_nj"] > 0 for each in comparison)
beaten = [
    any(
        other["energy_nj"] <= each["energy_nj"] and other["accuracy"] >= each["accuracy"]
        and (other["energy_nj"], other["accuracy"]) != (each["energy_nj"], each["accuracy"])
        for other in comparison
    )
    for each in comparison
]
assert {each.key for each in front} == {each.key for each, is_beaten in zip(comparison, beaten) if not is_beaten}
assert frame["energy_nj"].tolist() == [each["energy_nj"] for each in comparison]
step = 2.0 ** np.floor(np.log2(np.abs(x).max())) / 4  # E2M1: the largest binade is that of 4
assert set(np.abs(quantized.dequantize() / step).ravel()) <= {0, 0.5, 1, 1.5, 2, 3, 4, 6}
"""
FOLLOWED = """
def largest(values):
    return np.abs(values - exact).max() / np.abs(exact).max()
assert 0 < largest(ours) < 2.0**-20 < 2.0**-14 < largest(theirs) < 2.0**-8
by_hand = np.zeros((16, 16), np.float32)
for step in range(0, 256, 4):  # float64 holds four products and a float32 here, so that this rounds once, too
    four = slice(step, step + 4)
    by_hand = (by_hand + fp8.decode(a)[:, four] @ fp8.decode(b)[four]).astype(np.float32)
assert np.array_equal(ours, by_hand)
assert cost.verified_vectors > 0 and cost.shipped and not cost.is_fitted
assert result.images == 90
accuracy = (result.outputs["output"].argmax(axis=1) == labels).mean()
assert accuracy == evaluations[0]["accuracy"] > 0.9
assert evaluations[1]["energy_nj"] is None
assert all(each.layers for each in evaluations)
last = [each["output_sqnr_db"] for each in evaluations]
assert abs(last[0] - last[1]) < 0.1 < 5 < last[1] - last[2]
"""


def _executed(name: str, check: str, tmp_path: Path) -> dict[str, list[Any]]:
    """Run a notebook, then a cell that checks its names; return the outputs' data by the cells' ids."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),  # no prices but those that the package has
        "IPYTHONDIR": str(tmp_path / "ipython"),
        "JUPYTER_RUNTIME_DIR": str(tmp_path / "runtime"),
    }
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(NOTEBOOKS / name), str(tmp_path / name), check],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    cells = nbformat.read(tmp_path / name, 4).cells
    outputs = {cell.id: cell.outputs for cell in cells if cell.cell_type == "code"}
    assert all(each.output_type in ("display_data", "execute_result") for found in outputs.values() for each in found)
    return {cell: [each.data for each in found] for cell, found in outputs.items()}


def test_notebook_formats_to_pareto(tmp_path: Path) -> None:
    shown = _executed("formats_to_pareto.ipynb", COMPARED, tmp_path)
    assert "<svg" in shown["format"][0]["text/html"]
    table, figure = shown["compare"]
    assert all(name in table["text/html"] for name in ("int8", "mxfp8_e4m3", "nvfp4", "best accuracy for its"))
    assert [trace["name"] for trace in figure[FIGURE]["data"]][:2] == ["Pareto front", "int8"]
    for cell in ("format-figure", "pareto-area", "energy"):
        assert shown[cell][0][FIGURE]["data"], cell


def test_notebook_follow_a_unit(tmp_path: Path) -> None:
    shown = _executed("follow_a_unit.ipynb", FOLLOWED, tmp_path)
    for cell in ("unit", "hopper"):
        assert "round_pack" in shown[cell][0]["text/html"]
    assert "cuts" in shown["hopper"][0]["text/html"]
    assert "booth" in shown["cost"][0]["text/html"] or "timing" in shown["cost"][0]["text/html"]
    assert "conv3" in shown["network"][0]["text/html"]
    assert "alone dB" in shown["simulate"][0]["text/html"]
    assert len(shown["layers"][0][FIGURE]["data"][0]["y"]) == 3
    for cell in ("stages", "roofline"):
        assert shown[cell][0][FIGURE]["data"], cell


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_notebook_is_clean(path: Path) -> None:
    """No outputs are committed: they are this version's on whatever machine, and the test makes them anew."""
    notebook = nbformat.read(path, 4)
    nbformat.validate(notebook)
    assert all(not cell.outputs and cell.execution_count is None for cell in notebook.cells if "outputs" in cell)
    assert all(cell.id for cell in notebook.cells)
    assert path.stem in Path(__file__).read_text()
