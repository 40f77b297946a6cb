# SPDX-License-Identifier: Apache-2.0
"""Formats ranked on weights, beside the same figures computed with numpy and ml_dtypes."""

from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from hwsim.data import digits_model_path
from hwsim.formats import BlockSpec, named
from hwsim.formats.catalog import entries
from hwsim.ranking import WIDE, candidates, left_out, rank, rank_file

WEIGHTS = np.random.default_rng(3).normal(size=(16, 48))

POSITS = ("posit8_0", "posit8_1", "posit16_1")


def _qsnr(x: np.ndarray, y: np.ndarray) -> float:
    return float(10 * np.log10(np.square(x).sum() / np.square(y - x).sum()))


def test_ranking_of_int8_is_that_of_numpy() -> None:
    scales = (np.abs(WEIGHTS).max(axis=1, keepdims=True) / 127).astype(np.float32).astype(np.float64)
    quantized = np.clip(np.rint(WEIGHTS / scales), -128, 127) * scales
    (row,) = rank({"w": (WEIGHTS, 1)}, [named("int8")])
    assert row["qsnr_db"] == pytest.approx(_qsnr(WEIGHTS, quantized), abs=1e-9)
    assert row["mean_qsnr_db"] == row["qsnr_db"]
    assert row["mse"] == pytest.approx(np.square(quantized - WEIGHTS).mean(), rel=1e-12)
    assert row["max_error"] == np.abs(quantized - WEIGHTS).max()
    assert row["codes_used"] == len(np.unique(np.rint(WEIGHTS / scales))) / 256
    assert row["elements"] == WEIGHTS.size


def test_ranking_of_float8_brings_the_largest_magnitude_to_448() -> None:
    """By ml_dtypes; no power of two beside that scale has a smaller error."""
    largest = np.abs(WEIGHTS).max(axis=1, keepdims=True) / 448
    errors = {}
    for power in range(-8, 41):
        scales = (largest * 2.0**power).astype(np.float32).astype(np.float64)
        clipped = np.clip(WEIGHTS / scales, -448, 448)
        errors[power] = _qsnr(WEIGHTS, clipped.astype(ml_dtypes.float8_e4m3fn).astype(np.float64) * scales)
    (row,) = rank({"w": (WEIGHTS, 1)}, [named("float8_e4m3fn")])
    assert row["qsnr_db"] == pytest.approx(errors[0], abs=1e-9)
    assert errors[0] == max(errors.values())


def test_ranking_of_posits_uses_their_dense_middle() -> None:
    """Near one a posit(8, 1) has 4 fraction bits more than an E4M3 has 3 everywhere: 32 dB are well within reach."""
    rows = {row["format"]: row["qsnr_db"] for row in rank({"w": (WEIGHTS, 1)}, [named(n) for n in POSITS])}
    assert rows["posit8_1"] > 31
    assert rows["posit8_0"] > 35
    assert rows["posit16_1"] > 70


def test_ranking_adds_tensors_by_power_and_by_elements() -> None:
    small = WEIGHTS[:4] / 100
    both, first, second = (
        rank(weights, [named("mxfp4")])[0]
        for weights in ({"a": (WEIGHTS, 1), "b": (small, 1)}, {"a": (WEIGHTS, 1)}, {"b": (small, 1)})
    )
    counts = WEIGHTS.size, small.size
    mean = np.average([first["qsnr_db"], second["qsnr_db"]], weights=counts)
    assert both["mean_qsnr_db"] == pytest.approx(mean, abs=1e-12)
    noise = first["mse"] * counts[0] + second["mse"] * counts[1]
    signal = np.square(WEIGHTS).sum() + np.square(small).sum()
    assert both["qsnr_db"] == pytest.approx(10 * np.log10(signal / noise), abs=1e-9)
    assert [tensor["tensor"] for tensor in both["tensors"]] == ["a", "b"]


def test_ranking_takes_the_axis_of_k() -> None:
    wanted = rank({"w": (WEIGHTS, 1)}, [named("int4"), named("nvfp4")])
    assert rank({"w": (WEIGHTS.T, 0)}, [named("int4"), named("nvfp4")]) == wanted
    assert rank({"w": (WEIGHTS.reshape(4, 4, 48), -1)}, [named("int4"), named("nvfp4")]) == wanted


