# SPDX-License-Identifier: Apache-2.0
"""Timing constraints: SDC for standard cells, XDC for Vivado, LPF for ECP5."""

from testbenches.package.netlist import Module
from testbenches.template import fill

__all__ = [
    "DEFAULT_CLOCK_MHZ",
    "check_clock",
    "constraints",
]

DEFAULT_CLOCK_MHZ = 100.0
_BOUNDARY = 0.2  # of the period, that a neighbour's logic before an input and behind an output may take
_UNCERTAINTY = 0.05  # of the period: jitter and skew, before a clock tree is there
_CLOCKED = """\
# Timing of @TOP@ at @MHZ@ MHz: @KIND@ without variables, no Tcl beyond get_ports and get_clocks.
@UNITS@create_clock -name clk -period @PERIOD@ -waveform {0.000 @HALF@} [get_ports {clk}]
# Jitter and skew before there is a clock tree: 5 % of the period, against setup alone. No uncertainty of hold is
# set: it has nothing to do with the period, and is your flow's to set once there is a clock tree (-hold).
set_clock_uncertainty -setup @UNCERTAINTY@ [get_clocks {clk}]
# Max: a fifth of the period is left to what drives an input, a fifth to what an output drives, a guess to be replaced
# by what the neighbours need. Min: 0, a neighbour's register right at the port, without any delay of its own and
# without a hold time: set it to your library's. rst is synchronous: an input like any other.@THROUGH@
set_input_delay -max @DELAY@ -clock [get_clocks {clk}] [get_ports {@INPUTS@}]
set_input_delay -min 0.000 -clock [get_clocks {clk}] [get_ports {@INPUTS@}]
set_output_delay -max @DELAY@ -clock [get_clocks {clk}] [get_ports {@OUTPUTS@}]
set_output_delay -min 0.000 -clock [get_clocks {clk}] [get_ports {@OUTPUTS@}]
# There is no false path and no path of several cycles: every path is timed against one period.
# Driving cells and loads are the library's: set_driving_cell, set_load, set_max_transition are left to you.
"""
_COMBINATIONAL = """\
# Timing of @TOP@, which is combinational, between registers of a clock of @MHZ@ MHz outside of it.
@UNITS@create_clock -name clk -period @PERIOD@ -waveform {0.000 @HALF@}
# Jitter and skew: 5 % of the period, against setup alone; registers outside have no hold to check here.
set_clock_uncertainty -setup @UNCERTAINTY@ [get_clocks {clk}]
# The whole period, less the uncertainty, is the block's: the registers stand at its ports.
set_input_delay -max 0.000 -clock [get_clocks {clk}] [get_ports {@INPUTS@}]
set_input_delay -min 0.000 -clock [get_clocks {clk}] [get_ports {@INPUTS@}]
set_output_delay -max 0.000 -clock [get_clocks {clk}] [get_ports {@OUTPUTS@}]
set_output_delay -min 0.000 -clock [get_clocks {clk}] [get_ports {@OUTPUTS@}]
# There is no false path. Driving cells and loads are the library's: set_driving_cell, set_load are left to you.
"""
_UNITS = """\
# Times are in ns; a library in other units (ASAP7: ps) needs them converted where the tool does not.
set_units -time ns
"""
_THROUGH = " From o_ready to i_ready is combinational: three fifths are left to it."
_LPF = """\
# Lattice ECP5 (Diamond, nextpnr-ecp5 --lpf): the clock of @TOP@. Locations of pins are the board's.
FREQUENCY PORT "clk" @MHZ@ MHZ;
"""


def constraints(module: Module, clock_mhz: float = DEFAULT_CLOCK_MHZ) -> dict[str, str]:
    """
    Write the timing constraints of a module.

    Parameters
    ----------
    module : Module
        With a port ``clk``; without one it is combinational, and gets a virtual clock.
    clock_mhz : float, default 100
        The clock, positive.

    Returns
    -------
    dict of str to str
        Text by file name: ``<name>.sdc``; and of a module with a clock ``<name>.xdc`` and ``<name>.lpf``.

    Raises
    ------
    ValueError
        If the clock is not positive, or so fast that a period has less than 10 ps.
    """
    check_clock(clock_mhz)
    period = 1000 / clock_mhz
    clocked = "clk" in module.ports
    ports = {
        side: [_pattern(name, port.bits) for name, port in module.ports.items() if port.direction == side]
        for side in ("input", "output")
    }
    through = {"i_ready", "o_ready"} <= set(module.ports)
    values = {
        "TOP": module.name,
        "KIND": "SDC",
        "UNITS": _UNITS,
        "MHZ": f"{clock_mhz:g}",
        "PERIOD": f"{period:.3f}",
        "HALF": f"{period / 2:.3f}",
        "UNCERTAINTY": f"{period * _UNCERTAINTY:.3f}",
        "DELAY": f"{period * _BOUNDARY:.3f}",
        "THROUGH": _THROUGH if through else "",
        "INPUTS": " ".join(port for port in ports["input"] if port != "clk"),
        "OUTPUTS": " ".join(ports["output"]),
    }
    sdc = fill(_CLOCKED if clocked else _COMBINATIONAL, values)
    if not clocked:
        return {f"{module.name}.sdc": sdc}
    # Vivado reads the same commands, in ns; it has an uncertainty of its own from the clock's source.
    left = ("uncertainty", "Jitter", "set: it has", "Times are", "set_units")
    kept = [line for line in sdc.splitlines(keepends=True) if not any(word in line for word in left)]
    xdc = "".join(kept).replace(": SDC without", ": XDC for Vivado, without")
    return {f"{module.name}.sdc": sdc, f"{module.name}.xdc": xdc, f"{module.name}.lpf": fill(_LPF, values)}


def check_clock(clock_mhz: float) -> None:
    """Raise ValueError for a clock that `constraints` does not take."""
    if not 0 < clock_mhz <= 1e5:
        raise ValueError(f"clock_mhz must be above 0 and at most 100000, not {clock_mhz!r}")


def _pattern(name: str, bits: int) -> str:
    """Return the pattern of a port: of a bus, all its bits."""
    return name if bits == 1 else f"{name}[*]"
