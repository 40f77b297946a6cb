# SPDX-License-Identifier: Apache-2.0
"""Bit-parallel zero-delay simulation of a mapped netlist: outputs and toggles of many independent streams at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numba
import numpy as np
import numpy.typing as npt

from cost_models.activity.netlist import Netlist
from cost_models.activity.planes import Planes, layout, pack, unpack
from cost_models.activity.program import program
from cost_models.activity.words import CHUNK, evaluate

__all__ = [
    "Simulator",
    "Trace",
]

_Words = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trace:
    """
    What a run gave.

    Attributes
    ----------
    outputs : mapping of str to ndarray of uint64
        Each output port after every cycle: shape (cycles, lanes), or (cycles, lanes, limbs) above 64 bits, low limb
        first. Empty where they were not asked for.
    toggles : ndarray of int64, shape (nets,)
        Changes of each net, all lanes together.
    transitions : int
        Clock cycles times lanes in which toggles were counted: one cycle less than simulated for a new simulator.
    """

    outputs: Mapping[str, _Words]
    toggles: npt.NDArray[np.int64]
    transitions: int


@numba.njit(cache=True, nogil=True)
def _settle_kernel(operations: Any, order: Any, mask: Any, values: Any, totals: Any) -> None:
    """Run operations once. Checks nothing, as below."""
    for k in range(order.shape[0]):
        evaluate(values, totals, mask, operations, np.int64(order[k]), values.shape[1])


@numba.njit(cache=True, nogil=True)
def _simulate_kernel(program: Any, mask: Any, values: Any, totals: Any, inputs: Any, outputs: Any, fresh: bool) -> None:
    """Run all cycles. Checks nothing: rows are in range, shapes agree; totals < 2**63 as cycles * lanes is."""
    operations, order, input_rows, output_rows, inverts = program
    for cycle in range(inputs.shape[0]):
        for i in range(input_rows.shape[0]):
            for w in range(values.shape[1]):
                values[input_rows[i], w] = inputs[cycle, i, w]
        for k in range(order.shape[0]):
            evaluate(values, totals, mask, operations, np.int64(order[k]), values.shape[1])
        if fresh and cycle == 0:
            for row in range(totals.shape[0]):
                for w in range(totals.shape[1]):
                    totals[row, w] = 0
        if outputs.shape[0] > 0:
            for i in range(output_rows.shape[0]):
                for w in range(values.shape[1]):
                    outputs[cycle, i, w] = values[output_rows[i], w] ^ inverts[i]


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
        At least 1; a multiple of 2048 is fast.

    Raises
    ------
    ValueError
        `lanes` is below 1.
    """

    _unit_delay: ClassVar[bool] = False

    def __init__(self, netlist: Netlist, lanes: int = 2048) -> None:
        if lanes < 1:
            raise ValueError(f"lanes must be at least 1, not {lanes!r}")
        self.netlist = netlist
        self.lanes = lanes
        self._layout = layout(lanes)
        self._mask = self._layout.mask()
        self._compiled = compiled = program(netlist, self._unit_delay)
        nets = np.concatenate([np.zeros(0, dtype=np.int64), *netlist.outputs.values()])
        self._program = (
            compiled.operations,
            compiled.cycle,
            compiled.input_rows,
            compiled.net_rows[nets],
            np.where(compiled.net_inverted[nets], np.uint64(0xFFFF_FFFF_FFFF_FFFF), np.uint64(0)),
        )
        self._values = np.zeros((self._layout.blocks, compiled.rows, self._layout.words), dtype=np.uint64)
        totals = np.zeros((compiled.rows, CHUNK), dtype=np.int64)
        for block, mask in zip(self._values, self._mask, strict=True):
            _settle_kernel(compiled.operations, compiled.settle, mask, block, totals)
        self._fresh = True

    def pack(self, inputs: Mapping[str, npt.NDArray[Any]]) -> Planes:
        """
        Pack inputs once for runs that take them again.

        Parameters, and what is raised, are as of `run`.
        """
        ports = self.netlist.inputs
        if set(inputs) != set(ports):
            raise ValueError(f"inputs must be the ports {sorted(ports)}, not {sorted(inputs)}")
        cycles = len(next(iter(inputs.values()))) if inputs else 0
        shape = (self._layout.blocks, cycles, len(self._compiled.input_rows), self._layout.words)
        planes = Planes(words=np.zeros(shape, dtype=np.uint64), layout=self._layout)
        offset = 0
        for name, nets in ports.items():
            pack(name, inputs[name], len(nets), planes, offset)
            offset += len(nets)
        return planes

    def run(self, inputs: Mapping[str, npt.NDArray[Any]] | Planes, *, outputs: bool = True) -> Trace:
        """
        Run one cycle for every row of the inputs.

        Parameters
        ----------
        inputs : mapping of str to ndarray of an integer kind, or Planes
            Every input port except the clock: shape (cycles, lanes), taken modulo 2**bits; above 64 bits, uint64
            limbs of shape (cycles, lanes, limbs), low limb first. Or what `pack` made of them.
        outputs : bool
            Whether to return the outputs.

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
        planes = inputs if isinstance(inputs, Planes) else self.pack(inputs)
        blocks, cycles, bits, _ = planes.words.shape
        if planes.layout != self._layout or bits != len(self._compiled.input_rows):
            raise ValueError(
                f"packed inputs must have {len(self._compiled.input_rows)} bits and {self.lanes} lanes, "
                f"not {bits} and {planes.layout.lanes}"
            )
        shape = (blocks, cycles if outputs else 0, len(self._program[3]), self._layout.words)
        result = np.zeros(shape, dtype=np.uint64)
        toggles = np.zeros(self._compiled.rows, dtype=np.int64)
        for block in range(blocks):
            totals = np.zeros((self._compiled.rows, CHUNK), dtype=np.int64)
            _simulate_kernel(
                self._program, self._mask[block], self._values[block], totals, planes.words[block], result[block],
                self._fresh,
            )  # fmt: skip
            toggles += totals.sum(axis=1)
        counted = cycles - self._fresh if cycles else 0
        self._fresh = self._fresh and not cycles
        ports: dict[str, _Words] = {}
        offset = 0
        for name, nets in self.netlist.outputs.items() if outputs else ():
            ports[name] = unpack(result, self._layout, offset, len(nets))
            offset += len(nets)
        return Trace(outputs=ports, toggles=toggles[self._compiled.toggle_rows], transitions=counted * self.lanes)
