# SPDX-License-Identifier: Apache-2.0
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hwsim.datapath import (
    DotProductUnit,
    FixedAccumulator,
    FloatAccumulator,
    Row,
    TruncatedAlignment,
    dot_exact,
    hardware_entries,
    hardware_entry,
    named,
    names,
)
from hwsim.datapath.evidence import Evidence
from hwsim.formats import Overflow

ONE, MINUS_ONE = 0x3F800000, 0xBF800000


def _dot(name: str, a: list[int], b: list[int], c: int = 0, scales: tuple[int, ...] = ()) -> int:
    """Return d of one step, filled up with zeros."""
    unit = named(name)
    filled = [0] * (unit.width - len(a))
    (d,) = dot_exact(unit, [Row(first=True, last=True, a=(*a, *filled), b=(*b, *filled), scales=scales, c=c)])
    return d


def test_hardware_entries_are_named_units() -> None:
    entries = hardware_entries()
    assert len({entry.name for entry in entries}) == len(entries) > 500
    for entry in entries:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", entry.name)
        assert hardware_entry(entry.name) is entry
        assert named(entry.name) == entry.unit
        assert entry.vendor in ("NVIDIA", "AMD")
        assert entry.source
        assert isinstance(entry.evidence, Evidence)
    assert {entry.name for entry in entries} <= set(names())


def test_hardware_evidence_is_what_vectors_there_are() -> None:
    by_evidence: dict[Evidence, list[str]] = {kind: [] for kind in Evidence}
    for entry in hardware_entries():
        by_evidence[entry.evidence].append(entry.name)
    assert all("hopper_" in name for name in by_evidence[Evidence.MEASURED])
    families = {name.partition("_")[0] for name in by_evidence[Evidence.REPRODUCED]}
    assert families == {"volta", "ampere", "ada", "blackwell"}
    assert not any("tcgen05" in name or "_s32_" in name for name in by_evidence[Evidence.REPRODUCED])
    assert all(entry.evidence is Evidence.LITERATURE for entry in hardware_entries() if entry.vendor == "AMD")


# What Khattak and Mikaitis captured: one step of f16, bf16 and tf32, and FP8 of two steps on Ada.
@pytest.mark.parametrize(
    ("name", "reproduced"),
    [
        ("volta_mma_m8n8k4_f32_f16", True),
        *((f"{gpu}_mma_m16n8k8_{kind}", True) for gpu in ("ampere", "ada") for kind in ("f32_f16", "f16_f16")),
        *((f"{gpu}_mma_m16n8k16_{kind}", False) for gpu in ("ampere", "ada") for kind in ("f32_f16", "f16_f16")),
        *((f"{gpu}_mma_m16n8k8_f32_bf16", True) for gpu in ("ampere", "ada")),
        *((f"{gpu}_mma_m16n8k16_f32_bf16", False) for gpu in ("ampere", "ada")),
        *((f"{gpu}_mma_m16n8k4_f32_tf32", True) for gpu in ("ampere", "ada", "blackwell")),
        *((f"{gpu}_mma_m16n8k8_f32_tf32", False) for gpu in ("ampere", "ada", "blackwell")),
        ("ada_mma_m16n8k32_f32_e4m3_e4m3", True),
        ("ada_mma_m16n8k16_f32_e4m3_e4m3", False),
        ("ada_mma_m16n8k32_f32_e4m3_e5m2", False),
        ("blackwell_mma_m16n8k16_f32_f16", True),
        ("blackwell_mma_m16n8k8_f32_f16", False),
        ("blackwell_mma_m16n8k32_f32_e4m3_e4m3", True),
    ],
)
def test_hardware_evidence_of_shapes(name: str, reproduced: bool) -> None:
    found = hardware_entry(name)
    assert found.evidence is (Evidence.REPRODUCED if reproduced else Evidence.LITERATURE)
    if not reproduced:
        assert "vectors" in found.note


def test_hardware_cdna1_lacks_later_instructions() -> None:
    first = [entry.name for entry in hardware_entries() if entry.name.startswith("cdna1_")]
    assert not any("f64" in name or "_1k" in name for name in first)
    assert len(first) > 20


