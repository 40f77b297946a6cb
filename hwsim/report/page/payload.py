# SPDX-License-Identifier: Apache-2.0
"""What the page holds of a comparison: columns in place of rows, what is the same written once, figures rounded."""

import json
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

from hwsim import datapath
from hwsim.datapath.unit import ScalarSpec
from hwsim.formats import BlockSpec, CodebookSpec, FloatSpec, IntegerSpec, PositSpec
from hwsim.report.fronts import default_fronts
from hwsim.report.page.beside import GROUP, merged
from hwsim.report.page.built import ranks
from hwsim.report.rows import is_known
from hwsim.report.units.drawing import datapath_svg
from hwsim.study.quantities import QUANTITIES

__all__ = [
    "DIGITS",
    "as_text",
    "family",
    "payload",
]

DIGITS = 6  # significant digits of a figure: two more than are shown, so that what is equal on the page is equal
_PART_DIGITS = 4  # of layers and stages
_SHORTEST_ID = 8
_SHARES = frozenset(
    {
        "accuracy", "float_accuracy", "agreement", "constant_agreement", "cost_error", "utilisation",
        "energy_memory_share", "area_memory_share", "dram_float32_share",
    }
)  # fmt: skip
"""Shown as percentages."""
_FIELDS = ("network", "format", "unit", "accelerator", "technology")
_LAYER_FIGURES = ("cycles", "energy_nj", "sqnr_db", "sqnr_alone_db")
_GROUPS = {
    "Accuracy": (
        "accuracy", "float_accuracy", "agreement", "constant_agreement", "output_sqnr_db", "weight_qsnr_db", "images",
    ),
    "Unit": (
        "bits_per_element", "unit_area_um2", "unit_delay_ps", "energy_pj_per_mac", "lut", "ff", "dsp", "fmax_mhz",
        "cost_fitted", "cost_error", "cost_source",
    ),
    "Array": ("units", "macs_per_cycle", "clock_mhz", "array_area_mm2", "area_mm2", "area_memory_share", "utilisation"),
    "Speed": ("cycles", "latency_us", "inferences_per_s", "inferences_per_s_per_mm2"),
    "Energy": (
        "energy_nj", "energy_units_nj", "energy_registers_nj", "energy_sram_nj", "energy_dram_nj", "energy_wires_nj",
        "energy_leakage_nj", "energy_memory_share", "inferences_per_j", "power_mw",
    ),
    "Memory traffic": ("sram_kbit", "dram_kbit", "dram_float32_share"),
}  # fmt: skip
_PRICED = frozenset(each.key for each in QUANTITIES if each.prices)
_UNITS = {"um2": "µm²", "mm2": "mm²", "us": "µs", "uW": "µW", "1/s/mm2": "1/(s·mm²)"}


def payload(
    comparison: Mapping[str, Any],
    next_steps: Sequence[tuple[str, str]],
    fronts: Sequence[tuple[str, str]] | None = None,
) -> dict[str, Any]:
    """Return what the page's program reads, JSON-ready.

    Parameters
    ----------
    comparison : mapping
        What `hwsim.study.Comparison.as_dict` gives.
    next_steps : sequence of (str, str)
        What one may want to know next, and the command that answers it.
    fronts : sequence of (str, str), optional
        What is set against what at first, better figure first; `default_fronts` of each network unless given.
    """
    quantities, evaluations = merged(comparison)
    found = [each for each in evaluations if not each["refused"]]
    points = [each["point"] for each in found]
    units = sorted({point["unit"] for point in points})
    families = {unit: family(unit) for unit in units}
    fields: dict[str, Any] = {"family": _coded([families[point["unit"]] for point in points])}
    fields |= {field: _coded([point[field] for point in points]) for field in _FIELDS}
    known = sorted((_quantity(each) for each in quantities if _any(found, each["key"])), key=_place)
    return {
        "title": comparison["title"],
        "version": comparison["version"],
        "notes": list(comparison["notes"]),
        "next": [list(each) for each in next_steps],
        "ranks": _coded([ranks(point) for point in points]),
        "fronts": _fronts(found, fronts),
        "quantities": known,
        "ids": _short([each["key"] for each in found]),
        "fields": fields,
        "settings": {key: _coded([point["settings"].get(key) for point in points]) for key in _settings(points)},
        "figures": {each["key"]: _column(found, each) for each in known},
        "layers": _layers(found),
        "stages": _coded([_rounded_tree(each["stages"]) for each in found]),
        "sources": _sources(found),
        "refused": [_refused(each) for each in comparison["evaluations"] if each["refused"]],
        "diagrams": _diagrams(units),
    }


def as_text(data: Mapping[str, Any]) -> str:
    """Return JSON that may stand in a script element, whatever names are in it."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c")  # no end tag, no comment


def family(unit: str) -> str:
    """Return the family of a unit's operands in words: ``integer``, ``block float``, ``float by integer``."""
    spec = datapath.named(unit)
    kinds = list(dict.fromkeys(_kind(operand) for operand in (spec.a, spec.b)))
    return " by ".join(kinds)


