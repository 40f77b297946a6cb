# SPDX-License-Identifier: Apache-2.0
"""Energy of a simulated run from its toggles, by where it goes and by stage of the datapath."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from cost_models.activity.netlist import Netlist
from cost_models.activity.toggles import Trace
from cost_models.technologies import Technology

__all__ = [
    "Energy",
    "StageLabels",
    "energy",
]

_Floats = npt.NDArray[np.float64]
_Integers = npt.NDArray[np.int64]


class StageLabels(Protocol):
    """Which stage each gate and each flip-flop output belongs to: `cost_models.synthesis.Stages` is such a thing."""

    @property
    def names(self) -> Sequence[str]:
        """The stages."""

    @property
    def gates(self) -> _Integers:
        """Index into `names` of each row of `Netlist.gates`."""

    @property
    def flip_flops(self) -> _Integers:
        """Index into `names` of each row of `Netlist.flip_flops`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Energy:
    """
    Energy of one operation in pJ, by where it goes.

    `logic_pj` combinational cells and the pins they drive; `registers_pj` flip-flop outputs and the pins they drive;
    `inputs_pj` the pins that the input ports drive; `wires_pj` the wires of all these, 0 unless asked for; `clock_pj`
    the clock inside and at the pins of the flip-flops, without a clock tree; `leakage_pj` over the time of an
    operation. `by_stage` is the same total by stage of the datapath, with the inputs and their wires as the stage
    ``inputs``; empty where no labels were given.
    """

    logic_pj: float
    registers_pj: float
    inputs_pj: float
    clock_pj: float
    leakage_pj: float
    wires_pj: float = 0.0
    by_stage: Mapping[str, float] = field(default_factory=dict, hash=False)

    @property
    def total_pj(self) -> float:
        """All of it."""
        parts = (self.logic_pj, self.registers_pj, self.inputs_pj, self.wires_pj, self.clock_pj, self.leakage_pj)
        return sum(parts)


@dataclass(frozen=True, slots=True)
class _Spent:
    """Energy in fJ of the run: of each gate row, each flip-flop row, and all inputs."""

    gates: _Floats
    flip_flops: _Floats
    inputs: float

    def total(self) -> float:
        """Add all up."""
        return float(self.gates.sum() + self.flip_flops.sum()) + self.inputs


def energy(
    netlist: Netlist,
    technology: Technology,
    trace: Trace,
    operations: int,
    period_ps: float,
    *,
    stages: StageLabels | None = None,
    wires: bool = False,
) -> Energy:
    """
    Energy of a run, for each of its operations.

    A toggle of a net costs its driver's internal energy and ``C V**2 / 2`` of the input pins on it, and of its wire
    where `wires` is set. A flip-flop pays two clock edges a cycle, enabled or not: there is no clock gating and no
    clock tree. Leakage is power times period times cycles. With the toggles of `Simulator`, which changes a net at
    most once a cycle, and without wires the figure is a lower bound for the operands given, up to the cell data.

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
    stages : StageLabels, optional
        Gives `Energy.by_stage`.
    wires : bool
        Whether to add the wires by the technology's wire-load assumption; without one there are none to add.

    Returns
    -------
    Energy
        In pJ an operation.

    Raises
    ------
    ValueError
        `operations` or `period_ps` is out of range, or `stages` is of another netlist or has a stage ``inputs``.
    """
    if operations < 1 or period_ps <= 0:
        raise ValueError(f"operations and period_ps must be above 0, not {operations!r} and {period_ps!r}")
    charge_fj = 0.5 * technology.operating_point.voltage_v**2 * trace.toggles
    pins = _along(netlist, charge_fj * netlist.loads_ff)
    internal = _internal(netlist, technology, trace.toggles)
    wiring = _along(netlist, charge_fj * _wire_loads_ff(netlist, technology) if wires else np.zeros(netlist.nets))
    clock = _clock(netlist, technology, trace.transitions)
    leakage = _leakage(netlist, technology, period_ps * 1e-6 * trace.transitions)
    scale = 1e-3 / operations
    return Energy(
        logic_pj=scale * float(pins.gates.sum() + internal.gates.sum()),
        registers_pj=scale * float(pins.flip_flops.sum() + internal.flip_flops.sum()),
        inputs_pj=scale * pins.inputs,
        wires_pj=scale * wiring.total(),
        clock_pj=scale * clock.total(),
        leakage_pj=scale * leakage.total(),
        by_stage={} if stages is None else _by_stage(netlist, stages, (pins, internal, wiring, clock, leakage), scale),
    )


