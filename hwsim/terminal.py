# SPDX-License-Identifier: Apache-2.0
"""What the commands share: the option of JSON, the console, progress, and how an answer is printed."""

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

__all__ = [
    "JSON",
    "console",
    "print_lines",
    "progress",
    "show",
]

JSON = Annotated[bool, typer.Option("--json", help="Print one JSON object, and nothing else.")]
_LAYER_SECONDS = 5.0
_WIDTH = 130


def show(shown: Any, *, as_json: bool) -> None:
    """Print an answer of `hwsim.report`, and leave with status 1 where something was found wrong."""
    if as_json:
        print(json.dumps(shown.figures))
    else:
        terminal = console()
        for part in shown.parts:
            terminal.print(part, soft_wrap=isinstance(part, str), highlight=False, markup=not isinstance(part, str))
    if not shown.passed:
        raise typer.Exit(1)


def console() -> Any:
    """Return a console as wide as the terminal, or wide enough for a table where there is none."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else _WIDTH)


def print_lines(terminal: Any, lines: Iterable[str]) -> None:
    """Print sentences a line each: wrapped on a terminal, whole where a program or a file takes them."""
    for line in lines:
        terminal.print(line, soft_wrap=not terminal.is_terminal, highlight=False, markup=False)


@contextmanager
def progress(quiet: bool) -> Iterator[Callable[[str], None]]:
    """Show what is being done: a spinner on a terminal, else a line each on standard error; nothing where quiet.

    Layers and formats come by the hundred: off a terminal, one is named every few seconds.
    """
    if quiet:
        yield lambda text: None
    elif sys.stderr.isatty():
        from rich.console import Console

        with Console(stderr=True).status("starting") as status:
            yield status.update
    else:
        shown = time.monotonic()

        def line(text: str) -> None:
            nonlocal shown
            now = time.monotonic()
            if text.startswith(("layer ", "format ", "unit ", "portion ", "sensitivity ", "assignment ")):
                if now - shown < _LAYER_SECONDS:
                    return
                shown = now
            print(f"hwsim: {text}", file=sys.stderr)

        yield line
