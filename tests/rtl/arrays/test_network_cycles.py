# SPDX-License-Identifier: Apache-2.0
"""Layers of networks on compiled Verilog: values of the engine, cycles of the closed form, steady and under stalls."""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwsim import data, datapath
from hwsim.accelerator import stalled
from hwsim.datapath.array import ArrayGeometry, ArrayKind
from hwsim.network import MatmulShape
from rtl.arrays import Array
from testbenches.arrays import Program, chained, program, stall_pattern

_FIRST = {ArrayKind.OUTPUT_STATIONARY, ArrayKind.INPUT_STATIONARY}
_KINDS = [kind if kind in _FIRST else pytest.param(kind, marks=pytest.mark.slow) for kind in ArrayKind]
_STALLS = ((0.0, 0.0), (0.3, 0.0), (0.0, 0.6), (0.4, 0.5))


@pytest.fixture(scope="module")
def benchmark(root: Path) -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(root))
        yield import_module("benchmarks.network_cycles")


@pytest.fixture(scope="module")
def layers(benchmark: Any) -> list[Any]:
    """Return layers of the digits network, and a depthwise one with edge tiles."""
    unit = datapath.named("int8")
    found = benchmark.products(data.digits_model_path(quantized=True), unit, data.digits_test()[0][:1])
    source = np.random.default_rng(1)
    a, b = source.integers(-128, 128, (5, 6, 9), np.int8), source.integers(-128, 128, (5, 9, 1), np.int8)
    groups = [{"a": a[group].view(np.uint8), "b": b[group].view(np.uint8)} for group in range(5)]
    depthwise = benchmark.Product("depthwise", groups, a.astype(np.int64) @ b.astype(np.int64))
    return [*(layer.first(8000) for layer in found), depthwise]


@pytest.mark.parametrize("kind", _KINDS)
def test_network_layers_cycles_and_values(benchmark: Any, layers: list[Any], kind: ArrayKind) -> None:
    array = benchmark.Rtl(kind, 4, 3, 2, datapath.named("int8"))
    compared = 0
    for layer in layers:
        for bubbles, stalls in _STALLS:
            cycles, expected, wrong = array.run(layer, bubbles, stalls)
            assert wrong == 0
            assert cycles == expected
            compared += layer.d.size
    assert compared == 4 * (64 * 8 + 6 * 16 + 1 * 32 + 1 * 10 + 5 * 6 * 1)
    wrong_one = layers[0]._replace(d=layers[0].d + (np.arange(layers[0].d.size) == 7).reshape(layers[0].d.shape))
    assert array.run(wrong_one, 0.0, 0.0)[2] == 1


@pytest.mark.slow
@pytest.mark.parametrize(("unit", "pipeline"), [("int8", 1), ("int8", 4), ("mxfp4_l4", 3)])
def test_network_cycles_main(benchmark: Any, capsys: pytest.CaptureFixture[str], unit: str, pipeline: int) -> None:
    kinds = [kind.value for kind in ArrayKind]
    sizes = ["--unit", unit, "--rows", "4", "--columns", "4", "--pipeline", str(pipeline), "--macs", "20000"]
    benchmark.main(["--networks", "digits", "--kinds", *kinds, *sizes])
    assert "4 layers x 6 dataflows: cycles equal, values equal" in capsys.readouterr().out


@pytest.mark.parametrize("kind", list(ArrayKind))
@pytest.mark.parametrize("pipeline", [2, 3])
def test_array_pipelined(streamed_through: Any, kind: ArrayKind, pipeline: int) -> None:
    """In Amaranth's simulator: two groups of edge tiles, with several parts of K."""
    unit = datapath.named("int8")
    depth = 2 if kind is ArrayKind.CUBE else 1
    geometry = ArrayGeometry(kind=kind, rows=2, columns=2, depth=depth, partial_sums=not kind.keeps_outputs)
    source = np.random.default_rng(pipeline)
    a, b = source.integers(0, 256, (2, 3, 5)), source.integers(0, 256, (2, 5, 3))
    parts: list[Program] = [program(geometry, unit, a[i], b[i], pipeline=pipeline) for i in range(2)]
    stream = chained(parts)
    outputs, cycles = streamed_through(Array(geometry, unit, pipeline=pipeline), stream.beats, len(stream.outputs))
    assert outputs == [(output["d"], output["last"]) for output in stream.outputs]
    assert cycles == stalled(geometry, MatmulShape(2, 3, 5, 3), 1, (), pipeline)
    half = len(outputs) // 2
    for i, part in enumerate(parts):
        found = part.gather([d for d, _ in outputs[i * half : (i + 1) * half]], geometry, 32).astype(np.uint32)
        signed = a[i].astype(np.uint8).view(np.int8).astype(int) @ b[i].astype(np.uint8).view(np.int8).astype(int)
        assert np.array_equal(found.view(np.int32), signed)


def test_stall_pattern_parts() -> None:
    pattern = stall_pattern(0.25, 0.5)
    seen = np.array([next(pattern) for _ in range(20000)])
    assert np.allclose(seen.mean(axis=0), [0.75, 0.5], atol=0.02)
    assert next(stall_pattern(0.0, 0.0)) == (True, True)
