# SPDX-License-Identifier: Apache-2.0
"""`hwsim sweep` and `hwsim store`: one small sweep by a process of its own, the rest on what it left."""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import hwsim
from hwsim.cli import main
from hwsim.report.live import Watch, duration
from hwsim.report.sweep import found_lines
from hwsim.study import DesignPoint, Evaluation
from hwsim.study.quantities import KEYS
from hwsim.sweeps.progress import Failure, Progress
from hwsim.sweeps.runner import Result, Runner
from hwsim.sweeps.search import Generation
from hwsim.sweeps.store import Store

_PARAMETERS = """
layers = false
[parameters]
format = ["int4", "mxfp4"]
array.rows = [2, 4]
clock_mhz = [200, 1000]
"""
_SEARCH = """
[search]
method = "pareto"
points = 6
population = 3
objectives = {accuracy = "more", energy_nj = "less"}
"""
_CHECKOUT = str(Path(hwsim.__file__).parents[1])
_COMMAND = (sys.executable, "-c", "from hwsim.cli import main; main()")


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a study's file, its store, and what the command printed."""
    folder = tmp_path_factory.mktemp("sweep")
    (folder / "small.toml").write_text(_PARAMETERS)
    done = subprocess.run(
        [*_COMMAND, "sweep", "small.toml", "--workers", "1"], cwd=folder, capture_output=True, text=True, timeout=300,
        env=_environment(), check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (folder / "out.txt").write_text(done.stdout)
    (folder / "err.txt").write_text(done.stderr)
    return folder


@pytest.fixture
def here(swept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that folder, and the current one."""
    shutil.copytree(swept, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _environment() -> dict[str, str]:
    """Return the environment of a process that is to find this hwsim."""
    paths = [_CHECKOUT, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def _run(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> tuple[str, str]:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    captured = capsys.readouterr()
    assert caught.value.code == status, captured.err
    return captured.out, captured.err


def _json(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    out, err = _run(capsys, *arguments, "--json")
    assert err == ""
    return json.loads(out)


def _wrong(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    out, err = _run(capsys, *arguments, status=2)
    assert out == ""
    assert err.count("\n") == 1
    return err


def test_cli_sweep_says_what_came_of_it(swept: Path) -> None:
    out = (swept / "out.txt").read_text()
    assert "8 points of 8 combinations" in out
    assert "2 points cannot be built or run:" in out
    assert "2 x clock_mhz: must be at most 610, which the unit with 3 register ranks reaches in asap7, not 1000" in out
    assert "front 1, accuracy (more) against energy (less): " in out
    assert "front 2, accuracy (more) against area (less): " in out
    assert "store: small.store, 8 new points, 0 there before" in out
    assert "next: hwsim store report small.store -o small.html" in out
    lines = (swept / "err.txt").read_text().splitlines()
    assert lines[0] == "hwsim: starting workers: 0/8 points, 0/2 networks run"
    assert lines[-1].startswith("hwsim: evaluating: 8/8 points, ")
    assert "2/2 networks run, 2 refused, front " in lines[-1]


def test_cli_sweep_again_does_nothing_twice(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {part.name: part.read_bytes() for part in here.rglob("*.parquet")}
    found = _json(capsys, "sweep", "small.toml")
    assert (found["points"], found["earlier"], found["refused"], found["failed"]) == (8, 8, 2, [])
    assert found["selection"]["combinations"] == 8
    assert {part.name: part.read_bytes() for part in here.rglob("*.parquet")} == before
    best = found["fronts"][0]
    assert best["objectives"] == {"accuracy": "more", "energy_nj": "less"}
    rows = [each for each in Store(here / "small.store").evaluations() if not each.refused]
    for member in best["members"]:
        mine = member["figures"]
        assert not any(
            each["accuracy"] >= mine["accuracy"]
            and each["energy_nj"] <= mine["energy_nj"]
            and each.key != member["key"]
            for each in rows
        )


def test_cli_sweep_dry_run(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = _json(capsys, "sweep", "small.toml", "--dry-run")
    assert (found["points"], found["in_store"], found["values"], found["prices"]) == (8, 8, 0, 0)
    (here / "more.toml").write_text(_PARAMETERS.replace("[2, 4]", "[2, 4, 8]").replace('"mxfp4"', '"mxfp4", "nvfp4"'))
    out, _ = _run(capsys, "sweep", "more.toml", "--dry-run", "--store", "small.store", "--workers", "2")
    assert "more: 18 points of 18 combinations" in out
    assert "store small.store: 8 points there already, 10 to evaluate" in out
    assert "needs 1 network run for accuracies; about " in out
    assert " on 2 workers" in out
    (here / "search.toml").write_text(_PARAMETERS + _SEARCH)
    out, _ = _run(capsys, "sweep", "search.toml", "--dry-run")
    assert "search: a search of at most 6 points of 8 combinations, in 2 generations of 3; seed 0" in out
    assert not (here / "search.store").exists()


def test_cli_sweep_searches_what_is_known_without_workers(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "search.toml").write_text(_PARAMETERS + _SEARCH)
    out, err = _run(capsys, "sweep", "search.toml", "--store", "small.store")
    lines = [line for line in err.splitlines() if "generation" in line]
    assert lines[0].startswith("hwsim: generation 1 of 2, evaluating: 3/3 points")
    assert [line.split(":")[1] for line in lines if "front" in line and "evaluating" not in line] == [
        " generation 1 of 2", " generation 2 of 2"
    ]  # fmt: skip
    assert "store: small.store, 0 new points, 6 there before" in out
    found = _json(capsys, "sweep", "search.toml", "--store", "small.store")
    assert [(each["number"], each["asked"]) for each in found["generations"]] == [(1, 3), (2, 6)]


def test_cli_sweep_report(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = _run(capsys, "sweep", "small.toml", "--report", "page.html")
    assert "report: page.html" in out
    assert "mxfp4" in (here / "page.html").read_text()


def test_cli_sweep_interrupted_is_one_line(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(self: Runner, points: object, progress: object) -> None:
        raise KeyboardInterrupt("interrupted: 3 of 8 points are kept in 'small.store'")

    monkeypatch.setattr(Runner, "run", run)
    out, err = _run(capsys, "sweep", "small.toml", status=130)
    assert (out, err) == ("", "hwsim: interrupted: 3 of 8 points are kept in 'small.store'\n")
    (here / "search.toml").write_text(_PARAMETERS + _SEARCH)
    _, err = _run(capsys, "sweep", "search.toml", status=130)
    assert err == (
        "hwsim: interrupted in generation 1 of 2: 0 points of those before and what was finished of it are kept in "
        "'search.store'; run the same again to go on from there\n"
    )


def test_cli_sweep_names_what_is_given_up(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(self: Runner, points: Sequence[DesignPoint], progress: object) -> Result:
        return Result(evaluations=(), failures=tuple(Failure(point, "no memory") for point in points), earlier=0)

    monkeypatch.setattr(Runner, "run", run)
    out, _ = _run(capsys, "sweep", "small.toml", status=1)
    assert len(re.findall(r"given up, not in the store: DesignPoint\(.*\): no memory", out)) == 5
    assert "and 3 others; log.jsonl in the store has all" in out
    out, _ = _run(capsys, "sweep", "small.toml", "--json", status=1)
    assert [each["text"] for each in json.loads(out)["failed"]] == ["no memory"] * 8
    (here / "search.toml").write_text(_PARAMETERS + _SEARCH)
    out, _ = _run(capsys, "sweep", "search.toml", "--json", status=1)
    found = json.loads(out)
    assert (found["points"], len(found["failed"]), len(found["generations"])) == (0, 6, 2)


@pytest.mark.slow
def test_cli_sweep_interrupted_says_what_is_kept(tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(_PARAMETERS)
    with subprocess.Popen(
        [*_COMMAND, "sweep", "small.toml", "--workers", "1"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        env=_environment(),
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("hwsim: starting workers")
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
        assert process.wait(60) == 130
    assert said.splitlines() == [
        "hwsim: interrupted: 0 of 8 points are kept in 'small.store'; run the same again to go on from there"
    ]


def test_cli_sweep_wrong(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no study 'smal.toml'" in _wrong(capsys, "sweep", "smal.toml")
    (here / "bad.toml").write_text(_PARAMETERS.replace("array.rows", "array.row"))
    assert "bad.toml: parameters: unknown parameter 'array.row'; did you mean array.rows" in _wrong(
        capsys, "sweep", "bad.toml"
    )
    assert "--network must be NAME=MODEL.onnx, not 'a'" in _wrong(capsys, "sweep", "small.toml", "--network", "a")
    assert "the report's file must end in .html" in _wrong(capsys, "sweep", "small.toml", "--report", "page.pdf")
    assert "is a folder of something else" in _wrong(capsys, "sweep", "small.toml", "--store", ".")
    assert "workers must be left out beside a scheduler" in _wrong(
        capsys, "sweep", "small.toml", "--workers", "2", "--scheduler", "tcp://127.0.0.1:1"
    )
    (here / "search.toml").write_text(_PARAMETERS + _SEARCH.replace("accuracy", "accurcy"))
    assert "must be a figure, not 'accurcy'; did you mean accuracy" in _wrong(capsys, "sweep", "search.toml")


def test_cli_sweep_without_a_package_wrong(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "search.toml").write_text(_PARAMETERS + _SEARCH)
    monkeypatch.setitem(sys.modules, "optuna", None)
    _, err = _run(capsys, "sweep", "search.toml", status=2)
    assert err.splitlines()[-1] == "hwsim: error: a search needs optuna: pip install 'hwsim[sweep]'"
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert "a store needs pyarrow: pip install 'hwsim[sweep]'" in _wrong(capsys, "store", "list", "small.store")


def test_cli_sweep_of_points_that_cannot_be(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "fast.toml").write_text(_PARAMETERS.replace("[200, 1000]", "1000").replace('"int4", ', ""))
    out, _ = _run(capsys, "sweep", "fast.toml", "--store", "small.store")
    assert "all 2 points cannot be built or run:\n  2 x clock_mhz: must be at most 610" in out
    assert "front" not in out
    assert "next" not in out


def test_cli_sweep_names_units_without_a_price(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "bare.toml").write_text(_PARAMETERS.replace('"mxfp4"', '"posit8_2"'))
    out, _ = _run(capsys, "sweep", "bare.toml", "--dry-run")
    assert "4 points have no area or energy: posit8_2_l16_float32 was never measured in asap7 and cannot be est" in out
    point = DesignPoint.of("posit8_2")
    known = {**dict.fromkeys(KEYS), "accuracy": 0.9}
    assert list(found_lines([Evaluation(point=point, key="1", figures=known)], [])) == [
        (
            "1 point has no area or energy: posit8_2_l16_float32 was never measured in asap7 and cannot be estimated; "
            'costs = "measured" synthesizes it'
        )
    ]


def test_cli_sweep_warns_of_points_of_another_version(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hwsim.sweeps.contents.model_version", lambda: "another")
    _, err = _run(capsys, "sweep", "small.toml")
    assert err.splitlines()[0] == (
        "hwsim: 8 points in small.store are of another version of hwsim and will be evaluated again where the study "
        "asks for them; they stay"
    )


@pytest.mark.parametrize("address", ["banana", "tcp://banana", "http://127.0.0.1:8786", "127.0.0.1:8786"])
def test_cli_sweep_address_wrong(here: Path, capsys: pytest.CaptureFixture[str], address: str) -> None:
    assert f"must be tcp://HOST:PORT, or tls:// or ws://, not '{address}'" in _wrong(
        capsys, "sweep", "small.toml", "--scheduler", address
    )


def test_cli_store_list(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (found,) = _json(capsys, "store", "list")
    assert (found["store"], found["points"], found["refused"], found["formats"], found["values"]) == (
        "small.store", 8, 2, 2, 2
    )  # fmt: skip
    assert found["networks"] == {"digits": 8}
    out, _ = _run(capsys, "store", "list", "small.store")
    assert "digits 8" in out
    assert "no store 'other.store'" in _wrong(capsys, "store", "list", "other.store")
    assert not (here / "other.store").exists()


def test_cli_store_merge(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = _json(capsys, "store", "merge", "small.store", "--into", "both.store")
    assert found["added"]["points"] == 8
    out, _ = _run(capsys, "store", "merge", "small.store", "--into", "both.store")
    assert "both.store: 0 points added" in out
    assert Store(here / "both.store").evaluations() == Store(here / "small.store").evaluations()


def test_cli_store_export(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    held = Store(here / "small.store").evaluations()
    assert _json(capsys, "store", "export", "small.store", "-o", "points.csv")["points"] == 8
    with Path("points.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["key"] for row in rows] == [each.key for each in held]
    assert [row["settings.array.rows"] for row in rows] == [str(each.point.setting("array.rows")) for each in held]
    for key in ("accuracy", "energy_nj"):
        assert [float(row[key]) if row[key] else None for row in rows] == [each[key] for each in held]  # every bit
    _run(capsys, "store", "export", "small.store", "-o", "points.json")
    assert [Evaluation.from_dict(each) for each in json.loads(Path("points.json").read_text())] == held
    _run(capsys, "store", "export", "small.store", "-o", "points.parquet")
    duckdb = pytest.importorskip("duckdb")
    found = duckdb.sql('select key, energy_nj, "settings.array.rows" from "points.parquet" order by key').fetchall()
    assert found == [(each.key, each["energy_nj"], each.point.setting("array.rows")) for each in held]
    assert "must end in .csv, .parquet or .json" in _wrong(capsys, "store", "export", "small.store", "-o", "a.xlsx")


def test_cli_store_report(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = _run(capsys, "store", "report", "small.store", "-o", "page.html", "--title", "Two formats")
    assert "page.html: 8 points" in out
    assert "Two formats" in (here / "page.html").read_text()


def test_cli_store_front(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = _run(capsys, "store", "front", "small.store", "--front", "accuracy,latency_us")
    assert "front 1, accuracy (more) against latency (less): " in out
    found = _json(capsys, "store", "front", "small.store", "--limit", "energy_nj=0")
    assert [each["members"] for each in found["fronts"]] == [[], []]
    assert "figure, not 'area'" in _wrong(capsys, "store", "front", "small.store", "--limit", "area=1")
    assert "--limit must be FIGURE=NUMBER, not 'area_mm2'" in _wrong(
        capsys, "store", "front", "small.store", "--limit", "area_mm2"
    )


def test_cli_store_leaves_other_versions_out(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hwsim.sweeps.contents.model_version", lambda: "another")
    message = _wrong(capsys, "store", "front", "small.store")
    assert "has no point: 8 are of other versions of hwsim, which --all takes too" in message
    out, _ = _run(capsys, "store", "front", "small.store", "--all")
    assert "8 points of other versions of hwsim are among them" in out
    (found,) = _json(capsys, "store", "list")
    assert found["points"] == 0
    assert list(found["others"].values()) == [8]


def _progress(done: int, **changes: Any) -> Progress:
    given: dict[str, Any] = {
        "stage": "points", "done": done, "total": 1000, "earlier": 10, "refused": 3, "failed": 1, "values_done": 5,
        "values_total": 9, "prices_done": 0, "prices_total": 0, "workers": 2, "seconds": 10.0, "rate": 43.21,
        "seconds_left": 20.4,
    }  # fmt: skip
    return Progress(**{**given, **changes})


def _points(*figures: tuple[float, float]) -> tuple[Evaluation, ...]:
    return tuple(
        Evaluation(
            point=DesignPoint.of("int8", settings={"array.rows": index}), key=str(index),
            figures={**dict.fromkeys(KEYS), "accuracy": accuracy, "energy_nj": energy_nj},
        )
        for index, (accuracy, energy_nj) in enumerate(figures)
    )  # fmt: skip


def test_live_lines_every_five_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = {"now": 100.0}
    monkeypatch.setattr("hwsim.report.live.time.monotonic", lambda: clock["now"])
    text = StringIO()
    watch = Watch(Console(file=text), [{"accuracy": "more", "energy_nj": "less"}], {})
    with watch.shown():
        watch(_progress(10, stage="starting", rate=None, seconds_left=None))
        for clock["now"] in (101.0, 104.9, 105.1, 106.0):
            watch(_progress(200, fresh=_points((0.9, 2.0), (0.8, 1.0), (0.7, 3.0))))
        watch(_progress(999))
    assert text.getvalue().splitlines() == [
        "hwsim: starting workers: 10/1,000 points, 5/9 networks run, 3 refused, 1 given up",
        "hwsim: evaluating: 200/1,000 points, 43 points/s, 20 s left, 5/9 networks run, 3 refused, 1 given up, front 2",
        "hwsim: evaluating: 999/1,000 points, 43 points/s, 5/9 networks run, 3 refused, 1 given up, front 2",
    ]


def test_live_bar_on_a_terminal() -> None:
    text = StringIO()
    terminal = Console(file=text, force_terminal=True, width=160)
    watch = Watch(terminal, [], {}, generations=4)
    with watch.shown():
        watch(_progress(500, fresh=_points((0.9, 2.0))))
        found = _points((0.9, 2.0), (0.8, 1.0))
        watch.generation(Generation(number=1, of=4, evaluations=found, asked=32, front=found))
        watch(_progress(600))
    shown = text.getvalue()
    assert "generation 1 of 4: 32 points, front 2" in shown
    assert "generation 2 of 4, evaluating" in shown
    assert "600/1,000, 43 points/s, 20 s left" in shown


def test_live_duration() -> None:
    assert [duration(seconds) for seconds in (0.2, 40.4, 89, 200, 5400, 9000)] == [
        "1 s", "40 s", "89 s", "3 min", "1 h 30 min", "2 h 30 min"
    ]  # fmt: skip
