# SPDX-License-Identifier: Apache-2.0
"""AMD's matrix cores, CDNA1 to CDNA3, as the literature has them; none was checked on hardware here."""

from collections.abc import Iterator

from hwsim import formats
from hwsim.datapath.evidence import Entry, Evidence
from hwsim.datapath.hardware_nvidia import KHATTAK, MMA_SIM, chain
from hwsim.datapath.unit import (
    CascadedAlignment,
    DotProductUnit,
    ExactAlignment,
    FixedAccumulator,
    FloatAccumulator,
    NanResult,
    PairwiseAlignment,
)
from hwsim.formats import FloatSpec, IntegerSpec, Overflow, Rounding

__all__ = [
    "entries",
]

_NAN = "the code of a NaN and the sign of a zero are not in the sources"
_CHAIN = f"the NaN is assumed to be the quiet one; {_NAN}"
_INTEGERS = "not in the sources: an exact sum that wraps is assumed"
_EXACT = f"of two readings the one of Khattak and Mikaitis and of later MMA-Sim: an exact sum, rounded once; {_NAN}"
_PAIRWISE = f"of two readings that of the first MMA-Sim: pairs, each sum rounded to float32; {_NAN}"
_FLUSHED = f"subnormals are flushed: operands, C and every intermediate; {_NAN}"
_FP8 = (
    "downward cuts and a reach of 25 by MMA-Sim @ c785138; its later package cuts toward zero in this instruction "
    f"and drops no C; {_NAN}"
)
_CDNA3 = f"Khattak and Mikaitis' CDNA3.m lets a C of zero or below 2**-126 count as 2**-126 in the alignment; {_NAN}"


def _float(name: str) -> FloatSpec:
    spec = formats.named(name)
    assert isinstance(spec, FloatSpec)
    return spec


def _register(*, flush: bool = False) -> FloatAccumulator:
    return FloatAccumulator(
        format=_float("float32"),
        rounding=Rounding.NEAREST_EVEN,
        overflow=Overflow.INFINITY,
        result_man_bits=23,
        flush=flush,
    )


def _unit(
    a: str,
    b: str,
    lanes: int,
    alignment: ExactAlignment | PairwiseAlignment | CascadedAlignment,
    *,
    flush: bool = False,
) -> DotProductUnit:
    register = _register(flush=flush)
    return DotProductUnit(
        a=_float(a),
        b=_float(b),
        lanes=lanes,
        alignment=alignment,
        accumulator=register,
        output=register.format,
        ignored_bits=13 if a == "tfloat32" else 0,
        flush_operands=flush,
    )


def _entry(family: str, name: str, unit: DotProductUnit, note: str, source: str = "", reading: str = "") -> Entry:
    architecture = {"cdna1": "CDNA1 (gfx908)", "cdna2": "CDNA2 (gfx90a)", "cdna3": "CDNA3 (gfx942)"}[family]
    instruction = f"v_mfma_{name}"
    source = source or f"{MMA_SIM}; {KHATTAK.replace('2512.07004', '2512.07004 and its CDNA models')}"
    full = f"{family}_{instruction}{reading}"
    return Entry(full, unit, "AMD", architecture, instruction, Evidence.LITERATURE, source, note)


def _integer(lanes: int) -> DotProductUnit:
    spec = formats.named("int8")
    assert isinstance(spec, IntegerSpec)
    register = FixedAccumulator(bits=32, fraction_bits=0, overflow=Overflow.WRAP)
    return DotProductUnit(
        a=spec, b=spec, lanes=lanes, alignment=ExactAlignment(), accumulator=register, output=register.format
    )


