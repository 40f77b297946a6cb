# SPDX-License-Identifier: Apache-2.0
from collections.abc import Callable, Sequence
from itertools import islice, product
from pathlib import Path

import pytest

from hwsim.study import DesignPoint, Evaluation
from hwsim.study.quantities import KEYS
from hwsim.sweeps.genetic import Nsga2, Outcome
from hwsim.sweeps.search import Generation, front_of
from hwsim.sweeps.study_file import Study, read_study

# ZDT1 (Zitzler, Deb, Thiele, Evolutionary Computation 8(2), 2000) on a grid of 8 x 8 x 8 x 8: its front is where all
# but the first variable are 0, f2 = 1 - sqrt(f1).
_SETTINGS = ("array.rows", "array.columns", "vector_lanes", "pipeline")
_STEPS = 8
_FRONT = [(step / 7, 1 - (step / 7) ** 0.5) for step in range(_STEPS)]
_STUDY = (
    "[parameters]\nformat = 'int8'\n"
    + "\n".join(f"{key} = [1, 2, 3, 4, 5, 6, 7, 8]" for key in _SETTINGS)
    + "\n[search]\nmethod = 'pareto'\npoints = 300\npopulation = 30\nseed = {seed}\n"
    "objectives = {{energy_nj = 'less', latency_us = 'less'}}\n"
)


def _zdt1(point: DesignPoint) -> tuple[float, float]:
    first, *others = (int(point.setting(key) - 1) / 7 for key in _SETTINGS)
    rest = 1 + 9 * sum(others) / len(others)
    return first, rest * (1 - (first / rest) ** 0.5)


def _evaluation(point: DesignPoint, **figures: float | None) -> Evaluation:
    return Evaluation(point=point, key=str(point), figures={**dict.fromkeys(KEYS), **figures})


def _run(points: Sequence[DesignPoint]) -> list[Evaluation]:
    found = []
    for point in points:
        energy_nj, latency_us = _zdt1(point)
        found.append(_evaluation(point, energy_nj=energy_nj, latency_us=latency_us, area_mm2=energy_nj))
    return found


def _study(folder: Path, seed: int = 0, extra: str = "") -> Study:
    file = folder / "study.toml"
    file.write_text(_STUDY.format(seed=seed) + extra)
    return read_study(file)


def _volume(evaluations: Sequence[Evaluation]) -> float:
    """Return the area that points are better than, up to (1, 10): more is better."""
    points = sorted((each["energy_nj"], each["latency_us"]) for each in evaluations)
    volume, lowest = 0.0, 10.0
    for first, second in points:
        if second < lowest:
            volume += (1 - first) * (lowest - second)
            lowest = second
    return volume


def test_search_finds_the_front_where_random_does_not(tmp_path: Path) -> None:
    best = _volume([_evaluation(DesignPoint.of("int8"), energy_nj=a, latency_us=b) for a, b in _FRONT])
    shares, random_shares, exact = [], [], []
    for seed in range(3):
        study = _study(tmp_path, seed)
        searched = study.search(_run)
        asked = [each for generation in searched for each in generation.evaluations]
        drawn = _run(study.space.random(300, seed).points)
        assert len(asked) == len(drawn) == 300
        shares.append(_volume(asked) / best)
        random_shares.append(_volume(drawn) / best)
        exact.append(sum((each["energy_nj"], each["latency_us"]) in _FRONT for each in searched[-1].front))
    assert min(shares) > 0.98
    assert max(random_shares) < min(shares)
    assert sum(exact) > 3 * _STEPS / 2  # more than half of the right front, exactly; random meets 300 in 4096 of it


def test_search_goes_on_where_it_was(tmp_path: Path) -> None:
    kept: dict[DesignPoint, Evaluation] = {}
    asked: list[DesignPoint] = []

    def run(points: Sequence[DesignPoint]) -> list[Evaluation]:
        asked.extend(points)
        kept.update({point: found for point, found in zip(points, _run(points), strict=True) if point not in kept})
        return [kept[point] for point in points]

    def stopped(generation: Generation) -> None:
        if generation.number == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _study(tmp_path).search(run, stopped)
    first, before = list(asked), len(kept)
    assert len(first) == before == 120
    asked.clear()
    whole = _study(tmp_path).search(run)
    assert asked[:120] == first
    assert len(kept) == len(set(asked)) == 300
    assert whole == _study(tmp_path).search(_run)
    other = _study(tmp_path, seed=1).search(_run)
    assert [each.point for each in other[0].evaluations] != asked[:30]


def test_search_tells_generations(tmp_path: Path) -> None:
    told: list[Generation] = []
    found = _study(tmp_path).search(_run, told.append)
    assert told == found
    assert [(each.number, each.of, each.asked) for each in found] == [(n, 10, 30 * n) for n in range(1, 11)]
    everything = [each for generation in found for each in generation.evaluations]
    assert found[-1].front == front_of(everything, _study(tmp_path).objectives)


