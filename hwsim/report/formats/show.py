# SPDX-License-Identifier: Apache-2.0
"""What `hwsim formats` shows: the catalog, formats one by one, a ranking, a conformance report."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from hwsim.report.formats.bars import bars
from hwsim.report.formats.facts import Facts, element, elements, facts, family
from hwsim.report.formats.tables import (
    catalog_rows,
    catalog_table,
    codes_table,
    facts_table,
    landmarks_table,
    ranking_table,
    tensors_table,
    values_table,
    verdicts_table,
)
from hwsim.report.plots import check_plot_file

__all__ = [
    "Shown",
    "Task",
    "run",
]

_GRID_BITS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is asked for: the options of the command, under its names; `model` is that of ``--on``."""

    names: tuple[str, ...] = ()
    family: str | None = None
    codes: bool = False
    plot: Path | None = None
    model: str | None = None
    per_tensor: bool = False
    conformance: bool = False

    def __post_init__(self) -> None:
        several = self.model is not None, self.conformance
        if all(several):
            raise ValueError("--on and --conformance are two commands; give one of them")
        if self.family is not None and (self.names or any(several)):
            raise ValueError("--family selects from the catalog; it goes with no format, no --on and no --conformance")
        if self.per_tensor and self.model is None:
            raise ValueError("--per-tensor goes with --on MODEL")
        for option, given in (("--codes", self.codes), ("--plot", self.plot is not None)):
            if given and (not self.names or any(several)):
                raise ValueError(f"{option} goes with the names of formats, without --on or --conformance")
        if self.plot is not None:
            check_plot_file(self.plot)

    @property
    def is_long(self) -> bool:
        """Whether it takes long enough to show progress."""
        return self.model is not None or self.conformance


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """An answer: the figures, JSON-ready; lines and tables for a terminal; and whether nothing was found wrong."""

    figures: dict[str, Any]
    parts: list[str | Table]
    passed: bool = True


def run(task: Task, progress: Callable[[str], None]) -> Shown:
    """Do what is asked for.

    Raises
    ------
    KeyError
        For an unknown format or family; the message has close matches.
    FileNotFoundError, ValueError
        For a model or a plot's file that cannot be used, and for more codes than can be listed.
    """
    if task.conformance:
        return _conformance(task, progress)
    if task.model is not None:
        return _ranking(task, task.model, progress)
    if task.names:
        return _formats(task)
    rows = catalog_rows(family(task.family))
    hint = "hwsim formats NAME shows one; names by pattern work too: int5, fixed12_8, minifloat_e3m4, mxfp4_b16"
    return Shown(figures={"formats": rows}, parts=[catalog_table(rows), hint])


def _formats(task: Task) -> Shown:
    abouts = [facts(name) for name in task.names]
    figures: dict[str, Any] = {"formats": [about.as_dict(codes=task.codes) for about in abouts]}
    parts = [part for about in abouts for part in _parts(about, codes=task.codes)]
    if task.plot is not None:
        from hwsim.report.formats.figure import spacing_plot

        figures["plot"] = str(spacing_plot(abouts, task.plot))
        parts.append(f"plot: {task.plot}")
    return Shown(figures=figures, parts=parts)


def _parts(about: Facts, *, codes: bool) -> list[str | Table]:
    """Return what a terminal shows of one format."""
    spec = about.entry.spec
    inner = element(spec)
    parts: list[str | Table] = [facts_table(about)]
    of = "" if inner is spec else f" of the elements ({inner.name})"
    if about.binades:
        parts.append(f"\nsignificant bits{of} at each magnitude: 1 + log2 of the positive values in a binade")
        parts += bars(about.binades)
    for each in elements(spec):
        of = "" if each is spec else f" of the elements ({each.name})"
        if codes:
            parts += [f"\ncodes{of}", codes_table(each)]
        elif inner.bits <= _GRID_BITS:
            parts += [f"\nvalues{of}", values_table(each)]
        else:
            parts += [f"\nsome values{of}", landmarks_table(each)]
    return parts


def _ranking(task: Task, model: str, progress: Callable[[str], None]) -> Shown:
    from hwsim.ranking import WIDE, left_out, rank_file

    rows = rank_file(model, task.names, progress=progress)
    figures: dict[str, Any] = {"model": model, "formats": rows}
    if not task.per_tensor:
        figures["formats"] = [{key: value for key, value in row.items() if key != "tensors"} for row in rows]
    size = f"{len(rows[0]['tensors'])} tensors, {rows[0]['elements']:,} elements"
    parts: list[str | Table] = [f"{len(rows)} formats on the weights of {model}: {size}", ranking_table(rows)]
    if task.per_tensor:
        parts.append(tensors_table(rows))
    parts.append(
        "scalar formats: a float32 scale an output channel, of its largest magnitude at the top code (posits: at useed)"
    )
    parts.append("block formats: blocks along K; bits without the scales of channels and tensors")
    if not task.names:
        out = left_out()
        figures["left_out"] = {why: list(names) for why, names in out.items()}
        count = sum(map(len, out.values()))
        kinds = ", ".join(f"{len(names)} {why}" for why, names in out.items())
        parts.append(f"left out: {count} of {count + len(rows)} formats: {kinds}; name those {WIDE} to rank them")
    return Shown(figures=figures, parts=parts)


def _conformance(task: Task, progress: Callable[[str], None]) -> Shown:
    from hwsim.conformance import conformance

    verdicts = conformance(task.names or None, progress=lambda name: progress(f"format {name} beside its references"))
    made = [verdict for verdict in verdicts if verdict.version]
    differences = sum(verdict.differences for verdict in made)
    compared = sum(verdict.decoded + verdict.encoded for verdict in made)
    without = list(dict.fromkeys(each.format for each in verdicts if each.format not in {one.format for one in made}))
    figures = {
        "verdicts": [verdict.to_json() for verdict in verdicts],
        "comparisons": len(made),
        "compared": compared,
        "unexplained": differences,
        "without_reference": without,
    }
    return Shown(
        figures=figures, parts=[verdicts_table(verdicts), _summary(verdicts, without)], passed=differences == 0
    )


def _summary(verdicts: Sequence[Any], without: Sequence[str]) -> str:
    """Return the counts of a conformance report, those of what was not compared apart."""
    made = [verdict for verdict in verdicts if verdict.version]
    absent = [verdict.note for verdict in verdicts if not verdict.version and verdict.reference != "none"]
    missing = absent.count("not installed")
    values = sum(verdict.decoded + verdict.encoded for verdict in made)
    differences, known = (sum(getattr(each, key) for each in made) for key in ("differences", "known"))
    found = f"{_count(differences, 'unexplained difference')}, {known:,} with a known reason"
    said = [f"{_count(len(made), 'comparison')} of {values:,} values, {found}"]
    if missing:
        said.append(f"{missing} not installed")
    if len(absent) > missing:
        said.append(f"{len(absent) - missing} installed, but not loaded")
    if without:
        said.append(f"no installed reference has {', '.join(without)}")
    return "; ".join(said)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
