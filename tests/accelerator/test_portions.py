# SPDX-License-Identifier: Apache-2.0
"""Products in portions have the bits of products one by one."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hwsim import data, datapath, network
from hwsim.accelerator import UnitEngine, engine, portions
from hwsim.accelerator.portions import in_portions


@pytest.mark.parametrize(
    "sizes",
    [
        (1, 5, 7, 3),
        (1, 4, 9, 200),
        (12, 6, 8, 1),
        (70, 3, 9, 1),
        (5, 40, 4, 20),
        (3, 8, 4, 64),
        (3, 8, 4, 65),
        (2, 0, 3, 1),
    ],
)
def test_portions_equal_the_whole(sizes: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    groups, m, k, n = sizes
    rng = np.random.default_rng(groups * n)
    a, b = rng.integers(-9, 9, (groups, m, k)), rng.integers(-9, 9, (groups, k, n))
    calls: list[tuple[int, int]] = []

    def multiply(x: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
        calls.append((len(x), y.shape[1]))
        return np.asarray(x @ y)

    monkeypatch.setattr(portions, "_WEIGHTS", 64 * k)
    found = in_portions(multiply, a, b)
    assert np.array_equal(found, a @ b)
    assert max(columns for _, columns in calls) <= 64
    if n == 1 and groups > 64:
        assert len(calls) == 2


@pytest.mark.parametrize("unit", ["int8", "mxfp4_l16", "float8_e4m3fn_l4", "nvfp4_l16"])
@pytest.mark.parametrize("sizes", [(9, 5, 40, 1), (3, 4, 64, 150)])
def test_portions_on_a_unit(unit: str, sizes: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    groups, m, k, n = sizes
    net = network.read(data.digits_model_path(quantized=unit == "int8"))
    layer = next(layer for layer in net.layers if layer.kind == "conv")
    rng = np.random.default_rng(k)
    a: NDArray[Any] = rng.standard_normal((groups, m, k), np.float32)
    b: NDArray[Any] = rng.standard_normal((groups, k, n), np.float32)
    if unit == "int8":
        a, b = (np.clip(np.rint(values * 40), -128, 127).astype(np.int8) for values in (a, b))
    chosen = datapath.named(unit)
    largest = {layer.name: (float(np.abs(a).max()), float(np.abs(b).max()))}
    found = UnitEngine(chosen, largest).matmul(layer, a, b)
    monkeypatch.setattr(engine, "depends_on_place", lambda unit: True)
    expected = UnitEngine(chosen, largest).matmul(layer, a, b)
    assert found.dtype == expected.dtype
    assert found.tobytes() == expected.tobytes()
