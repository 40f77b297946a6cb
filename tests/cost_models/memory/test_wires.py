# SPDX-License-Identifier: Apache-2.0
"""Wires: what the paper prints, and a technology's capacitance by hand."""

from dataclasses import replace

import pytest

from cost_models.memory import Wire, technology_wire, wire, wire_names
from cost_models.technologies import Technology, Wires, read


def test_wires_published() -> None:
    # Keckler et al., IEEE Micro 2011, table 1: 256 bits over 10 mm take 310 pJ at 40 nm
    assert 256 * 10 * wire("keckler40").pj_per_bit_mm == pytest.approx(310, rel=0.01)
    assert wire("gpu28").pj_per_bit_mm == 0.2
    assert all(0.01 < wire(name).pj_per_bit_mm < 1 and wire(name).source for name in wire_names())


def test_wires_of_a_technology() -> None:
    technology = read("asap7")
    assert isinstance(technology, Technology)
    wires = Wires(capacitance_ff_per_um=0.2, utilization=0.7, pitches_per_pin=1.0)
    # 0.2 pF a mm at 0.7 V, half of the bits toggling: 0.5 * 0.5 * 0.2 * 0.49 pJ
    assert technology_wire(replace(technology, wires=wires)).pj_per_bit_mm == pytest.approx(0.0245)
    with pytest.raises(ValueError, match=r"^technology 'asap7' has no \[wires\]; name a published wire: keckler40, "):
        technology_wire(replace(technology, wires=None))


def test_wires_wrong() -> None:
    with pytest.raises(LookupError, match=r"^wire 'keckler' is unknown; close matches: keckler40"):
        wire("keckler")
    with pytest.raises(ValueError, match=r"^toggle_rate must be in 0..1, not 2.0$"):
        Wire(name="mine", node_nm=7, transition_pj_per_mm=0.1, toggle_rate=2.0, source="me")
