# SPDX-License-Identifier: Apache-2.0
"""Matrix instructions of real hardware, each as a unit with its evidence and its source."""

import difflib
from functools import lru_cache

from hwsim.datapath import hardware_amd, hardware_blackwell, hardware_gemm, hardware_nvidia
from hwsim.datapath.evidence import Entry, Evidence

__all__ = [
    "Entry",
    "Evidence",
    "entries",
    "entry",
]


@lru_cache(maxsize=1)
def _catalog() -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    for part in (hardware_nvidia, hardware_blackwell, hardware_gemm, hardware_amd):
        for made in part.entries():
            assert made.name not in found, made.name
            found[made.name] = made
    return found


def entries() -> tuple[Entry, ...]:
    """Return all entries: NVIDIA's instructions by age, cuBLAS' matrix products, then AMD's instructions."""
    return tuple(_catalog().values())


def entry(name: str) -> Entry:
    """Return the entry of a name: ``hopper_wgmma_m64n8k32_f32_e4m3_e4m3``.

    Raises
    ------
    TypeError
        If name is not a str.
    KeyError
        If there is no such entry; the message has the close matches.
    """
    if not isinstance(name, str):
        raise TypeError(f"the name of a hardware unit must be a str, not {name!r}")
    found = _catalog().get(name)
    if found is None:
        close = difflib.get_close_matches(name, _catalog(), n=4, cutoff=0.6)
        hint = f"did you mean {', '.join(close)}?" if close else "`hwsim units` lists the catalog"
        raise KeyError(f"unknown hardware unit {name!r}: {hint}")
    return found