def test_ranking_is_sorted() -> None:
    rows = rank_file("digits")
    keys = [(row["bits_per_element"], -row["qsnr_db"]) for row in rows]
    assert keys == sorted(keys)
    assert len(rows) == len(candidates()) >= 24
    tensors = [tensor["tensor"].removesuffix(".weight") for tensor in rows[0]["tensors"]]
    assert tensors == ["conv1", "conv2", "conv3", "fc"]
    by_name = {row["format"]: row["qsnr_db"] for row in rows}
    assert by_name["int8"] > by_name["float8_e4m3fn"] > by_name["float8_e5m2"]
    assert by_name["nvfp4"] > by_name["mxfp4"]


def test_ranking_of_exact_weights() -> None:
    (row,) = rank({"w": (np.full((2, 32), 3.0), 1), "none": (np.zeros((2, 2)), 1)}, [named("mxint8")])
    assert (row["qsnr_db"], row["mean_qsnr_db"], row["mse"]) == (None, None, 0)
    assert len(row["tensors"]) == 1


def test_ranking_of_an_int8_network_is_of_its_real_weights() -> None:
    (row,) = rank_file(digits_model_path(quantized=True), ["int8"])
    assert row["qsnr_db"] is None or row["qsnr_db"] > 100  # they are on an int8 grid with a scale a channel already


def test_ranking_candidates_have_both_signs() -> None:
    for spec in candidates():
        inner = spec.element if isinstance(spec, BlockSpec) else spec
        assert spec.bits <= 9
        assert isinstance(spec, BlockSpec) or inner.min_value < 0 < inner.max_value
    found = {spec.name for spec in candidates()}
    assert {"int8", "float4_e2m1fn", "mxfp4", "nvfp4"} <= found
    assert not {"uint8", "float8_e8m0fnu", "float16", "float8_e5m3fnu"} & found


def test_ranking_left_out_is_the_rest_of_the_catalog() -> None:
    out = left_out()
    names = [name for each in out.values() for name in each]
    assert sorted([*names, *(spec.name for spec in candidates())]) == sorted(entry.name for entry in entries())
    assert {"int16", "float16", "posit32_2", "dfp16"} <= set(out["of more than 9 bits"])
    assert {"uint8", "uint16", "float8_e8m0fnu", "binary", "log2_4"} <= set(out["without negative values"])
    assert out["of complex numbers"] == ("phase4",)
    rank({"w": (WEIGHTS, 1)}, [named(name) for name in out[WIDE]])
    for name in out["without negative values"]:
        with pytest.raises(ValueError, match="both signs"):
            rank_file("digits", [name])


def test_ranking_progress() -> None:
    said: list[str] = []
    rank({"w": (WEIGHTS, 1)}, [named("int4"), named("mxfp4")], progress=said.append)
    assert said == ["format int4 on 1 tensors", "format mxfp4 on 1 tensors"]


def test_ranking_weights_wrong(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^there are no weights other than zero to rank formats on$"):
        rank({}, [named("int4")])
    with pytest.raises(ValueError, match=r"^weights 'w' must be finite$"):
        rank({"w": (np.array([[1.0, np.inf]]), 1)}, [named("int4")])
    value = helper.make_tensor_value_info
    node = helper.make_node("Relu", ["x"], ["y"])
    graph = helper.make_graph([node], "g", [value("x", TensorProto.FLOAT, [2])], [value("y", TensorProto.FLOAT, [2])])
    model = tmp_path / "relu.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), model)
    with pytest.raises(ValueError, match="no weights"):
        rank_file(model)


def test_ranking_of_a_file(tmp_path: Path) -> None:
    value = helper.make_tensor_value_info
    node = helper.make_node("MatMul", ["x", "w"], ["y"], name="product")
    weight = numpy_helper.from_array(WEIGHTS.T.astype(np.float32), "w")
    ends = [value("x", TensorProto.FLOAT, [2, 48])], [value("y", TensorProto.FLOAT, [2, 16])]
    graph = helper.make_graph([node], "g", *ends, initializer=[weight])
    model = tmp_path / "product.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), model)
    (found,) = rank_file(model, ["int8"])
    (wanted,) = rank({"w": (WEIGHTS.astype(np.float32), 1)}, [named("int8")])
    assert found["qsnr_db"] == wanted["qsnr_db"]
