# SPDX-License-Identifier: Apache-2.0
"""Liberty files read as technologies: one computed by hand, our own written and read back, a real one where it is."""

import csv
import gzip
import re
from pathlib import Path

import pytest

from cost_models.technologies import LinearDelay, Technology, Wires, liberty, linear_delays, read, read_liberty
from cost_models.technologies.function import truth_table

TINY = Path(__file__).with_name("tiny.lib")
# where Debian's packages qflow-tech-osu018 and qflow-tech-osu035 put them
OSU = "/usr/share/qflow/tech/{name}/{name}_stdcells.lib"


def _read(path: Path) -> Technology:
    found = read(path)
    assert isinstance(found, Technology)
    return found


def _tiny(tmp_path: Path, old: str = "", new: str = "") -> Path:
    text = TINY.read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "mine.lib"
    path.write_text(text.replace(old, new) if old else text, encoding="utf-8")
    return path


def test_liberty_library_operating_point() -> None:
    technology = _read(TINY)
    point = technology.operating_point
    assert (technology.name, technology.node_nm, technology.wires) == ("tiny", 0.0, None)
    assert (technology.inverter, technology.nand2, technology.driver) == ("INV_A", "NAND2", "INV_B")
    assert (point.voltage_v, point.temperature_c) == (2.0, 25.0)
    # four times 10 fF; the slew s = 0.03 + 0.5 s + 0.04 ns is 0.14 ns; the delay 0.02 + 0.1 s + 2 * 0.04 ns
    assert point.load_ff == pytest.approx(40)
    assert point.input_slew_ps == pytest.approx(140)
    assert point.fo4_ps == pytest.approx(114)


def test_liberty_library_cells() -> None:
    cells = _read(TINY).cells
    assert set(cells) == {"INV_A", "INV_B", "NAND2", "DFF"}
    inverter, double, nand2 = cells["INV_A"], cells["INV_B"], cells["NAND2"]
    assert (inverter.area_um2, inverter.outputs, inverter.drive) == (3.0, {"Y": "!A"}, 1.0)
    assert dict(inverter.pin_caps_ff) == pytest.approx({"A": 10.0})
    # mean of 1 and 3 units of 10 pW; a rise of 3 fJ and a fall of 1 fJ
    assert inverter.leakage_nw == pytest.approx(0.02)
    assert inverter.internal_fj == pytest.approx(2)
    assert (inverter.delay_ps, inverter.delay_max_ps) == pytest.approx((114, 124))
    assert inverter.out_slew_ps == pytest.approx(140)
    assert inverter.slope_ps_per_ff == pytest.approx(2)
    # at a slew of 0.14: 2.4 fJ from one supply and 1 fJ from the other; 0.05 to 0.09 ns over 40 fF
    assert double.internal_fj == pytest.approx(3.4)
    assert double.outputs == {"Y": "!A"}
    assert (double.delay_ps, double.slope_ps_per_ff, double.drive) == pytest.approx((70, 1, 2))
    # 0.05 + 3 * 0.04 + 0.2 * 0.14 ns
    assert (nand2.delay_ps, nand2.out_slew_ps, nand2.slope_ps_per_ff) == pytest.approx((198, 200, 3))
    assert nand2.leakage_nw == pytest.approx(0.07)
    assert (nand2.outputs, nand2.inputs) == ({"Y": "!(A*B)"}, ("A", "B"))


def test_liberty_library_leakage_of_supplies(tmp_path: Path) -> None:
    """Each state once a supply, as ASAP7's files have it, with 0 for the ground: not half of it."""
    given = 'leakage_power () { when : "A"; value : 1; }'
    apart = given.replace("value : 1;", "value : 1; related_pg_pin : VDD;")
    ground = apart.replace("value : 1;", "value : 0;").replace("VDD", "VSS")
    path = _tiny(tmp_path, given, f"{apart} {ground}")
    text = path.read_text(encoding="utf-8")
    other = 'leakage_power () { when : "!A"; value : 3; }'
    assert text.count(other) == 1
    apart, ground = (
        other.replace("value : 3;", f"value : {value}; related_pg_pin : {pin};")
        for value, pin in ((3, "VDD"), (0, "VSS"))
    )
    path.write_text(text.replace(other, f"{apart} {ground}"), encoding="utf-8")
    assert _read(path).cells["INV_A"].leakage_nw == pytest.approx(0.02)  # mean of 1 and 3 units of 10 pW


