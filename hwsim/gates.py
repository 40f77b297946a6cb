# SPDX-License-Identifier: Apache-2.0
"""A unit's mapped netlist against its model, and its switching energy, both by the gate simulator."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cost_models.activity import Energy, Netlist, Simulator, energy
from cost_models.technologies import Technology
from hwsim import formats
from hwsim.datapath import DotProductUnit, Row, dot_exact
from hwsim.datapath.unit import ScalarSpec
from hwsim.formats import BlockSpec

__all__ = [
    "OPERANDS",
    "Beat",
    "check_netlist",
    "core_inputs",
    "step_energy",
]

_LANES = 512
_SEED = 7
_STEPS = 64
OPERANDS = (
    "normal operands (mean 0, one scale to the largest of 4096; block scales by the format), 64 steps a dot product"
)


class Beat(NamedTuple):
    """What a core sees in a cycle: a row, and whether it is enabled, the row is there, and the core is reset."""

    row: Row
    en: bool = True
    valid: bool = True
    rst: bool = False


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
        The outputs; without it, the oracle's.

    Returns
    -------
    int
        How many outputs were compared.

    Raises
    ------
    ValueError
        If an output differs, is missing or is one too many: with its number, the value and the one expected.
    """
    wanted = list(dot_exact(unit, rows) if expected is None else expected)
    generator = np.random.default_rng(_SEED)
    streams = [_interrupted(stream, generator) for stream in _streams(rows, _LANES)]
    inputs = core_inputs(unit, streams, latency + 1)
    trace = Simulator(netlist, _LANES).run(inputs)
    valid = trace.outputs["d_valid"].astype(bool) & inputs["en"].astype(bool) & ~inputs["rst"].astype(bool)
    d = trace.outputs["d"]
    seen: list[int] = []
    for lane in range(len(streams)):
        codes = d[valid[:, lane], lane]
        seen += [int(code) for code in codes]
    for index, (code, want) in enumerate(zip(seen, wanted, strict=False)):
        if code != want:
            raise ValueError(
                f"netlist of {unit.name} differs from the model at output {index}: {code:#x}, not {want:#x}"
            )
    if len(seen) != len(wanted) or valid[:, len(streams) :].any():
        raise ValueError(f"netlist of {unit.name} gave {len(seen)} outputs, not {len(wanted)}")
    return len(wanted)


