# SPDX-License-Identifier: Apache-2.0
"""On-chip wires: energy of a bit over a distance, published or from a technology's capacitance."""

from dataclasses import dataclass

from cost_models.memory.tables import checked, data, lookup
from cost_models.technologies import Technology

__all__ = [
    "Wire",
    "technology_wire",
    "wire",
    "wire_names",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """A wire: energy of a transition over a mm in pJ, and how many transitions a moved bit makes."""

    name: str
    node_nm: int
    transition_pj_per_mm: float
    toggle_rate: float = 0.5
    source: str

    def __post_init__(self) -> None:
        if not 0 <= self.toggle_rate <= 1:
            raise ValueError(f"toggle_rate must be in 0..1, not {self.toggle_rate!r}")

    @property
    def pj_per_bit_mm(self) -> float:
        """Energy of a moved bit over a mm, in pJ."""
        return self.transition_pj_per_mm * self.toggle_rate


def wire_names() -> tuple[str, ...]:
    """Names of the published wires."""
    return tuple(data("wires"))


def wire(name: str) -> Wire:
    """
    Give a published wire by name.

    Raises
    ------
    LookupError
        No such wire; close matches are given.
    """
    row = lookup(data("wires"), name, "wire")
    return checked(Wire, row | {"name": name}, f"wires.toml: [{name}]")


def technology_wire(technology: Technology) -> Wire:
    """
    Price a wire of a technology's own capacitance, C V**2 / 2 a transition: without repeaters, a lower bound.

    Raises
    ------
    ValueError
        The technology has no wires.
    """
    if technology.wires is None:
        raise ValueError(
            f"technology {technology.name!r} has no [wires]; name a published wire: {', '.join(wire_names())}"
        )
    capacitance_ff = 1000 * technology.wires.capacitance_ff_per_um
    voltage = technology.operating_point.voltage_v
    return Wire(
        name=technology.name,
        node_nm=round(technology.node_nm),
        transition_pj_per_mm=0.5e-3 * capacitance_ff * voltage**2,
        source=f"C V**2 / 2 of {technology.name}'s [wires], {capacitance_ff:g} fF/mm at {voltage:g} V, no repeaters",
    )
