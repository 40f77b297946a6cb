# SPDX-License-Identifier: Apache-2.0
"""Static timing of a mapped netlist with the technology's linear delays, flip-flops included."""

from dataclasses import dataclass

import numpy as np

from cost_models.activity.netlist import Netlist
from cost_models.technologies import Technology, linear_delays
from cost_models.technologies.wires import wire_loads_ff

__all__ = [
    "Timing",
    "timing",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """
    The longest paths in ps: register to register, port to register, register to port, port to port.

    A kind of path that the netlist has not is 0. Flip-flops add their clock-to-output delay and their setup.
    """

    register_ps: float
    input_ps: float
    output_ps: float
    through_ps: float

    @property
    def delay_ps(self) -> float:
        """The worst of the four: the shortest clock period with nothing before or behind the ports."""
        return max(self.register_ps, self.input_ps, self.output_ps, self.through_ps)


def timing(netlist: Netlist, technology: Technology, wires: bool = False) -> Timing:
    """
    Longest paths of a netlist.

    Input ports arrive at 0 from an ideal source and output ports carry the operating point's load (four inverters);
    rise and fall are equal, and there is no slew dependence: `cost_models.technologies.delay` says what the delays
    are.

    Parameters
    ----------
    netlist : Netlist
    technology : Technology
        The one of the netlist.
    wires : bool, default False
        Whether nets carry the load of their wires too (`cost_models.technologies.wires`: an assumption, for nothing
        is placed; none in a technology without a table of wires). The gates stay as they were sized without.

    Returns
    -------
    Timing
    """
    loads = netlist.loads_ff + wire_loads_ff(netlist, technology) if wires else netlist.loads_ff.copy()
    for nets in netlist.outputs.values():
        loads[nets] += technology.operating_point.load_ff
    delays = linear_delays(technology)
    # column 0: paths from ports, column 1: from flip-flops
    arrival = np.full((netlist.nets, 2), -np.inf)
    for nets in netlist.inputs.values():
        arrival[nets, 0] = 0.0
    for (net, _, _), name in zip(netlist.flip_flops, netlist.flip_flop_cells, strict=True):
        arrival[net, 1] = delays[name].intrinsic_ps + delays[name].slope_ps_per_ff * loads[net]
    for row, name in zip(netlist.gates, netlist.gate_cells, strict=True):
        delay = delays[name].intrinsic_ps + delays[name].slope_ps_per_ff * loads[row[0]]
        arrival[row[0]] = arrival[row[2 : 2 + row[1]]].max(axis=0) + delay
    setup = np.array([technology.cells[name].setup_ps for name in netlist.flip_flop_cells])
    at_registers = arrival[netlist.flip_flops[:, 1]] + setup[:, None]
    at_ports = arrival[np.concatenate([np.zeros(0, dtype=np.int64), *netlist.outputs.values()])]
    return Timing(
        register_ps=_worst(at_registers[:, 1]), input_ps=_worst(at_registers[:, 0]),
        output_ps=_worst(at_ports[:, 1]), through_ps=_worst(at_ports[:, 0]),
    )  # fmt: skip


def _worst(ends: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> float:
    """Find the latest end, 0 without one."""
    return max(0.0, float(ends.max())) if len(ends) else 0.0
