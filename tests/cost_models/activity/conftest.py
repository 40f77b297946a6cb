# SPDX-License-Identifier: Apache-2.0
"""The netlist of a small core, random netlists of every cell, stimuli, and a simulator that is slow and plain."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from cost_models.activity import Netlist, levelize
from cost_models.synthesis import AsicResult
from cost_models.technologies import Technology

Streams = dict[str, npt.NDArray[Any]]
Bits = npt.NDArray[np.int64]


@pytest.fixture(scope="session")
def netlist(mac4: AsicResult, technology: Technology) -> Netlist:
    return levelize(mac4.netlist_json, technology, "mac4_core")


@pytest.fixture(scope="session")
def streams() -> Callable[[int, int, int], Streams]:
    """Return random operands and controls of the core, with a reset in the first cycle."""

    def make(cycles: int, lanes: int, seed: int) -> Streams:
        rng = np.random.default_rng(seed)
        shape = (cycles, lanes)
        made: Streams = {name: rng.integers(0, 2, shape) for name in ("valid", "last", "en")}
        made["first"] = (rng.random(shape) < 0.2).astype(np.int64)
        made["rst"] = np.zeros(shape, dtype=np.int64)
        made["rst"][0] = 1
        made |= {name: rng.integers(-8, 8, shape) for name in ("a", "b")}
        made["c"] = rng.integers(-2048, 2048, shape)
        return made

    return make


@pytest.fixture(scope="session")
def random_netlist() -> Callable[[Technology, int], Netlist]:
    """Return a netlist with each cell of a technology twice, pins at random: at constants and twice at a net too."""

    def make(technology: Technology, seed: int) -> Netlist:
        rng = np.random.default_rng(seed)
        known: list[int | str] = ["0", "1", *range(3, 11)]
        cells = {}
        kinds = [cell for cell in technology.cells.values() for _ in range(2)]
        state = [cell for cell in kinds if cell.is_flip_flop]
        number = 11
        outs: list[dict[str, int]] = []
        for cell in state:
            outs.append({pin: number + place for place, pin in enumerate(cell.outputs)})
            number += len(cell.outputs)
            known += outs[-1].values()
        gates = [cell for cell in kinds if not cell.is_flip_flop]
        for index in rng.permutation(len(gates)):
            pins: dict[str, int | str] = {
                pin: known[int(rng.integers(max(0, len(known) - 30), len(known)))] if rng.random() < 0.9 else known[
                    int(rng.integers(0, 10))
                ]
                for pin in gates[index].inputs
            }  # fmt: skip
            driven = {pin: number + place for place, pin in enumerate(gates[index].outputs)}
            number += len(driven)
            known += driven.values()
            cells[f"g{index}"] = (gates[index].name, {**pins, **driven})
        for index, (cell, driven) in enumerate(zip(state, outs, strict=True)):
            cells[f"f{index}"] = (cell.name, {cell.clock: 2, cell.data: known[-1 - 2 * index], **driven})
        ports = {
            "clk": {"direction": "input", "bits": [2]},
            "i": {"direction": "input", "bits": list(range(3, 11))},
            "o": {"direction": "output", "bits": known},
        }
        rows = {
            name: {"type": kind, "connections": {pin: [bit] for pin, bit in pins.items()}}
            for name, (kind, pins) in cells.items()
        }
        text = json.dumps({"modules": {"t": {"ports": ports, "cells": rows, "netnames": {}}}})
        return levelize(text, technology, "t")

    return make


@pytest.fixture(scope="session")
def reference() -> Callable[[Netlist, Streams, bool], tuple[Bits, Bits]]:
    """Return a simulator of one bit a number: values of all nets after each cycle, and toggles of each net."""

    def run(netlist: Netlist, inputs: Streams, unit_delay: bool) -> tuple[Bits, Bits]:
        cycles, lanes = next(iter(inputs.values())).shape
        values = np.zeros((netlist.nets, lanes), dtype=np.int64)
        values[1] = 1
        values[netlist.flip_flops[:, 0]] = netlist.flip_flops[:, 2:]
        tables = [np.array([int(table) >> row & 1 for row in range(64)]) for table in netlist.tables]
        rows = [(int(gate[0]), gate[2 : 2 + gate[1]]) for gate in netlist.gates]

        def gate(index: int, of: Bits) -> Bits:
            pins = of[rows[index][1]]
            result: Bits = tables[index][(pins << np.arange(len(pins))[:, None]).sum(axis=0)]
            return result

        def settle() -> None:
            for index, (out, _) in enumerate(rows):
                values[out] = gate(index, values)

        settle()
        toggles = np.zeros(netlist.nets, dtype=np.int64)
        seen = []
        for cycle in range(cycles):
            before = values.copy()
            if cycle:
                values[netlist.flip_flops[:, 0]] = before[netlist.flip_flops[:, 1]] ^ netlist.flip_flops[:, 2:]
            for name, nets in netlist.inputs.items():
                values[nets] = inputs[name][cycle].astype(np.int64) >> np.arange(len(nets))[:, None] & 1
            if not unit_delay:
                settle()
            toggles += (values != before).sum(axis=1)
            while unit_delay:
                before = values.copy()
                for index, (out, _) in enumerate(rows):
                    values[out] = gate(index, before)
                toggles += (values != before).sum(axis=1)
                if (values == before).all():
                    break
            if cycle == 0:
                toggles[:] = 0
            seen.append(values.copy())
        return np.array(seen), toggles

    return run
