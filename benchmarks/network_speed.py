# SPDX-License-Identifier: Apache-2.0
"""How fast whole networks run: one line a goal, its median time, and the goal.

python -m benchmarks.network_speed --models MODELS     # MODELS holds resnet8_cifar10_int8_qdq.onnx, of MLPerf Tiny
python -m benchmarks.network_speed gpt2 gpt2_memory    # some lines only
python -m benchmarks.network_speed gpt2_gpu            # where there is an NVIDIA GPU and numba-cuda

Times are of calls after a first one, which compiles kernels (kept on disk for later processes); it is given apart, and
so is the processor's time, of all threads, which other work on the machine changes less.
Networks other than ResNet-8 have random weights (benchmarks/network_zoo.py). GPT-2 is float32 in its file; weights and
activations are rounded to MXFP4 as they are multiplied.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import numpy_helper

from benchmarks import network_zoo
from hwsim import accelerator, datapath, network
from hwsim.accelerator import SramSpec, UnitEngine, check_network
from hwsim.accelerator.gpu import GpuEngine
from hwsim.network import Network
from hwsim.network.onnx_reader import from_model

__all__ = [
    "main",
    "without_quantization",
]

RUNS = 7
_LONG = 20.0  # seconds of one run after which a few runs are enough
_MXFP4 = "mxfp4_l16"
_E4M3 = "hopper_wgmma_m64n8k32_f32_e4m3_e4m3"


class Line(NamedTuple):
    """What was measured: seconds of the first run and of the later ones, those of the processor, and a remark."""

    what: str
    goal: float
    first: float
    later: list[float]
    processor: list[float]
    note: str = ""

    def __str__(self) -> str:
        median = statistics.median(self.later)
        verdict = "met" if median < self.goal else "MISSED"
        shown = f"{self.what:58s} {_seconds(median):>9s}  goal {_seconds(self.goal):>8s} {verdict:6s}"
        used = statistics.median(self.processor)
        return f"{shown} processor {_seconds(used):>8s}  first {_seconds(self.first):>8s}  {self.note}".rstrip()


def _seconds(value: float) -> str:
    return f"{1000 * value:.1f} ms" if value < 1 else f"{value:.2f} s"


def timed(what: str, goal: float, run: Callable[[], Any], note: str = "") -> Line:
    """Time a function: once, then some times more."""
    start = time.perf_counter()
    run()
    first = time.perf_counter() - start
    later: list[float] = []
    processor: list[float] = []
    while len(later) < (3 if first > _LONG else RUNS):
        start, used = time.perf_counter(), time.process_time()
        run()
        later.append(time.perf_counter() - start)
        processor.append(time.process_time() - used)
    return Line(what, goal, first, later, processor, note)


def without_quantization(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a QDQ network as a float one: constants dequantized, tensors between layers no longer quantized."""
    graph = model.graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    before: dict[str, str] = {}
    kept = []
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in constants:
            codes, scale, zero = (constants[name] for name in node.input)
            axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 1)
            along = [-1 if index == axis else 1 for index in range(codes.ndim)] if scale.size > 1 else [1] * codes.ndim
            values = (codes.astype(np.float32) - zero.reshape(along)) * scale.reshape(along)
            graph.initializer.append(numpy_helper.from_array(values.astype(np.float32), node.output[0]))
        elif node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            before[node.output[0]] = before.get(node.input[0], node.input[0])
        else:
            node.input[:] = [before.get(name, name) for name in node.input]
            kept.append(node)
    ends = {before[output.name]: output.name for output in graph.output if output.name in before}
    for node in kept:
        node.output[:] = [ends.get(name, name) for name in node.output]
    del graph.node[:], graph.value_info[:]
    graph.node.extend(kept)
    for info in (*graph.input, *graph.output):
        info.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    return model


def _inputs(net: Network, seed: int = 0) -> dict[str, Any]:
    """Return random inputs of one pass."""
    rng = np.random.default_rng(seed)
    (spec,) = net.inputs
    if spec.dtype == "float32":
        return {spec.name: rng.standard_normal(spec.shape, np.float32)}
    low, high = (0, 1000) if spec.dtype == "int64" else (-128, 128)
    return {spec.name: rng.integers(low, high, spec.shape).astype(spec.dtype)}


def _on_unit(what: str, goal: float, net: Network, unit: str, engine: type[UnitEngine] = UnitEngine) -> Line:
    """Time a pass of a network, every product through a unit; the scales of a float network come from its inputs."""
    inputs = _inputs(net)
    ranges = network.calibrate(net, inputs)
    chosen = datapath.named(unit)
    check_network(net, chosen, ranges)
    made = engine(chosen, ranges)
    return timed(what, goal, lambda: network.run(net, inputs, engine=made), f"unit {chosen.name}")


def _resnet8(options: argparse.Namespace) -> Path:
    path: Path | None = options.models
    if path is None or not (path / "resnet8_cifar10_int8_qdq.onnx").is_file():
        raise SystemExit("give --models, the folder of resnet8_cifar10_int8_qdq.onnx, or name other lines")
    return path / "resnet8_cifar10_int8_qdq.onnx"


def resnet8_int8(options: argparse.Namespace) -> Line:
    """ResNet-8 of MLPerf Tiny, its integer codes through int8 units."""
    return _on_unit("ResNet-8, exact int8, an image", 0.1, network.read(_resnet8(options)), "int8")


