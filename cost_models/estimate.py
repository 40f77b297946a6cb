# SPDX-License-Identifier: Apache-2.0
"""What a unit costs: a measured record from the store, or an error that says how to measure it."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from difflib import get_close_matches
from typing import Any, Protocol

from cost_models import store
from cost_models.technologies import Technology, names, read

__all__ = [
    "Cost",
    "Named",
    "NotMeasuredError",
    "catalog",
    "estimate",
    "save",
    "usual_architecture",
]

_USUAL = {True: "tool", False: "tool"}  # of standard cells, of FPGAs


class Named(Protocol):
    """A unit's spec, as far as the store is concerned."""

    @property
    def name(self) -> str:
        """Name that spells the spec."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """
    Measured cost of a unit in a technology; a field is None where the technology has no such quantity.

    Attributes
    ----------
    unit, technology : str
        Names.
    source : str
        How it was measured: tools with versions, recipe, and the netlist's hash.
    netlist_hash : str
        SHA-256 of the mapped netlist that was priced.
    verified_vectors : int
        Vectors in which that netlist equalled the model; 0 if it was not verified.
    pipeline : int
        Register ranks of the core that was priced, which are its latency in cycles.
    architecture : str
        How the core that was priced is built: a name of `rtl.architecture.ARCHITECTURES`.
    rtl_hash : str
        SHA-256 of the Verilog of the core that was priced.
    area_um2, delay_ps, leakage_uw : float, optional
        Standard cells: cell area, shortest clock period, leakage power. No wires.
    energy_pj : float, optional
        Energy of one accepted row with the operands that `operands` describes; zero delay, no wires: a lower bound.
    clock_energy_pj : float, optional
        The part of `energy_pj` that the clock pins of the flip-flops take.
    operands : str
        The stimuli of `energy_pj`; empty without it.
    recipe : str
        The synthesis recipe chosen.
    lut, ff, dsp, carry : int, optional
        FPGA counts of the bare core.
    fmax_mhz, fmax_spread : float, optional
        FPGA clock rate between registers, median over seeds, and (max - min) / median.
    shipped : bool
        Whether the record came with the package; a test of the package keeps those to the RTL of its version.
    """

    unit: str
    technology: str
    source: str
    netlist_hash: str
    verified_vectors: int = 0
    pipeline: int = 2
    architecture: str = "tool"
    rtl_hash: str = ""
    area_um2: float | None = None
    delay_ps: float | None = None
    leakage_uw: float | None = None
    energy_pj: float | None = None
    clock_energy_pj: float | None = None
    operands: str = ""
    recipe: str = ""
    lut: int | None = None
    ff: int | None = None
    dsp: int | None = None
    carry: int | None = None
    fmax_mhz: float | None = None
    fmax_spread: float | None = None
    shipped: bool = False


class NotMeasuredError(LookupError):
    """Nobody has measured the unit in the technology."""


def usual_architecture(technology: str) -> str:
    """
    Return the architecture that a technology is priced with where none is asked for, the same for every unit.

    FPGAs have carry chains and multipliers, which the synthesizer's own operators go into; standard cells have full
    adders, which a carry-save tree goes into.

    Raises
    ------
    LookupError
        The technology is unknown.
    """
    return _USUAL[isinstance(read(technology), Technology)]


def estimate(unit: Named | str, technology: str, *, pipeline: int = 2, architecture: str | None = None) -> Cost:
    """
    Look up the measured cost of a unit.

    The user's own measurements come before those that ship with the package; `Cost.source` says which.

    Parameters
    ----------
    unit : spec with a name, or str
        The unit, for example a ``DotProductUnit``, or its name.
    technology : str
        A name from `cost_models.technologies.names`.
    pipeline : int, default 2
        Register ranks of the core.
    architecture : str, optional
        A name of `rtl.architecture.ARCHITECTURES`; without one, `usual_architecture`.

    Returns
    -------
    Cost

    Raises
    ------
    LookupError
        The technology is unknown.
    NotMeasuredError
        Nobody has measured the unit in it with so many ranks; the text says what to run.
    """
    name = unit if isinstance(unit, str) else unit.name
    if technology not in names():
        close = get_close_matches(technology, names()) or list(names())
        raise LookupError(f"technology {technology!r} is unknown; close matches: {', '.join(close)}")
    usual = usual_architecture(technology)
    how = usual if architecture is None else architecture
    found = store.load_cost(_key(name, pipeline, how, usual), technology)
    if found is None:
        option = "" if how == usual else f" --architecture {how}"
        raise NotMeasuredError(
            f"no measured cost of unit {name!r} with {pipeline} register ranks in technology {technology!r}; "
            f"measure it with `hwsim cost {name} --technology {technology} --pipeline {pipeline}{option}`"
        )
    return _cost(*found)


def save(cost: Cost) -> None:
    """Keep a cost as the user's measurement of its unit, ranks, architecture and technology, for an earlier one."""
    name = _key(cost.unit, cost.pipeline, cost.architecture, usual_architecture(cost.technology))
    store.save_cost(name, cost.technology, asdict(cost))


def catalog(technology: str) -> Iterator[Cost]:
    """Go through all measured costs of a technology, by unit name."""
    for _, record, where in store.costs(technology):
        yield _cost(record, where)


def _key(unit: str, pipeline: int, architecture: str, usual: str) -> str:
    return f"{unit}_p{pipeline}" + ("" if architecture == usual else f"_{architecture}")


def _cost(record: dict[str, Any], where: str) -> Cost:
    """Make a cost of a record, leaving out what a later version may have added."""
    known = {item.name for item in fields(Cost)}
    cost = Cost(**{name: value for name, value in record.items() if name in known})
    shipped = where == "package"
    origin = "shipped with the package" if shipped else "own measurement"
    return replace(cost, source=f"{cost.source} ({origin})", shipped=shipped)
