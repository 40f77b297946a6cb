# SPDX-License-Identifier: Apache-2.0
"""The documentation site: it builds without a warning, has every public name, and loads nothing from another host."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOMS = (
    "formats",
    "datapath",
    "network",
    "accelerator",
    "simulation",
    "study",
    "quantization",
    "allocation",
    "operands",
)
LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)(?:#[^)\s]*)?\)")
FENCE = re.compile(r"^(`{3,})[^\n]*\n.*?^\1[ \t]*$", re.MULTILINE | re.DOTALL)
LOADING = {"script": "src", "img": "src", "iframe": "src", "source": "src", "object": "data", "link": "href"}


class _Page(HTMLParser):
    """What a page loads, and the ids that it has."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.ids: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in LOADING and (target := given.get(LOADING[tag])):
            self.loaded.append(target)
        if identity := given.get("id"):
            self.ids.add(identity)


@pytest.fixture(scope="session")
def site(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site, warnings as errors."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    quiet = {"NO_MKDOCS_2_WARNING": "1", "DISABLE_MKDOCS_2_WARNING": "true"}  # advertisements of other programs
    variables = os.environ | {"PYTHONPATH": os.pathsep.join([str(root), *sys.path])} | quiet
    done = subprocess.run(command, cwd=root, env=variables, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stderr
    return folder


def _page(file: Path) -> _Page:
    page = _Page()
    page.feed(file.read_text(encoding="utf-8"))
    return page


@pytest.mark.slow
def test_site_loads_nothing_from_elsewhere(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 150
    for file in pages:
        for target in _page(file).loaded:
            assert not re.match(r"(https?:)?//", target), f"{file.relative_to(site)} loads {target}"
    for style in site.rglob("*.css"):
        assert not re.search(r"""(url\(|@import)\s*["']?(https?:)?//""", style.read_text(encoding="utf-8")), style.name


@pytest.mark.slow
@pytest.mark.parametrize("room", ROOMS)
def test_site_has_every_public_name(site: Path, room: str) -> None:
    module = import_module(f"hwsim.{room}")
    ids = _page(site / "reference" / f"hwsim.{room}.html").ids
    homes = {name: getattr(getattr(module, name), "__module__", "") for name in module.__all__}
    # A name whose module has the same name stands there under its full one.
    missing = [name for name, home in homes.items() if not {f"hwsim.{room}.{name}", f"{home}.{name}"} & ids]
    assert missing == []


@pytest.mark.slow
def test_site_has_every_command(site: Path) -> None:
    ids = _page(site / "reference" / "commands.html").ids
    for command in (
        "simulate",
        "verilog",
        "compare",
        "formats",
        "units",
        "cost",
        "quantize",
        "allocate",
        "catalog-build",
    ):
        assert f"hwsim-{command}" in ids


def _entries(nav: Any) -> Iterator[str]:
    """Yield the pages of a navigation."""
    if isinstance(nav, str):
        yield nav
    else:
        for each in nav.values() if isinstance(nav, dict) else nav:
            yield from _entries(each)


class _Loader(yaml.SafeLoader):
    """YAML with tags of Python objects left as they are."""


_Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda _loader, _suffix, _node: None)


def test_site_navigation(root: Path) -> None:
    settings = yaml.load((root / "mkdocs.yml").read_text(encoding="utf-8"), _Loader)
    named = list(_entries(settings["nav"]))
    assert len(named) == len(set(named))
    written = {page for page in named if not page.startswith("reference/")}
    found = {page.relative_to(root / "docs").as_posix() for page in (root / "docs").rglob("*.md")}
    assert written <= found
    left_out = {page for page in found - written if not re.match(r"(formats|units)/", page)}
    assert left_out == set(), "pages without a place in the navigation"


def test_site_links(root: Path) -> None:
    followed = 0
    for page in (root / "docs").rglob("*.md"):
        for target in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
            made = target.startswith(("../reference/", "reference/"))
            assert made or (page.parent / target).exists(), f"{page.relative_to(root)} links to {target}"
            followed += 1
    assert followed > 400
