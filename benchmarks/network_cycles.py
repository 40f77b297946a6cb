# SPDX-License-Identifier: Apache-2.0
"""Layers of real networks on the RTL arrays in Verilator: values and cycles against the engine and the closed forms.

python -m benchmarks.network_cycles        # digits; ResNet-8, DS-CNN, MobileNetV1 where their files are; 90 s
python -m benchmarks.network_cycles --networks resnet8 --kinds broadcast cube adder_tree --pipeline 3
python -m benchmarks.network_cycles --networks resnet18 mobilenet_v2 --macs 1000000
python -m benchmarks.network_cycles --unit mxfp4_l16 --rows 4 --columns 4 --pipeline 3

A layer's operands are those that it has in the network (one image); what the model of the unit makes of them is what
the array has to give, and of integers the engine's accumulators, too. Arrays are output-, weight- and input-stationary,
written by `rtl.array_verilog` with `--pipeline` ranks of registers. Each layer runs steadily, its cycles compared with
`hwsim.accelerator.schedule`, and with beats and outputs held up at random, its cycles compared with
`hwsim.accelerator.stalled`. A layer of more products than `--macs` is run with fewer output pixels (rows of the
product), as its line says.
"""

import argparse
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import rtl
from benchmarks import network_zoo
from hwsim import data, datapath, network
from hwsim.accelerator import ArrayKind, ArraySpec, UnitEngine, schedule, stalled
from hwsim.datapath import DotProductUnit, matmul
from hwsim.formats import IntegerSpec
from hwsim.network import Layer, MatmulShape
from testbenches.arrays import chained, program, run_verilog, stall_pattern
from testbenches.compiled import Compiled

__all__ = [
    "KINDS",
    "Product",
    "Rtl",
    "main",
    "products",
]

KINDS = (ArrayKind.OUTPUT_STATIONARY, ArrayKind.WEIGHT_STATIONARY, ArrayKind.INPUT_STATIONARY)
_FILES = {
    "resnet8": "resnet8_cifar10_int8_qdq.onnx",
    "dscnn": "dscnn_kws_int8_qdq.onnx",
    "mobilenetv1": "mobilenetv1_vww_int8_qdq.onnx",
}
_DEPTH = 2  # of a cube
_ZOO = ("resnet18", "mobilenet_v2")
_STALLS = (0.3, 0.4)  # part of the cycles in which no beat is offered, and no output taken


