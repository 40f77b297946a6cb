# SPDX-License-Identifier: Apache-2.0
"""Damaged files: a sample of what benchmarks/robustness.py tries, and its judgement of what is wrong."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SAMPLE = 300


@pytest.fixture(autouse=True)
def _checkout(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the checkout's benchmarks importable."""
    monkeypatch.syspath_prepend(str(root))


def test_robustness_of_a_sample(root: Path) -> None:
    """In a process of its own, for its workers are forks, which processes with threads cannot have."""
    command = [sys.executable, "-m", "benchmarks.robustness", "--files", str(SAMPLE), "--seed", "1", "--workers", "1"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [str(root), *sys.path]))}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    counts = {kind: int(count) for kind, count in re.findall(r"^ +(\w+) +(\d+)$", done.stdout, re.MULTILINE)}
    assert set(counts) == {"refused", "same", "sound", "equal"}, done.stdout
    assert sum(counts.values()) == SAMPLE


def test_robustness_damage_is_seeded() -> None:
    from benchmarks.mutations import damaged_model
    from benchmarks.robustness_seeds import small_models
    from benchmarks.text_mutations import damaged_text

    data = small_models()["qdq.onnx"]
    made = [damaged_model(data, np.random.default_rng([4, index])) for index in range(200)]
    again = [damaged_model(data, np.random.default_rng([4, index])) for index in range(200)]
    assert made == again
    assert len({raw for raw, _ in made}) > 180
    assert len({name for _, name in made}) == 17
    text = 'name = "x"\nrows = 16\n'
    assert len({damaged_text(text, np.random.default_rng(index)) for index in range(100)}) > 50


def test_robustness_judges_errors_and_outputs(tmp_path: Path) -> None:
    from benchmarks.robustness_worker import judged, near

    path = tmp_path / "one.onnx"
    assert judged(ValueError(f"{path} is not an ONNX model"), path)[0] == "refused"
    assert judged(ValueError("layer 'a': axis must be in 0..1"), path)[0] == "refused"
    assert judged(ValueError("zip() argument 2 is shorter than argument 1"), path)[0] == "nameless"
    one = np.array([1.0, 2.0, 3.0], np.float32)
    assert near(one, one + np.float32(1e-6))
    assert not near(one, one[::-1])
    assert not near(np.array([np.nan, 2, 3], np.float32), one)
    assert near(one, np.array([np.inf, 2, 3], np.float32))
