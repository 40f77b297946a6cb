# SPDX-License-Identifier: Apache-2.0
"""The rows that try a unit: complete, within their formats, and the same every time."""

from itertools import pairwise, product

import numpy as np
import pytest

from hwsim import formats
from hwsim.datapath import Row, dot_exact, named
from hwsim.formats import FloatSpec, IntegerSpec
from testbenches.ports import Port, register_bits, shell_ports
from testbenches.stimulus import all_pairs, corner_codes, corners, fields, random_rows, stimulus

UNITS = (
    "int4",
    "int8",
    "uint4",
    "int4_by_int8_l8",
    "float8_e4m3fn",
    "float8_e5m2",
    "float8_e4m3fnuz_l4",
    "bfloat16_l4",
    "mxint8",
    "mxfp4",
    "nvfp4",
    "hopper_e4m3_e4m3_float32",
)


@pytest.mark.parametrize("name", UNITS)
def test_stimulus_fits_the_unit(name: str) -> None:
    unit = named(name)
    rows = stimulus(unit, count=300, corner_rows=500)
    assert rows[0].first
    assert rows[-1].last
    packed = shell_ports(unit).pack(fields(unit, rows))
    assert len(packed) == len(rows)
    assert len(dot_exact(unit, rows)) == sum(row.last for row in rows) > 500


@pytest.mark.parametrize("name", UNITS)
def test_stimulus_is_the_same_again(name: str) -> None:
    unit = named(name)
    assert random_rows(unit, 200, seed=5) == random_rows(unit, 200, seed=5)
    assert random_rows(unit, 200, seed=5) != random_rows(unit, 200, seed=6)
    assert corners(unit, 100, seed=5) == corners(unit, 100, seed=5)


def test_stimulus_all_pairs_of_one_lane() -> None:
    rows = all_pairs(named("float8_e4m3fn"))
    assert [(*row.a, *row.b) for row in rows] == list(product(range(256), range(256)))
    assert all(row.first and row.last and row.c == 0 for row in rows)
    assert all_pairs(named("bfloat16")) == []


@pytest.mark.parametrize(("name", "finite"), [("mxfp4", 16 * 16), ("mxfp8_e4m3", 254 * 254)])
def test_stimulus_all_pairs_of_lanes(name: str, finite: int) -> None:
    rows = all_pairs(named(name))
    assert len({pair for row in rows for pair in zip(row.a, row.b, strict=True)}) == finite
    assert len(rows) == -(-finite // 32)


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        # OCP 8-bit Floating Point 1.0, table 2: zeros, least and largest subnormal and normal, NaN (and infinity).
        ("float8_e4m3fn", {0x00, 0x80, 0x01, 0x07, 0x08, 0x7E, 0xFE, 0x7F, 0xFF}),
        ("float8_e5m2", {0x00, 0x80, 0x01, 0x03, 0x04, 0x7B, 0xFB, 0x7C, 0xFC, 0x7D, 0x7F}),
        # IEEE 754-2019, table 3.5.
        ("float32", {0, 1 << 31, 1, 0x007FFFFF, 0x00800000, 0x3F800000, 0x7F7FFFFF, 0x7F800000, 0x7FC00000}),
        ("int8", {0x00, 0x01, 0xFF, 0x7F, 0x80, 0x81, 0x55, 0xAA}),
        ("uint8", {0x00, 0x01, 0xFF, 0xFE, 0x7F, 0x80}),
        ("float8_e8m0fnu", {0x00, 0x01, 0x7F, 0xFE, 0xFF}),
    ],
)
def test_stimulus_corners_of_a_format(name: str, codes: set[int]) -> None:
    spec = formats.named(name)
    assert isinstance(spec, IntegerSpec | FloatSpec)
    found = corner_codes(spec)
    assert codes <= set(found)
    assert found == sorted(set(found))
    assert 0 <= found[0] <= found[-1] < 1 << spec.bits


