# SPDX-License-Identifier: Apache-2.0
"""Which unit a point's price is of: its register ranks, where the point's accelerator is one that commands know."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from hwsim import accelerator as accelerators

__all__ = [
    "own_unit",
    "ranks",
]

_OTHER_ELEMENT = ("array.kind", "array.depth", "array.serial_bits")  # settings by which an element is not the unit


def ranks(point: Mapping[str, Any]) -> int | None:
    """Return the register ranks of the unit that a point's array is built of, and that was priced.

    None where the accelerator is no preset, or an element of its array is more or less than the unit: then no command
    builds that element by the unit's name.
    """
    held = _preset(point["accelerator"])
    settings = point["settings"]
    if held is None or not held[2] or any(key in settings for key in _OTHER_ELEMENT):
        return None
    return int(settings.get("pipeline", held[1]))


def own_unit(accelerator: str) -> str | None:
    """Return the name of a preset's own unit; None for what is no preset."""
    held = _preset(accelerator)
    return None if held is None else held[0]


@lru_cache(maxsize=64)
def _preset(name: str) -> tuple[str, int, bool] | None:
    """Return a preset's unit, its register ranks, and whether an element of its array is that unit."""
    if name not in accelerators.presets():
        return None
    spec = accelerators.read_text(*accelerators.toml_text(name))
    plain = spec.element.name == spec.unit.name and not spec.array.serial_bits
    return spec.unit.name, spec.pipeline, plain