_Shapes = dict[str, tuple[str, ...]]
_SHAPES: _Shapes = {
    "f32": ("32x32x2f32", "32x32x1f32", "16x16x4f32", "16x16x1f32", "4x4x1f32"),
    "f16": ("32x32x8f16", "32x32x4f16", "16x16x16f16", "16x16x4f16", "4x4x4f16"),
    "bf16": ("32x32x4bf16", "32x32x2bf16", "16x16x8bf16", "16x16x2bf16", "4x4x2bf16"),
    "bf16_1k": ("32x32x8bf16_1k", "32x32x4bf16_1k", "16x16x16bf16_1k", "16x16x4bf16_1k", "4x4x4bf16_1k"),
    "i8": ("32x32x8i8", "32x32x4i8", "16x16x16i8", "16x16x4i8", "4x4x4i8"),
}
_CDNA3_SHAPES: _Shapes = {
    "f32": ("32x32x2_f32", "32x32x1_2b_f32", "16x16x4_f32", "16x16x1_4b_f32", "4x4x1_16b_f32"),
    "f16": ("32x32x8_f16", "32x32x4_2b_f16", "16x16x16_f16", "16x16x4_4b_f16", "4x4x4_16b_f16"),
    "bf16": ("32x32x8_bf16", "32x32x4_2b_bf16", "16x16x16_bf16", "16x16x4_4b_bf16", "4x4x4_16b_bf16"),
    "xf32": ("32x32x4_xf32", "16x16x8_xf32"),
    "i8": ("32x32x16_i8", "32x32x4_2b_i8", "16x16x32_i8", "16x16x4_4b_i8", "4x4x4_16b_i8"),
}
_FULL = {"f16": "float16", "bf16": "bfloat16", "xf32": "tfloat32"}
_FNUZ = {"fp8": "float8_e4m3fnuz", "bf8": "float8_e5m2fnuz"}


def _depth(shape: str) -> int:
    """Return the K of an instruction by its name."""
    digits = shape.split("x")[2]
    return int(digits[: next(at for at, letter in enumerate(digits) if not letter.isdigit())])


def _common(family: str, shapes: _Shapes) -> Iterator[Entry]:
    """Make the entries of float32 and 8-bit integers."""
    for shape in shapes["f32"]:
        yield _entry(family, f"f32_{shape}", chain("float32", NanResult.QUIET), _CHAIN, MMA_SIM)
    for shape in shapes["i8"]:
        source = "AMD CDNA instruction set guides, V_MFMA_I32"
        yield _entry(family, f"i32_{shape}", _integer(_depth(shape)), _INTEGERS, source)


def _cdna1() -> Iterator[Entry]:
    # Neither f64 nor bf16_1k: some tables of the sources list them for CDNA1, but the MI100 (gfx908) has not got them.
    yield from _common("cdna1", _SHAPES)
    for operand, lanes in (("f16", 4), ("bf16", 2)):
        full = _FULL[operand]
        for shape in _SHAPES[operand]:
            exact, pairs = _unit(full, full, lanes, ExactAlignment()), _unit(full, full, lanes, PairwiseAlignment())
            yield _entry("cdna1", f"f32_{shape}", exact, _EXACT, reading="_exact")
            yield _entry("cdna1", f"f32_{shape}", pairs, _PAIRWISE, MMA_SIM, reading="_pairwise")


def _cdna2() -> Iterator[Entry]:
    yield from _common("cdna2", _SHAPES)
    for operand, lanes in (("f16", 4), ("bf16", 2), ("bf16_1k", 4)):
        full = _FULL[operand.removesuffix("_1k")]
        for shape in _SHAPES[operand]:
            unit = _unit(full, full, lanes, PairwiseAlignment(), flush=True)
            yield _entry("cdna2", f"f32_{shape}", unit, _FLUSHED)
    for shape in ("16x16x4f64", "4x4x4f64"):
        yield _entry("cdna2", f"f64_{shape}", chain("float64", NanResult.QUIET), _CHAIN, MMA_SIM)


def _cdna3() -> Iterator[Entry]:
    yield from _common("cdna3", _CDNA3_SHAPES)
    cascade = CascadedAlignment(fraction_bits=24, sum_fraction_bits=31, register_fraction_bits=24)
    for operand, most in (("f16", 8), ("bf16", 8), ("xf32", 4)):
        full = _FULL[operand]
        for shape in _CDNA3_SHAPES[operand]:
            unit = _unit(full, full, min(most, _depth(shape)), cascade)
            yield _entry("cdna3", f"f32_{shape}", unit, _CDNA3)
    halves = CascadedAlignment(
        fraction_bits=24, sum_fraction_bits=31, register_fraction_bits=24, parts=2, register_reach=25
    )
    for shape in ("16x16x32", "32x32x16"):
        for a, full_a in _FNUZ.items():
            for b, full_b in _FNUZ.items():
                yield _entry("cdna3", f"f32_{shape}_{a}_{b}", _unit(full_a, full_b, 16, halves), _FP8)
    for shape in ("16x16x4_f64", "4x4x4_4b_f64"):
        yield _entry("cdna3", f"f64_{shape}", chain("float64", NanResult.QUIET), _CHAIN, MMA_SIM)


def entries() -> Iterator[Entry]:
    """Make the entries of CDNA1, CDNA2 and CDNA3."""
    yield from _cdna1()
    yield from _cdna2()
    yield from _cdna3()
