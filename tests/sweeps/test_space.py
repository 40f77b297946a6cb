# SPDX-License-Identifier: Apache-2.0
from collections import Counter
from itertools import islice, product
from math import prod

import pytest

from hwsim.study import DesignPoint
from hwsim.study.point import Setting
from hwsim.sweeps.genetic import shuffled
from hwsim.sweeps.space import DEFAULT, Grid, Space, point_of

_PARAMETERS: dict[str, tuple[Setting, ...]] = {
    "format": ("int8", "mxfp4"), "lanes": (8, 16), "accelerator": ("mxfp4_4x4", "int8_16x16"),
    "array.rows": (2, 4, 8), "clock_mhz": (DEFAULT, "fastest"),
}  # fmt: skip


def test_space_all_is_the_product_in_order() -> None:
    chosen = Space((Grid(_PARAMETERS),)).all()
    expected = [
        DesignPoint.of(
            str(name), lanes=int(lanes), accelerator=str(accelerator),
            settings={"array.rows": rows, **({} if clock == DEFAULT else {"clock_mhz": clock})},
        )
        for name, lanes, accelerator, rows, clock in product(*_PARAMETERS.values())
    ]  # fmt: skip
    assert list(chosen.points) == expected
    assert chosen.as_dict() == {
        "combinations": 48, "excluded": 0, "repeated": 0, "impossible": {}, "points": 48
    }  # fmt: skip


def test_space_excludes_partial_matches() -> None:
    excludes: tuple[dict[str, tuple[Setting, ...]], ...] = (
        {"format": ("int8",), "lanes": (8,)},
        {"array.rows": (2, 8)},
    )
    space = Space((Grid(_PARAMETERS),), excludes)
    chosen = space.all()
    kept = [
        values for values in product(*_PARAMETERS.values()) if values[:2] != ("int8", 8) and values[3] not in {2, 8}
    ]
    assert len(chosen.points) == len(kept) == 12
    assert chosen.excluded == len(space) - 12
    assert {point.setting("array.rows") for point in chosen.points} == {4}


def test_space_excludes_tell_true_from_one() -> None:
    grid = Grid({"format": ("int8",), "quantization.gptq": (True,), "array.rows": (1,)})
    assert not Space((grid,), ({"quantization.gptq": (1,)},)).all().excluded
    assert Space((grid,), ({"quantization.gptq": (True,)},)).all().excluded == 1


def test_space_counts_equal_points_once() -> None:
    unit = "int8_l4_int32"  # names its lanes: the parameter says nothing to it
    chosen = Space((Grid({"format": (unit, "int8"), "lanes": (4, 8, 16)}),)).all()
    assert [point.format for point in chosen.points] == [unit, "int8", "int8", "int8"]
    assert chosen.repeated == 2


def test_space_says_which_units_cannot_be() -> None:
    chosen = Space((Grid({"format": ("mxfp4", "int8"), "lanes": (16, 20)}),)).all()
    assert len(chosen.points) == 3
    assert list(chosen.impossible.items()) == [
        ("mxfp4, 20 lanes: lanes must divide a's block of 32, or be a multiple of it, and 20 is neither", 1)
    ]


def test_space_accumulator_and_unit() -> None:
    point = point_of({"format": "int8", "lanes": 4, "accumulator": "int20", "technology": "nangate45"})
    assert isinstance(point, DesignPoint)
    assert point == DesignPoint.of("int8", lanes=4, accumulator="int20", technology="nangate45")
    assert point_of({"unit": "int8_l4_int32"}) == DesignPoint.of("int8_l4_int32")
    assert point_of({"format": "int8", "accumulator": DEFAULT}) == DesignPoint.of("int8")


def test_space_grid_is_not_made_when_too_large() -> None:
    space = Space((Grid({"format": ("int8",), "array.rows": tuple(range(1, 4097)), "lanes": tuple(range(1, 4097))}),))
    with pytest.raises(ValueError, match=r"the parameters have 16,777,216 combinations, and a grid at most 1,000,000"):
        space.all()
    assert len(space.random(20, seed=3).points) == 20


def test_space_random_is_without_replacement_and_seeded() -> None:
    space = Space((Grid(_PARAMETERS),), ({"array.rows": (8,)},))
    chosen = space.random(10, seed=1)
    assert len(set(chosen.points)) == 10
    assert chosen.points == space.random(10, seed=1).points
    assert chosen.points != space.random(10, seed=2).points
    assert chosen.points == space.random(25, seed=1).points[:10]  # more points begin with the same
    everything = space.random(1000, seed=1)
    assert set(everything.points) == set(space.all().points)
    assert len(everything.points) == 32
    assert everything.excluded == 16


def test_shuffled_goes_through_all_once() -> None:
    sizes = (4, 1, 5, 6)
    order = list(shuffled(sizes, 7))
    assert len(order) == len(set(order)) == prod(sizes)
    assert all(0 <= index < size for indices in order for index, size in zip(indices, sizes, strict=True))


def test_shuffled_gives_every_order_as_often() -> None:
    orders = Counter(tuple(index for (index,) in shuffled((3,), seed)) for seed in range(6000))
    assert len(orders) == 6
    assert all(abs(count - 1000) < 5 * 1000**0.5 for count in orders.values())  # five standard deviations


def test_shuffled_holds_little_of_a_large_grid() -> None:
    sizes = (1 << 10,) * 5
    assert len(set(islice(shuffled(sizes, 0), 1000))) == 1000
