# SPDX-License-Identifier: Apache-2.0
"""Prices of an accelerator's memories, registers and wires: presets, the user's own constants, and wrong ones."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import hwsim
from cost_models import Cost
from cost_models.memory import dram, preset, register, sram
from cost_models.technologies import Technology
from cost_models.technologies import read as read_technology
from hwsim import data
from hwsim.accelerator import Accelerator, ArrayKind, WireSpec
from hwsim.prices import check_prices, fastest_mhz
from hwsim.result import SimulationResult


def _accelerator(**change: Any) -> Accelerator:
    return replace(hwsim.accelerator.read("int8_16x16"), **change)


def _preset(name: str, **change: Any) -> Accelerator:
    own = _accelerator()
    return replace(own, memory_preset=name, sram_node_nm=None, dram=replace(own.dram, kind=""), **change)


def _simulate(accelerator: Accelerator) -> SimulationResult:
    net = hwsim.network.read(data.digits_model_path(quantized=True))
    images, _ = data.digits_test()
    return hwsim.simulate(net, accelerator, {net.inputs[0].name: images[:1]})


def _steps(result: SimulationResult) -> int:
    """Return the steps of a pass: a product each, and those of zeros that an arrangement brings in."""
    steps = sum(layer.plan.steps for layer in result.layers)
    assert result.macs <= steps < 1.1 * result.macs
    return steps


def test_prices_default() -> None:
    prices = check_prices(_accelerator())
    technology = read_technology("asap7")
    assert isinstance(technology, Technology)
    assert prices.activations == prices.weights == sram(65536, 128, 22)
    assert (prices.dram, prices.registers, prices.wire) == (dram("lpddr4"), register(technology), None)


def test_prices_of_banks() -> None:
    """A bank is a memory of its own: its energy a bit, the leakage of all, and a port as wide as all together."""
    own = _accelerator()
    banked = replace(own, activations=replace(own.activations, banks=4))
    priced, one = check_prices(banked).activations, sram(16384, 128, 22)
    assert (priced.read_pj_per_bit, priced.write_pj_per_bit) == (one.read_pj_per_bit, one.write_pj_per_bit)
    assert one.leakage_mw is not None
    assert priced.leakage_mw == 4 * one.leakage_mw
    assert (priced.capacity_bytes, banked.activations.port_bits) == (65536, 512)
    narrow = replace(own, activations=replace(own.activations, width_bits=32))
    wide = replace(own, activations=replace(own.activations, width_bits=32, banks=4))
    cycles = [_simulate(each).cycles for each in (narrow, wide, own)]
    assert cycles[0] > cycles[1] == cycles[2]  # 4 banks of 32 bits are a port of 128


@pytest.mark.parametrize("name", ["cacti22", "horowitz45", "tpu_v4i_7"])
def test_prices_preset(name: str) -> None:
    accelerator = _preset(name, wire=WireSpec(name="", length_mm=2.0))
    prices = check_prices(accelerator)
    known = preset(name)
    assert prices.weights == known.sram(65536, 128)
    assert (prices.dram, prices.wire) == (known.dram, known.wire)
    result = _simulate(accelerator)
    bits = sum(layer.traffic.sram_bits for layer in result.layers)
    assert result.energy.wires_pj == pytest.approx(bits * 2.0 * known.wire.pj_per_bit_mm)
    # each step takes in both of its operands of 8 bits: a write and a read
    file = known.registers
    assert result.energy.registers_pj == pytest.approx(
        _steps(result) * 16 * (file.read_pj_per_bit + file.write_pj_per_bit)
    )
    text = "\n".join(result.assumptions)
    for source in (known.dram.source, known.wire.source, prices.weights.source):
        assert source in text


def test_prices_by_the_user() -> None:
    own = _accelerator()
    memory = replace(own.weights, kilobytes=8192, constants=(("read_pj_per_bit", 1), ("write_pj_per_bit", 2.0)))
    accelerator = _accelerator(
        weights=memory,
        activations=replace(own.activations, constants=(("leakage_mw", 0),)),
        dram=replace(own.dram, kind="hbm2", constants=(("row_pj", 0.0),)),
        registers=(("clock_pj_per_cycle", 0.5), ("toggle_rate", 0.0)),
    )
    prices = check_prices(accelerator)
    assert (prices.weights.read_pj_per_bit, prices.weights.write_pj_per_bit, prices.weights.leakage_mw) == (1, 2, None)
    assert prices.activations.leakage_mw == 0
    assert not prices.dram.counts_rows
    result = _simulate(accelerator)
    # 16 x 16 units hold 8 bits of each operand
    assert result.energy.registers_pj == pytest.approx(result.cycles * 256 * 16 * 0.5)
    assert "by the user: read_pj_per_bit = 1.0" in "\n".join(result.assumptions)
    assert "leakage not known, left out" in "\n".join(result.assumptions)


def test_prices_registers_by_hand() -> None:
    result = _simulate(_accelerator())
    found = check_prices(_accelerator()).registers
    assert found is not None
    clock = result.cycles * 256 * 16 * found.clock_pj_per_cycle
    # each step takes in both of its operands
    assert result.energy.registers_pj == pytest.approx(clock + _steps(result) * 16 * 0.5 * found.data_pj_per_toggle)
    parts = result.energy
    assert parts.total_pj == pytest.approx(
        sum((parts.units_pj or 0, parts.registers_pj or 0, parts.sram_pj, parts.dram_pj, parts.leakage_pj))
    )


def test_prices_registers_of_stationary_weights() -> None:
    own = _accelerator()
    accelerator = replace(own, array=replace(own.array, dataflow=ArrayKind.WEIGHT_STATIONARY))
    result = _simulate(accelerator)
    found = check_prices(accelerator).registers
    assert found is not None
    fc = next(layer for layer in result.layers if layer.name == "fc")
    # 128 x 10 in eight folds of 16 rows: a weight for the last row passes through 16 registers, for the first one one
    passed = 128 * 10 * 8 + 8 * 10 * (16 * 17 // 2) * 8
    # a register for the operand that streams; of the one that stays one in use, and one to come
    clock = fc.cycles * 256 * (8 + 2 * 8) * found.clock_pj_per_cycle
    assert fc.energy.registers_pj == pytest.approx(clock + passed * 0.5 * found.data_pj_per_toggle)


def test_prices_fpga_has_no_registers() -> None:
    accelerator = _accelerator(technology="ecp5", clock_mhz=50)
    assert check_prices(accelerator).registers is None
    both = (("clock_pj_per_cycle", 0.001), ("data_pj_per_toggle", 0.002))
    found = check_prices(replace(accelerator, registers=both)).registers
    assert found is not None
    assert (found.clock_pj_per_cycle, found.data_pj_per_toggle) == (0.001, 0.002)
    message = (
        "memory.registers: clock_pj_per_cycle and data_pj_per_toggle must both be given, for ecp5 has no flip-flop"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        check_prices(replace(accelerator, registers=both[:1]))


def test_prices_wire_of_the_technology() -> None:
    prices = check_prices(_accelerator(wire=WireSpec(name="technology", length_mm=1.0)))
    assert prices.wire is not None
    assert "asap7" in prices.wire.source


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"registers": (("toggle_rate", 2),)}, "memory.registers: toggle_rate must be in 0..1, not 2.0"),
        ({"registers": (("toggle_rate", "2"),)}, "memory.registers: toggle_rate must be a number, not '2'"),
        (
            {"wire": WireSpec(name="keckler", length_mm=1.0)},
            "memory.wire.name: wire 'keckler' is unknown; close matches: keckler40",
        ),
        (
            {"wire": WireSpec(name="gpu28", length_mm=1.0, constants=(("toggle_rate", -1),))},
            "memory.wire: toggle_rate must be finite and at least 0, not -1.0",
        ),
    ],
)
def test_prices_constant_wrong(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        check_prices(_accelerator(**change))


@pytest.mark.parametrize(
    ("constants", "message"),
    [
        ((("row_pj", -1),), "memory.dram: row_pj must be finite and at least 0, not -1.0"),
        ((("page_policy", "ajar"),), "memory.dram: page_policy must be one of open, closed, hit_rate, not 'ajar'"),
    ],
)
def test_prices_dram_wrong(constants: tuple[tuple[str, Any], ...], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        check_prices(_accelerator(dram=replace(_accelerator().dram, constants=constants)))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cacti", "memory.preset: memory preset 'cacti' is unknown; close matches: cacti22"),
        ("no.toml", "memory.preset: memory preset no.toml does not exist"),
    ],
)
def test_prices_preset_wrong(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        check_prices(_preset(name))


def test_prices_preset_size_wrong() -> None:
    own = _accelerator()
    small = replace(own.weights, kilobytes=4)
    message = "memory.weights: SRAM capacity must be 8 to 1024 KiB, not 4096 bytes; give its own read_pj_per_bit and "
    with pytest.raises(ValueError, match=f"^{message}write_pj_per_bit, or cut a large one into `banks`$"):
        check_prices(_preset("horowitz45", weights=small))


def test_prices_from_a_file(tmp_path: Path) -> None:
    mine = tmp_path / "memories.toml"
    mine.write_text(
        'title = "mine"\nsource = "me"\nnode_nm = 28\ndram = "hbm2"\nwire = "gpu28"\nregisters = "zigzag_2b"\n'
        "[sram]\npoints = [[1024, 0.1, 0.2], [1048576, 0.1, 0.2]]\n"
    )
    text = (Path(hwsim.accelerator.__file__).parent / "presets" / "int8_16x16.toml").read_text()
    text = text.replace("sram_node_nm = 22 ", "# ").replace('kind = "lpddr4"\n', "io_pj_per_bit = 0.5\n")
    text = text.replace("[memory.activations]", '[memory]\npreset = "memories.toml"\n\n[memory.activations]', 1)
    path = tmp_path / "mine.toml"
    path.write_text(
        text + "\n[memory.wire]\nlength_mm = 3\ntoggle_rate = 0.25\n\n[memory.registers]\ntoggle_rate = 0.1\n"
    )
    accelerator = hwsim.accelerator.read(path)
    prices = check_prices(accelerator)
    assert (prices.weights.read_pj_per_bit, prices.weights.write_pj_per_bit) == pytest.approx((0.1, 0.2))
    assert (prices.dram.name, prices.dram.io_pj_per_bit, prices.dram.row_pj) == ("hbm2", 0.5, 909)
    assert prices.wire is not None
    assert prices.wire.pj_per_bit_mm == pytest.approx(0.1)
    assert prices.registers is not None
    assert prices.registers.toggle_rate == 0.1


def test_prices_of_a_cost_that_is_given() -> None:
    spec = _accelerator()
    known = check_prices(spec).cost
    assert known is not None
    other = replace(known, energy_pj=123.0, source="elsewhere")
    assert check_prices(spec, cost=other).cost == other
    assert check_prices(spec, cost=other).note.startswith("elsewhere; ")
    none = check_prices(spec, cost=None)
    assert (none.cost, none.note) == (
        None, "the cost of unit int8_l1_int32 with 2 register ranks in technology asap7 is not known",
    )  # fmt: skip
    net = hwsim.network.read(data.digits_model_path(quantized=True))
    assert hwsim.simulate(net, spec, values="none", cost=None).energy.units_pj is None
    given = hwsim.simulate(net, spec, values="none", cost=replace(known, energy_pj=2 * (known.energy_pj or 0.0))).energy
    assert (given.units_pj or 0.0) > (hwsim.simulate(net, spec, values="none").energy.units_pj or 0.0)
    wrong = re.escape("cost must be of unit int8_l1_int32 with 2 register ranks in technology asap7, not of mxfp4_l16")
    with pytest.raises(ValueError, match=f"^{wrong}"):
        check_prices(spec, cost=replace(known, unit="mxfp4_l16"))


def test_prices_fastest_clock() -> None:
    cost = Cost(unit="u", technology="t", source="s", delay_ps=1000.0, wired_delay_ps=1250.0)
    assert fastest_mhz(cost) == 800
    assert fastest_mhz(replace(cost, wired_delay_ps=None)) == 1000
    assert fastest_mhz(Cost(unit="u", technology="t", source="s", fmax_mhz=49.5)) == 49.5
    assert fastest_mhz(Cost(unit="u", technology="t", source="s", lut=3)) is None
