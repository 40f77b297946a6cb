# SPDX-License-Identifier: Apache-2.0
"""What an accelerator's parts cost: its unit from the catalog, its memories, registers and wires from their models."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal, TypeVar

import cost_models
from cost_models import Cost
from cost_models.memory import (
    Dram,
    Preset,
    Register,
    Sram,
    Wire,
    dram,
    overridden,
    preset,
    register,
    sram,
    technology_wire,
    wire,
)
from cost_models.technologies import FpgaTechnology, Technology
from cost_models.technologies import names as technologies
from cost_models.technologies import read as read_technology
from hwsim.accelerator import Accelerator, SramSpec

__all__ = [
    "Priced",
    "Prices",
    "check_prices",
    "fastest_mhz",
]

Priced = Cost | None | Literal["known"]
"""The cost of an accelerator's element: given, None where it is not known, ``"known"`` to look it up."""

_EXCLUDED = "without the wires in the array and the vector unit; the array's clock is never gated"
_Built = TypeVar("_Built")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """
    What an accelerator's parts cost.

    `cost` is None where the unit was never measured, and `note` says so; `registers` where the technology has no
    flip-flop's energy; `wire` where the accelerator names none.
    """

    cost: Cost | None
    note: str
    activations: Sram
    weights: Sram
    dram: Dram
    registers: Register | None
    wire: Wire | None

    def assumptions(self, accelerator: Accelerator) -> tuple[str, ...]:
        """Say every constant of memories, registers and wires, and its source."""
        lines = []
        for key, memory in (("activations", self.activations), ("weights", self.weights)):
            leakage = "leakage not known, left out" if memory.leakage_mw is None else f"{memory.leakage_mw:.4g} mW"
            lines.append(
                f"{key}: {memory.capacity_bytes // 1024} KiB, {memory.width_bits} bit: read "
                f"{memory.read_pj_per_bit:.4g}, write {memory.write_pj_per_bit:.4g} pJ/bit, {leakage} ({memory.source})"
            )
        lines.append(f"DRAM {self.dram.name}: {_dram_text(self.dram)} ({self.dram.source})")
        if self.registers is not None:
            lines.append(
                f"operand registers: {1e3 * self.registers.clock_pj_per_cycle:.4g} fJ a bit and cycle, "
                f"{1e3 * self.registers.data_pj_per_toggle:.4g} fJ a toggle, {self.registers.toggle_rate:g} toggles a "
                f"bit ({self.registers.source})"
            )
        if self.wire is None or accelerator.wire is None:
            lines.append("wires between memories and array: left out")
        else:
            lines.append(
                f"wires between memories and array: {accelerator.wire.length_mm:g} mm, "
                f"{self.wire.pj_per_bit_mm:.4g} pJ/bit/mm ({self.wire.source})"
            )
        return tuple(lines)


def fastest_mhz(cost: Cost) -> float | None:
    """Return the clock that a unit reaches, with wires where its technology has them; None where it has no delay."""
    delay_ps = cost.wired_delay_ps or cost.delay_ps
    return 1e6 / delay_ps if delay_ps else cost.fmax_mhz


def check_prices(accelerator: Accelerator, *, cost: Priced = "known") -> Prices:
    """Look up what an accelerator's parts cost.

    Parameters
    ----------
    accelerator : Accelerator
    cost : Cost, None or "known"
        What an element of the array costs, None where that is not known, or ``"known"`` for what
        `cost_models.estimate` says.

    Raises
    ------
    ValueError
        If the technology, the DRAM, a wire or the memory preset is unknown, a memory is outside what is known, a
        constant of the user's is wrong, the clock is faster than the unit was measured to be, or the cost given is of
        another unit; the message begins with the key of the accelerator's file.
    """
    technology = accelerator.technology
    if technology not in technologies():
        raise ValueError(f"technology: must be one of {', '.join(technologies())}, not {technology!r}")
    chosen = _memory_preset(accelerator)
    memories = [
        _sram(f"memory.{key}", spec, accelerator, chosen)
        for key, spec in (("activations", accelerator.activations), ("weights", accelerator.weights))
    ]
    found, note = _cost(accelerator, cost)
    if found is not None:
        fastest = fastest_mhz(found)
        if fastest is not None and accelerator.clock_mhz > fastest:
            raise ValueError(
                f"clock_mhz: must be at most {int(fastest)}, which the unit with {accelerator.pipeline} register ranks "
                f"reaches in {technology}, not {accelerator.clock_mhz}"
            )
    return Prices(
        cost=found,
        note=note,
        activations=memories[0],
        weights=memories[1],
        dram=_dram(accelerator, chosen),
        registers=_registers(accelerator, chosen),
        wire=_wire(accelerator, chosen),
    )


