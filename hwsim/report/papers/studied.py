# SPDX-License-Identifier: Apache-2.0
"""What `benchmarks.seed_comparison` found, kept with the package: the figures of each point, when and on what."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from hwsim.study.front import pareto
from hwsim.study.point import DesignPoint

__all__ = [
    "KEPT",
    "LAYERS",
    "PATH",
    "WIDTHS",
    "Studied",
]

PATH = Path(__file__).with_name("recorded_study.json")
KEPT = (
    "accuracy", "float_accuracy", "agreement", "output_sqnr_db", "weight_qsnr_db", "bits_per_element", "images",
    "unit_area_um2", "unit_delay_ps", "energy_pj_per_mac", "array_area_mm2", "area_mm2", "cycles", "latency_us",
    "energy_nj", "inferences_per_s_per_mm2", "inferences_per_j",
)  # fmt: skip
"""The figures of a point that are kept."""
LAYERS = "layers_alone_db"
"""The mean over a network's products of what each alone does to its outputs, as SQNR in dB."""
_DIGITS = 7
WIDTHS = {
    3: ("minifloat_e2m0",),
    4: ("minifloat_e2m1", "minifloat_e3m0"),
    5: ("minifloat_e2m2", "minifloat_e3m1", "minifloat_e4m0"),
    6: ("minifloat_e2m3", "minifloat_e3m2", "minifloat_e4m1"),
    7: ("minifloat_e2m4", "minifloat_e3m3", "minifloat_e4m2"),
    8: ("minifloat_e2m5", "minifloat_e3m4", "minifloat_e4m3"),
}
"""The minifloats of the study by bits, all of whose codes are finite."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Studied:
    """The rows of the study: each a network, a format, a unit, figures, and why it cannot be, if it cannot.

    `conditions` says networks and images, `seconds` how long it took and `machine` on what, `date` when, `version` of
    which package.
    """

    date: str
    version: str
    conditions: tuple[str, ...]
    machine: str
    seconds: float
    rows: tuple[Mapping[str, Any], ...]

    @classmethod
    def of(cls, evaluations: Iterable[Any], **about: Any) -> Self:
        """Return the rows of evaluations (`hwsim.study.Evaluation`)."""
        rows = [
            {
                "network": each.point.network,
                "format": each.point.format,
                "unit": each.point.unit,
                "accelerator": each.point.accelerator,
                "refused": each.refused,
                **{key: _rounded(each.figures[key]) for key in KEPT},
                LAYERS: _rounded(_mean_alone(each.layers)),
                "conversion_um2": _rounded(each.stages.get("area_um2", {}).get("round_pack")),
            }
            for each in evaluations
        ]
        return cls(rows=tuple(sorted(rows, key=lambda row: (row["network"], row["unit"]))), **about)

    @classmethod
    def read(cls, path: Path = PATH) -> Self:
        """Read what `write` wrote."""
        table = json.loads(path.read_text(encoding="utf-8"))
        return cls(**table | {"rows": tuple(table["rows"]), "conditions": tuple(table["conditions"])})

    def write(self, path: Path = PATH) -> None:
        """Write all of it as JSON, a line a row."""
        about = {
            "date": self.date, "version": self.version, "conditions": list(self.conditions), "machine": self.machine,
            "seconds": self.seconds,
        }  # fmt: skip
        rows = ",\n  ".join(json.dumps(row) for row in self.rows)
        path.write_text(f'{json.dumps(about)[:-1]}, "rows": [\n  {rows}\n]}}\n', encoding="utf-8")

    @property
    def networks(self) -> tuple[str, ...]:
        """The networks that there are rows of."""
        return tuple(dict.fromkeys(row["network"] for row in self.rows))

    @property
    def how(self) -> str:
        """The command and the day."""
        return f"`python -m benchmarks.seed_comparison`, {self.date}"

    def row(self, network: str, unit: str) -> Mapping[str, Any]:
        """Return the row of a network and a unit; LookupError where there is none, or it has no figures."""
        found = [each for each in self.rows if (each["network"], each["unit"]) == (network, unit)]
        if len(found) != 1 or found[0]["refused"]:
            raise LookupError(f"the study has no figures of {unit} on {network}")
        return found[0]

    def minifloats(self, bits: int) -> tuple[str, ...]:
        """Return the units of the minifloats of so many bits, one product a step."""
        return tuple(DesignPoint.of(name, lanes=1).unit for name in WIDTHS[bits])

    def integer(self, bits: int) -> str:
        """Return the unit of the integer of so many bits, one product a step."""
        return DesignPoint.of(f"int{bits}", lanes=1).unit

    def best_minifloat(self, network: str, bits: int, figure: str) -> float:
        """Return by how many dB the best minifloat of a width leads its integer."""
        figures = [float(self.row(network, unit)[figure]) for unit in self.minifloats(bits)]
        return max(figures) - float(self.row(network, self.integer(bits))[figure])

    def integers_on_front(self, network: str, figure: str) -> float:
        """Return the share of integers among the formats on the front of a figure and area without conversion."""
        units = [unit for bits in WIDTHS for unit in (self.integer(bits), *self.minifloats(bits))]
        rows = [self.row(network, unit) for unit in units]
        figures = [{"sqnr": row[figure], "area": row["unit_area_um2"] - row["conversion_um2"]} for row in rows]
        on = pareto(figures, {"sqnr": "more", "area": "less"})
        integers = sum(is_on and row["format"].startswith("int") for is_on, row in zip(on, rows, strict=True))
        return float(integers / sum(on))


def _mean_alone(layers: Iterable[Mapping[str, Any]]) -> float | None:
    found = [layer["sqnr_alone_db"] for layer in layers if layer["macs"] and layer["sqnr_alone_db"] is not None]
    return sum(found) / len(found) if found else None


def _rounded(value: Any) -> Any:
    """Return a float with seven digits, anything else as it is."""
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value
