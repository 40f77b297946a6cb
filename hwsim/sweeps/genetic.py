# SPDX-License-Identifier: Apache-2.0
"""Multi-objective search on a grid of choices: optuna's NSGA-II, a generation at a time, the same for the same seed.

Source: K. Deb et al., "A fast and elitist multiobjective genetic algorithm: NSGA-II", IEEE Transactions on Evolutionary
Computation 6(2), 2002, https://doi.org/10.1109/4235.996017, with its section VI for limits.
"""

from collections.abc import Callable, Iterator, Sequence
from math import inf
from random import Random
from typing import Any, NamedTuple

__all__ = [
    "Nsga2",
    "Outcome",
    "indices_of",
    "shuffled",
]

_TRIES = 20  # children asked for in vain, by the size of a population, before the rest is drawn at random


class Outcome(NamedTuple):
    """What a choice came to.

    `values` are the objectives in their order, None for a choice that cannot be built or has no such figure: every
    other one is better. `violation` is by how much it is outside the limits, as a share of them; 0 within.
    """

    values: tuple[float, ...] | None
    violation: float = 0.0


class Nsga2:
    """A search for the front of a grid, by indices.

    Parameters
    ----------
    sizes : sequence of int
        How many values each parameter has, each at least 1.
    directions : sequence of {"more", "less"}
        Of the objectives, one or more.
    population : int
        Choices in a generation, at least 2.
    seed : int
        Equal seeds and equal outcomes ask for equal choices in equal order, with one version of optuna.

    Notes
    -----
    Every parameter is categorical: a child takes each value from one of two parents, and one value a child, on
    average, is drawn anew. No choice is asked for twice: where a child was there before, another is bred, and after
    20 populations of vain tries the rest of the generation is drawn at random. Choices within the limits are better
    than those outside, and of these the one that is less far outside.

    Raises
    ------
    ModuleNotFoundError
        If optuna is not installed.
    """

    def __init__(self, sizes: Sequence[int], directions: Sequence[str], population: int, seed: int) -> None:
        optuna = _optuna()
        self._optuna = optuna
        self._sizes = tuple(sizes)
        self._population = population
        self._study = optuna.create_study(
            directions=["maximize" if direction == "more" else "minimize" for direction in directions],
            sampler=optuna.samplers.NSGAIISampler(population_size=population, seed=seed),
        )
        self._worst = [-inf if direction == "more" else inf for direction in directions]
        # A parameter of one value cannot vary, and optuna's crossover does not take it.
        self._space = {
            str(place): optuna.distributions.CategoricalDistribution(tuple(range(size)))
            for place, size in enumerate(self._sizes)
            if size > 1
        }
        self._seen: set[tuple[int, ...]] = set()
        self._rest = shuffled(self._sizes, seed)
        self._open: list[Any] = []

    def ask(self, allowed: Callable[[tuple[int, ...]], bool], count: int | None = None) -> list[tuple[int, ...]]:
        """Breed a generation.

        Parameters
        ----------
        allowed : callable
            Whether a choice is to be asked for at all; is asked once a choice.
        count : int, optional
            At most so many, for the last generation; the population if not given.

        Returns
        -------
        list of tuple of int
            New ones, an index a parameter; fewer than `count` where the grid has no more, and none at its end.
        """
        wanted = self._population if count is None else min(count, self._population)
        self._open = []
        found: list[tuple[int, ...]] = []
        for _ in range(_TRIES * self._population):
            if len(found) == wanted:
                return found
            trial = self._study.ask(self._space)
            choice = self._choice(trial)
            if self._is_new(choice, allowed):
                self._open.append(trial)
                found.append(choice)
            else:
                self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
        for choice in self._rest:
            if self._is_new(choice, allowed):
                self._study.enqueue_trial({name: choice[int(name)] for name in self._space})
                self._open.append(self._study.ask(self._space))
                found.append(choice)
            if len(found) == wanted:
                break
        return found

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        """Say what the choices asked for came to, in their order."""
        for trial, outcome in zip(self._open, outcomes, strict=True):
            trial.set_constraint("limits", inf if outcome.values is None else outcome.violation)
            self._study.tell(trial, self._worst if outcome.values is None else outcome.values)
        self._open = []

    def _choice(self, trial: Any) -> tuple[int, ...]:
        """Return the indices of a child."""
        return tuple(trial.params.get(str(place), 0) for place in range(len(self._sizes)))

    def _is_new(self, choice: tuple[int, ...], allowed: Callable[[tuple[int, ...]], bool]) -> bool:
        """Return whether a choice was never met before and may be asked for."""
        if choice in self._seen:
            return False
        self._seen.add(choice)
        return allowed(choice)


def shuffled(sizes: Sequence[int], seed: int) -> Iterator[tuple[int, ...]]:
    """Go through a grid in a random order, each choice once, without holding the grid.

    Parameters
    ----------
    sizes : sequence of int
        Whose product is at most 2**53.
    seed : int
        Equal seeds give equal orders, in every version of Python: `random.Random.random` alone is asked.

    Yields
    ------
    tuple of int
        An index a parameter.
    """
    total = 1
    for size in sizes:
        total *= size
    generator = Random(seed)
    moved: dict[int, int] = {}
    for start in range(total):  # Fisher and Yates's shuffle, of which only what has moved is kept
        chosen = start + int(generator.random() * (total - start))
        moved[chosen], index = moved.get(start, start), moved.get(chosen, chosen)
        moved.pop(start, None)
        yield indices_of(index, sizes)


def indices_of(index: int, sizes: Sequence[int]) -> tuple[int, ...]:
    """Return the indices of a place in a grid whose last parameter runs fastest."""
    found = []
    for size in reversed(sizes):
        index, rest = divmod(index, size)
        found.append(rest)
    return tuple(reversed(found))


def _optuna() -> Any:
    """Return optuna, silent."""
    try:
        import optuna
    except ModuleNotFoundError:
        raise ModuleNotFoundError("a search needs optuna: pip install 'hwsim[sweep]'") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
