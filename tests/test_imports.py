# SPDX-License-Identifier: Apache-2.0
"""Who may import whom, as pyproject.toml states it, and that a breach is seen."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGES = ("hwsim", "rtl", "cost_models", "testbenches")
LINT = "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True, no_logo=True))"
BREACHES = {
    "hwsim/formats": ("hwsim.datapath", "the rooms of hwsim"),
    "hwsim/data": ("rtl", "no room below the simulation"),
    "hwsim/network": ("hwsim.datapath.unit", "the rooms of hwsim"),
    "hwsim/datapath/unit.py": ("hwsim.datapath.matmul", "the specs of a unit"),
    "rtl": ("hwsim.datapath.matmul", "rtl imports the formats and the specs"),
    "cost_models": ("rtl", "cost_models imports the formats and the specs"),
    "testbenches": ("cost_models", "testbenches import no network"),
}


def _lint(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", LINT], cwd=folder, capture_output=True, text=True, check=False)


def test_imports_contracts_kept(root: Path) -> None:
    result = _lint(root)
    assert result.returncode == 0, result.stdout + result.stderr
    assert " 0 broken" in result.stdout


@pytest.mark.parametrize("place", BREACHES)
def test_imports_breach_seen(place: str, root: Path, tmp_path: Path) -> None:
    imported, contract = BREACHES[place]
    for package in PACKAGES:
        shutil.copytree(root / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__", "*.npz"))
    shutil.copy(root / "pyproject.toml", tmp_path)
    path = tmp_path / place
    path = path if path.suffix else path / "planted.py"
    path.write_text(f"{path.read_text() if path.exists() else ''}\nimport {imported}\n")
    result = _lint(tmp_path)
    assert result.returncode == 1, result.stdout + result.stderr
    broken = [line for line in result.stdout.splitlines() if " BROKEN" in line]
    assert any(line.startswith(contract) for line in broken), result.stdout
