# SPDX-License-Identifier: Apache-2.0
"""Every cell of every library: the function that its name says, and the whole flow."""

import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import rtl
from cost_models.activity import levelize
from cost_models.synthesis import asic
from cost_models.synthesis.adders import with_library_adders
from cost_models.technologies import Cell, Technology, names, read
from cost_models.technologies import technology as module
from cost_models.technologies.function import truth_table
from hwsim import datapath
from hwsim.gates import check_netlist
from testbenches.stimulus import stimulus

Function = Callable[[list[int]], int]
PREFIXES = ("sky130_fd_sc_hd__", "sg13g2_", "gf180mcu_fd_sc_mcu7t5v0__")

# What a cell is called in each library, without prefix and drive. SKY130 and IHP call AND-OR-invert a21oi, the others
# aoi21; the digits are the sizes of the groups, in the order of the pins sorted by letter.
GATES: dict[str, Function] = {
    "inv": lambda p: 1 - p[0],
    "buf": lambda p: p[0],
    "xor2": lambda p: p[0] ^ p[1],
    "xnor2": lambda p: 1 - (p[0] ^ p[1]),
    "maj": lambda p: int(sum(p) >= 2),
    "maj3": lambda p: int(sum(p) >= 2),
    "maji": lambda p: int(sum(p) < 2),
    "mux4": lambda p: p[p[4] + 2 * p[5]],
    "mux2i": lambda p: 1 - p[p[2]],
}
SIMPLE = {"nand": (all, 1), "nor": (any, 1), "and": (all, 0), "or": (any, 0)}
ADDERS = ("ha", "addh", "fa", "fah", "addf")


def _kind(cell: Cell) -> str:
    """The cell's kind by its name: SKY130's ``sky130_fd_sc_hd__nand2_1`` and ASAP7's ``NAND2xp5_ASAP7_75t_R`` alike."""
    text = cell.name
    for prefix in PREFIXES:
        text = text.removeprefix(prefix)
    text = re.sub(r"x\w*_ASAP7_75t_R$", "", text)
    short = re.sub(r"_X?\d+$", "", text)
    return (short if short != text else re.sub(r"X\d+$", "", text)).lower()


def _groups(cell: Cell, sizes: list[int], first_or: bool) -> Function:
    """AND-OR (or OR-AND) of groups of pins, which share a letter, or follow one another where all letters differ."""
    pins = list(cell.inputs)
    letters = sorted({pin[0] for pin in pins})
    members = [[i for i, pin in enumerate(pins) if pin[0] == letter] for letter in letters]
    if sorted(map(len, members)) != sorted(sizes):
        members, at = [], 0
        for size in sizes:
            members.append(list(range(at, at + size)))
            at += size
    inner, outer = (any, all) if first_or else (all, any)
    return lambda p: int(outer(inner(p[i] for i in group) for group in members))


def _expected(technology: Technology, cell: Cell) -> Function:
    """State a cell's function from its name alone."""
    kind = _kind(cell)
    if kind in GATES:
        return GATES[kind]
    if kind == "mux2":
        inverts = technology.name.startswith("osu")  # there the select chooses A, and the output is inverted
        return (lambda p: 1 - p[1 - p[2]]) if inverts else lambda p: p[p[2]]
    match = re.fullmatch(r"(nand|nor|and|or)(\d)", kind)
    if match:
        fold, flip = SIMPLE[match[1]]
        assert len(cell.inputs) == int(match[2])
        return lambda p: int(fold(p)) ^ flip
    match = re.fullmatch(r"(ao|oa)(i?)(\d+)", kind) or re.fullmatch(r"(a|o)(\d+)(oi|o|ai|a)", kind)
    assert match, f"{cell.name}: what is a {kind}?"
    digits = match[3] if match[1] in ("ao", "oa") else match[2]
    inverts = "i" in (match[2] if match[1] in ("ao", "oa") else match[3])
    sizes = [int(digit) for digit in digits]
    assert len(cell.inputs) == sum(sizes)
    function = _groups(cell, sizes, first_or=match[1].startswith("o"))
    return lambda p: function(p) ^ int(inverts)


def test_libraries_functions_by_name(technology: Technology) -> None:
    compared = 0
    for cell in technology.cells.values():
        if cell.is_flip_flop or _kind(cell) in ADDERS:
            continue
        (function,) = cell.outputs.values()
        table = truth_table(function, cell.inputs)
        expected = _expected(technology, cell)
        for row in range(1 << len(cell.inputs)):
            values = [row >> pin & 1 for pin in range(len(cell.inputs))]
            assert table >> row & 1 == expected(values), cell.name
            compared += 1
    assert compared >= 110


