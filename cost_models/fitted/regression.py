# SPDX-License-Identifier: Apache-2.0
"""Least squares of relative errors: weights that are not negative, and a small factor of logarithms beside them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "PENALTIES",
    "Regression",
    "regress",
    "tabulate",
]

PENALTIES = (None, 100.0, 30.0, 10.0, 3.0)
"""Of the factor's coefficients, among which cross-validation chooses; None for no factor."""

_ROUNDS = 4
_OUTLIER = 0.05  # relative error beyond which a row counts by its absolute error, not its square (Huber 1964)
_LARGEST_LOG = 0.3  # of a residual that the factor is fitted to
_TINY = 1e-12

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Regression:
    """
    A fitted quantity: a sum of features with weights, times a factor.

    Attributes
    ----------
    weights : mapping of str to float
        What one unit of a feature costs; only those above zero.
    factor : mapping of str to tuple of four floats
        Of a feature: mean and coefficient of ``log2(1 + feature)``, and the range in which it was seen, outside of
        which it is held at its end. The sum of coefficient times distance from the mean is the factor's logarithm.
    """

    weights: Mapping[str, float]
    factor: Mapping[str, tuple[float, float, float, float]]

    def contributions(self, features: Mapping[str, float]) -> dict[str, float]:
        """Return what each feature adds, before the factor."""
        return {name: weight * features[name] for name, weight in self.weights.items() if features[name]}

    def correction(self, features: Mapping[str, float]) -> float:
        """Return the factor."""
        total = 0.0
        for name, (mean, coefficient, low, high) in self.factor.items():
            total += coefficient * (min(max(float(np.log2(1.0 + features[name])), low), high) - mean)
        return float(np.exp(total))

    def __call__(self, features: Mapping[str, float]) -> float:
        """Return the quantity of a unit with these features."""
        return sum(self.contributions(features).values()) * self.correction(features)


def tabulate(rows: Sequence[Mapping[str, float]], names: Sequence[str]) -> Floats:
    """Return the features of rows as a matrix, columns by name."""
    return np.array([[row[name] for name in names] for row in rows], np.float64).reshape(len(rows), len(names))


def regress(
    rows: Sequence[Mapping[str, float]],
    target: Sequence[float],
    terms: Sequence[str],
    factors: Sequence[str],
    penalties: Sequence[float | None],
) -> list[Regression]:
    """
    Fit a quantity, once for each penalty.

    Parameters
    ----------
    rows : sequence of mappings
        Features.
    target : sequence of float
        Above zero.
    terms, factors : sequence of str
        Names of the features that are summed, and of those of the factor.
    penalties : sequence of float or None
        Ridge penalties of the factor's coefficients, over features scaled to a standard deviation of one; None for no
        factor.

    Raises
    ------
    ValueError
        If there is no row, or a target is not above zero.
    """
    goal = np.array(target, np.float64)
    if not goal.size or goal.min() <= 0:
        raise ValueError(f"a fit needs rows with targets above zero, not {list(target)[:8]!r}")
    matrix, logs = tabulate(rows, terms), np.log2(1.0 + tabulate(rows, factors))
    weights = _robust(matrix / goal[:, None])
    kept = {name: float(weight) for name, weight in zip(terms, weights, strict=True) if weight > 0}
    residual = np.clip(np.log(goal / np.maximum(matrix @ weights, _TINY)), -_LARGEST_LOG, _LARGEST_LOG)
    return [
        Regression(weights=kept, factor={} if each is None else _ridge(logs, residual, factors, each))
        for each in penalties
    ]


def _robust(relative: Floats) -> Floats:
    """Return weights that bring each row of a matrix near one, by least squares that outliers do not govern."""
    from scipy.optimize import nnls  # here, for it takes long to import and few look at fits

    size = np.ones(len(relative))
    scale = np.maximum(np.abs(relative).max(axis=0), _TINY)
    weights = np.zeros(relative.shape[1])
    for _ in range(_ROUNDS):
        weights = nnls(relative / scale * size[:, None], size)[0] / scale
        size = np.sqrt(np.minimum(1.0, _OUTLIER / np.maximum(np.abs(relative @ weights - 1.0), _TINY)))
    return weights


def _ridge(
    logs: Floats, residual: Floats, names: Sequence[str], penalty: float
) -> dict[str, tuple[float, float, float, float]]:
    mean, deviation = logs.mean(axis=0), logs.std(axis=0)
    varied = np.flatnonzero(deviation > 1e-9)
    z = (logs[:, varied] - mean[varied]) / deviation[varied]
    solved = np.linalg.solve(z.T @ z + penalty * np.eye(varied.size), z.T @ residual)
    low, high = logs.min(axis=0), logs.max(axis=0)
    return {
        names[i]: (float(mean[i]), float(beta / deviation[i]), float(low[i]), float(high[i]))
        for i, beta in zip(varied.tolist(), solved, strict=True)
    }
