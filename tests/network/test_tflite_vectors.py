# SPDX-License-Identifier: Apache-2.0
"""The TFLite rule, operator by operator, against outputs recorded from TFLite's own reference kernels.

`tflite_vectors.npz` holds for each operator a QDQ model, seeded random int8 inputs, and what the same operator, written
as a TFLite file, gave under the BUILTIN_REF resolver of ai-edge-litert 2.3.0 (tflite-runtime 2.14.0 for the fully
connected layer: since then its reference kernel multiplies by a float64 scale in place of the fixed-point multiplier).
"""

from pathlib import Path

import numpy as np
import pytest

from hwsim import network

FILE = Path(__file__).with_name("tflite_vectors.npz")
SIZES = {
    "add": 2048,
    "add_relu": 2048,
    "average_pool_3x3": 3136,
    "average_pool_8x8": 256,
    "conv": 5184,
    "conv_relu": 1600,
    "depthwise": 4096,
    "fully_connected": 1024,
    "softmax_10": 2000,
    "softmax_12": 2400,
    "softmax_2": 400,
    "softmax_60": 3600,
}


def test_tflite_vectors_are_all_compared() -> None:
    with np.load(FILE) as vectors:
        assert {name.split("/")[0] for name in vectors} == set(SIZES)


@pytest.mark.parametrize("operator", SIZES)
def test_tflite_vectors_equal(tmp_path: Path, operator: str) -> None:
    path = tmp_path / f"{operator}.onnx"
    with np.load(FILE) as vectors:
        path.write_bytes(vectors[f"{operator}/model"].tobytes())
        prefix = f"{operator}/input/"
        inputs = {name.removeprefix(prefix): vectors[name] for name in vectors if name.startswith(prefix)}
        expected = vectors[f"{operator}/output"]
    count = len(expected)
    net = network.read(path)
    assert len(net.layers) == 1
    ours = network.run(net, {name: value[:count] for name, value in inputs.items()}, rule="tflite")["y"]
    assert expected.size == SIZES[operator]
    np.testing.assert_array_equal(ours, expected)
