# SPDX-License-Identifier: Apache-2.0
"""What a design point's hardware computes: accuracy, and how far its outputs are from those in float32."""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import fsum, log10
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from hwsim import formats
from hwsim import network as networks
from hwsim.accelerator import Accelerator, UnitEngine, check_network
from hwsim.accelerator.mapping.storage import coded_form
from hwsim.formats import BlockSpec, Format
from hwsim.jobs import accuracy
from hwsim.network import ExactEngine, Layer, Network, SteadyEngine
from hwsim.network.layers.multiply_accumulate import MultiplyAccumulate
from hwsim.network.layers.online_attention import with_online_attention
from hwsim.network.nonlinear import check as check_nonlinear
from hwsim.network.onnx_reader import from_model
from hwsim.network.weight_tensors import Weight
from hwsim.quantization import Recipe, quantize
from hwsim.ranking import rank
from hwsim.simulation import FloatNetwork
from hwsim.simulation.errors import ErrorMeter
from hwsim.study.cases import Case
from hwsim.study.machine import QUANTIZATION
from hwsim.study.point import DesignPoint, canonical

__all__ = [
    "agreement_notes",
    "compute",
    "is_float",
    "recipe",
    "running",
]

Array = NDArray[Any]
_DECIMALS = 6  # of dB


def recipe(point: DesignPoint) -> Recipe | None:
    """Return how a point's network is quantized; None where no setting asks for it.

    Formats that no setting gives are those of the unit: its second operand's for weights.

    Raises
    ------
    TypeError, ValueError
        As `hwsim.quantization.Recipe`.
    """
    chosen = _chosen(point)
    return Recipe(**dict(chosen)) if chosen else None


def _chosen(point: DesignPoint) -> tuple[tuple[str, Any], ...]:
    """Return the fields of a point's recipe that are not by default; none where its network is not quantized."""
    given = {key.removeprefix(QUANTIZATION): value for key, value in point.settings if key.startswith(QUANTIZATION)}
    if not given:
        return ()
    unit = point.dot_product_unit
    return tuple(sorted({"weights": unit.b.name, "activations": unit.a.name, **given}.items()))


def running(point: DesignPoint, case: Case) -> Network:
    """Return the network that a point's hardware runs: the case's, quantized first where settings ask for it."""
    chosen = _chosen(point)
    return _quantized(case, chosen) if chosen else case.network


@lru_cache(maxsize=32)
def _quantized(case: Case, chosen: tuple[tuple[str, Any], ...]) -> Network:
    model = onnx.load_model_from_string(case.model)
    made = quantize(model, Recipe(**dict(chosen)), _calibration(case), effects=False).model
    assert made is not None
    return from_model(made, batch=case.batch, dimensions=dict(case.dimensions))


def _calibration(case: Case) -> dict[str, Array]:
    return dict(case.inputs if case.calibration is None else case.calibration)


@lru_cache(maxsize=32)
def _ranges(case: Case, chosen: tuple[tuple[str, Any], ...]) -> dict[str, tuple[float, float]]:
    """Return the ranges that scales of float operands are chosen by; none where all operands are codes."""
    net = _quantized(case, chosen) if chosen else case.network
    return networks.calibrate(net, _calibration(case), engine=SteadyEngine()) if is_float(net) else {}


def is_float(net: Network) -> bool:
    """Tell whether a product takes values, which are rounded to the unit's format."""
    return any(isinstance(layer, MultiplyAccumulate) and layer.a_quantization is None for layer in net.layers)


