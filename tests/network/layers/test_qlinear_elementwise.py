# SPDX-License-Identifier: Apache-2.0
"""com.microsoft QLinearMul, QLinearSigmoid, QLinearLeakyRelu, every code, against ONNX Runtime."""

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from hwsim import network

_TYPES = {"uint8": TensorProto.UINT8, "int8": TensorProto.INT8}


def _codes(dtype: str) -> np.ndarray:
    info = np.iinfo(dtype)
    return np.arange(info.min, info.max + 1).astype(dtype)


@pytest.mark.parametrize("dtype", _TYPES)
@pytest.mark.parametrize(("scale", "out"), [(0.05, 1 / 256), (0.11, 0.0039), (0.3, 0.021)])
@pytest.mark.parametrize("operator", ["QLinearSigmoid", "QLinearLeakyRelu"])
def test_qlinear_table_equals_runtime(models: Any, operator: str, scale: float, out: float, dtype: str) -> None:
    mid = 0 if dtype == "int8" else 128
    constants = {
        "xs": np.float32(scale),
        "xz": np.asarray(mid + 7, dtype),
        "ys": np.float32(out),
        "yz": np.asarray(mid - 3, dtype),
    }
    extra: dict[str, Any] = {"alpha": 0.13} if operator == "QLinearLeakyRelu" else {}
    node = helper.make_node(operator, ["x", "xs", "xz", "ys", "yz"], ["y"], domain="com.microsoft", **extra)
    types = {"x": _TYPES[dtype], "y": _TYPES[dtype]}
    path = models.save([node], {"x": [1, 256]}, ["y"], constants, types=types, rank=2)
    models.assert_same(path, {"x": _codes(dtype).reshape(1, -1)})


@pytest.mark.parametrize("dtype", _TYPES)
@pytest.mark.parametrize("scales", [(0.02, 0.03, 0.05), (0.0117, 0.9, 0.3), (0.5, 0.25, 8.0)])
def test_qlinear_mul_every_pair_equals_runtime(models: Any, scales: tuple[float, float, float], dtype: str) -> None:
    mid = 0 if dtype == "int8" else 128
    constants: dict[str, Any] = {}
    for name, scale, shift in zip("abc", scales, (3, -11, 5), strict=True):
        constants |= {f"{name}s": np.float32(scale), f"{name}z": np.asarray(mid + shift, dtype)}
    names = ["a", "as", "az", "b", "bs", "bz", "cs", "cz"]
    node = helper.make_node("QLinearMul", names, ["y"], domain="com.microsoft")
    types = dict.fromkeys(("a", "b", "y"), _TYPES[dtype])
    path = models.save([node], {"a": [256, 1], "b": [1, 256]}, ["y"], constants, types=types, rank=2)
    codes = _codes(dtype)
    inputs = {"a": codes.reshape(-1, 1), "b": codes.reshape(1, -1)}
    ours = network.run(network.read(path), inputs)["y"]
    assert ours.size == 65536
    np.testing.assert_array_equal(ours, models.oracle(path, inputs)["y"])


def test_qlinear_table_types_wrong(models: Any) -> None:
    constants = {"xs": np.float32(1), "ys": np.float32(1)}
    node = helper.make_node("QLinearSigmoid", ["x", "xs", "", "ys", ""], ["y"], name="s", domain="com.microsoft")
    path = models.save([node], {"x": [1, 2]}, ["y"], constants, types={"x": TensorProto.INT16}, rank=2)
    with pytest.raises(ValueError, match=r"node 's' .*QLinearSigmoid.*: operands must be int8 or uint8 with one scale"):
        network.read(path)
