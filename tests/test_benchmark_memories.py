# SPDX-License-Identifier: Apache-2.0
"""The table of memories beside published ones: every row has figures, the known ones those of docs/memory.md."""

from importlib import import_module
from pathlib import Path

import pytest


def test_benchmark_memories_rows(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(root))
    memories = import_module("benchmarks.memories")
    rows = memories.rows()
    assert len(rows) >= 30
    assert all(0.02 < row.ratio < 20 and row.source and row.differs for row in rows)
    ratios = {(row.what, row.source): row.ratio for row in rows}
    for size, ratio in (("8 KiB", 0.65), ("32 KiB", 0.93), ("1 MiB", 1.0)):
        found = ratios[f"SRAM {size}, 64 bit, read, 45 nm", "Horowitz, ISSCC 2014"]
        assert found == pytest.approx(ratio, abs=0.005)
    memories.main()
    assert "Horowitz" in capsys.readouterr().out