def _cost(accelerator: Accelerator, given: Priced) -> tuple[Cost | None, str]:
    """Look up what an element of the array costs, and say where that comes from or why there is none."""
    if accelerator.array.serial_bits:
        return None, "not known of a unit that takes its operand bit by bit: all measured ones take it at once"
    wanted = (accelerator.element.name, accelerator.technology, accelerator.pipeline)
    text = "unit {0} with {2} register ranks in technology {1}".format(*wanted)
    if given is None:
        return None, f"the cost of {text} is not known"
    if given == "known":
        try:
            cost = cost_models.estimate(accelerator.element, accelerator.technology, pipeline=accelerator.pipeline)
        except cost_models.NotMeasuredError as error:
            return None, str(error.args[0])
    else:
        cost = given
        if (cost.unit, cost.technology, cost.pipeline) != wanted:
            raise ValueError(f"cost must be of {text}, not of {cost.unit}, {cost.pipeline}, {cost.technology}")
    operands = cost.operands or "operands of the units it was fitted on"
    return cost, f"{cost.source}; {operands}; {_EXCLUDED}" if cost.energy_pj is not None else "not known on an FPGA"


def _memory_preset(accelerator: Accelerator) -> Preset | None:
    try:
        return preset(accelerator.memory_preset) if accelerator.memory_preset else None
    except (LookupError, FileNotFoundError, ValueError) as error:
        raise ValueError(f"memory.preset: {error.args[0]}") from None


def _sram(key: str, spec: SramSpec, accelerator: Accelerator, chosen: Preset | None) -> Sram:
    """Price a memory; one whose read and write energies the user gives may be of any size.

    A bank is a memory of its own: a bit costs what it costs in one, and all of them leak. The wires that join banks are
    left out.
    """
    capacity, constants = spec.kilobytes * 1024 // spec.banks, dict(spec.constants)
    if {"read_pj_per_bit", "write_pj_per_bit"} <= set(constants):
        own = Sram(
            capacity_bytes=spec.kilobytes * 1024, width_bits=spec.width_bits, node_nm=0, cell="", read_pj_per_bit=0.0,
            write_pj_per_bit=0.0, leakage_mw=None, access_ns=None, area_mm2=None, source="no model",
        )  # fmt: skip
        return overridden(own, constants, key)
    try:
        if chosen is not None:
            known = chosen.sram(capacity, spec.width_bits)
        else:
            assert accelerator.sram_node_nm is not None
            known = sram(capacity, spec.width_bits, accelerator.sram_node_nm)
    except ValueError as error:
        raise ValueError(
            f"{key}: {error}; give its own read_pj_per_bit and write_pj_per_bit, or cut a large one into `banks`"
        ) from None
    if spec.banks > 1:
        known = replace(
            known,
            capacity_bytes=spec.kilobytes * 1024,
            leakage_mw=None if known.leakage_mw is None else spec.banks * known.leakage_mw,
            area_mm2=None if known.area_mm2 is None else spec.banks * known.area_mm2,
            source=f"{spec.banks} banks of {known.source}",
        )
    return overridden(known, constants, key)


def _dram(accelerator: Accelerator, chosen: Preset | None) -> Dram:
    spec = accelerator.dram
    try:
        known = chosen.dram if chosen is not None and not spec.kind else dram(spec.kind)
    except LookupError as error:
        raise ValueError(f"memory.dram.kind: {error.args[0]}") from None
    return _within("memory.dram", lambda: overridden(known, dict(spec.constants), "memory.dram"))


def _dram_text(known: Dram) -> str:
    bit = f"{known.array_pj_per_bit + known.io_pj_per_bit:.4g} pJ/bit"
    if not known.counts_rows:
        return bit
    rate = f" {known.row_hit_rate:g}" if known.page_policy == "hit_rate" else ""
    return f"{bit}, {known.row_pj:g} pJ a row of {known.row_bytes} bytes, page policy {known.page_policy}{rate}"


def _registers(accelerator: Accelerator, chosen: Preset | None) -> Register | None:
    technology = _technology(accelerator.technology)
    constants = dict(accelerator.registers)
    if chosen is not None:
        known = chosen.registers.as_register()
    elif isinstance(technology, Technology):
        known = register(technology)
    elif {"clock_pj_per_cycle", "data_pj_per_toggle"} <= set(constants):
        known = Register(
            clock_pj_per_cycle=0.0, data_pj_per_toggle=0.0, area_um2=None, leakage_uw=0.0, source="no model"
        )
    elif constants:
        raise ValueError(
            "memory.registers: clock_pj_per_cycle and data_pj_per_toggle must both be given, for "
            f"{technology.name} has no flip-flop's energy"
        )
    else:
        return None
    return _within("memory.registers", lambda: overridden(known, constants, "memory.registers"))


def _wire(accelerator: Accelerator, chosen: Preset | None) -> Wire | None:
    spec = accelerator.wire
    if spec is None:
        return None
    technology = _technology(accelerator.technology)
    try:
        if spec.name == "technology" and isinstance(technology, Technology):
            known = technology_wire(technology)
        else:
            known = chosen.wire if chosen is not None and not spec.name else wire(spec.name)
    except (LookupError, ValueError) as error:
        raise ValueError(f"memory.wire.name: {error.args[0]}") from None
    return _within("memory.wire", lambda: overridden(known, dict(spec.constants), "memory.wire"))


@lru_cache(maxsize=32)
def _technology(name: str) -> Technology | FpgaTechnology:
    """Read a technology of the package, once."""
    return read_technology(name)


def _within(key: str, build: Callable[[], _Built]) -> _Built:
    """Return what `build` makes, its errors preceded by the key."""
    try:
        return build()
    except ValueError as error:
        message = str(error.args[0])
        raise ValueError(message if message.startswith(key) else f"{key}: {message}") from None
