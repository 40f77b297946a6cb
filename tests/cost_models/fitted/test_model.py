# SPDX-License-Identifier: Apache-2.0
"""Predictions, their errors, and what is refused."""

import pytest

from cost_models.fitted import Errors, Model, NotFittedError, Row, features, fit
from cost_models.fitted.model import Fit
from cost_models.fitted.regression import Regression
from hwsim import datapath


@pytest.fixture(scope="module")
def model(rows: list[Row]) -> Model:
    """Return the fit of the made-up rows."""
    return fit(rows)


def test_model_predicts_what_was_not_measured(model: Model) -> None:
    unit = datapath.named("int6_int28")
    own = features(unit, 2)
    area = 0.3 * own["registers.flip_flops"] + 0.5 * own["multiply.ands"] + 0.2 * own["align_add.muxes"] + 4.0
    prediction = model.predict(unit, 2)
    assert prediction.seen
    assert prediction["area_um2"] == pytest.approx(area, rel=1e-6)
    assert prediction["fmax_mhz"] == pytest.approx(1e5 / area, rel=0.02)
    assert set(prediction.errors) == {"area_um2", "energy_pj", "fmax_mhz"}
    assert prediction.errors["area_um2"] < 1e-6


def test_model_contributions_sum_to_the_value(model: Model) -> None:
    for name, each in model.predict(datapath.named("minifloat_e3m2_float32"), 2).estimates.items():
        total = sum(each.contributions.values()) * each.correction
        assert each.value == pytest.approx(1 / total if name == "fmax_mhz" else total, rel=1e-12)


def test_model_a_kind_that_was_not_measured(model: Model) -> None:
    prediction = model.predict(datapath.named("int6_by_minifloat_e3m2_float32"), 2)
    assert not prediction.seen
    assert prediction.kind == "float x integer, float"


def test_model_errors_of_a_kind_that_was_not_held_out() -> None:
    own, other, far = Errors(0.01, 0.02), Errors(0.03, 0.04), Errors(0.02, 0.5)
    made = Fit(regression=Regression(weights={}, factor={}), errors={"a": own, "all": other, "unseen": far})
    assert made.error("a") == own
    assert made.error("b") == Errors(0.03, 0.5)


@pytest.mark.parametrize(
    ("name", "pipeline", "message"),
    [
        (
            "posit8_0",
            2,
            r"must not be extrapolated: posit8_0_l1_fixed49_to_float32 has 48 of decode\.posit, .* up to 0",
        ),
        ("int16", 2, r"must not be extrapolated: int16_l1_int44 has .* and measured units up to"),
        ("hopper_e4m3_e4m3_float32", 2, "is for units with exact alignment and plain operands"),
        ("int8", 3, r"of int8_l1_int32 is for 1\.\.2 register ranks, not 3"),
    ],
)
def test_model_refuses(model: Model, name: str, pipeline: int, message: str) -> None:
    with pytest.raises(NotFittedError, match=message):
        model.predict(datapath.named(name), pipeline)


def test_model_rows_wrong(rows: list[Row]) -> None:
    with pytest.raises(ValueError, match="a fit needs at least 30 measured rows, not 29"):
        fit(rows[:29])
