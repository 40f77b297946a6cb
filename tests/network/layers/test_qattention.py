# SPDX-License-Identifier: Apache-2.0
"""com.microsoft QAttention against ONNX Runtime: its integer product bit for bit, the softmax to float32 rounding."""

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from hwsim import network
from hwsim.network.layers.gemm import Gemm


def _model(models: Any, rng: np.random.Generator, **attributes: Any) -> Any:
    constants = {
        "w": rng.integers(-128, 128, (16, 24)).astype(np.int8),
        "b": rng.normal(size=24).astype(np.float32),
        "xs": np.float32(0.02),
        "ws": np.float32(0.005),
        "xz": np.uint8(121),
        "wz": np.int8(0),
    }
    names = ["x", "w", "b", "xs", "ws", "", "xz", "wz"]
    node = helper.make_node("QAttention", names, ["y"], name="attention", domain="com.microsoft", **attributes)
    return models.save([node], {"x": [2, 5, 16]}, ["y"], constants, types={"x": TensorProto.UINT8}, rank=3)


@pytest.mark.parametrize("unidirectional", [0, 1])
def test_qattention_equals_runtime(models: Any, rng: np.random.Generator, unidirectional: int) -> None:
    path = _model(models, rng, num_heads=2, unidirectional=unidirectional)
    x = {"x": rng.integers(0, 256, (2, 5, 16)).astype(np.uint8)}
    net = network.read(path)
    found, expected = network.run(net, x)["y"], models.oracle(path, x)["y"]
    # Products, exponentials and divisions of float32 in another order: some units in the last place.
    assert np.abs(found - expected).max() <= 16 * np.spacing(np.abs(expected).max())
    products = [layer for layer in net.layers if isinstance(layer, Gemm)]
    assert [layer.form.value for layer in products] == ["qoperator", "float", "float"]


@pytest.mark.parametrize(("heads", "message"), [(5, "5 heads do not fit"), (0, "0 heads do not fit")])
def test_qattention_heads_wrong(models: Any, rng: np.random.Generator, heads: int, message: str) -> None:
    with pytest.raises(ValueError, match=f"node 'attention' .*{message}"):
        network.read(_model(models, rng, num_heads=heads))
