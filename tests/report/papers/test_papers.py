# SPDX-License-Identifier: Apache-2.0
"""The page of the papers' claims is that of today's data, and its figures are what they say."""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hwsim.report.papers import Claim, page, read_papers
from hwsim.report.papers.beside import beside, recorded_sources
from hwsim.report.papers.catalog import shipped
from hwsim.report.papers.claims import CLAIMS, agrees, figures_text
from hwsim.report.papers.measures import MEASURES, Sources
from hwsim.report.papers.recorded import Recorded
from hwsim.report.papers.studied import Studied
from hwsim.report.papers.study_tables import study_tables

CLAIM = next(claim for paper in read_papers().papers for claim in paper.claims)


@pytest.fixture(scope="module")
def sources() -> Sources:
    """Return what benchmarks recorded."""
    return recorded_sources()


def _claim(value: tuple[float, ...] | str, rule: Mapping[str, Any]) -> Claim:
    return replace(CLAIM, value=value, agrees=rule, digits=2, unit="")


def test_page_is_checked_in(root: Path) -> None:
    again = "run `python -m hwsim.report.papers docs/papers_beside.md`"
    assert (root / "docs" / "papers_beside.md").read_text(encoding="utf-8") == page(), again


def test_study_tables_are_checked_in(root: Path, sources: Sources) -> None:
    text = (root / "docs" / "seed_comparison.md").read_text(encoding="utf-8")
    for name, table in study_tables(sources.study).items():
        assert table in text, f"the table {name} of docs/seed_comparison.md is not that of the recorded study"
    assert f"{sources.study.seconds:.0f} s" in text


def test_every_measure_is_used() -> None:
    used = {ours.measure for paper in read_papers().papers for claim in paper.claims for ours in claim.ours}
    assert used == set(MEASURES)


def test_exact_claims_are_reproduced(sources: Sources) -> None:
    """Closed forms, exact sums and digits give what the papers print, to the last digit."""
    rows = beside(read_papers(), sources, measures=("crossings", "overshoot", "ent_digits", "booth_share"))
    found = {(row.claim.says, row.label): row for row in rows}
    assert len(found) == len(rows) == 7
    for (_, label), row in found.items():
        assert row.agrees == (label != "integrals, real scales")
    booth = next(row for row in rows if "Booth" in row.claim.says)
    assert booth.values == (100 * 175 / 256,)


def test_figures_are_of_the_catalog() -> None:
    first, second = (shipped(f"{name}_l16_float32", "asap7", 3, "area_um2") for name in ("mxint8", "mxfp8_e4m3"))
    (found,) = MEASURES["catalog_ratio"](
        Sources(Recorded({}), Studied.read()),
        unit="mxint8_l16_float32", of="mxfp8_e4m3_l16_float32", pipeline=3, figure="area_um2",
    ).values  # fmt: skip
    assert found == first / second
    with pytest.raises(LookupError, match=r"^the package has no cost of int8_l3_int32 in asap7 with 9 ranks$"):
        shipped("int8_l3", "asap7", 9, "area_um2")
    with pytest.raises(LookupError, match=r"^lut of int8_l1_int32 in asap7 is not known$"):
        shipped("int8", "asap7", 2, "lut")


@pytest.mark.parametrize(
    ("value", "rule", "ours", "expected"),
    [
        ((0.8,), {"within": 0.1}, (0.87,), True),
        ((0.8,), {"within": 0.1}, (0.71,), False),
        ((1.0, 2.0), {"within": 0.1}, (1.05, 2.5), False),
        ((1.75, 2.1), {"digits": 2}, (1.7511, 2.0951), True),
        ((1.75,), {"digits": 2}, (1.756,), False),
        ("more", {"above": 0}, (0.1, -0.1), False),
        ("more", {"mostly_above": 0}, (0.1, 0.2, -0.1), True),
        ("more", {"mostly_above": 0}, (0.1, -0.2), False),
        ((1.2, 2.8), {"between": [1.2, 2.8]}, (1.2, 2.7), True),
        ((1.2, 2.8), {"between": [1.2, 2.8]}, (1.1, 2.7), False),
    ],
)
def test_agrees(
    value: tuple[float, ...] | str, rule: Mapping[str, Any], ours: tuple[float, ...], expected: bool
) -> None:
    assert agrees(_claim(value, rule), ours) is expected


def test_figures_text() -> None:
    assert figures_text(replace(CLAIM, unit="dB", digits=1), (1.25, -3.0)) == "1.2, -3.0 dB"
    assert figures_text(CLAIM, "above 0") == "above 0"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('known = "printed"', 'known = "rumour"', "known must be one of printed, read off, worked out, not 'rumour'"),
        ("agrees = {within = 0.1}", "agrees = {near = 0.1}", "agrees must be one of within, above, "),
        ('where = "table 5"', 'were = "table 5"\nwhere = ""', "unknown key 'were'"),
    ],
)
def test_claims_wrong(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = CLAIMS.read_text(encoding="utf-8")
    file = tmp_path / "claims.toml"
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        read_papers(file)


def test_recorded_round_trip(tmp_path: Path) -> None:
    lines: list[dict[str, Any]] = [
        {"section": "one", "unit": "a", "ratios": [1.0, 0.5]},
        {"section": "one", "unit": "b", "ratios": None},
    ]
    held = Recorded({}).with_lines(lines, command="python -m x", date="2026-11-22", conditions="none")
    held = held.with_lines([{"section": "two", "area": 1.5}], command="python -m y", date="2026-11-23", conditions="")
    held.write(tmp_path / "lines.json")
    assert Recorded.read(tmp_path / "lines.json") == held
    assert held.line(section="one", unit="a")["ratios"] == [1.0, 0.5]
    assert held.how("two") == "`python -m y`, 2026-11-23"
    assert Recorded.read(tmp_path / "nothing.json") == Recorded({})
    with pytest.raises(LookupError, match=r"^section 'three' was not recorded: "):
        held.line(section="three")
    with pytest.raises(LookupError, match=r"^section 'one' has 2 lines of \{\}, not one$"):
        held.line(section="one")


def test_studied_round_trip(tmp_path: Path, sources: Sources) -> None:
    sources.study.write(tmp_path / "study.json")
    assert Studied.read(tmp_path / "study.json") == sources.study
    with pytest.raises(LookupError, match=r"^the study has no figures of int99 on digits$"):
        sources.study.row("digits", "int99")


def test_page_usage() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hwsim.report.papers"], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert done.stderr == "usage: python -m hwsim.report.papers FILE.md\n"
