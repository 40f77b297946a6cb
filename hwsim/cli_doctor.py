# SPDX-License-Identifier: Apache-2.0
"""The command that says what is installed, what is missing, and whether what is there works."""

import json
from collections.abc import Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hwsim.terminal import JSON, console, print_lines, progress

if TYPE_CHECKING:
    from hwsim.doctor import Diagnosis

__all__ = [
    "doctor",
]

doctor = typer.Typer()

_GROUPS = {"": "hwsim itself", "system": "beside pip"}


@doctor.command("doctor", epilog="Examples:\n\n  hwsim doctor\n\n  hwsim doctor --no-test\n\n  hwsim doctor --json")
def doctor_command(
    test: Annotated[
        bool, typer.Option("--test/--no-test", help="Run the self-test, of 20 seconds at most, or leave it.")
    ] = True,
    as_json: JSON = False,
) -> None:
    """Say which tools are found, what is missing and how to get it, and try what is there; status 1 where it fails."""
    from hwsim.doctor import diagnose

    with progress(as_json) as step:
        found = diagnose(test=test, progress=step)
    if as_json:
        print(json.dumps(found.as_dict()))
    else:
        terminal = console()
        print_lines(terminal, _place(found))
        terminal.print(_tools(found))
        if found.steps:
            terminal.print(_steps(found))
        print_lines(terminal, _summary(found))
    if not found.passed:
        raise typer.Exit(1)


def _place(found: "Diagnosis") -> Iterator[str]:
    yield f"hwsim {found.version} in {found.folder}"
    yield f"Python {found.python}, {found.machine}, {found.cores} cores"
    if found.store:
        yield f"measurements and builds are kept in {found.store}"


def _tools(found: "Diagnosis") -> Any:
    """Return the table of tools, by what brings them."""
    table = _table("tool", "found", "what it is for", "how to get it")
    for extra, tools in groupby(found.tools, key=lambda tool: tool.extra):
        table.add_row(f"[bold]{_GROUPS.get(extra, f'extra {extra}')}[/bold]")
        for tool in tools:
            here = tool.path if tool.extra == "system" else ""
            where = f"{tool.version}  [dim]{here}[/dim]" if here else tool.version
            table.add_row(f"  {tool.name}", where or "[yellow]missing[/yellow]", tool.need, "" if where else tool.get)
    return table


def _steps(found: "Diagnosis") -> Any:
    """Return the table of the self-test."""
    colours = {"passed": "green", "failed": "bold red", "left out": "yellow"}
    table = _table("step", "what it tries", "result", "s", "what it found")
    for step in found.steps:
        state = f"[{colours[step.state]}]{step.state}[/]"
        table.add_row(step.name, step.what, state, f"{step.seconds:.1f}" if step.seconds else "", step.text)
    return table


def _table(*headings: str) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for heading in headings:
        table.add_column(heading, justify="right" if heading == "s" else "left", overflow="fold")
    return table


def _summary(found: "Diagnosis") -> Iterator[str]:
    """Say in a few lines what it comes to."""
    if found.required_missing:
        yield f"hwsim cannot do without {', '.join(tool.name for tool in found.required_missing)}"
    missing = [tool for tool in found.tools if tool.extra and not tool.found]
    if missing:
        yield f"missing, and needed only for what stands beside them: {', '.join(tool.name for tool in missing)}"
    if found.steps:
        counts = {state: sum(step.state == state for step in found.steps) for state in ("passed", "failed", "left out")}
        said = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
        yield f"self-test: {said}; {sum(step.seconds for step in found.steps):.1f} s"
    elif not found.required_missing:
        yield "self-test: not asked for"
