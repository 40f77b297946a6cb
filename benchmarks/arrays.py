# SPDX-License-Identifier: Apache-2.0
"""Carry-save accumulation (OPT1) in four kinds of arrays, on standard cells: area, delay, products by area and time.

python -m benchmarks.arrays                                # four kinds on nangate45; half an hour the first time
python -m benchmarks.arrays systolic --technology asap7

An element with its registers, and what resolves a column's register behind the array, are each synthesized for every
architecture by every recipe of `cost_models.synthesis.asic`. An array is its elements and a resolver a column, clocked
by the slower of the two; the skew registers, the same for all, are left out. Three outcomes are printed, each that of
the most products by area and time: of an element as written, with the synthesizer's own operators; of all elements
with a carry-propagate adder; and with a carry-save register.

Paper: TPE (arXiv:2503.06342), abstract, SMIC 28 nm: area efficiency 1.27, 1.28, 1.56 and 1.44 times as high in
systolic array, cube, adder tree and 2-D matrix, with all of its optimizations that the kind takes.
"""

import argparse
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from cost_models.synthesis import AsicResult, asic
from cost_models.technologies import Technology, read
from hwsim import datapath
from hwsim.datapath.array import ArrayGeometry, ArrayKind
from hwsim.datapath.unit import DotProductUnit
from rtl.architecture import ARCHITECTURES, Architecture
from rtl.arrays.elements import OutputElement, PassingElement, TreeElement
from rtl.datapath.step import Resolve
from rtl.part import Part
from rtl.verilog import parts_verilog

__all__ = [
    "KINDS",
    "main",
]

_SIDE = 16
_DEPTH = 4

Make = Callable[[DotProductUnit, Architecture], Part]
KINDS: dict[str, tuple[float | None, ArrayGeometry, Make]] = {
    "systolic": (
        1.27,
        ArrayGeometry(kind=ArrayKind.OUTPUT_STATIONARY, rows=_SIDE, columns=_SIDE),
        lambda unit, how: OutputElement(unit, how, passing=True),
    ),
    "weight_stationary": (
        None,
        ArrayGeometry(kind=ArrayKind.WEIGHT_STATIONARY, rows=_SIDE, columns=_SIDE),
        lambda unit, how: PassingElement(unit, how, stays="b"),
    ),
    "cube": (
        1.28,
        ArrayGeometry(kind=ArrayKind.CUBE, rows=_SIDE, columns=_SIDE, depth=_DEPTH),
        lambda unit, how: OutputElement(unit, how, passing=False),
    ),
    "adder_tree": (
        1.56,
        ArrayGeometry(kind=ArrayKind.ADDER_TREE, rows=_DEPTH, columns=_SIDE),
        lambda unit, how: TreeElement(unit, how, rows=_DEPTH),
    ),
    "broadcast": (
        1.44,
        ArrayGeometry(kind=ArrayKind.BROADCAST, rows=_SIDE, columns=_SIDE),
        lambda unit, how: OutputElement(unit, how, passing=False),
    ),
}
"""The paper's gain, the geometry, and the element of each kind."""


class _Point(NamedTuple):
    architecture: str
    element_nand2: float
    resolve_nand2: float
    fo4: float
    efficiency: float


def _results(part: Part, technology: Technology) -> tuple[AsicResult, ...]:
    return asic(parts_verilog({"unit": part})["unit"], "unit", technology).front


def _points(name: str, unit: DotProductUnit, technology: Technology) -> list[_Point]:
    """Return every pair of outcomes for element and resolver, with products by million NAND2 and FO4."""
    _, geometry, make = KINDS[name]
    wide = geometry.element(unit)
    elements = geometry.columns * (1 if geometry.kind is ArrayKind.ADDER_TREE else geometry.rows)
    points = []
    for label, how in ARCHITECTURES.items():
        resolvers = [(0.0, 0.0)]
        if how.accumulation == "carry_save":
            found = _results(Resolve(wide, how), technology)
            resolvers = [(result.nand2_equivalents, result.fo4) for result in found]
        for element in _results(make(wide, how), technology):
            for area, delay in resolvers:
                fo4 = max(element.fo4, delay)
                total = elements * element.nand2_equivalents + geometry.columns * area
                efficiency = 1e6 * elements * wide.lanes / (total * fo4)
                points.append(_Point(label, element.nand2_equivalents, area, fo4, efficiency))
    return points


def main(arguments: Iterable[str] | None = None) -> None:
    """Print three lines for each kind, and the gain over the first."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", choices=[*KINDS, []], help="default: all")
    parser.add_argument("--technology", choices=["nangate45", "asap7"], default="nangate45")
    parser.add_argument("--unit", default="int8")
    chosen: Any = parser.parse_args(None if arguments is None else list(arguments))
    technology = read(chosen.technology)
    assert isinstance(technology, Technology)
    unit = datapath.named(chosen.unit)
    print(f"{'kind':18} {'accumulation':12} {'architecture':12} element NAND2  resolve NAND2   FO4  efficiency   gain")
    for name in chosen.kinds or KINDS:
        points = _points(name, unit, technology)
        groups = {
            "as written": [point for point in points if point.architecture == "tool"],
            "binary": [point for point in points if ARCHITECTURES[point.architecture].accumulation == "binary"],
            "carry-save": [point for point in points if ARCHITECTURES[point.architecture].accumulation == "carry_save"],
        }
        best = {label: max(those, key=lambda point: point.efficiency) for label, those in groups.items()}
        for label, point in best.items():
            gain = point.efficiency / best["as written"].efficiency
            print(
                f"{name:18} {label:12} {point.architecture:12} {point.element_nand2:13.0f} "
                f"{point.resolve_nand2:14.0f} {point.fo4:5.1f} {point.efficiency:11.2f} {gain:6.2f}",
                flush=True,
            )
        if KINDS[name][0] is not None:
            print(f"{'':18} TPE: {KINDS[name][0]}")


if __name__ == "__main__":
    main()
