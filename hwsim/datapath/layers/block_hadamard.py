# SPDX-License-Identifier: Apache-2.0
"""The Hadamard transform of blocks of integers, exact."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwsim.datapath.layers.checks import signed_within
from hwsim.datapath.layers.specs import HadamardSpec
from hwsim.formats import hadamard

__all__ = [
    "block_hadamard",
]


def block_hadamard(x: ArrayLike, spec: HadamardSpec, axis: int = -1) -> NDArray[np.int64]:
    """
    Return the transform of each block along an axis, without scaling.

    Parameters
    ----------
    x : array of integers
        Signed, of ``spec.bits`` bits; the axis' length is a multiple of ``spec.size``.
    spec : HadamardSpec
    axis : int

    Returns
    -------
    ndarray of int64, same shape
        Signed, of ``spec.sum_bits`` bits: ``y[i]`` is the sum of ``-x[j]`` where ``i & j`` has an odd number of ones,
        and of ``x[j]`` elsewhere. The orthonormal transform is this over the root of the size.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above.

    Source
    ------
    Sylvester's construction; see `hwsim.formats.hadamard`.
    """
    array = signed_within("x", x, spec.bits)
    return np.asarray(hadamard(array, spec.size, axis, orthonormal=False), np.int64)
