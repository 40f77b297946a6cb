# SPDX-License-Identifier: Apache-2.0
import pytest

pytest.importorskip("distributed")

from hwsim.study.point import DesignPoint
from hwsim.sweeps.plan import Plan, PriceTask, Task
from hwsim.sweeps.tasks import Keyed


def keyed(number: int, value_key: str = "v", network: str = "digits") -> Keyed:
    point = DesignPoint(network=network, format="int8", unit="int8_int32", settings=(("array.rows", number),))
    return Keyed(point=point, key=f"k{number}", value_key=value_key, cost_key="")


def planned(count: int, networks: int = 1) -> Plan:
    plan = Plan(costs={"": None})
    for number in range(count):
        plan.add(keyed(number, f"v{number % networks}"))
    return plan


def test_plan_runs_a_network_once_and_points_after_it() -> None:
    plan = planned(20, networks=2)
    tasks = [plan.next(2, 0) for _ in range(3)]
    assert [task.points[0].value_key for task in tasks if task is not None] == ["v0", "v1"]
    assert tasks[2] is None
    assert plan.values_total == 2
    plan.add_values("v1", {"figures": {}})
    task = plan.next(2, 1)
    assert task is not None
    assert {each.value_key for each in task.points} == {"v1"}
    assert plan.batch(task).values == {"v1": {"figures": {}}}
    plan.add(keyed(30, "v1"))
    assert plan.values_total == 2


def test_plan_batches_by_time_and_smaller_to_the_end() -> None:
    plan = planned(600)
    plan.next(2, 0)
    plan.add_values("v0", {})
    sizes = []
    while (task := plan.next(2, 0)) is not None:
        sizes.append(len(task.points))
        plan.timed(task, 0.01 * len(task.points))
    assert sizes[:2] == [4, 50]
    assert max(sizes) == 50
    assert sizes[-1] == 1
    assert sum(sizes) == 600
    assert sizes[1:] == sorted(sizes[1:], reverse=True)


def test_plan_a_slow_point_is_a_batch() -> None:
    plan = planned(9)
    plan.next(2, 0)
    plan.add_values("v0", {})
    plan.timed(Task(points=(keyed(1),)), 30.0)
    task = plan.next(2, 0)
    assert task is not None
    assert len(task.points) == 1


def test_plan_keeps_networks_apart() -> None:
    plan = Plan(costs={"": None})
    for number in range(4):
        plan.add(keyed(number, "", network=f"n{number % 2}"))
    tasks = [plan.next(1, 0), plan.next(1, 0)]
    assert [{each.point.network for each in task.points} for task in tasks if task is not None] == [{"n0"}, {"n1"}]


def test_plan_suspects_run_alone_at_the_end() -> None:
    plan = Plan(costs={"": None})
    plan.add(keyed(0, ""))
    plan.suspect(Task(points=(keyed(1, ""), keyed(2, ""))))
    first = plan.next(2, 0)
    assert first is not None
    assert not first.alone
    assert plan.next(2, 1) is None
    alone = plan.next(2, 0)
    assert alone is not None
    assert alone.alone
    assert [each.key for each in alone.points] == ["k1"]
    assert plan.next(2, 1) is None


def test_plan_puts_back_what_is_gone() -> None:
    plan = planned(3)
    task = plan.next(2, 0)
    assert task is not None
    assert plan.next(2, 1) is None
    plan.again(task)
    assert plan.next(2, 0) is task


def test_plan_gives_up_all_that_depends() -> None:
    plan = planned(5)
    task = plan.next(1, 0)
    assert task is not None
    assert len(plan.give_up(task)) == 5
    price = PriceTask("p", "int8_int32", "asap7", 3)
    plan.add_unpriced(keyed(7).point, price)
    plan.add_unpriced(keyed(8).point, price)
    task = plan.next(1, 0)
    assert task is not None
    assert task.price == price
    assert plan.give_up(task) == [keyed(7).point, keyed(8).point]
    assert plan.next(1, 0) is None
    assert plan.prices_total == 1


def test_plan_estimates_what_is_left() -> None:
    plan = planned(10)
    assert plan.seconds_left({"values": 1, "points": 10}, 2) is None
    plan.timed(Task(kind="values", points=(keyed(0),)), 3.0)
    plan.timed(Task(points=(keyed(0), keyed(1))), 1.0)
    assert plan.seconds_left({"price": 0, "values": 1, "points": 10}, 2) == pytest.approx((3.0 + 10 * 0.5) / 2)
