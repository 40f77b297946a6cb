# SPDX-License-Identifier: Apache-2.0
"""What `hwsim units` shows: the catalog, one unit, a product through one, two units or a recorded result compared."""

import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from hwsim.datapath import DotProductUnit
from hwsim.report.plots import check_plot_file
from hwsim.report.units.catalog import PATTERN, aliases_of, alike, entries, entry_of, row, unit_of
from hwsim.report.units.diagram import diagram
from hwsim.report.units.numerics import numerics
from hwsim.report.units.operands import DISTRIBUTIONS
from hwsim.report.units.stages import stages, widths
from hwsim.report.units.tables import about_table, catalog_table, kinds_table
from hwsim.report.units.words import count

__all__ = [
    "Shown",
    "Task",
    "about",
    "run",
]

_LINE = 126


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is asked for: the options of the command, under its names."""

    names: tuple[str, ...] = ()
    architecture: str | None = None
    evidence: str | None = None
    depth: int | None = None
    diagram: Path | None = None
    a: Path | None = None
    b: Path | None = None
    c: Path | None = None
    a_scales: Path | None = None
    b_scales: Path | None = None
    random: str | None = None
    distribution: str | None = None
    seed: int = 0
    against: Path | None = None
    trace: str | None = None
    output: Path | None = None
    values: bool = False

    def __post_init__(self) -> None:
        files = {"--a": self.a, "--b": self.b, "--c": self.c, "--a-scales": self.a_scales, "--b-scales": self.b_scales}
        given = [option for option, file in files.items() if file is not None]
        if len(self.names) > 2:
            raise ValueError(f"give one unit, or two to compare, not {len(self.names)}")
        if (self.architecture is not None or self.evidence is not None) and (self.names or given):
            raise ValueError("--architecture and --evidence select from the catalog; they go with no unit")
        if given and self.random is not None:
            raise ValueError(f"--random draws the operands; it does not go with {given[0]}")
        if self.architecture == "":
            raise ValueError("--architecture must be a word of an architecture or a vendor, not empty")
        if given and (self.a is None or self.b is None):
            missing = " and ".join(option for option in ("--a", "--b") if files[option] is None)
            raise ValueError(f"operands are two matrices, --a A.npy and --b B.npy: {missing} is missing")
        self._check_operands()
        if self.names and self.diagram is not None:
            check_plot_file(self.diagram)
        if self.output is not None:
            check_output(self.output)

    def _check_operands(self) -> None:
        if not self.has_operands:
            if len(self.names) == 2:
                raise ValueError("two units are compared on operands: give --a A.npy --b B.npy, or --random MxKxN")
            for option, value in (
                ("--against", self.against),
                ("--trace", self.trace),
                ("--output", self.output),
                ("--values", self.values or None),
            ):
                if value is not None:
                    raise ValueError(f"{option} goes with operands: --a A.npy --b B.npy, or --random MxKxN")
        elif not self.names:
            raise ValueError("operands go through a unit: name one, or two to compare")
        elif self.depth is not None or self.diagram is not None:
            raise ValueError("--depth and --diagram show a unit; they do not go with operands")
        if self.depth is not None and not self.names:
            raise ValueError("--depth goes with the name of a unit")
        if self.depth is not None and self.depth < 1:
            raise ValueError(f"--depth must be at least 1, not {self.depth}")
        if self.diagram is not None and not self.names:
            raise ValueError("--diagram goes with the name of a unit")
        if self.distribution is not None and self.random is None:
            raise ValueError("--distribution goes with --random MxKxN")
        if self.distribution is not None and self.distribution not in DISTRIBUTIONS:
            raise ValueError(f"--distribution must be one of {', '.join(DISTRIBUTIONS)}, not {self.distribution!r}")
        if len(self.names) == 2 and (self.against is not None or self.output is not None):
            raise ValueError("--against and --output go with one unit, not with two")
        if self.against is not None and self.output is not None:
            raise ValueError("--output goes with a unit that is run, not with --against")
        if self.values and self.output is None:
            raise ValueError("--values goes with --output D.npy")
        if not 0 <= self.seed < 1 << 63:
            raise ValueError(f"--seed must be in 0..2**63 - 1, not {self.seed}")
        _ = self.shape, self.place

    @property
    def has_operands(self) -> bool:
        """Whether there is something to compute."""
        return self.a is not None or self.random is not None

    @property
    def shape(self) -> tuple[int, int, int] | None:
        """M, K and N of drawn operands."""
        if self.random is None:
            return None
        match = re.fullmatch(r"(\d+)x(\d+)x(\d+)", self.random)
        if match is None:
            raise ValueError(f"--random must be MxKxN, such as 16x128x16, not {self.random!r}")
        return int(match[1]), int(match[2]), int(match[3])

    @property
    def place(self) -> tuple[int, int] | None:
        """Row and column of the element to trace."""
        if self.trace is None:
            return None
        match = re.fullmatch(r"(\d+),(\d+)", self.trace)
        if match is None:
            raise ValueError(f"--trace must be ROW,COLUMN, such as 0,3, not {self.trace!r}")
        return int(match[1]), int(match[2])


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """An answer: the figures, JSON-ready; lines and tables for a terminal; and whether nothing was found wrong."""

    figures: dict[str, Any]
    parts: list[str | Table]
    passed: bool = True


def check_output(path: Path) -> None:
    """Raise unless a .npy file can be written there."""
    if path.suffix != ".npy":
        raise ValueError(f"the output's file must end in .npy, not {path.name!r}")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"no folder {str(path.parent)!r} to write {path.name!r} to")
    if path.is_dir():
        raise ValueError(f"the output's file {str(path)!r} is a directory")


def run(task: Task, progress: Callable[[str], None]) -> Shown:
    """Do what is asked for.

    Raises
    ------
    KeyError
        For an unknown unit, architecture or evidence; the message has close matches.
    FileNotFoundError, TypeError, ValueError
        For a file that cannot be used, or operands that are none of the unit's.
    """
    if not task.names:
        return _catalog(task)
    units = [unit_of(name) for name in task.names]
    task = replace(task, names=tuple(name.lower() for name in task.names))
    if not task.has_operands:
        return _one(task, task.names[0], units[0])
    from hwsim.report.units import products

    return products.run(task, units, progress)


def _catalog(task: Task) -> Shown:
    found = entries(task.architecture, task.evidence)
    chosen = task.architecture is not None or task.evidence is not None
    hint = (
        f"hwsim units NAME shows one; a name may describe a unit, too: {PATTERN}\n"
        "(int8_l16, float8_e4m3fn_l4_float32, mxfp4, int4_by_int8_l8, posit8_1_float32)"
    )
    table = catalog_table(found) if chosen else kinds_table(alike(found))
    parts: list[str | Table] = [table]
    if not chosen:
        parts.append("hwsim units --architecture hopper lists every unit of an architecture, or of a vendor")
    return Shown(figures={"units": [row(entry) for entry in found], "pattern": PATTERN}, parts=[*parts, hint])


def about(name: str, unit: DotProductUnit) -> dict[str, str]:
    """Return what is known of a unit: where it is from, and how that is known."""
    entry = entry_of(name)
    if entry is None:
        return {"unit": "described by its name", **({"in full": unit.name} if _is_name(unit) else {})}
    others = [other for other in (entry.name, *aliases_of(entry)) if other != name]
    return {
        **({"also called": ", ".join(others)} if others else {}),
        "architecture": f"{entry.vendor} {entry.architecture}",
        "instruction": entry.instruction,
        "evidence": entry.evidence.value,
        "source": entry.source,
        **({"note": entry.note} if entry.note else {}),
    }


def _is_name(unit: DotProductUnit) -> bool:
    """Tell whether the spec's own name is one that can be asked for."""
    try:
        return unit_of(unit.name) == unit
    except (KeyError, ValueError):
        return False


