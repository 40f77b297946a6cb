# SPDX-License-Identifier: Apache-2.0
"""Which datapath stage each cell of a mapped netlist belongs to, found by what it computes."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from cost_models import store
from cost_models.activity.netlist import Netlist
from cost_models.activity.toggles import Simulator
from cost_models.synthesis.reference import CONTROL, Reference, recipe, references
from cost_models.technologies import Technology

__all__ = [
    "Stages",
    "area_by_stage",
    "signatures",
    "stages",
]

_Ints = npt.NDArray[np.int64]
_KIND = "functions"
_LANES = 64
_CYCLES = 256
_RESET, _LOAD = 16, 64  # cycles before those that count: then no state is left that no input has set
_SEED = 7
_PHASES = {"rst": (1, 0), "en": (1, 1), "valid": (0, 1), "first": (0, 1), "last": (0, 1)}
_ODDS = {"rst": 1 / 16, "en": 7 / 8, "valid": 7 / 8}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stages:
    """
    The stage of each cell.

    Attributes
    ----------
    names : tuple of str
        The stages in the order of the data. Several words joined by ``+`` are stages that share one structure;
        ``control`` is what goes beside the datapath: valid, first, last, c.
    gates : ndarray of int64
        Index into `names` for each row of `Netlist.gates`.
    flip_flops : ndarray of int64
        The same of `Netlist.flip_flops`.
    found : ndarray of bool
        Which rows of `Netlist.gates` compute a function of the unmapped design, or its complement. The others have
        the stage of what they feed.
    """

    names: tuple[str, ...]
    gates: _Ints
    flip_flops: _Ints
    found: npt.NDArray[np.bool_]

    @property
    def matched(self) -> float:
        """Share of the gates whose stage was found by function, 1 without gates."""
        return float(self.found.mean()) if len(self.found) else 1.0


def stages(netlist: Netlist, text: str, top: str) -> Stages:
    """
    Label the cells of a mapped netlist with the stages of the Verilog that it was made from.

    Mapping keeps no hierarchy. So the text is elaborated into gates that keep the path of their instance, both netlists
    run on the same 16 384 random vectors, state included, and a mapped gate gets the stage of the gate that had the
    same value, or its complement, on each of them, else that of the flip-flop that had. Where several stages compute
    one function, the first has it. A gate without a partner gets the stage of the nearest labelled cell that it feeds,
    else of the nearest that feeds it; flip-flops are told by their output in the same way. All outputs of a cell are in
    one stage.

    Parameters
    ----------
    netlist : Netlist
        Mapped from `text`.
    text : str
        Verilog of the core and all that it instantiates.
    top : str
        Its top module.

    Returns
    -------
    Stages

    Raises
    ------
    ValueError
        The netlist's ports are not those of the text.
    RuntimeError
        Yosys is not installed, or fails (`ToolError`).
    """
    known = _known(text, top, netlist)
    words = signatures(netlist)
    held = known.flip_flops  # a flip-flop's inverter is part of it
    gates = np.array([known.gates.get(word, held.get(word, -1)) for word in words[netlist.gates[:, 0]].tolist()])
    gates = gates.astype(np.int64)
    flops = np.array([held.get(word, -1) for word in words[netlist.flip_flops[:, 0]].tolist()], dtype=np.int64)
    found = gates >= 0
    told = flops >= 0
    gates, flops = spread(netlist, gates, flops)
    for labels, instances, sure in (
        (gates, netlist.gate_instances, found),
        (flops, netlist.flip_flop_instances, told),
    ):
        labels[labels < 0] = known.names.index(CONTROL)
        _join(labels, instances, sure)
    used = np.unique(np.concatenate([gates, flops, [known.names.index(CONTROL)]]))
    return Stages(
        names=tuple(known.names[label] for label in used),
        gates=np.searchsorted(used, gates),
        flip_flops=np.searchsorted(used, flops),
        found=found,
    )


def area_by_stage(netlist: Netlist, technology: Technology, stages: Stages) -> dict[str, float]:
    """
    Area of each stage in um2, in the order of `Stages.names`; together that of all cells.

    A cell none of whose outputs is used counts as control.
    """
    rest = dict(netlist.cells)
    areas = dict.fromkeys(stages.names, 0.0)
    for cells, instances, labels in (
        (netlist.gate_cells, netlist.gate_instances, stages.gates),
        (netlist.flip_flop_cells, netlist.flip_flop_instances, stages.flip_flops),
    ):
        for row in np.unique(instances, return_index=True)[1]:
            rest[cells[row]] -= 1
            areas[stages.names[labels[row]]] += technology.cells[cells[row]].area_um2
    left = sum(count * technology.cells[name].area_um2 for name, count in rest.items())
    if left:
        areas[CONTROL] += left
    return areas


def signatures(netlist: Netlist) -> npt.NDArray[np.uint64]:
    """
    Hash the values of each net over the random run; a net and its complement have one hash, a constant net has 0.

    The hash is a sum of mixed words, modulo 2**64: two functions that differ anywhere meet with a chance of 2**-64.
    """
    simulator = Simulator(replace(netlist, outputs={"nets": np.arange(netlist.nets)}), _LANES)
    planes = np.zeros((netlist.nets, _CYCLES), dtype=np.uint64)
    inputs = _vectors({name: len(nets) for name, nets in sorted(netlist.inputs.items())})
    for cycle in range(_RESET + _LOAD + _CYCLES):
        trace = simulator.run({name: values[cycle : cycle + 1] for name, values in inputs.items()})
        if cycle >= _RESET + _LOAD:
            limbs = np.ascontiguousarray(trace.outputs["nets"][0].reshape(_LANES, -1))
            bits = np.unpackbits(limbs.view(np.uint8), axis=1, count=netlist.nets, bitorder="little")
            columns = np.packbits(np.ascontiguousarray(bits.T), axis=1, bitorder="little")
            planes[:, cycle - _RESET - _LOAD] = columns.view(np.uint64)[:, 0]
    constant = (planes == planes[:, :1]).all(axis=1) & ((planes[:, 0] == 0) | (~planes[:, 0] == 0))
    planes ^= np.uint64(0) - (planes[:, :1] & np.uint64(1))
    planes += np.arange(1, _CYCLES + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    hashes: npt.NDArray[np.uint64] = _mixed(planes).sum(axis=1, dtype=np.uint64)
    hashes[constant] = 0
    return hashes


def spread(netlist: Netlist, gates: _Ints, flip_flops: _Ints) -> tuple[_Ints, _Ints]:
    """
    Give every cell without a label (-1) that of the nearest cell it feeds, else of the nearest that feeds it.

    Of several as near the lowest label. A cell that neither reaches keeps -1.
    """
    gates, flip_flops = gates.copy(), flip_flops.copy()
    for backward in (True, False, True):  # the last for what feeds only cells that the second labels
        _walk(netlist, gates, flip_flops, backward)
    return gates, flip_flops


def _walk(netlist: Netlist, gates: _Ints, flip_flops: _Ints, backward: bool) -> None:
    """Spread labels against the data's direction, or along it, through gates, in place."""
    far = (1 << 30, -1)
    best = [far] * netlist.nets  # of each net: distance and label of the nearest labelled cell behind (in front of) it
    rows = netlist.gates.tolist()
    flops = netlist.flip_flops.tolist()
    known = flip_flops.tolist()
    for (q, data, _), label in zip(flops, known, strict=True):
        if label >= 0:
            end = data if backward else q
            best[end] = min(best[end], (0, label))
    for index in range(len(rows) - 1, -1, -1) if backward else range(len(rows)):
        out, count, *pins = rows[index]
        pins = [pin for pin in pins[:count] if pin > 1]
        near = best[out] if backward else min((best[pin] for pin in pins), default=far)
        if gates[index] < 0 and near != far:
            gates[index] = near[1]
            near = (near[0] + 1, near[1])
        elif gates[index] >= 0:
            near = (0, int(gates[index]))
        for net in pins if backward else (out,):
            best[net] = min(best[net], near)
    for index, (q, data, _) in enumerate(flops):
        near = best[q if backward else data]
        if flip_flops[index] < 0 and near != far:
            flip_flops[index] = near[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """Stage of each function of a design by its hash, the stages, and the bits of each input."""

    names: tuple[str, ...]
    ports: dict[str, int]
    gates: dict[int, int]
    flip_flops: dict[int, int]


def _known(text: str, top: str, netlist: Netlist) -> _Known:
    """List the functions of the unmapped design, or read back what was listed before."""
    name = store.key(text=text, top=top, how=recipe(), run=[_LANES, _RESET, _LOAD, _CYCLES, _SEED, _PHASES, _ODDS])
    record = store.load(_KIND, name)
    if record is None:
        record = _listed(references(text, top))
        store.save(_KIND, name, record)
    known = _Known(
        names=tuple(record["names"]), ports=record["ports"],
        gates=_table(record["gates"]), flip_flops=_table(record["flip_flops"]),
    )  # fmt: skip
    if known.ports != {port: len(nets) for port, nets in netlist.inputs.items()}:
        raise ValueError(f"netlist of {netlist.top} must have the inputs of module {top}: {', '.join(known.ports)}")
    return known


def _table(text: str) -> dict[int, int]:
    """Read a table that `_listed` wrote."""
    return {int(word, 16): int(label) for word, label in (pair.split(":") for pair in text.split())}


def _listed(found: list[Reference]) -> dict[str, Any]:
    """Write the functions of references down; the lowest stage has a function."""
    gates: dict[int, int] = {}
    flip_flops: dict[int, int] = {}
    for reference in found:
        netlist = reference.netlist
        words = signatures(netlist)
        labels = spread(netlist, reference.gates, reference.flip_flops)
        for rows, row_labels, into in zip(
            (netlist.gates, netlist.flip_flops), labels, (gates, flip_flops), strict=True
        ):
            for net, label in zip(rows[:, 0].tolist(), row_labels.tolist(), strict=True):
                word = int(words[net])
                if word and label >= 0:
                    into[word] = min(into.get(word, label), label)
    return {
        "names": found[0].names,
        "ports": {port: len(nets) for port, nets in found[0].netlist.inputs.items()},
        "gates": " ".join(f"{word:x}:{label}" for word, label in gates.items()),
        "flip_flops": " ".join(f"{word:x}:{label}" for word, label in flip_flops.items()),
    }


def _vectors(ports: dict[str, int]) -> dict[str, npt.NDArray[np.uint64]]:
    """
    Draw the random run: reset, then loads, then anything.

    A quarter of the lanes has ones at a chance of 1/4, a quarter at 3/4: long runs of equal bits are seen.
    """
    generator = np.random.default_rng(_SEED)
    cycles = _RESET + _LOAD + _CYCLES
    found = {}
    for name, bits in ports.items():
        shape = (cycles, _LANES, -(-bits // 64))
        one, two = (generator.integers(0, 1 << 64, shape, dtype=np.uint64) for _ in range(2))
        quarter = _LANES // 4
        one[:, :quarter] &= two[:, :quarter]
        one[:, quarter : 2 * quarter] |= two[:, quarter : 2 * quarter]
        if name in _ODDS:
            one = (generator.random(shape) < _ODDS[name]).astype(np.uint64)
        if name in _PHASES:
            one[:_RESET], one[_RESET : _RESET + _LOAD] = _PHASES[name]
        found[name] = one if bits > 64 else one[:, :, 0]
    return found


def _mixed(words: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Mix the bits of words: the finalizer of SplitMix64 (Steele, Lea, Flood 2014)."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


def _join(labels: _Ints, instances: _Ints, found: npt.NDArray[np.bool_]) -> None:
    """Put all outputs of a cell into one stage, that of one found by function if there is one, in place."""
    order = np.lexsort((labels, ~found, instances))
    first = np.unique(instances[order], return_index=True)
    labels[:] = labels[order][first[1]][np.searchsorted(first[0], instances)]
