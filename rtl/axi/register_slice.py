# SPDX-License-Identifier: Apache-2.0
"""A register slice: two places of a stream, so that neither valid nor ready passes from side to side in a cycle."""

from typing import Any

from amaranth.hdl import Module, Signal, Value

__all__ = [
    "register_slice",
]


def register_slice(m: Module, valid: Any, payload: Any, taken: Any, name: str) -> tuple[Signal, Signal, Signal]:
    """Build a slice of full throughput.

    Parameters
    ----------
    m : Module
    valid, payload : Value
        What enters.
    taken : Value
        Whether the other side is ready.
    name : str
        Of its registers.

    Returns
    -------
    ready : Signal
        For the side that enters, from a register.
    valid, payload : Signal
        What leaves, from registers, one cycle later.
    """
    bits = len(Value.cast(payload))
    ready = Signal(name=f"{name}_ready")
    full, out_valid = Signal(name=f"{name}_full"), Signal(name=f"{name}_valid")
    spare = Signal(bits, name=f"{name}_spare", reset_less=True)
    out = Signal(bits, name=f"{name}_payload", reset_less=True)
    m.d.comb += ready.eq(~full)
    with m.If(taken | ~out_valid):
        m.d.sync += [out_valid.eq(full | valid), full.eq(0)]
        with m.If(full):
            m.d.sync += out.eq(spare)
        with m.Else():
            m.d.sync += out.eq(payload)
    with m.Elif(valid & ready):
        m.d.sync += [full.eq(1), spare.eq(payload)]
    return ready, out_valid, out
