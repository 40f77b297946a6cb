# SPDX-License-Identifier: Apache-2.0
"""The load of the wires, by an assumption on their length."""

import math

import numpy as np
import numpy.typing as npt

from cost_models.activity.netlist import Netlist
from cost_models.technologies.technology import Technology

__all__ = [
    "wire_loads_ff",
]


def wire_loads_ff(netlist: Netlist, technology: Technology) -> npt.NDArray[np.float64]:
    """
    Capacitance that the wire of each net adds to the pins on it.

    A net is `pitches_per_pin` cell pitches long for each sink: an input pin of a gate, the data pin of a flip-flop, a
    bit of an output port. The pitch is the side of the square that a cell takes, ``sqrt(mean cell area /
    utilization)``. This is an assumption: no cell is placed.

    Parameters
    ----------
    netlist : Netlist
    technology : Technology
        The one of the netlist; `wires` has the three numbers.

    Returns
    -------
    ndarray of float64, shape (nets,)
        In fF. Zeros where the technology has no `wires`, and on the constants. The clock is no net of a `Netlist`.
    """
    lengths = np.zeros(netlist.nets)
    wires = technology.wires
    cells = sum(netlist.cells.values())
    if wires is None or not cells:
        return lengths
    for nets in _sinks(netlist):
        np.add.at(lengths, nets, 1.0)
    lengths[:2] = 0.0  # a constant is tied where it is used
    area = sum(count * technology.cells[name].area_um2 for name, count in netlist.cells.items())
    pitch_um = math.sqrt(area / cells / wires.utilization)
    return lengths * (wires.pitches_per_pin * pitch_um * wires.capacitance_ff_per_um)


def _sinks(netlist: Netlist) -> list[npt.NDArray[np.int64]]:
    """List the net of every sink; a cell with two outputs has its inputs in two rows, and counts once."""
    found = list(netlist.outputs.values())
    _, first = np.unique(netlist.gate_instances, return_index=True)
    found += [row[2 : 2 + row[1]] for row in netlist.gates[first]]
    _, first = np.unique(netlist.flip_flop_instances, return_index=True)
    found.append(netlist.flip_flops[first, 1])
    return found
