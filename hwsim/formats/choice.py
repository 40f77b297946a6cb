# SPDX-License-Identifier: Apache-2.0
"""Choose scales and codes of blocks: by a rule from statistics, or by trying scales and element formats."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.formats.block import BlockSpec, Scalar, ScaleRule
from hwsim.formats.block_encoding import Rounder, encode_rows, scale_values
from hwsim.formats.block_kernels import block_errors, block_sums, divide_to_integers, largest_patterns
from hwsim.formats.codes import code_dtype
from hwsim.formats.float import FloatSpec
from hwsim.formats.integer import IntegerSpec
from hwsim.formats.rounding import Rounding
from hwsim.formats.scale_search import scale_candidates
from hwsim.formats.scaling import (
    LEAST_MEAN,
    QUEST_FACTOR,
    QUEST_OFFSET,
    divided_scales,
    element_limit,
    float32_scale,
    power_scales,
    two_level,
)
from hwsim.formats.tiling import Tiling

__all__ = [
    "Blocks",
    "Outer",
    "largest_magnitudes",
    "mean_magnitudes",
    "median_magnitudes",
    "quantize_blocks",
]

_TILE = 1 << 18  # elements whose scales and codes are found together, so that they are read from the cache

Outer = NDArray[np.float64] | float


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocks:
    """Rows quantized block by block: codes like the rows; the others of the tiling's `block_shape`, or None."""

    codes: NDArray[np.unsignedinteger]
    scales: NDArray[np.unsignedinteger]
    tensor_scale: float = 1.0
    channel_scales: NDArray[np.float32] | None = None
    zero_points: NDArray[np.unsignedinteger] | None = None
    selectors: NDArray[np.uint8] | None = None


def quantize_blocks(
    rows: NDArray[Any], spec: BlockSpec, tiling: Tiling, given: NDArray[np.float32] | None, rounder: Rounder
) -> Blocks:
    """Choose scales by the format's rule and encode; `given` is the outer scale, one number or one a row."""
    if spec.rule is ScaleRule.TWO_LEVEL:
        return _quantize_two_level(rows, spec, tiling, given, rounder)
    if spec.rule is ScaleRule.RANGE:
        return _quantize_range(rows, spec, tiling, given, rounder)
    searched = spec.others or spec.rule is ScaleRule.MSE
    if tiling.block_rows == 1 and not (searched or spec.tensor_scale or spec.channel_scale):
        return _quantize_tiles(rows, spec, tiling, None, 1.0, rounder)
    largest = largest_magnitudes(rows, tiling)
    outer = _outer_scale(largest, spec, given)
    quantized = _search if searched else _quantize_tiles
    return _with_outer(quantized(rows, spec, tiling, largest, outer, rounder), spec, outer)


def _with_outer(found: Blocks, spec: BlockSpec, outer: Outer) -> Blocks:
    return Blocks(
        codes=found.codes,
        scales=found.scales,
        tensor_scale=float(outer) if spec.tensor_scale else 1.0,
        channel_scales=np.asarray(outer, np.float32) if spec.channel_scale else None,
        selectors=found.selectors,
    )


def largest_magnitudes(rows: NDArray[Any], tiling: Tiling) -> NDArray[Any]:
    """Return each block's largest magnitude, in the rows' dtype; NaN or infinity where it holds one."""
    return tiling.gather(_largest_by_row(rows, tiling.size), np.maximum)


