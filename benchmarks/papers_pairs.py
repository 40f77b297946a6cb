# SPDX-License-Identifier: Apache-2.0
"""Ratios that MixPE, BitMoD and TPE state, beside those of our elements: for `benchmarks.papers`."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.arrays import KINDS, _points
from benchmarks.bit_slices import _PUBLISHED
from benchmarks.mixed_peers import FLOAT16
from benchmarks.mixed_units import SECTIONS, Line
from benchmarks.papers_units import (
    STEPS,
    STREAMS,
    Ports,
    normal_codes,
    normal_energy,
    packed,
    per_product,
    uniform_energy,
)
from cost_models.synthesis.results import AsicResult
from cost_models.technologies import Technology
from hwsim import datapath
from hwsim.datapath.digits import bench_average
from hwsim.formats import IntegerSpec
from rtl.architecture import ARCHITECTURES
from rtl.units.mixed_precision import MixedPrecision

__all__ = [
    "bitmod",
    "mixpe",
    "tpe",
]

Find = Callable[[Callable[[Any], Any]], AsicResult]
_SEED = 12
_INT8, _INT4 = IntegerSpec(bits=8), IntegerSpec(bits=4)
_TPE_EFFICIENCY = {"systolic": 1.27, "cube": 1.28, "adder_tree": 1.56, "broadcast": 1.44}


def _make(section: str, label: str) -> Callable[[Any], Any]:
    """Return how a line of `benchmarks.mixed_units` is made of an architecture."""
    line: Line = next(line for line in SECTIONS[section].lines if line.label.startswith(label))
    assert line.make is not None
    make = line.make

    def made(how: Any) -> Any:
        if how.name not in line.architectures:
            raise ValueError(f"{label} must be in one of {', '.join(line.architectures)}, not {how.name!r}")
        return make(how.name)

    return made


def _integers(ports: tuple[str, str], left: IntegerSpec, offset: int, bits: int) -> tuple[Ports, Ports | None]:
    """Return 8 normal products a step of `left` less an offset by int8, and the last sums of all streams."""
    generator = np.random.default_rng(_SEED)
    a, b = (normal_codes(spec, 8, generator)[0].astype(np.int64) for spec in (left, _INT8))
    signed = [(codes ^ (1 << (spec.bits - 1))) - (1 << (spec.bits - 1)) for codes, spec in ((a, left), (b, _INT8))]
    a = (signed[0] + offset) & ((1 << left.bits) - 1)
    inputs = {ports[0]: packed(a, left.bits), ports[1]: packed(b & 255, 8)}
    total = ((signed[0] + offset) * signed[1]).sum(axis=(0, 2)) % (1 << bits)
    return inputs, {"following": total.astype(np.uint64)} if not offset else None


def mixpe(find: Find, technology: Technology) -> Iterable[dict[str, Any]]:
    """Area times power of W4A8 and W4A16 elements beside those of one format."""
    print("\nMixPE (2411.16158; dse.py of its authors), area x power of an element, 500 MHz, 45 nm; higher is better")
    print(f"  ours: {technology.name}, 8 (4) products a step, normal operands, without glitches; at one clock")
    group = MixedPrecision(lanes=8)
    bits, plain_bits = group.sum_bits + 4, replace(group, zero_point=False).sum_bits
    cases = {
        "int8 x int8": _integers(("b", "a"), _INT8, 0, bits),
        "int4 x int8": _integers(("w", "x"), _INT4, 0, plain_bits),
        "uint4 x int8": _integers(("w", "x"), _INT4, 8, bits),
    }
    rows = {}
    for label, stimulus in cases.items():
        result = find(_make("mixpe", label))
        spent = normal_energy(result, technology, stimulus, ("base", "following"), f"mixpe {label}")
        count = {"int8 x int8": 128 + bits, "int4 x int8": 96 + plain_bits}.get(label, 96 + 2 * group.sum_bits)
        rows[label] = per_product(result, spent, uniform_energy(result, technology), technology, count, 8)
    yield from _products("int8 x int8", rows, {"int4 x int8": 133.38 / 58.28, "uint4 x int8": 133.38 / 58.28})
    wide = {}
    for label, spec in (("float16 x float16", FLOAT16), ("int4 x float16", _INT4)):
        generator = np.random.default_rng(_SEED)
        inputs = {"a": packed(normal_codes(spec, 4, generator)[0], spec.bits), "b": _halves(generator)}
        result = find(_make("mixpe16", label))
        spent = normal_energy(result, technology, (_controlled(inputs), None), None, f"mixpe {label}")
        wide[label] = (result.area_um2 / 4, (spent.gates_fj + spent.flip_flops_fj) / 4)
    first, second = wide.values()
    product = first[0] * first[1] / (second[0] * second[1])
    print(f"  {'int4 x float16':20} area {second[0] / first[0]:.2f}, energy {second[1] / first[1]:.2f} of float16 x "
          f"float16's, area x power {product:.2f} (theirs 4.82)")  # fmt: skip
    yield {"section": "mixpe", "unit": "int4 x float16", "area": second[0] / first[0], "energy": second[1] / first[1],
           "product": product, "theirs": 4.82}  # fmt: skip


def _products(first: str, rows: dict[str, Any], theirs: dict[str, float]) -> Iterable[dict[str, Any]]:
    base = rows[first]
    for label, said in theirs.items():
        row = rows[label]
        area, energy = row.area_um2 / base.area_um2, row.normal_fj / base.normal_fj
        area_with, energy_with = row.area_with_um2 / base.area_with_um2, row.normal_with_fj / base.normal_with_fj
        print(f"  {label:20} area {area:.2f}, energy {energy:.2f}, area x power {1 / (area * energy):.2f}, "
              f"with registers {area_with:.2f}, {energy_with:.2f}, {1 / (area_with * energy_with):.2f} "
              f"(theirs {said:.2f})", flush=True)  # fmt: skip
        yield {"section": "mixpe", "unit": label, "area": area, "energy": energy, "product": 1 / (area * energy),
               "product_with_registers": 1 / (area_with * energy_with), "theirs": said}  # fmt: skip


def _halves(generator: np.random.Generator) -> NDArray[np.uint64]:
    """Return four float16 of a normal distribution a step."""
    values = generator.standard_normal((STEPS, STREAMS, 4)).astype(np.float16)
    return packed(values.view(np.uint16), 16)


def _controlled(inputs: Ports) -> Ports:
    """Add the control of a core that takes a row in each cycle, 16 to a dot product."""
    steps = len(next(iter(inputs.values())))
    ones = np.ones((steps, STREAMS), np.uint64)
    at = np.broadcast_to((np.arange(steps) % 16)[:, None], ones.shape)
    control = {"en": ones, "valid": ones, "first": (at == 0).astype(np.uint64), "last": (at == 15).astype(np.uint64)}
    return {**inputs, **control, "rst": 0 * ones}


def bitmod(find: Find, technology: Technology) -> Iterable[dict[str, Any]]:
    """Compare a term-serial element with a float16 one of four products."""
    print("\nBitMoD (2411.11745), table X, an element: area, energy a cycle; TSMC 28 nm, 1 GHz; FP16 = 1")
    generator = np.random.default_rng(_SEED)
    codes = [_halves(generator) for _ in "ab"]
    plain = find(_make("bitmod", "float16"))
    stimulus = (_controlled({"a": codes[0], "b": codes[1]}), None)
    first = normal_energy(plain, technology, stimulus, None, "bitmod float16")
    core = find(_make("bitmod", "BitMoD"))
    second = normal_energy(core, technology, (_terms(generator), None), None, "bitmod terms of FP4")
    energies = [spent.gates_fj + spent.flip_flops_fj for spent in (first, second)]
    area, energy = core.area_um2 / plain.area_um2, energies[1] / energies[0]
    print(f"  float16 {plain.area_um2:.1f} um2, {energies[0]:.0f} fJ; BitMoD {core.area_um2:.1f}, {energies[1]:.0f}")
    print(f"  area {area:.2f} (theirs {1507.7 / 1968.7:.2f}), energy a cycle {energy:.2f} (theirs {0.56 / 0.77:.2f})")
    yield {"section": "bitmod", "area": area, "energy": energy, "theirs": (1507.7 / 1968.7, 0.56 / 0.77)}


def _terms(generator: np.random.Generator) -> Ports:
    """Return the two terms a weight of normal FP4 weights, 32 weights a lane and group, by normal float16."""
    rows = 2 * STEPS
    levels = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6])
    values = generator.standard_normal((STEPS, STREAMS, 4)) * (6 / 3.5)
    halves = (2 * levels)[np.abs(np.abs(values)[..., None] - levels).argmin(-1)].astype(np.int64)
    sign = (values < 0).astype(np.int64) << 3
    # {I3..I0} has the leading one unless the weight is 0.5; {I2, I1, I0, F0} has the rest.
    top = np.array([0, 0, 2, 2, 4, 4, 4, 4, 8, 8, 8, 8, 8])[halves]
    whole = np.where(top > 0, sign | (np.log2(np.maximum(top, 2)).astype(np.int64) - 1) << 1 | 1, 0)
    rest = halves - top
    small = np.where(rest > 0, sign | np.log2(np.maximum(rest, 1)).astype(np.int64) << 1 | 1, 0)
    terms = np.stack([whole, small], axis=1).reshape(rows, STREAMS, 4)
    ones = np.ones((rows, STREAMS), np.uint64)
    at = np.broadcast_to(np.arange(rows)[:, None], ones.shape)
    scale = generator.integers(1, 256, (1, STREAMS)).astype(np.uint64)
    return {
        "en": ones, "valid": ones, "last": (at == rows - 1).astype(np.uint64),
        "close": (at % rows == rows - 1).astype(np.uint64), "terms": packed(terms, 4),
        "bsig": (1 - at % 2).astype(np.uint64), "x": np.repeat(_halves(generator), 2, axis=0),
        "scale": np.repeat(scale, rows, axis=0), "rst": 0 * ones,
    }  # fmt: skip


def tpe(technology: Technology) -> Iterable[dict[str, Any]]:
    """Compare digits, and carry-save accumulation in four arrays."""
    print("\nTPE (2503.06342): average non-zero EN-T digits of N(0, sigma), K = 128 (its README)")
    for sigma, said in _PUBLISHED.items():
        ours = bench_average(sigma, "en_t", 128)
        print(f"  sigma {sigma}: {ours:.2f} (theirs {said:.2f})")
        yield {"section": "tpe", "sigma": sigma, "digits": ours, "theirs": said}
    print(f"TPE, area efficiency over plain elements; {technology.name}; theirs: SMIC 28 nm, all its techniques; ours:")
    print("  carry-save accumulation (OPT1) over the synthesizer's operators, and over our best binary element")
    unit = datapath.named("int8")
    for kind, said in _TPE_EFFICIENCY.items():
        assert kind in KINDS
        points = _points(kind, unit, technology)
        best: dict[str, float] = {}
        for point in points:
            how = ARCHITECTURES[point.architecture]
            for group in ("written",) * (point.architecture == "tool") + (how.accumulation,):
                best[group] = max(best.get(group, 0.0), point.efficiency)
        gains = [best["carry_save"] / best[group] for group in ("written", "binary")]
        print(f"  {kind:12} {gains[0]:.2f}, {gains[1]:.2f} (theirs {said:.2f})", flush=True)
        yield {"section": "tpe", "kind": kind, "gain": gains[0], "gain_over_binary": gains[1], "theirs": said}
