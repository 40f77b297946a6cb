# SPDX-License-Identifier: Apache-2.0
"""The table of figures."""

import pytest

from cost_models import Cost
from hwsim.study import QUANTITIES, quantity
from hwsim.study.quantities import KEYS


def test_quantities_are_each_there_once_and_described() -> None:
    assert len(set(KEYS)) == len(QUANTITIES) == len({each.label for each in QUANTITIES})
    for each in QUANTITIES:
        assert each.description.endswith("."), each.key
        assert each.kind in {"float", "int", "str", "bool"}
        assert each.better in {"more", "less", None}
        for suffix, unit in (
            ("_nj", "nJ"),
            ("_mm2", "mm2"),
            ("_um2", "um2"),
            ("_ps", "ps"),
            ("_db", "dB"),
            ("_mhz", "MHz"),
        ):
            if each.key.endswith(suffix):
                assert each.unit.endswith(unit), each.key
    assert quantity("energy_nj").better == "less"
    assert quantity("accuracy").as_dict()["unit"] == ""


def test_quantities_are_made_of_prices_that_there_are() -> None:
    prices = {price for each in QUANTITIES for price in each.prices}
    assert prices <= {*Cost.__dataclass_fields__, "clock_mhz"}
    assert {each.key for each in QUANTITIES if "delay_ps" in each.prices} == {"unit_delay_ps"}


def test_quantity_key_wrong() -> None:
    with pytest.raises(KeyError, match=r"unknown quantity 'acuracy'; did you mean accuracy, float_accuracy"):
        quantity("acuracy")
    with pytest.raises(KeyError, match=r"unknown quantity 'xyz'; there are bits_per_element, accuracy"):
        quantity("xyz")
