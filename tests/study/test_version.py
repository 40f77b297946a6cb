# SPDX-License-Identifier: Apache-2.0
"""The digest of what decides a result."""

import re
from pathlib import Path

import pytest

import hwsim
from hwsim.study import DesignPoint, digits, model_digest, model_version, version
from hwsim.sweeps import keying


def test_model_digest_sees_what_decides_a_result_and_nothing_else() -> None:
    seen = {label for label, _ in version._files()}
    for each in (
        "hwsim/formats/block.py", "hwsim/datapath/matmul.py", "hwsim/network/execution.py", "hwsim/prices.py",
        "hwsim/accelerator/presets/mxfp4_4x4.toml", "hwsim/accelerator/mapping/search.py", "hwsim/data/digits.onnx",
        "hwsim/simulation/errors.py", "hwsim/quantization/recipe.py", "hwsim/study/values.py", "hwsim/study/machine.py",
        "cost_models/measured/asap7.csv", "cost_models/measured/fitted.json", "cost_models/memory/sram.toml",
        "cost_models/technologies/asap7.toml", "cost_models/estimate.py", "rtl/verilog.py",
    ):  # fmt: skip
        assert each in seen, each
    assert not {each for each in seen if each.startswith(("hwsim/report/", "hwsim/cli", "tests/"))}
    assert not {each for each in seen if "__pycache__" in each}
    assert not {"hwsim/sweeps/store.py", "hwsim/sweeps/runner.py", "hwsim/study/comparison.py"} & seen


def test_model_digest_sees_every_module_of_studies_that_an_evaluation_uses() -> None:
    folder = Path(version.__file__).parent
    todo, used = {"evaluation"}, set[str]()
    while todo:
        name = todo.pop()
        used.add(name)
        text = (folder / f"{name}.py").read_text(encoding="utf-8")
        todo |= set(re.findall(r"from hwsim\.study\.(\w+) import", text)) - used
    assert len(used) >= 10
    assert {f"hwsim/study/{name}.py" for name in used} <= {label for label, _ in version._files()}


def test_model_digest_changes_with_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(model_digest()) == 64
    assert model_version() == f"{hwsim.__version__} ({model_digest()[:12]})"
    file = tmp_path / "table.csv"
    monkeypatch.setattr(version, "_files", lambda: [("table.csv", file)])
    found = set()
    for text in ("1,2", "1,3", "1,2"):
        file.write_text(text)
        found.add(model_digest.__wrapped__())
    assert len(found) == 2


def test_price_digest_sees_how_prices_are_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {label for label, _ in version._price_files()}
    for each in (
        "cost_models/synthesis/recipes.py", "cost_models/activity/toggles.py", "hwsim/study/pricing.py",
        "hwsim/gates.py", "testbenches/stimulus.py", "testbenches/pools.py",
    ):  # fmt: skip
        assert each in seen, each
    assert not seen & {label for label, _ in version._files()}  # those, rtl/ among them, are in by the model's digest
    file = tmp_path / "recipes.py"
    monkeypatch.setattr(version, "_price_files", lambda: [("recipes.py", file)])
    found = set()
    for text, tool in (("1", "0.1"), ("2", "0.1"), ("2", "0.2"), ("1", "0.1")):
        file.write_text(text)
        monkeypatch.setattr(version, "version", lambda package, tool=tool: tool)
        found.add(version.price_digest.__wrapped__())
    assert len(found) == 3


def test_price_digest_is_in_the_key_of_a_measured_price(monkeypatch: pytest.MonkeyPatch) -> None:
    point = DesignPoint.of("int4_by_int8")  # which nobody has measured
    found = []
    for digest in ("one", "two"):
        monkeypatch.setattr(keying, "price_digest", lambda digest=digest: digest)
        _, task = keying.Keyring({"digits": digits()}, False, {}).price(point)
        assert task is not None
        found.append(task.key)
    assert len(set(found)) == 2


def test_price_digest_without_a_tool(monkeypatch: pytest.MonkeyPatch) -> None:
    there = version.price_digest.__wrapped__()
    monkeypatch.setattr(version, "_TOOLS", (*version._TOOLS, "no-such-package-of-hwsim"))
    assert version._version("no-such-package-of-hwsim") == "not installed"
    assert version.price_digest.__wrapped__() != there
