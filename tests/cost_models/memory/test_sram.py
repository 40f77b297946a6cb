# SPDX-License-Identifier: Apache-2.0
"""SRAM prices: the grid as it is, between its points, and outside."""

import csv
from pathlib import Path

import pytest

from cost_models.memory import preset, sram

KIB, MIB = 1024, 1024 * 1024


def test_sram_published() -> None:
    # Horowitz, ISSCC 2014: 64 bit at 45 nm: 8 kB 10 pJ, 32 kB 20 pJ, 1 MB 100 pJ; CACTI is 35 % below at 8 kB
    for capacity, published, tolerance in ((8 * KIB, 10, 0.36), (32 * KIB, 20, 0.1), (MIB, 100, 0.01)):
        assert 64 * sram(capacity, 64, 45).read_pj_per_bit == pytest.approx(published, rel=tolerance)


def test_sram_grid(shared: Path) -> None:
    rows = list(csv.DictReader((shared / "reference/cacti7_sram_sweep.csv").read_text(encoding="utf-8").splitlines()))
    for row in rows:
        width = int(row["width_bits"])
        found = sram(int(row["bytes"]), width, int(row["tech_nm"]), row["cell"])
        assert found.read_pj_per_bit == pytest.approx(float(row["read_nJ"]) * 1e3 / width, rel=1e-5)
        assert found.write_pj_per_bit == pytest.approx(float(row["write_nJ"]) * 1e3 / width, rel=1e-5)
        if row["bytes"] != str(MIB) or width == 256:
            assert found.leakage_mw == pytest.approx(float(row["leak_mW"]), rel=1e-5)
            assert found.access_ns == pytest.approx(float(row["access_ns"]), rel=1e-5)
            assert found.area_mm2 == pytest.approx(float(row["area_mm2"]), rel=1e-5)
    assert len(rows) == 60


def test_sram_between() -> None:
    small, middle, large = (sram(capacity, 64) for capacity in (8 * KIB, 16 * KIB, 32 * KIB))
    # half way in the logarithm: the geometric mean
    assert middle.read_pj_per_bit**2 == pytest.approx(small.read_pj_per_bit * large.read_pj_per_bit)
    times = [each.access_ns or 0.0 for each in (small, middle, large)]
    assert 0 < times[0] < times[1] < times[2]
    assert "CACTI 7" in middle.source
    # a wider access costs more, but less for each bit
    narrow, wide = sram(64 * KIB, 32), sram(64 * KIB, 256)
    assert narrow.read_pj_per_bit > wide.read_pj_per_bit
    assert 32 * narrow.read_pj_per_bit < 256 * wide.read_pj_per_bit


def test_sram_between_published_points() -> None:
    found = preset("horowitz45").sram(16 * KIB, 64)
    assert 64 * found.read_pj_per_bit == pytest.approx((10 * 20) ** 0.5)
    assert (found.leakage_mw, found.access_ns, found.area_mm2) == (None, None, None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((2 * KIB, 64), "^SRAM capacity must be 4 to 4096 KiB, not 2048 bytes$"),
        ((8 * MIB, 64), "^SRAM capacity must be 4 to 4096 KiB, not 8388608 bytes$"),
        ((8 * KIB, 16), "^SRAM width must be 32 to 256 bits, not 16$"),
        ((8 * KIB, 512), "^SRAM width must be 32 to 256 bits, not 512$"),
        ((8 * KIB, 64, 7), "^SRAM cell and node must be one of itrs-hp at 45 nm, .*, not itrs-hp at 7 nm$"),
        ((8 * KIB, 64, 22, "hp"), "^SRAM cell and node must be one of .*, not hp at 22 nm$"),
    ],
)
def test_sram_wrong(arguments: tuple[int, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sram(*arguments)


def test_sram_points_wrong() -> None:
    with pytest.raises(ValueError, match=r"^SRAM capacity must be 8 to 1024 KiB, not 4096 bytes$"):
        preset("horowitz45").sram(4 * KIB, 64)
