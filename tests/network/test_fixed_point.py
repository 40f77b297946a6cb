# SPDX-License-Identifier: Apache-2.0
"""The fixed-point exponential and reciprocal against the real functions."""

import numpy as np

from hwsim.network.fixed_point import exp_on_negative_values, reciprocal


def test_fixed_point_exp_is_close_to_the_real_function() -> None:
    # gemmlowp's own test (test/test_fixedpoint.cc) allows errors of this order for 32-bit types.
    x = -np.concatenate([np.arange(2000), np.random.default_rng(1).integers(0, 2**31, 20000)])
    got = exp_on_negative_values(x, 5) / 2.0**31
    real = np.exp(x / 2.0**26)
    assert np.abs(got - real).max() < 2.0**-17
    assert got[0] == 1 - 2.0**-31


def test_fixed_point_reciprocal_is_close_to_the_real_function() -> None:
    # 2**19 is 1 in Q12.19
    x = np.concatenate([2**19 + np.arange(5000), np.random.default_rng(2).integers(2**19, 2**31, 20000)])
    scale, bits = reciprocal(x, 12)
    got = scale / 2.0**31 * 2.0 ** -bits.astype(np.float64)
    real = 2.0**19 / x
    assert np.abs(got / real - 1).max() < 2.0**-27
