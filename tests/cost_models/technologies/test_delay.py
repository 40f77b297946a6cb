# SPDX-License-Identifier: Apache-2.0
"""Linear delays from facts at one load."""

from dataclasses import replace

import pytest

from cost_models.technologies import Technology, linear_delays


def test_delay_operating_point(technology: Technology) -> None:
    delays = linear_delays(technology)
    load = technology.operating_point.load_ff
    assert set(delays) == set(technology.cells)
    for name, delay in delays.items():
        assert delay.intrinsic_ps + delay.slope_ps_per_ff * load == pytest.approx(technology.cells[name].delay_ps)
        assert 0.1 <= delay.slope_ps_per_ff * load / technology.cells[name].delay_ps <= 0.9


def test_delay_inverters_halve(technology: Technology) -> None:
    # logical effort: twice the drive, half the slope; an inverter's parasitic delay is a quarter to half of its FO4
    delays = linear_delays(technology)
    family = technology.cells[technology.inverter].family
    inverters = [cell for cell in technology.cells.values() if cell.family == family]
    inverters.sort(key=lambda cell: cell.drive)
    slopes = [delays[cell.name].slope_ps_per_ff for cell in inverters]
    assert slopes[1] == pytest.approx(slopes[0] / 2)
    assert slopes[2] == pytest.approx(slopes[0] / 4)
    for cell in inverters:
        assert 0.2 < delays[cell.name].intrinsic_ps / technology.operating_point.fo4_ps < 0.5


def test_delay_slope_given(technology: Technology) -> None:
    # a slope that the source gives counts for that cell alone, within the same bounds
    name, load = technology.nand2, technology.operating_point.load_ff
    cell = technology.cells[name]
    for share, kept in ((0.5, 0.5), (0.95, 0.9), (0.01, 0.1)):
        given = replace(cell, slope_ps_per_ff=share * cell.delay_ps / load)
        delays = linear_delays(replace(technology, cells={**technology.cells, name: given}))
        assert delays[name].slope_ps_per_ff == pytest.approx(kept * cell.delay_ps / load)
        assert {key: delay for key, delay in delays.items() if key != name} == {
            key: delay for key, delay in linear_delays(technology).items() if key != name
        }


def test_delay_inverters_wrong(technology: Technology) -> None:
    family = technology.cells[technology.inverter].family
    cells = {name: cell for name, cell in technology.cells.items() if cell.family != family or cell.drive == 1}
    with pytest.raises(ValueError, match=r"^technology \w+ needs two drives of inverter \w+, not one$"):
        linear_delays(replace(technology, cells=cells))
