# SPDX-License-Identifier: Apache-2.0
"""Cycles of ResNet-18 and a ViT block beside SCALE-Sim's closed forms; and SCALE-Sim and ZigZag themselves, timed.

python -m benchmarks.scalesim                                        # the closed forms, every layer, three dataflows
python -m benchmarks.scalesim --scalesim peers/scalesim/bin/python --layers 3
python -m benchmarks.scalesim --zigzag peers/zigzag/bin/python

SCALE-Sim (3.0.0) counts R + C + K - 2 for each fold of an output-stationary array of R x C, 2R + C + M - 2 for a
weight-stationary one, 2R + C + N - 2 for an input-stationary one, whatever part of the array a fold uses, and reports
one less than the sum. `hwsim.accelerator.serial` is that and the drain. It takes a convolution's output for
ceil((H - F + S) / S) pixels a side, without padding; the comparison is of that size, and the real one beside it.

Peers are Python interpreters of environments in which they are installed (scalesim with numpy below 2, zigzag-dse with
six). SCALE-Sim runs the layers of fewest folds first, `--layers` of each network, which it takes minutes for in all.
"""

import argparse
import csv
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple

import onnx

import hwsim
from benchmarks import network_zoo
from hwsim import network
from hwsim.accelerator import ArrayKind, ArraySpec, Folds, SramSpec, read, schedule
from hwsim.network import MatmulShape
from hwsim.network.layers.conv import Conv

__all__ = [
    "Layer",
    "closed_form",
    "layers",
    "main",
]

_KINDS = {"os": ArrayKind.OUTPUT_STATIONARY, "ws": ArrayKind.WEIGHT_STATIONARY, "is": ArrayKind.INPUT_STATIONARY}
_NETWORKS: Mapping[str, Callable[[], onnx.ModelProto]] = {
    "resnet18": network_zoo.resnet18,
    "vit_block": network_zoo.vit_block,
}
_CONV = "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,"
_CONFIG = """[general]
run_name = run
[architecture_presets]
ArrayHeight = {rows}
ArrayWidth = {columns}
IfmapSramSzkB = 512
FilterSramSzkB = 512
OfmapSramSzkB = 256
IfmapOffset = 0
FilterOffset = 10000000
OfmapOffset = 20000000
Dataflow = {dataflow}
Bandwidth = 10
ReadRequestBuffer = 512
WriteRequestBuffer = 512
[layout]
IfmapCustomLayout = False
IfmapSRAMBankBandwidth = 10
IfmapSRAMBankNum = 10
IfmapSRAMBankPort = 2
FilterCustomLayout = False
FilterSRAMBankBandwidth = 10
FilterSRAMBankNum = 10
FilterSRAMBankPort = 2
[sparsity]
SparsitySupport = false
SparseRep = ellpack_block
OptimizedMapping = false
BlockSize = 8
RandomNumberGeneratorSeed = 40
[run_presets]
InterfaceBandwidth = CALC
UseRamulatorTrace = False
"""
_SCALESIM = """
import resource, time
from scalesim.scale_sim import scalesim
start = time.perf_counter()
tool = scalesim(save_disk_space=True, verbose=False, config="c.cfg", topology="t.csv", layout="l.csv")
tool.run_scale(top_path="out")
print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""
_ZIGZAG = """
import logging, time
import zigzag
from zigzag.api import get_hardware_performance_zigzag
logging.disable(logging.INFO)
root = list(zigzag.__path__)[0] + "/inputs/"
start = time.perf_counter()
energy, latency, _ = get_hardware_performance_zigzag(
    "model.onnx", root + "hardware/tpu_like.yaml", root + "mapping/tpu_like.yaml", opt="latency", dump_folder="out",
    lpf_limit=4, nb_spatial_mappings_generated=1, loma_show_progress_bar=False)
print(time.perf_counter() - start, latency, energy)
"""


class Layer(NamedTuple):
    """A layer's product, real and as SCALE-Sim has it, and its line in SCALE-Sim's file."""

    name: str
    product: MatmulShape
    scalesim: MatmulShape
    line: str


def layers(model: onnx.ModelProto) -> list[Layer]:
    """Return the layers of a network that are matrix products; groups of equal products stand once in SCALE-Sim."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        onnx.save(model, path)
        net = network.read(path)
    found = []
    for layer in net.layers:
        specs = net.specs(layer)
        product = layer.matmul_shape(specs)
        if product is None:
            continue
        groups, m, k, n = product
        theirs, line = product, f"{layer.name}, {m}, 1, 1, 1, {k}, {n}, 1,"  # a column of pixels
        if isinstance(layer, Conv):
            _, channels, height, _ = specs[0].shape
            side, stride = layer.window.kernel[0], layer.window.strides[0]
            out = ceil((height - side + stride) / stride)
            theirs = MatmulShape(groups, out * out, k, n)
            line = f"{layer.name}, {height}, {height}, {side}, {side}, {channels // groups}, {n}, {stride},"
        found.append(Layer(layer.name, product, theirs, line))
    return found


