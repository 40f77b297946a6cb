# SPDX-License-Identifier: Apache-2.0
"""N:M sparsity of an operand: of every so many neighbours along K, at most so many are not zero."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwsim.formats.codes import check_int

__all__ = [
    "Sparsity",
    "prune",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sparsity:
    """At most `kept` of every `of` neighbours of a are not zero; a unit's lanes are given to those alone.

    The values of b beside a zero of a do not enter the unit, be they infinite or NaN.

    Parameters
    ----------
    kept, of : int
        1 <= kept < of <= 64. 2 of 4 in NVIDIA's tensor cores since Ampere.

    Source
    ------
    Mishra et al., "Accelerating Sparse Deep Neural Networks", arXiv:2104.08378.
    """

    kept: int
    of: int

    def __post_init__(self) -> None:
        check_int("of", self.of, 2, 64)
        check_int("kept", self.kept, 1, self.of - 1)

    @property
    def name(self) -> str:
        """What a unit's name says of it: ``2of4``."""
        return f"{self.kept}of{self.of}"


def prune(values: ArrayLike, sparsity: Sparsity) -> NDArray[np.float64]:
    """Set the smallest magnitudes of every group to zero, so that a sparse unit can take the matrix.

    Parameters
    ----------
    values : array of numbers, shape (..., K)
        Real and finite. Groups run along the last axis; a last one that is not full keeps up to `kept`, too.
    sparsity : Sparsity

    Returns
    -------
    ndarray of float64, same shape
        Of equal magnitudes the first ones are kept.

    Raises
    ------
    TypeError, ValueError
        If the values are not numbers, not finite, or have no axis; if sparsity is no `Sparsity`.
    """
    if not isinstance(sparsity, Sparsity):
        raise TypeError(f"sparsity must be a Sparsity, such as Sparsity(kept=2, of=4), not {sparsity!r}")
    array = np.asarray(values)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"values must be real numbers, not {array.dtype}")
    if array.ndim == 0:
        raise ValueError("values must have at least one axis, not the shape ()")
    given = array.astype(np.float64)
    if not np.isfinite(given).all():
        raise ValueError("values must be finite to be pruned")
    length = given.shape[-1]
    groups = -(-length // sparsity.of)
    padded = np.zeros((*given.shape[:-1], groups * sparsity.of))
    padded[..., :length] = given
    split = padded.reshape(*given.shape[:-1], groups, sparsity.of)
    order = np.argsort(-np.abs(split), axis=-1, kind="stable")
    np.put_along_axis(split, order[..., sparsity.kept :], 0.0, axis=-1)
    return np.ascontiguousarray(split.reshape(padded.shape)[..., :length])
