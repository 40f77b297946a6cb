# SPDX-License-Identifier: Apache-2.0
"""Fronts in words: a front a network and technology, what follows from a fitted price, which leads are chance."""

from typing import Any

import pytest

from hwsim.report.front_lines import front_lines
from hwsim.report.front_tables import front_tables
from hwsim.report.fronts import default_fronts, directed, front_keys, fronts, marks, swept_fronts
from hwsim.report.rows import fit_error, is_fitted, labels, row_of, short_names, varying
from hwsim.study import DesignPoint, Evaluation
from hwsim.study.quantities import KEYS


def _evaluation(name: str, settings: dict[str, Any] | None = None, refused: str = "", **changes: Any) -> Evaluation:
    given: dict[str, Any] = {"format": name, "unit": f"{name}_l16"}
    given |= {key: changes.pop(key) for key in ("network", "technology", "accelerator", "unit") if key in changes}
    point = DesignPoint(**given, settings=tuple((settings or {}).items()))
    known = {"accuracy": 0.97, "array_area_mm2": 0.01, "area_mm2": 0.02, "energy_nj": 20.0, "cost_fitted": False}
    return Evaluation(point=point, key=str(point), figures={**dict.fromkeys(KEYS), **known, **changes}, refused=refused)


def _row(name: str, **changes: Any) -> dict[str, Any]:
    return row_of(_evaluation(name, **changes))


def _fit(name: str, **changes: Any) -> dict[str, Any]:
    return _row(name, cost_fitted=True, cost_error=0.1, **changes)


ENERGY = directed(("accuracy", "energy_nj"))
# At 45 nm all is larger: next to 7 nm none of it would be on a front.
PLACES = [
    _row("int8", accuracy=0.98, energy_nj=30.0),
    _row("mxfp4", accuracy=0.96, energy_nj=10.0),
    _row("int8", accuracy=0.98, energy_nj=300.0, technology="nangate45"),
    _row("mxfp4", accuracy=0.96, energy_nj=100.0, technology="nangate45"),
    _row("worse", accuracy=0.96, energy_nj=101.0, technology="nangate45"),
]


def test_fronts_are_of_a_technology_each() -> None:
    found = fronts(PLACES, [ENERGY])
    assert [(front.technology, front.number) for front in found] == [("asap7", 1), ("nangate45", 1)]
    assert [marks(row, found) for row in PLACES] == ["1", "1", "1", "1", ""]
    assert [found[1].of_rows(PLACES)[key] for key in ("technology", "on")] == [
        "nangate45", [False, False, True, True, False]
    ]  # fmt: skip
    assert list(front_lines(found)) == [
        "front 1 in asap7, accuracy (more) against energy (less): int8, mxfp4",
        "front 1 in nangate45, accuracy (more) against energy (less): int8, mxfp4",
    ]


def test_fronts_are_of_a_network_each() -> None:
    rows = [_row("int8", network="one"), _row("int8", network="two", energy_nj=99.0)]
    assert [line.split(",")[0] for line in front_lines(fronts(rows, [ENERGY]))] == ["front 1 of one", "front 1 of two"]


def test_swept_fronts_are_of_a_technology_each_and_within_limits() -> None:
    given = [
        _evaluation("int8", accuracy=0.98),
        _evaluation("int4", accuracy=0.96, energy_nj=10.0),
        _evaluation("int8", technology="nangate45", energy_nj=200.0),
        _evaluation("wide", accuracy=0.99, refused="too wide"),
    ]
    found = swept_fronts(given, [ENERGY])
    assert [[row["format"] for row in front.members] for front in found] == [["int4", "int8"], ["int8"]]
    assert [table.title for table in front_tables(found, "t")] == ["t: digits in asap7", "t: digits in nangate45"]
    held = found[0].as_dict()
    assert (held["network"], held["technology"]) == ("digits", "asap7")
    assert held["members"][1]["figures"] == given[0].figures
    assert {key: held["members"][1][key] for key in given[0].point.as_dict()} == given[0].point.as_dict()
    limited = swept_fronts(given, [ENERGY], {"energy_nj": 15.0})
    assert [[row["format"] for row in front.members] for front in limited] == [["int4"], []]
    usual = swept_fronts(given[:1])
    assert [list(front.objectives) for front in usual] == [["accuracy", "energy_nj"], ["accuracy", "area_mm2"]]


def test_fronts_by_default_are_of_what_is_known() -> None:
    assert default_fronts([_row("int4")]) == (("accuracy", "array_area_mm2"), ("accuracy", "energy_nj"))
    unlabelled = [_row("int4", accuracy=None, agreement=0.5, output_sqnr_db=12.5)]
    assert [value for value, _ in default_fronts(unlabelled)] == ["output_sqnr_db"] * 2
    assert [value for value, _ in default_fronts([_row("int4", accuracy=None, agreement=0.5)])] == ["agreement"] * 2
    fpga = [_row("int4", array_area_mm2=None, energy_nj=None, lut=900)]
    assert default_fronts(fpga) == (("accuracy", "lut"), ("accuracy", "latency_us"))


