# SPDX-License-Identifier: Apache-2.0
"""Relative least squares with weights that are not negative."""

import numpy as np
import pytest

from cost_models.fitted.regression import regress

_RNG = np.random.default_rng(3)
ROWS = [{"x": float(x), "y": float(y), "z": float(z)} for x, y, z in _RNG.integers(1, 40, (60, 3))]


def test_regress_recovers_weights() -> None:
    target = [0.5 * row["x"] + 2.0 * row["z"] for row in ROWS]
    (fitted,) = regress(ROWS, target, ("x", "y", "z"), (), [None])
    assert fitted.factor == {}
    assert fitted.weights["x"] == pytest.approx(0.5, rel=1e-9)
    assert fitted.weights["z"] == pytest.approx(2.0, rel=1e-9)
    assert fitted.weights.get("y", 0.0) < 1e-9


def test_regress_weights_are_not_negative() -> None:
    target = [row["x"] + 0.01 / row["y"] for row in ROWS]
    assert min(regress(ROWS, target, ("x", "y", "z"), (), [None])[0].weights.values()) > 0


def test_regress_an_outlier_does_not_govern() -> None:
    target = [row["x"] + row["y"] for row in ROWS]
    target[7] *= 10
    (fitted,) = regress(ROWS, target, ("x", "y"), (), [None])
    assert fitted(ROWS[8]) == pytest.approx(target[8], rel=0.02)


def test_regress_factor() -> None:
    """A power of a feature is no sum of features; the factor takes it, and stays at its end outside of its range."""
    target = [row["x"] * (1 + row["z"]) ** 0.1 for row in ROWS]
    (plain,) = regress(ROWS, target, ("x",), ("z",), [None])
    (fitted,) = regress(ROWS, target, ("x",), ("z",), [1e-6])
    assert max(abs(fitted(row) / each - 1) for row, each in zip(ROWS, target, strict=True)) < 0.01
    assert max(abs(plain(row) / each - 1) for row, each in zip(ROWS, target, strict=True)) > 0.1
    highest = max(row["z"] for row in ROWS)
    assert fitted.correction({"z": 1e6}) == fitted.correction({"z": highest})
    assert fitted({"x": 3.0, "z": 5.0}) == fitted.contributions({"x": 3.0})["x"] * fitted.correction({"z": 5.0})


def test_regress_target_wrong() -> None:
    with pytest.raises(ValueError, match=r"a fit needs rows with targets above zero, not \[0\.0\]"):
        regress(ROWS[:1], [0.0], ("x",), (), [None])
