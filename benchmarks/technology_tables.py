# SPDX-License-Identifier: Apache-2.0
"""Make technology tables from tables of cell facts (one CSV file a library, read from its Liberty file).

python benchmarks/technology_tables.py FOLDER           # FOLDER has cells_*.csv: writes cost_models/technologies/*.toml
python benchmarks/technology_tables.py FOLDER --check   # says which of them differ from what the facts give

The facts give every number; this file gives what they do not have: the function of each cell, its drive, what is left
out, and why. The functions are our own text, from the libraries' documents.
"""

import argparse
import csv
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cost_models.technologies import technology

__all__ = [
    "LIBRARIES",
    "Library",
    "toml",
]

# Family: stages, then the function of the input pins in the order of the facts. "inverted", "plain", "sum" and "carry"
# stand for the pin that the library calls so.
_FAMILIES: dict[str, tuple[int, dict[str, str]]] = {
    "INV": (1, {"inverted": "!{0}"}),
    "BUF": (2, {"plain": "{0}"}),
    "NAND2": (1, {"inverted": "!({0}*{1})"}),
    "NAND3": (1, {"inverted": "!({0}*{1}*{2})"}),
    "NAND4": (1, {"inverted": "!({0}*{1}*{2}*{3})"}),
    "NOR2": (1, {"inverted": "!({0}+{1})"}),
    "NOR3": (1, {"inverted": "!({0}+{1}+{2})"}),
    "NOR4": (1, {"inverted": "!({0}+{1}+{2}+{3})"}),
    "AND2": (2, {"plain": "{0}*{1}"}),
    "AND3": (2, {"plain": "{0}*{1}*{2}"}),
    "OR2": (2, {"plain": "{0}+{1}"}),
    "OR3": (2, {"plain": "{0}+{1}+{2}"}),
    "XOR2": (1, {"plain": "{0}^{1}"}),
    "XNOR2": (1, {"inverted": "!({0}^{1})"}),
    "AOI21": (1, {"inverted": "!(({0}*{1})+{2})"}),
    "AOI22": (1, {"inverted": "!(({0}*{1})+({2}*{3}))"}),
    "AOI211": (1, {"inverted": "!(({0}*{1})+{2}+{3})"}),
    "AOI221": (1, {"inverted": "!(({0}*{1})+({2}*{3})+{4})"}),
    "AO21": (2, {"plain": "({0}*{1})+{2}"}),
    "OAI21": (1, {"inverted": "!(({0}+{1})*{2})"}),
    "OAI22": (1, {"inverted": "!(({0}+{1})*({2}+{3}))"}),
    "OA21": (2, {"plain": "({0}+{1})*{2}"}),
    "MAJ": (2, {"plain": "({0}*{1})+({0}*{2})+({1}*{2})"}),
    "MUX2": (2, {"plain": "(!{2}*{0})+({2}*{1})"}),
    "MUXI2": (1, {"inverted": "!((!{2}*{0})+({2}*{1}))"}),
    "MUXI2_A": (1, {"inverted": "!(({2}*{0})+(!{2}*{1}))"}),  # of osu: the select chooses A
    "MUX4": (2, {"plain": "(!{5}*!{4}*{0})+(!{5}*{4}*{1})+({5}*!{4}*{2})+({5}*{4}*{3})"}),
    "HA": (2, {"carry": "{0}*{1}", "sum": "{0}^{1}"}),
    "FA": (2, {"carry": "({0}*{1})+({0}*{2})+({1}*{2})", "sum": "{0}^{1}^{2}"}),
    "DFF": (2, {"state": "IQ"}),
}
_HEADER = """\
# Facts of each cell (numbers only), one row a cell; the logic functions, in Liberty syntax, are our own text.
# Every number is a mean at one operating point: the cell drives `load_ff` (four reference inverters), and its inputs
# have `input_slew_ps` (the output slew of an inverter so loaded). `delay_ps`, `out_slew_ps`: mean over input pins and
# edges; `delay_max_ps`: the worst of them. `internal_fj`: Liberty internal power, per output transition, without the
# charge of the load. `clock_fj`: per edge of the clock pin. `setup_ps`: the worse edge of D. No wire load anywhere.
# `drive` counts reference inverters; `stages` = 2 says that an inverter inside drives the output."""
_WIRES = """\
# An assumption, and no measurement: {source}
# Cells fill 70 % of the rows, and a net is two cell pitches long a sink: docs/technologies.md says why.
[wires]
capacitance_ff_per_um = {capacitance}
utilization = 0.70
pitches_per_pin = 2.0"""
_ORFS = "the capacitance that OpenROAD-flow-scripts takes for a signal wire,\n# {file}: {line}."
_RULE = (
    "the rule of 0.2 fF/um for a wire at minimum pitch (Weste and Harris,\n# CMOS VLSI Design, chapter on interconnect)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """
    What the facts do not say about a library.

    `cells` has a line a family: its name, then ``cell=drive`` without `prefix` and `suffix`. `pins` names the output
    pins by role. `areas` puts right what the library has wrong, as `notes` say. Input pins of a flip-flop other than
    clock and D are left out: they are tied.
    """

    facts: str
    title: str
    node_nm: int
    source: str
    licence: str
    prefix: str = ""
    suffix: str = ""
    pins: Mapping[str, str]
    cells: str
    driver: str
    notes: str
    capacitance: str
    wires: str
    areas: Mapping[str, str] = field(default_factory=dict)

    def rows(self) -> Iterator[tuple[str, str, str]]:
        """Cell, family and drive of each row."""
        for line in self.cells.strip().splitlines():
            family, *entries = line.split()
            for entry in entries:
                cell, drive = entry.split("=")
                yield f"{self.prefix}{cell}{self.suffix}", family, drive

    def full(self, cell: str) -> str:
        """Name of a cell with prefix and suffix."""
        return f"{self.prefix}{cell}{self.suffix}"


_OSU_CELLS = """
INV INVX1=1 INVX2=2 INVX4=4 INVX8=8
BUF BUFX2=2 BUFX4=4
NAND2 NAND2X1=1
NAND3 NAND3X1=1
NOR2 NOR2X1=1
NOR3 NOR3X1=1
AND2 AND2X1=1 AND2X2=2
OR2 OR2X1=1 OR2X2=2
XOR2 XOR2X1=1
XNOR2 XNOR2X1=1
AOI21 AOI21X1=1
AOI22 AOI22X1=1
OAI21 OAI21X1=1
OAI22 OAI22X1=1
MUXI2_A MUX2X1=1
HA HAX1=1
FA FAX1=1
DFF DFFPOSX1=1
"""
_OSU_PINS = {"inverted": "Y", "plain": "Y", "sum": "YS", "carry": "YC", "state": "Q"}
_OSU_NOTES = """\
# The Liberty file gives OAI21X1 {wrong[0]} um2 and NAND3X1 {wrong[1]} um2; the LEF file of the package gives
# both {size}, as AOI21X1: {area} um2 here. All other areas agree. AND2X2, OR2X2 and INVX2 are as wide as
# their X1 in both files. MUX2X1 inverts, and its select chooses A. Left out: LATCH (area 0 in the file), DFFNEGX1
# (falling edge), DFFSR, TBUF (three-state), CLKBUF (clock tree)."""
_OSU_LICENCE = (
    "facts only: the package says GPL (any version), cell data by Oklahoma State University; "
    "no text of it is in this file"
)

LIBRARIES = {
    "sky130hd": Library(
        facts="cells_sky130hd.csv",
        title="SkyWater SKY130, high-density cells, typical corner, 1.80 V, 25 C",
        node_nm=130,
        source=(
            "sky130_fd_sc_hd__tt_025C_1v80, as examples/sky130hd_tt.lib.gz of github.com/The-OpenROAD-Project/OpenSTA; "
            "evaluated at the operating point below"
        ),
        licence="Apache-2.0 (SkyWater PDK)",
        prefix="sky130_fd_sc_hd__",
        pins={"inverted": "Y", "plain": "X", "sum": "SUM", "carry": "COUT", "state": "Q"},
        cells="""
INV inv_1=1 inv_2=2 inv_4=4
BUF buf_1=1 buf_2=2 buf_4=4
NAND2 nand2_1=1 nand2_2=2
NAND3 nand3_1=1
NAND4 nand4_1=1
NOR2 nor2_1=1
NOR3 nor3_1=1
NOR4 nor4_1=1
AND2 and2_0=0.64 and2_1=1
AND3 and3_1=1
OR2 or2_1=1
OR3 or3_1=1
XOR2 xor2_1=1
XNOR2 xnor2_1=1
AOI21 a21oi_1=1
AOI22 a22oi_1=1
AO21 a21o_1=1
AOI211 a211oi_1=1
OAI21 o21ai_0=0.64 o21ai_1=1
OAI22 o22ai_1=1
OA21 o21a_1=1
MAJ maj3_1=1
MUX2 mux2_1=1
MUXI2 mux2i_1=1
MUX4 mux4_1=1
HA ha_1=1
FA fa_1=1 fah_1=1
DFF dfxtp_1=1 dfxtp_2=2
""",
        driver="buf_4",
        notes="""\
# Drive 0.64 of the `_0` cells: transistors of 0.64 um and 0.42 um, against 1.0 um and 0.65 um in the `_1` cells. Left
# out: flip-flops with set, reset, enable or scan, latches, clock gates, ties.""",
        capacitance="0.172375",
        wires=_ORFS.format(file="flow/platforms/sky130hd/setRC.tcl", line="layer met1, 1.72375e-4 pF/um"),
    ),
    "ihp130": Library(
        facts="cells_ihp130.csv",
        title="IHP SG13G2, 130 nm BiCMOS, digital cells, typical corner, 1.20 V, 25 C",
        node_nm=130,
        source=(
            "sg13g2_stdcell_typ_1p20V_25C of the IHP Open PDK, as distributed in "
            "github.com/The-OpenROAD-Project/OpenROAD-flow-scripts, flow/platforms/ihp-sg13g2/lib; "
            "evaluated at the operating point below"
        ),
        licence="Apache-2.0 (IHP Open PDK)",
        prefix="sg13g2_",
        pins={"inverted": "Y", "plain": "X", "state": "Q"},
        cells="""
INV inv_1=1 inv_2=2 inv_4=4
BUF buf_1=1 buf_2=2 buf_4=4
NAND2 nand2_1=1 nand2_2=2
NAND3 nand3_1=1
NAND4 nand4_1=1
NOR2 nor2_1=1
NOR3 nor3_1=1
NOR4 nor4_1=1
AND2 and2_1=1
AND3 and3_1=1
OR2 or2_1=1
OR3 or3_1=1
XOR2 xor2_1=1
XNOR2 xnor2_1=1
AOI21 a21oi_1=1
AOI22 a22oi_1=1
AO21 a21o_1=1
AOI221 a221oi_1=1
OAI21 o21ai_1=1
MUX2 mux2_1=1
MUX4 mux4_1=1
DFF dfrbpq_1=1
""",
        driver="buf_4",
        notes="""\
# The library has no flip-flop without reset: dfrbpq_1 is here a plain one, its RESET_B tied high. Its area, leakage
# and energies are those of the cell with reset; the tie cell, one for many flip-flops, is not counted. No half or full
# adder. a22oi_1 has 10.8486 um2 in the library, 0.3 % less than six sites. Left out: dfrbp_1 (two outputs), scan,
# latches, clock gates, ties.""",
        capacitance="0.173072",
        wires=_ORFS.format(file="flow/platforms/ihp-sg13g2/setRC.tcl", line="set_wire_rc -signal, 1.73072e-4 pF/um"),
    ),
    "gf180": Library(
        facts="cells_gf180_7t.csv",
        title="GlobalFoundries GF180MCU, 7-track 5 V cells at 1.80 V, typical corner, 25 C",
        node_nm=180,
        source=(
            "gf180mcu_fd_sc_mcu7t5v0__tt_025C_1v80 of the GF180MCU PDK, as distributed in "
            "github.com/The-OpenROAD-Project/OpenROAD-flow-scripts, flow/platforms/gf180/lib; "
            "evaluated at the operating point below"
        ),
        licence="Apache-2.0 (GF180MCU PDK)",
        prefix="gf180mcu_fd_sc_mcu7t5v0__",
        pins={"inverted": "ZN", "plain": "Z", "sum": "S", "carry": "CO", "state": "Q"},
        cells="""
INV inv_1=1 inv_2=2 inv_4=4
BUF buf_1=1 buf_2=2 buf_4=4
NAND2 nand2_1=1
NAND3 nand3_1=1
NAND4 nand4_1=1
NOR2 nor2_1=1
NOR3 nor3_1=1
NOR4 nor4_1=1
AND2 and2_1=1
OR2 or2_1=1
XOR2 xor2_1=1
XNOR2 xnor2_1=1
AOI21 aoi21_1=1
AOI22 aoi22_1=1
OAI21 oai21_1=1
OAI22 oai22_1=1
MUX2 mux2_1=1
HA addh_1=1
FA addf_1=1
DFF dffq_1=1
""",
        driver="buf_4",
        notes="""\
# Transistors for 5 V run at 1.8 V, their lowest corner: slow for the node (an FO4 of 826 ps), and not to be compared
# with a 1.8 V process of 180 nm such as osu018. Left out: the flip-flop with reset, the latch, the clock gate.""",
        capacitance="0.135357",
        wires=_ORFS.format(file="flow/platforms/gf180/setRC.tcl", line="layer Metal2, 1.35357e-4 pF/um"),
    ),
    "osu018": Library(
        facts="cells_osu018.csv",
        title="OSU standard cells, TSMC 0.18 um (SCN6M rules), typical corner, 1.80 V, 25 C",
        node_nm=180,
        source=(
            "Debian package qflow-tech-osu018 1.3.17, osu018_stdcells.lib by Oklahoma State University; "
            "evaluated at the operating point below"
        ),
        licence=_OSU_LICENCE,
        pins=_OSU_PINS,
        cells=_OSU_CELLS,
        driver="BUFX4",
        notes=_OSU_NOTES.format(wrong=(23, 36), size="3.2 um x 10 um", area="32"),
        capacitance="0.2",
        wires=f"{_RULE}; the package's LEF file gives 0.13 fF/um for metal 2 without neighbours.",
        areas={"OAI21X1": "32.0000", "NAND3X1": "32.0000"},
    ),
    "osu035": Library(
        facts="cells_osu035.csv",
        title="OSU standard cells, 0.35 um (SCN4M rules), typical corner, 3.30 V, 25 C",
        node_nm=350,
        source=(
            "Debian package qflow-tech-osu035 1.3.17, osu035_stdcells.lib by Oklahoma State University; "
            "evaluated at the operating point below"
        ),
        licence=_OSU_LICENCE,
        pins=_OSU_PINS,
        cells=_OSU_CELLS,
        driver="BUFX4",
        notes=_OSU_NOTES.format(wrong=(92, 144), size="6.4 um x 20 um", area="128"),
        capacitance="0.2",
        wires=f"{_RULE}.",
        areas={"OAI21X1": "128.0000", "NAND3X1": "128.0000"},
    ),
}


def toml(name: str, library: Library, facts: str) -> str:
    """
    Text of a technology's TOML file.

    Parameters
    ----------
    name : str
        Of the technology.
    library : Library
    facts : str
        Text of the CSV file: comments with the operating point, then a row a cell.

    Raises
    ------
    ValueError
        The comments have no operating point, or the facts lack a cell.
    """
    lines = facts.splitlines()
    comment = "\n".join(line for line in lines if line.startswith("#"))
    rows = {row["cell"]: row for row in csv.DictReader(line for line in lines if not line.startswith("#"))}
    cells = []
    for cell, family, drive in library.rows():
        if cell not in rows:
            raise ValueError(f"{library.facts} has no cell {cell!r}")
        cells.append(_row(cell, family, drive, library, rows[cell]))
    names = {family: cell for cell, family, drive in reversed([*library.rows()]) if drive == "1"}
    head = {
        "name": f'"{name}"',
        "kind": '"standard cells"',
        "title": f'"{library.title}"',
        "node_nm": str(library.node_nm),
        "source": f'"{library.source}"',
        "licence": f'"{library.licence}"',
        "inverter": f'"{names["INV"]}"',
        "nand2": f'"{names["NAND2"]}"',
        "driver": f'"{library.full(library.driver)}"',
    }
    parts = [
        f"# SPDX-License-Identifier: Apache-2.0\n# {library.title}\n#\n{_HEADER}",
        f"#\n{library.notes}\n# Made by benchmarks/technology_tables.py.\n",
        "\n".join(f"{key} = {value}" for key, value in head.items()),
        "\n[operating_point]\n" + "\n".join(f"{key} = {value}" for key, value in _point(comment).items()),
        "\n" + _WIRES.format(source=library.wires, capacitance=library.capacitance),
        "\n[cells]\n" + "\n".join(cells),
    ]
    return "\n".join(parts) + "\n"


def _point(comment: str) -> dict[str, str]:
    """Read the operating point out of the comments."""
    marks = {
        "voltage_v": "nominal_voltage_V=",
        "temperature_c": "temperature=",
        "load_ff": ") = ",
        "input_slew_ps": "output slew = ",
        "fo4_ps": "FO4 inverter delay = ",
    }
    point = {}
    for key, mark in marks.items():
        _, found, rest = comment.partition(mark)
        if not found:
            raise ValueError(f"the comments of the facts have no {mark!r}")
        point[key] = rest.split()[0].rstrip("C;")
    return point


def _row(cell: str, family: str, drive: str, library: Library, row: Mapping[str, str]) -> str:
    """Write the row of a cell."""
    stages, outputs = _FAMILIES[family]
    flip_flop = "state" in outputs
    pins = dict(pin.split(":") for pin in row["pin_caps_fF"].split())
    if flip_flop:
        pins = {pin: pins[pin] for pin in ("CLK", "D")}
    functions = {library.pins[role]: function.format(*pins) for role, function in outputs.items()}
    fields = {
        "family": f'"{family.removesuffix("_A")}"',
        "drive": repr(float(drive)),
        "stages": str(stages),
        "outputs": _table({pin: f'"{function}"' for pin, function in functions.items()}),
        "pin_caps_ff": _table(pins),
        "area_um2": library.areas.get(cell, row["area_um2"]),
        "leakage_nw": row["leakage_nW"],
        "internal_fj": row["internal_energy_fJ"],
    }
    if flip_flop:
        clocked = {"clock": '"CLK"', "data": '"D"', "clock_fj": row["clk_energy_fJ"], "setup_ps": row["setup_ps"]}
        fields |= clocked
    fields |= {"delay_ps": row["delay_mean_ps"], "delay_max_ps": row["delay_max_ps"], "out_slew_ps": row["out_slew_ps"]}
    return f"{cell} = {_table(fields)}"


def _table(fields: Mapping[str, str]) -> str:
    """Write an inline table."""
    return "{ " + ", ".join(f"{key} = {value}" for key, value in fields.items()) + " }"


def main() -> None:
    """Write or check every table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the facts are")
    parser.add_argument("--check", action="store_true", help="compare only")
    options = parser.parse_args()
    differ = []
    for name, library in LIBRARIES.items():
        path = Path(technology.__file__).with_name(f"{name}.toml")
        text = toml(name, library, (options.folder / library.facts).read_text(encoding="utf-8"))
        if options.check:
            differ += [name] * (not path.is_file() or path.read_text(encoding="utf-8") != text)
        else:
            path.write_text(text, encoding="utf-8")
            print(path)
    if differ:
        sys.exit(f"tables that are not what the facts give: {', '.join(differ)}")


if __name__ == "__main__":
    main()