def test_fronts_name_what_is_fitted_and_what_only_the_fit_puts_there() -> None:
    rows = [
        _fit("close", accuracy=0.96, energy_nj=19.0),  # 19 * 1.1 > 20: int8 would be better in both
        _row("int8", accuracy=0.97, energy_nj=20.0),
        _fit("far", accuracy=0.95, energy_nj=15.0),  # 15 * 1.1 < 19
        _fit("best", accuracy=0.99, energy_nj=90.0),
        _fit("bits", accuracy=0.90, energy_nj=95.0, bits_per_element=4.0),
    ]
    (found,) = fronts(rows, [ENERGY])
    assert [row["format"] for row in found.fitted] == ["close", "far", "best"]
    assert [row["format"] for row in found.unsure] == ["close"]
    assert next(front_lines([found])).endswith(": ~close (within the fit's error), int8, ~far, ~best")
    (rate,) = fronts([each | {"inferences_per_j": 1e9 / each["energy_nj"]} for each in rows],
                     [directed(("accuracy", "inferences_per_j"))])  # fmt: skip
    assert [row["format"] for row in rate.unsure] == ["close"]
    (values,) = fronts(
        [each | {"bits_per_element": 4.0} for each in rows], [directed(("accuracy", "bits_per_element"))]
    )
    assert values.fitted == values.unsure == ()


def test_fronts_know_the_row_that_only_the_fit_beats() -> None:
    rows = [_fit("fitted", energy_nj=19.5), _row("int8", energy_nj=20.0), _row("int4", accuracy=0.9, energy_nj=1.0)]
    (found,) = fronts(rows, [ENERGY])
    assert found.on == (True, False, True)
    assert [row["format"] for row in found.unsure] == ["fitted"]


def test_fronts_count_many_members() -> None:
    rows = [
        _row("int8", settings={"array.rows": rows}, accuracy=0.9 + rows / 1000, energy_nj=float(rows))
        for rows in range(1, 40)
    ]
    found = fronts([*rows, _fit("int4", accuracy=0.85, energy_nj=0.95)], [ENERGY])
    (line,) = front_lines(found)
    assert line.endswith(": 40 points, 1 of them with ~; within the fit's error: int4")
    (table,) = front_tables(found, "t")
    assert (table.title, table.row_count) == ("t: digits, 30 of 40", 30)


def test_front_lines_say_what_is_chance() -> None:
    shares = {"int4": 0.90, "mxfp4": 0.92, "int8": 0.98}
    rows = [
        _row(name, accuracy=share, energy_nj=100 * share, array_area_mm2=share, images=400)
        for name, share in shares.items()
    ]
    # sqrt(0.9 * 0.1 / 400) = 0.015
    said = "accuracy: the standard error of 400 images is 1.5 points, and leads below about 3.0 are noise"
    assert list(front_lines(fronts(rows)))[2:] == [f"{said}: mxfp4's 2.00 over int4"]
    more = [row | {"images": 40_000} for row in rows]
    assert list(front_lines(fronts(more)))[2:] == [
        "accuracy: the standard error of 40,000 images is 0.1 points, and leads below about 0.3 are noise"
    ]
    assert len(list(front_lines(fronts(rows, [directed(("bits_per_element", "energy_nj"))])))) == 1


def test_front_lines_of_chance_are_short() -> None:
    rows = [_row(f"int{bits}", accuracy=0.9 + bits / 1000, energy_nj=float(bits), images=100) for bits in range(2, 9)]
    line = list(front_lines(fronts(rows, [ENERGY])))[1]
    assert line.endswith("int3's 0.10 over int2, int4's 0.10 over int3, int5's 0.10 over int4, 3 others")
    sizes = [row | {"energy_nj": row["energy_nj"] + size, "area_mm2": 1 / size, "settings": {"array.rows": size}}
             for row in rows[:2] for size in (1, 2)]  # fmt: skip
    line = list(front_lines(fronts(sizes, [directed(("accuracy", "energy_nj", "area_mm2"))])))[1]
    assert line.endswith(" are noise: int3's 0.10 over int2")


@pytest.mark.parametrize(
    ("settings", "fitted"),
    [
        ({}, {"unit_area_um2", "unit_delay_ps", "energy_pj_per_mac", "array_area_mm2", "area_mm2", "energy_nj",
              "energy_units_nj", "energy_leakage_nj", "inferences_per_s_per_mm2", "inferences_per_j", "power_mw"}),
        ({"clock_mhz": 500}, {"array_area_mm2", "energy_nj", "power_mw"}),
        ({"clock_mhz": "fastest"}, {"clock_mhz", "latency_us", "inferences_per_s", "unit_delay_ps", "power_mw"}),
    ],
)  # fmt: skip
def test_fitted_is_what_follows_from_a_fitted_price(settings: dict[str, Any], fitted: set[str]) -> None:
    found = {key for key in KEYS if is_fitted(_fit("int6", settings=settings), key)}
    assert fitted <= found
    if settings != {"clock_mhz": "fastest"}:
        assert not found & {"clock_mhz", "latency_us", "inferences_per_s"}
    assert not found & {"accuracy", "cycles", "energy_sram_nj", "energy_registers_nj", "lut", "images", "utilisation"}
    assert not any(is_fitted(_row("int6", settings=settings), key) for key in KEYS)
    assert not is_fitted(_fit("int6"), "lut_with_dsp")


