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


def test_delay_inverters_wrong(technology: Technology) -> None:
    family = technology.cells[technology.inverter].family
    cells = {name: cell for name, cell in technology.cells.items() if cell.family != family or cell.drive == 1}
    with pytest.raises(ValueError, match=r"^technology \w+ needs two drives of inverter \w+, not one$"):
        linear_delays(replace(technology, cells=cells))
