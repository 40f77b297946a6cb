# SPDX-License-Identifier: Apache-2.0
"""Every figure of an evaluation, once: what it is called, its unit, which way is better, what it means."""

from dataclasses import asdict, dataclass
from difflib import get_close_matches
from typing import Any, Literal

__all__ = [
    "KEYS",
    "QUANTITIES",
    "Better",
    "Quantity",
    "quantity",
]

Better = Literal["more", "less"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """A figure of a `hwsim.study.Evaluation`.

    key : its name in figures, stores and JSON
    label : a heading
    unit : of measurement; empty for none
    better : which way is better; None where neither is
    description : what it is and how it comes about
    kind : "float", "int", "str" or "bool"; any figure may be None, not known
    digits : significant digits that are worth showing
    prices : the fields of the unit's `cost_models.Cost` that it is made of, which may be fitted; ``clock_mhz`` where it
        is made of the clock, which is made of ``delay_ps`` where the clock is "fastest"
    """

    key: str
    label: str
    unit: str = ""
    better: Better | None = None
    description: str
    kind: Literal["float", "int", "str", "bool"] = "float"
    digits: int = 4
    prices: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as JSON-ready values."""
        return asdict(self)


def _quantity(key: str, label: str, unit: str, better: Better | None, description: str, **more: Any) -> Quantity:
    return Quantity(key=key, label=label, unit=unit, better=better, description=description, **more)


_VALUES = (
    _quantity(
        "bits_per_element",
        "bits/element",
        "bit",
        "less",
        "Bits in memory of an operand's element with its share of block scales; the mean of both operands "
        "where they differ.",
    ),
    _quantity(
        "accuracy",
        "accuracy",
        "",
        "more",
        "Share of the images whose largest output on the hardware is at the label.",
    ),
    _quantity(
        "float_accuracy",
        "float32 accuracy",
        "",
        "more",
        "Share of the images whose largest output of the float32 network is at the label.",
    ),
    _quantity(
        "agreement",
        "agreement",
        "",
        "more",
        "Share of the images whose largest output on the hardware is where the float32 network's is.",
    ),
    _quantity(
        "constant_agreement",
        "agreement of a constant",
        "",
        None,
        "Share of the images whose largest float32 output is at the commonest place: what a constant answer agrees on.",
    ),
    _quantity(
        "output_sqnr_db",
        "output SQNR",
        "dB",
        "more",
        "Power of the float32 network's outputs over that of the hardware's differences from them, over all images.",
    ),
    _quantity(
        "weight_qsnr_db",
        "weight QSNR",
        "dB",
        "more",
        "Power of all weights over that of their rounding errors in the format of the unit's second operand, "
        "by the rule of `hwsim rank`.",
    ),
    _quantity(
        "images",
        "images",
        "",
        None,
        "Images that the network ran on.",
        kind="int",
        digits=6,
    ),
)
_COSTS = (
    _quantity(
        "unit_area_um2",
        "unit area",
        "um2",
        "less",
        "Cell area of one unit, or of one element of a cube.",
        prices=("area_um2",),
    ),
    _quantity(
        "unit_delay_ps",
        "unit delay",
        "ps",
        "less",
        "Shortest clock period of the unit, without wires.",
        prices=("delay_ps",),
    ),
    _quantity(
        "energy_pj_per_mac",
        "energy/MAC",
        "pJ",
        "less",
        "Switching energy of the unit a multiply-accumulate, clock and leakage in it, without glitches and wires.",
        digits=3,
        prices=("energy_pj",),
    ),
    _quantity(
        "lut",
        "LUT",
        "",
        "less",
        "Look-up tables of one unit on an FPGA.",
        kind="int",
        digits=6,
    ),
    _quantity(
        "ff",
        "FF",
        "",
        "less",
        "Flip-flops of one unit on an FPGA.",
        kind="int",
        digits=6,
    ),
    _quantity(
        "dsp",
        "DSP",
        "",
        "less",
        "DSP blocks of one unit on an FPGA.",
        kind="int",
        digits=6,
    ),
    _quantity(
        "fmax_mhz",
        "Fmax",
        "MHz",
        "more",
        "Clock rate of the unit on an FPGA, between registers, median over placements.",
    ),
    _quantity(
        "cost_fitted",
        "fitted",
        "",
        None,
        "Whether the unit's cost is that of the model fitted on measured units of its kind: nobody has "
        "measured the unit.",
        kind="bool",
        digits=1,
    ),
    _quantity(
        "cost_error",
        "cost error",
        "",
        "less",
        "Of a fitted cost, the largest relative error of a figure that nine of ten held-out formats stay below.",
        digits=2,
    ),
    _quantity(
        "cost_source",
        "cost source",
        "",
        None,
        "Where the unit's cost comes from: tools with versions, recipe and netlist, or that it is fitted.",
        kind="str",
        digits=0,
    ),
)
_MACHINE = (
    _quantity(
        "units",
        "units",
        "",
        None,
        "Units of all arrays.",
        kind="int",
        digits=6,
    ),
    _quantity(
        "macs_per_cycle",
        "MACs/cycle",
        "",
        "more",
        "Multiply-accumulates a cycle that all arrays can do at most.",
        digits=6,
    ),
    _quantity(
        "clock_mhz",
        "clock",
        "MHz",
        "more",
        "Clock of the accelerator.",
        kind="int",
        digits=5,
        prices=("clock_mhz",),
    ),
    _quantity(
        "array_area_mm2",
        "array area",
        "mm2",
        "less",
        "Area of all units and of the operand registers between them, as far as the technology has one.",
        prices=("area_um2",),
    ),
    _quantity(
        "area_mm2",
        "area",
        "mm2",
        "less",
        "Array area and, where it is known, that of the on-chip memories.",
        prices=("area_um2",),
    ),
    _quantity(
        "cycles",
        "cycles",
        "",
        "less",
        "Cycles of a pass of the network's batch.",
        kind="int",
        digits=7,
    ),
    _quantity(
        "latency_us",
        "latency",
        "us",
        "less",
        "Time of a pass of the network's batch.",
        prices=("clock_mhz",),
    ),
    _quantity(
        "utilisation",
        "utilisation",
        "",
        "more",
        "Share of the arrays' peak over all cycles that was multiply-accumulates.",
    ),
    _quantity(
        "energy_nj",
        "energy",
        "nJ",
        "less",
        "Energy of an inference: units, operand registers, memories, wires where given, leakage.",
        prices=("energy_pj", "leakage_uw"),
    ),
    _quantity(
        "energy_units_nj",
        "unit energy",
        "nJ",
        "less",
        "Of it, steps and clock of the units.",
        prices=("energy_pj",),
    ),
    _quantity(
        "energy_registers_nj",
        "register energy",
        "nJ",
        "less",
        "Of it, the operand registers between units.",
    ),
    _quantity(
        "energy_sram_nj",
        "SRAM energy",
        "nJ",
        "less",
        "Of it, bits read from and written to on-chip memories.",
    ),
    _quantity(
        "energy_dram_nj",
        "DRAM energy",
        "nJ",
        "less",
        "Of it, bits moved from and to the memory outside.",
    ),
    _quantity(
        "energy_wires_nj",
        "wire energy",
        "nJ",
        "less",
        "Of it, bits moved between memories and array; 0 where the accelerator names no wires.",
    ),
    _quantity(
        "energy_leakage_nj",
        "leakage energy",
        "nJ",
        "less",
        "Of it, leakage of units, registers and memories.",
        prices=("leakage_uw",),
    ),
    _quantity(
        "energy_memory_share",
        "memory energy share",
        "",
        None,
        "Share of the energy that is SRAM's and DRAM's, with the leakage of SRAM.",
        prices=("energy_pj", "leakage_uw"),
    ),
    _quantity(
        "area_memory_share",
        "memory area share",
        "",
        None,
        "Share of the area that is on-chip memories.",
        prices=("area_um2",),
    ),
    _quantity(
        "sram_kbit",
        "SRAM traffic",
        "kbit",
        "less",
        "Thousand bits an inference through the ports of the on-chip memories.",
    ),
    _quantity(
        "dram_kbit",
        "DRAM traffic",
        "kbit",
        "less",
        "Thousand bits an inference from and to the memory outside.",
    ),
    _quantity(
        "dram_float32_share",
        "float32 share",
        "",
        None,
        "Share of the DRAM traffic that is float32 tensors, the same bits in every format.",
    ),
    _quantity(
        "inferences_per_s",
        "inferences/s",
        "1/s",
        "more",
        "Inferences a second at that clock, one pass after the other.",
        prices=("clock_mhz",),
    ),
    _quantity(
        "inferences_per_s_per_mm2",
        "inferences/s/mm2",
        "1/s/mm2",
        "more",
        "Inferences a second over the area.",
        prices=("area_um2", "clock_mhz"),
    ),
    _quantity(
        "inferences_per_j",
        "inferences/J",
        "1/J",
        "more",
        "Inferences a joule, which is throughput a watt.",
        prices=("energy_pj", "leakage_uw"),
    ),
    _quantity(
        "power_mw",
        "power",
        "mW",
        "less",
        "Energy over time, of one pass after the other.",
        prices=("energy_pj", "leakage_uw", "clock_mhz"),
    ),
)
QUANTITIES: tuple[Quantity, ...] = (*_VALUES, *_COSTS, *_MACHINE)
"""What an evaluation has figures of, in this order."""
KEYS: tuple[str, ...] = tuple(each.key for each in QUANTITIES)


def quantity(key: str) -> Quantity:
    """Return the quantity of a key.

    Raises
    ------
    KeyError
        If there is none; the message has the close matches.
    """
    if key not in KEYS:
        close = get_close_matches(key, KEYS, n=3)
        hint = f"; did you mean {', '.join(close)}?" if close else f"; there are {', '.join(KEYS)}"
        raise KeyError(f"unknown quantity {key!r}{hint}")
    return QUANTITIES[KEYS.index(key)]
