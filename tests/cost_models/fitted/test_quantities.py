# SPDX-License-Identifier: Apache-2.0
"""Rows of measured costs, and the range of their features."""

import numpy as np
import pytest

from cost_models.cost import Cost
from cost_models.fitted import Row, row_of, rows_of
from cost_models.fitted.quantities import QUANTITIES, bases, basis_of, beyond, in_domain, limits_of


def _cost(unit: str, **more: object) -> Cost:
    values: dict[str, object] = {"technology": "asap7", "source": "made up", "area_um2": 2.5} | more
    return Cost(unit=unit, **values)  # type: ignore[arg-type]


def test_quantities_rows_of_costs() -> None:
    rows, left_out = rows_of(
        [
            _cost("int8_l1_int32", energy_pj=0.5, pipeline=1),
            _cost("int4_l1_int32", structures="tool"),
            _cost("int5_l1_int32", clock_mhz=500.0),
            _cost("int6_l1_int32", errors={"area_um2": 0.1}),
            _cost("no_such_unit"),
            _cost("int7_l1_int32", pipeline=3),
        ]
    )
    assert [(row.unit, row.pipeline, row.values) for row in rows] == [
        ("int8_l1_int32", 1, {"area_um2": 2.5, "energy_pj": 0.5})
    ]
    assert list(left_out) == [
        "int4_l1_int32 p2 tool None",
        "int5_l1_int32 p2 all 500.0",
        "int6_l1_int32 p2 all None",
        "no_such_unit p2",
        "int7_l1_int32 p3",
    ]
    assert "is for 1..2 register ranks, not 3" in left_out["int7_l1_int32 p3"]


def test_quantities_inverse_of_a_rate(rows: list[Row]) -> None:
    quantity = next(item for item in QUANTITIES if item.name == "fmax_mhz")
    assert quantity.goal(rows[0]) == 1.0 / rows[0].values["fmax_mhz"]
    assert quantity.value(0.25) == 4.0


def test_quantities_bases(rows: list[Row]) -> None:
    for quantity in QUANTITIES:
        terms, factors = bases(quantity)
        assert set(terms) | set(factors) <= set(rows[0].basis)
        assert any(name.startswith("toggles.") for name in terms) == ("energy" in quantity.name and quantity.toggles)
        assert any(name.startswith("depth.") for name in terms) == quantity.depths


def test_quantities_depths() -> None:
    basis = basis_of({"multiply.ands": 63.0, "toggles.inputs": 5.0})
    assert basis == {"multiply.ands": 63.0, "toggles.inputs": 5.0, "depth.multiply.ands": np.log2(64.0)}


def test_quantities_domain(rows: list[Row]) -> None:
    limits = limits_of(rows)
    assert all(in_domain(row.features, limits) for row in rows)
    own = dict(rows[0].features)
    assert beyond(own | {"multiply.ands": 1.24 * limits["multiply.ands"]}, limits) == []
    assert beyond(own | {"multiply.ands": 1.26 * limits["multiply.ands"]}, limits) == ["multiply.ands"]
    assert beyond(own | {"decode.posit": 1.0}, limits) == ["decode.posit"]


def test_quantities_measured_only_above_zero(rows: list[Row]) -> None:
    lut = next(item for item in QUANTITIES if item.name == "lut")
    assert lut.measured(rows) == []
    assert len(QUANTITIES[0].measured(rows)) == len(rows)


def test_quantities_unit_wrong() -> None:
    with pytest.raises(TypeError, match="unit must be a DotProductUnit, not None"):
        row_of(None, 2, {})  # type: ignore[arg-type]
