# SPDX-License-Identifier: Apache-2.0
"""Units of a Liberty file, and its tables of two variables looked up at a point."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from cost_models.technologies.liberty_groups import Group

__all__ = [
    "Tables",
    "UnusableCellError",
    "number",
    "numbers",
]

_SLEW = ("input_net_transition", "input_transition_time", "related_pin_transition", "constrained_pin_transition")
_LOAD = ("total_output_net_capacitance",)
_PREFIXES = {"": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9, "p": 1e-12, "f": 1e-15}


class UnusableCellError(ValueError):
    """A cell that the cost model has no use for; the text says why."""


def number(text: str, where: str) -> float:
    """Read a number, or raise ValueError naming the place."""
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{where}: want a number, not {text!r}") from None


def numbers(texts: tuple[str, ...], where: str) -> list[float]:
    """Read numbers from texts of numbers between commas or spaces."""
    return [number(item, where) for text in texts for item in text.replace(",", " ").split()]


@dataclass(frozen=True, slots=True)
class Tables:
    """
    The tables of a library, and its units: what one of the file's units is in ps, fF, V, nW and fJ.

    Internal energies are in units of capacitance times voltage squared (Liberty User Guide, internal_power).
    """

    where: str
    templates: Mapping[str, Group]
    ps: float
    ff: float
    volt: float
    nw: float

    @property
    def fj(self) -> float:
        """The file's unit of internal energy in fJ."""
        return self.ff * self.volt**2

    @classmethod
    def of(cls, library: Group, where: str) -> "Tables":
        """
        Units and templates of a library.

        Raises
        ------
        ValueError
            A unit is missing or unknown.
        """
        loads = library.complex.get("capacitive_load_unit", [()])[0]
        if len(loads) != 2:
            raise ValueError(f"{where}: capacitive_load_unit (value, unit) is missing")
        templates = {group.name: group for group in library.all("lu_table_template", "power_lut_template")}
        return cls(
            where, templates,
            ps=_unit(library.simple.get("time_unit", ""), "s", "time_unit", where) * 1e12,
            ff=_unit(" ".join(loads), "f", "capacitive_load_unit", where) * 1e15,
            volt=_unit(library.simple.get("voltage_unit", ""), "v", "voltage_unit", where),
            nw=_unit(library.simple.get("leakage_power_unit", ""), "w", "leakage_power_unit", where) * 1e9,
        )  # fmt: skip

    def look_up(self, table: Group, slew: float, load: float) -> float:
        """
        Value of a table, in the file's units, linear between its points and beyond its ends.

        Parameters
        ----------
        table : Group
            Such as ``cell_rise (template) { ... }``.
        slew, load : float
            In the file's units.

        Raises
        ------
        ValueError
            The table's template is unknown, or its sizes do not match.
        UnusableCellError
            It has three variables, or others than a slew and the load.
        """
        where = f"{self.where}:{table.line}"
        values = [numbers((row,), where) for row in table.complex.get("values", [()])[0]]
        if table.name == "scalar":
            return values[0][0]
        template = self.templates.get(table.name)
        if template is None:
            raise ValueError(f"{where}: {table.kind} has no template {table.name!r}")
        axes = []
        for index in (1, 2, 3):
            variable = template.simple.get(f"variable_{index}")
            if variable is None:
                break
            given = table.complex.get(f"index_{index}") or template.complex.get(f"index_{index}") or [()]
            if variable not in _SLEW + _LOAD or index == 3:
                raise UnusableCellError(f"{table.kind} has a variable {variable!r} that we do not read")
            axes.append((numbers(given[0], where), slew if variable in _SLEW else load))
        flat = [value for row in values for value in row]
        if len(flat) != _product(axes) or not flat:
            raise ValueError(f"{where}: {table.kind} has {len(flat)} values; its axes want {_product(axes)}")
        return _interpolate(flat, axes)


def _product(axes: list[tuple[list[float], float]]) -> int:
    """Count the points."""
    count = 1
    for axis, _ in axes:
        count *= len(axis)
    return count


def _interpolate(flat: list[float], axes: list[tuple[list[float], float]]) -> float:
    """Interpolate along the last axis first."""
    if not axes:
        return flat[0]
    (points, at), rest = axes[0], axes[1:]
    stride = len(flat) // len(points)
    if len(points) == 1:
        return _interpolate(flat, rest)
    low = max((i for i in range(len(points) - 1) if points[i] <= at), default=0)
    share = (at - points[low]) / (points[low + 1] - points[low])
    ends = [_interpolate(flat[i * stride : (i + 1) * stride], rest) for i in (low, low + 1)]
    return ends[0] + share * (ends[1] - ends[0])


def _unit(text: str, letter: str, key: str, where: str) -> float:
    """Read a quantity such as ``1ns`` or ``1 pf`` in SI."""
    match = re.fullmatch(rf"([\d.e+-]+)([munpf]?){letter}", text.lower().replace(" ", ""))
    if match is None:
        raise ValueError(f"{where}: {key} must be a number and a unit such as 1n{letter}, not {text!r}")
    return number(match[1], where) * _PREFIXES[match[2]]
