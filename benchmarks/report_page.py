# SPDX-License-Identifier: Apache-2.0
"""How long the report page takes to open, from the call to the pictures, in a headless Chromium without a network.

Run ``python -m benchmarks.report_page [--points 1000] [--runs 5] [FILE.html]``: it opens a file that is there, or one
written of made-up points, and prints the median of the runs. What is counted, in milliseconds:

- readable: from the navigation to the table and all text (the page's mark ``hwsim-readable``);
- ready: to the pictures, with which all of the page is drawn (``hwsim-ready``);
- thread: processor time of the page's own thread until then, which other programs lengthen least;
- write: to write the file, once.
"""

import argparse
import os
import platform
import runpy
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from hwsim.report.page import write_page

__all__ = [
    "main",
    "opened",
]

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_POINTS = Path(__file__).resolve().parents[1] / "tests" / "report" / "page" / "points.py"
_WIDTH, _HEIGHT = 1280, 900


def opened(file: Path, runs: int) -> tuple[dict[str, list[float]], str]:
    """Return the times of some openings of a page, each in a context of its own, and the browser's version."""
    from playwright.sync_api import sync_playwright

    path = next((found for name in _BROWSERS if (found := shutil.which(name))), None)
    if path is None:
        raise SystemExit(f"needs a Chromium: none of {', '.join(_BROWSERS)} is installed")
    root = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    times: dict[str, list[float]] = {"readable": [], "ready": [], "thread": []}
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--disable-gpu", *root])
        for _ in range(runs):
            context = browser.new_context(viewport={"width": _WIDTH, "height": _HEIGHT}, offline=True)
            for name, taken in _opening(context, file).items():
                times[name].append(taken)
            context.close()
        version = browser.version
        browser.close()
    return times, version


def _opening(context: Any, file: Path) -> dict[str, float]:
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.goto(file.as_uri())
    page.wait_for_selector("html[data-ready]", state="attached")
    metrics = {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}
    marks = page.evaluate("Object.fromEntries(performance.getEntriesByType('mark').map(m => [m.name, m.startTime]))")
    return {
        "readable": marks["hwsim-readable"],
        "ready": marks["hwsim-ready"],
        "thread": metrics["TaskDuration"] * 1000,
    }


def main(arguments: list[str]) -> None:
    """Print the times of a page, and under which conditions they were taken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?", type=Path, help="a page; without one, it is written of made-up points")
    parser.add_argument("--points", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        file = given.file.resolve() if given.file else _written(Path(folder) / "page.html", given.points)
        times, version = opened(file, given.runs)
        size = file.stat().st_size / 1e6
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "not known"
    print(f"{size:.1f} MB; Chromium {version}, headless, no GPU, offline; {platform.system()} {platform.machine()},")
    print(f"{os.cpu_count()} cores, load {load}; median of {given.runs}, each in a fresh context")
    for name, taken in times.items():
        print(f"{name:10} {statistics.median(taken):7.0f} ms   ({min(taken):.0f} to {max(taken):.0f})")


def _written(file: Path, points: int) -> Path:
    comparison = runpy.run_path(str(_POINTS))["comparison"](points)
    began = time.perf_counter()
    write_page(comparison, file)
    print(f"write      {1000 * (time.perf_counter() - began):7.0f} ms   {points} points")
    return file


if __name__ == "__main__":
    main(sys.argv[1:])