def test_stimulus_corners_are_crossed() -> None:
    unit = named("int8")
    rows = corners(unit)
    codes, registers = corner_codes(unit.element_a), {0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF}
    assert {(row.a[0], row.b[0], row.c) for row in rows} >= set(product(codes, codes, registers))


def test_stimulus_corners_reach_every_lane() -> None:
    unit = named("nvfp4")
    rows = corners(unit, 2000)
    assert len(rows) == 256 + 2000
    lonely = [row for row in rows if sum(map(bool, row.a)) == 1]
    assert {row.a.index(max(row.a)) for row in lonely} == set(range(16))
    assert {row.scales for row in rows} >= {(0x7E, 0x7E), (0x7F, 0x00), (0x01, 0x7E)}


@pytest.mark.parametrize("name", UNITS)
def test_stimulus_random_rows_are_mixed(name: str) -> None:
    unit = named(name)
    rows = random_rows(unit, 4096)
    assert len(rows) == 4096
    starts = [index for index, row in enumerate(rows) if row.first]
    lengths = np.diff([*starts, len(rows)])
    assert lengths.min() == 1
    assert lengths.max() >= 20
    # Sums that go on after an output, and sums that are abandoned.
    assert any(row.last and not after.first for row, after in pairwise(rows))
    assert any(after.first and not row.last for row, after in pairwise(rows))
    outputs = dot_exact(unit, rows)
    assert len(set(outputs)) > len(outputs) // 4
    if unit.has_specials:
        finite = np.isfinite(unit.output.decode(np.array(outputs, np.uint64)))
        assert 0.7 < finite.mean() < 1


def test_stimulus_random_rows_cancel() -> None:
    unit = named("float8_e4m3fn_float32")
    pairs = pairwise(random_rows(unit, 4096))
    opposite = [one.a[0] ^ other.a[0] in (0x80, 0x81) and one.b == other.b for one, other in pairs]
    assert sum(opposite) > 200


def test_stimulus_fields_are_packed() -> None:
    unit = named("nvfp4")
    row = Row(True, False, tuple(range(16)), (15,) * 15 + (1,), (0x12, 0x34), 0xABCD)
    assert fields(unit, [row]) == {
        "first": [1],
        "last": [0],
        "a": [0xFEDCBA9876543210],
        "b": [0x1FFFFFFFFFFFFFFF],
        "scale_a": [0x12],
        "scale_b": [0x34],
        "c": [0xABCD],
    }
    ports = shell_ports(unit)
    assert [(port.name, port.bits) for port in ports.fields] == [
        ("first", 1),
        ("last", 1),
        ("a", 64),
        ("b", 64),
        ("scale_a", 8),
        ("scale_b", 8),
        ("c", 32),
    ]
    word = ports.pack(fields(unit, [row]))[0]
    assert (word & 3, word >> 2 & 0xFFFF, word >> 146) == (1, 0x3210, 0xABCD)


def test_stimulus_register_bits() -> None:
    assert register_bits(named("int8")) == 32
    assert register_bits(named("float8_e4m3fn")) == 49
    assert register_bits(named("mxfp4")) == 32


def test_stimulus_count_wrong() -> None:
    with pytest.raises(ValueError, match=r"^count must be at least 1, not 0$"):
        stimulus(named("int4"), count=0)
    with pytest.raises(ValueError, match=r"^corner_rows must be at least 1, not 0$"):
        stimulus(named("int4"), corner_rows=0)


def test_ports_wrong() -> None:
    with pytest.raises(ValueError, match=r"^bits of port a must be at least 1, not 0$"):
        Port(name="a", bits=0)
    ports = shell_ports(named("int4"))
    with pytest.raises(ValueError, match=r"^fields must hold last with 1 bit, not first$"):
        type(ports)(fields=ports.fields[:1], output_bits=1)
    with pytest.raises(ValueError, match=r"^fields must have different names, not first, last, a, b, c, c$"):
        type(ports)(fields=(*ports.fields, ports.fields[-1]), output_bits=1)
