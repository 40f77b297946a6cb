# SPDX-License-Identifier: Apache-2.0
"""A transformer encoder in int8 on one accelerator, with softmax, GELU and layer normalization in every kind.

python examples/nonlinear_layers.py
"""

import argparse
from dataclasses import replace

import numpy as np
import onnx
from onnx import helper, numpy_helper

from hwsim import accelerator, simulate
from hwsim.network import run
from hwsim.network.nonlinear import GeluKind, LayerNormKind, NonlinearSpec, SoftmaxKind
from hwsim.network.onnx_reader import from_model
from hwsim.quantization import Recipe, quantize


def encoder(tokens: int, width: int, heads: int) -> onnx.ModelProto:
    """Return attention and a network of two layers, each with its residual and normalization; seeded weights."""
    rng = np.random.default_rng(4)
    constants = {
        "split": np.array([-1, tokens, heads, width // heads]),
        "join": np.array([-1, tokens, width]),
        **{f"w_{name}": rng.normal(size=(width, width)) / width**0.5 for name in "qkvo"},
        "w_in": rng.normal(size=(width, 4 * width)) / width**0.5,
        "w_out": rng.normal(size=(4 * width, width)) / (4 * width) ** 0.5,
        **{f"gamma_{i}": rng.uniform(0.5, 1.5, width) for i in (1, 2)},
        **{f"beta_{i}": rng.normal(size=width) * 0.2 for i in (1, 2)},
    }
    nodes = []
    for name, order in (("q", [0, 2, 1, 3]), ("k", [0, 2, 3, 1]), ("v", [0, 2, 1, 3])):
        nodes += [
            helper.make_node("MatMul", ["x", f"w_{name}"], [f"{name}_flat"]),
            helper.make_node("Reshape", [f"{name}_flat", "split"], [f"{name}_heads"]),
            helper.make_node("Transpose", [f"{name}_heads"], [name], perm=order),
        ]
    nodes += [
        helper.make_node("MatMul", ["q", "k"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["attention"], axis=-1),
        helper.make_node("MatMul", ["attention", "v"], ["mixed"]),
        helper.make_node("Transpose", ["mixed"], ["mixed_heads"], perm=[0, 2, 1, 3]),
        helper.make_node("Reshape", ["mixed_heads", "join"], ["joined"]),
        helper.make_node("MatMul", ["joined", "w_o"], ["projected"]),
        helper.make_node("Add", ["projected", "x"], ["sum_1"]),
        helper.make_node("LayerNormalization", ["sum_1", "gamma_1", "beta_1"], ["normal_1"], axis=-1),
        helper.make_node("MatMul", ["normal_1", "w_in"], ["hidden"]),
        helper.make_node("Gelu", ["hidden"], ["active"]),
        helper.make_node("MatMul", ["active", "w_out"], ["second"]),
        helper.make_node("Add", ["second", "normal_1"], ["sum_2"]),
        helper.make_node("LayerNormalization", ["sum_2", "gamma_2", "beta_2"], ["y"], axis=-1),
    ]
    arrays = {name: value if value.dtype == np.int64 else value.astype(np.float32) for name, value in constants.items()}
    ends = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["batch", tokens, width]) for name in "xy"]
    tensors = [numpy_helper.from_array(value, name) for name, value in arrays.items()]
    graph = helper.make_graph(nodes, "encoder", ends[:1], ends[1:], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


KINDS = (
    NonlinearSpec(),
    *(NonlinearSpec(softmax=kind) for kind in SoftmaxKind if kind is not SoftmaxKind.FLOAT),
    *(NonlinearSpec(gelu=kind) for kind in GeluKind if kind is not GeluKind.FLOAT),
    *(NonlinearSpec(layer_norm=kind) for kind in LayerNormKind if kind is not LayerNormKind.FLOAT),
    NonlinearSpec(softmax=SoftmaxKind.SHIFTMAX, gelu=GeluKind.SHIFT_GELU, layer_norm=LayerNormKind.I_LAYER_NORM),
)


def main() -> None:
    """Print the difference from the float network for each kind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a smaller network")
    tokens, width, heads = (8, 16, 2) if parser.parse_args().quick else (64, 128, 4)
    model = encoder(tokens, width, heads)
    rng = np.random.default_rng(5)
    seen, new = (rng.normal(size=(4, tokens, width)).astype(np.float32) for _ in range(2))
    quantized = quantize(model, Recipe(scope="all", symmetric=True), {"x": seen}, effects=False).model
    assert quantized is not None
    network = from_model(quantized)
    real = run(from_model(model), {"x": new})["y"].astype(np.float64)
    machine = accelerator.read("int8_16x16")
    print(f"{'softmax':<18}{'gelu':<20}{'layer_norm':<22}{'SQNR, dB':>9}{'largest':>9}")
    for kinds in KINDS:
        outputs = simulate(network, replace(machine, nonlinear=kinds), {"x": new}).outputs
        error = next(iter(outputs.values())).astype(np.float64) - real
        decibels = 10 * np.log10((real**2).sum() / (error**2).sum())
        names = f"{kinds.softmax.value:<18}{kinds.gelu.value:<20}{kinds.layer_norm.value:<22}"
        print(f"{names}{decibels:>9.2f}{np.abs(error).max():>9.3f}")


if __name__ == "__main__":
    main()
