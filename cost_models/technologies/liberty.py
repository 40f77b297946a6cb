# SPDX-License-Identifier: Apache-2.0
"""Write a standard-cell technology as a Liberty file, and as Verilog models for a simulator."""

from cost_models.technologies.delay import LinearDelay, linear_delays
from cost_models.technologies.function import verilog_expression
from cost_models.technologies.technology import Cell, Technology

__all__ = [
    "cells_verilog",
    "liberty",
]


_LOADS = (0.25, 4.0, 64.0)  # of the tables, in loads of the operating point; ABC's map divides by zero on two


def liberty(technology: Technology, area_unit_um2: float = 1.0) -> str:
    """
    Liberty text of a technology: area, leakage, pin capacitances, functions, and 2 x 3 delay tables.

    A table has the same delay (`linear_delays`) at both slews, and delays linear in the load, so any tool that
    interpolates and extrapolates linearly gets the linear delay exactly. No index is 0: ABC takes the first slew as the
    typical one, and fails on 0. The transition grows as the delay does. Internal energy (in the file's unit of 1 fJ)
    and setup are written as one number, so that `read_liberty` gives the technology back (with areas in um2): areas,
    capacitances, leakage, energies, setup, mean delays and slews, to the digits of the capacitance that its operating
    point is made of.

    Parameters
    ----------
    technology : Technology
    area_unit_um2 : float, default 1.0
        Unit of the areas in the file. ABC's mappers round an area to two decimals, which on a 7 nm library is a sixth
        of a NAND2; a unit of 1e-3 um2 keeps four digits.
    """
    point = technology.operating_point
    loads = ", ".join(f"{factor * point.load_ff:.5f}" for factor in _LOADS)
    slews = f"{point.input_slew_ps:.5f}, {64 * point.input_slew_ps:.5f}"
    lines = [
        f"library ({technology.name}) {{",
        f"  /* {technology.title}. Generated; facts from: {technology.source} */",
        "  delay_model : table_lookup;",
        '  time_unit : "1ps"; voltage_unit : "1V"; current_unit : "1uA"; pulling_resistance_unit : "1kohm";',
        '  capacitive_load_unit (1, ff); leakage_power_unit : "1nW";',
        f"  nom_voltage : {point.voltage_v}; nom_temperature : {point.temperature_c}; nom_process : 1;",
        "  lu_table_template (slew_load) {",
        "    variable_1 : input_net_transition; variable_2 : total_output_net_capacitance;",
        f'    index_1 ("{slews}"); index_2 ("{loads}");',
        "  }",
    ]
    delays = linear_delays(technology)
    for cell in technology.cells.values():
        lines += _cell(cell, delays[cell.name], technology, area_unit_um2)
    return "\n".join([*lines, "}", ""])


def _cell(cell: Cell, delay: LinearDelay, technology: Technology, area_unit_um2: float) -> list[str]:
    """Write one cell group."""
    area = f"{cell.area_um2 / area_unit_um2:.6g}"
    lines = [f"  cell ({cell.name}) {{", f"    area : {area}; cell_leakage_power : {cell.leakage_nw};"]
    if cell.is_flip_flop:
        lines.append(f'    ff (IQ, IQN) {{ clocked_on : "{cell.clock}"; next_state : "{cell.data}"; }}')
    for pin, capacitance in cell.pin_caps_ff.items():
        clock = " clock : true;" if pin == cell.clock else ""
        lines.append(f"    pin ({pin}) {{ direction : input; capacitance : {capacitance};{clock}")
        if pin == cell.clock:
            lines += _power(cell.clock_fj)
        elif pin == cell.data:
            lines += _setup(cell)
        lines.append("    }")
    for pin, function in cell.outputs.items():
        written = function.replace("!IQ", "IQN") if cell.is_flip_flop else function
        limit = _LOADS[-1] * technology.operating_point.load_ff
        lines.append(f"    pin ({pin}) {{ direction : output; max_capacitance : {limit:.5f};")
        lines.append(f'      function : "{written}";')
        for related in (cell.clock,) if cell.is_flip_flop else cell.inputs:
            lines += _timing(related, cell, delay, technology)
        lines += [*_power(cell.internal_fj), "    }"]
    return [*lines, "  }"]


def _power(energy_fj: float) -> list[str]:
    """Write the energy of a transition, rising or falling."""
    tables = [f'{edge}_power (scalar) {{ values ("{energy_fj}"); }}' for edge in ("rise", "fall")]
    return [f"      internal_power () {{ {' '.join(tables)} }}"]


def _setup(cell: Cell) -> list[str]:
    """Write the setup of D."""
    tables = [f'{edge}_constraint (scalar) {{ values ("{cell.setup_ps}"); }}' for edge in ("rise", "fall")]
    return [f'      timing () {{ related_pin : "{cell.clock}"; timing_type : setup_rising; {" ".join(tables)} }}']


def _timing(related: str, cell: Cell, delay: LinearDelay, technology: Technology) -> list[str]:
    """Write one timing arc with equal rise and fall."""
    load = technology.operating_point.load_ff
    ends = [delay.intrinsic_ps + factor * load * delay.slope_ps_per_ff for factor in _LOADS]
    row = ", ".join(f"{end:.5f}" for end in ends)
    slew = ", ".join(f"{end * cell.out_slew_ps / cell.delay_ps:.5f}" for end in ends)
    lines = [f'      timing () {{ related_pin : "{related}";']
    if cell.is_flip_flop:
        lines.append("        timing_type : rising_edge;")
    for table, values in (("cell_rise", row), ("cell_fall", row), ("rise_transition", slew), ("fall_transition", slew)):
        lines.append(f'        {table} (slew_load) {{ values ("{values}", "{values}"); }}')
    return [*lines, "      }"]


def cells_verilog(technology: Technology) -> str:
    """
    Functional Verilog of all cells, without delays, so that a mapped netlist runs in any simulator.

    A flip-flop starts at 0, as `cost_models.activity` does; the ports are the pins of the technology.
    """
    lines = [f"// Functional models of {technology.title}, generated from its table."]
    for cell in technology.cells.values():
        ports = [f"input {pin}" for pin in cell.pin_caps_ff] + [f"output {pin}" for pin in cell.outputs]
        lines.append(f"module {cell.name} ({', '.join(ports)});")
        if cell.is_flip_flop:
            lines.append(f"  reg IQ = 1'b0;\n  always @(posedge {cell.clock}) IQ <= {cell.data};")
        for pin, function in cell.outputs.items():
            lines.append(f"  assign {pin} = {verilog_expression(function)};")
        lines.append("endmodule")
    return "\n".join(["`default_nettype wire", *lines, ""])