def compute(point: DesignPoint, case: Case, spec: Accelerator, *, layers: bool) -> dict[str, Any]:
    """Run a point's network on its hardware.

    Parameters
    ----------
    point : DesignPoint
    case : Case
    spec : Accelerator
        The point's; its element, its requantization and its nonlinear functions are looked at.
    layers : bool
        Whether each layer's outputs are compared too, which takes about twice the time.

    Returns
    -------
    dict
        JSON-ready: ``figures``, ``layers`` (by name: sqnr_db, sqnr_alone_db), ``sources``.

    Raises
    ------
    ValueError
        If the hardware cannot run the network.
    """
    net, ranges = running(point, case), _ranges(case, _chosen(point))
    check_nonlinear(net, spec.nonlinear, UnitEngine.nonlinear_kernels, spec.requantization)
    check_network(net, spec.element, ranges)
    changed = with_online_attention(net, spec.nonlinear)
    meter = ErrorMeter(changed, _engine(spec, ranges), spec.requantization, SteadyEngine()) if layers else None
    outputs = networks.run(
        changed, case.inputs, engine=_engine(spec, ranges), rule=spec.requantization, hook=meter
    )  # fmt: skip
    name = net.outputs[0].name
    quality = _quality(net, FloatNetwork(net).values(name, outputs[name]), _float_output(case), case.labels)
    return {
        "figures": {
            "bits_per_element": _bits_per_element(net, spec),
            "images": case.images,
            **quality,
            "weight_qsnr_db": _running_qsnr_db(point, case, spec),
        },
        "layers": {}
        if meter is None
        else {
            name: {"sqnr_db": _rounded(error.accumulated.sqnr_db), "sqnr_alone_db": _rounded(error.own.sqnr_db)}
            for name, error in meter.errors().items()
        },
        "sources": [
            *_sources(point, case, net, () if meter is None else meter.on_codes),
            *agreement_notes(case, quality["constant_agreement"]),
        ],
    }


def _engine(spec: Accelerator, ranges: Mapping[str, tuple[float, float]]) -> UnitEngine:
    engine = UnitEngine(spec.element, ranges)
    engine.nonlinear = spec.nonlinear
    return engine


def _products(net: Network) -> list[tuple[MultiplyAccumulate, int]]:
    """Return the layers of multiply-accumulates, each with how many it has."""
    found = []
    for layer in net.layers:
        if isinstance(layer, MultiplyAccumulate):
            shape = layer.matmul_shape(net.specs(layer))
            assert shape is not None
            found.append((layer, shape.macs))
    return found


def _bits_per_element(net: Network, spec: Accelerator) -> float | None:
    """Return the bits of an operand of a multiply-accumulate, mean over all; codes have theirs, values the unit's."""
    counts: Counter[float] = Counter()
    for layer, macs in _products(net):
        for unit_format, quantization in ((spec.unit.a, layer.a_quantization), (spec.unit.b, layer.b_quantization)):
            form = coded_form(quantization)
            counts[float(form) if isinstance(form, int) else bits(unit_format if form is None else form)] += macs
    total = sum(counts.values())
    return sum(size * (count / total) for size, count in counts.items()) if total else None


def _running_qsnr_db(point: DesignPoint, case: Case, spec: Accelerator) -> float | None:
    """Return the error of the weights in the format that runs; None where they are codes, on their grid, at first."""
    if any(layer.b_quantization is not None for layer, _ in _products(case.network) if layer.weight is not None):
        return None
    chosen = recipe(point)
    named = None if chosen is None else chosen.weights
    return _weight_qsnr_db(case, spec.unit.b.name if named is None else named)


def bits(spec: Format) -> float:
    """Return the bits of an element, its share of block scales in them."""
    return spec.bits_per_element if isinstance(spec, BlockSpec) else float(spec.bits)


@lru_cache(maxsize=8)
def _float_output(case: Case) -> Array:
    """Return the first output of the case's network in float32, run once a process."""
    net = case.network
    name = net.outputs[0].name
    if not any(spec.dtype != "float32" for spec in net.tensors.values()):
        return networks.run(net, case.inputs, engine=SteadyEngine())[name]
    follower = _FloatFollower(net)
    networks.run(net, case.inputs, engine=ExactEngine(), hook=follower)
    return np.concatenate(follower.outputs) if follower.outputs[0].ndim else np.stack(follower.outputs)


