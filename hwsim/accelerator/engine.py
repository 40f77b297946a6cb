# SPDX-License-Identifier: Apache-2.0
"""The engine that gives every multiply-accumulate of a network to the accelerator's unit."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim import formats
from hwsim.accelerator.nonlinear import KERNELS
from hwsim.accelerator.operand_fit import (
    code_offset,
    fits,
    format_name,
    is_wide_float,
    scales_apart,
    unit_codes,
    unit_scales,
)
from hwsim.accelerator.portions import depends_on_place, in_portions
from hwsim.accelerator.scales import slice_scales, tensor_scale
from hwsim.datapath import DotProductUnit, matmul
from hwsim.datapath.unit import ScalarSpec
from hwsim.formats import BlockSpec, FloatSpec, IntegerSpec
from hwsim.network import Layer, Network
from hwsim.network.float_quantization import BlockQuantization, Quantization
from hwsim.network.layers.multiply_accumulate import MultiplyAccumulate
from hwsim.network.nonlinear import NonlinearKernels, NonlinearSpec

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
        shape = layer.matmul_shape(network.specs(layer))
        if shape is not None and not shape.macs:
            wrong.append(f"{layer.name} (an operand is empty)")
            continue
        pairs = ((unit.a, layer.a_quantization), (unit.b, layer.b_quantization))
        if any(q is not None and not fits(spec, q) for spec, q in pairs):
            names = " by ".join("float32" if q is None else format_name(q) for _, q in pairs)
            wrong.append(f"{layer.name} ({names})")
            taken = f"; the unit takes {unit.a.name} by {unit.b.name}"
        elif _mixes_scales(unit, layer):
            wrong.append(f"{layer.name} (its block scales are not those of the unit, whose other operand has its own)")
        elif layer.name not in ranges and _needs_range(unit, layer):
            wrong.append(f"{layer.name} (float32, and no range of its operands is known: calibrate)")
    if wrong:
        listed = "; ".join(wrong[:_LISTED]) + (f"; and {len(wrong) - _LISTED} more" if len(wrong) > _LISTED else "")
        raise ValueError(f"network {network.name!r} cannot run on unit {unit.name}: {listed}{taken}")


def _needs_range(unit: DotProductUnit, layer: MultiplyAccumulate) -> bool:
    """Tell whether a scale of the layer's float32 operands comes from calibration."""
    return layer.b_quantization is None or (layer.a_quantization is None and not is_wide_float(unit.a))


def _mixes_scales(unit: DotProductUnit, layer: MultiplyAccumulate) -> bool:
    """Tell whether one operand's block scales are applied apart while the other has blocks that do not divide those."""
    pairs = ((unit.a, layer.a_quantization), (unit.b, layer.b_quantization))
    apart = [q.block_size for spec, q in pairs if scales_apart(spec, q) and isinstance(q, BlockQuantization)]
    own = [spec.block_size for spec, _ in pairs if isinstance(spec, BlockSpec)]
    return any(size % step for size in apart for step in own) or len(set(apart)) > 1


