# SPDX-License-Identifier: Apache-2.0
"""Names of units, and what is said of names that are none."""

import re

import pytest

from hwsim.datapath import hardware, named
from hwsim.report.units.catalog import aliases_of, entries, entry_of, unit_of
from hwsim.report.units.show import Task, about, run

HOPPER = "hopper_wgmma_m64n8k32_f32_e4m3_e4m3"
ALIAS = "hopper_e4m3_e4m3_float32"


def test_catalog_names_of_any_case() -> None:
    for name in (HOPPER, ALIAS, "int8_l16", "mxfp4"):
        assert unit_of(name.upper()) == unit_of(name) == named(name)
    shown = [run(Task(names=(name,)), lambda text: None).figures for name in (HOPPER, HOPPER.upper())]
    assert shown[0] == shown[1]


def test_catalog_aliases() -> None:
    entry = hardware.entry(HOPPER)
    assert entry_of(ALIAS) == entry
    assert aliases_of(entry) == (ALIAS,)
    assert about(HOPPER, entry.unit)["also called"] == ALIAS
    assert about(ALIAS, entry.unit)["also called"] == HOPPER
    assert sum(len(aliases_of(each)) for each in entries()) == 4


def test_catalog_shows_no_name_that_is_refused() -> None:
    assert about("mxfp4", named("mxfp4")) == {"unit": "described by its name", "in full": "mxfp4_l32_float32"}
    assert HOPPER not in entries()[0].unit.name
    for name in ("int8", "nvfp4", "posit16_1_quire", "float8_e4m3fn_float16_e6m9", "float8_e4m3fn_fixed49"):
        full = about(name, named(name)).get("in full")
        assert full is None or named(full) == named(name)
    assert not {"spec", "in full"} & set(about(HOPPER, named(HOPPER)))


@pytest.mark.parametrize("word", ["hopper", "Hopper", "sm_90a", "nvidia", "ada_lovelace"])
def test_catalog_hint_of_an_architecture(word: str) -> None:
    with pytest.raises(KeyError, match=f"unknown unit '{word}': an architecture or a vendor: `hwsim units --arch"):
        unit_of(word)


@pytest.mark.parametrize("word", ["wgmma", "hoper_wgmma", "hopper_wgmma"])
def test_catalog_hint_of_a_part(word: str) -> None:
    with pytest.raises(KeyError, match=r"hopper_wgmma_m64n8k16_f32_f16, .*--architecture hopper` lists them"):
        unit_of(word)


@pytest.mark.parametrize("lanes", ["0", "1025", "999999999999"])
def test_catalog_lanes_wrong(lanes: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"int8_l{lanes}: lanes must be in 1..1024, not {lanes}")):
        unit_of(f"int8_l{lanes}")
