# SPDX-License-Identifier: Apache-2.0
"""What to say of a simulation beside its tables."""

import json
from dataclasses import dataclass
from typing import Any

from hwsim.result import SimulationResult

__all__ = [
    "SimulationReport",
]

_WHO = {"exact": "simulated hardware", "sampled": "sampled"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SimulationReport:
    """A simulation, and how well the network does.

    accuracy : share of the labelled images that the simulated hardware gets right; None without labels
    float_accuracy : the same of the float32 network; None where there is none to compare with
    inputs : what the inputs were
    """

    result: SimulationResult
    accuracy: float | None
    float_accuracy: float | None
    inputs: str

    def lines(self) -> list[str]:
        """Return what the table does not say, a sentence a line."""
        result = self.result
        if self.accuracy is not None:
            against = "" if self.float_accuracy is None else f"; the float32 network {100 * self.float_accuracy:.2f} %"
            first = f"accuracy on {self.inputs}: {_WHO[result.values]} {100 * self.accuracy:.2f} %{against}"
        elif result.values == "none":
            first = "cycles, traffic and energy only: no value was computed"
        else:
            first = f"inputs: {self.inputs}; no labels, so no accuracy"
        if result.values == "sampled":
            first += "; all but the sampled tiles in float32, so these are not the hardware's outputs"
        return [first, _pass_line(result), _traffic_line(result), *_error_lines(result)]

    def sources(self) -> list[str]:
        """Return every constant of the energy with its source, a sentence a line."""
        return [f"energy of the units: {self.result.energy_note}", *self.result.assumptions]

    def as_dict(self) -> dict[str, Any]:
        """Return all figures as JSON-ready values."""
        figures: dict[str, Any] = json.loads(self.result.to_json())
        return {"accuracy": self.accuracy, "float_accuracy": self.float_accuracy, "inputs": self.inputs, **figures}


def _pass_line(result: SimulationResult) -> str:
    """Say what a pass takes: cycles, time, energy part by part."""
    energy = result.energy
    total = "not known" if energy.total_pj is None else f"{energy.total_pj / 1e3:,.2f} nJ"
    units = "?" if energy.units_pj is None else f"{energy.units_pj / 1e3:,.2f}"
    registers = "?" if energy.registers_pj is None else f"{energy.registers_pj / 1e3:,.2f}"
    wires = f"wires {energy.wires_pj / 1e3:,.2f}, " if energy.wires_pj else ""
    what = "one image" if result.batch == 1 else f"{result.batch} images at once"
    return (
        f"{what}: {result.cycles:,} cycles, {result.latency_us:,.1f} us at {result.accelerator.clock_mhz} MHz, "
        f"{100 * result.utilisation:.1f} % of the array; energy {total} (units {units}, "
        f"registers {registers}, SRAM {energy.sram_pj / 1e3:,.2f}, DRAM {energy.dram_pj / 1e3:,.2f}, {wires}"
        f"leakage {energy.leakage_pj / 1e3:,.2f})"
    )


def _traffic_line(result: SimulationResult) -> str:
    """Say what was moved, scales and indices apart, and the rows of the DRAM that were opened."""
    moved = [layer.traffic for layer in result.layers]
    scales, indices = sum(each.scale_bits for each in moved), sum(each.index_bits for each in moved)
    parts = (("scales", scales), ("sparse indices", indices))
    shares = ", ".join(f"{bits / 1e3:,.1f} of {what}" for what, bits in parts if bits)
    rows = sum(layer.dram_activations for layer in result.layers)
    return (
        f"traffic: {sum(each.sram_bits for each in moved) / 1e3:,.1f} kbit on chip, "
        f"{sum(each.dram_bits for each in moved) / 1e3:,.1f} kbit of DRAM"
        + (f" in {rows:,} row activations" if rows else "")
        + (f"; of these {shares}" if shares else "")
    )


def _error_lines(result: SimulationResult) -> list[str]:
    """Say which layer loses most against the float network, and where that rounds too."""
    known = [
        (layer.error.own.sqnr_db, layer)
        for layer in result.layers
        if layer.error is not None and layer.error.own.sqnr_db is not None
    ]
    lines = []
    if known:
        least, worst = min(known, key=lambda pair: pair[0])
        last = [layer.error.accumulated for layer in result.layers if layer.error is not None][-1]
        end = "equal to" if last.sqnr_db is None else f"{last.sqnr_db:.1f} dB SQNR against"
        lines.append(
            f"against float32: the last layer is {end} the float network; {worst.name} loses most by itself, "
            f"{least:.1f} dB SQNR"
        )
    if result.float_on_codes:
        lines.append(f"rounded in the float network too: {', '.join(result.float_on_codes)}")
    return lines
