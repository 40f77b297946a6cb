# SPDX-License-Identifier: Apache-2.0
"""Rule MSE against the errors under every scale that the format has."""

import numpy as np
import pytest
from numpy.typing import NDArray

from hwsim import formats
from hwsim.formats import BlockSpec, FloatSpec


def every_error(part: NDArray[np.float64], spec: BlockSpec, tensor_scale: float) -> NDArray[np.float64]:
    """Return the sum of squared errors under each scale code that is a number, by the scalar encode and decode."""
    assert isinstance(spec.scale, FloatSpec)
    scales = spec.scale.decode(np.arange(spec.scale.max_magnitude_code + 1)) * tensor_scale
    errors = []
    for scale in scales.tolist():
        back = spec.element.decode(spec.element.encode(part / scale)) * scale if scale else 0.0
        errors.append(float(((part - back) ** 2).sum()))
    return np.array(errors)


def compare(x: NDArray[np.float32], name: str) -> tuple[int, int]:
    """Assert that each block has a scale of the least error; return the blocks and those beyond half of AMAX's."""
    spec = formats.named(name)
    assert isinstance(spec, BlockSpec)
    assert isinstance(spec.scale, FloatSpec)
    whole = spec.block_rows == 0
    q = formats.quantize(x, name, axis=None if whole else -1)
    start = formats.quantize(x, name, axis=None if whole else -1, rule="nearest" if spec.has_power_scale else "amax")
    rows = x.reshape(1, -1) if whole else x
    size = spec.block_size or x.size
    chosen, usual = (found.scales.reshape(rows.shape[0], -1).astype(int) for found in (q, start))
    compared = far = 0
    for row, block in np.ndindex(chosen.shape):
        part = rows[row, block * size : (block + 1) * size].astype(np.float64)
        errors = every_error(part, spec, q.tensor_scale)
        # Those of other orders of summation differ in their last places.
        assert errors[chosen[row, block]] <= errors.min() * (1 + 1e-12)
        far += usual[row, block] - chosen[row, block] > 1 << spec.scale.man_bits
        compared += 1
    assert compared == q.scales.size
    return compared, far


@pytest.mark.parametrize(
    "name",
    [
        "mxfp4_mse",
        "mxfp4_b1024_mse",
        "mxint4_b1024_mse",
        "nvfp4_mse",
        "nvfp4_b1024_mse",
        "nvint4_mse",
        "block16_nf4_float8_e4m3fn_mse_tensor",
        "block16_posit8_2_float8_e8m0fnu_mse",
        "block8_int8_z100_float8_e4m3fn_mse_tensor",
    ],
)
def test_scale_search_every_scale(name: str) -> None:
    rng = np.random.default_rng(41)
    compared = 0
    for freedom in (0.3, 1.0, 3.0, 100.0):
        x = np.clip(rng.standard_t(freedom, (3, 2100)) * 1e-3, -1e6, 1e6).astype(np.float32)
        x = x if "1024" in name else x[:, :170]
        x[0, :40] *= np.float32(1e-5)  # scales near zero
        x[1, 0:33:16] *= 1000
        compared += compare(x, name)[0]
    assert compared >= 36


@pytest.mark.parametrize("name", ["qfx4", "qfx8"])
def test_scale_search_whole_tensor(name: str) -> None:
    rng = np.random.default_rng(42)
    far = 0
    for outlier in (1.0, 20.0, 300.0, 3e4):
        x = rng.standard_normal((64, 64)).astype(np.float32)
        x[3, 5] = outlier
        far += compare(x, name)[1]
    assert far > 0 or name == "qfx8"


def test_scale_search_bug_within_a_factor_of_two() -> None:
    # One outlier of 20 among 65536 normal numbers: the best scale of 4 bits is an eighth of the largest value's.
    x = np.random.default_rng(0).standard_normal(2**16).astype(np.float32)
    x[0] = 20
    q = formats.quantize(x, "qfx4", axis=None)
    errors = {
        power: float(((np.clip(np.rint(x / 2.0**power), -8, 7) * 2.0**power - x.astype(np.float64)) ** 2).sum())
        for power in range(-8, 5)
    }
    assert int(q.scales.reshape(-1)[0]) - 127 == min(errors, key=lambda power: errors[power]) == -1


@pytest.mark.parametrize(("name", "units", "scale"), [("nvint4_mse", 13.0, 13), ("nvfp4_mse", 2.5, 5)])
def test_scale_search_odd_subnormal(name: str, units: float, scale: int) -> None:
    # In units of E4M3's smallest scale, 13 is 1 x 13 and 2.5 is 0.5 x 5, and nothing else gives them: 13 is more than
    # twice and 8 codes above the usual scale of 13 / 7.
    q = formats.quantize([units * 2.0**-9], name, scale=1.0)
    assert q.scales.tolist() == [scale]
    assert q.dequantize().tolist() == [units * 2.0**-9]


def test_scale_search_specials() -> None:
    # Zeros keep the smallest scale, a NaN makes its block NaN, and the blocks beside them are searched all the same.
    x = np.random.default_rng(43).standard_normal((1, 96)).astype(np.float32)
    plain = formats.quantize(x, "mxfp4_mse")
    x[0, :32], x[0, 40] = 0, np.nan
    q = formats.quantize(x, "mxfp4_mse")
    assert q.scales.tolist() == [[0, 255, int(plain.scales[0, 2])]]
    assert np.array_equal(q.codes[0, 64:], plain.codes[0, 64:])