def _kind(spec: ScalarSpec | BlockSpec) -> str:
    if isinstance(spec, BlockSpec):
        return "block integer" if isinstance(spec.element, IntegerSpec) else f"block {_kind(spec.element)}"
    names = {IntegerSpec: "integer", FloatSpec: "float", PositSpec: "posit", CodebookSpec: "codebook"}
    found = names[type(spec)]
    return "fixed point" if isinstance(spec, IntegerSpec) and spec.name.startswith("fixed") else found


def _quantity(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a quantity with its group, and whether the cost of the unit is in it."""
    key = given["key"]
    other = GROUP if key.startswith("beside.") else "Other"
    group = next((name for name, keys in _GROUPS.items() if key in keys), other)
    unit = "%" if key in _SHARES else _UNITS.get(given["unit"], given["unit"])
    label = given["label"].replace("mm2", "mm²")
    return {**given, "label": label, "unit": unit, "group": group, "priced": key in _PRICED}


def _place(quantity: Mapping[str, Any]) -> int:
    """Order quantities by their groups, accuracy first."""
    return [*_GROUPS, "Other", GROUP].index(quantity["group"])


def _fronts(
    found: Sequence[Mapping[str, Any]], given: Sequence[tuple[str, str]] | None
) -> dict[str, Sequence[tuple[str, str]]]:
    """Return what is set against what at first, by network; for all networks, by "", what every one of them has."""
    figures: dict[str, list[Any]] = {}
    for each in found:
        figures.setdefault(each["point"]["network"], []).append(each["figures"])
    own = {network: default_fronts(rows) if given is None else given for network, rows in figures.items()}
    shared = (
        pairs
        for pairs in own.values()
        if all(is_known(rows, key) for rows in figures.values() for pair in pairs for key in pair)
    )
    return {**own, "": next(shared, next(iter(own.values()), ()))}


def _any(found: Iterable[Mapping[str, Any]], key: str) -> bool:
    return any(each["figures"].get(key) is not None for each in found)


def _column(found: Sequence[Mapping[str, Any]], quantity: Mapping[str, Any]) -> Any:
    key = quantity["key"]
    scale = 100 if key in _SHARES else 1
    values = [each["figures"].get(key) for each in found]
    if quantity["kind"] in ("str", "bool"):
        return _coded(values)
    return _coded([None if value is None else _rounded(value * scale) for value in values])


def _rounded(value: float, digits: int = DIGITS) -> float:
    """Round to so many significant digits; whole numbers stay whole."""
    if isinstance(value, int):
        return value
    short = float(f"{value:.{digits}g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short


def _rounded_tree(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _rounded_tree(each) for key, each in value.items()}
    return None if value is None else _rounded(value, _PART_DIGITS)


def _coded(values: Sequence[Any]) -> Any:
    """Return a column: as it is, or its distinct values and the place of each in them where that is shorter."""
    places: dict[Hashable, int] = {}
    at = [places.setdefault(json.dumps(value), len(places)) for value in values]
    if len(places) * 2 > len(values):
        return list(values)
    return {"of": [json.loads(str(text)) for text in places], "at": at}


def _settings(points: Iterable[Mapping[str, Any]]) -> list[str]:
    return sorted({key for point in points for key in point["settings"]})


def _short(keys: Sequence[str]) -> list[str]:
    """Return the beginnings of keys, as short as they differ: what a link names a point by."""
    length = _SHORTEST_ID
    while len({key[:length] for key in keys}) < len(set(keys)):
        length += 1
    return [key[:length] for key in keys]


def _layers(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the layers: their names and work, which networks share, and a column a figure."""
    named = [[[layer["name"], layer["operator"], layer["macs"]] for layer in each["layers"]] for each in found]
    columns = {
        key: [[_rounded_tree(layer.get(key)) for layer in each["layers"]] for each in found] for key in _LAYER_FIGURES
    }
    return {"names": _coded(named), "figures": {key: _coded(rows) for key, rows in columns.items()}}


def _sources(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return all sources, and the places in them of those of each point."""
    places: dict[str, int] = {}
    at = [[places.setdefault(source, len(places)) for source in each["sources"]] for each in found]
    return {"texts": list(places), "at": _coded(at)}


def _refused(each: Mapping[str, Any]) -> dict[str, Any]:
    return {**each["point"], "reason": each["refused"]}


def _diagrams(units: Iterable[str]) -> dict[str, Any]:
    """Return the units' diagrams by line, for they share most of their lines."""
    places: dict[str, int] = {}
    drawn = {
        unit: [places.setdefault(line, len(places)) for line in datapath_svg(datapath.named(unit)).split("\n")]
        for unit in units
    }
    return {"lines": list(places), "of": drawn}
