# SPDX-License-Identifier: Apache-2.0
"""Units and codes that the tests of this folder draw from."""

import importlib.util
import os
import random
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from hwsim import formats
from hwsim.datapath import (
    CascadedAlignment,
    DotProductUnit,
    ExactAlignment,
    FixedAccumulator,
    FloatAccumulator,
    NanResult,
    PairwiseAlignment,
    Promotion,
    Row,
    Sparsity,
    TruncatedAlignment,
    dot,
    dot_exact,
    named,
)
from hwsim.datapath.unit import Alignment, ScalarSpec
from hwsim.formats import BlockSpec, FloatSpec, IntegerSpec, Overflow, PositSpec, Rounding, ScaleRule, Specials
from hwsim.formats.rounding import DETERMINISTIC

Codes = NDArray[np.uint64]
Scalar = IntegerSpec | FloatSpec | PositSpec

_INTERPRETED = os.environ.get("NUMBA_DISABLE_JIT", "0") != "0"
_FLOATS = [
    *("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e4m3b11fnuz", "float8_e3m4"),
    *("float6_e2m3fn", "float6_e3m2fn", "float4_e2m1fn", "float8_e5m3fnu"),
    *("float16", "bfloat16", "tfloat32", "float32"),
]
_REGISTERS = ("float32", "float16", "bfloat16", "float8_e5m2", "tfloat32", "float8_e3m4", "float64")
_OUTPUTS = [
    *("float32", "float16", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m3fnu", "float4_e2m1fn"),
    *("int8", "uint4", "fixed12_8", "int64", "posit16_1", "posit8_0"),
]
_FLOAT64 = FloatSpec(exp_bits=11, man_bits=52, bias=1023, specials=Specials.IEEE)
_SPECIALS = (Specials.IEEE, Specials.FN, Specials.FNUZ, Specials.FINITE)
_SCALES = ("float8_e8m0fnu", "float8_e4m3fn", "float8_e5m3fnu")


class Stream(NamedTuple):
    """Rows as `dot` takes them."""

    a: Codes
    b: Codes
    first: NDArray[np.bool_]
    last: NDArray[np.bool_]
    c: Codes
    scales: Codes | None
    words: NDArray[np.int64] | None = None


def _scalar(name: str) -> Scalar:
    spec = formats.named(name)
    assert isinstance(spec, IntegerSpec | FloatSpec | PositSpec)
    return spec


def _random_scalar(source: random.Random) -> Scalar:
    kind = source.random()
    if kind < 0.05:
        return PositSpec(bits=source.randint(2, 8), es=source.randint(0, 2))
    if kind < 0.08:
        return _FLOAT64
    if kind < 0.25:
        return IntegerSpec(
            bits=source.randint(1, 12), signed=source.random() < 0.7, fraction_bits=source.choice([0, 0, 3, -2])
        )
    if kind < 0.7:
        return _scalar(source.choice(_FLOATS))
    specials = source.choice(_SPECIALS)
    while True:
        try:
            return FloatSpec(
                exp_bits=source.randint(1, 6),
                man_bits=source.randint(0, 6),
                bias=source.randint(-3, 20),
                specials=specials,
                signed=source.random() < 0.8 or specials is Specials.FNUZ,
            )
        except ValueError:  # no such format: another one
            specials = source.choice(_SPECIALS)


def _random_block(source: random.Random, element: Scalar) -> BlockSpec:
    scale = _scalar(source.choice(_SCALES))
    assert isinstance(scale, FloatSpec)
    return BlockSpec(
        element=element,
        scale=scale,
        block_size=source.choice([8, 16, 32]),
        tensor_scale=source.random() < 0.5,
        rule=ScaleRule.AMAX if scale.subnormals or source.random() < 0.3 else ScaleRule.OCP_FLOOR,
    )


def _random_register(source: random.Random, format_: FloatSpec | None = None) -> FloatAccumulator:
    spec = _scalar(source.choice(_REGISTERS)) if format_ is None else format_
    assert isinstance(spec, FloatSpec)
    rounding = source.choice([*DETERMINISTIC, Rounding.NEAREST_EVEN, Rounding.STOCHASTIC])
    most = min(32, 56 - spec.man_bits)
    return FloatAccumulator(
        format=spec,
        rounding=rounding,
        overflow=source.choice([Overflow.INFINITY, Overflow.SATURATE]),
        result_man_bits=source.randint(1, spec.man_bits) if source.random() < 0.4 else spec.man_bits,
        nan=source.choice([NanResult.QUIET, NanResult.QUIET, NanResult.ALL_ONES, NanResult.OPERAND]),
        signed_zero=source.random() < 0.4 and rounding is not Rounding.DOWN,
        flush=source.random() < 0.2,
        random_bits=source.randint(1, most) if rounding is Rounding.STOCHASTIC else 0,
    )


def _random_alignment(source: random.Random) -> Alignment:
    kind = source.random()
    if kind < 0.4:
        return ExactAlignment()
    if kind < 0.55:
        return PairwiseAlignment()
    if kind < 0.7:
        return CascadedAlignment(
            fraction_bits=source.randint(0, 30),
            sum_fraction_bits=source.randint(0, 40),
            register_fraction_bits=source.randint(0, 40),
            parts=source.randint(1, 2),
            register_reach=source.choice([0, 0, 25, 3]),
        )
    return TruncatedAlignment(
        fraction_bits=source.randint(0, 35),
        exp_floor=source.choice([-133, -20, 0, 5, -1000]),
        with_accumulator=source.random() < 0.6,
        rounding=source.choice([Rounding.TOWARD_ZERO, *DETERMINISTIC]),
        group=source.choice([1, 1, 1, 2, 4]),
    )


def _random_fixed(source: random.Random, x: Scalar, y: Scalar) -> FixedAccumulator:
    least = sum(-spec.scale_max if isinstance(spec, PositSpec) else spec.exp_min for spec in (x, y))
    return FixedAccumulator(
        bits=source.choice([source.randint(8, 63), source.randint(16, 32)]),
        fraction_bits=-least + source.choice([0, 0, 0, 2]),
        overflow=source.choice([Overflow.WRAP, Overflow.SATURATE]),
    )


def _random_promotion(source: random.Random, inner: FixedAccumulator | FloatAccumulator, width: int) -> Promotion:
    outer: FixedAccumulator | FloatAccumulator = _random_register(source)
    if isinstance(inner, FixedAccumulator) and source.random() < 0.5:
        places = inner.fraction_bits + source.choice([0, 0, 3, 40])
        overflow = source.choice([Overflow.WRAP, Overflow.SATURATE])
        outer = FixedAccumulator(bits=source.randint(8, 63), fraction_bits=places, overflow=overflow)
    return Promotion(length=width * source.randint(1, 3), accumulator=outer)


def _random_fused(source: random.Random) -> DotProductUnit:
    """Return a unit that is the machine's fused multiply-add, but for the sign of zeros, flushing and NaN."""
    register = FloatAccumulator(
        format=_FLOAT64,
        rounding=Rounding.NEAREST_EVEN,
        overflow=Overflow.INFINITY,
        result_man_bits=52,
        nan=source.choice(list(NanResult)),
        signed_zero=source.random() < 0.6,
        flush=source.random() < 0.3,
    )
    return DotProductUnit(
        a=_FLOAT64, b=_FLOAT64, lanes=1, alignment=ExactAlignment(), accumulator=register, output=_FLOAT64
    )


def _try_unit(source: random.Random) -> DotProductUnit:
    if source.random() < 0.02:
        return _random_fused(source)
    x = _random_scalar(source)
    y = _random_scalar(source) if source.random() < 0.5 else x
    a: Scalar | BlockSpec = x
    b: Scalar | BlockSpec = y
    lanes = source.choice([1, 1, 2, 3, 4, 8, 16, 32])
    sparsity = source.choice([None, None, None, None, Sparsity(kept=2, of=4), Sparsity(kept=1, of=2)])
    width = lanes if sparsity is None else lanes * 2
    accumulator: FixedAccumulator | FloatAccumulator
    alignment: Alignment = ExactAlignment()
    if source.random() < 0.3:
        accumulator = _random_fixed(source, x, y)
    else:
        operand_nan = source.random() < 0.1 and isinstance(x, FloatSpec) and x.specials is Specials.IEEE
        if operand_nan:
            b, lanes, width, sparsity = a, 1, 1, None
        accumulator = _random_register(source, x if operand_nan and isinstance(x, FloatSpec) else None)
        if not operand_nan:
            a = _random_block(source, x) if source.random() < 0.4 else a
            b = _random_block(source, y) if source.random() < 0.4 else b
        alignment = _random_alignment(source)
    promotion = _random_promotion(source, accumulator, width) if source.random() < 0.15 else None
    register = accumulator if promotion is None else promotion.accumulator
    return DotProductUnit(
        a=a,
        b=b,
        lanes=lanes,
        alignment=alignment,
        accumulator=accumulator,
        output=source.choice([register.format, register.format, *map(_scalar, _OUTPUTS)]),
        rounding=source.choice(DETERMINISTIC),
        overflow=source.choice([Overflow.SATURATE, Overflow.INFINITY, Overflow.WRAP]),
        promotion=promotion,
        ignored_bits=source.choice([1, 5, 13]) if source.random() < 0.1 else 0,
        operand_rounding=source.choice([Rounding.TOWARD_ZERO, Rounding.NEAREST_EVEN]),
        flush_operands=source.random() < 0.1,
        sparsity=sparsity,
    )


def _random_unit(source: random.Random) -> DotProductUnit:
    while True:
        try:
            return _try_unit(source)
        except ValueError:  # parts that do not go together: others
            continue


def _random_codes(source: random.Random, spec: ScalarSpec, count: int, finite: bool) -> Codes:
    codes = np.array([source.getrandbits(spec.bits) for _ in range(count)], np.uint64)
    if isinstance(spec, FloatSpec) and spec.exp_bits >= 8 and source.random() < 0.5:  # of like magnitudes
        reach = source.choice([1, 4, 30])
        middle = min(max(spec.bias, reach), (1 << spec.exp_bits) - 2 - reach)
        fields = np.array([middle + source.randint(-reach, reach) for _ in range(count)], np.uint64)
        codes &= np.uint64(((1 << 64) - 1) ^ (((1 << spec.exp_bits) - 1) << spec.man_bits))
        codes |= fields << np.uint64(spec.man_bits)
    if finite:
        codes = np.where(spec.unpack(codes).special != 0, 0, codes).astype(np.uint64)
        if source.random() < 0.3:
            codes[np.random.default_rng(source.getrandbits(32)).random(count) < 0.5] = 0
    elif isinstance(spec, FloatSpec) and source.random() < 0.2:  # the corners alone
        corners = [0, 1, spec.max_magnitude_code, spec.nan_code, spec.inf_code, 1 << spec.man_bits]  # -1: none
        codes = np.array([source.choice([code for code in corners if code >= 0]) for _ in range(count)], np.uint64)
        if spec.signed:
            codes |= np.array([source.getrandbits(1) << (spec.bits - 1) for _ in range(count)], np.uint64)
    return codes


def _random_operands(source: random.Random, unit: DotProductUnit, rows: int, finite: bool) -> tuple[Codes, Codes]:
    """Return codes with random ignored bits, and a as sparse as it must."""
    sides = []
    for spec in (unit.element_a, unit.element_b):
        codes = _random_codes(source, spec, rows * unit.width, finite).reshape(rows, unit.width)
        sides.append(codes)
    sparsity = unit.sparsity
    if sparsity is not None:
        chosen = np.random.default_rng(source.getrandbits(32)).random((rows, unit.width // sparsity.of, sparsity.of))
        zero = int(unit.element_a.encode(0.0))
        sides[0][(chosen.argsort(axis=-1) >= sparsity.kept).reshape(rows, unit.width)] = zero
    if unit.ignored_bits:
        low = np.random.default_rng(source.getrandbits(32)).integers(0, 1 << unit.ignored_bits, (2, rows, unit.width))
        low[source.getrandbits(1)] = source.choice([0, 1 << (unit.ignored_bits - 1), 1])
        sides = [sides[at] << np.uint64(unit.ignored_bits) | low[at].astype(np.uint64) for at in (0, 1)]
        if sparsity is not None:
            sides[0] >>= np.uint64(unit.ignored_bits)
            sides[0] <<= np.uint64(unit.ignored_bits)
    return sides[0], sides[1]


def _random_stream(source: random.Random, unit: DotProductUnit, rows: int) -> Stream:
    """Return dot products of random lengths; in a third of the streams steps cancel those before them."""
    finite = source.random() < 0.7
    a, b = _random_operands(source, unit, rows, finite)
    scales = None
    if unit.scales:
        columns = []
        for spec in unit.scales:
            column = _random_codes(source, spec, rows, source.random() < 0.9)
            if not spec.subnormals and source.random() < 0.8:  # powers of two that do not dwarf one another
                column = np.array([spec.bias + source.randint(-7, 7) for _ in range(rows)], np.uint64)
            columns.append(column)
        scales = np.stack(columns, axis=1)
    if source.random() < 0.3 and getattr(unit.element_a, "signed", False):
        a[1::2] = a[0 : 2 * (rows // 2) : 2][: len(a[1::2])]
        b[1::2] = b[0 : 2 * (rows // 2) : 2][: len(b[1::2])]
        if isinstance(unit.element_a, FloatSpec) and unit.sparsity is None:  # -0 is no zero in all formats
            a[1::2] ^= np.uint64(1 << (unit.element_a.bits + unit.ignored_bits - 1))
        if scales is not None:
            scales[1::2] = scales[0 : 2 * (rows // 2) : 2][: len(scales[1::2])]
    first = np.array([source.random() < 0.3 for _ in range(rows)])
    first[0] = True
    last = np.array([source.random() < 0.8 for _ in range(rows)])
    last[-1] = True
    c = _random_codes(source, unit.register.format, rows, finite)
    words = None
    if isinstance(unit.accumulator, FloatAccumulator) and unit.accumulator.random_bits:
        words = np.array([source.getrandbits(unit.accumulator.random_bits) for _ in range(rows)], np.int64)
    return Stream(a, b, first, last, c, scales, words)


def _compare(unit: DotProductUnit, stream: Stream) -> int:
    """Fail unless kernel and oracle agree on every output; return how many there were."""
    a, b, first, last, c, scales, words = stream
    found = dot(unit, a, b, first, last, c, scales=scales, words=words)
    rows = [
        Row(
            first=bool(first[i]),
            last=bool(last[i]),
            a=tuple(map(int, a[i])),
            b=tuple(map(int, b[i])),
            scales=() if scales is None else tuple(map(int, scales[i])),
            c=int(c[i]),
            word=0 if words is None else int(words[i]),
        )
        for i in range(len(a))
    ]
    expected = dot_exact(unit, rows)
    assert found.tolist() == expected, unit
    return len(expected)


def _hopper_unit(instruction: str) -> DotProductUnit:
    """Return the unit of a Hopper instruction, of a tfloat32 without the 13 bits below it."""
    return replace(named(f"hopper_{instruction}"), ignored_bits=0)


@pytest.fixture(scope="session")
def interpreted() -> bool:
    """Tell whether the kernels run uncompiled, a thousand times slower: then fewer vectors."""
    return _INTERPRETED


@pytest.fixture(scope="session")
def random_unit() -> Callable[[random.Random], DotProductUnit]:
    """Return a function that draws a unit."""
    return _random_unit


@pytest.fixture(scope="session")
def random_codes() -> Callable[[random.Random, Scalar, int, bool], Codes]:
    """Return a function that draws codes, finite ones or any."""
    return _random_codes


@pytest.fixture(scope="session")
def random_stream() -> Callable[[random.Random, DotProductUnit, int], Stream]:
    """Return a function that draws rows for a unit."""
    return _random_stream


@pytest.fixture(scope="session")
def compare() -> Callable[[DotProductUnit, Stream], int]:
    """Return a function that compares `dot` with `dot_exact`."""
    return _compare


@pytest.fixture(scope="session")
def hopper_unit() -> Callable[[str], DotProductUnit]:
    """Return a function that gives the unit of a Hopper instruction."""
    return _hopper_unit


@pytest.fixture(scope="session")
def hopper_sample() -> Path:
    """Return the file of outputs of Hopper instructions; its `source` says where they come from."""
    return Path(__file__).with_name("hopper_h200.npz")


@pytest.fixture(scope="session")
def golden() -> ModuleType:
    """Return the module that reads outputs of real hardware and compares units with them."""
    return _beside("golden")


@pytest.fixture(scope="session")
def hardware_mutants() -> ModuleType:
    """Return the module that shifts the parameters of units."""
    return _beside("hardware_mutants")


def _beside(stem: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(stem, Path(__file__).with_name(f"{stem}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[stem] = module
    spec.loader.exec_module(module)
    return module