def resnet8_e4m3(options: argparse.Namespace) -> Line:
    """ResNet-8 without its quantization, rounded to E4M3 and through a tensor core's unit."""
    net = from_model(without_quantization(onnx.load(_resnet8(options))))
    return _on_unit("ResNet-8, Hopper-like E4M3, an image", 1.0, net, _E4M3)


def mobilenet_v2(options: argparse.Namespace) -> Line:
    """MobileNetV2."""
    del options
    net = from_model(network_zoo.mobilenet_v2())
    return _on_unit("MobileNetV2 224 x 224, exact int8, an image", 3.0, net, "int8")


def resnet18_cycles(options: argparse.Namespace) -> Line:
    """Cycles, traffic and energy of ResNet-18, no values; memories of 512 KiB, and of the 64 KiB of the preset."""
    from hwsim import simulate  # which needs more packages than the other lines

    del options
    net = from_model(network_zoo.resnet18(form="int8"))
    machine = accelerator.read("int8_16x16")
    small = replace(machine, name="int8_32x32", array=replace(machine.array, rows=32, columns=32))
    memory = SramSpec(kilobytes=512, width_bits=256)
    large = replace(small, activations=memory, weights=memory)
    what = "ResNet-18, 32 x 32 array, cycles, traffic, energy"
    print(timed(f"{what}, 64 KiB", 0.05, lambda: simulate(net, small, values="none")))
    return timed(f"{what}, 512 KiB", 0.05, lambda: simulate(net, large, values="none"))


def gpt2(options: argparse.Namespace, goal: float = 300.0, engine: type[UnitEngine] = UnitEngine) -> Line:
    """GPT-2's shape: 12 layers 768 wide, 50257 words, 128 tokens."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "gpt2.onnx"
        count = network_zoo.write("gpt2", path)
        where = "CPU" if engine is UnitEngine else "GPU"
        what = f"GPT-2 shape ({count / 1e6:.0f} M), 128 tokens, MXFP4 exact, {where}"
        net = network.read(path)
        if engine is not UnitEngine and options.check:
            inputs = _inputs(net)
            ranges, unit = network.calibrate(net, inputs), datapath.named(_MXFP4)
            found, expected = (network.run(net, inputs, engine=made(unit, ranges)) for made in (engine, UnitEngine))
            if any(found[name].tobytes() != expected[name].tobytes() for name in expected):
                raise SystemExit("the GPU's outputs differ from the processor's")
            print(f"GPU and CPU: {sum(each.size for each in found.values())} outputs, the same bits")
        return _on_unit(what, goal, net, _MXFP4, engine)


def gpt2_gpu(options: argparse.Namespace) -> Line:
    """GPT-2's shape on a GPU."""
    return gpt2(options, 10.0, GpuEngine)


_MEMORY = """
import sys
import numpy as np
from hwsim import accelerator, datapath, network
from hwsim.accelerator import UnitEngine
def high(): return int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]) << 10
before = high()
net = network.read(sys.argv[1])
inputs = {"ids": np.random.default_rng(0).integers(0, 1000, net.inputs[0].shape)}
after_read = high()
engine = UnitEngine(datapath.named(sys.argv[2]), network.calibrate(net, inputs)) if len(sys.argv) > 2 else None
network.run(net, inputs, engine=engine)
print(before, after_read, high())
"""


def gpt2_memory(options: argparse.Namespace) -> str:
    """Return the lines of the memory that reading and running GPT-2's shape takes, each in a process of its own."""
    del options
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "gpt2.onnx"
        network_zoo.write("gpt2", path)
        size = sum(each.stat().st_size for each in Path(folder).iterdir())
        for what, arguments in (("float32", []), ("MXFP4 exact", [_MXFP4])):
            command = [sys.executable, "-c", _MEMORY, str(path), *arguments]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            before, read, run = (int(each) / 1e6 for each in done.stdout.split())
            lines.append(
                f"GPT-2 shape, a file of {size / 1e6:.0f} MB, {what}: peak resident {run:.0f} MB, of which "
                f"{before:.0f} are Python and its packages; {read - before:.0f} more to read, {run - before:.0f} to run"
            )
    return "\n".join(lines)


LINES: dict[str, Callable[[argparse.Namespace], Line | str]] = {
    "resnet8_int8": resnet8_int8,
    "resnet8_e4m3": resnet8_e4m3,
    "mobilenet_v2": mobilenet_v2,
    "resnet18_cycles": resnet18_cycles,
    "gpt2": gpt2,
    "gpt2_memory": gpt2_memory,
    "gpt2_gpu": gpt2_gpu,
}


def main() -> None:
    """Print the lines that the command line names; without names, all that need no GPU."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lines", nargs="*", choices=[[], *LINES], help="what to measure")
    parser.add_argument("--models", type=Path, help="the folder of ResNet-8")
    parser.add_argument(
        "--check", action="store_true", help="compare the GPU's outputs with the processor's, bit by bit"
    )
    options = parser.parse_args()
    for name in options.lines or [each for each in LINES if each != "gpt2_gpu"]:
        print(LINES[name](options), flush=True)


if __name__ == "__main__":
    main()
