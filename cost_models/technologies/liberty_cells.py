# SPDX-License-Identifier: Apache-2.0
"""One cell group of a Liberty file: what it is, and its figures at an operating point."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from statistics import fmean

from cost_models.technologies.function import liberty_expression, truth_table
from cost_models.technologies.liberty_groups import Group
from cost_models.technologies.liberty_tables import Tables, UnusableCellError, number
from cost_models.technologies.technology import Cell

__all__ = [
    "Draft",
    "characterize",
    "draft",
    "out_slew_ps",
]

_MAX_PINS = 6
_STATE = {  # groups that we have no model of
    "latch": "a latch",
    "latch_bank": "a latch",
    "ff_bank": "several bits",
    "statetable": "a state table",
    "test_cell": "scan",
    "bus": "a bus",
    "bundle": "a bundle",
}
_COMBINATIONAL = ("combinational", "combinational_rise", "combinational_fall")


@dataclass(frozen=True, slots=True)
class Draft:
    """A cell before its figures: `tied` are its set and reset pins, `pins` its pin groups by name."""

    cell: Cell
    pins: dict[str, Group]
    tied: tuple[str, ...]


def draft(group: Group, library: Group, tables: Tables) -> Draft:
    """
    Read what a cell is: function, clock, pins, area, leakage.

    Raises
    ------
    UnusableCellError
        With the reason.
    """
    if group.simple.get("dont_use", "false") == "true":
        raise UnusableCellError("dont_use")
    if "clock_gating_integrated_cell" in group.simple:
        raise UnusableCellError("a clock gate")
    if group.simple.get("pad_cell") == "true" or any("is_pad" in pin.simple for pin in group.all("pin")):
        raise UnusableCellError("a pad")
    for inner in group.groups:
        if inner.kind in _STATE:
            raise UnusableCellError(_STATE[inner.kind])
    pins = {name: pin for pin in group.all("pin") for name in pin.names}
    directions = {name: pin.simple.get("direction", "") for name, pin in pins.items()}
    inputs = [name for name, direction in directions.items() if direction == "input"]
    outputs = [name for name, direction in directions.items() if direction == "output"]
    if "inout" in directions.values():
        raise UnusableCellError("an inout pin")
    if not inputs or not outputs:
        raise UnusableCellError("no inputs" if outputs else "no outputs")
    caps = {name: _capacitance(name, pins[name], library, tables) for name in inputs}
    clock, data, state, tied = _flip_flop(group, inputs)
    if clock:
        caps = {name: caps[name] for name in inputs if name in (clock, data)}
    functions = {name: _function(name, pins[name], state, [pin for pin in inputs if not clock]) for name in outputs}
    cell = Cell(
        name=group.name, family=", ".join(functions.values()), drive=1.0, stages=1, outputs=functions,
        pin_caps_ff=caps, area_um2=_attribute(group, "area", tables), leakage_nw=_leakage(group, library, tables),
        internal_fj=0.0, delay_ps=0.0, delay_max_ps=0.0, out_slew_ps=0.0, clock=clock, data=data,
    )  # fmt: skip
    return Draft(cell, pins, tied)


def _flip_flop(group: Group, inputs: list[str]) -> tuple[str, str, dict[str, str], tuple[str, ...]]:
    """Find clock and data of a flip-flop, its state names, and the pins that set or reset it; empty without one."""
    found = list(group.all("ff"))
    if not found:
        return "", "", {}, ()
    if len(found) > 1:
        raise UnusableCellError("several flip-flops")
    (ff,) = found
    clock, data = (_plain(ff.simple.get(key, "")) for key in ("clocked_on", "next_state"))
    if clock not in inputs:
        raise UnusableCellError(f"clocked on {clock!r}")
    if data not in inputs:
        raise UnusableCellError(f"scan or enable: next state {data!r}")
    used = f"{ff.simple.get('clear', '')} {ff.simple.get('preset', '')}"
    tied = tuple(name for name in inputs if name not in (clock, data))
    if any(name not in used for name in tied):
        raise UnusableCellError(f"a flip-flop with {', '.join(tied)}")
    return clock, data, dict(zip(ff.names, ("IQ", "!IQ"), strict=False)), tied


def _plain(text: str) -> str:
    """Take the parentheses off a lone pin."""
    match = re.fullmatch(r"\(\s*(\w+)\s*\)", text)
    return match[1] if match else text.strip()


def _function(name: str, pin: Group, state: dict[str, str], inputs: list[str]) -> str:
    """Read the function of an output pin."""
    if "three_state" in pin.simple:
        raise UnusableCellError("a three-state output")
    if "function" not in pin.simple:
        raise UnusableCellError(f"output {name} has no function")
    if len(inputs) > _MAX_PINS:
        raise UnusableCellError(f"more than {_MAX_PINS} inputs")
    try:
        text = liberty_expression(pin.simple["function"], state)
        truth_table(text, ("IQ",) if state else inputs)
    except ValueError as error:
        raise UnusableCellError(str(error)) from error
    return text


def _attribute(group: Group, key: str, tables: Tables) -> float:
    """Read a number that a cell must have."""
    if key not in group.simple:
        raise UnusableCellError(f"no {key}")
    return number(group.simple[key], f"{tables.where}:{group.line}")


def _capacitance(name: str, pin: Group, library: Group, tables: Tables) -> float:
    """Read the capacitance of an input pin in fF."""
    text = pin.simple.get("capacitance", library.simple.get("default_input_pin_cap"))
    if text is None:
        raise UnusableCellError(f"input {name} has no capacitance")
    return number(text, f"{tables.where}:{pin.line}") * tables.ff


def _leakage(group: Group, library: Group, tables: Tables) -> float:
    """Read the leakage in nW: the cell's own figure, else the mean of its states, else the library's default.

    Supplies that are given apart add up: ASAP7 has each state twice, with 0 for the ground.
    """
    supplies: dict[str, list[str]] = {}
    for inner in group.all("leakage_power"):
        if "value" in inner.simple:
            supplies.setdefault(inner.simple.get("related_pg_pin", ""), []).append(inner.simple["value"])
    for key, source in (("cell_leakage_power", group), ("default_cell_leakage_power", library)):
        if key in source.simple and not (source is library and supplies):
            supplies = {"": [source.simple[key]]}
            break
    if not supplies:
        raise UnusableCellError("no leakage")
    where = f"{tables.where}:{group.line}"
    return sum(fmean(number(text, where) for text in states) for states in supplies.values()) * tables.nw


def _arcs(row: Draft) -> Iterator[Group]:
    """Find the timing groups from an input, or from the clock, to an output."""
    for name in row.cell.outputs:
        for timing in row.pins[name].all("timing"):
            kind = timing.simple.get("timing_type", "combinational")
            if row.cell.is_flip_flop:
                wanted = kind == "rising_edge" and timing.simple.get("related_pin", "").split() == [row.cell.clock]
            else:
                wanted = kind in _COMBINATIONAL
            if wanted:
                yield timing


def _values(groups: Iterator[Group], kinds: tuple[str, ...], tables: Tables, slew: float, load: float) -> list[float]:
    """Look up every table of these kinds, in the file's units; slew in ps, load in fF."""
    return [
        tables.look_up(table, slew / tables.ps, load / tables.ff) for group in groups for table in group.all(*kinds)
    ]


