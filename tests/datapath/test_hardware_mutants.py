# SPDX-License-Identifier: Apache-2.0
"""Every parameter of every NVIDIA unit that has vectors, shifted: the vectors tell, but for what is listed here."""

import re
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from hwsim.datapath import named

_H_FP8 = "hopper_mma_m16n8k"
_B_FP8 = "blackwell_mma_m16n8k32"
_HALF = r"(volta|ampere|ada|blackwell)_mma_\w+_f16_f16"
_NO_ZEROS = "no vector has zeros of negative sign alone"
_HIDDEN = (
    "the bits that the alignment cuts are below those that a float16 result keeps, and no vector cancels down to them"
)
_TAME = (
    "the vectors of other GPUs are of moderate size: no NaN or infinity, no overflow, no subnormal and no zero result"
)
_EXACT = "the sums of these vectors lose nothing, or nothing that the result keeps"

# What operands could tell but none of the vectors does: units, their mutants, and why.
UNSEEN = (
    (
        r"hopper_wgmma_m64n8k32_(f32_\w+|f16_e4m3_e4m3)|hopper_\w+_f32_f16",
        "signed_zero",
        _NO_ZEROS,
    ),
    (r"hopper_wgmma_m64n8k32_f32_e5m2_e[45]m[32]", "flush", "no result of these vectors is subnormal"),
    (rf"{_H_FP8}(32|16)_f16_(e4m3_e5m2|e5m2_e4m3)", "unpacked", _HIDDEN),
    (rf"{_H_FP8}((32|16)_f16_e4m3_e4m3|32_f16_e4m3_e5m2|32_f16_e5m2_e5m2)", "alignment rounding down", _HIDDEN),
    (rf"{_H_FP8}(16_f16_e4m3_e4m3|32_f16_e5m2_e5m2)", "fraction_bits -1", _HIDDEN),
    (
        rf"{_H_FP8}16_f16_e[45]m[32]_e4m3",
        r"fraction_bits \+1|alignment rounding (nearest_even|up)",
        _HIDDEN,
    ),
    (rf"{_H_FP8}16_f16_(e4m3_e4m3|e5m2_e5m2)", "with_accumulator", _HIDDEN),
    (rf"(?!hopper|{_B_FP8}_f32).*", "flush", _TAME),
    (rf"(?!hopper|{_B_FP8}).*", "signed_zero|nan quiet", _TAME),
    (rf"{_B_FP8}.*", "promotion nan quiet|promotion flush", _TAME),
    (rf"{_B_FP8}_f16.*", r"format man_bits \+1|promotion overflow", _TAME),
    (r"(?!hopper)\w+_(f16_\w+|f32_bf16|f32_tf32)", "overflow", _TAME),
    (r"(?!hopper)\w+_(f16_f16|f32_bf16|f32_tf32)", r"exp_floor [-+]1", _TAME),
    (
        r"(?!hopper|ada_\w+_e4m3|a(da|mpere)_\w+_f32_f16|blackwell_\w+(16_f\d\d_f16|32_f\d\d_e5m2_e5m2)).*",
        "flush_operands",
        _TAME,
    ),
    (rf"{_HALF}|{_B_FP8}.*", r"fraction_bits \+1|with_accumulator|alignment rounding (nearest_even|up)", _EXACT),
    (rf"(?!ada){_HALF}|{_B_FP8}.*", "alignment rounding down", _EXACT),
    (rf"(?!blackwell){_HALF}|{_B_FP8}.*", "fraction_bits -1", _EXACT),
    (r"(ampere|blackwell)_mma_\w+_f16_f16", "rounding nearest_away", _EXACT),
    (rf"{_B_FP8}_f32.*", "order|order across steps", _EXACT),
    (
        rf"{_B_FP8}_f32_e4m3_e4m3",
        r"rounding (nearest_even|down|up)|result_man_bits -1|format man_bits -1|lanes halved",
        _EXACT,
    ),
    (
        r"(ampere|ada|blackwell)_mma_m16n8k4_f32_tf32",
        "ignored_bits -1|operand_rounding",
        "the 13 low bits of these vectors are zero",
    ),
)


def _unseen(unit: str, mutant: str) -> str:
    return next((why for units, some, why in UNSEEN if re.fullmatch(units, unit) and re.fullmatch(some, mutant)), "")


def _killed(cases: Iterable[Any], golden: ModuleType, hardware_mutants: ModuleType) -> dict[tuple[str, str], bool]:
    """Return of each unit's mutants whether an output differs."""
    found: dict[tuple[str, str], bool] = {}
    for case in cases:
        unit, length = named(case.unit), case.tiles[0].a.shape[-1]
        for name, mutant in hardware_mutants.mutants(unit, length).items():
            key = case.unit, name
            if not found.get(key):
                found[key] = any(golden.mismatches(mutant, tile).any() for tile in case.tiles)
                if found[key]:
                    assert not hardware_mutants.same(unit, name, length), key
    return found


def _judge(found: dict[tuple[str, str], bool], hardware_mutants: ModuleType) -> dict[str, int]:
    """Fail on a mutant that nothing tells and nothing explains, or that is told in spite of its excuse."""
    counts, wrong = {"killed": 0, "same": 0, "unseen": 0}, []
    for (unit, mutant), killed in found.items():
        shape = re.search(r"_m\d+n\d+k(\d+)_", unit)
        assert shape is not None
        same = hardware_mutants.same(named(unit), mutant, int(shape[1]))
        if killed != (not same and not _unseen(unit, mutant)):
            wrong.append((unit, mutant, killed, same))
        counts["killed" if killed else "same" if same else "unseen"] += 1
    assert not wrong
    return counts


def test_hardware_mutants_of_some_units(golden: ModuleType, hardware_mutants: ModuleType) -> None:
    cases = [
        case for file in ("hopper_instructions.npz", "other_gpus.npz") for case in golden.sample(golden.HERE / file)
    ]
    some = set(sorted({case.unit for case in cases})[::16])
    counts = _judge(_killed([case for case in cases if case.unit in some], golden, hardware_mutants), hardware_mutants)
    assert counts["killed"] >= 50


@pytest.mark.slow
def test_hardware_mutants_sample(golden: ModuleType, hardware_mutants: ModuleType, interpreted: bool) -> None:
    files = ("hopper_instructions.npz", "other_gpus.npz")
    cases = [case for file in files for case in golden.sample(golden.HERE / file)]
    if interpreted:  # a unit without chains, of which all mutants are killed
        cases = [case for case in cases if case.unit == "hopper_mma_m16n8k4_f32_tf32"][:1]
    counts = _judge(_killed(cases, golden, hardware_mutants), hardware_mutants)
    assert counts == {"killed": 1462, "same": 273, "unseen": 208} or interpreted


@pytest.mark.slow
def test_hardware_mutants_all(shared: Path, golden: ModuleType, hardware_mutants: ModuleType) -> None:
    folder = shared / "golden"
    cases = [*golden.hopper(folder / "hopper_h200"), *golden.other_gpus(folder / "other_gpus" / "vectors.npz")]
    counts = _judge(_killed(cases, golden, hardware_mutants), hardware_mutants)
    assert counts == {"killed": 1462, "same": 273, "unseen": 208}
