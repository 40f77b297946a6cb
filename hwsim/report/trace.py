# SPDX-License-Identifier: Apache-2.0
"""A pass as a trace file that Perfetto and chrome://tracing open: a process a component, a thread a lane."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwsim.report.lanes import LANES, PORTS, Span, spans
from hwsim.report.plots import check_file

if TYPE_CHECKING:
    from hwsim.result import SimulationResult

__all__ = [
    "check_trace_file",
    "trace_events",
    "write_trace",
]

_COMPONENTS = {
    "arrays": ("array",),
    "vector unit": ("vector",),
    "DRAM": ("load", "store"),
    "activation SRAM": ("activation_read", "activation_write"),
    "weight SRAM": ("weight_read", "weight_write"),
}


def check_trace_file(path: str | Path) -> Path:
    """Return the file that a trace is to be written to, or raise before any work is done.

    Raises
    ------
    FileNotFoundError
        If its folder does not exist.
    ValueError
        If it does not end in .json, or is a directory.
    """
    return check_file(path, (".json",), "trace")


def trace_events(result: "SimulationResult") -> list[dict[str, Any]]:
    """Return a pass as events.

    Metadata first: the names of processes (components) and threads (lanes). Then, in order of time, complete events
    ("X"), with layer, cycles, and multiply-accumulates or bits as arguments, and counters ("C"): bits a cycle through
    each port, of each layer the mean. Times are in microseconds of the accelerator's clock, from the start of the pass.

    Source
    ------
    Trace Event Format, Google, as Perfetto reads it (perfetto.dev/docs/getting-started/other-formats).
    """
    clock = result.accelerator.clock_mhz
    places = {
        lane: (process, thread)
        for process, lanes in enumerate(_COMPONENTS.values(), start=1)
        for thread, lane in enumerate(lanes, start=1)
    }
    events = [_complete(span, *places[span.lane], clock) for span in spans(result)]
    events += _counters(result, {lane: process for lane, (process, _) in places.items()}, clock)
    return [*_names(result), *sorted(events, key=lambda event: (event["ts"], event["pid"], event.get("tid", 0)))]


def write_trace(result: "SimulationResult", path: str | Path) -> Path:
    """Write a pass as a trace file.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    FileNotFoundError, ValueError
        As `check_trace_file`.
    """
    file = check_trace_file(path)
    content = {
        "traceEvents": trace_events(result),
        "displayTimeUnit": "ns",
        "otherData": {
            "network": result.network,
            "accelerator": result.accelerator.name,
            "clock_mhz": result.accelerator.clock_mhz,
            "cycles": result.cycles,
        },
    }
    file.write_text(json.dumps(content), encoding="utf-8")
    return file


def _names(result: "SimulationResult") -> list[dict[str, Any]]:
    events = []
    array = result.accelerator.array
    sizes = f"{array.count} of {array.rows} x {array.columns}" if array.count > 1 else f"{array.rows} x {array.columns}"
    for process, (component, lanes) in enumerate(_COMPONENTS.items(), start=1):
        name = f"{component} ({sizes})" if component == "arrays" else component
        events.append({"name": "process_name", "ph": "M", "pid": process, "args": {"name": name}})
        events.append({"name": "process_sort_index", "ph": "M", "pid": process, "args": {"sort_index": process}})
        for thread, lane in enumerate(lanes, start=1):
            meta = {"ph": "M", "pid": process, "tid": thread}
            events.append({"name": "thread_name", **meta, "args": {"name": LANES[lane]}})
    return events


def _complete(span: Span, process: int, thread: int, clock: int) -> dict[str, Any]:
    """Return a span as an event whose end is that of its last cycle."""
    layer = span.layer
    arguments: dict[str, Any] = {"layer": layer.name, "start_cycle": span.start, "cycles": span.cycles}
    if span.bits:
        arguments |= {"bits": span.bits, "bits_per_cycle": span.bits / span.cycles}
    elif span.what == "compute":
        arguments |= {"macs": layer.macs * span.cycles // layer.compute_cycles, "utilisation": layer.utilisation}
    return {
        "name": layer.name if span.what in ("compute", "move") else f"{layer.name} {span.what}",
        "cat": span.what,
        "ph": "X",
        "ts": span.start / clock,
        "dur": span.cycles / clock,
        "pid": process,
        "tid": thread,
        "args": arguments,
    }


def _counters(result: "SimulationResult", processes: dict[str, int], clock: int) -> list[dict[str, Any]]:
    """Return the mean bits a cycle through each port: at each layer's start, and zero at the end."""
    ports = {**dict.fromkeys(PORTS), "dram": None}
    events = []
    for layer in (*(each for each in result.layers if each.cycles), None):
        start = result.cycles if layer is None else layer.start_cycle
        for port in ports:
            rate = 0.0 if layer is None else int(layer.traffic.port_bits(port)) / layer.cycles
            name = "DRAM" if port == "dram" else LANES[port]
            events.append(
                {
                    "name": f"{name}, bits a cycle",
                    "ph": "C",
                    "ts": start / clock,
                    "pid": processes["load" if port == "dram" else port],
                    "args": {"bits_per_cycle": rate},
                }
            )
    return events
