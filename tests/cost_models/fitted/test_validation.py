# SPDX-License-Identifier: Apache-2.0
"""What is held out, and the errors that are stated."""

from collections import Counter
from dataclasses import replace

import pytest

from cost_models.fitted import HeldOut, Row, held_out_formats, held_out_kinds
from cost_models.fitted import validation as module
from cost_models.fitted.quantities import QUANTITIES
from cost_models.fitted.regression import Regression, regress
from cost_models.fitted.validation import ALL, UNSEEN, quantiles

AREA, ENERGY = (next(item for item in QUANTITIES if item.name == name) for name in ("area_um2", "energy_pj"))


@pytest.mark.parametrize("quantity", [AREA, ENERGY])
def test_validation_exact_sums_are_predicted(rows: list[Row], quantity: object) -> None:
    """Sums of features are found again from other formats; the penalty does not hurt them."""
    held = held_out_formats(rows, quantity)  # type: ignore[arg-type]
    assert len(held) > 30
    assert max(abs(each.error) for each in held) < 1e-6


def test_validation_a_format_is_held_out_with_all_its_rows(rows: list[Row], monkeypatch: pytest.MonkeyPatch) -> None:
    """Fitted rows never have the format of a predicted one: an int4 with a wide register is no help to a narrow one."""
    fits: list[int] = []

    def spy(basis: list[dict[str, float]], *rest: object) -> list[Regression]:
        fits.append(len(basis))
        return regress(basis, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "choose_penalty", lambda rows, quantity: None)
    monkeypatch.setattr(module, "regress", spy)
    held = held_out_formats(rows, AREA)
    rows_of_format = Counter(name for row in rows for name in row.formats)
    assert fits == [len(rows) - rows_of_format[name] for name in sorted(rows_of_format)]
    assert all(each.without in each.row.formats for each in held)


def test_validation_a_format_of_wrong_rows_is_found(rows: list[Row]) -> None:
    """Rows of one format that cost half as much again are off by a third when that format is held out."""
    odd = [
        replace(row, values={"area_um2": 1.5 * row.values["area_um2"]}) if row.formats == {"int6"} else row
        for row in rows
    ]
    errors = {each.row.unit: each.error for each in held_out_formats(odd, AREA)}
    assert errors["int6_l1_int24"] == pytest.approx(-1 / 3, abs=0.02)
    assert abs(errors["int5_l1_int24"]) < 0.05


def test_validation_kinds_without_their_features_are_not_predicted(rows: list[Row]) -> None:
    """Integers have nothing that floats with a fixed register have not; floats shift, and integers do not."""
    held = held_out_kinds(rows, AREA)
    assert {each.without for each in held} <= {row.kind for row in rows}
    assert all(each.row.kind == each.without for each in held)


def _held(row: Row, kind: str, error: float) -> HeldOut:
    return HeldOut(row=replace(row, kind=kind), without="x", error=error)


def test_validation_quantiles_by_kind(rows: list[Row]) -> None:
    """Twelve predictions make a kind's own errors; of fewer, the largest counts, if it is above those of all kinds."""
    formats = [_held(rows[0], "many", 0.01 * sign) for sign in (1, -1) for _ in range(10)]
    formats += [_held(rows[0], "few", -0.3), _held(rows[0], "good", 0.0)]
    stated = quantiles(formats, [_held(rows[0], "many", 0.5)])
    assert stated["many"] == pytest.approx((0.01, 0.01))
    assert stated[ALL] == pytest.approx((0.01, 0.01))
    assert stated["few"] == pytest.approx((0.3, 0.3))
    assert stated["good"] == pytest.approx((0.01, 0.01))
    assert stated[UNSEEN] == pytest.approx((0.5, 0.5))