def _largest_by_row(rows: NDArray[Any], size: int) -> NDArray[Any]:
    shape = (rows.shape[0], -(-rows.shape[1] // size))
    if rows.dtype == np.float32:
        patterns = np.empty(shape, np.int32)
        largest_patterns(rows.view(np.int32), size, patterns)
        return patterns.view(np.float32)
    if 0 in shape:
        return np.zeros(shape)
    return np.asarray(np.maximum.reduceat(np.abs(rows), np.arange(0, rows.shape[1], size), axis=1))


def _outer_scale(largest: NDArray[Any], spec: BlockSpec, given: NDArray[np.float32] | None) -> Outer:
    """Return the float32 scale above the blocks', in float64: of the tensor, or of each row, shape (rows, 1)."""
    if not (spec.tensor_scale or spec.channel_scale):
        return 1.0
    if given is not None:
        return given.astype(np.float64) if spec.channel_scale else float(given)
    limit = min(map(element_limit, spec.elements)) * spec.scale.max_value
    axis = 1 if spec.channel_scale else None
    most = np.max(largest, axis=axis, keepdims=spec.channel_scale, where=np.isfinite(largest), initial=0)
    chosen = _finite_scale(np.asarray(most, np.float64), limit, spec).astype(np.float64)
    return chosen if spec.channel_scale else float(chosen)


def _finite_scale(most: NDArray[np.float64], limit: float, spec: BlockSpec) -> NDArray[np.float32]:
    scales = float32_scale(most, limit)
    if not np.isfinite(scales).all():
        whose = "channel" if spec.channel_scale else "tensor"
        end = limit * float(np.finfo(np.float32).max)
        text = (
            f"x must be at most about {end:.3g} in magnitude for {spec.name}, whose scale of the {whose} is a float32"
        )
        raise ValueError(f"{text}, not {most.max():.3g}")
    return scales


def _quantize_tiles(
    rows: NDArray[Any], spec: BlockSpec, tiling: Tiling, largest: NDArray[Any] | None, outer: Outer, rounder: Rounder
) -> Blocks:
    """Choose scales and encode, some blocks at a time; `largest` is None where a tile can find its own."""
    codes = np.empty(rows.shape, code_dtype(spec.bits))
    figures = largest if _by_largest(spec.rule) else _figures(rows, spec, tiling)
    if tiling.block_rows > 1:
        assert figures is not None
        scales = _scales(spec, spec.element, figures, outer)
        _encode_tiles(rows, spec, spec.element, tiling, scales, outer, rounder, codes)
        return Blocks(codes=codes, scales=scales)
    scales = np.empty(tiling.block_shape, code_dtype(spec.scale.bits))
    for where, blocks in _tiles(rows, tiling):
        part = np.ascontiguousarray(rows[where])
        above = outer[where[0]] if isinstance(outer, np.ndarray) else outer
        own = _largest_by_row(part, tiling.size) if figures is None else figures[blocks]
        scales[blocks] = _scales(spec, spec.element, own, above)
        to = codes[where]
        encode_rows(part, spec, spec.element, scales[blocks], above, tiling.size, _cut(rounder, where), to)
    return Blocks(codes=codes, scales=scales)


def _tiles(rows: NDArray[Any], tiling: Tiling) -> list[tuple[tuple[slice, slice], tuple[slice, slice]]]:
    """Return the pieces of rows, of about `_TILE` elements, and their blocks."""
    height, length = rows.shape
    along = max(1, min(tiling.blocks, _TILE // tiling.size))
    down = max(1, _TILE // max(min(length, along * tiling.size), 1))
    pieces = []
    for top in range(0, height, down):
        for left in range(0, tiling.blocks, along):
            where = (slice(top, top + down), slice(left * tiling.size, (left + along) * tiling.size))
            pieces.append((where, (slice(top, top + down), slice(left, left + along))))
    return pieces


def _cut(rounder: Rounder, where: tuple[slice, slice]) -> Rounder:
    return rounder if rounder.random is None else rounder._replace(random=rounder.random[where])


def _encode_tiles(
    rows: NDArray[Any],
    spec: BlockSpec,
    element: Scalar,
    tiling: Tiling,
    scales: NDArray[np.unsignedinteger],
    outer: Outer,
    rounder: Rounder,
    codes: NDArray[np.unsignedinteger],
) -> None:
    """Encode under the blocks' scales, some blocks at a time."""
    by_row = tiling.spread(scales)
    for where, blocks in _tiles(rows, tiling):
        above = outer[where[0]] if isinstance(outer, np.ndarray) else outer
        part = np.ascontiguousarray(rows[where])
        encode_rows(part, spec, element, by_row[blocks], above, tiling.size, _cut(rounder, where), codes[where])


def _by_largest(rule: ScaleRule) -> bool:
    return rule is ScaleRule.AMAX or (rule.is_power and rule is not ScaleRule.QUEST)


def _scales(spec: BlockSpec, element: Scalar, figures: NDArray[Any], outer: Outer) -> NDArray[np.unsignedinteger]:
    """Return scale codes for the blocks' figures: largest magnitudes, or what `_figures` gives."""
    rule, scale = spec.rule, spec.scale
    if not (isinstance(scale, FloatSpec) and scale.has_nan) and not np.isfinite(figures).all():
        raise ValueError(f"x must be finite to be quantized to {spec.name}, whose scale has no NaN")
    if rule.is_power or (rule is ScaleRule.MSE and spec.has_power_scale):
        assert isinstance(scale, FloatSpec)
        relative = figures if isinstance(outer, float) and outer == 1.0 else figures / outer
        return power_scales(rule if rule.is_power else ScaleRule.NEAREST, element, scale, relative)
    limit = element_limit(element) if rule in (ScaleRule.AMAX, ScaleRule.MSE) else 1.0
    return divided_scales(scale, figures, limit, outer)


def _figures(rows: NDArray[Any], spec: BlockSpec, tiling: Tiling) -> NDArray[np.float64]:
    """Return what the rule makes a scale of, where that is not the largest magnitude."""
    if spec.rule is ScaleRule.ABSMEAN:
        return mean_magnitudes(rows, tiling)
    if spec.rule is ScaleRule.ABSMEDIAN:
        return median_magnitudes(rows, tiling)
    assert spec.rule is ScaleRule.QUEST
    counts = tiling.counts()
    means = _sums(rows, tiling, None, 0) / counts
    deviations = np.sqrt(_sums(rows, tiling, means, 2) / counts)
    return QUEST_FACTOR * deviations + QUEST_OFFSET


def mean_magnitudes(rows: NDArray[Any], tiling: Tiling) -> NDArray[np.float64]:
    """Return each block's mean magnitude in float64, not below `LEAST_MEAN`."""
    means = _sums(rows, tiling, None, 1) / tiling.counts()
    return np.maximum(means, LEAST_MEAN)


def median_magnitudes(rows: NDArray[Any], tiling: Tiling) -> NDArray[np.float64]:
    """Return each block's median magnitude in float64, not below `LEAST_MEAN`; NaN where one is not finite."""
    counts = tiling.counts().reshape(-1)
    if counts.size == 0:
        return np.zeros(tiling.block_shape)
    magnitudes = np.abs(tiling.elements(rows, np.inf))
    middles = np.unique(np.concatenate([(counts - 1) // 2, counts // 2]))
    magnitudes.partition(middles, axis=1)
    each = np.arange(counts.size)
    medians = (magnitudes[each, (counts - 1) // 2] + magnitudes[each, counts // 2]) / 2
    bad = ~np.isfinite(largest_magnitudes(rows, tiling))
    return np.where(bad, np.nan, np.maximum(medians.reshape(tiling.block_shape), LEAST_MEAN))


def _sums(rows: NDArray[Any], tiling: Tiling, centres: NDArray[np.float64] | None, power: int) -> NDArray[np.float64]:
    blocks = np.zeros(tiling.block_shape) if centres is None else centres
    by_row = tiling.spread(blocks)
    out = np.empty_like(by_row)
    with np.errstate(over="ignore", invalid="ignore"):  # where a kernel is interpreted
        block_sums(rows, tiling.size, by_row, power, out)
        return tiling.gather(out, np.add)


def _search(
    rows: NDArray[Any], spec: BlockSpec, tiling: Tiling, largest: NDArray[Any], outer: Outer, rounder: Rounder
) -> Blocks:
    """Try every element format, and with rule MSE the scales; keep the least squared error, of equals the first."""
    kept = np.empty(rows.shape, code_dtype(spec.bits))
    best = np.empty(tiling.block_shape, code_dtype(spec.scale.bits))
    selectors = np.zeros(tiling.block_shape, np.uint8)
    least: NDArray[np.float64] | None = None
    codes = kept
    for index, element in enumerate(spec.elements):
        usual = _scales(spec, element, largest, outer)
        tried = np.full(tiling.block_shape, np.inf) if least is None else least
        for scales in scale_candidates(rows, spec, element, tiling, usual, largest, outer, tried):
            _encode_tiles(rows, spec, element, tiling, scales, outer, rounder, codes)
            errors = _errors(rows, spec, element, tiling, scales, outer, codes)
            if least is None:
                least, codes = tried, np.empty_like(kept)
                least[...], best[...] = errors, scales
                continue
            better = errors < least
            if better.any():
                least[better], best[better], selectors[better] = errors[better], scales[better], index
                spread = np.repeat(tiling.spread(better), tiling.size, axis=1)[:, : rows.shape[1]]
                np.copyto(kept, codes, where=spread)
    return Blocks(codes=kept, scales=best, selectors=selectors if spec.others else None)


def _errors(
    rows: NDArray[Any],
    spec: BlockSpec,
    element: Scalar,
    tiling: Tiling,
    scales: NDArray[np.unsignedinteger],
    outer: Outer,
    codes: NDArray[np.unsignedinteger],
) -> NDArray[np.float64]:
    """Return each block's sum of squared errors."""
    values = element.decode(np.arange(1 << element.bits))
    factors = np.ascontiguousarray(tiling.spread(scale_values(spec.scale, scales) * outer))
    out = np.empty(factors.shape)
    with np.errstate(over="ignore", invalid="ignore"):
        block_errors(rows, codes, values, factors, tiling.size, out)
        return tiling.gather(out, np.add)


def _quantize_two_level(
    rows: NDArray[Any], spec: BlockSpec, tiling: Tiling, given: NDArray[np.float32] | None, rounder: Rounder
) -> Blocks:
    """Quantize with the float32 operations of the NVFP4 recipe; float64 data is rounded to float32 first."""
    with np.errstate(over="ignore", under="ignore"):
        single = rows.astype(np.float32, copy=False)
    if single is not rows and not np.array_equal(np.isfinite(single), np.isfinite(rows)):
        most = np.max(np.abs(rows), where=np.isfinite(rows), initial=0)
        raise ValueError(f"x must be finite in float32 for {spec.name}, whose operations are float32's, not {most:.3g}")
    largest = largest_magnitudes(single, tiling)
    whole = np.max(largest, where=np.isfinite(largest), initial=np.float32(0))
    chosen = two_level(spec, largest, np.float32(whole), None if given is None else np.float32(given))
    codes = np.empty(rows.shape, code_dtype(spec.bits))
    encode = tiling.spread(chosen.encode)
    for where, _ in _tiles(rows, tiling):
        columns = np.arange(*where[1].indices(rows.shape[1]))
        factors = encode[where[0]][:, columns // tiling.size]
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            scaled = single[where] * factors
        scaled[factors == 0] = 0
        codes[where] = _cut(rounder, where).encode(spec.element, scaled, (slice(None), slice(None)))
    return Blocks(codes=codes, scales=chosen.codes, tensor_scale=float(chosen.decode_tensor))


def _quantize_range(
    rows: NDArray[Any], spec: BlockSpec, tiling: Tiling, given: NDArray[np.float32] | None, rounder: Rounder
) -> Blocks:
    """Quantize with a zero point: ``round(x / scale) + zero_point``, which is ``low - round(min / scale)``."""
    element = spec.element
    assert isinstance(element, IntegerSpec)
    largest = largest_magnitudes(rows, tiling)
    outer_limit = (element.max_int - element.min_int) * spec.scale.max_value
    starts = np.arange(0, rows.shape[1], tiling.size)
    lowest = tiling.gather(np.minimum.reduceat(rows, starts, axis=1), np.minimum).astype(np.float64)
    highest = tiling.gather(np.maximum.reduceat(rows, starts, axis=1), np.maximum).astype(np.float64)
    bad = ~np.isfinite(largest)
    low, high = np.where(bad, 0.0, np.minimum(lowest, 0)), np.where(bad, 0.0, np.maximum(highest, 0))
    with np.errstate(over="ignore"):  # a width beyond float64 saturates, as its scale does
        span = np.minimum(high - low, np.finfo(np.float64).max)
        scaled = np.minimum(span * 2.0**element.fraction_bits, np.finfo(np.float64).max)
    outer = _range_outer(span, outer_limit, spec, given)
    width = np.where(bad, np.nan, scaled)
    scales = _scales(spec, element, width / (element.max_int - element.min_int), outer)
    factors = scale_values(spec.scale, scales) * outer
    usable = np.isfinite(factors) & (factors > 0)
    divisors = np.where(usable, factors, 1.0) * 2.0**-element.fraction_bits
    zeros = np.clip(element.min_int - np.rint(np.where(usable, low / divisors, 0.0)), element.min_int, element.max_int)
    wide = IntegerSpec(bits=32)
    mask = (1 << element.bits) - 1
    codes = np.empty(rows.shape, code_dtype(element.bits))
    by_row = tiling.spread(np.where(usable, divisors, 0.0)), tiling.spread(zeros.astype(np.int64))
    for where, blocks in _tiles(rows, tiling):
        part, divisor, zero = np.ascontiguousarray(rows[where]), by_row[0][blocks], by_row[1][blocks]
        if rounder.mode is Rounding.NEAREST_EVEN:
            divide_to_integers(part, divisor, zero, tiling.size, (element.min_int, element.max_int, mask), codes[where])
            continue
        each = np.arange(part.shape[1]) // tiling.size
        quotients = part / np.where(divisor > 0, divisor, np.inf)[:, each]
        rounded = wide.unpack(_cut(rounder, where).encode(wide, quotients, (slice(None), slice(None)))).significand
        codes[where] = np.clip(rounded + zero[:, each], element.min_int, element.max_int) & mask
    points = (zeros.astype(np.int64) & mask).astype(codes.dtype)
    found = _with_outer(Blocks(codes=codes, scales=scales), spec, outer)
    return Blocks(
        codes=codes,
        scales=scales,
        tensor_scale=found.tensor_scale,
        channel_scales=found.channel_scales,
        zero_points=points,
    )


def _range_outer(
    widths: NDArray[np.float64], limit: float, spec: BlockSpec, given: NDArray[np.float32] | None
) -> Outer:
    """Return the float32 scale above the blocks', from the widths of their ranges."""
    stand_in = _outer_scale(widths, spec, given)
    if given is not None or (isinstance(stand_in, float) and not spec.tensor_scale):
        return stand_in
    if spec.channel_scale:
        return _finite_scale(widths.max(axis=1, keepdims=True, initial=0.0), limit, spec).astype(np.float64)
    return float(_finite_scale(np.asarray(widths.max(initial=0.0)), limit, spec))
