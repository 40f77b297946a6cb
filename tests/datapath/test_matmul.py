# SPDX-License-Identifier: Apache-2.0
import random
import re
import warnings
from fractions import Fraction
from pathlib import Path
from typing import Any

import ml_dtypes
import numba
import numpy as np
import pytest
from numpy.typing import NDArray

from hwsim import formats
from hwsim.datapath import DotProductUnit, ExactAlignment, FixedAccumulator, FloatAccumulator, dot, matmul, named
from hwsim.datapath.plan import plan
from hwsim.datapath.words import word_exact
from hwsim.formats import BlockSpec, FloatSpec, IntegerSpec, Overflow, quantize

_NAMES = [
    *("int8", "int8_int16_sat", "int4_l16", "uint8_by_int4_l3_int16_sat", "int8_l5_int16_sat", "int5_l4"),
    *("float8_e4m3fn", "float8_e4m3fn_l4", "float4_e2m1fn_l8_fixed12_sat", "float8_e4m3fnuz_l2"),
    *("float8_e4m3fn_float32", "float8_e5m2_l16_float32", "float16_float32", "float8_e4m3fn_l4_bfloat16"),
    *(
        "mxint8",
        "mxfp8_e5m2",
        "mxfp8_e4m3_l8",
        "mxfp4",
        "nvfp4",
        "nvfp4_by_mxfp4_b16_l4",
        "mxfp4_by_int8_l8",
        "nvfp4_l1",
    ),
    *(f"hopper_{a}_{b}_float32" for a in ("e4m3", "e5m2") for b in ("e4m3", "e5m2")),
]


_SEED = 77