def _along(netlist: Netlist, of_nets: _Floats) -> _Spent:
    """Give what is known of nets to what drives them."""
    ports = np.concatenate([np.zeros(0, dtype=np.int64), *netlist.inputs.values()])
    return _Spent(of_nets[netlist.gates[:, 0]], of_nets[netlist.flip_flops[:, 0]], float(of_nets[ports].sum()))


def _internal(netlist: Netlist, technology: Technology, toggles: _Integers) -> _Spent:
    """Energy inside the cells, for each change of an output."""
    gates = np.array([technology.cells[name].internal_fj for name in netlist.gate_cells])
    flip_flops = np.array([technology.cells[name].internal_fj for name in netlist.flip_flop_cells])
    return _Spent(gates * toggles[netlist.gates[:, 0]], flip_flops * toggles[netlist.flip_flops[:, 0]], 0.0)


def _clock(netlist: Netlist, technology: Technology, transitions: int) -> _Spent:
    """Two edges a cycle at every flip-flop; one with two outputs has two rows, and pays at the first."""
    half = 0.5 * technology.operating_point.voltage_v**2
    cells = [technology.cells[name] for name in netlist.flip_flop_cells]
    edge_fj = np.array([cell.clock_fj + half * cell.pin_caps_ff[cell.clock] for cell in cells])
    return _Spent(np.zeros(len(netlist.gates)), 2 * transitions * edge_fj * _first(netlist.flip_flop_instances), 0.0)


def _leakage(netlist: Netlist, technology: Technology, time_fj_per_nw: float) -> _Spent:
    """Give every instance's leakage to its first row (`levelize` keeps no instance without one)."""
    rows = [
        np.array([technology.cells[name].leakage_nw for name in names]) * _first(instances)
        for names, instances in (
            (netlist.gate_cells, netlist.gate_instances),
            (netlist.flip_flop_cells, netlist.flip_flop_instances),
        )
    ]
    return _Spent(time_fj_per_nw * rows[0], time_fj_per_nw * rows[1], 0.0)


def _first(instances: _Integers) -> npt.NDArray[np.bool_]:
    """Mark the first row of each instance."""
    first = np.zeros(len(instances), dtype=np.bool_)
    first[np.unique(instances, return_index=True)[1]] = True
    return first


def _wire_loads_ff(netlist: Netlist, technology: Technology) -> _Floats:
    """Capacitance of the wire of each net; imported here because that module imports ours."""
    from cost_models.technologies.wires import wire_loads_ff

    return wire_loads_ff(netlist, technology)


def _by_stage(netlist: Netlist, stages: StageLabels, parts: Sequence[_Spent], scale: float) -> dict[str, float]:
    """Add up by stage."""
    if len(stages.gates) != len(netlist.gates) or len(stages.flip_flops) != len(netlist.flip_flops):
        raise ValueError(
            f"stages must label {len(netlist.gates)} gates and {len(netlist.flip_flops)} flip-flop outputs, "
            f"not {len(stages.gates)} and {len(stages.flip_flops)}"
        )
    if "inputs" in stages.names:
        raise ValueError(f"stages must not have one named 'inputs', not {tuple(stages.names)!r}")
    sums = np.zeros(len(stages.names))
    for part in parts:
        sums += np.bincount(stages.gates, part.gates, len(sums)) + np.bincount(
            stages.flip_flops, part.flip_flops, len(sums)
        )
    by_stage = dict(zip(stages.names, (scale * sums).tolist(), strict=True))
    return by_stage | {"inputs": scale * sum(part.inputs for part in parts)}