def out_slew_ps(row: Draft, tables: Tables, slew: float, load: float) -> float:
    """
    Mean output slew in ps at an input slew in ps and a load in fF.

    Raises
    ------
    UnusableCellError
        The cell has no transition tables.
    """
    slews = _values(_arcs(row), ("rise_transition", "fall_transition"), tables, slew, load)
    if not slews:
        raise UnusableCellError("no transition tables")
    return fmean(slews) * tables.ps


def characterize(row: Draft, tables: Tables, slew: float, load: float) -> Cell:
    """
    Figures of a cell at an input slew in ps and a load in fF.

    Raises
    ------
    UnusableCellError
        A kind of table is missing, or the delay does not grow with the load.
    """
    kinds = ("cell_rise", "cell_fall")
    delays = _values(_arcs(row), kinds, tables, slew, load)
    if not delays:
        raise UnusableCellError("no delay tables")
    ends = [fmean(_values(_arcs(row), kinds, tables, slew, factor * load)) * tables.ps for factor in (0.5, 2.0)]
    slope = (ends[1] - ends[0]) / (1.5 * load)
    if slope <= 0:
        raise UnusableCellError("a delay that does not grow with the load")
    cell = replace(
        row.cell, delay_ps=fmean(delays) * tables.ps, delay_max_ps=max(delays) * tables.ps, slope_ps_per_ff=slope,
        out_slew_ps=out_slew_ps(row, tables, slew, load),
        internal_fj=_energy([row.pins[name] for name in row.cell.outputs], tables, slew, load),
    )  # fmt: skip
    if not cell.is_flip_flop:
        return cell
    setups = _values(_constraints(row), ("rise_constraint", "fall_constraint"), tables, slew, load)
    if not setups:
        raise UnusableCellError("no setup tables")
    clock_fj = _energy([row.pins[cell.clock]], tables, slew, load)
    return replace(cell, clock_fj=clock_fj, setup_ps=max(setups) * tables.ps)


def _constraints(row: Draft) -> Iterator[Group]:
    """Find the setup groups of the data pin."""
    return (
        group for group in row.pins[row.cell.data].all("timing") if group.simple.get("timing_type") == "setup_rising"
    )


def _energy(pins: list[Group], tables: Tables, slew: float, load: float) -> float:
    """Mean internal energy of a transition in fJ; supplies that are given apart add up."""
    supplies: dict[str, list[Group]] = {}
    for pin in pins:
        for group in pin.all("internal_power"):
            supplies.setdefault(group.simple.get("related_pg_pin", ""), []).append(group)
    found = [
        _values(iter(groups), ("rise_power", "fall_power", "power"), tables, slew, load) for groups in supplies.values()
    ]
    if not found or not all(found):
        raise UnusableCellError("no internal_power")
    return sum(fmean(values) for values in found) * tables.fj
