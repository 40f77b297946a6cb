# SPDX-License-Identifier: Apache-2.0
"""Batch normalization that stands alone, against ONNX Runtime."""

from typing import Any

import numpy as np
import pytest
from onnx import helper

from hwsim import network


def _constants(rng: np.random.Generator) -> dict[str, Any]:
    return {
        "scale": rng.uniform(0.5, 2, 4).astype(np.float32),
        "shift": rng.standard_normal(4).astype(np.float32),
        "mean": rng.standard_normal(4).astype(np.float32),
        "variance": rng.uniform(0.5, 2, 4).astype(np.float32),
    }


def test_batch_normalization_alone_is_close_to_onnxruntime(models: Any, rng: np.random.Generator) -> None:
    x = rng.standard_normal((2, 4, 5, 5)).astype(np.float32)
    constants = _constants(rng)
    path = models.save(
        [helper.make_node("BatchNormalization", ["x", *constants], ["y"])], {"x": x.shape}, ["y"], constants
    )
    ours, theirs = network.run(network.read(path), {"x": x})["y"], models.oracle(path, {"x": x})["y"]
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-6)


def test_batch_normalization_training_wrong(models: Any, rng: np.random.Generator) -> None:
    constants = _constants(rng)
    node = helper.make_node("BatchNormalization", ["x", *constants], ["y", "m", "v"], training_mode=1, name="bn")
    path = models.save([node], {"x": [2, 4, 5, 5]}, ["y"], constants, opset=15)
    with pytest.raises(ValueError, match=r"node 'bn' \(BatchNormalization\): training mode is not inference"):
        network.read(path)