def test_liberty_library_flip_flop() -> None:
    flip_flop = _read(TINY).cells["DFF"]
    assert (flip_flop.clock, flip_flop.data, flip_flop.outputs) == ("CK", "D", {"QN": "!IQ"})
    assert dict(flip_flop.pin_caps_ff) == pytest.approx({"D": 5.0, "CK": 4.0})
    assert (flip_flop.delay_ps, flip_flop.delay_max_ps, flip_flop.out_slew_ps) == pytest.approx((450, 550, 150))
    # 0.1 + 0.14 - 0.07 ns; the clock's edges have 5 and 3 fJ
    assert flip_flop.setup_ps == pytest.approx(170)
    assert (flip_flop.clock_fj, flip_flop.internal_fj) == pytest.approx((4, 6))


def test_liberty_library_linear_delays() -> None:
    delays = linear_delays(_read(TINY))
    assert delays["INV_A"].slope_ps_per_ff == pytest.approx(2)
    assert delays["INV_A"].intrinsic_ps == pytest.approx(114 - 80)
    assert isinstance(delays["DFF"], LinearDelay)
    assert delays["DFF"].slope_ps_per_ff == pytest.approx(2.5)


def test_liberty_library_left_out() -> None:
    assert dict(_read(TINY).left_out) == {
        "BARE": "no delay tables",
        "DFFR": "set or reset RN",
        "FILL": "no outputs",
        "GATE": "a clock gate",
        "LAT": "a latch",
        "NEG": "clocked on '!CK'",
        "OLD": "dont_use",
        "PAD": "a pad",
        "SCAN": "scan or enable: next state '(SE SI) + (!SE D)'",
        "TIE": "no inputs",
        "TRI": "a three-state output",
        "WIDE": "more than 6 inputs",
        "WORD": "a bus",
    }


def test_liberty_library_other_tables(tmp_path: Path) -> None:
    # a table of another kind is no reason to refuse the library, only the cell
    template = "lu_table_template (own) { variable_1 : input_voltage; }\n  cell (INV_A)"
    path = _tiny(tmp_path, "cell (INV_A)", template)
    path.write_text(path.read_text(encoding="utf-8").replace("cell_rise (load_slew)", "cell_rise (own)"))
    with pytest.raises(ValueError, match=r"no usable NAND2; left out 14 cells: "):
        read(path)
    path.write_text(path.read_text(encoding="utf-8").replace("cell_rise (own)", "cell_rise (load_slew)"))
    path.write_text(path.read_text(encoding="utf-8").replace("power (energy)", "power (own)").replace(
        "power_lut_template (energy)", "power_lut_template (unused)"))  # fmt: skip
    assert _read(path).left_out["INV_B"] == "power has a variable 'input_voltage' that we do not read"


def test_liberty_library_only_reset(tmp_path: Path) -> None:
    # as IHP's: the reset is tied, its pin and its arcs are no part of the cell
    text = TINY.read_text(encoding="utf-8")
    start, end = text.index("  cell (DFF) {"), text.index("  cell (DFFR) {")
    path = tmp_path / "reset.lib"
    path.write_text(text[:start] + text[end:], encoding="utf-8")
    technology = _read(path)
    cell = technology.cells["DFFR"]
    assert set(cell.pin_caps_ff) == {"D", "CK"}
    assert cell.delay_ps == pytest.approx(350)
    assert technology.source == "reset.lib; set and reset of its flip-flops tied"


