# SPDX-License-Identifier: Apache-2.0
"""Tables of a simulation: a row a layer, its errors, and why it is cut as it is."""

from collections.abc import Iterator
from math import inf
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table

if TYPE_CHECKING:
    from hwsim.result import Difference, LayerResult, SimulationResult

__all__ = [
    "count",
    "energy_table",
    "errors_table",
    "explanations",
    "samples_table",
    "simulation_table",
    "simulation_tables",
    "traffic_table",
]

_FOLDED_FROM = 24  # layers from which those of the same figures share a row
_EXACT_BELOW = 1_000_000
_PARTS = ("compute", "fill", "drain", "stall")
_HEADINGS = ("MACs", "cycles", *_PARTS, "use %", "SRAM\nkbit", "DRAM\nkbit", "energy\nnJ")


def simulation_table(result: "SimulationResult") -> Table:
    """Return one row a layer and a total, for a pass; in a long network, layers of the same figures share a row."""
    table = _table(
        f"{_title(result)}, {'one image' if result.batch == 1 else f'{result.batch} images'}",
        _HEADINGS,
    )
    for layers in _rows(result):
        layer = layers[0]
        table.add_row(
            _name(layers),
            count(layer.macs) if layer.macs else "",
            count(layer.cycles),
            *(count(getattr(layer, f"{part}_cycles")) for part in _PARTS),
            f"{100 * layer.utilisation:.1f}" if layer.macs else "",
            count(layer.traffic.sram_bits / 1e3),
            count(layer.traffic.dram_bits / 1e3),
            _energy(layer.energy.total_pj),
        )
    table.add_section()
    every = result.layers
    table.add_row(
        f"all {len(every)}",
        count(result.macs),
        count(result.cycles),
        *(count(sum(getattr(each, f"{part}_cycles") for each in every)) for part in _PARTS),
        f"{100 * result.utilisation:.1f}",
        count(sum(each.traffic.sram_bits for each in every) / 1e3),
        count(sum(each.traffic.dram_bits for each in every) / 1e3),
        _energy(result.energy.total_pj),
    )
    return table


def traffic_table(result: "SimulationResult") -> Table:
    """Return one row a layer: kbit through each port, scales and sparse indices among them, and its intensity."""
    from hwsim.accelerator.traffic import PORTS  # here, for the package has also tables that need no accelerator

    headings = ("activ.\nread", "\nwritten", "weights\nread", "\nwritten", "\nDRAM", "of these\nscales", "\nindices")
    table = _table(f"{result.network} on {result.accelerator.name}: kbit moved", (*headings, "MACs a\nDRAM byte"))
    rows = [(_name(layers), layers[:1]) for layers in _rows(result)]
    for name, layers in [*rows, (f"all {len(result.layers)}", list(result.layers))]:
        if len(table.rows) == len(rows):
            table.add_section()
        moved = [layer.traffic for layer in layers]
        bits = [sum(each.port_bits(port) for each in moved) for port in PORTS]
        bits += [sum(each.scale_bits for each in moved), sum(each.index_bits for each in moved)]
        macs, dram = sum(layer.macs for layer in layers), sum(each.dram_bits for each in moved)
        table.add_row(
            name,
            *(count(each / 1e3) if each else "" for each in bits),
            count(8 * macs / dram) if macs and dram else "",
        )
    return table


def energy_table(result: "SimulationResult") -> Table:
    """Return one row a layer: energy in nJ, part by part; empty where a part is not known."""
    parts = ("units", "registers", "sram", "dram", "wires", "leakage")
    headings = (*(part.upper() if part.endswith("ram") else part for part in parts), "all")
    table = _table(f"{result.network} on {result.accelerator.name}: energy in nJ", headings)
    rows = [(_name(layers), layers[0].energy) for layers in _rows(result)]
    for name, energy in [*rows, (f"all {len(result.layers)}", result.energy)]:
        if len(table.rows) == len(rows):
            table.add_section()
        figures = (_energy(getattr(energy, f"{part}_pj")) for part in parts)
        table.add_row(name, *figures, _energy(energy.total_pj))
    return table


def errors_table(result: "SimulationResult") -> Table:
    """Return one row a layer that rounds, and the last: how far it is from the float network, and by its own doing."""
    table = _table(
        f"{result.network} on {result.accelerator.name} against float32",
        ("accumulated\nmax abs", "\nSQNR dB", "\ncosine", "alone\nmax abs", "\nSQNR dB", "\ncosine"),
    )
    compared = [(layer, layer.error) for layer in result.layers if layer.error is not None]
    shown = [each for each in compared if not each[1].own.is_equal or each is compared[-1]]
    for layer, error in shown:
        table.add_row(layer.name, *_difference(error.accumulated), *_difference(error.own))
    exact = len(compared) - len(shown)
    if exact:
        table.caption = f"and {exact} layer{'s' * (exact != 1)} that by themselves equal float32"
    return table


