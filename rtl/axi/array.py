# SPDX-License-Identifier: Apache-2.0
"""An array behind AXI: jobs of some tiles, started and watched through registers."""

from typing import Any

from amaranth.hdl import Cat, ClockDomain, ClockSignal, Const, Instance, Module, ResetSignal, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hwsim.datapath.array import ArrayGeometry
from hwsim.datapath.unit import DotProductUnit
from hwsim.formats.codes import check_int
from rtl.architecture import Architecture
from rtl.arrays.array import FlatArray
from rtl.arrays.header import array_name
from rtl.arrays.layouts import beat_fields, output_fields
from rtl.axi.job import Job, job
from rtl.axi.layouts import (
    control_ports,
    data_fields,
    input_bits,
    output_bits,
)
from rtl.axi.register_slice import register_slice
from rtl.part import Boxes

__all__ = [
    "AxiArray",
]

_TOOL = Architecture()


class AxiArray(wiring.Component):
    """An array with an AXI4-Stream for beats, one for outputs, and AXI4-Lite registers.

    A job is ``TILES`` tiles (folds, where an operand stays) of ``STEPS`` steps each. The input stream is taken while a
    job has steps to come, and two beats ahead. TLAST goes with the last step of each tile, and the outputs' TLAST with
    its last output.

    Parameters
    ----------
    geometry : ArrayGeometry
    unit : DotProductUnit
    architecture : Architecture
    counter_bits : int
        Of STEPS and TILES, 1 to 32.

    Members
    -------
    aclk, aresetn : In
        Clock, and reset, synchronous and active low. In a simulation of this component the domain ``sync`` stands for
        both.
    s_axis_tvalid, tready, tdata, tlast, tuser : AXI4-Stream in
        `data_fields`; TUSER where an operand stays.
    m_axis_tvalid, tready, tdata, tlast : AXI4-Stream out
        A code for each column.
    s_axil_* : AXI4-Lite in
        `Register`.
    irq : Out
        The status DONE.

    Latency: that of the array and 2 cycles, one for a register slice on each stream.
    """

    def __init__(
        self,
        geometry: ArrayGeometry,
        unit: DotProductUnit,
        architecture: Architecture = _TOOL,
        *,
        counter_bits: int = 16,
    ) -> None:
        check_int("counter_bits", counter_bits, 1, 32)
        self.geometry, self.spec, self._architecture = geometry, unit, architecture
        self._counter_bits = counter_bits
        ports: dict[str, Any] = {
            "aclk": In(1),
            "aresetn": In(1),
            "s_axis_tvalid": In(1),
            "s_axis_tready": Out(1),
            "s_axis_tdata": In(input_bits(geometry, unit)),
            "s_axis_tlast": In(1),
            "m_axis_tvalid": Out(1),
            "m_axis_tready": In(1),
            "m_axis_tdata": Out(output_bits(geometry, unit)),
            "m_axis_tlast": Out(1),
            "irq": Out(1),
        }
        if not geometry.kind.keeps_outputs:
            ports["s_axis_tuser"] = In(2)
        super().__init__(ports | control_ports())

    def elaborate(self, platform: Any) -> Module:
        """Connect streams, array and registers."""
        m = Module()
        if isinstance(platform, Boxes):
            m.domains.sync = domain = ClockDomain("sync")
            domain.clk = self.aclk
            m.d.comb += domain.rst.eq(~self.aresetn)
        core = self._core(m, platform)
        stays = not self.geometry.kind.keeps_outputs
        user = self.s_axis_tuser if stays else Const(0, 0)
        taken = Signal(name="taken")
        entry = Cat(self.s_axis_tdata, user, self.s_axis_tlast)
        ready, valid, beat = register_slice(m, self.s_axis_tvalid, entry, taken, "input")
        leaving = Cat(core["o_d"], core["o_last"])
        free, out_valid, output = register_slice(m, core["o_valid"], leaving, self.m_axis_tready, "output")
        flags = beat[len(self.s_axis_tdata) :]
        step = flags[0] if stays else Const(1, 1)
        seen = Job(
            step=step,
            ends_packet=beat[-1],
            accepted=valid & taken,
            leaves=core["o_valid"] & free & core["o_last"],
            empty=~out_valid & free,
        )
        opened, first, last = job(m, self, self.geometry, self.spec, seen, self._counter_bits)
        m.d.comb += [
            self.s_axis_tready.eq(ready),
            taken.eq(core["i_ready"] & opened),
            core["i_valid"].eq(valid & opened),
            core["i_first"].eq(first),
            core["i_last"].eq(last),
            core["o_ready"].eq(free),
            self.m_axis_tvalid.eq(out_valid),
            self.m_axis_tdata.eq(output[:-1]),
            self.m_axis_tlast.eq(output[-1]),
        ]
        if stays:
            m.d.comb += [core["i_step"].eq(step), core["i_load"].eq(flags[1])]
        low = 0
        for name, bits in data_fields(self.geometry, self.spec).items():
            m.d.comb += core[f"i_{name}"].eq(beat[low : low + bits])
            low += bits
        return m

    def _core(self, m: Module, platform: Any) -> dict[str, Signal]:
        """Place the array; return nets for its ports."""
        fields = {f"i_{name}": bits for name, bits in beat_fields(self.geometry, self.spec).items()}
        inputs = {"i_valid": 1, "o_ready": 1} | fields
        outputs = {"i_ready": 1, "o_valid": 1}
        outputs |= {f"o_{name}": bits for name, bits in output_fields(self.geometry, self.spec).items()}
        nets = {name: Signal(bits, name=f"core_{name}") for name, bits in (inputs | outputs).items()}
        if isinstance(platform, Boxes):
            connections = {f"i_{name}": nets[name] for name in inputs} | {f"o_{name}": nets[name] for name in outputs}
            m.submodules.core = Instance(
                array_name(self.geometry, self.spec), i_clk=ClockSignal(), i_rst=ResetSignal(), **connections
            )
            return nets
        m.submodules.core = core = FlatArray(self.geometry, self.spec, self._architecture)
        m.d.comb += [getattr(core, name).eq(nets[name]) for name in inputs]
        m.d.comb += [nets[name].eq(getattr(core, name)) for name in outputs]
        return nets
