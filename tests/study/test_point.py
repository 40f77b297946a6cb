# SPDX-License-Identifier: Apache-2.0
"""Design points: the units they resolve to, their settings, their JSON."""

import json
import pickle

import pytest

from hwsim import datapath
from hwsim.study import DesignPoint
from hwsim.study.point import Setting, canonical
from hwsim.study.units import resolved


@pytest.mark.parametrize("name", ["int8", "mxfp4", "nf4", "posit8_0", "float8_e4m3fn"])
def test_point_of_a_format_has_the_comparable_unit(name: str) -> None:
    point = DesignPoint.of(name)
    assert point.dot_product_unit == datapath.comparable(name, 16)
    assert point.unit == datapath.comparable(name, 16).name


def test_point_of_other_registers_and_units() -> None:
    assert DesignPoint.of("int8", lanes=4, accumulator="int20").unit == "int8_l4_int20_to_float32"
    assert DesignPoint.of("mxfp4", accumulator="float32").unit == DesignPoint.of("mxfp4").unit
    assert DesignPoint.of("int8_l8_int24").dot_product_unit == datapath.named("int8_l8_int24")
    # Two formats: 4 and 8 bits give products of at most 2**10, so 12 bits of magnitude and sign, and 12 of head-room.
    pair = DesignPoint.of("int4_by_int8")
    assert pair.unit == "int4_by_int8_l16_int24_to_float32"
    assert (pair.dot_product_unit.a.name, pair.dot_product_unit.b.name) == ("int4", "int8")
    assert resolved("int8_by_int8") == datapath.comparable("int8", 16)
    assert resolved("mxint8_by_mxfp4", 8).name == "mxint8_by_mxfp4_l8_float32"
    # Units whose own name spells more than `named` reads keep the name they were asked for by.
    for name in ("posit8_0_quire", "hopper_e4m3_e4m3_float32"):
        point = DesignPoint.of(name)
        assert (point.unit, point.dot_product_unit) == (name, datapath.named(name))


def test_point_settings_are_sorted_and_come_back() -> None:
    settings: dict[str, Setting] = {"pipeline": 3, "array.rows": 8, "clock_mhz": "fastest", "quantization.smooth": 0.1}
    point = DesignPoint.of("int8", settings=settings)
    assert [key for key, _ in point.settings] == sorted(settings)
    assert point == DesignPoint.of("int8", settings=tuple(reversed(point.settings)))
    assert hash(point) == hash(DesignPoint.of("int8", settings=dict(reversed(list(settings.items())))))
    assert point.setting("array.rows") == 8
    assert point.setting("array.columns") is None
    assert point.with_settings(array__rows=4).setting("array.rows") == 4
    again = DesignPoint.from_dict(json.loads(json.dumps(point.as_dict())))
    assert (again, canonical(again.as_dict())) == (point, canonical(point.as_dict()))
    assert pickle.loads(pickle.dumps(point)) == point


@pytest.mark.parametrize(
    ("settings", "kind", "match"),
    [
        (
            (("array.rows", None),),
            TypeError,
            r"^setting 'array.rows' must be an int, a float, a str or a bool, not None$",
        ),
        ((("array.rows", 1), ("array.rows", 2)), ValueError, r"^setting 'array.rows' is twice there$"),
        ((("x", float("nan")),), ValueError, r"^setting 'x' must be finite, not nan$"),
        ((("unit", "int8"),), ValueError, r"^'unit' is no setting: give the point's own unit$"),
        ((("name", "mine"),), ValueError, r"^'name' is no setting"),
        (("array.rows",), TypeError, r"^settings must be pairs of a dotted key and a value, not 'array.rows'$"),
    ],
)
def test_point_settings_wrong(settings: tuple[object, ...], kind: type[Exception], match: str) -> None:
    with pytest.raises(kind, match=match):
        DesignPoint(format="int8", unit="int8_l16_int28_to_float32", settings=settings)  # type: ignore[arg-type]


def test_point_names_wrong() -> None:
    with pytest.raises(ValueError, match=r"^technology must not be empty$"):
        DesignPoint.of("int8", technology="")
    with pytest.raises(TypeError, match=r"^network must be a str, not 3$"):
        DesignPoint.of("int8", network=3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^format must be a str, not 8$"):
        DesignPoint.of(8)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^lanes must be an int, not 4.0$"):
        DesignPoint.of("int8", lanes=4.0)  # type: ignore[arg-type]
    with pytest.raises(KeyError, match=r"unknown format or unit 'mxpf4'.*mxfp4"):
        DesignPoint.of("mxpf4")
    with pytest.raises(
        ValueError, match=r"^accumulator must be left out with the unit 'int8_l4', whose register is its own$"
    ):
        DesignPoint.of("int8_l4", accumulator="int20")
    with pytest.raises(
        ValueError, match=r"^a compared format must hold values of both signs, and uint8 holds 0\.\.255$"
    ):
        DesignPoint.of("uint8")
