# SPDX-License-Identifier: Apache-2.0
"""Complex matrix products with weights of phases 1, i, -1, -i: no product, but a choice of part and a sign a lane."""

import numpy as np
from numpy.typing import ArrayLike

from hwsim.datapath.matmul import matmul
from hwsim.datapath.problem import Codes
from hwsim.datapath.unit import DotProductUnit, Sparsity
from hwsim.formats import PhaseSpec

__all__ = [
    "matmul_phases",
]

_ONE_OF_TWO = Sparsity(kept=1, of=2)


def matmul_phases(
    unit: DotProductUnit,
    phases: ArrayLike,
    real: ArrayLike,
    imag: ArrayLike,
    c_real: ArrayLike | None = None,
    c_imag: ArrayLike | None = None,
) -> tuple[Codes, Codes]:
    """Multiply a matrix of phases and a complex one through a unit, once for each part.

    Of a complex product ``w * x`` each part has one addend: with w = 1 the parts of x, with w = i minus its imaginary
    and its real one, and so on. So a dot product of K complex numbers is one of 2 K real pairs, half of whose weights
    are zero: the lanes of a unit with a sparsity of 1 in 2 are the complex lanes.

    Parameters
    ----------
    unit : DotProductUnit
        Whose a has -1, 0 and 1 (``ternary``, ``int2``) and whose sparsity is 1 of 2.
    phases : array of integers, shape (M, K)
        Codes of `PhaseSpec`.
    real, imag : arrays of integers, shape (K, N)
        Codes of b's format.
    c_real, c_imag : arrays of integers, shape (M, N), optional
        As `matmul`'s c.

    Returns
    -------
    tuple of two ndarrays, shape (M, N)
        The parts of d, codes of `unit.output`; each equal to `matmul` of the interleaved parts, bit for bit.

    Raises
    ------
    TypeError, ValueError
        If the unit is another, or as `matmul`.

    Source
    ------
    Fairy±i: weights in {1, -1, i, -i}; the arithmetic follows from the definition.
    """
    if not isinstance(unit, DotProductUnit):
        raise TypeError(f"unit must be a DotProductUnit, not {unit!r}")
    if unit.sparsity != _ONE_OF_TWO or unit.scales:
        raise ValueError(f"unit must have scalar formats and a sparsity of 1 of 2, and {unit.name} has not")
    if unit.element_a.decode(unit.element_a.encode([-1.0, 0.0, 1.0])).tolist() != [-1.0, 0.0, 1.0]:
        raise ValueError(f"unit's a must hold -1, 0 and 1, and {unit.element_a.name} does not")
    weights = PhaseSpec().decode(phases)
    parts = np.asarray(real), np.asarray(imag)
    if weights.ndim != 2 or parts[0].ndim != 2 or parts[0].shape != parts[1].shape:
        shapes = f"{weights.shape}, {parts[0].shape} and {parts[1].shape}"
        raise ValueError(f"phases must have the shape (M, K), real and imag (K, N), not {shapes}")
    if weights.shape[1] != parts[0].shape[0]:
        raise ValueError(
            f"phases' columns and real's rows must be as many, not {weights.shape[1]} and {parts[0].shape[0]}"
        )
    b = np.stack(parts, axis=1).reshape(2 * parts[0].shape[0], -1)
    results = []
    for first, second, c in ((weights.real, -weights.imag, c_real), (weights.imag, weights.real, c_imag)):
        values = np.stack([first, second], axis=-1).reshape(len(weights), -1)
        a = unit.element_a.encode(values)
        results.append(matmul(unit, a, b, c))
    return results[0], results[1]
