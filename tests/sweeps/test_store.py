# SPDX-License-Identifier: Apache-2.0
import json
import os
import random
import time
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any

import pytest

from cost_models import Cost
from cost_models.cost import Point
from hwsim.study.evaluation import Evaluation
from hwsim.study.point import DesignPoint
from hwsim.study.quantities import KEYS, QUANTITIES
from hwsim.sweeps.parts import write_part
from hwsim.sweeps.store import Store, merge

pa = pytest.importorskip("pyarrow")


def made(number: int, **changes: Any) -> Evaluation:
    """Return an evaluation of figures that are known from its number alone."""
    generator = random.Random(number)
    kinds = {"float": generator.random() / 3, "int": number, "str": f"text {number}", "bool": number % 2 == 0}
    figures = {
        each.key: None if (number + index) % 5 == 0 else kinds[each.kind] for index, each in enumerate(QUANTITIES)
    }
    point = DesignPoint(format="int8", unit="int8_int32", settings=(("array.rows", number), ("share", number / 7)))
    layer = {"name": "fc", "macs": number, "energy_nj": generator.random(), "sqnr_db": inf}
    stages = {"area_um2": {"multiply": generator.random()}}
    values: dict[str, Any] = {
        "point": point, "key": f"{number:064x}", "figures": figures, "layers": (layer,), "stages": stages,
        "sources": (f'"{number}"',), "refused": "",
    }  # fmt: skip
    return Evaluation(**(values | changes))


def parts(store: Store) -> list[bytes]:
    return [path.read_bytes() for path in store.parts("points")]


def test_store_gives_back_evaluations_in_every_bit(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    given = [made(number) for number in range(40)] + [made(50, refused="too fast", figures=dict.fromkeys(KEYS))]
    store.add(reversed(given[:20]))
    store.add(given[20:])
    assert store.add([]) is None
    found = store.evaluations()
    assert found == given
    assert [json.dumps(each.as_dict()) for each in found] == [json.dumps(each.as_dict()) for each in given]
    assert store.keys() == {each.key for each in given}
    assert store.evaluations([given[3].key]) == [given[3]]
    assert sum(isinstance(dict(each.point.settings)["array.rows"], int) for each in found) == 41


def test_store_compacted_has_the_same_bytes_whatever_the_order(tmp_path: Path) -> None:
    one, other = Store(tmp_path / "one"), Store(tmp_path / "other")
    given = [made(number) for number in range(30)]
    one.add(given)
    for index in random.Random(1).sample(range(30), 30):
        other.add([given[index], given[(index + 1) % 30]])
    assert len(other.parts("points")) == 30
    one.compact()
    other.compact()
    assert len(parts(one)) == 1
    assert parts(one) == parts(other)
    other.compact()
    assert parts(one) == parts(other)
    assert other.evaluations() == given


def test_store_keeps_values_and_prices(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    figures = {"figures": {"accuracy": 1 / 3}, "layers": {"fc": {"sqnr_db": inf}}, "sources": ["digits"], "refused": ""}
    cost = Cost(
        unit="u", technology="asap7", source="measured", area_um2=1 / 3, front=(Point("tree", "fast", 2.0, 3.0),)
    )
    store.add_values("a", "digits", "u", figures)
    store.add_cost("b", replace(cost, seconds=12.5))
    assert store.values() == {"a": figures}
    assert store.costs() == {"b": cost}


def test_store_is_read_by_duckdb(tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    store = Store(tmp_path / "store")
    store.add(made(number) for number in range(5))
    found = duckdb.sql(
        f"select unit, json_extract(layers, '$[0].macs')::int as macs from '{store.path}/points/*.parquet'"
    )
    assert sorted(found.fetchall()) == [("int8_int32", number) for number in range(5)]


def test_store_leaves_unfinished_parts_alone(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    store.add([made(1)])
    old, new = (store.path / "points" / f".{name}.unfinished" for name in ("old", "new"))
    for path in (old, new):
        path.write_bytes(b"PAR1 cut short")
    os.utime(old, (time.time() - 3600, time.time() - 3600))
    assert store.keys() == {made(1).key}
    store.compact()
    assert store.evaluations() == [made(1)]
    assert not old.exists()
    assert new.exists()


@pytest.mark.parametrize("damage", ["cut", "text", "empty", "another kind"])
def test_store_part_wrong(tmp_path: Path, damage: str) -> None:
    store = Store(tmp_path / "store")
    path = store.add([made(1)])
    assert path is not None
    contents = path.read_bytes()
    values = store.add_values("a", "digits", "u", {})
    assert values is not None
    path.write_bytes(
        {"cut": contents[:-40], "text": b"a,b\n1,2\n", "empty": b"", "another kind": values.read_bytes()}[damage]
    )
    says = "no part of a store's points: it has columns figures" if damage == "another kind" else "damaged, or no part"
    for read in (store.keys, store.evaluations, store.compact):
        with pytest.raises(ValueError, match=f"{path}: {says}"):
            read()


def test_store_reads_parts_of_a_version_with_fewer_figures(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    whole = store.add([made(2)])
    assert whole is not None
    write_part(store.path / "points", store.table().drop_columns(["accuracy"]))
    whole.unlink()
    assert made(2)["accuracy"] is not None
    assert store.evaluations() == [made(2, figures={**made(2).figures, "accuracy": None})]


def test_store_path_wrong(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("", encoding="utf-8")
    with pytest.raises(ValueError, match="a store must be a folder, not the file"):
        Store(tmp_path / "file")
    with pytest.raises(ValueError, match="is a folder of something else: it has none of points, values, costs"):
        Store(tmp_path / "other")
    with pytest.raises(FileNotFoundError, match="no store"):
        Store(tmp_path / "none", create=False)
    assert not (tmp_path / "none").exists()


def test_store_row_wrong(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    with pytest.raises(ValueError, match="a row of values must have a key and none but key, network, unit, figures"):
        store.append("values", [{"key": "a", "speed": 1}])
    with pytest.raises(ValueError, match="a row of points has a value of another type than its column"):
        store.add([made(1, figures={"accuracy": "good"})])
    assert not store.parts("points")


def test_merge_is_the_union(tmp_path: Path) -> None:
    one, other, whole = (Store(tmp_path / name) for name in ("one", "other", "whole"))
    given = [made(number) for number in range(12)]
    one.add(given[:8])
    other.add(given[4:])
    other.add_values("a", "digits", "u", {})
    whole.add(given)
    whole.compact()
    added = merge([one, other.path], tmp_path / "into")
    into = Store(tmp_path / "into")
    assert added == {"points": 12, "values": 1, "costs": 0}
    assert parts(into) == parts(whole)
    assert merge([one], into)["points"] == 0
    assert parts(into) == parts(whole)
    assert len(one.parts("points")) == 1


def test_merge_names_parts_that_differ(tmp_path: Path) -> None:
    one, other = Store(tmp_path / "one"), Store(tmp_path / "other")
    figures = dict.fromkeys(KEYS) | {"accuracy": 0.5}
    first = one.add([made(1), made(3, figures=figures)])
    second = other.add([made(3, figures=figures | {"accuracy": 0.75})])
    with pytest.raises(ValueError, match=r"differ about points 0*3: accuracy is 0\.(5 and 0\.7|75 and 0\.)5") as caught:
        merge([one, other], tmp_path / "into")
    assert str(first) in str(caught.value)
    assert str(second) in str(caught.value)
    assert not Store(tmp_path / "into").parts("points")


def test_merge_store_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no store"):
        merge([tmp_path / "none"], tmp_path / "into")
    assert not (tmp_path / "into").exists()
