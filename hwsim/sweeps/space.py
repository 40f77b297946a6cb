# SPDX-License-Identifier: Apache-2.0
"""The design points of a study: what its parameters span, what is excluded, what is the same twice."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from math import prod

from hwsim.study.point import DEFAULT_ACCELERATOR, DesignPoint, Setting
from hwsim.sweeps.genetic import indices_of, shuffled

__all__ = [
    "DEFAULT",
    "LARGEST_GRID",
    "NAMED",
    "Grid",
    "Selection",
    "Space",
    "is_one_of",
    "point_of",
]

NAMED = ("network", "format", "unit", "lanes", "accumulator", "technology", "accelerator")
"""The parameters with a name of their own; all others are dotted keys of an accelerator or of ``quantization``."""
DEFAULT = "default"
"""The value that leaves a dotted key or the accumulator out: what the accelerator, the recipe or the format has."""
LARGEST_GRID = 1_000_000


@dataclass(frozen=True, slots=True)
class Grid:
    """All combinations of the values of some parameters, the last one running fastest."""

    parameters: Mapping[str, tuple[Setting, ...]]

    def __len__(self) -> int:
        """Return how many combinations there are."""
        return prod(self.sizes)

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many values each parameter has."""
        return tuple(len(values) for values in self.parameters.values())

    def at(self, indices: Iterable[int]) -> dict[str, Setting]:
        """Return the combination of an index a parameter."""
        return {key: values[index] for (key, values), index in zip(self.parameters.items(), indices, strict=True)}

    def __iter__(self) -> Iterator[dict[str, Setting]]:
        """Go through the combinations."""
        sizes = self.sizes
        return (self.at(indices_of(place, sizes)) for place in range(len(self)))

    def shuffled(self, seed: int) -> Iterator[dict[str, Setting]]:
        """Go through the combinations in a random order, each once, the same for the same seed."""
        return (self.at(indices) for indices in shuffled(self.sizes, seed))


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Points that were chosen, each once, and what became of the other combinations that were looked at.

    `combinations` is how many the parameters span, `excluded` how many of those looked at an exclusion took out,
    `repeated` how many were a point that was there before, and `impossible` how many have no unit, by the reason.
    """

    points: tuple[DesignPoint, ...]
    combinations: int
    excluded: int
    repeated: int
    impossible: Mapping[str, int]

    def as_dict(self) -> dict[str, object]:
        """Return the numbers as JSON-ready values."""
        return {
            "combinations": self.combinations,
            "excluded": self.excluded,
            "repeated": self.repeated,
            "impossible": dict(self.impossible),
            "points": len(self.points),
        }


@dataclass(frozen=True, slots=True)
class Space:
    """What a study's parameters span: a grid, or several, less what is excluded.

    Parameters
    ----------
    grids : tuple of Grid
    excludes : tuple of mappings
        Values by parameter: a combination that has one of the values in each of them is left out.
    """

    grids: tuple[Grid, ...]
    excludes: tuple[Mapping[str, tuple[Setting, ...]], ...] = ()

    def __len__(self) -> int:
        """Return how many combinations there are before any is excluded."""
        return sum(len(grid) for grid in self.grids)

    def all(self) -> Selection:
        """Return every point, in the order of the grids; ValueError for more than `LARGEST_GRID` combinations."""
        if len(self) > LARGEST_GRID:
            raise ValueError(
                f"the parameters have {len(self):,} combinations, and a grid at most {LARGEST_GRID:,}: "
                'choose search.method "random" or "pareto"'
            )
        return self._select(values for grid in self.grids for values in grid)

    def random(self, count: int, seed: int) -> Selection:
        """Return so many points of the first grid, drawn without replacement, or all of them where there are fewer."""
        return self._select(self.grids[0].shuffled(seed), count)

    def _select(self, offered: Iterable[Mapping[str, Setting]], count: int | None = None) -> Selection:
        """Take points until there are enough."""
        found: dict[DesignPoint, None] = {}
        excluded = repeated = 0
        impossible: Counter[str] = Counter()
        for values in offered:
            if len(found) == count:
                break
            if self.is_excluded(values):
                excluded += 1
                continue
            point = point_of(values)
            if isinstance(point, str):
                impossible[point] += 1
            elif point in found:
                repeated += 1
            else:
                found[point] = None
        return Selection(
            points=tuple(found), combinations=len(self), excluded=excluded, repeated=repeated, impossible=impossible
        )

    def is_excluded(self, values: Mapping[str, Setting]) -> bool:
        """Return whether an exclusion takes a combination out."""
        return any(
            all(key in values and is_one_of(values[key], some) for key, some in table.items())
            for table in self.excludes
        )


def point_of(values: Mapping[str, Setting]) -> DesignPoint | str:
    """Return the point of a combination; where its format has no such unit, the reason."""
    accumulator = values.get("accumulator", DEFAULT)
    base = _base(
        str(values.get("unit", values.get("format"))),
        values.get("lanes", 16),
        None if accumulator == DEFAULT else str(accumulator),
    )
    if isinstance(base, str):
        return base
    return replace(
        base,
        network=str(values.get("network", base.network)),
        accelerator=str(values.get("accelerator", DEFAULT_ACCELERATOR)),
        technology=str(values.get("technology", base.technology)),
        settings=tuple((key, value) for key, value in values.items() if key not in NAMED and value != DEFAULT),
    )


@lru_cache(maxsize=4096)
def _base(name: str, lanes: Setting, accumulator: str | None) -> DesignPoint | str:
    """Return a point of a unit, or why there is none; a name that is unknown is an error."""
    assert isinstance(lanes, int)
    try:
        return DesignPoint.of(name, lanes=lanes, accumulator=accumulator)
    except ValueError as error:
        said = f"{name}, {lanes} lanes" + (f", accumulator {accumulator}" if accumulator else "")
        return f"{said}: {str(error).removeprefix(f'{name}: ')}"


def is_one_of(value: Setting, some: Iterable[Setting]) -> bool:
    """Return whether a value is there, true and 1 told apart."""
    return any(value == each and isinstance(value, bool) == isinstance(each, bool) for each in some)
