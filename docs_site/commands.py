# SPDX-License-Identifier: Apache-2.0
"""For mkdocs-gen-files: the page of all commands, from the command line itself."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import mkdocs_gen_files
import typer

from hwsim.cli import app

PAGE = "reference/commands.md"
HEAD = """# Commands

Every command has `--help`, which says what stands here, and `--json`. An error is one line on standard error and exit
status 2; an interrupted command ends with status 130 and says what it has kept.
"""
VALUES = {int: "N", float: "X", Path: "PATH", str: "TEXT"}


def commands(command: Any, words: tuple[str, ...] = ("hwsim",)) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield each command with its words, groups opened."""
    for name, each in getattr(command, "commands", {}).items():
        if hasattr(each, "commands"):
            yield from commands(each, (*words, name))
        else:
            yield (*words, name), each


def described(words: tuple[str, ...], command: Any) -> str:
    """Return a command's section: what it does, its arguments and options, its examples."""
    kinds = get_type_hints(command.callback)
    shown = [each for each in command.params if each.help and each.name in kinds]
    rows = [f"| {_names(each, kinds[each.name])} | {_cell(each.help)} | {_default(each)} |" for each in shown]
    table = ["| option | what it does | default |", "|---|---|---|", *rows, ""] if rows else []
    lines = [line.strip() for line in (command.epilog or "").splitlines()]
    examples = [line for line in lines if line.startswith("hwsim ")]
    block = ["```sh", *examples, "```", ""] if examples else []
    return "\n".join([f"## {' '.join(words)}", "", (command.help or "").strip(), "", *table, *block])


def _names(parameter: Any, kind: Any) -> str:
    """Return an option's names, or an argument's placeholder."""
    if parameter.param_type_name == "argument":
        several = " ..." if parameter.nargs == -1 else ""
        return f"`{(parameter.metavar or parameter.name).upper()}{several}`"
    names = [*parameter.opts, *parameter.secondary_opts]
    found = next((VALUES[each] for each in (kind, *get_args(kind)) if each in VALUES), "TEXT")
    value = "" if parameter.is_flag else f" {parameter.metavar or found}"
    return ", ".join(f"`{name}{value}`" for name in names)


def _default(parameter: Any) -> str:
    """Return the value that an option has where it is not given."""
    value = parameter.default
    if callable(value) or value in (None, False, ""):
        return "required" if parameter.required else ""
    return f"`{' '.join(map(str, value)) if isinstance(value, (list, tuple)) else value}`"


def _cell(text: str) -> str:
    """Return text for a table, with what stands between backticks as code and nothing else as markup."""
    parts = " ".join(text.split()).split("`")
    plain = [re.sub(r"([\\*_\[\]<>|])", r"\\\1", part) if i % 2 == 0 else part for i, part in enumerate(parts)]
    return "`".join(plain)


with mkdocs_gen_files.open(PAGE, "w") as page:
    page.write("\n".join([HEAD, *(described(*each) for each in commands(typer.main.get_command(app)))]))
