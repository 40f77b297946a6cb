# SPDX-License-Identifier: Apache-2.0
"""Technologies as data."""

import csv
import re
from pathlib import Path

import pytest

from cost_models.technologies import Cell, FpgaTechnology, Technology, Wires, names, read
from cost_models.technologies import technology as module

FOLDER = Path(module.__file__).parent

# Supply, and the smallest inverter in sites of the library's grid, as the documents and LEF files give them; and the
# band of FO4 delays in ps: half a picosecond a nanometre of node (Weste and Harris), but GF180's 5 V cells at 1.8 V.
PUBLISHED = {
    "asap7": (0.70, 3 * 0.054 * 0.270, 10, 40),
    "nangate45": (1.10, 2 * 0.19 * 1.4, 10, 40),
    "sky130hd": (1.80, 3 * 0.46 * 2.72, 40, 100),
    "ihp130": (1.20, 3 * 0.48 * 3.78, 40, 100),
    "gf180": (1.80, 4 * 0.56 * 3.92, 600, 1000),
    "osu018": (1.80, 2 * 0.8 * 10, 60, 120),
    "osu035": (3.30, 2 * 1.6 * 20, 100, 200),
}
FACTS = {"gf180": "gf180_7t"}
CORRECTED = {"OAI21X1", "NAND3X1"}  # of OSU: the area is the LEF file's
FPGAS = {
    "ecp5": ("ecp5", False, 3), "ecp5_dsp": ("ecp5", True, 3), "ice40": ("ice40", False, 3),
    "ice40_dsp": ("ice40", True, 3), "gowin": ("gowin", False, 0), "gowin_dsp": ("gowin", True, 0),
    "xc7": ("xc7", False, 0), "xc7_dsp": ("xc7", True, 0), "xcup": ("xcup", False, 0), "xcup_dsp": ("xcup", True, 0),
}  # fmt: skip
COLUMNS = {
    "area_um2": "area_um2",
    "leakage_nW": "leakage_nw",
    "internal_energy_fJ": "internal_fj",
    "delay_mean_ps": "delay_ps",
    "delay_max_ps": "delay_max_ps",
    "out_slew_ps": "out_slew_ps",
}


def test_technology_names_read() -> None:
    assert set(names()) >= {*PUBLISHED, *FPGAS}
    for name in names():
        found = read(name)
        assert found.name == name
        assert found.source
        assert found.licence
        assert re.fullmatch("[0-9a-f]{64}", found.digest)
    assert len({read(name).digest for name in names()}) == len(names())


def test_technology_cells_published(technology: Technology) -> None:
    voltage, inverter_area, least, most = PUBLISHED[technology.name]
    assert technology.operating_point.voltage_v == voltage
    assert technology.cells[technology.inverter].area_um2 == pytest.approx(inverter_area, abs=1e-4)
    assert least < technology.operating_point.fo4_ps < most
    assert technology.operating_point.fo4_ps == technology.cells[technology.inverter].delay_ps
    assert technology.operating_point.input_slew_ps == technology.cells[technology.inverter].out_slew_ps
    (capacitance,) = technology.cells[technology.inverter].pin_caps_ff.values()
    assert technology.operating_point.load_ff == pytest.approx(4 * capacitance, abs=0.002)
    assert len(technology.cells) >= 24


def test_technology_cells_sane(technology: Technology) -> None:
    for cell in technology.cells.values():
        assert 0.5 < cell.area_um2 / technology.cells[technology.inverter].area_um2 < 12
        assert cell.delay_ps <= cell.delay_max_ps
        assert cell.outputs
        assert cell.inputs
        assert cell.is_flip_flop == (cell.clock_fj > 0)


def test_technology_facts_shared(technology: Technology, shared: Path) -> None:
    name = FACTS.get(technology.name, technology.name)
    lines = (shared / "reference/cells" / f"cells_{name}.csv").read_text(encoding="utf-8").splitlines()
    compared = 0
    for row in csv.DictReader(line for line in lines if not line.startswith("#")):
        cell = technology.cells.get(row["cell"])
        if cell is None:
            continue
        for column, attribute in COLUMNS.items():
            same = getattr(cell, attribute) == float(row[column])
            assert same != (attribute == "area_um2" and cell.name in CORRECTED)
        pins = {pin: float(value) for pin, value in (entry.split(":") for entry in row["pin_caps_fF"].split())}
        if cell.is_flip_flop:
            pins.pop("RESET_B", None)  # tied
        assert dict(cell.pin_caps_ff) == pins
        assert cell.clock_fj == float(row["clk_energy_fJ"] or 0)
        assert cell.setup_ps == float(row["setup_ps"] or 0)
        compared += 1
    assert compared == len(technology.cells)


def test_technology_is_frozen_and_hashable(technology: Technology) -> None:
    again = read(technology.name)
    assert again == technology
    assert hash(again) == hash(technology)
    assert isinstance(technology.cells[technology.inverter], Cell)


def test_technology_fpga() -> None:
    ecp5, xc7 = read("ecp5"), read("xc7_dsp")
    assert isinstance(ecp5, FpgaTechnology)
    assert isinstance(xc7, FpgaTechnology)
    assert (ecp5.device, ecp5.speed_grade, ecp5.seeds, ecp5.uses_dsp) == ("25k", "6", (1, 2, 3), False)
    assert (xc7.family, xc7.seeds, xc7.uses_dsp) == ("xc7", (), True)
    for name, (family, uses_dsp, seeds) in FPGAS.items():
        found = read(name)
        assert isinstance(found, FpgaTechnology)
        assert (found.family, found.uses_dsp, len(found.seeds)) == (family, uses_dsp, seeds)
        assert bool(found.device) == bool(found.package) == bool(seeds)


