# SPDX-License-Identifier: Apache-2.0
"""Energy of a simulated run from toggles: a lower bound, without glitches and without wires."""

from dataclasses import dataclass

import numpy as np

from cost_models.activity.netlist import Netlist
from cost_models.activity.toggles import Trace
from cost_models.technologies import Technology

__all__ = [
    "Energy",
    "energy",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Energy:
    """
    Energy of one operation in pJ, by where it goes.

    `logic_pj` combinational cells and the pins they drive; `registers_pj` flip-flop outputs and the pins they drive;
    `inputs_pj` the pins that the input ports drive; `clock_pj` the clock inside and at the pins of the flip-flops,
    without a clock tree; `leakage_pj` over the time of an operation.
    """

    logic_pj: float
    registers_pj: float
    inputs_pj: float
    clock_pj: float
    leakage_pj: float

    @property
    def total_pj(self) -> float:
        """All of it."""
        return self.logic_pj + self.registers_pj + self.inputs_pj + self.clock_pj + self.leakage_pj


def energy(netlist: Netlist, technology: Technology, trace: Trace, operations: int, period_ps: float) -> Energy:
    """
    Energy of a run, for each of its operations.

    A toggle of a net costs its driver's internal energy and ``C V**2 / 2`` of the input pins on it. A flip-flop pays
    two clock edges a cycle, enabled or not. Leakage is power times period times cycles. Zero delay means that a net
    changes at most once a cycle; there is no wire capacitance: the figure is a lower bound for the operands given.

    Parameters
    ----------
    netlist : Netlist
    technology : Technology
        The one of the netlist.
    trace : Trace
        Of a run on the netlist.
    operations : int
        What the energy is divided by: rows accepted in the counted cycles. At least 1.
    period_ps : float
        Clock period in ps, above 0.

    Returns
    -------
    Energy
        In pJ an operation.

    Raises
    ------
    ValueError
        `operations` or `period_ps` is out of range.
    """
    if operations < 1 or period_ps <= 0:
        raise ValueError(f"operations and period_ps must be above 0, not {operations!r} and {period_ps!r}")
    voltage = technology.operating_point.voltage_v
    charge_fj = 0.5 * netlist.loads_ff * voltage**2
    toggles = trace.toggles
    cells = technology.cells

    def spent(nets: "np.ndarray[tuple[int], np.dtype[np.int64]]", names: tuple[str, ...]) -> float:
        internal = np.array([cells[name].internal_fj for name in names]) if names else np.zeros(len(nets))
        return float(np.sum(toggles[nets] * (charge_fj[nets] + internal)))

    clock_fj = leakage_nw = 0.0
    for name, count in netlist.cells.items():
        cell = cells[name]
        leakage_nw += count * cell.leakage_nw
        if cell.is_flip_flop:
            clock_fj += count * 2 * (cell.clock_fj + 0.5 * cell.pin_caps_ff[cell.clock] * voltage**2)
    ports = np.concatenate([np.zeros(0, dtype=np.int64), *netlist.inputs.values()])
    scale = 1e-3 / operations
    return Energy(
        logic_pj=scale * spent(netlist.gates[:, 0], netlist.gate_cells),
        registers_pj=scale * spent(netlist.flip_flops[:, 0], netlist.flip_flop_cells),
        inputs_pj=scale * spent(ports, ()),
        clock_pj=scale * clock_fj * trace.transitions,
        leakage_pj=scale * leakage_nw * period_ps * 1e-6 * trace.transitions,
    )
