# SPDX-License-Identifier: Apache-2.0
"""Matrix products through a unit on an NVIDIA GPU, bit for bit those of `hwsim.datapath.matmul`. Needs numba-cuda."""

import os
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwsim.datapath.unit import DotProductUnit
from hwsim.formats import Quantized

__all__ = [
    "available",
    "matmul",
    "product",
    "require",
]

_HOW = "`pip install hwsim[gpu]` brings it, for an NVIDIA GPU of compute capability 7.0 or more and CUDA 12 or 13"


def simulated() -> bool:
    """Tell whether Numba runs the kernels in Python (NUMBA_ENABLE_CUDASIM=1), for tests without a GPU."""
    return os.environ.get("NUMBA_ENABLE_CUDASIM", "0") not in ("", "0")


def available() -> bool:
    """Tell whether `matmul` can run here."""
    try:
        require()
    except RuntimeError:
        return False
    return True


def require() -> None:
    """Raise RuntimeError unless numba-cuda and a GPU are there."""
    if find_spec("numba_cuda") is None:
        raise RuntimeError(f"a GPU's kernels need numba-cuda, which is not installed: {_HOW}")
    cuda: Any = import_module("numba.cuda")

    if not cuda.is_available():
        raise RuntimeError(f"numba-cuda finds no GPU, or no driver of one, on this machine: {_HOW}")


def matmul(
    unit: DotProductUnit,
    a: ArrayLike | Quantized,
    b: ArrayLike | Quantized,
    c: ArrayLike | None = None,
    *,
    a_scales: ArrayLike | None = None,
    b_scales: ArrayLike | None = None,
) -> NDArray[np.unsignedinteger]:
    """Multiply two matrices through a unit on the current GPU: `hwsim.datapath.matmul` with the same arguments.

    Operands and result travel to the GPU and back; `product` leaves them there.

    Returns
    -------
    ndarray of the smallest unsigned dtype that holds `unit.output.bits`, shape (M, N)
        Equal to `hwsim.datapath.matmul`, bit for bit.

    Raises
    ------
    TypeError, ValueError
        As `hwsim.datapath.matmul`; and if the unit has what the GPU's kernels have not, which is named.
    RuntimeError
        If numba-cuda, or a GPU, is missing.
    """
    require()
    from hwsim.datapath.gpu.driver import multiply

    return multiply(unit, a, b, c, a_scales, b_scales)


def product(unit: DotProductUnit, a: Any, b: Any, c: Any = None, *, a_scales: Any = None, b_scales: Any = None) -> Any:
    """Multiply two matrices that are on the GPU already, and leave the result there.

    Parameters
    ----------
    unit : DotProductUnit
        Whose output is its register (`unit.converts` is false).
    a, b, c, a_scales, b_scales : device arrays (``__cuda_array_interface__``)
        Codes, in the shapes of `matmul` and the smallest unsigned dtypes that hold them. Not checked: codes in range.

    Returns
    -------
    numba.cuda device array of codes, shape (M, N)

    Raises
    ------
    TypeError, ValueError
        If an array has another dtype or shape, or the unit has what the GPU's kernels have not.
    RuntimeError
        If numba-cuda, or a GPU, is missing.
    """
    require()
    from hwsim.datapath.gpu.driver import multiply_on_device

    return multiply_on_device(unit, a, b, c, a_scales, b_scales)
