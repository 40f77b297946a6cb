# SPDX-License-Identifier: Apache-2.0
"""Large tensors stay in their files: the same values, far less memory, and errors that name what is wrong."""

import mmap
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from google.protobuf.message import DecodeError
from onnx import helper, numpy_helper

from hwsim import network
from hwsim.network.layers.multiply_accumulate import MultiplyAccumulate
from hwsim.network.skeleton import skeleton
from hwsim.network.tensor_files import MAPPED_BYTES, map_tensors, release

Array = npt.NDArray[Any]


def product(models: Any, weight: Array | None = None) -> Path:
    """A file of one matrix product by large weights."""
    given = np.random.default_rng(1).standard_normal((160, 120), np.float32) if weight is None else weight
    path: Path = models.save(
        [helper.make_node("MatMul", ["x", "w"], ["y"])], {"x": ["n", given.shape[0]]}, ["y"], {"w": given}
    )
    return path


def external(path: Path, **entries: str | int) -> Path:
    """Move the weights of a file to `weights.bin`, and change what is said of it."""
    onnx.save(onnx.load(path), path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    model = onnx.load(path, load_external_data=False)
    for entry in model.graph.initializer[0].external_data:
        entry.value = str(entries.pop(entry.key, entry.value))
    for key, value in entries.items():
        model.graph.initializer[0].external_data.add(key=key, value=str(value))
    onnx.save(model, path)
    return path


def is_mapped(array: Array) -> bool:
    base: Any = array
    while base is not None and not isinstance(base, mmap.mmap):
        base = base.obj if isinstance(base, memoryview) else getattr(base, "base", None)
    return base is not None


@pytest.mark.parametrize("operator", ["MatMul", "Gemm"])
@pytest.mark.parametrize("form", ["inside", "beside"])
def test_tensor_files_weights_are_mapped(models: Any, form: str, operator: str) -> None:
    """A transposed matrix is mapped as well."""
    expected = np.random.default_rng(1).standard_normal((160, 120), np.float32)
    attributes: dict[str, Any] = {"transB": 1} if operator == "Gemm" else {}
    weights = np.ascontiguousarray(expected.T) if attributes else expected
    node = helper.make_node(operator, ["x", "w"], ["y"], **attributes)
    path = models.save([node], {"x": ["n", 160]}, ["y"], {"w": weights})
    if form == "beside":
        external(path)
    net = network.read(path)
    (layer,) = net.layers
    assert isinstance(layer, MultiplyAccumulate)
    weight = layer.weight
    assert weight is not None
    assert is_mapped(weight)
    assert np.array_equal(weight, expected)
    release(weight)
    assert np.array_equal(weight, expected)
    x = np.random.default_rng(2).standard_normal((3, 160), np.float32)
    assert np.allclose(network.run(net, {"x": x})["y"], x @ expected, rtol=1e-4, atol=1e-4)


def test_tensor_files_small_tensors_are_read(models: Any) -> None:
    path = external(product(models, np.eye(4, dtype=np.float32)))
    (layer,) = network.read(path).layers
    assert isinstance(layer, MultiplyAccumulate)
    weight = layer.weight
    assert weight is not None
    assert not is_mapped(weight)
    assert np.array_equal(weight, np.eye(4))


def test_tensor_files_packed_elements(models: Any, qdq: Any, rng: np.random.Generator) -> None:
    import ml_dtypes  # the type's own arrays

    codes = rng.integers(-8, 8, (600, 300)).astype(ml_dtypes.int4)
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "s"], ["v"]),
        helper.make_node("MatMul", ["x", "v"], ["y"]),
    ]
    path = models.save(nodes, {"x": [1, 600]}, ["y"], {"w": codes, "s": np.float32(0.5)}, opset=21, ir_version=10)
    x = rng.standard_normal((1, 600)).astype(np.float32)
    inside = network.run(network.read(path), {"x": x})["y"]
    found = network.run(network.read(external(path)), {"x": x})["y"]
    assert np.array_equal(found, inside)
    assert np.allclose(found, x @ (codes.astype(np.float32) / 2), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"offset": -4}, r"needs 76800 bytes, not the 76800 from -4 on of a file of 76800"),
        ({"offset": 4}, r"shape \[160, 120\] needs 76800 bytes, not the 76800 from 4 on of a file of 76800"),
        ({"length": 70000}, r"needs 76800 bytes, not the 70000 from 0 on"),
        ({"length": "many"}, "offset and length must be numbers"),
        ({"location": "../weights.bin"}, "external data is missing|lies outside the model's folder"),
        ({"location": ""}, "external data is missing: '' of tensor 'w'"),
        ({"location": "w" * 5000}, "external data is missing: 'wwww"),
    ],
)
def test_tensor_files_external_data_wrong(models: Any, entries: dict[str, Any], message: str) -> None:
    path = external(product(models), **entries)
    with pytest.raises(ValueError, match=message):
        network.read(path)


