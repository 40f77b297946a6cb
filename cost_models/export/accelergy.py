# SPDX-License-Identifier: Apache-2.0
"""Accelergy: reference tables of energy (ERT) and of area (ART), in the layout that version 0.4 writes."""

from collections.abc import Callable, Iterable, Sequence

from cost_models.export.figures import Figures, file_stem, identifier, number

__all__ = [
    "accelergy",
]

_ERT_NOTES = (
    "Accelergy 0.4 energy reference table. Energy in pJ of one action of one instance; an instance is one lane of a",
    "unit, [1..n] are the lanes of one unit. compute: one multiply-accumulate with its share of the clock, without",
    "leakage. idle: a cycle in which the unit does not compute, its clock running. leak: leakage of any cycle, at the",
    "clock period below.",
)
_ART_NOTES = ("Accelergy 0.4 area reference table. Area in um2 of one instance; an instance is one lane of a unit.",)


def accelergy(costs: Sequence[Figures]) -> dict[str, str]:
    """Return both tables of each technology."""
    files = {}
    for technology in dict.fromkeys(each.cost.technology for each in costs):
        own = [each for each in costs if each.cost.technology == technology]
        files[f"{file_stem(technology)}.ERT.yaml"] = _file("ERT", _ERT_NOTES, own, _energy)
        files[f"{file_stem(technology)}.ART.yaml"] = _file("ART", _ART_NOTES, own, _area)
    return files


def _file(top: str, notes: Iterable[str], costs: Sequence[Figures], rows: Callable[[Figures], list[str]]) -> str:
    lines = [f"# {note}" for note in notes]
    lines += [f"{top}:", "    version: '0.4'", "    tables:"]
    for each in costs:
        lines += [f"      # {note}" for note in each.notes]
        lines.append(f"      - name: hwsim.{identifier(each.cost)}[1..{each.macs}]")
        lines += rows(each)
    return "\n".join(lines) + "\n"


def _energy(each: Figures) -> list[str]:
    actions = {"compute": each.mac_pj, "idle": each.clock_pj / each.macs, "leak": each.leak_pj / each.macs}
    lines = ["        actions:"]
    for name, energy_pj in actions.items():
        lines += [f"          - name: {name}", "            arguments: {}", f"            energy: {number(energy_pj)}"]
    return lines


def _area(each: Figures) -> list[str]:
    return [f"        area: {number(each.area_um2 / each.macs)}"]
