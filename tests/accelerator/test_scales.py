# SPDX-License-Identifier: Apache-2.0
"""The scales of float operands: against plain numpy, with posits decoded bit by bit here."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hwsim import data, datapath, formats, network
from hwsim.accelerator import UnitEngine
from hwsim.accelerator.scales import scale_top, slice_scales, tensor_scale
from hwsim.formats import FloatSpec, PositSpec
from hwsim.ranking import rank

Array = NDArray[Any]
USEED = {"posit8_0": 2.0, "posit8_1": 4.0, "posit8_2": 16.0}


def _posit_value(code: int, bits: int, es: int) -> float:
    """The value of a posit's code, read from its bits as the standard has it."""
    if code == 0:
        return 0.0
    sign = -1.0 if code >> (bits - 1) else 1.0
    magnitude = (1 << bits) - code if sign < 0 else code
    text = format(magnitude, f"0{bits}b")[1:]
    run = len(text) - len(text.lstrip(text[0]))
    regime = run - 1 if text[0] == "1" else -run
    rest = text[run + 1 :]
    exponent = int(rest[:es].ljust(es, "0") or "0", 2)
    fraction = rest[es:]
    return float(sign * 2.0 ** ((regime << es) + exponent) * (1 + int(fraction or "0", 2) / 2 ** len(fraction)))


def _digits() -> tuple[network.Network, dict[str, Array], dict[str, tuple[float, float]]]:
    net = network.read(data.digits_model_path(quantized=False))
    images, _ = data.digits_test()
    name = net.inputs[0].name
    return net, {name: images}, network.calibrate(net, {name: data.digits_calibration()})


def _conv2(unit: str) -> tuple[dict[str, Array], Array, tuple[float, float]]:
    """Return what a unit multiplied in a layer, the layer's weights (K, outputs), and its operands' ranges."""
    net, inputs, ranges = _digits()
    kept: dict[str, list[dict[str, Array]]] = {}
    few = {name: value[:4] for name, value in inputs.items()}
    network.run(net, few, engine=UnitEngine(datapath.comparable(unit, 16), ranges, record=kept.__setitem__))
    weight = net.layer("conv2").weight  # type: ignore[attr-defined]
    return kept["conv2"][0], weight.reshape(weight.shape[0], -1).T.astype(np.float64), ranges["conv2"]


@pytest.mark.parametrize("name", USEED)
def test_scales_of_posits_reach_float32_accuracy(name: str) -> None:
    """With the largest magnitude at maxpos they had 96.11, 68.61 and 14.72 %; float32 has 98.33 %."""
    net, inputs, ranges = _digits()
    outputs = network.run(net, inputs, engine=UnitEngine(datapath.comparable(name, 16), ranges))
    _, labels = data.digits_test()
    assert (next(iter(outputs.values())).argmax(axis=1) == labels).mean() >= 0.98


@pytest.mark.parametrize("name", USEED)
def test_scales_of_a_posit_layer_are_those_of_numpy(name: str) -> None:
    """Weights' codes, each the nearest value but zero under largest / useed; no other power of two is better."""
    es = int(name[-1])
    values = np.array([_posit_value(code, 8, es) for code in range(256) if code not in (0, 128)])
    found, weights, _ = _conv2(name)
    scales = (np.abs(weights).max(axis=0) / USEED[name]).astype(np.float32).astype(np.float64)
    codes = found["b"].astype(np.int64)
    ours = values[np.where(codes > 128, codes - 2, codes - 1)]
    quotients = weights / scales
    nearest = np.abs(quotients[..., None] - values).min(axis=-1)
    assert codes.shape == weights.shape == (72, 16)
    assert codes.all()
    assert np.array_equal(np.abs(quotients - ours), nearest)

    def error(power: int) -> float:
        tried = scales * 2.0**power
        steps = np.abs((weights / tried)[..., None] - values).min(axis=-1)
        return float(np.square(steps * tried).sum())

    assert min(range(-6, 7), key=error) == 0


def test_scales_leave_int8_as_it_was() -> None:
    found, weights, (largest, _) = _conv2("int8")
    scales = (np.abs(weights).max(axis=0) / 127).astype(np.float32).astype(np.float64)
    assert np.array_equal(found["b"].view(np.int8), np.clip(np.rint(weights / scales), -128, 127))
    assert tensor_scale(formats.named("int8"), largest) == np.float32(largest / 127)


def test_scales_leave_float8_as_it_was() -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    found, weights, (largest, _) = _conv2("float8_e4m3fn")
    scales = (np.abs(weights).max(axis=0) / 448).astype(np.float32).astype(np.float64)
    wanted = np.clip(weights / scales, -448, 448).astype(ml_dtypes.float8_e4m3fn)
    assert np.array_equal(found["b"], wanted.view(np.uint8))
    assert tensor_scale(formats.named("float8_e4m3fn"), largest) == np.float32(largest / 448)


@pytest.mark.parametrize("name", ["posit8_1", "float8_e4m3fn", "bitmod_fp4_ea_neg", "float16", "int4"])
def test_scales_of_the_ranking_are_those_that_run(name: str) -> None:
    found, weights, _ = _conv2(name)
    spec: Any = formats.named(name)
    values = spec.decode(found["b"]) * slice_scales(spec, weights.astype(np.float32), 0)
    noise = np.square(values - weights).sum()
    (row,) = rank({"w": (weights, 0)}, [spec])
    assert row["qsnr_db"] == pytest.approx(10 * np.log10(np.square(weights).sum() / noise), abs=1e-9)


def test_scales_by_hand() -> None:
    assert scale_top(PositSpec(bits=3, es=1)) == 4.0 == PositSpec(bits=3, es=1).max_value
    assert scale_top(PositSpec(bits=2, es=2)) == 1.0
    assert scale_top(PositSpec(bits=16, es=2)) == 16.0
    x = np.array([[1.0, -4.0, 0.0], [0.5, 2.0, 0.0]], np.float32)
    posit, half = PositSpec(bits=8, es=1), formats.named("float16")
    assert isinstance(half, FloatSpec)
    nvfp4, mxfp4 = formats.named("nvfp4"), formats.named("mxfp4")
    assert slice_scales(posit, x, 0).tolist() == [[0.25, 1.0, 1.0]]
    assert slice_scales(half, x, 1).tolist() == [[1.0], [1.0]]
    assert tensor_scale(posit, 0.0) == tensor_scale(half, 3.0) == tensor_scale(nvfp4, 0.0) == 1
    assert tensor_scale(nvfp4, 2688.0) == 1
    assert tensor_scale(mxfp4, 3.0) is None


def test_scales_of_a_format_without_positive_values() -> None:
    with pytest.raises(ValueError, match=r"must have values above zero, and int1 has none"):
        scale_top(formats.IntegerSpec(bits=1))
