# SPDX-License-Identifier: Apache-2.0
"""The energy of a layer, part by part, and what the mapper has to know of it."""

from dataclasses import dataclass

from hwsim.accelerator import Accelerator, Folds, step_bits
from hwsim.accelerator.mapping import AccessEnergies, LayerPlan
from hwsim.datapath.array import ArrayKind
from hwsim.prices import Prices
from hwsim.result import Energy

__all__ = [
    "Power",
    "access_energies",
    "layer_energy",
    "power",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """What an accelerator spends on a step, and on a cycle whatever goes on, all its arrays together.

    step_pj : a step of an element, without its clock; None where its cost is not known
    units_pj_per_cycle : the clock of all elements; None likewise
    register_bits : operand registers of all arrays
    leakage_mw : of what is known: elements, registers, SRAMs
    """

    step_pj: float | None
    units_pj_per_cycle: float | None
    register_bits: int
    leakage_mw: float


def power(accelerator: Accelerator, prices: Prices) -> Power:
    """Return what is the same for all layers."""
    elements = accelerator.array.units // accelerator.array.geometry.widening
    leakage_uw = 0.0
    step_pj = clock_pj = None
    cost = prices.cost
    if cost is not None and cost.energy_pj is not None:
        clock, unit_uw = cost.clock_energy_pj or 0.0, cost.leakage_uw or 0.0
        step_pj = cost.energy_pj - clock - unit_uw * (cost.delay_ps or 0.0) * 1e-6  # stated at its own period
        clock_pj = elements * clock
        leakage_uw += elements * unit_uw
    bits = accelerator.array.count * _register_bits(accelerator)
    if prices.registers is not None:
        leakage_uw += bits * prices.registers.leakage_uw
    srams_mw = sum(memory.leakage_mw or 0.0 for memory in (prices.activations, prices.weights))
    return Power(
        step_pj=step_pj, units_pj_per_cycle=clock_pj, register_bits=bits, leakage_mw=srams_mw + 1e-3 * leakage_uw
    )


def access_energies(accelerator: Accelerator, prices: Prices) -> AccessEnergies:
    """Return the energies that the mapper weighs: of a bit in each memory, of a step, of a cycle."""
    fixed = power(accelerator, prices)
    wire = 0.0 if prices.wire is None or accelerator.wire is None else accelerator.wire.length_mm
    wire_pj = 0.0 if prices.wire is None else wire * prices.wire.pj_per_bit_mm
    idle = None
    if fixed.units_pj_per_cycle is not None and prices.registers is not None:
        clock = prices.registers.clock_pj_per_cycle * fixed.register_bits
        idle = fixed.units_pj_per_cycle + clock + 1e3 * fixed.leakage_mw / accelerator.clock_mhz
    return AccessEnergies(
        activation_read=prices.activations.read_pj_per_bit + wire_pj,
        activation_write=prices.activations.write_pj_per_bit + wire_pj,
        weight_read=prices.weights.read_pj_per_bit + wire_pj,
        weight_write=prices.weights.write_pj_per_bit + wire_pj,
        dram=prices.dram.energy_pj_per_bit,
        step_pj=fixed.step_pj,
        idle_pj_per_cycle=idle,
    )


def layer_energy(accelerator: Accelerator, prices: Prices, fixed: Power, plan: LayerPlan, rows: int) -> Energy:
    """Return a layer's energy; `rows` of the DRAM are opened."""
    traffic, cycles = plan.traffic, plan.cycles
    activations, weights = prices.activations, prices.weights
    sram_pj = (
        traffic.activation_read_bits * activations.read_pj_per_bit
        + traffic.activation_write_bits * activations.write_pj_per_bit
        + traffic.weight_read_bits * weights.read_pj_per_bit
        + traffic.weight_write_bits * weights.write_pj_per_bit
    )
    units_pj = registers_pj = None
    if fixed.step_pj is not None and fixed.units_pj_per_cycle is not None:
        units_pj = plan.steps * fixed.step_pj + cycles * fixed.units_pj_per_cycle
    if prices.registers is not None:
        registers_pj = prices.registers.energy_pj(fixed.register_bits * cycles, plan.register_bits)
    wires_pj = 0.0
    if prices.wire is not None and accelerator.wire is not None:
        wires_pj = traffic.sram_bits * accelerator.wire.length_mm * prices.wire.pj_per_bit_mm
    return Energy(
        units_pj=units_pj,
        registers_pj=registers_pj,
        sram_pj=sram_pj,
        dram_pj=prices.dram.energy_pj(traffic.dram_bits, rows),
        wires_pj=wires_pj,
        leakage_pj=1e3 * fixed.leakage_mw * cycles / accelerator.clock_mhz,
    )


def _register_bits(accelerator: Accelerator) -> int:
    """Return the bits of the operand registers of one array, as `rtl.arrays` has them."""
    array, kind = accelerator.array, accelerator.array.dataflow
    rows, columns = array.rows, array.columns
    of_a, of_b = step_bits(accelerator.element)
    kept = 2 if array.folds is Folds.STREAMED else 1  # what stays: in use, and to come where loads hide behind a fold
    match kind:
        case ArrayKind.OUTPUT_STATIONARY:
            return rows * columns * (of_a + of_b)
        case ArrayKind.WEIGHT_STATIONARY:
            return rows * columns * (of_a + kept * of_b)
        case ArrayKind.INPUT_STATIONARY:
            return rows * columns * (of_b + kept * of_a)
        case ArrayKind.ADDER_TREE:
            return of_a + columns * kept * of_b
        case _:  # an operand reaches a whole row or column from the edge
            return rows * of_a + columns * of_b
