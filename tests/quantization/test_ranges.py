# SPDX-License-Identifier: Apache-2.0
from typing import Any

import numpy as np
import pytest
from scipy.stats import entropy

from hwsim.formats import named
from hwsim.network.onnx_reader import from_model
from hwsim.quantization.grids import Grid, activation_grid
from hwsim.quantization.ranges import BINS, Histogram, choose, histograms, kl_divergence
from hwsim.quantization.recipe import Observer


def _histogram(values: np.ndarray) -> Histogram:
    low, high = min(float(values.min()), 0.0), float(values.max())
    return Histogram(low=low, high=high, counts=np.histogram(values, BINS, (low, high))[0])


def _divergence(histogram: Histogram, grid: Grid) -> float:
    """By loops, bin by bin, as the definition reads; the logarithms by scipy."""
    centres, counts = histogram.centres.astype(np.float32), histogram.counts
    scale, zero = float(grid.scale), int(grid.zero)
    inside, code = [], []
    for centre in centres:
        raw = float(np.float32(centre) / np.float32(scale))
        inside.append(-128.5 - zero <= raw <= 127.5 - zero)
        code.append(int(np.clip(np.rint(raw) + zero, -128, 127)))
    first = inside.index(True)
    last = len(inside) - 1 - inside[::-1].index(True)
    p, q = [], []
    for index in range(first, last + 1):
        p.append(float(counts[index]))
        same = [i for i in range(first, last + 1) if code[i] == code[index] and counts[i] > 0]
        q.append(sum(counts[i] for i in same) / len(same) if counts[index] > 0 else 0.0)
    p[0] += sum(counts[:first])
    p[-1] += sum(counts[last + 1 :])
    return float(entropy(p, q))


def test_kl_divergence_against_loops() -> None:
    values = np.random.default_rng(0).standard_t(4, 20000)
    histogram = _histogram(values)
    for share in (1.0, 0.4, 0.1):
        grid = activation_grid(named("int8"), share * histogram.low, share * histogram.high, symmetric=False)
        assert isinstance(grid, Grid)
        assert kl_divergence(histogram, grid) == pytest.approx(_divergence(histogram, grid), rel=1e-9)


def test_choose_entropy_is_the_least_of_the_shares() -> None:
    values = np.abs(np.random.default_rng(1).standard_t(3, 5000))
    histogram, spec = _histogram(values), named("int8")
    low, high = choose(histogram, spec, Observer.ENTROPY, symmetric=False)
    found = {
        share: _divergence(histogram, activation_grid(spec, 0.0, share * histogram.high, symmetric=False))  # type: ignore[arg-type]
        for share in np.linspace(1.0, 0.02, 99)[::7]
    }
    grid = activation_grid(spec, low, high, symmetric=False)
    assert kl_divergence(histogram, grid) <= min(found.values()) + 1e-12  # type: ignore[arg-type]
    assert low == 0


def test_choose_mse_beats_absmax_on_the_values() -> None:
    values = np.random.default_rng(2).standard_t(3, 20000).astype(np.float32)
    histogram, spec = _histogram(values), named("int4")
    errors = []
    for observer in (Observer.MSE, Observer.ABSMAX):
        grid = activation_grid(spec, *choose(histogram, spec, observer, symmetric=True), symmetric=True)
        errors.append(float(np.square(grid.fake(values) - values).mean()))
    assert errors[0] < errors[1] / 4


def test_choose_percentile_against_numpy() -> None:
    values = np.random.default_rng(3).standard_normal(100_000).astype(np.float32)
    histogram = _histogram(values)
    low, high = choose(histogram, named("int8"), Observer.PERCENTILE, symmetric=False, percentile=99)
    width = (histogram.high - histogram.low) / BINS
    assert abs(low - np.percentile(values, 0.5)) <= 2 * width
    assert abs(high - np.percentile(values, 99.5)) <= 2 * width


def test_histograms_in_portions_equal_one_histogram(convolutional: Any) -> None:
    network, images = from_model(convolutional.model), convolutional.inputs["input"]
    parts = [{"input": images[i : i + 7]} for i in range(0, 40, 7)]
    found = histograms(network, lambda: parts, frozenset(("input", "r1")), counted=True)
    assert found["input"].counts.sum() == images.size
    whole = np.histogram(images, BINS, (float(images.min()), float(images.max())))[0]
    assert np.array_equal(found["input"].counts, whole)
    assert (found["input"].low, found["input"].high) == (float(images.min()), float(images.max()))
    assert found["r1"].low == 0.0


def test_histograms_not_finite_wrong(convolutional: Any) -> None:
    images = convolutional.inputs["input"].copy()
    images[0, 0, 0, 0] = np.inf
    network = from_model(convolutional.model)
    with pytest.raises(ValueError, match=r"^tensor 'input' has a value that is not finite on the calibration set$"):
        histograms(network, lambda: [{"input": images}], frozenset(("input",)), counted=False)
