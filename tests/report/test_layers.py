# SPDX-License-Identifier: Apache-2.0
"""Tables of layers: readable at 100 columns, alike layers in one row, a total that is the sum."""

import io
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

import hwsim
from hwsim import data
from hwsim.report import errors_table, explanations, simulation_table
from hwsim.report.layers import count, energy_table, simulation_tables, traffic_table
from hwsim.result import SimulationResult


@pytest.fixture(scope="module")
def result() -> SimulationResult:
    net = hwsim.network.read(data.digits_model_path(quantized=True))
    images, _ = data.digits_test()
    inputs = {net.inputs[0].name: images[:4]}
    return hwsim.simulate(net, hwsim.accelerator.read("int8_16x16"), inputs, against_float=True)


def _lines(table: Any, width: int = 100) -> list[str]:
    console = Console(width=width, file=io.StringIO())
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def _cells(lines: Iterable[str], name: str) -> list[str]:
    (line,) = [line for line in lines if line.split()[:1] == [name]]
    return line.split()


def test_layers_table_has_every_layer_and_their_sum(result: SimulationResult) -> None:
    lines = _lines(simulation_table(result))
    for layer in result.layers:
        cells = _cells(lines, layer.name)
        place = 1 + bool(layer.macs)
        parts = (layer.cycles, layer.compute_cycles, layer.fill_cycles, layer.drain_cycles, layer.stall_cycles)
        assert cells[place : place + 5] == [f"{part:,}" for part in parts]
    total = _cells(lines, "all")
    assert total[1] == str(len(result.layers))
    assert total[2:4] == [f"{result.macs:,}", f"{result.cycles:,}"]


def test_layers_table_of_a_long_network_is_readable(result: SimulationResult) -> None:
    """Sixty layers with long names and figures of millions: no cell is cut, and those alike share a row."""
    long = [
        replace(layer, name=f"/encoder/layers.{index}/attention/{layer.name}", start_cycle=index)
        for index in range(12)
        for layer in result.layers[:5]
    ]
    plan = replace(result.layers[1].plan, compute_cycles=123_456_789, stall_cycles=98_765_432_100)
    odd = replace(result.layers[1], name="/decoder/embed_tokens/MatMul_quantized", plan=plan, macs=7 * 10**12)
    lines = _lines(simulation_table(replace(result, layers=(*long, odd))))
    assert max(len(line) for line in lines) <= 100
    assert not any("…" in line for line in lines)
    assert len(lines) < 30
    text = " ".join(" ".join(lines).split())
    assert text.count("(x12)") == 5
    for figure in ("123.5 M", "98.77 G", "7 T", "all 61"):
        assert figure in text


def test_layers_details_add_up(result: SimulationResult) -> None:
    """Rows of traffic and energy are the layers', and their last row is the sum."""
    traffic, energy = _lines(traffic_table(result)), _lines(energy_table(result))
    conv3 = next(layer for layer in result.layers if layer.name == "conv3")
    bits = [conv3.traffic.activation_read_bits, conv3.traffic.activation_write_bits, conv3.traffic.weight_read_bits]
    assert _cells(traffic, "conv3")[1:4] == [f"{each / 1e3:,.1f}" for each in bits]
    parts = (conv3.energy.units_pj, conv3.energy.registers_pj, conv3.energy.sram_pj)
    assert _cells(energy, "conv3")[1:4] == [f"{(part or 0) / 1e3:,.1f}" for part in parts]
    dram = sum(layer.traffic.dram_bits for layer in result.layers)
    assert _cells(traffic, "all")[-2:] == [f"{dram / 1e3:,.1f}", f"{8 * result.macs / dram:,.1f}"]
    assert _cells(energy, "all")[-1] == f"{(result.energy.total_pj or 0) / 1e3:,.1f}"
    assert [table.title for table in simulation_tables(result, details=True)][1:3] == [
        "digits on int8_16x16: kbit moved",
        "digits on int8_16x16: energy in nJ",
    ]


def test_layers_errors_table(result: SimulationResult) -> None:
    """Layers that round have a row, the last layer too; those that only move values are counted."""
    lines = _lines(errors_table(result))
    exact = 0
    for layer in result.layers:
        assert layer.error is not None
        if layer.error.own.is_equal and layer is not result.layers[-1]:
            exact += 1
            assert not any(line.split()[:1] == [layer.name] for line in lines)
            continue
        cells = _cells(lines, layer.name)
        assert len(cells) == 7
        assert cells[1] == f"{layer.error.accumulated.max_abs:.3g}"
        assert cells[5] == ("equal" if layer.error.own.is_equal else f"{layer.error.own.sqnr_db:.1f}")
    assert exact == 3  # two max_pools and a reshape
    assert lines[-1].strip() == "and 3 layers that by themselves equal float32"


def test_layers_explanations_name_every_product(result: SimulationResult) -> None:
    text = "\n".join(explanations(result))
    products = [layer for layer in result.layers if layer.macs]
    assert all(layer.mapping for layer in products)
    assert text.count(":\n") == len({layer.mapping for layer in products})
    assert products[0].name in text


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (999_999, "999,999"), (1_000_000, "1 M"), (1_813_561_344, "1.814 G"), (2.5e13, "25 T"), (12.34, "12.3"),
     (9999.9, "9,999.9"), (123_456.7, "123,457"), (4_795_867.2, "4.796 M")],
)  # fmt: skip
def test_layers_count(number: float, text: str) -> None:
    assert count(number) == text
