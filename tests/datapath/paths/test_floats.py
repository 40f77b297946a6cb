# SPDX-License-Identifier: Apache-2.0
from collections.abc import Callable

import numpy as np
import pytest

from hwsim import formats
from hwsim.datapath import DotProductUnit, FloatAccumulator
from hwsim.datapath.paths import floats
from hwsim.datapath.problem import Problem
from hwsim.formats import CodebookSpec, FloatSpec, IntegerSpec, PositSpec
from hwsim.formats.codes import code_dtype

SPECS = [
    *("float8_e4m3fn", "float8_e5m2", "float4_e2m1fn", "float16", "bfloat16", "tfloat32", "float32", "float64"),
    *("int8", "uint4", "fixed12_8", "posit8_1"),
]


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("scale", [0, 3])
def test_floats_values(name: str, scale: int) -> None:
    spec = formats.named(name)
    assert isinstance(spec, FloatSpec | IntegerSpec | PositSpec | CodebookSpec)
    rng = np.random.default_rng(1)
    codes = rng.integers(0, 1 << min(spec.bits - 1, 62), (37, 70)).astype(code_dtype(spec.bits))
    codes[0, :3] = 0, 1, 2
    finite = spec.unpack(codes).special == 0
    codes = np.where(finite, codes, codes.dtype.type(0))
    expected = spec.decode(codes) * 2.0**scale
    for dtype, width in ((np.float32, 16), (np.float64, 8)):
        if not floats.fits(spec, dtype, scale):
            continue
        a = floats.left(spec, codes, dtype, 6, scale)
        assert a.shape == (42, 70)
        assert a.dtype == dtype
        assert np.array_equal(a[:37], expected)
        assert not a[37:].any()
        for view in (codes, np.asfortranarray(codes)):
            b = floats.right(spec, view, dtype, width, scale)
            rows = b.transpose(0, 2, 1).reshape(-1, 70)
            assert np.array_equal(rows[:37], expected)
            assert not rows[37:].any()


def test_floats_fits() -> None:
    spec = formats.named("bfloat16")
    assert isinstance(spec, FloatSpec)
    assert [floats.fits(spec, np.float32, scale) for scale in (-17, -16, 0, 1)] == [False, True, True, False]
    assert [floats.fits(IntegerSpec(bits=bits, signed=False), np.float32) for bits in (24, 25)] == [True, False]
    assert [floats.fits(IntegerSpec(bits=bits, signed=False), np.float64) for bits in (53, 54)] == [True, False]


@pytest.mark.parametrize(
    ("register", "scale"), [("float16", 100), ("bfloat16", 0), ("float8_e5m2", 10), ("float32", 0)]
)
def test_floats_unloaded(register: str, scale: int, float_unit: Callable[..., DotProductUnit]) -> None:
    """Each code there and back: one zero, one NaN; then converted."""
    unit = float_unit("int8", "int8", register)
    spec = unit.accumulator.format
    assert isinstance(unit.accumulator, FloatAccumulator)
    assert isinstance(spec, FloatSpec)
    every = np.arange(1 << 16, dtype=np.uint64) * (1 << max(spec.bits - 16, 0)) % (1 << spec.bits)
    codes = every.astype(code_dtype(spec.bits)).reshape(64, 1024)
    special = spec.unpack(codes).special
    problem = Problem(unit, codes, codes, codes, None, None)
    held = floats.loaded(problem, np.float32, (70, codes.shape[1] + 3), scale)
    assert not held[64:].any()
    value = spec.decode(codes)
    part = held[:64, : codes.shape[1]]
    np.copyto(part, value.astype(np.float32), where=special != 0)
    got = floats.unloaded(unit, held, codes.shape, scale)
    expected = np.where(value == 0, 0, np.where(np.isnan(value), spec.nan_code, codes))
    assert got.dtype == codes.dtype
    assert np.array_equal(got, expected)
    to = formats.named("float8_e4m3fn")
    assert isinstance(to, FloatSpec)
    small = float_unit("int8", "int8", register, output="float8_e4m3fn")
    converted = to.encode(np.where(value == 0, 0, value), "nearest_even", "infinity")
    assert np.array_equal(
        to.decode(floats.unloaded(small, held, codes.shape, scale)), to.decode(converted), equal_nan=True
    )
