# SPDX-License-Identifier: Apache-2.0
"""Rows whose values are exact sums of features, so that a fit can be exact."""

import pytest

from cost_models.fitted import Row, row_of
from hwsim import datapath

BITS = range(2, 11)
FLOATS = [(e, m) for e in (2, 3, 4) for m in range(4)]
UNITS = [f"int{bits}_int{register}" for bits in BITS for register in (24, 32)]
UNITS += [f"minifloat_e{e}m{m}" for e, m in FLOATS] + [f"minifloat_e{e}m{m}_float32" for e, m in FLOATS]


def area_of(cells: dict[str, float]) -> float:
    """Return an area that is a sum of cells."""
    return 0.3 * cells["registers.flip_flops"] + 0.5 * cells["multiply.ands"] + 0.2 * cells["align_add.muxes"] + 4.0


@pytest.fixture(scope="session")
def rows() -> list[Row]:
    """Return rows of integer and float MACs with made-up areas, energies and clock rates."""
    made = []
    for name in UNITS:
        row = row_of(datapath.named(name), 2, {})
        own = dict(row.features)
        area = area_of(own)
        energy = 1e-3 * (own["registers.flip_flops"] + 2.0 * own["toggles.multiply.ands"] + 3.0 * own["toggles.inputs"])
        values = {"area_um2": area, "energy_pj": energy, "fmax_mhz": 1e5 / area}
        made.append(row_of(datapath.named(name), 2, values))
    return made