def core_inputs(
    unit: DotProductUnit, streams: Sequence[Sequence[Beat]], tail: int, lanes: int = _LANES
) -> dict[str, NDArray[np.uint64]]:
    """Return the core's input ports for streams side by side, one beat a cycle, then `tail` empty cycles.

    Returns
    -------
    dict of str to ndarray of uint64
        ``en``, ``valid``, ``rst``, ``first``, ``last``, ``a``, ``b``, ``scale_a``, ``scale_b``, ``c``: shape (cycles,
        lanes), or (cycles, lanes, limbs) above 64 bits.

    Raises
    ------
    ValueError
        If an operand is sparse, or has several scales a step.
    """
    cycles = max(len(stream) for stream in streams) + tail
    shape = (cycles, lanes)
    if unit.sparsity is not None or max(unit.scale_counts) > 1:
        raise ValueError(f"unit {unit.name} must have dense operands and one scale a step to be run as gates")
    a_bits, b_bits = unit.element_a.bits + unit.ignored_bits, unit.element_b.bits + unit.ignored_bits
    bits = {"a": unit.lanes * a_bits, "b": unit.lanes * b_bits, "c": unit.register.bits}
    ports = {name: np.zeros(shape, np.uint64) for name in ("valid", "rst", "first", "last")}
    ports["en"] = np.ones(shape, np.uint64)
    wide = {name: np.zeros((*shape, -(-width // 64)), np.uint64) for name, width in bits.items()}
    names = [name for name, spec in (("scale_a", unit.scale_a), ("scale_b", unit.scale_b)) if spec is not None]
    scales = {name: np.zeros(shape, np.uint64) for name in names}
    for lane, stream in enumerate(streams):
        for cycle, (row, en, valid, rst) in enumerate(stream):
            ports["en"][cycle, lane] = en
            ports["valid"][cycle, lane] = valid
            ports["rst"][cycle, lane] = rst
            ports["first"][cycle, lane] = row.first
            ports["last"][cycle, lane] = row.last
            words = {"a": _packed(row.a, a_bits), "b": _packed(row.b, b_bits), "c": row.c}
            for name, word in words.items():
                for limb in range(wide[name].shape[2]):
                    wide[name][cycle, lane, limb] = (word >> (64 * limb)) & 0xFFFFFFFFFFFFFFFF
            for name, code in zip(names, row.scales, strict=True):
                scales[name][cycle, lane] = code
    flat = {name: words if words.shape[2] > 1 else words[:, :, 0] for name, words in wide.items()}
    return {**ports, **scales, **flat}


def step_energy(
    unit: DotProductUnit, netlist: Netlist, technology: Technology, period_ps: float, pipeline: int
) -> Energy:
    """Return the energy of one step of the mapped core on `OPERANDS`: without glitches and wires, a lower bound.

    Parameters
    ----------
    unit : DotProductUnit
    netlist : Netlist
    technology : Technology
    period_ps : float
        Clock period, for the leakage.
    pipeline : int
        Register ranks, filled before counting begins.
    """
    generator = np.random.default_rng(_SEED)
    steps = 2 * _STEPS
    a, a_scales = _operand(unit.a, unit.lanes, steps, generator)
    b, b_scales = _operand(unit.b, unit.lanes, steps, generator)
    streams = []
    for lane in range(_LANES):
        stream = []
        for step in range(steps):
            scales = tuple(int(s[lane, step]) for s in (a_scales, b_scales) if s is not None)
            stream.append(
                Beat(
                    Row(
                        first=step % _STEPS == 0,
                        last=step % _STEPS == _STEPS - 1,
                        a=tuple(a[lane, step].tolist()),
                        b=tuple(b[lane, step].tolist()),
                        scales=scales,
                    )
                )
            )
        streams.append(stream)
    inputs = core_inputs(unit, streams, 0)
    simulator = Simulator(netlist, _LANES)
    warm = pipeline + 1
    simulator.run({name: words[:warm] for name, words in inputs.items()})
    trace = simulator.run({name: words[warm:] for name, words in inputs.items()})
    return energy(netlist, technology, trace, (steps - warm) * _LANES, period_ps)


def _operand(
    spec: ScalarSpec | BlockSpec, lanes: int, steps: int, generator: np.random.Generator
) -> tuple[NDArray[np.unsignedinteger], NDArray[np.unsignedinteger] | None]:
    """Return codes (streams, steps, lanes) and, for a block format, scale codes (streams, steps)."""
    values = generator.standard_normal((_LANES, steps * lanes))
    if isinstance(spec, BlockSpec):
        q = formats.quantize(values, spec, -1)
        scales = np.repeat(q.scales, spec.block_size // lanes, axis=1)[:, :steps]
        return q.codes.reshape(_LANES, steps, lanes), scales.astype(np.uint64)
    largest = np.abs(generator.standard_normal(4096)).max()
    codes = spec.encode(values * (spec.max_value / largest))
    return codes.reshape(_LANES, steps, lanes), None


def _streams(rows: Sequence[Row], lanes: int) -> list[list[Row]]:
    """Cut rows into at most `lanes` streams of about one length, at the starts of dot products."""
    target = -(-len(rows) // lanes)
    streams: list[list[Row]] = [[]]
    for row in rows:
        if row.first and len(streams[-1]) >= target:
            streams.append([])
        streams[-1].append(row)
    return streams


def _interrupted(stream: Sequence[Row], generator: np.random.Generator) -> list[Beat]:
    """Put a reset before the rows, which drops what it meets, and cycles without enable or without a row among them."""
    beats = [Beat(stream[0], rst=True), Beat(stream[-1], rst=True)]
    for row, draw in zip(stream, generator.random(len(stream)), strict=True):
        if draw < 1 / 16:
            beats.append(Beat(row, en=False))
        elif draw < 1 / 8:
            beats.append(Beat(row, valid=False))
        beats.append(Beat(row))
    return beats


def _packed(codes: Sequence[int], bits: int) -> int:
    word = 0
    for lane, code in enumerate(codes):
        word |= code << (bits * lane)
    return word