def test_technology_name_wrong() -> None:
    with pytest.raises(LookupError, match=r"^technology 'asap' is unknown; close matches: asap7"):
        read("asap")


def test_technology_path_wrong(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"^technology file .*none\.toml does not exist$"):
        read(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("area_um2 = 0.0437", "area = 0.0437", r"INVx1_ASAP7_75t_R: key 'area' lacks its unit: write 'area_um2'$"),
        ("area_um2 = 0.0437", "areas_um2 = 1.0", r"INVx1_ASAP7_75t_R: unknown key 'areas_um2'; close matches: area"),
        ("area_um2 = 0.0437, ", "", r"cells\.INVx1_ASAP7_75t_R: missing area_um2$"),
        ("area_um2 = 0.0437", "area_um2 = 'x'", r"cells\.INVx1_ASAP7_75t_R: area_um2 must be a number, not 'x'$"),
        ('Y = "!A"', 'Y = "!B"', r"outputs\.Y: function '!B' names 'B'; the input pins are A$"),
        ("A = 0.620", "A = -1", r"pin_caps_ff\.A must be at least 0 fF, not -1$"),
        ('clock = "CLK", ', "", r"DFFHQNx1_ASAP7_75t_R: a flip-flop has both clock and data$"),
        ('data = "D"', 'data = "E"', r"DFFHQNx1_ASAP7_75t_R: pin 'E' has no pin_caps_ff$"),
        ("stages = 1", "stages = 3", r"want stages 1 or 2 and drive above 0, not 3 and 1\.0$"),
        ("[operating_point]", "[point]", r"table \[operating_point\] is missing$"),
        ("load_ff = 2.4797", "load = 2.4797", r"\[operating_point\]: key 'load' lacks its unit: write 'load_ff'$"),
        ('inverter = "INVx1', 'inverter = "INVx9', r"inverter 'INVx9_ASAP7_75t_R' is not in \[cells\]$"),
        ('kind = "standard cells"', 'kind = "asic"', "kind must be 'standard cells', 'liberty' or 'fpga', not 'asic'$"),
        ('name = "asap7"', "name = asap7", "not a TOML file: "),
        ('name = "asap7"', 'left_out = {}\nname = "asap7"', "unknown key 'left_out'$"),
        ("[wires]", "[[wires]]", r"\[wires\] must be a table, not \[{'capacitance_ff_per_um': "),
        (
            "capacitance_ff_per_um",
            "capacitance",
            r"\[wires\]: unknown key 'capacitance'; close matches: capacitance_ff",
        ),
        (
            "utilization = 0.70",
            "utilization = 1.7",
            r"\[wires\]: want capacitance_ff_per_um .* not 0\.173323, 2\.0 and 1\.7$",
        ),
    ],
)
def test_technology_file_wrong(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = (FOLDER / "asap7.toml").read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "mine.toml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ValueError, match=message) as caught:
        read(path)
    assert str(path) in str(caught.value)


def test_technology_own_file(tmp_path: Path) -> None:
    text = (FOLDER / "asap7.toml").read_text(encoding="utf-8")
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    assert read(path) == read("asap7")
    path.write_text(text.replace("0.0437", "0.0438"), encoding="utf-8")
    assert read(str(path)).digest != read("asap7").digest


def test_technology_digest_is_of_the_data(tmp_path: Path) -> None:
    # results are kept under it: wires and comments change no netlist
    text = (FOLDER / "asap7.toml").read_text(encoding="utf-8")
    path = tmp_path / "mine.toml"
    path.write_text(text.replace("# An assumption", "# An opinion").replace("utilization = 0.70", "utilization = 0.5"))
    mine = read(path)
    assert isinstance(mine, Technology)
    assert mine.digest == read("asap7").digest
    assert mine.wires == Wires(capacitance_ff_per_um=0.173323, utilization=0.5, pitches_per_pin=2.0)
    start = text.index("[wires]")
    path.write_text(text[:start] + text[text.index("[cells]") :])
    mine = read(path)
    assert isinstance(mine, Technology)
    assert mine.wires is None
    assert mine.digest == read("asap7").digest


def test_technology_wires_sane(technology: Technology) -> None:
    # wires of any process have 0.1 to 0.3 fF/um (Ho, Mai and Horowitz, The future of wires, Proc. IEEE 89, 2001)
    assert technology.wires is not None
    assert 0.1 <= technology.wires.capacitance_ff_per_um <= 0.3
    assert (technology.wires.utilization, technology.wires.pitches_per_pin) == (0.7, 2.0)


def test_technology_fpga_file_wrong(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    text = (FOLDER / "ecp5.toml").read_text(encoding="utf-8")
    path.write_text(text.replace("[1, 2, 3]", "[1.5]"), encoding="utf-8")
    with pytest.raises(ValueError, match=r"seeds must be a list of integers, not \[1\.5\]$"):
        read(path)
    path.write_text(text.replace("uses_dsp = false", "uses_dsp = 0"), encoding="utf-8")
    with pytest.raises(ValueError, match=r"uses_dsp must be bool, not 0$"):
        read(path)