class _FloatFollower:
    """Run the float network beside a quantized one, portion by portion; a hook of `hwsim.network.run`."""

    def __init__(self, net: Network) -> None:
        self._float = FloatNetwork(net, SteadyEngine())
        self._producer = {name: layer for layer in net.layers for name in layer.outputs}
        self._last = {name: layer.name for layer in net.layers for name in layer.inputs}
        self._output = net.outputs[0].name
        self._values: dict[str, Array] = {}
        self.outputs: list[Array] = []

    def __call__(self, name: str, array: Array) -> None:
        """Take a tensor of the quantized run, in order."""
        layer = self._producer.get(name)
        if layer is None:
            self._values[name] = self._float.values(name, array)
        elif name == layer.outputs[0]:
            taken = tuple(self._values[each] for each in layer.inputs)
            self._values.update(zip(layer.outputs, self._float.run(layer, taken), strict=True))
            self._drop(layer)
        if name == self._output:
            self.outputs.append(self._values[name])

    def _drop(self, layer: Layer) -> None:
        for name in sorted({*layer.inputs}):
            if self._last[name] == layer.name and name != self._output:
                self._values.pop(name, None)


def _quality(net: Network, found: Array, wanted: Array, labels: Array | None) -> dict[str, float | None]:
    """Return how good the outputs are."""
    rows = net.outputs[0].shape[:1] == (net.batch,)
    best = [each.reshape(len(each), -1).argmax(axis=1) for each in (found, wanted)] if rows else []
    return {
        "accuracy": None if labels is None else accuracy(found, labels),
        "float_accuracy": None if labels is None else accuracy(wanted, labels),
        "agreement": float(np.mean(best[0] == best[1])) if rows else None,
        "constant_agreement": float(np.bincount(best[1]).max() / len(best[1])) if rows else None,
        "output_sqnr_db": _sqnr_db(found, wanted),
    }


def agreement_notes(case: Case, constant: float | None) -> list[str]:
    """Say what agreement with float32 is worth: the share that a constant answer has, and whether inputs are random."""
    said = [] if constant is None else [f"a constant answer would agree with float32 on {100 * constant:.0f} %"]
    return said + ["random inputs: agreement on them says little of real ones"] * case.random


def _sqnr_db(found: Array, wanted: Array) -> float | None:
    """Return the power of the wanted values over that of the differences, both summed exactly; None for no figure."""
    x, y = (np.asarray(each, np.float64).ravel() for each in (found, wanted))
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return None
    signal, noise = fsum(np.square(y)), fsum(np.square(x - y))
    return _rounded(10 * log10(signal / noise)) if signal and noise else None


def _rounded(decibels: float | None) -> float | None:
    """Round what another machine may add up otherwise in its last bits."""
    return None if decibels is None else round(decibels, _DECIMALS)


@lru_cache(maxsize=256)
def _weight_qsnr_db(case: Case, name: str) -> float | None:
    """Return the error of the weights alone in a format; None where it has no negative values, or there is no error."""
    spec = formats.named(name)
    held = spec.element if isinstance(spec, BlockSpec) else spec
    weights = _weights(case)
    if not (held.min_value < 0 < held.max_value and any(each.values.any() for each in weights.values())):
        return None
    return _rounded(rank(weights, [spec])[0]["qsnr_db"])


@lru_cache(maxsize=4)
def _weights(case: Case) -> dict[str, Weight]:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        file.write_bytes(case.model)
        return networks.weights(file)


def _sources(point: DesignPoint, case: Case, net: Network, on_codes: Sequence[str]) -> list[str]:
    """Say what the values are of."""
    said = [f"values: {case.what}"]
    if _chosen(point):
        said.append(f"quantized first, on the calibration images: {canonical(dict(_chosen(point)))}")
    if is_float(net):
        on = "the inputs themselves" if case.calibration is None else "calibration images"
        said.append(f"scales of float operands: chosen on {on}")
    if on_codes:
        said.append(f"layers that round in the float network too: {', '.join(on_codes)}")
    return said
