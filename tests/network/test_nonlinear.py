# SPDX-License-Identifier: Apache-2.0
"""A small transformer encoder under every kind of softmax, GELU and layer normalization."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from hwsim import network
from hwsim.accelerator.nonlinear import KERNELS
from hwsim.network.execution import ExactEngine
from hwsim.network.float_softmax import exponential, sum_16_lanes
from hwsim.network.layers.online_attention import with_online_attention
from hwsim.network.nonlinear import GeluKind, LayerNormKind, NonlinearSpec, SoftmaxKind, check

Array = npt.NDArray[Any]

TOKENS, WIDTH, HEADS = 12, 16, 2
SPECS = [
    *(NonlinearSpec(softmax=kind) for kind in SoftmaxKind),
    *(NonlinearSpec(gelu=kind) for kind in GeluKind if kind.integer),
    *(NonlinearSpec(layer_norm=kind) for kind in LayerNormKind if kind.integer),
    NonlinearSpec(softmax=SoftmaxKind.SHIFTMAX, gelu=GeluKind.SHIFT_GELU, layer_norm=LayerNormKind.I_LAYER_NORM),
]


class Machine(ExactEngine):
    """Exact products, non-linear layers of a kind."""

    def __init__(self, spec: NonlinearSpec, kernels: Any = KERNELS) -> None:
        self.nonlinear = spec
        self.nonlinear_kernels = kernels


def _encoder() -> onnx.ModelProto:
    """Return an encoder block in float32."""
    rng = np.random.default_rng(4)
    constants: dict[str, Array] = {
        "shape": np.array([1, TOKENS, HEADS, WIDTH // HEADS]),
        "back": np.array([1, TOKENS, WIDTH]),
        **{f"w_{name}": rng.normal(size=(WIDTH, WIDTH)) / WIDTH**0.5 for name in "qkvo"},
        "w_in": rng.normal(size=(WIDTH, 2 * WIDTH)) / WIDTH**0.5,
        "w_out": rng.normal(size=(2 * WIDTH, WIDTH)) / (2 * WIDTH) ** 0.5,
        **{f"gamma_{i}": rng.uniform(0.5, 1.5, WIDTH) for i in (1, 2)},
        **{f"beta_{i}": rng.normal(size=WIDTH) * 0.2 for i in (1, 2)},
    }
    node = helper.make_node
    nodes = []
    for name, order in (("q", [0, 2, 1, 3]), ("k", [0, 2, 3, 1]), ("v", [0, 2, 1, 3])):
        nodes += [
            node("MatMul", ["x", f"w_{name}"], [f"{name}_flat"]),
            node("Reshape", [f"{name}_flat", "shape"], [f"{name}_split"]),
            node("Transpose", [f"{name}_split"], [name], perm=order),
        ]
    nodes += [
        node("MatMul", ["q", "k"], ["scores"]),
        node("Softmax", ["scores"], ["weights"], axis=-1, name="attention"),
        node("MatMul", ["weights", "v"], ["heads"]),
        node("Transpose", ["heads"], ["heads_last"], perm=[0, 2, 1, 3]),
        node("Reshape", ["heads_last", "back"], ["joined"]),
        node("MatMul", ["joined", "w_o"], ["projected"]),
        node("Add", ["projected", "x"], ["sum_1"]),
        node("LayerNormalization", ["sum_1", "gamma_1", "beta_1"], ["normal_1"], axis=-1, name="norm_1"),
        node("MatMul", ["normal_1", "w_in"], ["hidden"]),
        node("Gelu", ["hidden"], ["active"], name="gelu"),
        node("MatMul", ["active", "w_out"], ["second"]),
        node("Add", ["second", "normal_1"], ["sum_2"]),
        node("LayerNormalization", ["sum_2", "gamma_2", "beta_2"], ["y"], axis=-1, name="norm_2"),
    ]
    arrays = {k: v if v.dtype == np.int64 else v.astype(np.float32) for k, v in constants.items()}
    shape = [1, TOKENS, WIDTH]
    graph = helper.make_graph(
        nodes,
        "encoder",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(value, name) for name, value in arrays.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def _real() -> Array:
    """Return what onnx's reference makes of the input."""
    outputs: Any = ReferenceEvaluator(_encoder()).run(None, {"x": _input()})
    return np.asarray(outputs[0])


def _input() -> Array:
    return np.random.default_rng(5).normal(size=(1, TOKENS, WIDTH)).astype(np.float32)


