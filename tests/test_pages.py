# SPDX-License-Identifier: Apache-2.0
"""What the pages of docs/ print runs and is printed; so do the examples in docstrings."""

import doctest
import importlib
import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("hwsim", "rtl", "cost_models", "testbenches")
QUICK = {"tensor_cores.md", "why_my_gpus_bits_differ.md"}  # the others simulate and synthesize


def _tested() -> list[Path]:
    """Return the pages that have a tested block."""
    mark = re.compile(r"^`{3,}\w+ tested$", re.MULTILINE)
    return [page for page in sorted(ROOT.glob("docs/**/*.md")) if mark.search(page.read_text(encoding="utf-8"))]


def _parameter(page: Path) -> object:
    marks = [] if page.name in QUICK else [pytest.mark.slow]
    return pytest.param(page, marks=marks, id=page.relative_to(ROOT / "docs").as_posix())


@pytest.mark.parametrize("page", [_parameter(page) for page in _tested()])
def test_page_runs(page: Path, pages: ModuleType, tmp_path: Path) -> None:
    scripts, folder = tmp_path / "bin", tmp_path / "reader"
    scripts.mkdir()
    folder.mkdir()
    ran, _ = pages.run_page(page, folder, pages.environment(scripts))
    assert ran >= 1


@pytest.mark.parametrize("page", ["explanation/tensor_cores.md", "how_to/why_my_gpus_bits_differ.md"])
def test_page_shows_a_recorded_output(root: Path, page: str) -> None:
    shown = (root / "docs" / page).read_text(encoding="utf-8")
    operands = "".join(re.findall(r'"([0-9a-f]{20,})"', shown))
    with np.load(root / "tests" / "datapath" / "hopper_h200.npz") as recorded:
        a, b, c, d = (recorded[f"wgmma_m64n8k32_f32_e4m3_e4m3_chain_{name}"] for name in "abcd")
    rows = [row for row in range(len(a)) if operands == a[row].tobytes().hex() + b[row].tobytes().hex()]
    assert len(rows) == 1
    assert {f"0x{int(codes[rows[0]]):08X}" for codes in (c, d)} <= set(re.findall(r"0x[0-9A-F]{8}", shown))


def _with_examples() -> list[str]:
    """Return the modules with an example in a docstring."""
    found = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py") if ">>> " in path.read_text()]
    return sorted(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in found)


@pytest.mark.parametrize("module", _with_examples())
def test_docstring_examples(module: str) -> None:
    result = doctest.testmod(importlib.import_module(module), optionflags=doctest.ELLIPSIS)
    assert result.failed == 0


@pytest.mark.parametrize(
    ("shown", "printed", "exact", "said"),
    [
        (["a 1.00", "b"], ["a 1.00  ", "b", ""], True, ""),
        (["a 1.00"], ["a 1.01"], True, "'a 1.00' is shown, 'a 1.01' was printed"),
        (["a 1,000 x"], ["a 1,010 x"], False, ""),
        (["a 1,000 x"], ["a 1,100 x"], False, "'a 1,000 x' is shown, 'a 1,100 x' was printed"),
        (["a", "...", "d"], ["a", "b", "c", "d"], True, ""),
        (["a", "..."], ["a", "b"], True, ""),
        (["a", "...", "e"], ["a", "b"], True, "'e' is shown, 'b' was printed"),
        (["a"], ["a", "b"], True, "'b' was printed, and is not shown"),
        (["a", "b"], ["a"], True, "'b' is shown, 'nothing' was printed"),
    ],
)
def test_page_output(pages: ModuleType, shown: list[str], printed: list[str], exact: bool, said: str) -> None:
    assert pages.unlike(shown, printed, exact=exact) == said


@pytest.mark.parametrize("info", ["sh tested output", "sh checked"])
def test_page_mark_wrong(pages: ModuleType, tmp_path: Path, info: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"```{info}\ntrue\n```\n")
    with pytest.raises(AssertionError, match=r"page\.md:1: (more than one|unknown) mark in"):
        pages.blocks(page)


def test_page_block_fails(pages: ModuleType, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```sh tested\necho said && false\n```\n")
    with pytest.raises(AssertionError, match="line 1\nsaid"):
        pages.run_page(page, tmp_path, pages.environment(tmp_path))