class UnitEngine:
    """Run matrix products on a unit, K in ascending order.

    Quantized layers enter with their codes, and with their block scales where the unit takes these; else the sum of
    each block is rounded to the unit's output, multiplied by its scales and added in float32, in ascending order.
    Operands of float layers are quantized to the unit's formats: the second one (weights) with a scale for each column
    in a scalar format, the first with one scale for all, from calibration, so that a result does not depend on what
    else is in the batch, both by the rule of `hwsim.accelerator.scales`; block formats choose their scales block by
    block along K, under a tensor scale from calibration where the format has one. Float activations of weights that are
    codes enter so too, or are cast to a unit's float16, bfloat16, tfloat32 or float32.

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
    nonlinear = NonlinearSpec()
    nonlinear_kernels: NonlinearKernels | None = KERNELS

    def __init__(
        self,
        unit: DotProductUnit,
        ranges: Ranges,
        progress: Callable[[str], None] | None = None,
        record: Record | None = None,
    ) -> None:
        self.unit = unit
        self._ranges = ranges
        self._progress = progress
        self._record = record
        self._multiplied: list[dict[str, NDArray[Any]]] = []  # of the layer at hand, where someone records

    def matmul(self, layer: Layer, a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
        """Multiply `groups` pairs of matrices (see `hwsim.network.Engine`)."""
        assert isinstance(layer, MultiplyAccumulate)
        if self._progress is not None:
            self._progress(layer.name)
        self._multiplied = []
        try:
            product = self._multiply(layer, a, b)
        except ValueError as error:  # a value that a format has no code for
            raise ValueError(f"layer {layer.name!r}: {error}") from error
        if self._record is not None:
            self._record(layer.name, self._multiplied)
        return product

    def _multiply(self, layer: MultiplyAccumulate, a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
        """Multiply groups one by one, or many at once where that gives the same."""
        one_by_one = self._record is not None or depends_on_place(self.unit)
        if layer.coded and (one_by_one or any(scales is not None for scales in layer.arranged_scales)):
            return np.stack([self._coded(layer, a[group], b[group], group) for group in range(a.shape[0])])
        one = self._coded if layer.coded else self._codes if layer.quantized else self._values
        if one_by_one:
            return np.stack([one(layer, a[group], b[group]) for group in range(a.shape[0])])
        return in_portions(lambda x, y: one(layer, x, y), a, b)

    @property
    def description(self) -> str:
        """What the engine's results depend on, for a checkpoint to know it by."""
        return f"{self.unit!r} {sorted(self._ranges.items())} {self.nonlinear!r}"

    def _codes(self, layer: MultiplyAccumulate, a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
        unit = self.unit
        assert layer.a_quantization is not None
        assert layer.b_quantization is not None
        left, right = (
            unit_codes(unit.element_a, layer.a_quantization, a),
            unit_codes(unit.element_b, layer.b_quantization, b),
        )
        d = self._product(left, right, None, None)
        values = unit.output.unpack(d).significand if isinstance(unit.output, IntegerSpec) else unit.output.decode(d)
        return _with_offsets(
            values, a, b, code_offset(unit.a, layer.a_quantization), code_offset(unit.b, layer.b_quantization)
        )

    def _coded(
        self, layer: MultiplyAccumulate, a: NDArray[Any], b: NDArray[Any], group: int = 0
    ) -> NDArray[np.float64]:
        """Multiply codes of formats, with their block scales; float32 activations are rounded to the unit's format."""
        unit = self.unit
        scales = [None if one is None else one[group] for one in layer.arranged_scales]
        factor: NDArray[np.float64] | float = 1.0
        if layer.a_quantization is None:
            a, a_scales, factor = self._activations(layer, a)
        else:
            a, a_scales = _operand(unit.a, layer.a_quantization, a, scales[0])
        assert layer.b_quantization is not None
        b, b_scales = _operand(unit.b, layer.b_quantization, b, scales[1])
        factors = [
            q.scale_values(held)
            if held is not None and isinstance(q, BlockQuantization) and scales_apart(spec, q)
            else None
            for spec, q, held in zip(
                (unit.a, unit.b), (layer.a_quantization, layer.b_quantization), scales, strict=True
            )
        ]
        if all(values is None for values in factors):
            return np.asarray(unit.output.decode(self._product(a, b, a_scales, b_scales)) * factor)
        size = next(q.block_size for q, f in zip(layer.blocks, factors, strict=True) if f is not None and q is not None)
        total = np.zeros((a.shape[0], b.shape[1]), np.float32)
        for index, start in enumerate(range(0, a.shape[1], size)):
            part = slice(start, start + size)
            held_a, held_b = _scales_of(unit.a, a_scales, part, 1), _scales_of(unit.b, b_scales, part, 0)
            d = unit.output.decode(self._product(a[:, part], b[part], held_a, held_b))
            for axis, values in enumerate(factors):
                if values is not None:
                    d = d * (values[:, index : index + 1] if axis == 0 else values[index : index + 1])
            total = total + d.astype(np.float32)
        return np.asarray(total.astype(np.float64) * factor)

    def _activations(
        self, layer: MultiplyAccumulate, a: NDArray[Any]
    ) -> tuple[NDArray[Any], NDArray[Any] | None, NDArray[np.float64] | float]:
        """Return float32 values as the unit's first operand: codes, block scales, and the factor left out."""
        spec = self.unit.a
        if isinstance(spec, FloatSpec) and is_wide_float(spec):
            return spec.encode(a, overflow="infinity"), None, 1.0
        return _quantized(spec, a, 1, self._ranges[layer.name][0], per_column=False)

    def _values(self, layer: MultiplyAccumulate, a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
        unit = self.unit
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
        return matmul(self.unit, a, b, a_scales=a_scales, b_scales=b_scales)


def _with_offsets(values: NDArray[Any], a: NDArray[Any], b: NDArray[Any], of_a: int, of_b: int) -> NDArray[Any]:
    """Return the product of codes from that of the codes less their offsets, which a zero point takes in as well."""
    if of_a:
        values = values + of_a * b.sum(axis=0, keepdims=True, dtype=np.int64)
    if of_b:
        values = values + of_b * (a.sum(axis=1, keepdims=True, dtype=np.int64) - a.shape[1] * of_a)
    return values


def _operand(
    spec: ScalarSpec | BlockSpec, quantization: Quantization, codes: NDArray[Any], scales: NDArray[Any] | None
) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Return a layer's codes, and the codes of those scales that the unit applies, as the unit has them."""
    element = spec.element if isinstance(spec, BlockSpec) else spec
    assert isinstance(element, ScalarSpec)
    held = unit_codes(element, quantization, codes)
    if not isinstance(spec, BlockSpec):
        return held, None
    assert isinstance(quantization, BlockQuantization)
    assert scales is not None
    return held, unit_scales(spec, quantization, scales)


def _scales_of(
    spec: ScalarSpec | BlockSpec, scales: NDArray[Any] | None, part: slice, axis: int
) -> NDArray[Any] | None:
    """Return the unit's block scales of a part of K."""
    if scales is None or not isinstance(spec, BlockSpec):
        return None
    blocks = slice(part.start // spec.block_size, -(-part.stop // spec.block_size))
    return scales[:, blocks] if axis else scales[blocks]


def _quantized(
    spec: ScalarSpec | BlockSpec, values: NDArray[Any], k_axis: int, largest: float, *, per_column: bool
) -> tuple[NDArray[Any], NDArray[Any] | None, NDArray[np.float64] | float]:
    """Return codes, block scales if any, and the factor that the unit does not know of.

    Raises
    ------
    ValueError
        Where the format has no negative values, and there are some.
    """
    element = spec.element if isinstance(spec, BlockSpec) else spec
    if element.min_value >= 0 and values.size and values.min() < 0:
        raise ValueError(
            f"{spec.name} has no negative values, but float32 operands down to {values.min():.6g}: "
            "quantize the network with a zero point, or take a signed unit"
        )
    if isinstance(spec, BlockSpec):
        q = formats.quantize(values, spec, k_axis, scale=tensor_scale(spec, largest))
        return q.codes, q.scales, q.tensor_scale
    if is_wide_float(spec):  # holds values as they are: a scale up to its largest would leave the products no room
        return spec.encode(values), None, 1.0
    if per_column:
        q = formats.quantize(values, spec, k_axis, scale=slice_scales(spec, values, k_axis))
        return q.codes, None, q.scales.astype(np.float64)
    q = formats.quantize(values, spec, None, scale=tensor_scale(spec, largest))
    return q.codes, None, float(q.scales)