# MMA-Sim @ c785138, arch_accum_fractional_bits and is_split_k; floors of Khattak and Mikaitis; K of a step.
@pytest.mark.parametrize(
    ("name", "lanes", "fraction_bits", "floor"),
    [
        ("volta_mma_m8n8k4_f16_f16", 4, 23, -19),
        ("turing_mma_m16n8k8_f32_f16", 8, 24, -132),
        ("ampere_mma_m16n8k16_f32_f16", 8, 24, -132),
        ("ampere_mma_m16n8k16_f16_f16", 8, 24, -20),
        ("ampere_mma_m16n8k8_f32_tf32", 4, 24, -132),
        ("ada_mma_m16n8k32_f32_e4m3_e5m2", 16, 13, -133),
        ("hopper_mma_m16n8k16_f32_bf16", 16, 25, -133),
        ("hopper_wgmma_m64n8k32_f16_e5m2_e4m3", 32, 13, -21),
        ("hopper_mma_m16n8k32_f32_e4m3_e4m3", 16, 25, -133),
        ("blackwell_tcgen05_f8f6f4_f32_e4m3_e2m1", 32, 25, -133),
        ("blackwell_tcgen05_mxf8f6f4_f32_e3m2_e4m3_ue8m0", 32, 25, -133),
        ("blackwell_tcgen05_mxf4nvf4_block16_f32_e2m1_e2m1_ue4m3", 64, 35, -133),
        ("rtx_blackwell_mma_m16n8k32_f32_e4m3_e4m3", 32, 25, -133),
    ],
)
def test_hardware_parameters(name: str, lanes: int, fraction_bits: int, floor: int) -> None:
    unit = named(name)
    assert isinstance(unit.alignment, TruncatedAlignment)
    assert (unit.lanes, unit.alignment.fraction_bits, unit.alignment.exp_floor) == (lanes, fraction_bits, floor)


def test_hardware_emulated_fp8_is_two_steps_and_an_addition() -> None:
    unit = named("hopper_mma_m16n8k16_f32_e4m3_e4m3")
    assert unit.order == (0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15)
    assert unit.promotion is not None
    assert (unit.lanes, unit.promotion.length) == (8, 16)


@pytest.mark.parametrize("ending", ["", "_sat"])
def test_hardware_integers(ending: str) -> None:
    for entry in hardware_entries():
        if "_s32_" not in entry.name or entry.name.endswith("_sat") != bool(ending):
            continue
        assert isinstance(entry.unit.accumulator, FixedAccumulator)
        assert entry.unit.accumulator.overflow is (Overflow.SATURATE if ending else Overflow.WRAP)
    # 15 * 7 - 15 * 8: the exact sum is clamped, not each product.
    assert _dot(f"hopper_mma_m16n8k64_s32_u4_s4{ending}", [15, 15], [7, 8], 0x7FFFFFFF) == 0x7FFFFFFF - 15


def test_hardware_mantissa_of_fp8() -> None:
    # 1 * 1 + 2**-7 * 2**-7 in E5M2: 2**-14 is one place too low for 13 fraction bits.
    a, b = [0x3C, 0x20], [0x3C, 0x20]
    assert _dot("hopper_wgmma_m64n8k32_f32_e5m2_e5m2", a, b) == ONE
    assert _dot("ada_mma_m16n8k32_f32_e5m2_e5m2", a, b) == ONE
    assert _dot("blackwell_tcgen05_f8f6f4_f32_e5m2_e5m2", a, b) == ONE + (1 << (23 - 14))


def test_hardware_block_scales() -> None:
    # 64 products 1 * 1 under scales of 2 and 1.5, a group of 16 a scale: 64 * 3, and C.
    name = "blackwell_tcgen05_mxf4nvf4_block16_f32_e2m1_e2m1_ue4m3"
    scales = (0x40,) * 4 + (0x3C,) * 4
    assert _dot(name, [2] * 64, [2] * 64, ONE, scales) == int(np.float32(193).view(np.uint32))
    name = "rtx_blackwell_mma_m16n8k64_mxf4_f32_e2m1_e2m1_ue8m0"
    assert _dot(name, [2] * 64, [2] * 64, 0, (128, 126, 127, 127)) == int(np.float32(32 * 2 + 16).view(np.uint32))
    name = "blackwell_tcgen05_mxf8f6f4_f32_e4m3_e2m1_ue8m0"
    assert _dot(name, [0x38], [2], 0, (130, 125)) == int(np.float32(2).view(np.uint32))


