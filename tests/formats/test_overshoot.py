# SPDX-License-Identifier: Apache-2.0
"""The share of INT8 maxima that small floats lift to -128: the paper's printed figures, and NumPy's own arithmetic."""

import ml_dtypes
import numpy as np
import pytest

from hwsim.formats import FloatSpec, named
from hwsim.formats.overshoot import overshoot_exact, overshoot_measured


def arithmetic(name: str) -> FloatSpec:
    spec = named(name)
    assert isinstance(spec, FloatSpec)
    return spec


@pytest.mark.parametrize(("name", "printed"), [("bfloat16", 16.82), ("float16", 0.02)])
def test_overshoot_as_printed(name: str, printed: float) -> None:
    assert round(100 * overshoot_exact(arithmetic(name)), 2) == printed  # arXiv:2510.25602


@pytest.mark.parametrize("name", ["bfloat16", "float16"])
def test_overshoot_as_numpy(name: str) -> None:
    kind = np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else np.float16)
    x = np.abs(np.random.default_rng(0).standard_normal(1 << 18)).astype(kind)
    with np.errstate(divide="ignore", invalid="ignore"):
        quotients = x / (x / np.asarray(127, kind))
    count = int((np.rint(quotients.astype(np.float64)) >= 128).sum())
    share, error = overshoot_measured(arithmetic(name), 1 << 18)
    assert round(share * (1 << 18)) == count
    assert abs(share - overshoot_exact(arithmetic(name))) < 4 * error


def test_overshoot_float32() -> None:
    assert overshoot_measured(arithmetic("float32"), 1 << 16) == (0.0, 2.0**-16)


def test_overshoot_blocks() -> None:
    share, error = overshoot_measured(arithmetic("bfloat16"), 1 << 18, block=32)
    assert abs(share - 0.148) < 4 * error  # maxima near 2 or 3 sigma have other mantissas
    assert overshoot_measured(arithmetic("float16"), 1 << 16, block=32)[0] == 0  # the scales are normal numbers
