# SPDX-License-Identifier: Apache-2.0
"""A unit's mapped netlist against its model, and its switching energy, both by the gate simulator."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cost_models.activity import Energy, GlitchSimulator, Netlist, Simulator, energy
from cost_models.activity.energy import StageLabels
from cost_models.technologies import Technology
from hwsim.datapath import DotProductUnit, Row, dot_exact
from hwsim.datapath.plan import plan
from hwsim.datapath.stream import dot
from hwsim.operands import Operands, gaussian
from hwsim.operands.ports import row_ports

__all__ = [
    "EnergyBounds",
    "check_netlist",
    "step_energy",
]

_LANES = 512
_SEED = 7
_Words = NDArray[np.uint64]


class EnergyBounds(NamedTuple):
    """
    Energy of a step between two simulations of the same operands.

    lower : zero delay (a net changes at most once a cycle) and no wires: no less is possible for these operands and
        this cell data
    upper : every gate one unit of time, with all glitches that this gives, and wires by the technology's assumption; a
        figure, not a worst case
    """

    lower: Energy
    upper: Energy


def check_netlist(
    unit: DotProductUnit, netlist: Netlist, rows: Sequence[Row], latency: int, expected: Sequence[int] | None = None
) -> int:
    """Compare a mapped core with the model: rows in many streams at once, with bubbles, waits and a reset before them.

    Parameters
    ----------
    unit : DotProductUnit
    netlist : Netlist
        Of the core (`rtl.core_verilog`).
    rows : sequence of Row
        The first has `first`; the last, `last`.
    latency : int
        Cycles from a row to its output.
    expected : sequence of int, optional
        The outputs; without it, the model's: of `hwsim.datapath.stream.dot`, or of the oracle where the unit is too
        wide for that.

    Returns
    -------
    int
        How many outputs were compared.

    Raises
    ------
    ValueError
        If an output differs, is missing or is one too many: with its number, the value and the one expected.
    """
    ports = row_ports(
        unit,
        np.array([row.a for row in rows]),
        np.array([row.b for row in rows]),
        np.array([row.scales for row in rows]) if unit.scales else None,
        [row.c for row in rows],
    )
    ports |= {name: np.array([getattr(row, name) for row in rows], dtype=np.uint64) for name in ("first", "last")}
    wanted = _outputs(unit, rows) if expected is None else list(expected)
    inputs, used = _interrupted(ports, latency + 1)
    trace = Simulator(netlist, _LANES).run(inputs)
    valid = trace.outputs["d_valid"].astype(bool) & inputs["en"].astype(bool) & ~inputs["rst"].astype(bool)
    d = trace.outputs["d"]
    seen = _integers(np.swapaxes(d, 0, 1)[valid.T])
    for index, (code, want) in enumerate(zip(seen, wanted, strict=False)):
        if code != want:
            raise ValueError(
                f"netlist of {unit.name} differs from the model at output {index}: {code:#x}, not {want:#x}"
            )
    if len(seen) != len(wanted) or valid[:, used:].any():
        raise ValueError(f"netlist of {unit.name} gave {len(seen)} outputs, not {len(wanted)}")
    return len(wanted)


def step_energy(
    unit: DotProductUnit,
    netlist: Netlist,
    technology: Technology,
    period_ps: float,
    pipeline: int,
    operands: Operands | None = None,
    stages: StageLabels | None = None,
) -> EnergyBounds:
    """Return the energy of one step of the mapped core, all `unit.lanes` products of it, between two bounds.

    Parameters
    ----------
    unit : DotProductUnit
    netlist : Netlist
    technology : Technology
    period_ps : float
        Clock period, for the leakage.
    pipeline : int
        Register ranks, filled before counting begins.
    operands : Operands, optional
        `hwsim.operands.gaussian` if not given. A row enters each cycle: no waits, no bubbles.
    stages : StageLabels, optional
        Of `cost_models.synthesis.stages.stages`, for `Energy.by_stage`.

    Raises
    ------
    ValueError
        If the operands are of another unit, or have no more steps than the pipeline has ranks.
    """
    given = gaussian(unit) if operands is None else operands
    if given.unit != unit:
        raise ValueError(f"operands must be of unit {unit.name}, not of {given.unit.name}")
    warm = pipeline + 1
    streams, steps = given.a.shape[:2]
    if steps <= warm:
        raise ValueError(f"operands must have more than {warm} steps, not {steps}")
    inputs = given.ports()
    results = []
    for kind, wires in ((Simulator, False), (GlitchSimulator, True)):
        simulator = kind(netlist, streams)
        simulator.run({name: words[:warm] for name, words in inputs.items()}, outputs=False)
        trace = simulator.run({name: words[warm:] for name, words in inputs.items()}, outputs=False)
        operations = (steps - warm) * streams
        results.append(energy(netlist, technology, trace, operations, period_ps, stages=stages, wires=wires))
    return EnergyBounds(*results)


def _outputs(unit: DotProductUnit, rows: Sequence[Row]) -> list[int]:
    """Return what the model gives: by the kernels where they can run the unit."""
    try:
        plan(unit)
    except ValueError:
        return list(dot_exact(unit, rows))
    columns = {name: [getattr(row, name) for row in rows] for name in ("a", "b", "first", "last", "c")}
    a, b = (np.array(columns[name], dtype=np.uint64) for name in "ab")
    scales = np.array([row.scales for row in rows], dtype=np.uint64) if unit.scales else None
    first, last = (np.array(columns[name], dtype=bool) for name in ("first", "last"))
    c = np.array(columns["c"], dtype=np.uint64)
    found: list[int] = dot(unit, a, b, first, last, c, scales=scales).tolist()
    return found


def _interrupted(ports: dict[str, _Words], tail: int) -> tuple[dict[str, _Words], int]:
    """Lay rows out as streams side by side, with a reset before each, and bubbles and waits; and how many streams.

    The reset drops what it meets: the first row of a stream and the last. A sixteenth of the rows is there a cycle
    before without the enable, another sixteenth without being valid.
    """
    starts = _starts(np.flatnonzero(ports["first"]), len(ports["first"]))
    lengths = np.diff([*starts, len(ports["first"])])
    draw = np.random.default_rng(_SEED).random(len(ports["first"]))
    repeats = 1 + (draw < 1 / 8)
    ends = np.cumsum(repeats)
    stream = np.repeat(np.arange(len(starts)), lengths)
    before = np.concatenate([[0], ends])[starts][stream]
    cycle = 1 + ends - before  # of the row itself; two cycles of reset before
    shape = (int(cycle.max()) + 1 + tail, _LANES)
    row = np.full(shape, len(draw))  # one behind the last: nothing
    valid, enable, reset = np.zeros(shape, np.uint64), np.ones(shape, np.uint64), np.zeros(shape, np.uint64)
    lanes = np.arange(len(starts))
    row[0, lanes], row[1, lanes] = starts, starts + lengths - 1
    reset[:2, lanes] = 1
    valid[:2, lanes] = 1
    row[cycle, stream] = np.arange(len(draw))
    valid[cycle, stream] = 1
    twice = draw < 1 / 8
    row[cycle[twice] - 1, stream[twice]] = np.flatnonzero(twice)
    waits = draw[twice] < 1 / 16
    enable[cycle[twice] - 1, stream[twice]] = ~waits
    valid[cycle[twice] - 1, stream[twice]] = waits
    filled = {name: np.concatenate([words, np.zeros_like(words[:1])])[row] for name, words in ports.items()}
    return filled | {"en": enable, "valid": valid, "rst": reset}, len(starts)


def _starts(firsts: NDArray[np.int64], rows: int) -> NDArray[np.int64]:
    """Cut rows into at most `_LANES` streams of about one length, at the starts of dot products."""
    target = -(-rows // _LANES)
    starts = [0]
    for first in firsts.tolist():
        if first - starts[-1] >= target:
            starts.append(first)
    return np.array(starts)


def _integers(words: _Words) -> list[int]:
    """Return integers of words, or of rows of 64-bit limbs, the low one first."""
    if words.ndim == 1:
        found: list[int] = words.tolist()
        return found
    return [sum(limb << (64 * place) for place, limb in enumerate(limbs)) for limbs in words.tolist()]
