# SPDX-License-Identifier: Apache-2.0
"""Outputs of real matrix instructions: a sample of each that is kept here, and all of them where they lie beside."""

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from hwsim.datapath import hardware_entries
from hwsim.datapath.evidence import Evidence


@pytest.mark.parametrize(
    ("file", "units", "outputs"), [("hopper_instructions.npz", 80, 1441), ("other_gpus.npz", 30, 959)]
)
def test_golden_sample(file: str, units: int, outputs: int, golden: ModuleType, interpreted: bool) -> None:
    seen, compared = set(), 0
    for case in golden.sample(golden.HERE / file):
        count, wrong = golden.count(golden.few(case, 2) if interpreted else case)
        assert wrong == 0, case.unit
        seen.add(case.unit)
        compared += count
    assert len(seen) == units
    assert compared == outputs or interpreted


def test_golden_sample_has_every_instruction_with_evidence(golden: ModuleType) -> None:
    cases = [
        case for file in ("hopper_instructions", "other_gpus") for case in golden.sample(golden.HERE / f"{file}.npz")
    ]
    seen = {case.unit for case in cases}
    measured = {entry.name for entry in hardware_entries() if entry.evidence is Evidence.MEASURED}
    assert {name for name in measured if not name.startswith("cublas")} == {name for name in seen if "hopper" in name}
    reproduced = {entry.name for entry in hardware_entries() if entry.evidence is Evidence.REPRODUCED}
    assert reproduced == {name for name in seen if "hopper" not in name}


def test_golden_sample_states_its_source_and_licence(golden: ModuleType) -> None:
    with np.load(golden.HERE / "other_gpus.npz") as file:
        assert "Redistribution and use in source and binary forms" in str(file["license"])
        assert "MATLAB-tensor-core @ b12b5a7" in str(file["source"])
    with np.load(golden.HERE / "hopper_instructions.npz") as file:
        assert "NVIDIA H200" in str(file["source"])


def _compare(cases: list[Any], golden: ModuleType) -> tuple[int, int]:
    counts = [golden.count(case) for case in cases]
    return sum(compared for compared, _ in counts), sum(wrong for _, wrong in counts)


def test_golden_some_of_all(shared: Path, golden: ModuleType, interpreted: bool) -> None:
    stride = 150 if interpreted else 37
    cases = [golden.chosen(case, stride) for case in golden.cases(shared / "golden") if len(case.tiles) > 1]
    compared, wrong = _compare(cases, golden)
    assert wrong == 0
    assert compared > 40_000


def test_golden_cublas(shared: Path, golden: ModuleType, interpreted: bool) -> None:
    cases = list(golden.cublas(shared / "golden" / "hopper_h200" / "gemm_cublas.npz"))
    some = [case for case in cases if not interpreted or case.tiles[0].a.shape[1] == 256]
    compared, wrong = _compare(some, golden)
    assert (compared, wrong) == (len(some) * 1024, 0)
    assert len(cases) == 40


@pytest.mark.slow
def test_golden_all(shared: Path, golden: ModuleType) -> None:
    lines: list[str] = []
    assert golden.main(shared / "golden", lines.append) == 0
    assert lines[-1].startswith("all: ")
    assert "6,762,880 outputs compared, 0 differ" in lines[-1]
