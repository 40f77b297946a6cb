# SPDX-License-Identifier: Apache-2.0
"""The engine that gives every multiply-accumulate of a network to the accelerator's unit."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim import formats
from hwsim.datapath import DotProductUnit, matmul
from hwsim.datapath.unit import ScalarSpec
from hwsim.formats import BlockSpec, IntegerSpec
from hwsim.network import Layer, Network
from hwsim.network.layers.multiply_accumulate import MultiplyAccumulate

__all__ = [
    "Record",
    "UnitEngine",
    "check_network",
]

_LISTED = 8
Ranges = Mapping[str, tuple[float, float]]
"""For each float layer, the largest magnitudes of its two operands in calibration."""
Record = Callable[[str, list[dict[str, NDArray[Any]]]], None]
"""Takes a layer's name, and of each group what the unit multiplies: codes `a` and `b`, scales where there are any."""


def check_network(network: Network, unit: DotProductUnit, ranges: Ranges) -> None:
    """Raise ValueError if the unit cannot run every layer of the network, with the first eight such layers listed."""
    wrong: list[str] = []
    taken = ""
    for layer in network.layers:
        if not isinstance(layer, MultiplyAccumulate):
            continue
        if not layer.quantized:
            if layer.name not in ranges:
                wrong.append(f"{layer.name} (float32, and no range of its operands is known: calibrate)")
            continue
        if not (_holds(unit.a, layer.a_dtype) and _holds(unit.b, layer.b_dtype)):
            wrong.append(f"{layer.name} ({layer.a_dtype} by {layer.b_dtype})")
            taken = f"; the unit takes {unit.a.name} by {unit.b.name}"
    if wrong:
        listed = "; ".join(wrong[:_LISTED]) + (f"; and {len(wrong) - _LISTED} more" if len(wrong) > _LISTED else "")
        raise ValueError(f"network {network.name!r} cannot run on unit {unit.name}: {listed}{taken}")


def _holds(spec: ScalarSpec | BlockSpec, dtype: str) -> bool:
    """Whether an operand format has every integer of an ONNX type."""
    if not isinstance(spec, IntegerSpec) or spec.fraction_bits or spec.zero_point:
        return False
    codes = formats.named(dtype)
    assert isinstance(codes, IntegerSpec)
    low = spec.min_int - (spec.narrow and spec.signed)  # the code that `encode` leaves out computes all the same
    return low <= codes.min_int and codes.max_int <= spec.max_int + (spec.narrow and not spec.signed)


class UnitEngine:
    """Run matrix products on a unit, K in ascending order.

    Quantized layers enter with their integer codes. Operands of float layers are quantized to the unit's formats: the
    second one (weights) with a scale for each column in a scalar format, the first with one scale for all, from
    calibration, so that a result does not depend on what else is in the batch; block formats choose their scales block
    by block along K, under a tensor scale from calibration where the format has one.

    Parameters
    ----------
    unit : DotProductUnit
    ranges : mapping of layer name to the largest magnitudes of its operands, for float layers
    progress : callable, optional
        Called with a layer's name before its product.
    record : callable, optional
        Called with a layer's name and what the unit multiplied, after its product.
    """

    k_order = "channel_first"

    def __init__(
        self,
        unit: DotProductUnit,
        ranges: Ranges,
        progress: Callable[[str], None] | None = None,
        record: Record | None = None,
    ) -> None:
        self._unit = unit
        self._ranges = ranges
        self._progress = progress
        self._record = record
        self._multiplied: list[dict[str, NDArray[Any]]] = []  # of the layer at hand, where someone records

    def matmul(self, layer: Layer, a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
        """Multiply `groups` pairs of matrices (see `hwsim.network.Engine`)."""
        assert isinstance(layer, MultiplyAccumulate)
        if self._progress is not None:
            self._progress(layer.name)
        one = self._codes if layer.quantized else self._values
        self._multiplied = []
        product = np.stack([one(layer, a[group], b[group]) for group in range(a.shape[0])])
        if self._record is not None:
            self._record(layer.name, self._multiplied)
        return product

    def _codes(self, layer: MultiplyAccumulate, a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
        unit = self._unit
        d = self._product(_as_codes(unit.element_a, a), _as_codes(unit.element_b, b), None, None)
        if isinstance(unit.output, IntegerSpec):
            return unit.output.unpack(d).significand
        return unit.output.decode(d)

    def _values(self, layer: MultiplyAccumulate, a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
        unit = self._unit
        largest_a, largest_b = self._ranges[layer.name]
        a_codes, a_scales, a_factor = _quantized(unit.a, a, 1, largest_a, per_column=False)
        b_codes, b_scales, b_factor = _quantized(unit.b, b, 0, largest_b, per_column=layer.weight is not None)
        d = self._product(a_codes, b_codes, a_scales, b_scales)
        return (unit.output.decode(d) * a_factor * b_factor).astype(np.float32)

    def _product(
        self, a: NDArray[Any], b: NDArray[Any], a_scales: NDArray[Any] | None, b_scales: NDArray[Any] | None
    ) -> NDArray[Any]:
        """Multiply codes, and keep them if someone records."""
        if self._record is not None:
            arrays = {"a": a, "b": b, "a_scales": a_scales, "b_scales": b_scales}
            self._multiplied.append({name: array for name, array in arrays.items() if array is not None})
        return matmul(self._unit, a, b, a_scales=a_scales, b_scales=b_scales)


def _as_codes(spec: ScalarSpec, integers: NDArray[Any]) -> NDArray[np.unsignedinteger]:
    """Return the unit's codes of integers that the format is known to hold."""
    return (integers.astype(np.int64) & ((1 << spec.bits) - 1)).astype(formats.codes.code_dtype(spec.bits))


def _quantized(
    spec: ScalarSpec | BlockSpec, values: NDArray[Any], k_axis: int, largest: float, *, per_column: bool
) -> tuple[NDArray[Any], NDArray[Any] | None, NDArray[np.float64] | float]:
    """Return codes, block scales if any, and the factor that the unit does not know of."""
    if isinstance(spec, BlockSpec):
        whole = np.float32(largest / (spec.element.max_value * spec.scale.max_value)) if spec.tensor_scale else None
        q = formats.quantize(values, spec, k_axis, scale=whole if whole is None or whole > 0 else np.float32(1))
        return q.codes, q.scales, q.tensor_scale
    if per_column:
        q = formats.quantize(values, spec, k_axis)
        return q.codes, None, q.scales.astype(np.float64)
    scale = np.float32(largest / spec.max_value)
    q = formats.quantize(values, spec, None, scale=scale if scale > 0 else np.float32(1))
    return q.codes, None, float(scale if scale > 0 else 1.0)
