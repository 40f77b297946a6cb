# SPDX-License-Identifier: Apache-2.0
"""Resize and GridSample: against ONNX Runtime and torch."""

from typing import Any

import numpy as np
import pytest
from onnx import helper

from hwsim import network

MODES = ["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"]


@pytest.mark.parametrize("coordinates", MODES)
@pytest.mark.parametrize("nearest", ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"])
@pytest.mark.parametrize("sizes", [(4, 5), (10, 15), (7, 3)])
def test_resize_nearest_moves_elements(
    models: Any, rng: np.random.Generator, coordinates: str, nearest: str, sizes: tuple[int, int]
) -> None:
    attributes = {"coordinate_transformation_mode": coordinates, "nearest_mode": nearest}
    node = helper.make_node("Resize", ["x", "", "", "sizes"], ["y"], mode="nearest", **attributes)
    path = models.save([node], {"x": (2, 3, 5, 5)}, ["y"], {"sizes": np.array([2, 3, *sizes])}, opset=19, ir_version=9)
    models.assert_same(path, {"x": rng.standard_normal((2, 3, 5, 5)).astype(np.float32)})


@pytest.mark.parametrize("coordinates", MODES)
@pytest.mark.parametrize("mode", ["linear", "cubic"])
@pytest.mark.parametrize("antialias", [0, 1])
@pytest.mark.parametrize("sizes", [(4, 5), (10, 15), (7, 3)])
def test_resize_interpolates(
    models: Any, rng: np.random.Generator, coordinates: str, mode: str, antialias: int, sizes: tuple[int, int]
) -> None:
    if antialias and coordinates == "align_corners":
        pytest.skip("ONNX Runtime takes another support there")
    attributes: dict[str, Any] = {"coordinate_transformation_mode": coordinates, "antialias": antialias}
    node = helper.make_node("Resize", ["x", "", "", "sizes"], ["y"], mode=mode, **attributes)
    path = models.save([node], {"x": (2, 3, 5, 5)}, ["y"], {"sizes": np.array([2, 3, *sizes])}, opset=19, ir_version=9)
    x = rng.standard_normal((2, 3, 5, 5)).astype(np.float32)
    got = network.run(network.read(path), {"x": x})["y"]
    np.testing.assert_allclose(got, models.oracle(path, {"x": x})["y"], rtol=1e-4, atol=2e-6)


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("align", [0, 1])
def test_resize_samples_a_grid_as_torch_does(
    models: Any, rng: np.random.Generator, mode: str, padding: str, align: int
) -> None:
    torch = pytest.importorskip("torch")
    attributes: dict[str, Any] = {"mode": mode, "padding_mode": padding, "align_corners": align}
    node = helper.make_node("GridSample", ["x", "grid"], ["y"], **attributes)
    path = models.save([node], {"x": (1, 3, 5, 6), "grid": (1, 7, 4, 2)}, ["y"], {}, opset=20, ir_version=9)
    net = network.read(path)
    assert net.batchable
    x = rng.standard_normal((3, 3, 5, 6)).astype(np.float32)
    grid = (rng.random((3, 7, 4, 2)) * 3 - 1.5).astype(np.float32)
    name = {"linear": "bilinear", "cubic": "bicubic"}.get(mode, mode)
    expected = torch.nn.functional.grid_sample(
        torch.from_numpy(x), torch.from_numpy(grid), mode=name, padding_mode=padding, align_corners=bool(align)
    )
    got = network.run(net, {"x": x, "grid": grid})["y"]
    np.testing.assert_allclose(got, expected.numpy(), rtol=1e-4, atol=1e-5)
