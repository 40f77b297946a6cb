# SPDX-License-Identifier: Apache-2.0
"""Print what each method of quantization saves: SQNR of the outputs and accuracy, recipe by recipe.

    python -m benchmarks.quantization
    python -m benchmarks.quantization --models ../shared/models

The digits network is the package's; images are its calibration set (ranges, GPTQ) and its held-out test set (accuracy).
The transformer is a block of random weights whose first normalization makes two large channels, as language models do.
With --models, the float MNIST network of the ONNX model zoo and ResNet-8's float form are quantized as well.
"""

import argparse
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from benchmarks.network_zoo import vit_block
from hwsim import data, network
from hwsim.network.onnx_reader import from_model
from hwsim.quantization import Recipe, float_form, quantize

Array = npt.NDArray[Any]

METHODS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("round to nearest", {}),
    ("mse ranges", {"observer": "mse", "weight_observer": "mse"}),
    ("equalize", {"equalize": True}),
    ("smooth 0.5", {"smooth": 0.5}),
    ("rotate", {"rotate": 0}),
    ("correct bias", {"correct_bias": True}),
    ("gptq", {"gptq": True}),
    ("all but rotate", {"observer": "mse", "equalize": True, "smooth": 0.5, "gptq": True, "correct_bias": True}),
)
WIDTHS = (("int8", "int8"), ("int4", "int8"), ("int4", "int4"), ("int3", "int3"), ("int4", None))
FORMATS = (
    "int8", "int6", "int4", "float8_e4m3fn", "float8_e5m2", "float6_e2m3fn", "float4_e2m1fn", "mxint8", "mxfp8_e4m3",
    "mxfp6_e2m3", "mxfp4", "nvfp4", "posit8_1", "nf4",
)  # fmt: skip


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, help="a folder with mnist_float and resnet8_cifar10_int8_qdq.onnx")
    parser.add_argument("--quick", action="store_true", help="few images")
    options = parser.parse_args()
    count = 48 if options.quick else 300
    print(f"digits network, {count} calibration images; SQNR of the outputs in dB, accuracy on 360 held-out images")
    calibration = {"input": data.digits_calibration()[:count]}
    digits = onnx.load(data.digits_model_path(quantized=False))
    _widths(digits, calibration, WIDTHS)
    print("\ndigits network, weights and activations in one format, to nearest, then with GPTQ and bias correction")
    _formats(digits, calibration)
    print("\ntransformer block of width 64 with two large channels, 24 sequences of 16; SQNR of the outputs in dB")
    model, inputs = transformer()
    _widths(model, inputs, (("int8", "int8"), ("int4", "int8"), ("mxfp4", "mxfp4"), ("int4", None)))
    if options.models is not None:
        _others(options.models)


def transformer() -> tuple[onnx.ModelProto, dict[str, Array]]:
    """Return the block, and inputs."""
    model = vit_block(tokens=16, width=64, heads=4, batch="batch")
    first = next(node.input[1] for node in model.graph.node if node.op_type == "LayerNormalization")
    for tensor in model.graph.initializer:
        if tensor.name == first:
            scale = numpy_helper.to_array(tensor).copy()
            scale[[3, 40]] *= 30
            tensor.CopyFrom(numpy_helper.from_array(scale, tensor.name))
    rng = np.random.default_rng(1)
    return model, {"input": rng.standard_normal((24, 16, 64)).astype(np.float32)}


def _widths(model: onnx.ModelProto, calibration: Mapping[str, Array], widths: Iterable[tuple[str, str | None]]) -> None:
    """Print a row a method, a column a pair of formats."""
    pairs = list(widths)
    heads = [f"{weights}/{activations or 'float'}" for weights, activations in pairs]
    print(f"{'':<18}" + "".join(f"{head:>20}" for head in heads))
    for name, method in METHODS:
        cells = []
        for weights, activations in pairs:
            blocks = weights.startswith(("mx", "nv"))
            # two products of attention sum over 16 tokens or head channels, which blocks of 32 do not divide
            recipe = Recipe(weights=weights, activations=activations, **method)
            cells.append(_cell(model, recipe, calibration, written=not blocks))
        print(f"{name:<18}" + "".join(f"{cell:>20}" for cell in cells), flush=True)


def _formats(model: onnx.ModelProto, calibration: Mapping[str, Array]) -> None:
    """Print a row a format."""
    for name in FORMATS:
        observer = "mse" if name.startswith("posit") else "absmax"
        cells = []
        for method in ({}, {"gptq": True, "correct_bias": True}):
            recipe = Recipe(weights=name, activations=name, observer=observer, weight_observer=observer, **method)  # type: ignore[arg-type]
            start = time.perf_counter()
            found = quantize(model, recipe, calibration, written=False, effects=False).report.output_sqnr_db
            cells.append(f"{found:8.2f} dB {time.perf_counter() - start:6.2f} s")
        print(f"{name:<18}" + "".join(f"{cell:>22}" for cell in cells), flush=True)


def _cell(model: onnx.ModelProto, recipe: Recipe, calibration: Mapping[str, Array], *, written: bool) -> str:
    found = quantize(model, recipe, calibration, written=written, effects=False)
    ratio = found.report.output_sqnr_db
    text = f"{ratio:.2f}" if ratio is not None else "exact"
    if found.model is None or model.graph.name != "digits":
        return text
    images, labels = data.digits_test()
    outputs = network.run(from_model(found.model), {"input": images})["output"]
    return f"{text} {100 * np.mean(outputs.argmax(axis=1) == labels):6.2f} %"


def _others(folder: Path) -> None:
    """Print the other networks, each to nearest and with all methods."""
    mnist = onnx.load(folder / "mnist_float" / "mnist-12-float.onnx")
    images = np.load(folder / "mnist_four_images.npy").astype(np.float32).reshape(-1, 1, 28, 28)
    resnet = float_form(folder / "resnet8_cifar10_int8_qdq.onnx")
    picture = np.load(folder / "golden_io.npz")["cifar10_class3/image_nchw_uint8"].astype(np.float32)
    moved = np.concatenate([np.roll(picture, (dy, dx), (2, 3)) for dy in (-3, 0, 3) for dx in (-4, 0, 4)])
    for what, model, inputs in (
        ("MNIST CNN (4 images)", mnist, {"Input3": images}),
        ("ResNet-8, float form of its int8 (9 shifts of one image)", resnet, {"t0": moved}),
    ):
        print(f"\n{what}; SQNR of the outputs in dB")
        _widths(model, inputs, (("int8", "int8"), ("int4", "int8"), ("int4", "int4")))


if __name__ == "__main__":
    main()
