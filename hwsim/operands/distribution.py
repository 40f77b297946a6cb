# SPDX-License-Identifier: Apache-2.0
"""Operands drawn from a distribution."""

import numpy as np

from hwsim import formats
from hwsim.datapath import DotProductUnit
from hwsim.datapath.entry import zero_code
from hwsim.datapath.unit import ScalarSpec
from hwsim.formats import BlockSpec
from hwsim.formats.codes import code_dtype
from hwsim.operands.streams import STEPS, STREAMS, Codes, Operands

__all__ = [
    "gaussian",
    "uniform",
]

_DOT = 64  # steps of a dot product
_SEED = 7


def gaussian(unit: DotProductUnit) -> Operands:
    """Return normal operands, seeded, at the scale that the format holds them best at; block scales by the format.

    That scale is `hwsim.formats.normal_deviation`, so that no format's codes are all zeros or all extremes; formats
    without negative numbers are given magnitudes. Of a sparse a the largest of each group of neighbours are kept.
    """
    generator = np.random.default_rng(_SEED)
    a, a_scales = _normal(unit, unit.a, generator, sparse=unit.sparsity is not None)
    b, b_scales = _normal(unit, unit.b, generator, sparse=False)
    what = "normal operands (each format at the power-of-two scale of least noise; block scales by the format)"
    return _of_distribution(unit, a, b, what, (a_scales, b_scales))


def uniform(unit: DotProductUnit) -> Operands:
    """Return operands uniform over all codes that are numbers, seeded; block scales are 1.

    Of a sparse a the first of each group of neighbours are kept.
    """
    generator = np.random.default_rng(_SEED)
    sides = []
    for spec, scale, count in (
        (unit.element_a, unit.scale_a, unit.scale_counts[0]),
        (unit.element_b, unit.scale_b, unit.scale_counts[1]),
    ):
        one = None if scale is None else np.full((STREAMS, STEPS, count), scale.encode(1.0))
        sides.append((_numbers(spec, (STREAMS, STEPS, unit.width), generator), one))
    (a, a_scales), (b, b_scales) = sides
    if unit.sparsity is not None:
        zero = zero_code(unit.element_a)
        assert zero is not None
        a[..., np.arange(unit.width) % unit.sparsity.of >= unit.sparsity.kept] = zero
    return _of_distribution(
        unit, a, b, "uniform over all codes that are numbers (block scales 1)", (a_scales, b_scales)
    )


def _of_distribution(
    unit: DotProductUnit, a: Codes, b: Codes, what: str, scales: tuple[Codes | None, Codes | None]
) -> Operands:
    """Put the dot products' ends around drawn codes."""
    place = np.broadcast_to(np.arange(STEPS) % _DOT, (STREAMS, STEPS))
    ignored = np.uint64(unit.ignored_bits)
    if unit.ignored_bits:
        a, b = a.astype(np.uint64) << ignored, b.astype(np.uint64) << ignored
    return Operands(
        unit=unit, a=a, b=b, a_scales=scales[0], b_scales=scales[1], first=place == 0, last=place == _DOT - 1,
        description=f"{what}, {_DOT} steps a dot product",
    )  # fmt: skip


def _normal(
    unit: DotProductUnit, spec: ScalarSpec | BlockSpec, generator: np.random.Generator, *, sparse: bool
) -> tuple[Codes, Codes | None]:
    """Return codes (streams, steps, width) and, for a block format, scale codes (streams, steps, scales of a step)."""
    width = unit.width
    values = generator.standard_normal((STREAMS, STEPS * width))
    if sparse:
        assert unit.sparsity is not None
        groups = values.reshape(STREAMS, -1, unit.sparsity.of)
        small = np.argsort(np.abs(groups), axis=2)[:, :, : unit.sparsity.of - unit.sparsity.kept]
        np.put_along_axis(groups, small, 0.0, axis=2)
    if isinstance(spec, BlockSpec):
        q = formats.quantize(values, spec, -1)
        return q.codes.reshape(STREAMS, STEPS, width), _step_scales(
            q.scales.astype(np.uint64), spec.block_size, width, STEPS
        )
    codes = formats.normal_codes(spec, values)
    return codes.reshape(STREAMS, STEPS, width), None


def _step_scales(scales: Codes, block_size: int, width: int, steps: int) -> Codes:
    """Return scales (rows, blocks) as (rows, steps, scales of a step)."""
    if block_size >= width:
        return np.repeat(scales, block_size // width, axis=1)[:, :steps, None]
    return scales[:, : steps * (width // block_size)].reshape(len(scales), steps, -1)


def _numbers(spec: ScalarSpec, shape: tuple[int, ...], generator: np.random.Generator) -> Codes:
    """Draw codes that are numbers, each as likely as another."""
    kind = code_dtype(spec.bits)
    codes = generator.integers(0, 1 << spec.bits, shape, dtype=np.uint64).astype(kind)
    while (wrong := ~np.isfinite(spec.decode(codes))).any():
        codes[wrong] = generator.integers(0, 1 << spec.bits, int(wrong.sum()), dtype=np.uint64)
    return codes
