# SPDX-License-Identifier: Apache-2.0
"""Runs that are stopped go on after the last layer they finished, and give the same bits."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from onnx import helper

from hwsim import network
from hwsim.network.checkpoint import Checkpoint, fingerprint

Array = npt.NDArray[Any]

_KILLED = """
import os, signal, sys
import numpy as np
from hwsim import network
from hwsim.network.checkpoint import Checkpoint

class Dying(network.ExactEngine):
    left = 2
    def matmul(self, layer, a, b):
        self.left -= 1
        if self.left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().matmul(layer, a, b)

net = network.read(sys.argv[1])
network.run(net, {"x": np.load(sys.argv[2])}, engine=Dying(), resume=Checkpoint(sys.argv[3]))
"""


class Stopping(network.ExactEngine):
    """Stops before a product, and counts them."""

    def __init__(self, stop: int = -1) -> None:
        self.stop = stop
        self.products = 0

    def matmul(self, layer: network.Layer, a: Array, b: Array) -> Array:
        if self.products == self.stop:
            raise KeyboardInterrupt
        self.products += 1
        return super().matmul(layer, a, b)


def chain(models: Any) -> Path:
    """Five products with a branch, a transposition, and an output from the middle; any number of images."""
    rng = np.random.default_rng(3)
    weights = {f"w{i}": rng.standard_normal((12, 12), np.float32) for i in range(5)}
    nodes = [
        helper.make_node("Gemm", ["x", "w0"], ["a"]),
        helper.make_node("Gemm", ["a", "w1"], ["b"]),
        helper.make_node("Reshape", ["b", "shape"], ["c"]),
        helper.make_node("Transpose", ["c"], ["d"], perm=[0, 2, 1]),
        helper.make_node("Reshape", ["d", "flat"], ["e"]),
        helper.make_node("Gemm", ["e", "w2"], ["f"]),
        helper.make_node("Add", ["f", "a"], ["g"]),
        helper.make_node("Gemm", ["g", "w3"], ["h"]),
        helper.make_node("Gemm", ["h", "w4"], ["y"]),
    ]
    shapes = {"shape": np.array([-1, 3, 4]), "flat": np.array([-1, 12])}
    path: Path = models.save(nodes, {"x": ["n", 12]}, ["y", "f"], {**weights, **shapes})
    return path


def same(found: dict[str, Array], expected: dict[str, Array]) -> bool:
    return found.keys() == expected.keys() and all(
        found[name].tobytes() == expected[name].tobytes() and found[name].dtype == expected[name].dtype
        for name in found
    )


@pytest.mark.parametrize("images", [1, 70])
def test_checkpoint_goes_on_after_every_product(models: Any, tmp_path: Path, images: int) -> None:
    net = network.read(chain(models))
    x = {"x": np.random.default_rng(5).standard_normal((images, 12), np.float32)}
    expected = network.run(net, x)
    products = 5 * -(-images // 32)
    for stop in range(products):
        folder = tmp_path / f"stopped_{stop}"
        with pytest.raises(KeyboardInterrupt):
            network.run(net, x, engine=Stopping(stop), resume=Checkpoint(folder))
        rest = Stopping()
        assert same(network.run(net, x, engine=rest, resume=Checkpoint(folder)), expected)
        assert rest.products == products - stop
        again = Stopping(0)
        assert same(network.run(net, x, engine=again, resume=Checkpoint(folder)), expected)


def test_checkpoint_keeps_what_is_live(models: Any, tmp_path: Path) -> None:
    net = network.read(chain(models))
    x = {"x": np.ones((1, 12), np.float32)}
    with pytest.raises(KeyboardInterrupt):
        network.run(net, x, engine=Stopping(3), resume=Checkpoint(tmp_path / "c"))
    state = json.loads((tmp_path / "c" / "state.json").read_text().split("\n")[1])
    assert sorted(state["files"]) == ["0/f", "0/g"]
    assert len(list((tmp_path / "c").iterdir())) == 3


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs a signal that kills")
def test_checkpoint_survives_a_kill(models: Any, tmp_path: Path) -> None:
    path = chain(models)
    x = np.random.default_rng(5).standard_normal((1, 12), np.float32)
    np.save(tmp_path / "x.npy", x)
    command = [sys.executable, "-c", _KILLED, str(path), str(tmp_path / "x.npy"), str(tmp_path / "c")]
    done = subprocess.run(command, check=False, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    net, engine = network.read(path), Stopping()
    found = network.run(net, {"x": x}, engine=engine, resume=Checkpoint(tmp_path / "c"))
    assert same(found, network.run(net, {"x": x}))
    assert engine.products == 3


def test_checkpoint_of_another_run_is_refused(models: Any, tmp_path: Path) -> None:
    net = network.read(chain(models))
    x = {"x": np.ones((1, 12), np.float32)}
    network.run(net, x, resume=Checkpoint(tmp_path / "c"))

    class Other(network.ExactEngine):
        description = "other"

    message = "belongs to another network, input, engine or rule, or to another version: give another folder"
    for changed, engine, rule in (
        ({"x": x["x"] * 2}, None, "onnx"),
        (x, Other(), "onnx"),
        (x, None, "tflite"),
    ):
        with pytest.raises(ValueError, match=message):
            network.run(net, changed, engine=engine, rule=rule, resume=Checkpoint(tmp_path / "c"))
    other = models.save(
        [helper.make_node("Gemm", ["x", "w"], ["y"])],
        {"x": ["n", 12]},
        ["y"],
        {"w": np.eye(12)[:, :3].astype(np.float32)},
    )
    with pytest.raises(ValueError, match=message):
        network.run(network.read(other), x, resume=Checkpoint(tmp_path / "c"))


@pytest.mark.parametrize("damage", ["cut", "gone", "changed"])
def test_checkpoint_damaged(models: Any, tmp_path: Path, damage: str) -> None:
    net = network.read(chain(models))
    x = {"x": np.ones((1, 12), np.float32)}
    with pytest.raises(KeyboardInterrupt):
        network.run(net, x, engine=Stopping(3), resume=Checkpoint(tmp_path / "c"))
    victim = sorted((tmp_path / "c").glob("*.tensor"))[0]
    data = victim.read_bytes()
    if damage == "gone":
        victim.unlink()
    else:
        victim.write_bytes(data[:-1] if damage == "cut" else data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(ValueError, match=rf"is damaged: {victim.name} is not as written: delete it"):
        network.run(net, x, engine=Stopping(), resume=Checkpoint(tmp_path / "c"))


@pytest.mark.parametrize("cut", [0, 10, 65, -1])
def test_checkpoint_state_damaged(models: Any, tmp_path: Path, cut: int) -> None:
    net = network.read(chain(models))
    x = {"x": np.ones((1, 12), np.float32)}
    network.run(net, x, resume=Checkpoint(tmp_path / "c"))
    state = tmp_path / "c" / "state.json"
    state.write_bytes(state.read_bytes()[:cut])
    with pytest.raises(ValueError, match=r"state\.json is damaged: delete"):
        network.run(net, x, resume=Checkpoint(tmp_path / "c"))


def test_checkpoint_folder_wrong(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"must be empty or a checkpoint: it holds 'thesis\.txt'"):
        Checkpoint(tmp_path)
    with pytest.raises(ValueError, match="a checkpoint must be a folder, not the file"):
        Checkpoint(tmp_path / "thesis.txt")


def test_checkpoint_engine_wrong(models: Any, tmp_path: Path) -> None:
    class Nameless(network.ExactEngine):
        description = None  # type: ignore[assignment]

    net = network.read(chain(models))
    with pytest.raises(ValueError, match="a run on Nameless cannot be resumed: the engine has no `description`"):
        network.run(net, {"x": np.ones((1, 12), np.float32)}, engine=Nameless(), resume=Checkpoint(tmp_path / "c"))


def test_checkpoint_fingerprint_tells_values_apart() -> None:
    a = np.arange(6.0).reshape(2, 3)
    values: list[Any] = [
        *(a, a.astype(np.float32), a.reshape(3, 2), a + 1, a.T, [a], [a, a], {"a": a}, {"b": a}),
        *(None, True, 1, 1.0, "1", "", [], [[]], ["a", "b"], ["ab", ""], network.Rule.ONNX, network.Rule.TFLITE),
    ]
    assert len({fingerprint(value) for value in values}) == len(values)
    assert fingerprint(a.T) == fingerprint(np.ascontiguousarray(a.T))
    with pytest.raises(TypeError, match="a object cannot be told from another"):
        fingerprint(object())
