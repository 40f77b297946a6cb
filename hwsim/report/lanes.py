# SPDX-License-Identifier: Apache-2.0
"""What each component of an accelerator does over the cycles of a pass, as spans in lanes."""

from collections.abc import Iterator
from math import ceil
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from hwsim.result import LayerResult, SimulationResult

__all__ = [
    "LANES",
    "Span",
    "port_share",
    "spans",
]

LANES = {
    "array": "array",
    "vector": "vector unit",
    "load": "DRAM to chip",
    "store": "chip to DRAM",
    "activation_read": "activations read",
    "activation_write": "activations written",
    "weight_read": "weights read",
    "weight_write": "weights written",
}
"""The lanes by key, in the order in which they are shown."""

PORTS = ("activation_read", "activation_write", "weight_read", "weight_write")


class Span(NamedTuple):
    """Something that a component does, from a cycle of the pass to another (not included).

    lane : a key of `LANES`
    what : "fill", "compute", "stall", "drain", "load", "store"; of an SRAM's port "move"
    bits : moved; 0 in the array and the vector unit
    """

    lane: str
    layer: "LayerResult"
    what: str
    start: int
    end: int
    bits: int = 0

    @property
    def cycles(self) -> int:
        """How long it is."""
        return self.end - self.start


def spans(result: "SimulationResult") -> Iterator[Span]:
    """Give all spans of a pass, layer after layer.

    The array's and the vector unit's together fill all cycles of the pass. An SRAM's port has one span a layer, from
    the layer's first cycle to its last, with all bits of it: when in the layer each is moved is not known.
    """
    for layer in result.layers:
        if layer.cycles:
            yield from _work(layer)
            yield from _outside(layer)
            for port in PORTS:
                bits = int(layer.traffic.port_bits(port))
                if bits:
                    yield Span(port, layer, "move", layer.start_cycle, layer.start_cycle + layer.cycles, bits)


def port_share(result: "SimulationResult", lane: str, span: Span) -> float:
    """Return the share of a port's bits a cycle that a span takes of an SRAM or the DRAM."""
    accelerator = result.accelerator
    if lane in ("load", "store"):
        width = accelerator.dram.bits_per_cycle
    else:
        width = (accelerator.activations if lane.startswith("activation") else accelerator.weights).port_bits
    return span.bits / (max(span.cycles, 1) * width)


def _work(layer: "LayerResult") -> Iterator[Span]:
    """Give what the array or the vector unit does; between the plan's events it waits.

    Before the first it waits for what it starts on, after the last for what it leaves: fill and drain.
    """
    lane = "vector" if layer.plan.product is None else "array"
    start, now = layer.start_cycle, layer.start_cycle
    for event in layer.plan.events:
        if event.what in ("load", "store") or event.end == event.start:
            continue
        if start + event.start > now:
            yield Span(lane, layer, "fill" if now == start else "stall", now, start + event.start)
        now = start + int(event.end)
        yield Span(lane, layer, event.what, start + int(event.start), now)
    if now < start + layer.cycles:
        yield Span(lane, layer, "drain", now, start + layer.cycles)


def _outside(layer: "LayerResult") -> Iterator[Span]:
    """Give what crosses the DRAM: the bits of each way are spread over its events, or else over the whole layer."""
    stored = {*layer.plan.layer.outputs, f"{layer.name}.partial_sums"}
    moves = [move for move in layer.traffic.moves if move.port == "dram"]
    out = int(sum(move.bits for move in moves if move.tensor in stored))
    for what, bits in (("load", int(layer.traffic.dram_bits) - out), ("store", out)):
        given = [(int(event.start), int(event.end)) for event in layer.plan.events if event.what == what]
        events = [(start, end) for start, end in given if end > start] or [(0, layer.cycles)]
        total, left = sum(end - start for start, end in events), bits
        for start, end in events if bits else ():
            share = min(left, ceil(bits * (end - start) / total))
            left -= share
            yield Span(what, layer, what, layer.start_cycle + start, layer.start_cycle + end, share)
