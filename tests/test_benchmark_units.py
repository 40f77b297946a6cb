# SPDX-License-Identifier: Apache-2.0
"""The benchmark of units runs on tiny products: every case has figures, and a wrong result has none."""

import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

TINY = ("--size", "32", "--runs", "1", "--threads", "1")
# Equal to ours by their own account of what they do, and installed with the package or its tests.
EQUAL = {
    "chain_e4m3": {"ml_dtypes @", "numpy, float32 rank-1 updates"},
    "float16": {"numpy, float16 rank-1 updates"},
    "bfloat16": {"numpy, bfloat16 rank-1 updates"},
    "int8": {"numpy, int32 @", "onnxruntime MatMulInteger"},
    "int8_sat": {"numpy, clipped rank-1 updates"},
}


def _run(root: Path, *arguments: str, module: str = "benchmarks.units") -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=600, check=False)


def _report(root: Path, *arguments: str) -> dict[str, Any]:
    result = _run(root, *arguments, "--json")
    assert result.returncode == 0, result.stderr
    return dict(json.loads(result.stdout))


@pytest.fixture
def units(root: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(root))
    return import_module("benchmarks.units")


def test_benchmark_units_cases(root: Path, units: Any) -> None:
    lines = _report(root, *TINY, "--samples", "4", "--no-peers")["speed"]
    assert set(lines) == set(units.CASES)
    for key, by_threads in lines.items():
        line = by_threads["1"]
        if "reason" in line:
            assert "too wide" in line["reason"] or "bits" in line["reason"], (key, line["reason"])
            assert units.CASES[key].peers == "quire"
        else:
            assert (line["wrong"], line["checked"], line["shape"]) == (0, 4, [32, 32, 32])
            assert line["gmacs"] > 0
            assert line["numpy_gmacs"] > 0


def test_benchmark_units_peers(root: Path) -> None:
    lines = _report(root, *TINY, "--samples", "4", *EQUAL)["speed"]
    for key, libraries in EQUAL.items():
        found = {peer["library"]: peer for peer in lines[key]["1"]["peers"]}
        for library in libraries:
            assert (found[library]["differ"], found[library]["of"]) == (0, 1024), (key, library)


def test_benchmark_units_table(root: Path) -> None:
    result = _run(root, "int8", "hopper_e4m3", "--no-peers", *TINY, "--threads", "1,2")
    assert result.returncode == 0, result.stderr
    head, columns, *rows = result.stdout.splitlines()
    assert head.startswith("32 x 32 x 32, GMAC/s of wall time; float32 numpy.matmul: ")
    assert " ".join(columns.split()) == "GMAC/s target x numpy target 2 threads x 1 thread path best exact peer"
    assert rows[0].startswith("INT8 into INT32 ")
    assert rows[1].startswith("Hopper tensor core, E4M3 ")
    assert result.stdout.count("16 outputs equal the oracle's") == 2
    assert "THE RESULT DEPENDS" not in result.stdout


@pytest.mark.parametrize("key", ["hopper_e4m3", "mxfp4", "int8"])
def test_benchmark_units_check_finds_a_wrong_bit(units: Any, key: str) -> None:
    given = units.operands(units.CASES[key], 32)
    result = given.multiply()
    assert units.check(given, result, 4) == (0, 4)
    # The four corners are always in the sample.
    result[-1, 0] ^= np.ones((), result.dtype)
    assert units.check(given, result, 4) == (1, 4)


def test_benchmark_units_cases_wrong(root: Path) -> None:
    result = _run(root, "int9")
    assert result.returncode == 2
    assert "cases must be of chain_e4m3, " in result.stderr


def test_benchmark_unit_costs_memory(root: Path) -> None:
    result = _run(root, "memory", "int8", "512", "64", "512", module="benchmarks.unit_costs")
    assert result.returncode == 0, result.stderr
    line = json.loads(result.stdout)
    assert line["shape"] == [512, 64, 512]
    assert line["result_mib"] == 1
    assert 0 <= line["beyond_mib"] <= 256


@pytest.mark.slow
def test_benchmark_unit_costs(root: Path, units: Any) -> None:
    report = _report(root, "--size", "32", "--cold", "--memory")
    names = units.unit_costs.UNITS
    assert tuple(line["unit"] for line in report["cold"]) == names
    assert {line["unit"] for line in report["memory"]} == set(names)
    for line in report["cold"]:
        assert 0 < line["warm_call"] < line["warm_process"]
