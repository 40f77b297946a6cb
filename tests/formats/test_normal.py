# SPDX-License-Identifier: Apache-2.0
"""Normal values in every format."""

import numpy as np
import pytest

from hwsim.formats import (
    BlockSpec,
    CodebookSpec,
    FloatSpec,
    IntegerSpec,
    PositSpec,
    named,
    normal_codes,
    normal_deviation,
)


def _scalar(name: str) -> IntegerSpec | FloatSpec | PositSpec | CodebookSpec:
    spec = named(name)
    assert not isinstance(spec, BlockSpec)
    return spec


# Optimum uniform quantizers of normal values (Max, IRE Trans. Inf. Theory 6, 1960, table II): levels and step.
MAX_STEPS = {3: 1.2240, 15: 0.3545, 16: 0.3352}


@pytest.mark.parametrize(("name", "levels"), [("ternary", 3), ("int4", 16), ("int4_narrow", 15)])
def test_normal_deviation_is_the_power_of_two_beside_the_optimum(name: str, levels: int) -> None:
    """A step of 1 is 1 / deviation of the deviations: the optimum's, to the nearest powers of two."""
    best = 1 / MAX_STEPS[levels]
    assert normal_deviation(_scalar(name)) in (2.0 ** np.floor(np.log2(best)), 2.0 ** np.ceil(np.log2(best)))


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float8_e5m2", "posit8_0", "posit16_1", "float8_e4m3fn"])
def test_normal_deviation_of_formats_around_one(name: str) -> None:
    assert normal_deviation(_scalar(name)) == 1.0


@pytest.mark.parametrize("name", ["int8", "uint8", "nf4", "float4_e2m1fn", "int16", "posit8_2", "ternary"])
def test_normal_deviation_has_the_least_noise(name: str) -> None:
    spec = _scalar(name)
    values = np.random.default_rng(3).standard_normal(20_000)
    values = values if spec.min_value < 0 else np.abs(values)

    def ratio(scale: float) -> float:
        kept = spec.decode(spec.encode(values * scale)) / scale
        return float(10 * np.log10((values**2).sum() / ((kept - values) ** 2).sum()))

    chosen = normal_deviation(spec)
    assert all(ratio(chosen) > ratio(chosen * 2.0**step) - 0.3 for step in (-3, -2, -1, 1, 2, 3))


def test_normal_codes_are_of_magnitudes_without_negative_numbers() -> None:
    spec, values = _scalar("uint8"), np.array([-1.0, 1.0, 0.5])
    assert normal_codes(spec, values).tolist() == [64, 64, 32]
