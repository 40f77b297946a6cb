# SPDX-License-Identifier: Apache-2.0
"""What stands behind the register: a carry-save one added up, and the rounding to the output format."""

from typing import Any

from amaranth.hdl import Module
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from hwsim.datapath.unit import DotProductUnit
from rtl.architecture import Architecture
from rtl.datapath.buildable import check_buildable
from rtl.datapath.merged import check_architecture, resolved, step_layout
from rtl.datapath.round_pack import RoundPack
from rtl.part import Part

__all__ = [
    "Resolve",
]


class Resolve(Part):
    """Round a register to the output format.

    Parameters
    ----------
    unit : DotProductUnit
    architecture : Architecture

    Members
    -------
    register : In, as many bits as `rtl.datapath.step.step_register_layout`
    d : Out, a code of ``unit.output``

    Latency: none, combinational.
    """

    def __new__(cls, unit: DotProductUnit, architecture: Architecture) -> Any:
        """Check before there is a part, of which Amaranth warns where it is not used."""
        check_buildable(unit)
        check_architecture(unit, architecture)
        return super().__new__(cls, unit, architecture)

    def __init__(self, unit: DotProductUnit, architecture: Architecture) -> None:
        self.spec = unit
        self._architecture = architecture
        super().__init__({"register": In(step_layout(unit, architecture).size), "d": Out(unit.output.bits)})

    def _module_name(self) -> str:
        return "resolve"

    def _build(self) -> Module:
        m = Module()
        m.submodules.round_pack = round_pack = RoundPack(self.spec)
        register = data.View(step_layout(self.spec, self._architecture), self.register)
        m.d.comb += round_pack.register.eq(resolved(m, self.spec, self._architecture, register))
        m.d.comb += self.d.eq(round_pack.d)
        return m
