# SPDX-License-Identifier: Apache-2.0
"""For mkdocs-gen-files: a page for each room of the packages, of the names in its `__all__`."""

import ast
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import mkdocs_gen_files

ROOT = Path(__file__).resolve().parents[1]
ROOMS = (
    "hwsim",
    "hwsim.formats",
    "hwsim.datapath",
    "hwsim.network",
    "hwsim.accelerator",
    "hwsim.simulation",
    "hwsim.study",
    "hwsim.quantization",
    "hwsim.allocation",
    "hwsim.operands",
    "hwsim.report",
    "rtl",
    "cost_models",
    "testbenches",
)
INDEX = """# Reference

- [Commands](commands.md): every command, its options and examples, from the command line itself.
- [Formats](../formats/index.md) and [units of hardware](../units/index.md): a page for each of the catalog, from its
  spec.
- Files and results: [networks](../networks.md), [quantized ONNX](../quantized_onnx.md),
  [accelerators](../accelerators.md), [results](../results.md), [technologies](../technologies.md),
  [exports](../exports.md).
- Python, from the docstrings: the names in a room's `__all__`.

| room | what it is |
|---|---|
"""


def source(module: str) -> Path:
    """Return the file of a module or of a package."""
    path = ROOT.joinpath(*module.split("."))
    package = path / "__init__.py"
    return package if package.is_file() else path.with_suffix(".py")


def public(module: str) -> list[str]:
    """Return the names in a module's `__all__`; none where it has none."""
    for statement in ast.parse(source(module).read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.Assign) and getattr(statement.targets[0], "id", "") == "__all__":
            return list(ast.literal_eval(statement.value))
    return []


def summary(module: str) -> str:
    """Return the first line of a module's docstring."""
    return (ast.get_docstring(ast.parse(source(module).read_text(encoding="utf-8"))) or "").partition("\n")[0]


def inside(room: str) -> Iterator[str]:
    """Yield what stands on a room's page below its own names: its packages, and its modules where it names nothing."""
    for path in sorted(source(room).parent.iterdir()):
        module = f"{room}.{path.stem}"
        is_package = (path / "__init__.py").is_file()
        is_module = path.suffix == ".py" and path.stem != "__init__" and not public(room)
        if (is_package or is_module) and module not in ROOMS and room != "hwsim" and public(module):
            yield module


def entry(module: str, names: list[str], level: int) -> str:
    """Return mkdocstrings' directive for some names of a module."""
    members = "".join(f"\n        - {name}" for name in names)
    return f"::: {module}\n    options:\n      heading_level: {level}\n      members:{members}\n"


def homes(module: str, names: list[str]) -> dict[str, str]:
    """Return where names are defined whose module has their name (`hwsim.accelerator.footprint`).

    Without the code being run, such a name would be taken for the module.
    """
    room = import_module(module)
    found = {name: getattr(getattr(room, name), "__module__", None) or "" for name in names}
    return {name: home for name, home in found.items() if home.endswith(f".{name}")}


def names_of(module: str, level: int) -> Iterator[str]:
    """Yield the directives for a module's public names."""
    names = [name for name in public(module) if f"{module}.{name}" not in ROOMS]
    own = homes(module, names)
    yield entry(module, [name for name in names if name not in own], level) if names else f"{summary(module)}\n"
    for name, home in own.items():
        yield f"::: {home}.{name}\n    options:\n      heading_level: {level}\n      show_root_heading: true\n"


def page(room: str) -> str:
    """Return a room's page."""
    parts = [f"# {room}\n", *names_of(room, 2)]
    for module in inside(room):
        parts += [f"## {module}\n", *names_of(module, 3)]
    return "\n".join(parts)


for room in ROOMS:
    with mkdocs_gen_files.open(f"reference/{room}.md", "w") as file:
        file.write(page(room))
with mkdocs_gen_files.open("reference/index.md", "w") as file:
    file.write(INDEX + "".join(f"| [`{room}`]({room}.md) | {summary(room)} |\n" for room in ROOMS))