def samples_table(result: "SimulationResult") -> Table:
    """Return one row a product: how many tiles were computed on the unit, and its own error with an interval."""
    table = _table(
        f"{_title(result)}: products of sampled tiles against float32",
        ("tiles", "of", "SQNR dB", "at least", "at most", "largest", "the rest in"),
    )
    for sample in result.samples:
        decibels = ("equal" if figure == inf else f"{figure:.1f}" for figure in sample.sqnr_db)
        largest = f"{sample.largest:.3g}"
        table.add_row(sample.layer, f"{sample.tiles:,}", f"{sample.of:,}", *decibels, largest, sample.numerics)
    if result.samples:
        table.caption = (
            f"the interval holds the whole product's error with a confidence of {result.samples[0].confidence:.0%}"
        )
    return table


def simulation_tables(result: "SimulationResult", *, details: bool = False) -> Iterator[Table]:
    """Give all tables that a simulation has figures for; those of traffic and energy part by part with `details`."""
    yield simulation_table(result)
    if details:
        yield traffic_table(result)
        yield energy_table(result)
    if any(layer.error is not None for layer in result.layers):
        yield errors_table(result)
    if result.samples:
        yield samples_table(result)


def explanations(result: "SimulationResult") -> Iterator[str]:
    """Give, a paragraph a layer, why it is cut as it is; layers that are alike in it share one."""
    groups: dict[tuple[str, ...], list[LayerResult]] = {}
    for layer in result.layers:
        if layer.mapping:
            groups.setdefault(layer.mapping, []).append(layer)
    for sentences, layers in groups.items():
        yield "\n".join((f"{_name(layers)}:", *(f"  {sentence}" for sentence in sentences)))


def count(number: float) -> str:
    """Write a count in at most seven characters: exact below a million, four digits and a prefix from there on."""
    if isinstance(number, float):
        if number < 1e4:
            return f"{number:,.1f}"
        number = round(number)
    if number < _EXACT_BELOW:
        return f"{number:,}"
    for factor, prefix in ((1e6, "M"), (1e9, "G"), (1e12, "T")):
        if number < 1000 * factor or prefix == "T":
            return f"{number / factor:,.4g} {prefix}"
    raise AssertionError("the last prefix takes what is left")


def _title(result: "SimulationResult") -> str:
    accelerator, array = result.accelerator, result.accelerator.array
    depth = f" x {array.depth}" if array.depth > 1 else ""
    arrays = f"{array.count} arrays of " if array.count > 1 else ""
    return (
        f"{result.network} on {accelerator.name}: {arrays}{array.rows} x {array.columns}{depth} x "
        f"{accelerator.unit.name}, {array.dataflow.value.replace('_', '-')}"
    )


def _table(title: str, headings: tuple[str, ...]) -> Table:
    table = Table(
        title=title, title_justify="left", caption_justify="left", box=box.SIMPLE_HEAD, padding=0, pad_edge=False
    )
    table.add_column("layer", overflow="fold")
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _rows(result: "SimulationResult") -> Iterator[list["LayerResult"]]:
    """Give the layers of each row."""
    if len(result.layers) < _FOLDED_FROM:
        yield from ([layer] for layer in result.layers)
        return
    groups: dict[Any, list[LayerResult]] = {}
    for layer in result.layers:
        traffic = tuple(layer.traffic.port_bits(port) for port in ("activation_read", "weight_read", "dram"))
        parts = (layer.fill_cycles, layer.compute_cycles, layer.drain_cycles, layer.stall_cycles)
        figures = (layer.kind, layer.macs, parts, traffic, layer.traffic.bits, layer.energy.total_pj)
        groups.setdefault(figures, []).append(layer)
    yield from groups.values()


def _name(layers: list["LayerResult"]) -> str:
    return layers[0].name + (f" (x{len(layers)})" if len(layers) > 1 else "")


def _energy(picojoules: float | None) -> str:
    return "" if picojoules is None else count(picojoules / 1e3)


def _difference(found: "Difference") -> tuple[str, str, str]:
    return (
        f"{found.max_abs:.3g}",
        "equal" if found.is_equal else "" if found.sqnr_db is None else f"{found.sqnr_db:.1f}",
        "" if found.cosine is None else f"{found.cosine:.6f}",
    )