def test_search_keeps_limits(tmp_path: Path) -> None:
    limited = _study(tmp_path, extra="limits = {area_mm2 = 0.3}\n").search(_run)
    assert all(each["area_mm2"] <= 0.3 for each in limited[-1].front)
    late = [each for generation in limited[5:] for each in generation.evaluations]
    free = [each for generation in _study(tmp_path).search(_run)[5:] for each in generation.evaluations]
    within, without = (sum(each["area_mm2"] <= 0.3 for each in some) / len(some) for some in (late, free))
    assert within > without


def test_search_leaves_refused_points(tmp_path: Path) -> None:
    def run(points: Sequence[DesignPoint]) -> list[Evaluation]:
        good = _run(points)
        bad = {point for point in points if int(point.setting("vector_lanes")) < 4}
        return [
            Evaluation(point=each.point, key=each.key, refused="too small") if each.point in bad else each
            for each in good
        ]

    found = _study(tmp_path).search(run)
    assert not any(each.refused for each in found[-1].front)
    refused = [sum(bool(each.refused) for each in generation.evaluations) for generation in found]
    assert refused[0] > 2 * sum(refused[-3:]) / 3  # a third of the choices of the first, few of the last


def test_search_takes_a_space_whole(tmp_path: Path) -> None:
    file = tmp_path / "study.toml"
    file.write_text(
        "[parameters]\nformat = ['int8', 'int8_l4', 'mxfp4']\nlanes = [4, 16, 20]\narray.rows = [2, 4]\n"
        "[[exclude]]\nformat = 'int8'\narray.rows = 2\n[search]\nmethod = 'pareto'\npoints = 100\npopulation = 4\n"
        "objectives = {energy_nj = 'less', latency_us = 'less'}\n"
    )
    study = read_study(file)
    expected = set(study.space.all().points)
    found = study.search(lambda points: [_evaluation(point, energy_nj=1.0, latency_us=1.0) for point in points])
    asked = [each.point for generation in found for each in generation.evaluations]
    assert len(asked) == len(set(asked)) == 3 + 2 + 2 * 2
    assert set(asked) == expected
    assert len(found[-1].front) == 9  # of equal points, all


def test_search_without_points_wrong(tmp_path: Path) -> None:
    file = tmp_path / "study.toml"
    file.write_text("[parameters]\nformat = 'mxfp4'\nlanes = 20\n[search]\nmethod = 'pareto'\npoints = 4\n")
    with pytest.raises(ValueError, match=r"study\.toml: no point is left: mxfp4, 20 lanes: lanes must divide"):
        read_study(file).search(_run)


def test_front_of_leaves_out_what_is_not_known() -> None:
    point = DesignPoint.of("int8")
    rows = [
        _evaluation(point, accuracy=0.9, energy_nj=2.0, area_mm2=1.0),
        _evaluation(point, accuracy=0.9, energy_nj=3.0, area_mm2=1.0),
        _evaluation(point, accuracy=0.8, energy_nj=1.0, area_mm2=0.5),
        _evaluation(point, accuracy=0.7, energy_nj=0.5, area_mm2=None),
        _evaluation(point, accuracy=None, energy_nj=0.1, area_mm2=0.1),
    ]
    assert front_of(rows, {"accuracy": "more", "energy_nj": "less"}) == (rows[0], rows[2], rows[3])
    assert front_of(rows, {"accuracy": "more", "energy_nj": "less"}, {"area_mm2": 0.7}) == (rows[2],)
    assert front_of(rows, {"accuracy": "more", "energy_nj": "less"}, {"accuracy": 0.85}) == (rows[0],)


def _ask_all(method: Nsga2, allowed: Callable[[tuple[int, ...]], bool]) -> list[tuple[int, ...]]:
    asked: list[tuple[int, ...]] = []
    while choices := method.ask(allowed):
        method.tell([Outcome((float(sum(choice)),)) for choice in choices])
        asked += choices
    return asked


def test_nsga2_asks_for_each_choice_once() -> None:
    sizes = (3, 1, 4, 2)
    asked = _ask_all(Nsga2(sizes, ["less"], 5, 0), lambda choice: choice[0] != 1)
    expected = {choice for choice in product(*map(range, sizes)) if choice[0] != 1}
    assert len(asked) == len(expected)
    assert set(asked) == expected


def test_nsga2_takes_a_single_choice() -> None:
    assert _ask_all(Nsga2((1, 1), ["less"], 2, 0), lambda choice: True) == [(0, 0)]


def test_nsga2_last_generation_may_be_small() -> None:
    method = Nsga2((9, 9), ["less", "more"], 6, 2)
    assert len(method.ask(lambda choice: True, 2)) == 2
    assert len(list(islice(iter(method.ask(lambda choice: True, 100)), 100))) == 6
