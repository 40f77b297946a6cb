# SPDX-License-Identifier: Apache-2.0
"""Timing constraints: they parse as Tcl's words, name every port once, and say the clock that was asked for."""

import re
from itertools import pairwise

import pytest

from testbenches.package.constraints import constraints
from testbenches.package.netlist import Module, Port, read_modules

PORTS = {
    "clk": Port(direction="input", bits=1),
    "rst": Port(direction="input", bits=1),
    "i_a": Port(direction="input", bits=8),
    "o_ready": Port(direction="input", bits=1),
    "i_ready": Port(direction="output", bits=1),
    "o_d": Port(direction="output", bits=32),
}


def _words(line: str) -> list[str]:
    """Split a command of Tcl: words, words in braces, commands in brackets."""
    found = re.findall(r"\[(?:[^][]|\[[^]]*\])*\]|\{[^}]*\}|\S+", line)
    assert " ".join(found) == line, line
    return found


def _commands(text: str) -> list[list[str]]:
    return [_words(line) for line in text.splitlines() if not line.startswith("#")]


def _option(command: list[str], name: str) -> str:
    return next(after for before, after in pairwise(command) if before == name)


def _ports(command: list[str]) -> list[str]:
    match = re.fullmatch(r"\[get_ports \{(.*)\}\]", command[-1])
    assert match is not None
    return match[1].split()


def test_constraints_sdc() -> None:
    texts = constraints(Module(name="unit", ports=PORTS), 800)
    assert sorted(texts) == ["unit.lpf", "unit.sdc", "unit.xdc"]
    listed = _commands(texts["unit.sdc"])
    commands = {command[0]: command for command in listed}
    delays = ["set_input_delay", "set_input_delay", "set_output_delay", "set_output_delay"]
    assert [command[0] for command in listed] == ["set_units", "create_clock", "set_clock_uncertainty", *delays]
    assert commands["set_clock_uncertainty"][1:3] == ["-setup", "0.062"]
    assert _option(commands["create_clock"], "-period") == "1.250"
    assert _option(commands["create_clock"], "-waveform") == "{0.000 0.625}"
    assert _ports(commands["create_clock"]) == ["clk"]
    assert [command[1:3] for command in listed[3:]] == [["-max", "0.250"], ["-min", "0.000"]] * 2
    assert _ports(commands["set_input_delay"]) == ["rst", "i_a[*]", "o_ready"]
    assert _ports(commands["set_output_delay"]) == ["i_ready", "o_d[*]"]
    assert "false_path" not in texts["unit.sdc"]
    assert "From o_ready to i_ready is combinational" in texts["unit.sdc"]
    assert 'FREQUENCY PORT "clk" 800 MHZ;' in texts["unit.lpf"]
    in_vivado = [command[0] for command in _commands(texts["unit.xdc"])]
    assert in_vivado == ["create_clock", *delays]


def test_constraints_combinational() -> None:
    ports = {name: port for name, port in PORTS.items() if name in {"i_a", "o_d"}}
    texts = constraints(Module(name="block", ports=ports))
    assert list(texts) == ["block.sdc"]
    commands = {command[0]: command for command in _commands(texts["block.sdc"])}
    assert commands["create_clock"][-1] == "{0.000 5.000}"  # a virtual clock: no port
    assert _ports(commands["set_input_delay"]) == ["i_a[*]"]
    assert _ports(commands["set_output_delay"]) == ["o_d[*]"]


@pytest.mark.parametrize("clock", [0, -1.0, 1e6, float("nan")])
def test_constraints_clock_mhz_wrong(clock: float) -> None:
    with pytest.raises(ValueError, match="clock_mhz must be above 0 and at most 100000, not "):
        constraints(Module(name="unit", ports=PORTS), clock)


def test_constraints_of_text() -> None:
    module = read_modules(
        "module m(a, y);\n  input a;\n  wire a;\n  output y;\n  wire y;\n  assign y = ~ a;\nendmodule\n"
    )
    assert "get_ports {a}" in constraints(module["m"])["m.sdc"]
