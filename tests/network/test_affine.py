# SPDX-License-Identifier: Apache-2.0
"""Affine quantization: its errors, and its values by the operator's definition."""

from typing import Any

import numpy as np
import pytest

from hwsim.network.affine import CODE_RANGES, AffineQuantization, storage_type


def affine(scale: Any, zero_point: Any, dtype: str = "int8", axis: int | None = None) -> AffineQuantization:
    return AffineQuantization(
        scale=np.asarray(scale, np.float32), zero_point=np.asarray(zero_point, np.int64), dtype=dtype, axis=axis
    )


@pytest.mark.parametrize("dtype", CODE_RANGES)
def test_affine_round_trips_every_code(dtype: str) -> None:
    q = affine(0.0173, 0 if dtype == "int32" else (q_mid := sum(CODE_RANGES[dtype]) // 2) + 1, dtype)
    span = min(q.high - q.low + 1, 2**16)
    codes = np.arange(q.low, q.low + span).astype(storage_type(dtype))
    if dtype == "int32":
        codes = np.arange(-(2**15), 2**15).astype(np.int32)
    else:
        assert q_mid + 1 == int(q.zero_point)
    back = q.quantize(q.dequantize(codes))
    assert back.dtype == storage_type(dtype)
    np.testing.assert_array_equal(back, codes)


def test_affine_runs_along_an_axis() -> None:
    q = affine([0.5, 2.0], [1, -1], axis=1)
    values = q.dequantize(np.array([[3, 3], [1, -1]], np.int8))
    assert values.tolist() == [[1.0, 8.0], [0.0, 0.0]]
    assert q.quantize(np.array([[1.25, 9.0], [1e9, -1e9]], np.float32)).tolist() == [[3, 3], [127, -128]]


@pytest.mark.parametrize(
    ("scale", "zero_point", "dtype", "axis", "message"),
    [
        (1.0, 0, "float16", None, "quantized element type must be one of int2, .* not 'float16'"),
        ([1.0, 2.0], [0], "int8", 0, r"scale and zero point must have one shape, not \(2,\) and \(1,\)"),
        ([1.0, 2.0], [0, 0], "int8", None, "scale must be one number, or a vector along an axis"),
        (0.0, 0, "int8", None, "scale must be finite and not 0, not"),
        (np.nan, 0, "int8", None, "scale must be finite and not 0, not"),
    ],
)
def test_affine_fields_wrong(scale: Any, zero_point: Any, dtype: str, axis: int | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        affine(scale, zero_point, dtype, axis)