def test_libraries_adders(technology: Technology) -> None:
    # sum and carry count the inputs that are 1; pins with N are inverted
    found = {cell.name: cell for cell in technology.cells.values() if _kind(cell) in ADDERS}
    assert {len(cell.inputs) for cell in found.values()} == (set() if technology.name == "ihp130" else {2, 3})
    for cell in found.values():
        assert len(cell.outputs) == 2
        for pin, function in cell.outputs.items():
            bit = 1 if "C" in pin else 0
            table = truth_table(function, cell.inputs)
            for row in range(1 << len(cell.inputs)):
                inverted = pin in ("CON", "SN")
                assert table >> row & 1 == (row.bit_count() >> bit & 1) ^ inverted, (cell.name, pin)


def test_libraries_adders_are_used(technology: Technology) -> None:
    text = "module full_adder(a, b, c, total, carry);\n  assign total = a ^ b ^ c;\nendmodule\n"
    made = with_library_adders(text, technology)
    cells = {
        "sky130hd": "sky130_fd_sc_hd__fa_1", "gf180": "gf180mcu_fd_sc_mcu7t5v0__addf_1", "ihp130": "",
        "osu018": "FAX1", "osu035": "FAX1", "nangate45": "FA_X1", "asap7": "FAx1_ASAP7_75t_R",
    }  # fmt: skip
    expected = cells[technology.name]
    assert f"  {expected} cell_ (" in made if expected else made == text


def test_libraries_flip_flops(technology: Technology) -> None:
    found = [cell for cell in technology.cells.values() if cell.is_flip_flop]
    assert found
    for cell in found:
        assert set(cell.pin_caps_ff) == {cell.clock, "D"}  # no reset pin: dfflibmap would not take it
        assert cell.clock in ("CLK", "CK")
        assert cell.setup_ps > 0


@pytest.mark.parametrize(
    "name",
    ["sky130hd", "ihp130", *(pytest.param(name, marks=pytest.mark.slow) for name in ("gf180", "osu018", "osu035"))],
)
def test_libraries_flow(name: str) -> None:
    technology = read(name)
    assert isinstance(technology, Technology)
    unit = datapath.named("int4")
    top = f"{unit.name}_core"
    result = asic(rtl.core_verilog(unit), top, technology, ("area",)).choose("smallest")
    netlist = levelize(result.netlist_json, technology, top)
    assert check_netlist(unit, netlist, stimulus(unit), rtl.latency(unit)) >= 4_000
    # the same RTL takes about as many gates in every library
    assert 400 < result.nand2_equivalents < 1200
    assert 20 < result.fo4 < 100


@pytest.fixture
def tables(root: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the script that makes the tables."""
    monkeypatch.syspath_prepend(str(root))
    return import_module("benchmarks.technology_tables")


@pytest.mark.parametrize("name", ["sky130hd", "ihp130", "gf180", "osu018", "osu035"])
def test_libraries_tables_are_reproducible(name: str, shared: Path, tables: Any) -> None:
    assert name in names()
    facts = (shared / "reference/cells" / tables.LIBRARIES[name].facts).read_text(encoding="utf-8")
    made = tables.toml(name, tables.LIBRARIES[name], facts)
    assert Path(module.__file__).with_name(f"{name}.toml").read_text(encoding="utf-8") == made


def test_libraries_facts_wrong(shared: Path, tables: Any) -> None:
    library = tables.LIBRARIES["osu018"]
    facts = (shared / "reference/cells" / library.facts).read_text(encoding="utf-8")
    with pytest.raises(ValueError, match=r"^cells_osu018\.csv has no cell 'FAX1'$"):
        tables.toml("osu018", library, facts.replace("FAX1", "FAX9"))
    with pytest.raises(ValueError, match=r"^the comments of the facts have no 'FO4 inverter delay = '$"):
        tables.toml("osu018", library, facts.replace("FO4 inverter delay", "delay"))


def test_libraries_document(technology: Technology, root: Path) -> None:
    text = (root / "docs/technologies.md").read_text(encoding="utf-8")
    (line,) = re.findall(rf"^\| `{technology.name}` \|.*$", text, re.MULTILINE)
    shown = [float(entry) for entry in line.split("|")[3:8]]
    point, area = technology.operating_point, technology.cells[technology.nand2].area_um2
    assert shown == [technology.node_nm, point.voltage_v, point.fo4_ps, area, len(technology.cells)]
    length = len((root / "cost_models/technologies/osu018.toml").read_text(encoding="utf-8").splitlines())
    assert f"of {length} lines" in text
