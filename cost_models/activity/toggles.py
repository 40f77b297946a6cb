# SPDX-License-Identifier: Apache-2.0
"""Bit-parallel zero-delay simulation of a mapped netlist: outputs and toggles of many independent streams at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from cost_models.activity.netlist import MAX_PINS, Netlist

__all__ = [
    "Simulator",
    "Trace",
]

_Words = npt.NDArray[np.uint64]
_ALL = np.array([0, 0xFFFF_FFFF_FFFF_FFFF], dtype=np.uint64)  # a table bit spread over a word
_M1, _M2, _M4 = (np.uint64(mask) for mask in (0x5555555555555555, 0x3333333333333333, 0x0F0F0F0F0F0F0F0F))
_S1, _S2, _S4, _S8, _S16, _S32 = (np.uint64(1 << i) for i in range(6))
_BYTE = np.uint64(0x7F)
_HALVES = np.array([0x00000000FFFFFFFF, 0x0000FFFF0000FFFF, 0x00FF00FF00FF00FF, _M4, _M2, _M1], dtype=np.uint64)
_ZERO, _ONE = np.uint64(0), np.uint64(1)


class _Program(NamedTuple):
    """The netlist in the form that the kernel takes."""

    gates: Any
    tables: Any
    flip_flops: Any
    input_nets: Any
    output_nets: Any
    mask: Any


@numba.njit(cache=True, inline="always")
def _ones(word: np.uint64) -> np.uint64:
    """Count the ones of a word without a multiplication, so that nothing overflows uncompiled either."""
    word = word - ((word >> _S1) & _M1)
    word = (word & _M2) + ((word >> _S2) & _M2)
    word = (word + (word >> _S4)) & _M4
    word = word + (word >> _S8)
    word = word + (word >> _S16)
    return (word + (word >> _S32)) & _BYTE


@numba.njit(cache=True, inline="always")
def _load(values: Any, net: int, words: Any, mask: Any) -> np.uint64:
    """Put words on a net and count the changes."""
    total = _ZERO
    for w in range(mask.shape[0]):
        total += _ones((values[net, w] ^ words[w]) & mask[w])
        values[net, w] = words[w]
    return total


@numba.njit(cache=True, inline="always")
def _gate_1(values: Any, out: int, a: int, table: Any, mask: Any) -> np.uint64:
    """Evaluate a gate of one input on all words and count the changes."""
    t0, t1 = table[0], table[1]
    total = _ZERO
    for w in range(mask.shape[0]):
        word = t0 ^ (values[a, w] & t1)
        total += _ones((values[out, w] ^ word) & mask[w])
        values[out, w] = word
    return total


@numba.njit(cache=True, inline="always")
def _gate_2(values: Any, out: int, a: int, b: int, table: Any, mask: Any) -> np.uint64:
    """Evaluate a gate of two inputs: multiplexers over its truth table, here and below."""
    t0, t1, t2, t3 = table[0], table[1], table[2], table[3]
    total = _ZERO
    for w in range(mask.shape[0]):
        low = t0 ^ (values[a, w] & t1)
        high = t2 ^ (values[a, w] & t3)
        word = low ^ (values[b, w] & (low ^ high))
        total += _ones((values[out, w] ^ word) & mask[w])
        values[out, w] = word
    return total


@numba.njit(cache=True, inline="always")
def _gate_3(values: Any, out: int, a: int, b: int, c: int, table: Any, mask: Any) -> np.uint64:
    """Evaluate a gate of three inputs."""
    t0, t1, t2, t3, t4, t5, t6, t7 = table[0], table[1], table[2], table[3], table[4], table[5], table[6], table[7]
    total = _ZERO
    for w in range(mask.shape[0]):
        low = t0 ^ (values[a, w] & t1)
        low ^= values[b, w] & (low ^ t2 ^ (values[a, w] & t3))
        high = t4 ^ (values[a, w] & t5)
        high ^= values[b, w] & (high ^ t6 ^ (values[a, w] & t7))
        word = low ^ (values[c, w] & (low ^ high))
        total += _ones((values[out, w] ^ word) & mask[w])
        values[out, w] = word
    return total


@numba.njit(cache=True)
def _gate_n(values: Any, gate: Any, table: Any, mask: Any, rows: Any) -> np.uint64:
    """Evaluate a gate of four to six inputs; `rows` is scratch."""
    total = _ZERO
    for w in range(mask.shape[0]):
        size = 1 << (gate[1] - 1)
        for row in range(size):
            rows[row] = table[2 * row] ^ (values[gate[2], w] & table[2 * row + 1])
        for pin in range(1, gate[1]):
            size >>= 1
            select = values[gate[2 + pin], w]
            for row in range(size):
                rows[row] = rows[2 * row] ^ (select & (rows[2 * row] ^ rows[2 * row + 1]))
        total += _ones((values[gate[0], w] ^ rows[0]) & mask[w])
        values[gate[0], w] = rows[0]
    return total


@numba.njit(cache=True)
def _simulate_kernel(program: Any, values: Any, inputs: Any, outputs: Any, toggles: Any, fresh: bool) -> None:
    """Run all cycles. Checks nothing: nets are in range, shapes agree; toggles < 2**63 as cycles * lanes is."""
    gates, spread, flops, input_nets, output_nets, mask = program
    rows = np.zeros(1 << (MAX_PINS - 1), dtype=np.uint64)
    state = np.zeros((flops.shape[0], values.shape[1]), dtype=np.uint64)
    for cycle in range(inputs.shape[0]):
        counting = _ONE if cycle > 0 or not fresh else _ZERO
        for f in range(flops.shape[0]):
            for w in range(values.shape[1]):
                state[f, w] = values[flops[f, 1], w] ^ _ALL[flops[f, 2]]
        if counting:
            for f in range(flops.shape[0]):
                toggles[flops[f, 0]] += _load(values, flops[f, 0], state[f], mask)
        for i in range(input_nets.shape[0]):
            toggles[input_nets[i]] += counting * _load(values, input_nets[i], inputs[cycle, i], mask)
        for g in range(gates.shape[0]):
            out, count, a, b, c = gates[g, 0], gates[g, 1], gates[g, 2], gates[g, 3], gates[g, 4]
            if count == 1:
                total = _gate_1(values, out, a, spread[g], mask)
            elif count == 2:
                total = _gate_2(values, out, a, b, spread[g], mask)
            elif count == 3:
                total = _gate_3(values, out, a, b, c, spread[g], mask)
            else:
                total = _gate_n(values, gates[g], spread[g], mask, rows)
            toggles[out] += counting * total
        for i in range(output_nets.shape[0]):
            for w in range(values.shape[1]):
                outputs[cycle, i, w] = values[output_nets[i], w]


@numba.njit(cache=True, inline="always")
def _transpose(block: Any) -> None:
    """Transpose 64 words as a 64 x 64 matrix of bits, in place (Warren, Hacker's Delight, 7-3)."""
    size = 32
    for level in range(6):
        shift = np.uint64(size)
        for base in range(0, 64, 2 * size):
            for i in range(base, base + size):
                moved = ((block[i] >> shift) ^ block[i + size]) & _HALVES[level]
                block[i] ^= moved << shift
                block[i + size] ^= moved
        size >>= 1


@numba.njit(cache=True)
def _pack_kernel(limbs: Any, bits: int, words: Any, offset: int) -> None:
    """Turn values (cycle, lane, limb) into bit planes (cycle, offset + bit, lane // 64)."""
    block = np.zeros(64, dtype=np.uint64)
    for cycle in range(limbs.shape[0]):
        for w in range(words.shape[2]):
            for limb in range(limbs.shape[2]):
                for lane in range(64):
                    inside = 64 * w + lane < limbs.shape[1]
                    block[lane] = limbs[cycle, 64 * w + lane, limb] if inside else _ZERO
                _transpose(block)
                for bit in range(min(64, bits - 64 * limb)):
                    words[cycle, offset + 64 * limb + bit, w] = block[bit]


@numba.njit(cache=True)
def _unpack_kernel(words: Any, offset: int, bits: int, limbs: Any) -> None:
    """Turn bit planes back into values."""
    block = np.zeros(64, dtype=np.uint64)
    for cycle in range(limbs.shape[0]):
        for w in range(words.shape[2]):
            for limb in range(limbs.shape[2]):
                for bit in range(64):
                    inside = 64 * limb + bit < bits
                    block[bit] = words[cycle, offset + 64 * limb + bit, w] if inside else _ZERO
                _transpose(block)
                for lane in range(min(64, limbs.shape[1] - 64 * w)):
                    limbs[cycle, 64 * w + lane, limb] = block[lane]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trace:
    """
    What a run gave.

    Attributes
    ----------
    outputs : mapping of str to ndarray of uint64
        Each output port after every cycle: shape (cycles, lanes), or (cycles, lanes, limbs) above 64 bits, low limb
        first.
    toggles : ndarray of int64, shape (nets,)
        Changes of each net, all lanes together.
    transitions : int
        Clock cycles times lanes in which toggles were counted: one cycle less than simulated for a new simulator.
    """

    outputs: Mapping[str, _Words]
    toggles: npt.NDArray[np.int64]
    transitions: int


class Simulator:
    """
    Simulate a netlist without delays, `lanes` independent streams at a time, one bit of a word each.

    In a cycle the flip-flops first take what their data nets had at the end of the cycle before, the inputs change at
    the same instant, the gates settle (each changes at most once: no glitches), and the outputs are read. Flip-flops
    start at 0, and the first cycle of a new simulator counts no toggles. State is kept from one `run` to the next.

    Parameters
    ----------
    netlist : Netlist
    lanes : int
        At least 1; a multiple of 512 is fast.

    Raises
    ------
    ValueError
        `lanes` is below 1.
    """

    def __init__(self, netlist: Netlist, lanes: int = 1024) -> None:
        if lanes < 1:
            raise ValueError(f"lanes must be at least 1, not {lanes!r}")
        self.netlist = netlist
        self.lanes = lanes
        words = -(-lanes // 64)
        mask = np.full(words, _ALL[1], dtype=np.uint64)
        if lanes % 64:
            mask[-1] = np.uint64((1 << lanes % 64) - 1)
        self._values = np.zeros((netlist.nets, words), dtype=np.uint64)
        self._values[1] = _ALL[1]
        for net, _, inverted in netlist.flip_flops:
            self._values[net] = _ALL[inverted]
        self._fresh = True
        self._program = _Program(
            gates=netlist.gates, tables=_spread(netlist), flip_flops=netlist.flip_flops,
            input_nets=_nets(netlist.inputs), output_nets=_nets(netlist.outputs), mask=mask,
        )  # fmt: skip

    def run(self, inputs: Mapping[str, npt.NDArray[Any]]) -> Trace:
        """
        Run one cycle for every row of the inputs.

        Parameters
        ----------
        inputs : mapping of str to ndarray of an integer kind
            Every input port except the clock: shape (cycles, lanes), taken modulo 2**bits; above 64 bits, uint64
            limbs of shape (cycles, lanes, limbs), low limb first.

        Returns
        -------
        Trace

        Raises
        ------
        TypeError
            An input is not of an integer kind.
        ValueError
            A port is missing or unknown, or a shape is wrong.
        """
        ports = self.netlist.inputs
        if set(inputs) != set(ports):
            raise ValueError(f"inputs must be the ports {sorted(ports)}, not {sorted(inputs)}")
        cycles = len(next(iter(inputs.values()))) if inputs else 0
        words = np.zeros((cycles, len(self._program.input_nets), len(self._program.mask)), dtype=np.uint64)
        offset = 0
        for name, nets in ports.items():
            _pack_kernel(self._limbs(name, inputs[name], cycles, len(nets)), len(nets), words, offset)
            offset += len(nets)
        result = np.zeros((cycles, len(self._program.output_nets), len(self._program.mask)), dtype=np.uint64)
        toggles = np.zeros(self.netlist.nets, dtype=np.uint64)
        counted = cycles - self._fresh if cycles else 0
        _simulate_kernel(self._program, self._values, words, result, toggles, self._fresh)
        self._fresh = self._fresh and not cycles
        outputs = {}
        offset = 0
        for name, nets in self.netlist.outputs.items():
            limbs = np.zeros((cycles, self.lanes, -(-len(nets) // 64)), dtype=np.uint64)
            _unpack_kernel(result, offset, len(nets), limbs)
            outputs[name] = limbs if limbs.shape[2] > 1 else limbs[:, :, 0]
            offset += len(nets)
        return Trace(outputs=outputs, toggles=toggles.astype(np.int64), transitions=counted * self.lanes)

    def _limbs(self, name: str, values: npt.NDArray[Any], cycles: int, bits: int) -> _Words:
        """Check one input and give it as limbs."""
        values = np.asarray(values)
        if values.dtype.kind not in "iub":
            raise TypeError(f"input {name!r} must have an integer dtype, not {values.dtype}")
        shape: tuple[int, ...] = (cycles, self.lanes) if bits <= 64 else (cycles, self.lanes, -(-bits // 64))
        if values.shape != shape:
            raise ValueError(f"input {name!r} of {bits} bits must have shape {shape}, not {values.shape}")
        return np.ascontiguousarray(values).astype(np.uint64).reshape(cycles, self.lanes, -1)


def _nets(ports: Mapping[str, npt.NDArray[np.int64]]) -> npt.NDArray[np.int64]:
    """List the nets of all ports."""
    return np.concatenate([np.zeros(0, dtype=np.int64), *ports.values()])


def _spread(netlist: Netlist) -> _Words:
    """Spread each truth table over words: pairs (value at pin 0 = 0, difference at pin 0 = 1), one pair a row."""
    rows = np.arange(1 << MAX_PINS, dtype=np.uint64)
    bits = (netlist.tables[:, None] >> rows & _ONE).astype(np.int64)
    bits[:, 1::2] ^= bits[:, 0::2]
    return np.asarray(_ALL[bits], dtype=np.uint64)
