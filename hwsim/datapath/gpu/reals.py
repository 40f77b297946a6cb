# SPDX-License-Identifier: Apache-2.0
"""The float types of a GPU, and how many outputs of a matrix product a block of its threads makes."""

from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

from hwsim.datapath.gpu import simulated

__all__ = [
    "SIDE",
    "THREADS",
    "TILE",
    "Real",
    "cuda",
]

cuda: Any = import_module("numba.cuda")  # untyped; its simulator asks for this name in the module of a kernel

THREADS = 2 if simulated() else 16
"""Threads of a block, each way."""
TILE = 2 if simulated() else 4
"""Outputs of a thread, each way."""
SIDE = THREADS * TILE


class Real(NamedTuple):
    """A float type of the GPU, and what the kernels do in it."""

    dtype: Any
    codes: Any  # the unsigned integer of the same width
    man_bits: int
    exp_low: int  # exponent of the smallest normal
    exp_high: int  # of the largest
    multiply: Callable[..., Any]  # rounded toward zero, subnormal results too
    fma: Callable[..., Any]  # rounded once, to nearest even
    power: Callable[..., Any]  # 2**n of an integer n in exp_low..exp_high
    code: Callable[..., Any]  # the bits as int64, the sign extended
    value: Callable[..., Any]  # of bits
    bits: Callable[..., Any]  # as an unsigned integer of the same width
    single: Callable[..., Any]  # the bits, as int64, of the float32 of a sum of digits, rounded toward zero

    @property
    def digits(self) -> int:
        """Bits of a significand."""
        return self.man_bits + 1

    @property
    def last_exp(self) -> int:
        """Exponent of the smallest subnormal."""
        return self.exp_low - self.man_bits
