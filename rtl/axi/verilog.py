# SPDX-License-Identifier: Apache-2.0
"""Verilog of an array behind AXI, with a header that has the register map."""

from hwsim.datapath.array import ArrayGeometry
from hwsim.datapath.unit import DotProductUnit
from rtl.architecture import Architecture
from rtl.arrays.header import array_name
from rtl.arrays.verilog import array_verilog
from rtl.axi.array import AxiArray
from rtl.axi.layouts import IDENTIFIER, VERSION, Register, Status, data_fields, input_bits, kind_code, output_bits
from rtl.verilog import component_verilog, version

__all__ = [
    "axi_array_name",
    "axi_array_verilog",
]

_TOOL = Architecture()


def axi_array_name(geometry: ArrayGeometry, unit: DotProductUnit) -> str:
    """Return the name of the module."""
    return f"{array_name(geometry, unit)}_axi"


def axi_array_verilog(
    geometry: ArrayGeometry, unit: DotProductUnit, architecture: Architecture = _TOOL, *, counter_bits: int = 16
) -> str:
    """Return Verilog of an array behind AXI: module ``rtl.axi_array_name(geometry, unit)``, and the array.

    Parameters, Raises
    ------------------
    As of `rtl.axi.AxiArray` and `rtl.array_verilog`.
    """
    name = axi_array_name(geometry, unit)
    core = array_verilog(geometry, unit, architecture)
    wrapper = component_verilog(AxiArray(geometry, unit, architecture, counter_bits=counter_bits), name, name)
    return "\n".join((_header(geometry, unit, counter_bits), wrapper, core))


def _header(geometry: ArrayGeometry, unit: DotProductUnit, counter_bits: int) -> str:
    stays = not geometry.kind.keeps_outputs
    tile = "fold" if stays else "tile"
    fields, low = [], 0
    for field, bits in data_fields(geometry, unit).items():
        fields.append(f"{field} {low + bits - 1}:{low}")
        low += bits
    read = {
        Register.IDENTIFIER: f"{IDENTIFIER:#010x}",
        Register.VERSION: f"{VERSION:#010x}",
        Register.SHAPE: f"{geometry.rows} rows; {geometry.columns} columns at bit 16",
        Register.ELEMENT: f"kind {kind_code(geometry.kind)} ({geometry.kind.value}); depth {geometry.depth} at bit 8; "
        f"lanes {unit.lanes} at bit 16",
        Register.CONTROL: "write 1: start a job; write 2: clear done and the errors",
        Register.STATUS: ", ".join(f"{status.value} {status.name.lower()}" for status in Status),
        Register.STEPS: f"steps of a {tile}, {counter_bits} bits; written while no job runs",
        Register.TILES: f"{tile}s of a job, {counter_bits} bits; written while no job runs",
        Register.CYCLES: "of the last job, from the first beat into the array to its last output, both counted",
    }
    lines = [
        f"{axi_array_name(geometry, unit)}: written by hwsim {version()}",
        "",
        "The array below with an AXI4-Stream for beats (s_axis), one for outputs (m_axis), and AXI4-Lite registers",
        "(s_axil). aresetn is synchronous. No output depends on an input without a register between.",
        "",
        f"s_axis_tdata  {input_bits(geometry, unit)} bits: {', '.join(fields)}",
        *(["s_axis_tuser  bit 0 step, bit 1 load"] if stays else []),
        f"s_axis_tlast  with the last step of each {tile}",
        f"m_axis_tdata  {output_bits(geometry, unit)} bits: d",
        f"m_axis_tlast  with the last output of each {tile}",
        "irq           status done",
        "",
        "Registers, 32 bits, by byte address; any other answers SLVERR",
        *(f"  {register.value:#04x}  {register.name:10}  {text}" for register, text in read.items()),
    ]
    return "".join(f"// {line}".rstrip() + "\n" for line in lines)
