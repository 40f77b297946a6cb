# SPDX-License-Identifier: Apache-2.0
"""A host for an array behind AXI: writes and reads its registers, runs jobs, and watches the rules of the bus."""

import random
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwsim.datapath.array import ArrayGeometry
from hwsim.datapath.unit import DotProductUnit
from rtl.axi import Register
from rtl.axi.layouts import Status, data_fields
from testbenches.arrays import Program
from testbenches.compiled import Compiled, from_limbs, to_limbs

__all__ = [
    "AxiHost",
    "AxiRun",
    "BusError",
    "described",
]

_DEADLINE_CYCLES = 1_000_000
_CHANNELS = {
    "m_axis": ("m_axis_tvalid", "m_axis_tready", ("m_axis_tdata", "m_axis_tlast")),
    "b": ("s_axil_bvalid", "s_axil_bready", ("s_axil_bresp",)),
    "r": ("s_axil_rvalid", "s_axil_rready", ("s_axil_rdata", "s_axil_rresp")),
}
"""Of each channel that the array speaks on: valid, ready and what must be steady between them."""


class BusError(AssertionError):
    """The array broke a rule of the bus, or did not answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AxiRun:
    """What a job gave: each output's data and TLAST, the register CYCLES, and the status at the end."""

    d: list[int]
    last: list[int]
    cycles: int
    status: int


class AxiHost:
    """Drive the compiled Verilog of `rtl.axi_array_verilog`, cycle by cycle.

    Raises `BusError` where valid falls, or its payload changes, before ready.

    Parameters
    ----------
    compiled : Compiled
        With ``clock="aclk"``.
    geometry, unit
        What the Verilog is of.
    seed : int
        Of the pauses on all channels.
    pause : float
        How often each side pauses, of 1.
    """

    def __init__(
        self, compiled: Compiled, geometry: ArrayGeometry, unit: DotProductUnit, *, seed: int = 1, pause: float = 0.0
    ) -> None:
        self._compiled, self._geometry, self._unit = compiled, geometry, unit
        self._random, self._pause = random.Random(seed), pause
        self._inputs = dict.fromkeys(compiled.inputs, 0)
        self._held: dict[str, tuple[int, ...]] = {}
        for _ in range(2):
            self._cycle()
        self._inputs["aresetn"] = 1

    def write(self, register: int, value: int, strobes: int = 15) -> int:
        """Write a register; return the response."""
        channels = {
            "s_axil_aw": {"addr": register, "prot": 0},
            "s_axil_w": {"data": value, "strb": strobes},
        }
        return self._transact(channels, "b")["s_axil_bresp"]

    def read(self, register: int) -> tuple[int, int]:
        """Read a register; return what it holds, and the response."""
        answer = self._transact({"s_axil_ar": {"addr": register, "prot": 0}}, "r")
        return answer["s_axil_rdata"], answer["s_axil_rresp"]

    def run(self, what: Program, steps: int, tiles: int, *, lasts: dict[int, int] | None = None) -> AxiRun:
        """Run a program as one job.

        Parameters
        ----------
        what : Program
        steps, tiles : int
            Of a tile, and of the job.
        lasts : dict of int to int, optional
            TLAST of some beats, by their place, in place of the right one.
        """
        for register, value in ((Register.STEPS, steps), (Register.TILES, tiles), (Register.CONTROL, 1)):
            self.write(register, value)
        beats = [self._beat(beat, (lasts or {}).get(index)) for index, beat in enumerate(what.beats)]
        outputs: list[tuple[int, int]] = []
        sent, offered = 0, False
        for _ in range(_DEADLINE_CYCLES):
            offered = offered or (sent < len(beats) and not self._pauses())
            self._inputs["s_axis_tvalid"] = int(offered)
            if offered:
                self._inputs.update(beats[sent])
            self._inputs["m_axis_tready"] = int(not self._pauses())
            seen = self._cycle()
            if offered and seen["s_axis_tready"]:
                sent, offered = sent + 1, False
            if seen["m_axis_tvalid"] and self._inputs["m_axis_tready"]:
                outputs.append((seen["m_axis_tdata"], seen["m_axis_tlast"]))
            if seen["irq"] and sent == len(beats):
                break
        else:
            raise BusError(f"{sent} of {len(beats)} beats, {len(outputs)} outputs in {_DEADLINE_CYCLES} cycles")
        self._inputs |= {"s_axis_tvalid": 0, "m_axis_tready": 0}
        cycles, status = self.read(Register.CYCLES)[0], self.read(Register.STATUS)[0]
        return AxiRun(d=[d for d, _ in outputs], last=[last for _, last in outputs], cycles=cycles, status=status)

    def _beat(self, fields: dict[str, int], last: int | None) -> dict[str, int]:
        data = low = 0
        for name, bits in data_fields(self._geometry, self._unit).items():
            data |= fields.get(name, 0) << low
            low += bits
        beat = {"s_axis_tdata": data, "s_axis_tlast": fields.get("last", 0) if last is None else last}
        if not self._geometry.kind.keeps_outputs:
            beat["s_axis_tuser"] = fields.get("step", 0) | fields.get("load", 0) << 1
        return beat

    def _transact(self, sides: dict[str, dict[str, int]], answer: str) -> dict[str, int]:
        """Send on some channels, each when it likes, and wait for the answer."""
        open_channels = set(sides)
        offered: set[str] = set()
        valid, ready, _ = _CHANNELS[answer]
        for _ in range(_DEADLINE_CYCLES):
            offered |= {side for side in open_channels if not self._pauses()}
            for side, fields in sides.items():
                self._inputs[f"{side}valid"] = int(side in offered)
                self._inputs.update({f"{side}{name}": value for name, value in fields.items()})
            self._inputs[ready] = int(not self._pauses())
            seen = self._cycle()
            done = {side for side in offered if seen[f"{side}ready"]}
            offered -= done
            open_channels -= done
            if seen[valid] and self._inputs[ready]:
                if open_channels:
                    raise BusError(f"{valid} before the request was accepted")
                self._inputs[ready] = 0
                return seen
        raise BusError(f"no {valid} in {_DEADLINE_CYCLES} cycles")

    def _pauses(self) -> bool:
        return self._random.random() < self._pause

    def _cycle(self) -> dict[str, int]:
        """Run a clock cycle; return the outputs before its edge, checked against those of the last one."""
        rows = {
            name: to_limbs(np.array([self._inputs[name]], object), bits) for name, bits in self._compiled.inputs.items()
        }
        words = self._compiled.run(rows)
        seen: dict[str, Any] = {name: int(from_limbs(word)[0]) for name, word in words.items()}
        for channel, (valid, ready, payload) in _CHANNELS.items():
            values = tuple(seen[name] for name in payload)
            held = self._held.pop(channel, None)
            if held is not None and (not seen[valid] or values != held):
                raise BusError(f"{valid} fell, or {', '.join(payload)} changed, before {ready}")
            if seen[valid] and not self._inputs[ready] and self._inputs["aresetn"]:
                self._held[channel] = values
        return seen


def described(status: int) -> set[str]:
    """Return the names of the bits that are set in a status."""
    return {bit.name for bit in Status if status >> bit & 1}