def _operands(
    source: random.Random, unit: DotProductUnit, shape: tuple[int, int, int], random_codes: Any, finite: bool
) -> dict[str, Any]:
    rows, length, columns = shape
    arguments = {
        "a": random_codes(source, unit.element_a, rows * length, finite).reshape(rows, length),
        "b": random_codes(source, unit.element_b, length * columns, finite).reshape(length, columns),
        "c": random_codes(source, unit.register.format, rows * columns, finite).reshape(rows, columns),
    }
    if unit.sparsity is not None:
        kept = np.tile(np.arange(unit.sparsity.of) < unit.sparsity.kept, length)[:length]
        arguments["a"][:, ~kept] = int(unit.element_a.encode(0.0))
    for name, spec, other in (("a_scales", unit.a, rows), ("b_scales", unit.b, columns)):
        if isinstance(spec, BlockSpec):
            blocks = -(-length // spec.block_size)
            codes = random_codes(source, spec.scale, blocks * other, True)
            if isinstance(spec.scale, FloatSpec) and not spec.scale.subnormals:
                codes = codes % 15 + 120
            arguments[name] = codes.reshape((other, blocks) if name == "a_scales" else (blocks, other))
    return arguments


def _by_rows(unit: DotProductUnit, a: Any, b: Any, c: Any, a_scales: Any = None, b_scales: Any = None) -> Any:
    """Return the product by `dot`, which walks the same sums row after row."""
    width = unit.width
    steps = -(-a.shape[1] // width)
    padding = steps * width - a.shape[1]
    wide_a = np.pad(a, ((0, 0), (0, padding))).reshape(len(a), 1, steps, width)
    wide_b = np.pad(b, ((0, padding), (0, 0))).T.reshape(1, b.shape[1], steps, width)
    shape = (len(a), b.shape[1], steps)
    scales = []
    if isinstance(unit.a, BlockSpec):
        scales.append(np.broadcast_to(_by_step(unit.a, unit, a_scales, steps)[:, None], (*shape, unit.scale_counts[0])))
    if isinstance(unit.b, BlockSpec):
        codes = _by_step(unit.b, unit, b_scales.T, steps)
        scales.append(np.broadcast_to(codes[None], (*shape, unit.scale_counts[1])))
    step = np.broadcast_to(np.arange(steps), shape).reshape(-1)
    bits = unit.accumulator.random_bits if isinstance(unit.accumulator, FloatAccumulator) else 0
    words = [word_exact(_SEED, i, j, k, bits) for i, j, k in np.ndindex(shape)] if bits else None
    return dot(
        unit,
        np.broadcast_to(wide_a, (*shape, width)).reshape(-1, width),
        np.broadcast_to(wide_b, (*shape, width)).reshape(-1, width),
        step == 0,
        step == steps - 1,
        np.repeat(c.reshape(-1), steps),
        scales=np.concatenate(scales, axis=-1).reshape(len(step), -1) if scales else None,
        words=words,
    ).reshape(shape[:2])


def _by_step(spec: BlockSpec, unit: DotProductUnit, codes: Any, steps: int) -> Any:
    """Return the scales of each step; 1 beyond the last block."""
    count = max(unit.width // spec.block_size, 1)
    each = np.repeat(codes, max(spec.block_size // unit.width, 1), axis=1)[:, : steps * count]
    filled = np.full((len(codes), steps * count), int(spec.scale.encode(1.0)), codes.dtype)
    filled[:, : each.shape[1]] = each
    return filled.reshape(len(codes), steps, count)


@pytest.mark.parametrize("name", _NAMES)
def test_matmul_equals_rows(name: str, random_codes: Any, interpreted: bool) -> None:
    unit = named(name)
    source = random.Random(name)
    compared = 0
    shapes = [(3, 7, 5), (1, 1, 1), (2, 33, 3)] if interpreted else [(9, 70, 70), (1, 1, 1), (5, 33, 3), (2, 128, 1)]
    for shape in shapes:
        for finite in (True, False):
            arguments = _operands(source, unit, shape, random_codes, finite)
            found = matmul(unit, **arguments)
            assert found.dtype == formats.codes.code_dtype(unit.output.bits)
            expected = _by_rows(unit, **arguments)
            assert np.array_equal(found, expected)
            compared += expected.size
    assert compared == 2 * sum(m * n for m, _, n in shapes)


def test_matmul_any_unit_equals_rows(random_unit: Any, random_codes: Any, interpreted: bool) -> None:
    source = random.Random(4)
    compared = 0
    for _ in range(30 if interpreted else 150):
        unit = random_unit(source)
        try:
            plan(unit)
        except ValueError:
            continue
        arguments = _operands(source, unit, (3, 11, 4), random_codes, source.random() < 0.6)
        assert np.array_equal(matmul(unit, **arguments, seed=_SEED), _by_rows(unit, **arguments)), unit
        compared += 12
    assert compared >= (200 if interpreted else 1_000)


def _finite(
    source: np.random.Generator, dtype: Any, shape: tuple[int, ...]
) -> tuple[NDArray[Any], NDArray[np.float32]]:
    """Return codes of finite numbers of an ml_dtypes or numpy type, and their values."""
    bits = np.dtype(dtype).itemsize * 8
    codes = source.integers(0, 1 << bits, shape, dtype=np.uint8 if bits == 8 else np.uint16)
    values = codes.view(dtype).astype(np.float32)
    codes = np.where(np.isfinite(values), codes, 1).astype(codes.dtype)
    return codes, codes.view(dtype).astype(np.float32)


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("float8_e4m3fn_float32", ml_dtypes.float8_e4m3fn),
        ("float8_e5m2_float32", ml_dtypes.float8_e5m2),
        ("float16_float32", np.float16),
    ],
)
def test_matmul_float32_chain_is_numpys(name: str, dtype: Any, interpreted: bool) -> None:
    # The products are exact in float32, so numpy rounds once a step, as the unit does.
    size = 6 if interpreted else 48
    source = np.random.default_rng(5)
    a, x = _finite(source, dtype, (size, 40))
    b, y = _finite(source, dtype, (40, size))
    total = np.zeros((size, size), np.float32)
    for k in range(40):
        total += x[:, k, None] * y[None, k]
    found = matmul(named(name), a, b)
    assert np.array_equal(found, total.view(np.uint32))
    assert found.size == size * size


def test_matmul_int32_wraps_as_numpys() -> None:
    source = np.random.default_rng(6)
    a = source.integers(0, 256, (20, 300), dtype=np.uint8)
    b = source.integers(0, 256, (300, 30), dtype=np.uint8)
    c = source.integers(0, 1 << 32, (20, 30), dtype=np.uint32)
    expected = (a.view(np.int8).astype(np.int32) @ b.view(np.int8).astype(np.int32) + c.view(np.int32)).view(np.uint32)
    assert np.array_equal(matmul(named("int8"), a, b, c), expected)


def test_matmul_narrow_register_wraps_and_saturates(interpreted: bool) -> None:
    source = np.random.default_rng(7)
    length = 20 if interpreted else 200
    a, b = source.integers(0, 256, (5, length)), source.integers(0, 256, (length, 6))
    x, y = a.astype(np.uint8).view(np.int8).astype(int), b.astype(np.uint8).view(np.int8).astype(int)
    clipped = np.zeros((5, 6), int)
    for k in range(length):
        clipped = np.clip(clipped + x[:, k, None] * y[None, k], -(1 << 15), (1 << 15) - 1)
    assert np.array_equal(matmul(named("int8_int16_sat"), a, b), clipped & 0xFFFF)
    assert np.array_equal(matmul(named("int8_int16"), a, b), (x @ y) & 0xFFFF)


@pytest.mark.parametrize("name", ["float8_e4m3fn", "float4_e2m1fn_l4", "float8_e4m3fnuz", "float6_e3m2fn_l3"])
def test_matmul_fixed_point_is_exact(name: str, random_codes: Any) -> None:
    unit = named(name)
    source = random.Random(8)
    spec = unit.element_a
    a, b = (random_codes(source, spec, 4 * 9, True) for _ in range(2))
    x = [Fraction(float(value)) for value in spec.decode(a)]
    y = [Fraction(float(value)) for value in spec.decode(b)]
    found = matmul(unit, a.reshape(4, 9), b.reshape(9, 4))
    sums = [[sum(x[9 * i + k] * y[4 * k + j] for k in range(9)) for j in range(4)] for i in range(4)]
    expected = np.array([[float(total) for total in row] for row in sums]).astype(np.float32)  # at most 53 bits
    assert np.array_equal(found, expected.view(np.uint32))


def test_matmul_exact_up_to_the_edge_of_float64() -> None:
    # 2**26 * 2**26 products: one more than 2 of them, and float64 would round.
    register = FixedAccumulator(bits=63, fraction_bits=0, overflow=Overflow.WRAP)
    spec = IntegerSpec(bits=27)
    unit = DotProductUnit(
        a=spec, b=spec, lanes=1, alignment=ExactAlignment(), accumulator=register, output=register.format
    )
    source = np.random.default_rng(9)
    a = np.full((2, 400), 1 << 26, np.uint32)  # the most negative
    b = np.full((400, 2), 1 << 26, np.uint32)
    a[1] -= source.integers(1, 9, 400, dtype=np.uint32)
    b[:, 1] -= source.integers(1, 9, 400, dtype=np.uint32)
    x, y = ((codes.astype(object) ^ (1 << 26)) - (1 << 26) for codes in (a, b))
    for length in (1, 2, 3, 63, 64, 65, 400):
        found = matmul(unit, a[:, :length], b[:length])
        expected = (x[:, :length] @ y[:length]) % (1 << 63)
        assert found.tolist() == expected.tolist()


@pytest.mark.parametrize(("excess", "path"), [(0, "cannot saturate"), (1, "saturates")])
def test_matmul_saturation_at_the_edge_of_its_proof(excess: int, path: str) -> None:
    # 2 * 127 * 128 + c reaches the largest value of the register exactly, or would be one more.
    a, b = np.full((1, 2), 128), np.full((2, 1), 129)  # -128 and -127
    largest = (1 << 15) - 1
    c = np.array([[largest - 2 * 127 * 128 + excess]])
    assert matmul(named("int8_int16_sat"), a, b, c) == [[largest]], path


def test_matmul_does_not_depend_on_threads(random_codes: Any, interpreted: bool) -> None:
    threads = numba.get_num_threads()
    shape = (4, 20, 5) if interpreted else (40, 96, 130)
    for name in ("float8_e4m3fn_float32", "hopper_e4m3_e4m3_float32", "nvfp4", "int8_int16_sat"):
        unit = named(name)
        arguments = _operands(random.Random(name), unit, shape, random_codes, True)
        expected = matmul(unit, **arguments)
        assert numba.get_num_threads() == threads
        numba.set_num_threads(1)
        try:
            assert np.array_equal(matmul(unit, **arguments), expected)
        finally:
            numba.set_num_threads(threads)


def test_matmul_takes_quantized() -> None:
    source = np.random.default_rng(10)
    x, y = source.normal(size=(5, 70)), source.normal(size=(70, 6))
    for name in ("mxfp4", "nvfp4", "int8"):
        a, b = quantize(x, name, axis=1), quantize(y, name, axis=0)
        scales: dict[str, Any] = {"a_scales": a.scales, "b_scales": b.scales} if name != "int8" else {}
        assert np.array_equal(matmul(named(name), a, b), matmul(named(name), a.codes, b.codes, **scales))


def test_matmul_empty() -> None:
    assert matmul(named("int8"), np.zeros((0, 3), int), np.zeros((3, 2), int)).shape == (0, 2)
    assert matmul(
        named("mxfp4"), *_zeros((2, 3), (3, 0)), a_scales=_zeros((2, 1))[0], b_scales=_zeros((1, 0))[0]
    ).shape == (
        2,
        0,
    )


def _zeros(*shapes: tuple[int, ...]) -> list[NDArray[np.uint8]]:
    return [np.zeros(shape, np.uint8) for shape in shapes]


def test_matmul_hopper_sample(hopper_unit: Any, hopper_sample: Path) -> None:
    data = np.load(hopper_sample)
    compared = 0
    for key in data.files:
        if key == "source" or not key.endswith("_d"):
            continue
        stem = key.removesuffix("_d")
        unit = hopper_unit(stem.removesuffix("_chain"))
        a, b, c, d = (data[f"{stem}_{part}"] for part in "abcd")
        mask = (1 << unit.element_a.bits) - 1, (1 << unit.element_b.bits) - 1
        for i in range(len(d)):
            found = matmul(unit, a[i : i + 1] & mask[0], b[i][:, None] & mask[1], c[i : i + 1, None])
            assert found == [[d[i]]], (stem, i)
        compared += len(d)
    assert compared == 719


_GROUPS = [
    *(f"{a}_{b}_{d}" for a in ("e4m3", "e5m2") for b in ("e4m3", "e5m2") for d in ("f32", "f16")),
    *("f16_f32", "bf16_f32", "tf32_f32", "f16_f16"),
    *(f"{a}{bits}_{b}{bits}_s32" for bits in (8, 4) for a in "su" for b in "su"),
]


@pytest.mark.parametrize("group", _GROUPS)
def test_matmul_hopper_golden(group: str, shared: Path, hopper_unit: Any, interpreted: bool) -> None:
    with np.load(shared / "golden" / "hopper_h200" / f"{group}.npz") as data:
        a, b, c, d, instructions, lengths = (data[key] for key in ("a", "b", "c", "d", "instr", "instr_k"))
        chained = data["d_chain"] if "d_chain" in data.files else np.zeros((0, 64, 8))
    if group.startswith("tf32"):  # a float32 container, of which the instruction reads the upper 19 bits
        a, b = a >> 13, b >> 13
    stride = 40 if interpreted else 1
    agreed = compared = 0
    for at, (instruction, length) in enumerate(zip(instructions, lengths, strict=True)):
        wgmma = str(instruction).startswith("wgmma")
        if not wgmma and group.startswith("e"):
            continue  # mma.sync on FP8 is a sequence of other instructions
        unit = hopper_unit(str(instruction))
        for tile in range(0, len(a), stride):
            found = matmul(unit, a[tile, :, :length], b[tile, :length], c[tile])
            agreed += int((found == d[tile, at]).sum())
            compared += found.size
        for tile in range(0, len(chained) if wgmma else 0, stride):
            four = slice(4 * tile, 4 * tile + 4)
            left, right = np.concatenate(a[four, :, :length], axis=1), np.concatenate(b[four, :length], axis=0)
            found = matmul(unit, left, right, c[4 * tile])
            agreed += int((found == chained[tile]).sum())
            compared += found.size
    assert agreed == compared
    assert compared >= -(-len(a) // stride) * 512


@pytest.mark.parametrize("shape", ["128x128x256", "128x128x512", "256x128x2048", "1024x1024x1024", "4096x4096x1024"])
def test_matmul_cublas_golden(shape: str, shared: Path, hopper_unit: Any, interpreted: bool) -> None:
    data = np.load(shared / "golden" / "hopper_h200" / "gemm_cublas.npz")
    some = slice(0, 2 if interpreted else 32)
    compared = 0
    for key, instruction in (
        ("e4m3_{}_fast1_f32", "wgmma_m64n8k32_f32_e4m3_e4m3"),
        ("f16_{}_f32", "wgmma_m64n8k16_f32_f16"),
        ("bf16_{}_f32", "wgmma_m64n8k16_f32_bf16"),
    ):
        stem = f"{key.split('_')[0]}_{shape}"
        d = data[key.format(shape)][some]
        assert np.array_equal(matmul(hopper_unit(instruction), data[f"{stem}_a"][some], data[f"{stem}_bT"].T), d)
        compared += d.size
    assert compared == 3 * 32 * (2 if interpreted else 32)


_QUANTIZED = quantize(np.ones((2, 3)), "int4", axis=1)


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"unit": "int8"}, TypeError, "unit must be a DotProductUnit, not 'int8'"),
        ({"a": np.ones((2, 3))}, TypeError, "a must be an array of integers, the codes of int8, not of float64"),
        ({"a": np.full((2, 3), 256)}, ValueError, "a must hold codes of int8, in 0..2**8 - 1, not 256"),
        (
            {"b": np.full((3, 4), -1)},
            ValueError,
            "b must hold codes of int8, in 0..2**8 - 1, not -1: codes are unsigned, and `b & 0xff` makes them",
        ),
        ({"b": np.zeros(3, int)}, ValueError, "b must have two dimensions, not the shape (3,)"),
        ({"b": np.zeros((2, 4), int)}, ValueError, "a's columns and b's rows must be as many, not 3 and 2"),
        (
            {"a": np.zeros((2, 0), int), "b": np.zeros((0, 4), int)},
            ValueError,
            "a must have at least one column, for a dot product has at least one step",
        ),
        ({"c": np.zeros((2, 3), int)}, ValueError, "c must have the shape (2, 4), not (2, 3)"),
        ({"c": np.full((2, 4), 1 << 32)}, ValueError, "c must hold codes of int32, in 0..2**32 - 1, not 4294967296"),
        ({"a_scales": np.zeros((2, 1), int)}, ValueError, "a_scales must be None, for int8 has no block scales"),
        ({"unit": named("mxint8")}, ValueError, "a_scales must be given for the block format mxint8"),
        (
            {"unit": named("mxint8"), "a_scales": np.zeros((2, 1), int), "b_scales": np.zeros((4, 1), int)},
            ValueError,
            "b_scales must have the shape (1, 4), a code a block of 32, not (4, 1)",
        ),
        (
            {"unit": named("nvfp4"), "a_scales": np.full((2, 1), 256), "b_scales": np.zeros((1, 4), int)},
            ValueError,
            "a_scales must hold codes of float8_e4m3fn, in 0..2**8 - 1, not 256",
        ),
        ({"a": _QUANTIZED}, ValueError, "a must be quantized to int8, not to int4"),
        (
            {"a": _QUANTIZED, "a_scales": np.zeros((2, 1), int)},
            ValueError,
            "a_scales must be None where a is a Quantized, which brings its own",
        ),
        (
            {"unit": named("mxint8"), "a": quantize(np.ones((2, 3)), "mxint8", axis=0)},
            ValueError,
            "a must be quantized along axis 1, not along 0",
        ),
    ],
)
def test_matmul_arguments_wrong(change: dict[str, Any], error: type[Exception], text: str) -> None:
    arguments: dict[str, Any] = {"unit": named("int8"), "a": np.zeros((2, 3), int), "b": np.zeros((3, 4), int)} | change
    with pytest.raises(error, match=f"^{re.escape(text)}$"):
        matmul(**arguments)


def test_matmul_one_output_warns_of_nothing() -> None:
    unit = named("float8_e4m3fn")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        d = matmul(unit, np.array([[0x3E]]), np.array([[0xAA]]))
    assert d.view(np.float32)[0, 0] == np.float32(1.75 * -0.3125)
