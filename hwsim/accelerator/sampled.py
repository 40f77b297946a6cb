# SPDX-License-Identifier: Apache-2.0
"""Networks run in fast floats, with some tiles of every product computed on the unit: its error, with an interval."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf, log10, sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim.accelerator.engine import UnitEngine
from hwsim.accelerator.portions import depends_on_place
from hwsim.formats.codes import check_int
from hwsim.network import ExactEngine, Layer
from hwsim.network.coded_product import operand_values
from hwsim.network.layers.multiply_accumulate import MultiplyAccumulate

__all__ = [
    "SampledEngine",
    "SampledError",
]

Array = NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class SampledError:
    """What a unit's products of a layer differ by from the float32 ones, estimated from a sample of tiles.

    layer : its name
    numerics : how what was not sampled is computed: "float32", or "exact integers" for codes of integers
    tiles, of : how many tiles of how many were computed on the unit
    elements : of the products, in all
    mean_squared, low, high : estimate of the mean squared difference, and the ends of its confidence interval:
        Student's t over the tiles, corrected for a finite population; all equal where every tile was computed
    confidence : of the interval
    mean_squared_value : mean square of the float32 products, over all elements
    largest : the largest difference seen
    """

    layer: str
    numerics: str
    tiles: int
    of: int
    elements: int
    mean_squared: float
    low: float
    high: float
    confidence: float
    mean_squared_value: float
    largest: float

    @property
    def sqnr_db(self) -> tuple[float, float, float]:
        """Signal to error in dB: the estimate, the lower and the upper end of its interval."""
        return self._decibels(self.mean_squared), self._decibels(self.high), self._decibels(self.low)

    def _decibels(self, error: float) -> float:
        if error == 0:
            return inf
        return 10 * log10(self.mean_squared_value / error) if self.mean_squared_value else -inf


_Place = tuple[int, slice, slice]


class _Product(NamedTuple):
    """What was found in one product: squared differences and elements tile by tile, and figures of all of it."""

    sums: Array
    sizes: Array
    tiles: int
    elements: int
    squares: float
    largest: float


class SampledEngine:
    """Compute tiles chosen at random on a unit, and all else in float32.

    The outputs are a mixture: sampled tiles have the unit's bits, the others those of the float product of the same
    operands (numpy's, of the values before the unit's formats round them; exact integers where the operands are integer
    codes). So a network's outputs are not those of the hardware; what is measured is each layer's own error.

    Parameters
    ----------
    engine : UnitEngine
        That computes the tiles.
    tiles : int
        How many tiles of each product, at least 2; where there are no more, all are computed.
    side : int
        Rows and columns of a tile, those at the ends fewer.
    seed : int
        Of the choice, which depends on the layer's name and on how often it ran before, and on nothing else.
    confidence : float
        Of the intervals, between 0 and 1.
    progress : callable, optional
        Called with a layer's name before its product.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of range, or the unit rounds stochastically: then an element depends
        on its place, and no tile can be computed alone.
    """

    k_order = "channel_first"

    def __init__(
        self,
        engine: UnitEngine,
        tiles: int,
        *,
        side: int = 16,
        seed: int = 0,
        confidence: float = 0.95,
        progress: Callable[[str], None] | None = None,
    ) -> None:
        check_int("tiles", tiles, 2, 1 << 20)
        check_int("side", side, 1, 1 << 12)
        check_int("seed", seed, 0, (1 << 62) - 1)
        if not 0 < confidence < 1:
            raise ValueError(f"confidence must be between 0 and 1, not {confidence!r}")
        if depends_on_place(engine.unit):
            raise ValueError(f"unit {engine.unit.name} rounds stochastically, so that no tile can be computed alone")
        self._engine, self._tiles, self._side, self._seed = engine, tiles, side, seed
        self._confidence, self._progress = confidence, progress
        self._found: dict[str, list[_Product]] = {}
        self._numerics: dict[str, str] = {}
        self.nonlinear, self.nonlinear_kernels = engine.nonlinear, engine.nonlinear_kernels

    def matmul(self, layer: Layer, a: Array, b: Array) -> Array:
        """Multiply `groups` pairs of matrices (see `hwsim.network.Engine`)."""
        assert isinstance(layer, MultiplyAccumulate)
        if self._progress is not None:
            self._progress(layer.name)
        product = _float_product(layer, a, b)
        seen = self._found.setdefault(layer.name, [])
        self._numerics[layer.name] = "exact integers" if layer.quantized else "float32"
        squares = float(np.square(product, dtype=np.float64).sum())
        grid = (a.shape[0], -(-a.shape[1] // self._side), -(-b.shape[2] // self._side))
        count = int(np.prod(grid))
        random = np.random.default_rng([self._seed, zlib.crc32(layer.name.encode()), len(seen)])
        chosen = np.sort(random.choice(count, min(self._tiles, count), replace=False, shuffle=False))
        sums, sizes, largest = [], [], 0.0
        for places in self._alike(chosen, grid, product.shape):
            tiles = self._computed(layer, a, b, places)
            if tiles.dtype != product.dtype:  # floats of a unit that takes integer codes
                product = product.astype(np.result_type(tiles.dtype, product.dtype))
            for tile, place in zip(tiles, places, strict=True):
                difference = tile.astype(np.float64) - product[place]
                sums.append(float(np.square(difference).sum()))
                sizes.append(difference.size)
                largest = max(largest, float(np.abs(difference).max()))
                product[place] = tile
        seen.append(_Product(np.array(sums), np.array(sizes), count, product.size, squares, largest))
        return product

    def _alike(self, chosen: Array, grid: tuple[int, int, int], shape: tuple[int, ...]) -> list[list[_Place]]:
        """Return the places of tiles, those of one shape together."""
        found: dict[tuple[int, int], list[_Place]] = {}
        for group, row, column in zip(*np.unravel_index(chosen, grid), strict=True):
            top, left = int(row) * self._side, int(column) * self._side
            height, width = min(self._side, shape[1] - top), min(self._side, shape[2] - left)
            place = (int(group), slice(top, top + height), slice(left, left + width))
            found.setdefault((height, width), []).append(place)
        return list(found.values())

    def _computed(self, layer: MultiplyAccumulate, a: Array, b: Array, places: list[_Place]) -> Array:
        """Return tiles of one shape as the unit computes them, as groups of one product."""
        a_scales, b_scales = layer.arranged_scales
        if a_scales is not None or b_scales is not None:
            of_a = None if a_scales is None else _rows_of(a_scales, places)
            of_b = None if b_scales is None else _columns_of(b_scales, places)
            layer = replace(layer, arranged_scales=(of_a, of_b))
        tiles: Array = self._engine.matmul(layer, _rows_of(a, places), _columns_of(b, places))
        return tiles

    @property
    def errors(self) -> tuple[SampledError, ...]:
        """What was found so far, layer by layer, in the order in which they first ran."""
        return tuple(self._error(name, found) for name, found in self._found.items())

    def _error(self, layer: str, found: list[_Product]) -> SampledError:
        """Estimate a layer's error: its products are strata, in each of which tiles were drawn without replacement.

        Source: the ratio estimator, W. G. Cochran, Sampling Techniques, 3rd edition, chapters 5 and 6.
        """
        from scipy.special import stdtrit  # late, for it is seldom needed and slow to import

        total = variance = 0.0
        free = 0
        for each in found:
            drawn = len(each.sums)
            mean = float(each.sums.sum() / each.sizes.sum())
            total += mean * each.elements
            if drawn < each.tiles:
                spread = float(np.square(each.sums - mean * each.sizes).sum()) / (drawn - 1) / drawn
                variance += each.tiles**2 * (1 - drawn / each.tiles) * spread
                free += drawn - 1
        elements = sum(each.elements for each in found)
        reach = float(stdtrit(free, (1 + self._confidence) / 2)) * sqrt(variance) if free else 0.0
        return SampledError(
            layer=layer,
            numerics=self._numerics[layer],
            tiles=sum(len(each.sums) for each in found),
            of=sum(each.tiles for each in found),
            elements=elements,
            mean_squared=total / elements,
            low=max(0.0, total - reach) / elements,
            high=(total + reach) / elements,
            confidence=self._confidence,
            mean_squared_value=sum(each.squares for each in found) / elements,
            largest=max(each.largest for each in found),
        )


def _rows_of(array: Array, places: list[_Place]) -> Array:
    """Return the rows of the first operand, or of its scales, that tiles are made of."""
    return np.stack([array[group, rows] for group, rows, _ in places])


def _columns_of(array: Array, places: list[_Place]) -> Array:
    """Return the columns of the second operand, or of its scales, that tiles are made of."""
    return np.stack([array[group, :, columns] for group, _, columns in places])


def _float_product(layer: MultiplyAccumulate, a: Array, b: Array) -> Array:
    """Return the products in fast floats, in an array of its own, of the type that the layer takes."""
    if not layer.coded:
        return ExactEngine().matmul(layer, a, b)
    left = operand_values(layer.a_quantization, a, layer.arranged_scales[0], axis=2)
    right = operand_values(layer.b_quantization, b, layer.arranged_scales[1], axis=1)
    return np.asarray(np.matmul(left.astype(np.float32), right.astype(np.float32)).astype(np.float64))
