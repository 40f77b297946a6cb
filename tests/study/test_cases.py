# SPDX-License-Identifier: Apache-2.0
"""Cases: what they hold, what their digest sees, and files that do not fit."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from hwsim import accelerator, data, network
from hwsim.network.onnx_reader import from_model
from hwsim.quantization import float_form
from hwsim.study import Case, case, digits

Arrays = dict[str, NDArray[Any]]
INT8 = data.digits_model_path(quantized=True)
FLOAT = data.digits_model_path(quantized=False)


@pytest.fixture
def images() -> Arrays:
    pictures, labels = data.digits_test()
    return {"input": pictures[:20], "labels": labels[:20]}


def test_case_of_the_digits_is_complete() -> None:
    made = digits()
    assert (made.name, made.images) == ("digits", 360)
    again = pickle.loads(pickle.dumps(made))
    assert (again, hash(again), again.digest) == (made, hash(made), made.digest)
    outputs = network.run(again.network, dict(again.inputs))
    assert np.array_equal(outputs["output"], network.run(network.read(FLOAT), dict(made.inputs))["output"])


def test_case_digest_is_of_the_content(images: Arrays, tmp_path: Path) -> None:
    one = case("one", FLOAT, images)
    np.savez(tmp_path / "images.npz", input=images["input"], labels=images["labels"])
    copied = tmp_path / "other.onnx"
    copied.write_bytes(FLOAT.read_bytes())
    other = case("other", copied, tmp_path / "images.npz")
    assert one.digest == other.digest
    assert one != other  # by their names
    assert one.labels is not None
    changed = [
        case("one", INT8, images),
        case("one", FLOAT, {**images, "labels": images["labels"][::-1]}),
        case("one", FLOAT, {"input": images["input"]}),
        case("one", FLOAT, {**images, "input": images["input"] * np.float32(0.5)}),
        case("one", FLOAT, images, {"input": images["input"]}),
        case("one", FLOAT, images, images=10),
        case("one", FLOAT, images, batch=2),
    ]
    assert len({one.digest, *(each.digest for each in changed)}) == 1 + len(changed)


def test_case_images_are_the_first_or_random(images: Arrays) -> None:
    few = case("few", FLOAT, images, images=7)
    assert (few.images, few.what) == (7, "7 images with labels")
    assert few.labels is not None
    assert np.array_equal(few.inputs["input"], images["input"][:7])
    assert np.array_equal(few.labels, images["labels"][:7])
    drawn = case("drawn", FLOAT, images=3)
    assert (drawn.images, drawn.labels, drawn.what) == (3, None, "3 random images (seed 2026)")
    assert case("drawn", FLOAT, images=3).digest == drawn.digest
    assert case("drawn", FLOAT).images == 16
    even = case("even", FLOAT, [0, 255], images=3)
    assert even.what == "3 random images (seed 2026), evenly from 0 to 255"
    assert 100 < even.inputs["input"].max() <= 255
    assert [each.random for each in (few, drawn, even)] == [False, True, True]


def test_case_from_quantized_is_the_float_network(images: Arrays) -> None:
    made = case("float", INT8, images, from_quantized=True)
    assert {spec.dtype for spec in made.network.tensors.values()} == {"float32"}
    quantized = network.run(network.read(INT8), {"input": images["input"]})["output"]
    found = network.run(made.network, dict(made.inputs))["output"]
    assert np.abs(found - quantized).max() < 1
    whole = from_model(float_form(INT8))  # with an Identity where a quantizer was
    assert len(made.network.layers) < len(whole.layers)
    assert np.array_equal(found, network.run(whole, dict(made.inputs))["output"])


def test_case_accelerators_are_text(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(accelerator.toml_text("mxfp4_4x4")[0])
    made = digits().with_accelerators({"mine": file})
    assert isinstance(made, Case)
    assert made.accelerators == (("mine", file.read_text()),)
    assert made.digest == digits().digest
    assert made != digits()
    with pytest.raises(ValueError, match=r"^accelerator 'int8_16x16' must have another name: a preset has it$"):
        made.with_accelerators({"int8_16x16": file})
    with pytest.raises(FileNotFoundError, match="no accelerator file"):
        made.with_accelerators({"other": tmp_path / "none.toml"})
    own = file.read_text().replace("sram_node_nm = 22\n", "") + '\n[memory]\npreset = "own.toml"\n'
    file.write_text(own)
    with pytest.raises(ValueError, match=r"mine.toml: memory.preset must be the name of a preset here, not a file"):
        made.with_accelerators({"other": file})


def test_case_wrong(images: Arrays, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^a case must have a name, not ''$"):
        case("", FLOAT, images)
    with pytest.raises(ValueError, match=r"^inputs must be two rising numbers, not \(0, inf\)$"):
        case("x", FLOAT, (0, float("inf")))
    codes = [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.INT8, [1, 4])]
    values = [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, 4])]
    graph = onnx.helper.make_graph([onnx.helper.make_node("Cast", ["x"], ["y"], to=1)], "cast", codes, values)
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)]), tmp_path / "codes.onnx")
    with pytest.raises(ValueError, match=r"^random inputs between limits must be floats, and the network takes x int8"):
        case("x", tmp_path / "codes.onnx", (0, 255))
    with pytest.raises(TypeError, match=r"^inputs must be two numbers, not \[1\]$"):
        case("x", FLOAT, [1])
    with pytest.raises(FileNotFoundError, match="no such model"):
        case("x", tmp_path / "none.onnx", images)
    with pytest.raises(FileNotFoundError, match=r"no file '.*none\.npz'"):
        case("x", FLOAT, tmp_path / "none.npz")
    with pytest.raises(ValueError, match=r"^images must be at most 20, which 'input' has, not 21$"):
        case("x", FLOAT, images, images=21)
    with pytest.raises(ValueError, match="images must be"):
        case("x", FLOAT, images, images=0)
    with pytest.raises(TypeError, match="input 'input' must be float32, not float64"):
        case("x", FLOAT, {"input": images["input"].astype(float)})
    with pytest.raises(ValueError, match=r"takes the inputs \['input'\]: unknown \['other'\]"):
        case("x", FLOAT, {**images, "other": images["input"]})
    with pytest.raises(ValueError, match=r"unknown \['other'\], missing \['input'\]"):
        case("x", FLOAT, {"other": images["input"]})
    with pytest.raises(ValueError, match=r"labels must have shape \(20,\)"):
        case("x", FLOAT, {**images, "labels": images["labels"][:3]})
    with pytest.raises(ValueError, match="input 'input' must have shape"):
        case("x", FLOAT, images, {"input": images["input"][:, :, :4]})
