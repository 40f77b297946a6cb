# SPDX-License-Identifier: Apache-2.0
"""Sweeps by real worker processes, killed in the middle; every store against a plain loop's."""

import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("distributed")
pytest.importorskip("pyarrow")
pytest.importorskip("psutil")

import psutil

from hwsim.study.cases import Case, digits
from hwsim.study.evaluation import evaluate, value_figures, value_key
from hwsim.study.point import DesignPoint
from hwsim.sweeps import cluster
from hwsim.sweeps.runner import Progress, Runner, run
from hwsim.sweeps.store import Store

# Without a guard of __main__: workers are not to run it again.
SCRIPT = """
import sys
from hwsim.study.cases import digits
from hwsim.study.point import DesignPoint
from hwsim.sweeps.runner import run

points = [
    DesignPoint.of(name, settings={"array.rows": rows, "array.columns": columns})
    for name in ("int4", "int8") for rows in range(1, 11) for columns in range(1, 9)
]
result = run(points, [digits()], sys.argv[1], workers=1, layers=False)
print(len(result.evaluations), len(result.failures), result.earlier, flush=True)
"""
POINTS = [
    DesignPoint.of(name, settings={"array.rows": rows, "array.columns": columns})
    for name in ("int4", "int8")
    for rows in range(1, 11)
    for columns in range(1, 9)
]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Return the store of the same points, evaluated one after the other."""
    store, case = Store(tmp_path_factory.mktemp("plain") / "store"), digits()
    values: dict[str, Any] = {}
    found = []
    for point in POINTS:
        key = value_key(point, case, layers=False)
        if key not in values:
            values[key] = value_figures(point, case, layers=False)
            store.add_values(key, point.network, point.unit, values[key])
        found.append(evaluate(point, case, values=values[key], layers=False))
    store.add(found)
    store.compact()
    return store


def contents(store: Store) -> list[bytes]:
    return [path.read_bytes() for kind in ("points", "values") for path in store.parts(kind)]


def test_sweep_of_a_killed_client_resumes_with_nothing_lost_or_twice(tmp_path: Path, plain: Store) -> None:
    store = Store(tmp_path / "store")
    command = [sys.executable, "-c", SCRIPT, str(store.path)]
    with subprocess.Popen(command) as first:
        while not store.keys() and first.poll() is None:
            time.sleep(0.02)
        family = psutil.Process(first.pid).children(recursive=True)
        first.kill()
    before = store.keys()
    assert 0 < len(before) < len(POINTS)
    assert len(family) >= 2  # the scheduler and its worker
    _, alive = psutil.wait_procs(family, timeout=20)
    assert alive == []
    second = subprocess.run(command, capture_output=True, text=True, check=True)
    assert second.stdout.split() == [str(len(POINTS)), "0", str(len(before))]
    assert second.stderr == ""
    assert contents(store) == contents(plain)


def test_run_of_a_finished_sweep_starts_nothing(plain: Store) -> None:
    told: list[Progress] = []
    result = run(POINTS, [digits()], plain, scheduler="tcp://127.0.0.1:9", layers=False, progress=told.append)
    assert [each.point for each in result.evaluations] == POINTS
    assert result.earlier == len(POINTS)
    assert (told[-1].done, told[-1].total, told[-1].seconds_left) == (len(POINTS), len(POINTS), 0.0)


def test_run_scheduler_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_CONNECT_SECONDS", 0.5)
    with pytest.raises(RuntimeError, match=r"no Dask scheduler answers at 'tcp://127\.0\.0\.1:9': Timed out"):
        run(POINTS[:1], [digits()], tmp_path / "store", scheduler="tcp://127.0.0.1:9")
    with pytest.raises(
        ValueError, match="scheduler's address must be tcp://HOST:PORT, or tls:// or ws://, not 'nowhere"
    ):
        run(POINTS[:1], [digits()], tmp_path / "store", scheduler="nowhere://x")


def test_run_names_wrong(tmp_path: Path) -> None:
    point = DesignPoint(format="int8", unit="int8_int32", network="resnet")
    with pytest.raises(LookupError, match="no case 'resnet'; there are digits"):
        run([point], [digits()], tmp_path / "store")
    point = DesignPoint(format="int8", unit="int8_int32", accelerator="tpu9")
    with pytest.raises(LookupError, match="unknown accelerator 'tpu9'"):
        run([point], [digits()], tmp_path / "store")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"workers": 0}, "workers must be an int of at least 1, not 0"),
        ({"workers": True}, "workers must be an int of at least 1, not True"),
        ({"workers": 2, "scheduler": "tcp://a:1"}, "workers must be left out beside a scheduler's address"),
        ({"costs": "guessed"}, "costs must be 'known' or 'measured', not 'guessed'"),
    ],
)
def test_runner_options_wrong(tmp_path: Path, options: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Runner([digits()], tmp_path / "store", **options)
    assert not (tmp_path / "store").exists()


def test_runner_cases_wrong(tmp_path: Path) -> None:
    cases: list[Case] = [digits(), digits()]
    with pytest.raises(ValueError, match="cases must have names of their own, not digits, digits"):
        Runner(cases, tmp_path / "store")


@pytest.mark.slow
@pytest.mark.parametrize("by_address", [False, True])
@pytest.mark.parametrize("victim", ["worker", "scheduler", "client"])
def test_sweep_whose_process_is_killed_ends_as_undisturbed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: Path, victim: str, by_address: bool
) -> None:
    monkeypatch.syspath_prepend(root / "benchmarks")
    sweep_kills = import_module("sweep_kills")
    undisturbed = sweep_kills.Sweep(tmp_path / "undisturbed", 240)
    assert undisturbed.end() == ""
    report = sweep_kills.killed(tmp_path, victim, 240, undisturbed.store, by_address=by_address)
    assert report.passed, report
    assert report.after == 240
    assert report.told == "" if victim != "scheduler" else "run the same again to go on" in report.told
