# SPDX-License-Identifier: Apache-2.0
"""Measure the rows of the catalog, several at a time, and go on where it was stopped.

Each row is one call of `hwsim.study.price`, the same for every unit. What a row took is kept with it, so that the next
build says beforehand how long it will take.
"""

import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from os import cpu_count
from pathlib import Path
from statistics import median
from time import monotonic

from cost_models import Cost
from cost_models.cost import ALL
from cost_models.measurements import find, go_through, ship, shipped_path
from cost_models.table import from_csv
from hwsim import study
from hwsim.catalog.plan import Row, plan

__all__ = [
    "Outcome",
    "build",
    "expected_seconds",
    "left",
    "ship_table",
]

_FAILURES = (ArithmeticError, AssertionError, LookupError, NameError, OSError, RuntimeError, TypeError, ValueError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A row's cost, or the error that it ended in."""

    row: Row
    cost: Cost | None = None
    error: str = ""


def expected_seconds(rows: Sequence[Row]) -> float:
    """Return the processor time that rows will take: what each took before, else the median of its technology's rows.

    A technology without any row counts as the median of all, and a minute where there is none.
    """
    return sum(_expected(rows).values())


def _expected(rows: Sequence[Row]) -> dict[Row, float]:
    """Return the processor time that each row will take."""
    known = {
        technology: {
            (cost.unit, cost.pipeline): cost.seconds
            for cost in go_through(technology)
            if cost.seconds and cost.structures == ALL and cost.clock_mhz is None
        }
        for technology in {row.technology for row in rows}
    }
    everything = [seconds for each in known.values() for seconds in each.values()]
    usual = median(everything) if everything else 60.0
    middle = {technology: median(each.values()) if each else usual for technology, each in known.items()}
    return {row: known[row.technology].get((row.spec.name, row.pipeline), middle[row.technology]) for row in rows}


def left(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Return the rows that the user has not measured, or of which it is not known yet that their RTL is today's."""
    return tuple(row for row in rows if not _is_done(row))


def build(
    rows: Sequence[Row], *, workers: int | None = None, report: Callable[[Outcome, int, float], None]
) -> Iterator[Outcome]:
    """Measure rows, several at a time, each kept as it is done: interrupted, the next call goes on where this was.

    Parameters
    ----------
    rows : sequence of Row
    workers : int, optional
        Processes; without it, one a core.
    report : callable
        Called as each row is done with its outcome, how many are done, and the seconds still to go: by what rows took
        before, and how fast this build has been so far.

    Yields
    ------
    Outcome
        Of each row as it is done. A row that fails does not stop the others.
    """
    count = workers or cpu_count() or 1
    ahead = _expected(rows)
    whole, began = sum(ahead.values()), monotonic()
    pool = ProcessPoolExecutor(count, mp_context=get_context("spawn"), initializer=_ignore_interrupts)
    try:
        futures: dict[Future[Outcome], Row] = {pool.submit(_measured, row): row for row in rows}
        for done, future in enumerate(as_completed(futures), start=1):
            outcome = future.result()
            ahead.pop(futures[future])
            to_go = sum(ahead.values())
            report(outcome, done, (monotonic() - began) * to_go / (whole - to_go))
            yield outcome
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _ignore_interrupts() -> None:
    """Leave an interrupt to the parent, which cancels what has not begun."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _measured(row: Row) -> Outcome:
    """Measure a row, unless it was measured of the RTL of today."""
    try:
        known = _own(row)
        if known is not None:
            return Outcome(row=row, cost=known)
        cost = study.price(row.spec, row.technology, pipeline=row.pipeline, remeasure=True)
    except _FAILURES as error:
        return Outcome(row=row, error=f"{type(error).__name__}: {error}")
    return Outcome(row=row, cost=cost)


def _is_done(row: Row) -> bool:
    """Whether the user has measured a row of the RTL of today, as far as that is known without making it."""
    found = find(row.spec.name, row.technology, row.pipeline)
    if found is None or found.shipped:
        return False
    return found.rtl_hash == study.known_rtl_hash(row.spec, row.pipeline)


def _own(row: Row) -> Cost | None:
    """Return what the user has measured of a row, of the RTL of today."""
    found = find(row.spec.name, row.technology, row.pipeline)
    if found is None or found.shipped:
        return None
    return found if found.rtl_hash == study.rtl_hash(row.spec, row.pipeline) else None


def ship_table(technology: str, *, add: bool = False) -> Path:
    """Write the package's table of a technology from what the user measured of the plan, for a release.

    Rows of one structure alone, which no plan has, stay as they are.

    Parameters
    ----------
    technology : str
    add : bool
        Rows that the user has not measured stay as they are, too; they must be of the RTL of today, which is made of
        every one of them to be sure: minutes.

    Raises
    ------
    ValueError
        If a row of the plan is not measured, or of another RTL.
    """
    path = shipped_path(technology)
    before = from_csv(path.read_text(encoding="utf-8"), path.name) if path.is_file() else []
    kept = {(cost.unit, cost.pipeline): cost for cost in before if cost.structures == ALL and add}
    rows = plan([technology])
    costs = [_own(row) or _of_today(row, kept.get((row.spec.name, row.pipeline))) for row in rows]
    missing = [row.unit for row, cost in zip(rows, costs, strict=True) if cost is None]
    if missing:
        raise ValueError(f"{technology}: {len(missing)} rows of the plan are not measured, the first {missing[0]}")
    apart = [cost for cost in before if cost.structures != ALL]
    return ship(technology, iter([*apart, *(cost for cost in costs if cost is not None)]))


def _of_today(row: Row, cost: Cost | None) -> Cost | None:
    """Return a cost if it is of the RTL of today."""
    return cost if cost is not None and cost.rtl_hash == study.rtl_hash(row.spec, row.pipeline) else None
