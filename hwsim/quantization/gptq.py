# SPDX-License-Identifier: Apache-2.0
"""GPTQ: weights rounded column by column, each column's error taken up by those that follow."""

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.linalg

from hwsim.quantization.grids import Grid

__all__ = [
    "gptq",
]

_BLOCK = 128  # columns whose errors the later ones take up at once


def gptq(
    rows: npt.NDArray[np.float32],
    gram: npt.NDArray[np.float64],
    grid: Grid,
    *,
    damping: float = 0.01,
    act_order: bool = False,
) -> npt.NDArray[np.float32]:
    """Round weights to a grid so that a layer's outputs on given activations change little.

    With H = X^T X + damping * mean(diag) * I and U the upper Cholesky factor of H^-1 (U^T U = H^-1), the columns j are
    rounded in order, and (w_j - q_j) / U_jj * U_j,k is taken from every later column k. All in float64; the scales of
    the grid, chosen on the weights as they were, stay.

    Parameters
    ----------
    rows : ndarray of float32, shape (outputs, K)
    gram : ndarray of float64, shape (K, K)
        X^T X over the rows of activations, which are the quantized network's where those before are quantized.
    grid : Grid
        Of the weights.
    damping : float
        A share of the mean of the diagonal.
    act_order : bool
        Take the columns in order of falling diagonal of H.

    Returns
    -------
    ndarray of float32, shape (outputs, K)
        Values of the grid. Columns whose activations are all zero are rounded to nearest.

    Source
    ------
    Frantar et al., GPTQ, arXiv:2210.17323, algorithm 1; act-order and static groups: its authors' code.
    """
    columns = rows.shape[1]
    dead = np.diag(gram) == 0
    hessian = gram + np.diag(np.where(dead, 1.0, 0.0))
    hessian = hessian + damping * np.mean(np.diag(hessian)) * np.eye(columns)
    order = np.argsort(-np.diag(gram), kind="stable") if act_order else np.arange(columns)
    inverse = scipy.linalg.cho_solve(scipy.linalg.cho_factor(hessian[np.ix_(order, order)]), np.eye(columns))
    upper: npt.NDArray[Any] = scipy.linalg.cholesky(inverse)
    left = rows[:, order].astype(np.float64)
    result = np.empty_like(rows)
    for first in range(0, columns, _BLOCK):
        last = min(first + _BLOCK, columns)
        errors = np.zeros((rows.shape[0], last - first))
        for place in range(first, last):
            column = int(order[place])
            rounded = grid.column(column).fake(left[:, place])
            result[:, column] = rounded
            if not dead[column]:
                errors[:, place - first] = (left[:, place] - rounded) / upper[place, place]
                left[:, place + 1 : last] -= np.outer(errors[:, place - first], upper[place, place + 1 : last])
        left[:, last:] -= errors @ upper[first:last, last:]
    return result