def _one(task: Task, name: str, unit: DotProductUnit) -> Shown:
    known, words = about(name, unit), numerics(unit)
    figures: dict[str, Any] = {
        "name": name,
        **known,
        "widths": widths(unit),
        "stages": [{"name": stage.name, "does": list(stage.does), "out": stage.out} for stage in stages(unit)],
        "numerics": words,
    }
    parts: list[str | Table] = [about_table(name, known), "", *diagram(unit), "", about_table("numerics", words)]
    if task.depth is not None:
        path = fastest(unit, task.depth)
        figures["path"] = {"depth": task.depth, **path}
        said = f"fastest exact path for K = {task.depth}: {path['name']}: {path['proof']}"
        parts.append(textwrap.fill(said, _LINE, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False))
    if task.diagram is not None:
        from hwsim.report.units.figure import stages_figure

        figures["diagram"] = str(stages_figure(name, unit, task.diagram))
        parts.append(f"diagram: {task.diagram}")
    return Shown(figures=figures, parts=parts)


def fastest(unit: DotProductUnit, depth: int) -> dict[str, str]:
    """Return name and proof of the path that a product of this depth takes."""
    from hwsim.datapath.paths import choose

    try:
        path = choose(unit, depth)
    except ValueError as error:
        return {"name": "none", "proof": str(error)}
    return {"name": path.name, "proof": path.proof}


def percent(part: int, whole: int) -> str:
    """Return a share of some outputs."""
    return f"{part:,} of {count(whole, 'output')} ({100 * part / whole:.4g} %)" if whole else "0 outputs"


def plain(value: Any) -> Any:
    """Return a NumPy scalar as JSON has it."""
    return value.item() if isinstance(value, np.generic) else value