def closed_form(dataflow: str, product: MatmulShape, rows: int, columns: int) -> int:
    """Return SCALE-Sim's cycles of a product: what it reports, and one more for each group."""
    groups, m, k, n = product
    fold, streams, again = {"os": (m, k, n), "ws": (k, m, n), "is": (k, n, m)}[dataflow]
    cycles = (rows if dataflow != "os" else 0) + rows + columns + streams - 2
    return groups * ceil(fold / rows) * ceil(again / columns) * cycles


def _told(python: Path, folder: Path, script: str) -> list[float]:
    """Run a peer's script in a folder; return the numbers in its last line."""
    command = [str(python.absolute()), "-W", "ignore", "-c", script]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{python} failed:\n{done.stderr[-2000:]}")
    return [float(word) for word in done.stdout.splitlines()[-1].split()]


def _run_scalesim(
    python: Path, dataflow: str, chosen: list[Layer], rows: int, columns: int
) -> tuple[list[int], float, float]:
    """Return the cycles that SCALE-Sim reports, its seconds and its MiB."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "c.cfg").write_text(_CONFIG.format(rows=rows, columns=columns, dataflow=dataflow))
        (folder / "t.csv").write_text("\n".join([_CONV, *(layer.line for layer in chosen)]) + "\n")
        ones = ", 1" * 20 + ","
        (folder / "l.csv").write_text("\n".join(["Layer name,", *(layer.name + ones for layer in chosen)]) + "\n")
        seconds, mebibytes = _told(python, folder, _SCALESIM)
        with (folder / "out" / "run" / "COMPUTE_REPORT.csv").open() as file:
            reader = csv.DictReader(file, skipinitialspace=True)
            return [int(float(row["Total Cycles"])) for row in reader], seconds, mebibytes


def _run_zigzag(python: Path, model: onnx.ModelProto) -> tuple[float, float, float]:
    """Return ZigZag's seconds, cycles and pJ for a network on its 32 x 32 array like a TPU."""
    weights = {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    model = onnx.shape_inference.infer_shapes(model)
    for node in model.graph.node:
        if node.op_type == "Conv":  # which is to have all attributes
            given = {attribute.name for attribute in node.attribute}
            every = {"kernel_shape": weights[node.input[1]][2:], "dilations": [1, 1], "group": 1, "pads": [0] * 4}
            every["strides"] = [1, 1]
            node.attribute.extend(
                onnx.helper.make_attribute(key, value) for key, value in every.items() if key not in given
            )
    with tempfile.TemporaryDirectory() as folder:
        onnx.save(model, Path(folder) / "model.onnx")
        seconds, latency, energy = _told(python, Path(folder), _ZIGZAG)
        return seconds, latency, energy


def _ours() -> tuple[float, int, float]:
    """Return seconds (the best of five), cycles and pJ of int8 ResNet-18 on an array and memories like that TPU's."""
    with tempfile.TemporaryDirectory() as folder:
        network_zoo.write("resnet18", Path(folder) / "model.onnx", form="int8")
        net = network.read(Path(folder) / "model.onnx")
    preset = read("int8_16x16")
    sram = SramSpec(kilobytes=2048, width_bits=256, banks=8)
    array = ArraySpec(dataflow=ArrayKind.WEIGHT_STATIONARY, rows=32, columns=32)
    accelerator = replace(preset, array=array, activations=sram, weights=sram)
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        result = hwsim.simulate(net, accelerator, values="none")
        best = min(best, time.perf_counter() - start)
    return best, result.cycles, result.energy.total_pj or 0.0


def _compared(title: str, found: list[Layer], rows: int, columns: int) -> int:
    """Print a line for each dataflow; return how many layers differ."""
    macs = [sum(getattr(layer, size).macs for layer in found) for size in ("scalesim", "product")]
    print(f"{title}, {rows} x {columns}: {len(found)} layers; {macs[0] / 1e9:.3f} GMAC, real {macs[1] / 1e9:.3f}")
    differ = 0
    for dataflow, kind in _KINDS.items():
        array = partial(ArraySpec, dataflow=kind, rows=rows, columns=columns)
        ours, theirs, drains, real = 0, 0, 0, [0, 0]
        for layer in found:
            here = schedule(array(folds=Folds.SERIAL), layer.scalesim, 1, 1)
            there = closed_form(dataflow, layer.scalesim, rows, columns)
            differ += here.cycles - here.drain_cycles != there
            ours, theirs, drains = ours + here.cycles - here.drain_cycles, theirs + there, drains + here.drain_cycles
            for index, folds in enumerate((Folds.SERIAL, Folds.STREAMED)):
                real[index] += schedule(array(folds=folds), layer.product, 1, 1).cycles
        print(
            f"  {dataflow}: without drain {ours}, SCALE-Sim's form {theirs}; drain {drains}; "
            f"real sizes: serial {real[0]}, streamed (RTL) {real[1]}"
        )
    return differ


def _timed(found: list[Layer], rows: int, columns: int) -> float:
    """Return the seconds of the best of five runs over all layers and dataflows."""
    arrays = [ArraySpec(dataflow=kind, rows=rows, columns=columns, folds=Folds.SERIAL) for kind in _KINDS.values()]
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        for array in arrays:
            for layer in found:
                schedule(array, layer.scalesim, 1, 1)
        best = min(best, time.perf_counter() - start)
    return best


def _beside_scalesim(python: Path, dataflows: list[str], chosen: list[Layer], rows: int, columns: int) -> int:
    """Run SCALE-Sim, print its times beside ours; return how many of its reports are not one less than ours."""
    differ = 0
    for dataflow in dataflows:
        reports, seconds, mebibytes = _run_scalesim(python, dataflow, chosen, rows, columns)
        forms = [closed_form(dataflow, layer.scalesim._replace(groups=1), rows, columns) for layer in chosen]
        differ += sum(report + 1 != form for report, form in zip(reports, forms, strict=True))
        ours = _timed(chosen, rows, columns) / len(_KINDS)
        print(
            f"  {dataflow}: SCALE-Sim, {len(chosen)} layers: {sum(reports)} cycles in {seconds:.1f} s, {mebibytes:.0f} "
            f"MiB; ours, one more a layer: {sum(forms)} in {1e3 * ours:.3f} ms",
            flush=True,
        )
    return differ


def main(arguments: Iterable[str] | None = None) -> None:
    """Print the comparisons; exit with an error if a layer differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--columns", type=int, default=32)
    parser.add_argument("--scalesim", type=Path, help="Python of an environment with scalesim")
    parser.add_argument("--zigzag", type=Path, help="Python of an environment with zigzag-dse")
    parser.add_argument(
        "--dataflows", nargs="*", choices=list(_KINDS), default=list(_KINDS), help="that SCALE-Sim runs"
    )
    parser.add_argument("--networks", nargs="*", choices=list(_NETWORKS), default=list(_NETWORKS))
    parser.add_argument("--layers", type=int, default=3, help="layers of each network that SCALE-Sim runs")
    chosen: Any = parser.parse_args(None if arguments is None else list(arguments))
    models = {name: _NETWORKS[name]() for name in chosen.networks}
    total = differ = 0
    for title, model in models.items():
        found = layers(model)
        total += len(found)
        differ += _compared(title, found, chosen.rows, chosen.columns)
        print(f"  all three in {1e3 * _timed(found, chosen.rows, chosen.columns):.2f} ms")
        if chosen.scalesim:
            fewest = sorted(found, key=lambda layer: layer.scalesim.macs / layer.scalesim.groups)[: chosen.layers]
            differ += _beside_scalesim(chosen.scalesim, chosen.dataflows, fewest, chosen.rows, chosen.columns)
    if chosen.zigzag:
        seconds, latency, energy = _run_zigzag(chosen.zigzag, network_zoo.resnet18())
        print(f"ZigZag, tpu_like, ResNet-18: {latency:.0f} cycles, {energy / 1e9:.3f} mJ in {seconds:.1f} s")
        seconds, cycles, energy = _ours()
        print(f"ours, cycles, traffic and energy: {cycles} cycles, {energy / 1e9:.3f} mJ in {1e3 * seconds:.0f} ms")
    closing = f"{total} layers x {len(_KINDS)} dataflows"
    if differ:
        raise SystemExit(f"{closing}: {differ} differ")
    print(f"{closing}: equal to SCALE-Sim's closed forms")


if __name__ == "__main__":
    main()