def test_hardware_cdna1_readings_differ() -> None:
    # 1 + 2**-24 + 2**-24, by pairs (1 + 2**-24) + 2**-24: each is a tie and goes to 1; exactly it is 1 + 2**-23.
    a, b = [0x3C00, 0x0C00, 0x0C00], [0x3C00, 0x0C00, 0x0C00]
    assert _dot("cdna1_v_mfma_f32_16x16x16f16_exact", a, b) == ONE + 1
    assert _dot("cdna1_v_mfma_f32_16x16x16f16_pairwise", a, b) == ONE


def test_hardware_cdna2_flushes() -> None:
    assert _dot("cdna2_v_mfma_f32_16x16x16f16", [0x0001], [0x3C00]) == 0
    assert _dot("cdna1_v_mfma_f32_16x16x16f16_exact", [0x0001], [0x3C00]) == int(np.float32(2**-24).view(np.uint32))
    assert _dot("cdna2_v_mfma_f32_16x16x4bf16_1k", [0x3F80], [0x3F80], 0x807FFFFF) == ONE
    smallest = 0x0080  # 2**-126 in bfloat16; times 1/2 it is subnormal
    assert _dot("cdna2_v_mfma_f32_16x16x4bf16_1k", [smallest], [0x3F00]) == 0
    assert _dot("cdna1_v_mfma_f32_16x16x2bf16_exact", [smallest], [0x3F00]) == 0x00400000


@pytest.mark.parametrize(
    ("c", "expected"),
    [
        (0x2B800000, ONE),  # 2**-40 is cut to zero
        (0xAB800000, ONE - 1),  # and -2**-40 to -2**-24
        (0xB3000000, ONE - 1),  # so is -2**-25
    ],
)
def test_hardware_cdna3_rounds_down(c: int, expected: int) -> None:
    assert _dot("cdna3_v_mfma_f32_16x16x16_f16", [0x3C00], [0x3C00], c) == expected
    assert _dot("cdna3_v_mfma_f32_16x16x8_xf32", [ONE + 0x1FFF], [ONE], c) == expected
    reached = expected if c != 0xAB800000 else ONE  # FP8 units drop a C that is more than 25 places down
    assert _dot("cdna3_v_mfma_f32_16x16x32_fp8_bf8", [0x40], [0x40], c) == reached


def test_hardware_chains_keep_signs_of_zero() -> None:
    minus_zero = 1 << 63
    assert _dot("hopper_mma_m8n8k4_f64", [minus_zero], [0x3FF0000000000000], minus_zero) == minus_zero
    assert _dot("cdna3_v_mfma_f32_16x16x4_f32", [0x80000000], [ONE], 0x80000000) == 0x80000000
    assert _dot("hopper_wgmma_m64n8k8_f32_tf32", [0x80000000] * 8, [ONE] * 8, 0x80000000) == 0


def test_hardware_gemm_presets() -> None:
    fast, slow = named("cublas_hopper_e4m3_fast_float32"), named("cublas_hopper_e4m3_slow_float32")
    assert slow.promotion is not None
    assert slow.promotion.length == 128
    assert replace(slow, promotion=None) == fast == named("hopper_e4m3_e4m3_float32")
    bfloat16 = named("cublas_hopper_bf16_bfloat16")
    assert (bfloat16.output.name, bfloat16.accumulator.name) == ("bfloat16", "float32_toward_zero_ones")


def _nan_code(unit: DotProductUnit) -> int:
    assert isinstance(unit.register, FloatAccumulator)
    return unit.register.nan_code


def test_hardware_nan_of_tensor_cores() -> None:
    for entry in hardware_entries():
        if entry.vendor == "NVIDIA" and isinstance(entry.unit.register, FloatAccumulator) and "f64" not in entry.name:
            assert _nan_code(entry.unit) == (0x7FFFFFFF if entry.unit.register.bits == 32 else 0x7FFF)


@pytest.mark.parametrize(
    ("name", "error", "text"),
    [
        (8, TypeError, "the name of a hardware unit must be a str, not 8"),
        (
            "hoper_wgmma_m64n8k16_f32_f16",
            KeyError,
            "unknown hardware unit 'hoper_wgmma_m64n8k16_f32_f16': did you mean hopper_wgmma_m64n8k16_f32_f16",
        ),
        ("?", KeyError, "unknown hardware unit '?': `hwsim units` lists the catalog"),
    ],
)
def test_hardware_entry_wrong(name: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=re.escape(text)):
        hardware_entry(name)
