# SPDX-License-Identifier: Apache-2.0
"""The loop that keeps workers busy, on a client that runs every task at once, or loses it."""

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("distributed")
pytest.importorskip("pyarrow")

from hwsim.study.evaluation import Evaluation
from hwsim.study.point import DesignPoint
from hwsim.sweeps import tasks
from hwsim.sweeps.cluster import check_workers
from hwsim.sweeps.execution import Execution, LostError
from hwsim.sweeps.plan import Plan
from hwsim.sweeps.store import Store
from hwsim.sweeps.tasks import Batch, Keyed, MismatchError


class KilledWorker(Exception):  # noqa: N818
    """By the name that Dask gives it."""


class Future:
    def __init__(self, key: str, call: Callable[..., Any], given: tuple[Any, ...]) -> None:
        self.key = key
        self.status = "finished"
        self._error: Exception | None = None
        try:
            self._result = call(*given)
        except (ArithmeticError, KilledWorker, MismatchError) as error:
            self.status, self._error = "error", error
        except ConnectionError:
            self.status = "cancelled"

    def add_done_callback(self, call: Callable[[Any], None]) -> None:
        call(self)

    def result(self) -> Any:
        return self._result

    def exception(self) -> Exception | None:
        return self._error


class Client:
    status = "running"

    def __init__(self) -> None:
        self.submitted: list[str] = []

    def submit(self, call: Callable[..., Any], *given: Any, key: str, pure: bool) -> Future:
        assert not pure
        self.submitted.append(call.__name__)
        return Future(key, call, given)


def keyed(number: int) -> Keyed:
    point = DesignPoint(format="int8", unit="int8_int32", settings=(("array.rows", number),))
    return Keyed(point=point, key=f"k{number:03}", value_key="", cost_key="")


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Execution]:
    """Make an execution of 20 points, of which the worker does what it is told with some."""

    def execution(troubles: dict[int, Exception]) -> Execution:
        calls = count()

        def evaluate_batch(batch: Batch, case: Any, layers: bool, expected: Any) -> tuple[list[Evaluation], float]:
            next(calls)
            for each in batch.points:
                number = dict(each.point.settings)["array.rows"]
                assert isinstance(number, int)
                if number in troubles:
                    raise troubles[number]
            return [Evaluation(point=each.point, key=each.key) for each in batch.points], 0.01

        monkeypatch.setattr(tasks, "evaluate_batch", evaluate_batch)
        plan = Plan(costs={"": None})
        for number in range(20):
            plan.add(keyed(number))
        cases: Any = {"digits": None}
        return Execution(
            Client(), plan, cases, Store(tmp_path / "store"), expected={}, layers=True, workers=2,
            priced=lambda key, cost: None,
        )  # fmt: skip

    return execution


def stored(tmp_path: Path) -> set[str]:
    return Store(tmp_path / "store").keys()


def all_but(*numbers: int) -> set[str]:
    return {f"k{number:03}" for number in range(20) if number not in numbers}


def test_execution_brings_everything_to_the_store(work: Callable[..., Execution], tmp_path: Path) -> None:
    execution = work({})
    execution.run(lambda: None)
    assert stored(tmp_path) == all_but()
    assert execution.done == {"price": 0, "values": 0, "points": 20}
    assert {each.key for each in execution.take_fresh()} == all_but()
    assert execution.take_fresh() == []


def test_execution_gives_up_the_point_that_raises_alone(work: Callable[..., Execution], tmp_path: Path) -> None:
    execution = work({5: ZeroDivisionError("by nothing")})
    execution.run(lambda: None)
    assert stored(tmp_path) == all_but(5)
    assert [(dict(each.point.settings)["array.rows"], each.text) for each in execution.failures] == [
        (5, "ZeroDivisionError: by nothing")
    ]


def test_execution_tells_the_point_that_kills_workers(work: Callable[..., Execution], tmp_path: Path) -> None:
    execution = work({7: KilledWorker("again")})
    execution.run(lambda: None)
    assert stored(tmp_path) == all_but(7)
    assert [dict(each.point.settings)["array.rows"] for each in execution.failures] == [7]
    assert "its worker died again and again" in execution.failures[0].text


def test_execution_keeps_what_came_before_the_scheduler_was_lost(
    work: Callable[..., Execution], tmp_path: Path
) -> None:
    with pytest.raises(LostError, match="the scheduler is lost"):
        work({13: ConnectionError()}).run(lambda: None)
    assert {"k000", "k003"} <= stored(tmp_path) <= all_but(13)


def test_execution_keeps_what_came_before_an_interrupt(work: Callable[..., Execution], tmp_path: Path) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work({}).run(interrupt)
    assert {"k000", "k003"} <= stored(tmp_path)


def test_execution_stops_at_a_worker_of_another_version(work: Callable[..., Execution], tmp_path: Path) -> None:
    with pytest.raises(MismatchError, match="another numpy"):
        work({0: MismatchError("a worker has another numpy")}).run(lambda: None)
    assert "k000" not in stored(tmp_path)


class Workers:
    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers

    def run(self, call: Any, on_error: str) -> dict[str, Any]:
        assert call is tasks.fingerprint
        assert on_error == "return"
        return self.answers


def test_workers_version_wrong() -> None:
    here = tasks.fingerprint()
    assert check_workers(Workers({"tcp://a:1": here, "tcp://b:1": here}), here) == 2
    other = {**here, "numpy": "1.0", "hwsim": "f" * 64}
    with pytest.raises(RuntimeError, match=r"the worker tcp://b:1 has another hwsim f{64} \(client: .*numpy 1\.0"):
        check_workers(Workers({"tcp://a:1": here, "tcp://b:1": other}), here)
    with pytest.raises(RuntimeError, match=r"tcp://b:1 cannot run hwsim: ModuleNotFoundError: No module named 'hwsim'"):
        check_workers(Workers({"tcp://b:1": ModuleNotFoundError("No module named 'hwsim'")}), here)
