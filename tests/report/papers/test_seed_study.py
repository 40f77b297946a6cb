# SPDX-License-Identifier: Apache-2.0
"""The study of the papers' formats: what it has, that its costs come with the package, that it runs."""

from pathlib import Path
from typing import Any

import pytest

from hwsim import accelerator, data
from hwsim.report.papers.catalog import shipped
from hwsim.report.papers.studied import KEPT, WIDTHS, Studied
from hwsim.study import case, digits, evaluate
from hwsim.sweeps.study_file import Study, read_study


@pytest.fixture(scope="module")
def study(root: Path) -> Study:
    """Return the study as it is shipped."""
    return read_study(root / "examples" / "seed_comparison.toml")


def test_seed_study_has_the_papers_formats(study: Study) -> None:
    assert study.absent == ("resnet8",)
    formats = {point.format for point in study.points()}
    assert {"mxfp8_e4m3", "mxint8", "mxfp6_e2m3", "mxint6", "mxfp4", "mxint4", "nvfp4", "nvint4"} <= formats
    assert {f"int{bits}" for bits in range(3, 9)} | {name for names in WIDTHS.values() for name in names} <= formats
    assert len(study.points()) == 42


def test_seed_study_with_its_optional_network(root: Path, tmp_path: Path) -> None:
    file = tmp_path / "any.onnx"
    file.touch()
    whole = read_study(root / "examples" / "seed_comparison.toml", {"resnet8": file})
    assert whole.absent == ()
    assert len(whole.points()) == 84
    assert (whole.networks["resnet8"].inputs, whole.networks["resnet8"].from_quantized) == ((0.0, 255.0), True)


def test_seed_study_costs_come_with_the_package(study: Study) -> None:
    for point in study.points():
        assert shipped(point.unit, "asap7", accelerator.read(point.accelerator).pipeline, "area_um2") > 0


def test_seed_study_is_recorded(study: Study) -> None:
    recorded = Studied.read()
    assert recorded.networks == ("digits", "resnet8")
    for network in recorded.networks:
        assert {row["unit"] for row in recorded.rows if row["network"] == network} == {
            point.unit for point in study.points()
        }


def test_optional_network_that_all_points_need(tmp_path: Path) -> None:
    file = tmp_path / "study.toml"
    file.write_text('[networks.mine]\noptional = true\n[parameters]\nformat = "int8"\nnetwork = "mine"\n', "utf-8")
    with pytest.raises(
        ValueError, match=r"study\.toml: no network is there: give one with --network mine=MODEL\.onnx$"
    ):
        read_study(file)


@pytest.mark.parametrize("inputs", ["[1]", "[5, 5]", "[2, 1]", '["a", 2]', "[0, inf]"])
def test_random_inputs_wrong(tmp_path: Path, inputs: str) -> None:
    (tmp_path / "any.onnx").touch()
    text = f'[networks.mine]\nmodel = "any.onnx"\ninputs = {inputs}\n[parameters]\nformat = "int8"\n'
    (tmp_path / "study.toml").write_text(text, "utf-8")
    with pytest.raises((TypeError, ValueError), match=r"networks\.mine\.inputs must be two (rising )?numbers, not \["):
        read_study(tmp_path / "study.toml")


def test_random_inputs_are_drawn_evenly() -> None:
    made = case("even", data.digits_model_path(quantized=False), (10, 20), images=50)
    (values,) = made.inputs.values()
    assert len(values) == 50
    assert 10 <= values.min() < 10.1
    assert 19.9 < values.max() <= 20
    assert made.what == "50 random images (seed 2026), evenly from 10 to 20"
    with pytest.raises(ValueError, match=r"^inputs must be two rising numbers, not \(2, 1\)$"):
        case("uneven", data.digits_model_path(quantized=False), (2, 1))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mxint8", "nvfp4", "float8_e5m2_float16"])
def test_seed_study_recorded_figures_are_todays(study: Study, name: str) -> None:
    point = next(point for point in study.points() if point.format == name)
    today: dict[str, Any] = dict(Studied.of([evaluate(point, digits())], **_ABOUT).rows[0])
    kept = next(row for row in Studied.read().rows if (row["network"], row["unit"]) == ("digits", point.unit))
    for key in ("refused", *KEPT):
        assert today[key] == kept[key], key


_ABOUT: dict[str, Any] = {"date": "", "version": "", "conditions": (), "machine": "", "seconds": 0}
