# SPDX-License-Identifier: Apache-2.0
"""Sweeps by real worker processes: deadly points, two clients at once, a stop, measured prices resumed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import hwsim
from hwsim.sweeps.store import Store

pytest.importorskip("distributed")
psutil = pytest.importorskip("psutil")
pq = pytest.importorskip("pyarrow.parquet")

_PLACES = (str(Path(hwsim.__file__).parents[1]), str(Path(__file__).parent))
_HWSIM = ("-c", "from hwsim.cli import main; main()")
_GRID = """
layers = false
[parameters]
format = ["int4", "int8"]
array.rows = [1, 2, 3, 4]
"""
_MEASURED = """
layers = false
costs = "measured"
[parameters]
format = "ternary"
lanes = 1
array.rows = [1, 2]
"""


def started(folder: Path, study: str, *command: str, **changes: str) -> subprocess.Popen[str]:
    """Start `hwsim sweep` of a study into the store of a folder, on two workers, with its result as JSON."""
    paths = [*_PLACES, *filter(None, [os.environ.get("PYTHONPATH")])]
    file = folder / f"study{len(list(folder.glob('*.toml')))}.toml"
    file.write_text(study)
    return subprocess.Popen(
        [sys.executable, *(command or _HWSIM), "sweep", str(file), "--store", "store", "--workers", "2", "--json"],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), **changes},
    )  # fmt: skip


def ended(process: subprocess.Popen[str], status: int = 0) -> Any:
    """Wait for its end, and return what it said."""
    out, err = process.communicate(timeout=300)
    assert process.returncode == status, err
    assert err == ""
    return json.loads(out)


def asked(point: Mapping[str, Any]) -> tuple[str, int]:
    """Return what the grid varies of a point."""
    return point["format"], dict(point["settings"])["array.rows"]


def stored(folder: Path) -> set[tuple[str, int]]:
    return {asked(each.point.as_dict()) for each in Store(folder / "store").evaluations()}


def grid(*formats: str) -> set[tuple[str, int]]:
    return {(name, rows) for name in formats for rows in (1, 2, 3, 4)}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("deadly", "lost"), [({"DEADLY_POINT": "int4 3"}, {("int4", 3)}), ({"DEADLY_FORMAT": "int8"}, grid("int8"))]
)
def test_sweep_names_what_kills_its_workers_and_keeps_the_rest(
    tmp_path: Path, deadly: dict[str, str], lost: set[tuple[str, int]]
) -> None:
    rest = grid("int4", "int8") - lost
    found = ended(started(tmp_path, _GRID, "-m", "deadly_tasks", **deadly), status=1)
    assert {asked(each["point"]) for each in found["failed"]} == lost
    assert {each["text"] for each in found["failed"]} == {"its worker died again and again"}
    assert stored(tmp_path) == rest
    healed = ended(started(tmp_path, _GRID))
    assert (healed["failed"], healed["earlier"]) == ([], len(rest))
    assert stored(tmp_path) == rest | lost


@pytest.mark.slow
def test_sweeps_of_two_clients_into_one_store_are_its_union(tmp_path: Path) -> None:
    clients = [started(tmp_path, _GRID.replace("[1, 2, 3, 4]", rows)) for rows in ("[1, 2, 3]", "[2, 3, 4]")]
    assert [ended(each)["points"] for each in clients] == [6, 6]
    store = Store(tmp_path / "store")
    store.compact()
    (part,), (runs,) = store.parts("points"), store.parts("values")
    keys = pq.read_table(part)["key"].to_pylist()
    assert len(keys) == len(set(keys)) == 8
    assert len(pq.read_table(runs)) == 2
    assert stored(tmp_path) == grid("int4", "int8")


@pytest.mark.slow
def test_sweep_measures_a_price_once(tmp_path: Path) -> None:
    first, second = (str(tmp_path / name) for name in ("cache", "fresh_cache"))
    found = ended(started(tmp_path, _MEASURED, HWSIM_CACHE=first))
    assert (found["points"], found["failed"], found["refused"]) == (2, [], 0)
    store = Store(tmp_path / "store")
    (cost,) = store.costs().values()
    assert (cost.unit, cost.technology, cost.is_fitted) == ("ternary_l1_int14_to_float32", "asap7", False)
    assert {each.figures["unit_area_um2"] for each in store.evaluations()} == {cost.area_um2}
    before = {path: path.read_bytes() for path in (tmp_path / "store").rglob("*.parquet")}
    assert ended(started(tmp_path, _MEASURED, HWSIM_CACHE=second))["earlier"] == 2
    assert {path: path.read_bytes() for path in (tmp_path / "store").rglob("*.parquet")} == before
    for path in store.parts("points"):
        path.unlink()
    assert ended(started(tmp_path, _MEASURED, HWSIM_CACHE=second))["earlier"] == 0
    assert {path: path.read_bytes() for path in (tmp_path / "store").rglob("*.parquet")} == before
    assert not list(Path(second).rglob("*.json"))


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [1.0, 2.5])
def test_sweep_interrupted_while_workers_start_ends_soon_with_them(tmp_path: Path, seconds: float) -> None:
    process = started(tmp_path, _GRID)
    client = psutil.Process(process.pid)
    while not client.children():
        time.sleep(0.02)
    time.sleep(seconds)
    family = client.children(recursive=True)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert time.monotonic() - began < 5.0
    assert process.returncode == 130
    assert said.startswith("hwsim: interrupted: ")
    assert psutil.wait_procs(family, timeout=5.0)[1] == []
