# SPDX-License-Identifier: Apache-2.0
"""Every accelerator that comes with the package runs the network that comes with it."""

from typing import Any

import numpy as np
import pytest

import hwsim
from hwsim import accelerator, data, network
from hwsim.accelerator import Accelerator, ArrayKind, presets, schedule
from hwsim.formats import IntegerSpec
from hwsim.network import ExactEngine, Network

IMAGES = data.digits_test()[0][:2]


@pytest.fixture(scope="module")
def networks() -> dict[bool, Network]:
    """Return the digits network, quantized to int8 and not."""
    return {quantized: network.read(data.digits_model_path(quantized=quantized)) for quantized in (True, False)}


def _of(networks: dict[bool, Network], spec: Accelerator) -> Network:
    return networks[isinstance(spec.unit.a, IntegerSpec)]


@pytest.mark.parametrize("name", presets())
def test_preset_runs_the_digits_network(networks: dict[bool, Network], name: str) -> None:
    spec = accelerator.read(name)
    net = _of(networks, spec)
    result = hwsim.simulate(net, spec, {"input": IMAGES})
    found: Any = result.outputs["logits"] if "logits" in result.outputs else next(iter(result.outputs.values()))
    expected = network.run(net, {"input": IMAGES}, engine=ExactEngine(), rule=spec.requantization)
    exact = next(iter(expected.values()))
    if isinstance(spec.unit.a, IntegerSpec):
        assert np.array_equal(found, exact)
    assert np.array_equal(found.argmax(axis=1), exact.argmax(axis=1))
    assert all(layer.cycles > 0 for layer in result.layers if layer.macs)


def test_presets_have_every_kind_of_array() -> None:
    specs = [accelerator.read(name) for name in presets()]
    assert {spec.array.dataflow for spec in specs} == set(ArrayKind)
    assert {spec.array.count for spec in specs} == {1, 2}
    assert {spec.step_cycles for spec in specs} == {1, 8}


def test_preset_bit_serial_takes_eight_cycles_a_step(networks: dict[bool, Network]) -> None:
    serial = accelerator.read("int8_16x16_bit_serial")
    for layer in networks[True].layers:
        product = layer.matmul_shape(networks[True].specs(layer))
        if product is not None:
            one, eight = (schedule(serial.array, product, 1, 2, cycles) for cycles in (1, serial.step_cycles))
            assert eight.stream_cycles == 8 * one.stream_cycles
