# SPDX-License-Identifier: Apache-2.0
"""How far a sweep is, while it runs: a bar on a terminal, a line every five seconds elsewhere."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console

from hwsim.report.fronts import Objectives, swept_fronts
from hwsim.study.evaluation import Evaluation
from hwsim.sweeps.progress import Progress
from hwsim.sweeps.search import Generation

__all__ = [
    "Watch",
    "duration",
    "watching",
]

_LINE_SECONDS = 5.0


class Watch:
    """Follows a sweep and its front.

    Parameters
    ----------
    terminal : Console
        Of standard error: with a bar where it is a terminal, else with lines, the first and the last at once.
    objectives : sequence of mappings
    limits : mapping
        Of the fronts whose points are counted, as for `hwsim.report.fronts.swept_fronts`.
    generations : int
        Of a search; 0 for none.
    """

    def __init__(
        self, terminal: Console, objectives: Sequence[Objectives], limits: Mapping[str, float], generations: int = 0
    ) -> None:
        self._terminal = terminal
        self._objectives, self._limits = objectives, limits
        self._generations, self._generation = generations, 1
        self._front: dict[str, Evaluation] = {}
        self._said: float | None = None
        self._bar: Any = None

    @contextmanager
    def shown(self) -> Iterator["Watch"]:
        """Show a bar for as long as this lasts, where there is a terminal."""
        if not self._terminal.is_terminal:
            yield self
            return
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bars

        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[said]}"))
        with Bars(*columns, console=self._terminal, transient=True) as bars:
            task = bars.add_task("starting", total=None, said="")
            self._bar = (bars, task)
            yield self
        self._bar = None

    def __call__(self, progress: Progress) -> None:
        """Take what has come, and show it."""
        self._take(progress.fresh)
        if self._bar is not None:
            bars, task = self._bar
            bars.update(
                task, description=self._stage(progress), total=progress.total, completed=progress.done,
                said=f"{progress.done:,}/{progress.total:,}{self.said(progress)}",
            )  # fmt: skip
            return
        now = time.monotonic()
        if self._said is None or now - self._said >= _LINE_SECONDS or (_at_end(progress) and not self._generations):
            self._said = now
            count = f"{progress.done:,}/{progress.total:,} points"
            self._print(f"{self._stage(progress)}: {count}{self.said(progress)}")

    def generation(self, generation: Generation) -> None:
        """Say what a generation came to."""
        self._generation = generation.number + 1
        self._front = {each.key: each for each in generation.front}
        refused = sum(bool(each.refused) for each in generation.evaluations)
        text = f"generation {generation.number} of {generation.of}: {generation.asked:,} points"
        self._print(text + (f", {refused} of its own refused" if refused else "") + f", front {len(generation.front)}")
        self._said = time.monotonic()

    def said(self, progress: Progress) -> str:
        """Return rate, time left, what was refused and given up, networks and prices, the size of the front."""
        parts = [
            f"{_rate(progress.rate)} points/s" if progress.rate is not None else "",
            f"{duration(progress.seconds_left)} left" if progress.seconds_left and not _at_end(progress) else "",
            f"{progress.prices_done}/{progress.prices_total} units measured" if progress.prices_total else "",
            f"{progress.values_done}/{progress.values_total} networks run" if progress.values_total else "",
            f"{progress.refused:,} refused" if progress.refused else "",
            f"{progress.failed:,} given up" if progress.failed else "",
            f"front {len(self._front):,}" if self._front else "",
        ]
        return "".join(f", {part}" for part in parts if part)

    def _stage(self, progress: Progress) -> str:
        stages = {"starting": "starting workers", "prices": "measuring units", "points": "evaluating"}
        search = f"generation {self._generation} of {self._generations}, " if self._generations else ""
        return search + stages[progress.stage]

    def _take(self, fresh: tuple[Evaluation, ...]) -> None:
        """Put fresh evaluations to the fronts."""
        if fresh:
            looked = {each.key: each for each in (*self._front.values(), *fresh)}
            found = swept_fronts(tuple(looked.values()), self._objectives, self._limits)
            self._front = {row["key"]: looked[row["key"]] for front in found for row in front.members}

    def _print(self, text: str) -> None:
        self._terminal.print(f"hwsim: {text}", soft_wrap=True, highlight=False, markup=False)


@contextmanager
def watching(
    quiet: bool, objectives: Sequence[Objectives], limits: Mapping[str, float], generations: int = 0
) -> Iterator[Watch]:
    """Follow a sweep on standard error, or silently."""
    with Watch(Console(stderr=True, quiet=quiet), objectives, limits, generations).shown() as watch:
        yield watch


def duration(seconds: float) -> str:
    """Return a time in the units that one would say it in: `40 s`, `3 min`, `2 h 10 min`."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def _at_end(progress: Progress) -> bool:
    return progress.done + progress.failed == progress.total


def _rate(rate: float) -> str:
    return f"{rate:.0f}" if rate >= 10 else f"{rate:.2g}"
