# SPDX-License-Identifier: Apache-2.0
"""Every file in examples/ runs, and the trained digits network is one."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

EXAMPLES = sorted((Path(__file__).resolve().parents[1] / "examples").glob("*.py"))


def _run(example: Path, folder: Path) -> str:
    """Run an example with its small settings in an empty folder, on the packages that this test sees."""
    # Small matrix products: threads of OpenBLAS that wait for work take the cores of the tests beside this one.
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "MPLBACKEND": "Agg",
        "OPENBLAS_NUM_THREADS": "1",
    }
    result = subprocess.run(
        [sys.executable, example, "--quick"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def _check_digits(printed: list[str], folder: Path) -> None:
    """Compare what the training script printed with what ONNX Runtime makes of its files."""
    assert len(printed) == 3
    with np.load(folder / "digits" / "digits_test.npz") as arrays:
        images, labels = arrays["images"], arrays["labels"]
    assert images.shape == (360, 1, 8, 8)
    for stem, line in zip(("digits", "digits_int8"), printed[:2], strict=True):
        path = folder / "digits" / f"{stem}.onnx"
        onnx.checker.check_model(onnx.load(path), full_check=True)
        session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
        right = np.mean(session.run(["output"], {"input": images})[0].argmax(axis=1) == labels)
        assert right > 0.9, (stem, right)
        assert line.startswith(f"{path.relative_to(folder)}: 0.9")


CHECKS = {"train_digits": _check_digits}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_examples_run(example: Path, tmp_path: Path) -> None:
    printed = _run(example, tmp_path).splitlines()
    assert printed
    if example.stem in CHECKS:
        CHECKS[example.stem](printed, tmp_path)


def test_examples_checked_exist() -> None:
    assert set(CHECKS) <= {path.stem for path in EXAMPLES}
