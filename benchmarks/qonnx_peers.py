# SPDX-License-Identifier: Apache-2.0
"""Compare networks in QONNX with qonnx's own executor, tensor by tensor, and print how many values are equal.

Run as ``python benchmarks/qonnx_peers.py --python PYTHON MODEL.onnx...``, where PYTHON is the interpreter of an
environment with `pip install qonnx`; it exits with 1 if a tensor that must be equal is not.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hwsim import network
from hwsim.network import Network, Rule
from hwsim.network.layers.multiply_accumulate import MultiplyAccumulate

__all__ = [
    "main",
]

Array = npt.NDArray[Any]

_PEER = """
import sys
import numpy as np
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.infer_shapes import InferShapes

model = ModelWrapper(sys.argv[1])
for name in [name for name in {i.name for i in model.graph.input} if model.get_initializer(name) is not None]:
    model.graph.input.remove(next(i for i in model.graph.input if i.name == name))
model = model.transform(InferShapes())
inputs = dict(np.load(sys.argv[2]))
rows = len(next(iter(inputs.values())))
found = {}
for row in range(rows):
    context = execute_onnx(model, {name: value[row:row + 1] for name, value in inputs.items()}, True)
    for name in {out for node in model.graph.node for out in node.output}:
        found.setdefault(name, []).append(np.asarray(context[name]))
np.savez(sys.argv[3], **{name: np.stack(parts) for name, parts in found.items()})
"""


def main(arguments: list[str] | None = None) -> int:
    """Print a line a tensor; return the number of networks with a tensor that is not as it must be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--python", required=True, help="interpreter of an environment with qonnx")
    parser.add_argument("--rows", type=int, default=16, help="random inputs")
    chosen = parser.parse_args(arguments)
    return min(sum(_differs(path, chosen.python, chosen.rows) for path in chosen.models), 1)


def _differs(path: Path, python: str, rows: int) -> bool:
    """Compare one network; True where a tensor that must be equal is not."""
    net = network.read(path)
    generator = np.random.default_rng(5)
    inputs = {spec.name: _random(generator, (rows, *spec.shape[1:])) for spec in net.inputs}
    theirs = _run_peer(path, python, inputs)
    ours = _trace(net, inputs, rows)
    print(path.name)
    wrong = _print_whole(net, ours, theirs)
    wrong += _print_layers(net, theirs | {name: x[:, np.newaxis] for name, x in inputs.items()}, rows)
    return wrong > 0


def _print_whole(net: Network, ours: dict[str, Array], theirs: dict[str, Array]) -> int:
    """Print each tensor of a run from the network's input; return how many of codes differ."""
    wrong = equal = total = 0
    for name, value in ours.items():
        if name not in theirs:
            continue
        expected = theirs[name].reshape(value.shape)
        same = int((value == expected).sum())
        equal, total = equal + same, total + value.size
        coded = name not in net.tensors
        wrong += coded and same != value.size
        note = "" if same == value.size else f", the others within {_relative(value, expected):.1e} of the largest"
        print(f"  {name}{' (codes)' if coded else ''}: {same} of {value.size} values equal{note}")
    print(f"  run from the input: {equal} of {total} values equal")
    return wrong


def _print_layers(net: Network, theirs: dict[str, Array], rows: int) -> int:
    """Run every layer alone on qonnx's own tensors, sums in ONNX Runtime's order; return how many tensors differ."""
    wrong = equal = total = 0
    engine = _RuntimeOrder()
    for layer in net.layers:
        for row in range(rows):
            names = [name.removesuffix("_codes") for name in layer.inputs]
            if not all(name in theirs for name in names) or layer.outputs[0].removesuffix("_codes") not in theirs:
                continue
            output = theirs[layer.outputs[0].removesuffix("_codes")][row]
            result = engine.run(net, layer, tuple(theirs[name][row] for name in names))
            same = int((result.reshape(output.shape) == output).sum())
            equal, total, wrong = equal + same, total + output.size, wrong + (same != output.size)
    print(f"  layer by layer on qonnx's tensors, float32 sums in ONNX Runtime's order: {equal} of {total} values equal")
    return wrong


class _RuntimeOrder:
    """One layer on values, a matrix product with the float32 roundings of ONNX Runtime for one row on x86.

    Source, found by comparison: onnxruntime mlas/lib/amd64/SgemmKernelM1Avx.asm: four products of k are rounded and
    added one after another, then added to the sum.
    """

    def run(self, net: Network, layer: Any, values: tuple[Array, ...]) -> Array:
        """Return a layer's output as values."""
        if isinstance(layer, MultiplyAccumulate):
            weight = layer.weight
            assert weight is not None
            weight = weight if layer.b_quantization is None else layer.b_quantization.dequantize(weight)
            x = values[0].reshape(1, -1).astype(np.float32)
            total = np.zeros(weight.shape[1], np.float32)
            for start in range(0, x.shape[1], 4):
                part = x[0, start] * weight[start]
                for k in range(start + 1, min(start + 4, x.shape[1])):
                    part = part + x[0, k] * weight[k]
                total = total + part
            bias = layer.bias_values
            return np.asarray(total if bias is None else total + bias)
        (result,) = layer.run(tuple(v.astype(np.float32) for v in values), network.ExactEngine(), Rule.ONNX)
        quantization = getattr(layer, "quantization", None)
        return np.asarray(result if quantization is None else quantization.dequantize(result))


def _random(generator: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Return inputs that reach every code of a narrow range around 0."""
    return generator.normal(scale=40.0 if shape[-1] > 28 else 0.5, size=shape).astype(np.float32)


def _run_peer(path: Path, python: str, inputs: dict[str, Array]) -> dict[str, Array]:
    """Return every tensor that qonnx's executor computes, rows stacked."""
    with tempfile.TemporaryDirectory() as folder:
        given, found = Path(folder) / "inputs.npz", Path(folder) / "found.npz"
        np.savez(given, **inputs)  # type: ignore[arg-type]
        command = [python, "-c", _PEER, str(path), str(given), str(found)]
        subprocess.run(command, check=True, capture_output=True, text=True)
        return dict(np.load(found))


def _trace(net: Network, inputs: dict[str, Array], rows: int) -> dict[str, Array]:
    """Return our tensors by their ONNX names, codes as the values that they stand for."""
    quantizations: dict[str, Any] = {}
    for layer in net.layers:
        own = getattr(layer, "quantization", None)
        quantizations[layer.outputs[0]] = quantizations.get(layer.inputs[0]) if own is None else own
    found: dict[str, list[Array]] = {}
    for row in range(rows):
        for name, value in network.trace(net, {key: x[row : row + 1] for key, x in inputs.items()}).items():
            quantization = quantizations.get(name) if name.endswith("_codes") else None
            held = value if quantization is None else quantization.dequantize(value)
            found.setdefault(name.removesuffix("_codes"), []).append(held)
    return {name: np.stack(parts) for name, parts in found.items()}


def _relative(ours: Array, theirs: Array) -> float:
    """Return the largest difference over the largest magnitude."""
    return float(np.abs(ours.astype(np.float64) - theirs).max() / np.abs(theirs).max())


if __name__ == "__main__":
    sys.exit(main())
