# SPDX-License-Identifier: Apache-2.0
"""The trace keeps the rules of the Trace Event Format, and its times are the simulation's cycles."""

import json
import re
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import hwsim
from hwsim import data
from hwsim.report import check_trace_file, write_trace
from hwsim.report.lanes import LANES, port_share, spans
from hwsim.result import SimulationResult


def _result(**memory: Any) -> SimulationResult:
    """Simulate the digits network; with little memory, so that weights cross the DRAM."""
    accelerator = hwsim.accelerator.read("int8_16x16")
    small = replace(accelerator, weights=replace(accelerator.weights, kilobytes=4, **memory), clock_mhz=700)
    return hwsim.simulate(hwsim.network.read(data.digits_model_path(quantized=True)), small, values="none")


def _events(tmp_path: Path, result: SimulationResult) -> list[dict[str, Any]]:
    file = write_trace(result, tmp_path / "trace.json")
    content = json.loads(file.read_text())
    assert content["displayTimeUnit"] in ("ms", "ns")
    assert content["otherData"]["cycles"] == result.cycles
    events: list[dict[str, Any]] = content["traceEvents"]
    return events


def test_trace_keeps_the_rules_of_the_format(tmp_path: Path) -> None:
    """Fields and their types as the format's document gives them, for the three phases that are used."""
    events = _events(tmp_path, _result())
    phases: dict[str, int] = defaultdict(int)
    for event in events:
        phases[event["ph"]] += 1
        assert isinstance(event["name"], str)
        assert isinstance(event["pid"], int)
        assert isinstance(event["args"], dict)
        if event["ph"] == "M":
            key = {"process_name": "name", "thread_name": "name", "process_sort_index": "sort_index"}[event["name"]]
            assert key in event["args"]
            continue
        assert event["ts"] >= 0
        if event["ph"] == "X":
            assert event["dur"] > 0
            assert isinstance(event["tid"], int)
            assert isinstance(event["cat"], str)
        else:
            assert event["ph"] == "C"
            assert all(isinstance(value, float) for value in event["args"].values())
    assert phases["X"] > 30
    assert phases["C"] > 30
    named = {event["args"]["name"] for event in events if event["name"] == "process_name"}
    assert named == {"arrays (16 x 16)", "vector unit", "DRAM", "activation SRAM", "weight SRAM"}
    lanes = {event["args"]["name"] for event in events if event["name"] == "thread_name"}
    assert lanes == set(LANES.values())
    places = {(event["pid"], event["tid"]) for event in events if event["name"] == "thread_name"}
    assert {(event["pid"], event["tid"]) for event in events if event["ph"] == "X"} <= places


def test_trace_is_in_order_and_no_lane_overlaps(tmp_path: Path) -> None:
    events = [event for event in _events(tmp_path, _result()) if event["ph"] != "M"]
    times = [event["ts"] for event in events]
    assert times == sorted(times)
    ends: dict[tuple[int, int], int] = defaultdict(int)
    for event in events:
        if event["ph"] == "X":
            start, cycles = event["args"]["start_cycle"], event["args"]["cycles"]
            lane = event["pid"], event["tid"]
            assert start >= ends[lane], event
            ends[lane] = start + cycles
            assert event["ts"] == start / 700
            assert event["dur"] == cycles / 700


def test_trace_durations_add_up_to_the_cycles(tmp_path: Path) -> None:
    result = _result()
    events = [event for event in _events(tmp_path, result) if event["ph"] == "X"]
    work = [event for event in events if event["pid"] in (1, 2)]
    assert sum(event["args"]["cycles"] for event in work) == result.cycles
    covered = sorted((event["args"]["start_cycle"], event["args"]["cycles"]) for event in work)
    at = 0
    for start, cycles in covered:
        assert start == at
        at += cycles
    for part in ("fill", "compute", "drain", "stall"):
        cycles = sum(event["args"]["cycles"] for event in work if event["cat"] == part)
        assert cycles == sum(getattr(layer, f"{part}_cycles") for layer in result.layers), part
    assert sum(event["args"]["macs"] for event in work if event["cat"] == "compute") == result.macs


def test_trace_bits_are_those_of_the_traffic() -> None:
    result = _result()
    found: dict[str, int] = defaultdict(int)
    for span in spans(result):
        found["dram" if span.lane in ("load", "store") else span.lane] += span.bits
        if span.bits:
            assert port_share(result, span.lane, span) > 0
    for port in ("activation_read", "activation_write", "weight_read", "weight_write", "dram"):
        assert found[port] == sum(layer.traffic.port_bits(port) for layer in result.layers), port
    assert found["dram"] > 0


def test_trace_file_wrong(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=re.escape("the trace's file must end in .json, not 'trace.txt'")):
        check_trace_file(tmp_path / "trace.txt")
    with pytest.raises(FileNotFoundError, match=r"^no folder .* to write 'trace.json' to$"):
        check_trace_file(tmp_path / "none" / "trace.json")