class Product(NamedTuple):
    """A layer's matrix product: for each group what the unit multiplies; and the engine's accumulators, of integers."""

    layer: str
    groups: list[dict[str, Any]]
    d: NDArray[Any] | None

    @property
    def shape(self) -> MatmulShape:
        """Groups, m, k, n."""
        a, b = self.groups[0]["a"], self.groups[0]["b"]
        return MatmulShape(len(self.groups), a.shape[0], a.shape[1], b.shape[1])

    def first(self, macs: int) -> "Product":
        """Return the same of as many output pixels as have `macs` products, at least one."""
        groups, m, k, n = self.shape
        pixels = min(m, max(1, macs // (groups * k * n)))
        cut = [{key: array[:pixels] if key[0] == "a" else array for key, array in one.items()} for one in self.groups]
        return Product(self.layer, cut, None if self.d is None else self.d[:, :pixels])


class _Keeper(UnitEngine):
    """The unit's engine, which keeps each product."""

    def __init__(self, unit: DotProductUnit, ranges: Mapping[str, tuple[float, float]]) -> None:
        super().__init__(unit, ranges, record=lambda _, groups: self._groups.extend(groups))
        self._groups: list[dict[str, Any]] = []
        self.kept: list[Product] = []

    def matmul(self, layer: Layer, a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
        """Multiply, and keep operands and accumulators."""
        self._groups.clear()
        d = super().matmul(layer, a, b)
        self.kept.append(
            Product(layer.name, list(self._groups), d if isinstance(self.unit.output, IntegerSpec) else None)
        )
        return d


def products(path: Path, unit: DotProductUnit, image: NDArray[Any] | None = None) -> list[Product]:
    """Return a network's products, of one image: random over the whole range if none is given."""
    net = network.read(path)
    (spec,) = net.inputs
    if image is None:
        source = np.random.default_rng(1)
        if spec.dtype.startswith("float"):
            image = source.normal(size=spec.shape).astype(np.float32)
        else:
            limits = np.iinfo(spec.dtype)
            image = source.integers(limits.min, limits.max, spec.shape, spec.dtype, endpoint=True)
    inputs = {spec.name: image}
    engine = _Keeper(unit, {} if isinstance(unit.output, IntegerSpec) else network.calibrate(net, inputs))
    network.run(net, inputs, engine=engine)
    return engine.kept


class Rtl:
    """An array's Verilog, compiled; it runs products and says whether they are as they should be."""

    def __init__(self, kind: ArrayKind, rows: int, columns: int, pipeline: int, unit: DotProductUnit) -> None:
        depth = _DEPTH if kind is ArrayKind.CUBE else 1
        self.spec = ArraySpec(dataflow=kind, rows=rows, columns=columns, depth=depth)
        self._unit, self._pipeline = unit, pipeline
        geometry = self.spec.geometry
        text = rtl.array_verilog(geometry, self._unit, pipeline=pipeline)
        self._compiled = Compiled(text, rtl.array_name(geometry, self._unit, pipeline))

    def run(self, product: Product, bubbles: float, stalls: float) -> tuple[int, int, int]:
        """Return the cycles that the Verilog takes, those that are expected of it, and how many outputs are wrong."""
        geometry, unit, ranks = self.spec.geometry, self._unit, self._pipeline
        element = geometry.element(unit)
        parts = [program(geometry, unit, pipeline=ranks, **operands) for operands in product.groups]
        found = run_verilog(self._compiled, geometry, unit, chained(parts), bubbles=bubbles, stalls=stalls)
        wrong, start = found.wrong + found.broken, 0
        for group, part in enumerate(parts):
            d = part.gather(found.d[start : start + len(part.outputs)], geometry, unit.output.bits)
            wrong += int(np.count_nonzero(d != matmul(element, **product.groups[group])))
            if product.d is not None:
                wrong += int(np.count_nonzero(element.output.unpack(d).significand != product.d[group]))
            start += len(part.outputs)
        if bubbles or stalls:
            pattern = stall_pattern(bubbles, stalls)
            return found.cycles, stalled(geometry, product.shape, unit.width, pattern, ranks), wrong
        return found.cycles, schedule(self.spec, product.shape, unit.width, ranks).cycles, wrong


def _networks(
    names: list[str], unit: DotProductUnit, models: Path, folder: Path
) -> Iterator[tuple[str, list[Product]]]:
    """Give each network's name and products; those of the zoo are written into a folder first."""
    for name in names:
        if name == "digits":
            quantized = isinstance(unit.a, IntegerSpec)
            yield name, products(data.digits_model_path(quantized=quantized), unit, data.digits_test()[0][:1])
        elif name in _FILES:
            yield name, products(models / _FILES[name], unit)
        else:
            path = folder / f"{name}.onnx"
            network_zoo.write(name, path, form="int8" if isinstance(unit.a, IntegerSpec) else "float")
            yield name, products(path, unit)


def _line(whole: Product, arrays: list[Rtl], macs: int) -> tuple[int, str]:
    """Run a layer on each array, steadily and stalled; return how much is wrong, and a line."""
    product = whole.first(macs)
    wrong, cycles = 0, []
    for stalls in ((0.0, 0.0), _STALLS):
        for array in arrays:
            found, expected, outputs = array.run(product, *stalls)
            wrong += outputs + (found != expected)
            cycles.append(f"{found:8}")
    groups, m, k, n = product.shape
    size = f"{f'{groups} x ' if groups > 1 else ''}({m}, {k}) by ({k}, {n})"
    part = "" if m == whole.shape.m else f", {m} of {whole.shape.m} pixels"
    same = "equal" if not wrong else f"{wrong} DIFFER"
    return wrong, f"  {whole.layer[-24:]:24} {size:28}{''.join(cycles)}  {same}{part}"


def main(arguments: Iterable[str] | None = None) -> None:
    """Print a line for each layer, and a closing one; exit with an error if anything differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="*", choices=["digits", *_FILES, *_ZOO])
    parser.add_argument("--models", type=Path, default=Path("../shared/models"), help="folder of ONNX files")
    parser.add_argument("--kinds", nargs="*", default=[kind.value for kind in KINDS])
    parser.add_argument("--unit", default="int8", help="of integers for quantized networks, else of floats or blocks")
    parser.add_argument("--rows", type=int, default=16)
    parser.add_argument("--columns", type=int, default=16)
    parser.add_argument("--pipeline", type=int, default=2)
    parser.add_argument("--macs", type=int, default=3_000_000, help="products of a layer that are run at most")
    chosen: Any = parser.parse_args(None if arguments is None else list(arguments))
    unit = datapath.named(chosen.unit)
    files = _FILES if isinstance(unit.a, IntegerSpec) else {}
    names = chosen.networks or ["digits", *(name for name, file in files.items() if (chosen.models / file).exists())]
    arrays = [Rtl(ArrayKind(kind), chosen.rows, chosen.columns, chosen.pipeline, unit) for kind in chosen.kinds]
    side = f"{chosen.rows} x {chosen.columns}"
    print(f"{side} {chosen.unit} units of {chosen.pipeline} ranks; products; the RTL's cycles of")
    late = f"{_STALLS[0]:.0%} of the beats and {_STALLS[1]:.0%} of the outputs held up"
    print(f"{', '.join(chosen.kinds)}; then with {late}")
    layers = values = differences = 0
    with tempfile.TemporaryDirectory() as folder:
        for title, kept in _networks(names, unit, chosen.models, Path(folder)):
            print(title)
            for whole in kept:
                wrong, line = _line(whole, arrays, chosen.macs)
                print(line, flush=True)
                layers, differences = layers + 1, differences + wrong
                groups, m, _, n = whole.first(chosen.macs).shape
                values += 2 * len(arrays) * groups * m * n
    closing = f"{layers} layers x {len(arrays)} dataflows: "
    if differences:
        raise SystemExit(f"{closing}{differences} differences")
    print(f"{closing}cycles equal, values equal (steady and stalled, {values} values)")


if __name__ == "__main__":
    main()
