# SPDX-License-Identifier: Apache-2.0
"""Published factors between nodes."""

from itertools import pairwise

import pytest

from cost_models.technologies.scaling import area_factor, energy_factor


@pytest.mark.parametrize(
    ("from_nm", "from_v", "to_nm", "to_v", "published"),
    [(130, 1.2, 7, 0.7, 108), (45, 0.8, 7, 0.8, 10.6), (45, 0.9, 7, 0.7, 17.7)],
)
def test_scaling_energy_published(from_nm: int, from_v: float, to_nm: int, to_v: float, published: float) -> None:
    digits = 0.5 if published > 100 else 0.05
    assert 1 / energy_factor(from_nm, to_nm, from_v, to_v) == pytest.approx(published, abs=digits)


def test_scaling_energy_is_consistent() -> None:
    nodes = (130, 90, 65, 45, 32, 20, 16, 14, 10, 7)
    for left, right in pairwise(nodes):
        assert energy_factor(left, right) < 1
        assert energy_factor(left, right) * energy_factor(right, left) == pytest.approx(1)
        assert energy_factor(left, right) == pytest.approx(energy_factor(left, 45) * energy_factor(45, right))
    for node in nodes:
        assert energy_factor(node, node, 0.7, 1.0) > 1


def test_scaling_area() -> None:
    assert area_factor(45, 7) == 0.059
    assert area_factor(130, 45) == 0.16
    assert area_factor(7, 45) == pytest.approx(1 / 0.059)
    assert area_factor(130, 7) == pytest.approx(0.16 * 0.059)
    assert area_factor(90, 16) == pytest.approx(0.35 * 0.19)
    assert area_factor(32, 32) == 1


@pytest.mark.parametrize("node", [180, 22, 5, 0])
def test_scaling_node_wrong(node: int) -> None:
    with pytest.raises(
        ValueError, match=rf"^node must be one of 130, 90, 65, 45, 32, 20, 16, 14, 10, 7 nm, not {node}$"
    ):
        energy_factor(node, 7)
    with pytest.raises(ValueError, match=rf"^node must be one of 130, 90, 65, 45, 32, 16, 7 nm, not {node}$"):
        area_factor(45, node)


@pytest.mark.parametrize("voltage", [0.4, 1.8])
def test_scaling_voltage_wrong(voltage: float) -> None:
    with pytest.raises(ValueError, match=rf"^voltage must be 0\.5 V to 1\.3 V, not {voltage}$"):
        energy_factor(130, 45, voltage, 0.8)
