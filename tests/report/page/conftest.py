# SPDX-License-Identifier: Apache-2.0
"""A headless Chromium that reaches no network, and pages opened in it."""

import os
import runpy
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hwsim.report.page import write_page

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_QUIET = ("--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update")
_WIDTH, _HEIGHT = 1280, 900
_READY_SECONDS = 60

Open = Callable[..., Any]


@pytest.fixture(scope="session")
def comparison() -> Callable[..., dict[str, Any]]:
    """Return the maker of made-up comparisons."""
    made: Callable[..., dict[str, Any]] = runpy.run_path(str(Path(__file__).with_name("points.py")))["comparison"]
    return made


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Return a headless Chromium, or skip with what is missing."""
    api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    path = next((found for name in _BROWSERS if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip(f"needs a Chromium: none of {', '.join(_BROWSERS)} is installed")
    root = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=[*_QUIET, *root])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def open_page(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Open]:
    """Return a function that writes a comparison's page and opens it without a network.

    What the page complains of, and what it asks for but itself, is in ``complaints`` and ``asked`` of what it returns;
    both must be empty when the tests of a module are done.
    """
    contexts: list[Any] = []
    complaints: list[str] = []
    asked: list[str] = []
    files: list[str] = []

    def opened(comparison: dict[str, Any] | Path, link: str = "", scheme: str = "light") -> Any:
        if isinstance(comparison, Path):
            file = comparison
        else:
            file = write_page(comparison, tmp_path_factory.mktemp("page") / "page.html")
        context = browser.new_context(
            viewport={"width": _WIDTH, "height": _HEIGHT}, color_scheme=scheme, reduced_motion="reduce", offline=True
        )
        contexts.append(context)
        context.set_default_timeout(_READY_SECONDS * 1000 / 4)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{file.as_uri()}{link}")
        page.wait_for_selector("html[data-ready]", state="attached", timeout=_READY_SECONDS * 1000)
        page.file = file
        files.append(file.as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []
    assert [url for url in asked if not url.startswith(("data:", "blob:", *files))] == []