def _quantized(model: onnx.ModelProto) -> onnx.ModelProto:
    """Put a QuantizeLinear and a DequantizeLinear on every tensor of floats, symmetric int8 of the range seen."""
    names = ["x", *(name for node in model.graph.node for name in node.output)]
    seen = onnx.ModelProto()
    seen.CopyFrom(model)
    del seen.graph.output[:]
    seen.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names[1:])
    values = dict(zip(names[1:], ReferenceEvaluator(seen).run(None, {"x": _input()}), strict=True)) | {"x": _input()}
    made = onnx.ModelProto()
    made.CopyFrom(model)
    weights = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer if t.name.startswith("w_")}
    del made.graph.node[:]
    made.graph.initializer.extend(
        [numpy_helper.from_array(np.array(zero, np.int8), f"zero{-zero}") for zero in (0, -128)]
    )

    def quantize(name: str, largest: float, *, constant: bool) -> list[onnx.NodeProto]:
        whole = name == "weights"  # 0 to 1
        scale = 1 / 256 if whole else largest / 127
        zero = "zero128" if whole else "zero0"
        made.graph.initializer.append(numpy_helper.from_array(np.array(scale, np.float32), f"{name}_scale"))
        source = name if constant or name == "x" else f"{name}_float"
        return [
            helper.make_node("QuantizeLinear", [source, f"{name}_scale", zero], [f"{name}_code"]),
            helper.make_node("DequantizeLinear", [f"{name}_code", f"{name}_scale", zero], [f"{name}_near"]),
        ]

    for name, value in weights.items():
        made.graph.node.extend(quantize(name, float(np.abs(value).max()), constant=True))
    made.graph.node.extend(quantize("x", float(np.abs(values["x"]).max()), constant=False))
    known = {*names, *weights}
    for node in model.graph.node:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        copy.input[:] = [f"{name}_near" if name in known else name for name in node.input]
        copy.output[:] = [f"{name}_float" for name in node.output]
        made.graph.node.append(copy)
        for name in node.output:
            made.graph.node.extend(quantize(name, float(np.abs(values[name]).max()), constant=False))
    made.graph.output[0].name = "y_near"
    return made


@pytest.fixture(scope="module")
def quantized(tmp_path_factory: pytest.TempPathFactory) -> network.Network:
    path = tmp_path_factory.mktemp("encoder") / "encoder.onnx"
    onnx.save(_quantized(_encoder()), path)
    return network.read(path)


def _read(model: onnx.ModelProto, folder: Path) -> network.Network:
    onnx.save(model, folder / "model.onnx")
    return network.read(folder / "model.onnx")


def test_nonlinear_encoder_has_quantized_layers(quantized: network.Network) -> None:
    kinds = {layer.name: layer for layer in quantized.layers}
    for name in ("attention", "gelu", "norm_1", "norm_2"):
        assert kinds[name].output_quantization is not None  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "spec", SPECS, ids=lambda spec: f"{spec.softmax.value}-{spec.gelu.value}-{spec.layer_norm.value}"
)
def test_nonlinear_encoder_is_near_the_float_network(quantized: network.Network, spec: NonlinearSpec) -> None:
    real = _real()
    check(quantized, spec, KERNELS)
    y = network.run(quantized, {"x": _input()}, engine=Machine(spec))["y_near"]
    noise = float(np.square(y - real).sum())
    decibels = 10 * np.log10(np.square(real).sum() / noise)
    assert decibels > 24  # of a signal-to-noise ratio; the codes of int8 alone leave about 31


def test_nonlinear_kinds_change_only_their_layers(quantized: network.Network) -> None:
    plain = network.trace(quantized, {"x": _input()}, engine=Machine(NonlinearSpec()))
    shifted = network.trace(quantized, {"x": _input()}, engine=Machine(NonlinearSpec(gelu=GeluKind.SHIFT_GELU)))
    different = [name for name in plain if not np.array_equal(plain[name], shifted[name])]
    names = list(plain)
    assert different
    assert names.index(different[0]) >= names.index("active_code")


def test_nonlinear_float_layers_without_quantization_wrong(tmp_path: Path) -> None:
    net = _read(_encoder(), tmp_path)
    spec = NonlinearSpec(softmax=SoftmaxKind.SHIFTMAX, gelu=GeluKind.SHIFT_GELU, layer_norm=LayerNormKind.I_LAYER_NORM)
    around = "needs a quantized input and output: QuantizeLinear and DequantizeLinear around it"
    message = (
        "network 'encoder' has 4 layer(s) that this machine's non-linear functions cannot compute: "
        f"'attention' (Softmax): shiftmax {around}; 'norm_1' (LayerNormalization): i_layer_norm {around}; "
        f"'gelu' (Gelu): shift_gelu {around}; 'norm_2' (LayerNormalization): i_layer_norm {around}"
    )
    with pytest.raises(ValueError, match="cannot compute") as caught:
        check(net, spec)
    assert str(caught.value) == message
    with pytest.raises(ValueError, match=r"layer 'attention' .* needs a quantized input and output"):
        network.run(net, {"x": _input()}, engine=Machine(spec))


