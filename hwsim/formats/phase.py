# SPDX-License-Identifier: Apache-2.0
"""The four phases 1, i, -1, -i: complex weights whose products are swaps and changes of sign."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwsim.formats.codes import check_codes

__all__ = [
    "PhaseQuantized",
    "PhaseSpec",
    "phase_product",
    "quantize_phase",
]

_VALUES = np.array([1, 1j, -1, -1j], np.complex128)
_LEAST_SCALE = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseSpec:
    """The fourth roots of unity: code k is ``i**k`` (ours; the source computes with values).

    Source
    ------
    Fairy±i (iFairy), the PhaseQuant of its repository (quantize_complex_tensor), retrieved 2026-11.
    """

    @property
    def bits(self) -> int:
        """Width of a code."""
        return 2

    @property
    def name(self) -> str:
        """The catalog's name."""
        return "phase4"

    def decode(self, codes: ArrayLike) -> NDArray[np.complex128]:
        """Give the value of each code.

        Parameters
        ----------
        codes : array of unsigned integers, any shape
            In 0..3.

        Returns
        -------
        ndarray of complex128, same shape
            Exact.

        Raises
        ------
        TypeError, ValueError
            If the codes are not integers, or out of range.
        """
        return np.asarray(_VALUES[check_codes(self, codes)])

    def encode(self, values: ArrayLike) -> NDArray[np.uint8]:
        """Give the code of the phase nearest to that of each value.

        Parameters
        ----------
        values : array of complex or real numbers, any shape
            Of any type that complex128 holds exactly.

        Returns
        -------
        ndarray of uint8, same shape
            1 for phases in [-pi/4, pi/4), i in [pi/4, 3 pi/4), -1 from there to -3 pi/4, which is -i's. The parts are
            compared, so that the boundaries are exact, where the float of a phase would be rounded. Zero has phase 0.

        Raises
        ------
        TypeError
            If the values are not numbers that fit complex128.
        ValueError
            If a part of a value is infinite or NaN.
        """
        array = _checked(values)
        real, imag = array.real, array.imag
        # On the boundaries |re| = |im|: pi/4 is i's, 3 pi/4 is -1's, -3 pi/4 is -i's, -pi/4 is 1's.
        codes = np.select(
            [
                (real > 0) & (-real <= imag) & (imag < real),
                (imag > 0) & (-imag < real) & (real <= imag),
                (real < 0) & (real < imag) & (imag <= -real),
                imag < 0,
            ],
            [0, 1, 2, 3],
            default=0,
        )
        return np.asarray(codes.astype(np.uint8))


class PhaseQuantized(NamedTuple):
    """Complex values as phases and two scales.

    A real phase stands for itself times scale_real, an imaginary one for itself times scale_imag.

    codes : ndarray of uint8
    scale_real, scale_imag : float
        Float32 values.
    """

    codes: NDArray[np.uint8]
    scale_real: float
    scale_imag: float

    def dequantize(self) -> NDArray[np.complex128]:
        """Return the values: exact products of phases and scales."""
        phases = PhaseSpec().decode(self.codes)
        return np.asarray(phases.real * self.scale_real + 1j * (phases.imag * self.scale_imag))


def quantize_phase(values: ArrayLike) -> PhaseQuantized:
    """Quantize complex values to phases with one scale for the real and one for the imaginary ones.

    Parameters
    ----------
    values : array of complex numbers, any shape
        Finite.

    Returns
    -------
    PhaseQuantized
        scale_real is the mean of ``abs(re)`` over the values whose phase is 1 or -1, scale_imag that of ``abs(im)``
        over the others; added in float64 in numpy's order, rounded to float32, and at least 1e-6, as where a group is
        empty.

    Raises
    ------
    TypeError, ValueError
        As `PhaseSpec.encode`.

    Source
    ------
    iFairy, as `PhaseSpec`; it adds in the type of its tensors.
    """
    array = _checked(values)
    codes = PhaseSpec().encode(array)
    imaginary = codes & 1 == 1
    return PhaseQuantized(codes, _scale(array.real[~imaginary]), _scale(array.imag[imaginary]))


def phase_product(
    x_real: NDArray[np.int64], x_imag: NDArray[np.int64], codes: ArrayLike
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Multiply the conjugates of integer activations by phases, without a multiplier.

    Parameters
    ----------
    x_real, x_imag : ndarray of int64
        Within 2**62.
    codes : array of unsigned integers that broadcasts to their shape
        Phases.

    Returns
    -------
    two ndarray of int64
        Real and imaginary part of ``conj(x) * w``: ``xr wr + xi wi`` and ``xr wi - xi wr``, in which one of wr and wi
        is zero and the other 1 or -1: a swap and a change of sign.

    Raises
    ------
    TypeError, ValueError
        If the codes are not integers in 0..3.
    """
    phases = check_codes(PhaseSpec(), codes)
    swap, negative = phases & 1 == 1, phases & 2 == 2
    real = np.where(swap, x_imag, x_real)
    imag = np.where(swap, x_real, -x_imag)
    return np.where(negative, -real, real), np.where(negative, -imag, imag)


def _checked(values: ArrayLike) -> NDArray[np.complex128]:
    array = np.asarray(values)
    if not np.can_cast(array.dtype, np.complex128):
        raise TypeError(f"values to encode as phase4 must be numbers that fit complex128, not {array.dtype}")
    wide = array.astype(np.complex128)
    if not np.isfinite(wide).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(wide))[0])
        raise ValueError(f"values to encode as phase4 must be finite, not as that at {where}, {wide[where]}")
    return wide


def _scale(sizes: NDArray[np.float64]) -> float:
    """Return the mean magnitude as a float32, at least 1e-6."""
    mean = float(np.abs(sizes).mean()) if sizes.size else 0.0
    return float(np.float32(max(mean, _LEAST_SCALE)))