def test_fit_error_is_of_the_units_part() -> None:
    row = _fit("int6", energy_nj=20.0, energy_units_nj=4.0, energy_leakage_nj=1.0, settings={"clock_mhz": "fastest"})
    assert fit_error(row, "unit_area_um2") == fit_error(row, "array_area_mm2") == fit_error(row, "latency_us") == 0.1
    assert fit_error(row, "area_mm2") == pytest.approx(0.1 * 0.01 / 0.02)
    assert fit_error(row, "energy_nj") == fit_error(row, "inferences_per_j") == pytest.approx(0.1 * 5 / 20)
    assert fit_error(row, "power_mw") == pytest.approx(0.1 * 5 / 20 + 0.1)
    assert fit_error(row, "accuracy") == fit_error(_row("int6"), "energy_nj") == 0


def test_rows_are_named_by_what_tells_them_apart() -> None:
    rows = [_row("int4"), _row("int4", technology="nangate45")]
    assert varying(rows) == ("format", "technology")
    assert labels(rows) == ["int4 asap7", "int4 nangate45"]
    assert varying([_row("int4"), _row("int8")]) == ("format",)
    assert varying([_row("int4"), _row("int4", unit="int4_l8")]) == ("format", "unit")
    same = [_row("int4", settings={"array.rows": 4, "pipeline": 2}), _row("int4", settings={"pipeline": 2})]
    assert labels(same) == ["int4 rows=4", "int4"]
    assert labels([*same[:1], _row("int8")]) == ["int4", "int8"]
    assert labels(rows[:1], rows) == ["int4 asap7"]
    memories = [
        _row("int4", settings={"memory.activations.kilobytes": size, "memory.weights.kilobytes": 16, "pipeline": 2})
        for size in (16, 32)
    ]
    assert labels(memories) == ["int4 kilobytes=16", "int4 kilobytes=32"]
    more = _row("int4", settings={"memory.activations.kilobytes": 16, "memory.weights.kilobytes": 32})
    assert labels([*memories, more])[1] == ("int4 activations.kilobytes=32 weights.kilobytes=16 pipeline=2")


def test_front_keys() -> None:
    assert front_keys("accuracy, energy_nj,area_mm2") == ("accuracy", "energy_nj", "area_mm2")


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("accuracy", ValueError, "--front must be two quantities or more, each once, as accuracy,energy_nj, not 'acc"),
        ("accuracy,accuracy", ValueError, "--front must be two quantities or more, each once, as accuracy,energy_nj, "),
        ("accuracy,images", ValueError, "--front accuracy,images: neither more nor less images is better"),
        ("accuracy,energy", KeyError, "unknown quantity 'energy'; did you mean energy_nj"),
    ],
)
def test_front_keys_wrong(text: str, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind) as caught:
        front_keys(text)
    assert str(caught.value.args[0]).startswith(message)


def test_front_tables_tell_all_that_varies() -> None:
    sizes = [(activations, weights) for activations in (16, 64) for weights in (16, 32)]
    given = [
        _evaluation(
            name, accuracy=accuracy, latency_us=5.0, energy_nj=float(activations * weights),
            settings={
                "array.rows": 4, "memory.activations.kilobytes": activations, "memory.weights.kilobytes": weights
            },
        )
        for name, accuracy in (("int8", 0.98), ("int4", 0.97))
        for activations, weights in sizes
    ]  # fmt: skip
    (table,) = front_tables(swept_fronts(given, [directed(("accuracy", "energy_nj"))]), "t")
    assert [column.header for column in table.columns][:2] == ["format", "accuracy\n%"]
    assert table.caption == "the same in all rows: memory.activations.kilobytes=16, memory.weights.kilobytes=16"
    (table,) = front_tables(swept_fronts(given, [directed(("accuracy", "latency_us"))]), "t")
    cells = {column.header: list(column.cells) for column in table.columns}
    assert table.row_count == 1
    assert (cells["format"], cells["equal"]) == (["int8"], ["4"])
    assert (cells["activations\nkilobytes"], cells["weights\nkilobytes"]) == (["16 to 64"], ["16 to 32"])
    assert cells["energy\nnJ"] == ["256.0 to 2,048"]
    assert table.caption is None
    assert short_names(["array.rows", "a.b.size", "c.b.size"]) == ["rows", "a.b.size", "c.b.size"]
