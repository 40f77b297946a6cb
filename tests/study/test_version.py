# SPDX-License-Identifier: Apache-2.0
"""The digest of what decides a result."""

from pathlib import Path

import pytest

import hwsim
from hwsim.study import model_digest, model_version, version


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
    assert not {"hwsim/study/store.py", "hwsim/study/runner.py", "hwsim/study/comparison.py"} & seen


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