def test_tensor_files_outside_the_folder(models: Any, tmp_path: Path) -> None:
    path = external(product(models))
    inner = path.parent / "inner"
    inner.mkdir()
    (inner / "m.onnx").write_bytes(path.read_bytes())
    (inner / "weights.bin").symlink_to(path.parent / "weights.bin")
    with pytest.raises(ValueError, match=r"'weights\.bin' of tensor 'w' cannot be read: it lies outside the model's"):
        network.read(inner / "m.onnx")


def test_tensor_files_model_behind_a_link(models: Any) -> None:
    path = product(models)
    inner = path.parent / "inner"
    inner.mkdir()
    (inner / "m.onnx").symlink_to(path)
    assert network.read(inner / "m.onnx").layers


def test_tensor_files_cut_data(models: Any) -> None:
    path = external(product(models))
    data = path.parent / "weights.bin"
    data.write_bytes(data.read_bytes()[:-1])
    with pytest.raises(ValueError, match="from 0 on of a file of 76799"):
        network.read(path)


def test_tensor_files_skeleton_says_the_same(models: Any, rng: np.random.Generator) -> None:
    path = product(models, rng.standard_normal((160, 120), np.float32))
    data = path.read_bytes()
    bare = skeleton(memoryview(data), path.name)
    assert len(bare) < len(data) - MAPPED_BYTES
    model = onnx.ModelProto.FromString(bare)
    mapped = map_tensors(model, path)
    whole = onnx.load(path)
    assert np.array_equal(mapped["w"], numpy_helper.to_array(whole.graph.initializer[0]))
    del whole.graph.initializer[:], model.graph.input[-1:]
    assert model == whole


def test_tensor_files_skeleton_of_damaged_files(models: Any, rng: np.random.Generator) -> None:
    path = product(models)
    data = bytearray(path.read_bytes())
    parsed = 0
    for _ in range(2000):
        wrong = bytearray(data)
        for at in rng.integers(0, 400, 2):
            wrong[at if rng.random() < 0.5 else -1 - at] = rng.integers(256)
        bare = skeleton(memoryview(bytes(wrong)), path.name)
        assert len(bare) <= len(wrong) + 200
        try:
            onnx.ModelProto.FromString(bytes(wrong))
        except DecodeError:
            continue
        onnx.ModelProto.FromString(bare)
        parsed += 1
    assert parsed > 100


@pytest.mark.skipif(sys.platform != "linux", reason="reads the memory's high mark from /proc")
def test_tensor_files_memory_stays_below_the_model(models: Any, tmp_path: Path) -> None:
    """A chain of eight products by 16 MiB of weights each runs in less than half of the model's size."""
    size = 2048
    names = [f"w{i}" for i in range(8)]
    nodes = [helper.make_node("MatMul", [f"x{i}" if i else "x", name], [f"x{i + 1}"]) for i, name in enumerate(names)]
    weight = np.eye(size, dtype=np.float32)
    path = models.save(nodes, {"x": [1, size]}, ["x8"], dict.fromkeys(names, weight))
    script = (
        "import sys, numpy as np\n"
        "from hwsim import network\n"
        "def high(): return int(open('/proc/self/status').read().split('VmHWM:')[1].split()[0]) << 10\n"
        f"x = {{'x': np.arange({size}, dtype=np.float32).reshape(1, -1)}}\n"
        "before = high()\n"
        "y = network.run(network.read(sys.argv[1]), x)['x8']\n"
        "assert np.array_equal(y, x['x'])\n"
        "print(high() - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < path.stat().st_size // 2