def test_nonlinear_float_kinds_of_float_layers(tmp_path: Path) -> None:
    net = _read(_encoder(), tmp_path)
    real = _real()
    for kind in (SoftmaxKind.FLOAT, SoftmaxKind.ONLINE, SoftmaxKind.TWO_PASS):
        for tile in (1, 5, 64):
            spec = NonlinearSpec(softmax=kind, tile=tile)
            check(net, spec)
            y = network.run(net, {"x": _input()}, engine=Machine(spec))["y"]
            np.testing.assert_allclose(y, real, rtol=0, atol=2e-5)


def test_nonlinear_kernels_missing_wrong(quantized: network.Network) -> None:
    engine = Machine(NonlinearSpec(softmax=SoftmaxKind.SHIFTMAX), kernels=None)
    with pytest.raises(ValueError, match="shiftmax is computed by integer kernels, and the engine brings none"):
        network.run(quantized, {"x": _input()}, engine=engine)


def test_nonlinear_tflite_rule_with_a_float_kind_wrong(quantized: network.Network) -> None:
    with pytest.raises(ValueError, match="online is in float32, and the TFLite rule has its own"):
        check(quantized, NonlinearSpec(softmax=SoftmaxKind.ONLINE), rule=network.Rule.TFLITE)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda spec: replace(spec, softmax="shiftmax"), TypeError, "softmax must be a SoftmaxKind, not 'shiftmax'"),
        (lambda spec: replace(spec, tile=0), ValueError, "tile must be"),
        (
            lambda spec: GeluKind("relu"),
            ValueError,
            "kind must be one of float, shift_gelu, shift_gelu_float32, not 'relu'",
        ),
        (lambda spec: GeluKind(1), TypeError, "kind must be a GeluKind or a str, not 1"),
    ],
)
def test_nonlinear_spec_wrong(change: Callable[[Any], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        change(NonlinearSpec())


class Counter(Machine):
    """Notes the inner sizes of a product."""

    def __init__(self, spec: NonlinearSpec) -> None:
        super().__init__(spec)
        self.inner: list[int] = []

    def matmul(self, layer: network.Layer, a: Array, b: Array) -> Array:
        if layer.outputs == ("heads",):
            self.inner.append(a.shape[-1])
        return super().matmul(layer, a, b)


@pytest.mark.parametrize("tile", [1, 5, 12])
def test_nonlinear_online_attention_is_one_pass_over_tiles(tmp_path: Path, tile: int) -> None:
    net = _read(_encoder(), tmp_path)
    spec = NonlinearSpec(softmax=SoftmaxKind.ONLINE, tile=tile)
    fused = with_online_attention(net, spec)
    assert len(fused.layers) == len(net.layers) - 1
    engine = Counter(spec)
    got = network.trace(fused, {"x": _input()}, engine=engine)
    assert engine.inner == [min(tile, TOKENS - start) for start in range(0, TOKENS, tile)]
    scores, values = got["scores"], got["v"]
    assert values.shape == (1, HEADS, TOKENS, WIDTH // HEADS)
    for head in range(HEADS):
        for row, heads in zip(scores[0, head], got["heads"][0, head], strict=True):
            top, total, out = np.float32(-np.inf), np.float32(0), np.zeros(WIDTH // HEADS, np.float32)
            for start in range(0, TOKENS, tile):
                part = row[start : start + tile]
                new = max(top, part.max())
                exps = exponential((part - new)[np.newaxis])
                kept = exponential(np.array([[top - new]], np.float32))[0, 0]
                total = total * kept + sum_16_lanes(exps)[0]
                partial = (exps @ values[0, head, start : start + tile])[0]
                out, top = partial if start == 0 else out * kept + partial, new
            np.testing.assert_allclose(heads, out / total, rtol=3e-7, atol=3e-7)  # the order in which numpy multiplies
    real = _real()
    np.testing.assert_allclose(got["y"], real, rtol=0, atol=2e-5)


def test_nonlinear_online_attention_leaves_other_networks(quantized: network.Network, tmp_path: Path) -> None:
    online = NonlinearSpec(softmax=SoftmaxKind.ONLINE)
    assert with_online_attention(quantized, online).layers == quantized.layers
    net = _read(_encoder(), tmp_path)
    assert with_online_attention(net, NonlinearSpec()) is net
