# SPDX-License-Identifier: Apache-2.0
"""Measure a row of the catalog again, and say whether it still holds."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from tempfile import TemporaryDirectory

import cost_models
from cost_models import Cost
from hwsim import study
from hwsim.catalog.plan import Row

__all__ = [
    "Check",
    "check",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A row as it is kept and as it was measured again: whether it holds, else what differs."""

    kept: Cost
    measured: Cost
    differences: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether every figure and hash is the same."""
        return not self.differences


_CHECKED = (
    "tools", "rtl_hash", "netlist_hash", "architecture", "recipe", "area_um2", "delay_ps", "wired_delay_ps",
    "leakage_uw", "energy_pj", "energy_upper_pj", "lut", "ff", "dsp", "carry", "fmax_mhz",
)  # fmt: skip
_RELATIVE = 1e-6  # a shipped figure has seven digits


def check(row: Row, progress: Callable[[str], None] = lambda text: None) -> Check:
    """Measure a row again from nothing, without any result that was kept, and compare.

    Raises
    ------
    NotMeasuredError
        If nothing is kept of it.
    """
    kept = cost_models.estimate(row.spec.name, row.technology, pipeline=row.pipeline)
    with TemporaryDirectory(prefix="hwsim_") as folder, _store_in(folder):
        measured = study.price(row.spec, row.technology, pipeline=row.pipeline, remeasure=True, progress=progress)
    differences = []
    for name in _CHECKED:
        before, now = getattr(kept, name), getattr(measured, name)
        same = before == now
        if isinstance(before, float) and isinstance(now, float):
            same = abs(before - now) <= _RELATIVE * abs(before)
        if not same:
            differences.append(f"{name}: kept {before}, measured {now}")
    return Check(kept=kept, measured=measured, differences=tuple(differences))


@contextmanager
def _store_in(folder: str) -> Iterator[None]:
    """Keep results in a folder meanwhile."""
    before = os.environ.get("HWSIM_CACHE")
    os.environ["HWSIM_CACHE"] = folder
    try:
        yield
    finally:
        if before is None:
            del os.environ["HWSIM_CACHE"]
        else:
            os.environ["HWSIM_CACHE"] = before