def test_liberty_library_compressed(tmp_path: Path) -> None:
    path = tmp_path / "tiny.lib.gz"
    path.write_bytes(gzip.compress(TINY.read_bytes()))
    assert _read(path).cells == _read(TINY).cells
    path.write_bytes(gzip.compress(TINY.read_bytes())[:200])
    with pytest.raises(ValueError, match=r"tiny\.lib\.gz: not a gzip file: "):
        read(path)


def test_liberty_library_digest(tmp_path: Path) -> None:
    assert _read(TINY).digest == _read(_tiny(tmp_path)).digest
    assert _read(TINY).digest != _read(_tiny(tmp_path, "area : 3;", "area : 3.5;")).digest
    assert _read(TINY).digest != read_liberty(TINY, inverter="INV_B").digest


def test_liberty_library_inverter() -> None:
    technology = read_liberty(TINY, inverter="INV_B")
    assert technology.inverter == "INV_B"
    assert technology.operating_point.load_ff == pytest.approx(80)
    with pytest.raises(ValueError, match=r"tiny\.lib: inverter must be one of INV_A, INV_B, not 'NAND2'$"):
        read_liberty(TINY, inverter="NAND2")


def test_liberty_library_by_toml(tmp_path: Path) -> None:
    _tiny(tmp_path)
    path = tmp_path / "mine.toml"
    path.write_text(
        'kind = "liberty"\nfile = "mine.lib"\nname = "ours"\nnode_nm = 65\nlicence = "secret"\n'
        "[wires]\ncapacitance_ff_per_um = 0.2\nutilization = 0.7\npitches_per_pin = 2\n",
        encoding="utf-8",
    )
    technology = _read(path)
    assert (technology.name, technology.node_nm, technology.licence) == ("ours", 65, "secret")
    assert technology.wires == Wires(capacitance_ff_per_um=0.2, utilization=0.7, pitches_per_pin=2.0)
    assert technology.cells == _read(TINY).cells
    assert technology.digest != _read(TINY).digest
    path.write_text(path.read_text(encoding="utf-8").split("[wires]")[0], encoding="utf-8")
    assert _read(path).digest == technology.digest


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("files = 'x'", "unknown key 'files'; close matches: file"),
        ("name = 3", "name must be str, not 3$"),
        ("name = 'x'", "missing file$"),
    ],
)
def test_liberty_library_toml_wrong(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(f'kind = "liberty"\n{line}\n', encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        read(path)
    path.write_text('kind = "liberty"\nfile = "none.lib"\n', encoding="utf-8")
    with pytest.raises(FileNotFoundError, match=r"mine\.toml: file none\.lib does not exist$"):
        read(path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("library (tiny) {", "module tiny (a);", r":2: not a Liberty file: want 'library \(', not 'module'$"),
        ("area : 3;", "area : three;", r":\d+: want a number, not 'three'$"),
        ("1ns", "1 day", r": time_unit must be a number and a unit such as 1ns, not '1 day'$"),
        ("10pW", "10", r": leakage_power_unit must be a number and a unit such as 1nw, not '10'$"),
        ("capacitive_load_unit", "load_unit", r": capacitive_load_unit \(value, unit\) is missing$"),
        ("nom_voltage", "voltage", r": nom_voltage is missing$"),
        ('"(!A)"', '"A"', r": no usable inverter"),
        ('"!(A B)"', '"A B"', r": no usable NAND2; left out 13 cells: "),
        ("rising_edge", "falling_edge", r": no usable flip-flop; left out 14 cells: "),
        ("(load_slew) { index_1", "(loads) { index_1", r":\d+: cell_rise has no template 'loads'$"),
        (
            "variable_1 : input_net_transition",
            "variable_1 : voltage",
            r": inverter 'INV_A': rise_transition has a variable 'voltage' that we do ",
        ),
        ('"0.352, 0.354", ', "", r":\d+: cell_rise has 2 values; its axes want 4$"),
        ("0.5 slew + 1 load */", "", r":\d+: not a Liberty file: "),
        ('"0.14, 0.18"', '"0.64, 0.68"', "the slew of inverter 'INV_A' at four times its load has no end$"),
        ("cell (PAD) {", "cell (PAD {", r":\d+: not a Liberty file: want '\)', not '{'$"),
        ("cell (PAD) { area : 1; pad_cell : true; }\n}", "cell (PAD) {", r"want '}', not the end of the file$"),
    ],
)
def test_liberty_library_file_wrong(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = _tiny(tmp_path, old, new)
    if "usable inverter" in message:
        path.write_text(path.read_text(encoding="utf-8").replace('"A\'"', '"A"'), encoding="utf-8")
    with pytest.raises(ValueError, match=message) as caught:
        read(path)
    assert "mine.lib" in str(caught.value)


def test_liberty_library_path_wrong() -> None:
    with pytest.raises(FileNotFoundError, match=r"^technology file none\.lib does not exist$"):
        read("none.lib")
    with pytest.raises(FileNotFoundError, match=r"^technology file none\.lib\.gz does not exist$"):
        read_liberty("none.lib.gz")


def test_liberty_library_round_trip(technology: Technology, tmp_path: Path) -> None:
    path = tmp_path / f"{technology.name}.lib"
    path.write_text(liberty(technology), encoding="utf-8")
    back = _read(path)
    assert not back.left_out
    assert set(back.cells) == set(technology.cells)
    assert back.inverter == technology.inverter
    assert back.cells[back.nand2].area_um2 == technology.cells[technology.nand2].area_um2
    assert back.operating_point.load_ff == pytest.approx(technology.operating_point.load_ff, abs=0.002)
    delays, known = linear_delays(back), linear_delays(technology)
    for name, cell in technology.cells.items():
        found = back.cells[name]
        for exact in ("area_um2", "leakage_nw", "clock", "data"):
            assert getattr(found, exact) == getattr(cell, exact)
        assert set(found.outputs) == set(cell.outputs)
        for pin, function in cell.outputs.items():
            pins = ("IQ",) if cell.is_flip_flop else cell.inputs
            assert truth_table(found.outputs[pin], pins) == truth_table(function, pins)
        for close in ("internal_fj", "clock_fj", "setup_ps"):
            assert getattr(found, close) == pytest.approx(getattr(cell, close), rel=1e-12)
        assert dict(found.pin_caps_ff) == pytest.approx(dict(cell.pin_caps_ff), rel=1e-12)
        # the load is four times a capacitance of three digits: 1.3e-4 off on Nangate
        assert found.delay_ps == pytest.approx(cell.delay_ps, rel=2e-4)
        assert found.out_slew_ps == pytest.approx(cell.out_slew_ps, rel=2e-4)
        assert delays[name].slope_ps_per_ff == pytest.approx(known[name].slope_ps_per_ff, rel=1e-3)


@pytest.mark.parametrize("name", ["osu018", "osu035"])
def test_liberty_library_real_file(name: str, shared: Path) -> None:
    path = Path(OSU.format(name=name))
    if not path.is_file():
        pytest.skip(f"needs Debian's package qflow-tech-{name}")
    technology = _read(path)
    lines = (shared / "reference/cells" / f"cells_{name}.csv").read_text(encoding="utf-8").splitlines()
    rows = {row["cell"]: row for row in csv.DictReader(line for line in lines if not line.startswith("#"))}
    columns = {
        "area_um2": "area_um2", "leakage_nW": "leakage_nw", "internal_energy_fJ": "internal_fj",
        "clk_energy_fJ": "clock_fj", "delay_mean_ps": "delay_ps", "delay_max_ps": "delay_max_ps",
        "out_slew_ps": "out_slew_ps", "setup_ps": "setup_ps",
    }  # fmt: skip
    compared = 0
    for cell in technology.cells.values():
        for column, attribute in columns.items() if cell.name in rows else ():
            text = rows[cell.name][column] or "0.0000"
            last_digit = 10.0 ** -len(re.sub(r"^.*\.", "", text))
            assert getattr(cell, attribute) == pytest.approx(float(text), abs=0.51 * last_digit), (cell.name, column)
            compared += 1
    assert compared >= 25 * len(columns)
