# SPDX-License-Identifier: Apache-2.0
"""Combinational components that become Verilog modules of their own, with the ports that they declare."""

from typing import Any

from amaranth.back import rtlil
from amaranth.hdl import Instance, Module, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In

__all__ = [
    "Boxes",
    "Part",
]


class Part(wiring.Component):
    """A combinational component.

    Amaranth gives a submodule whatever ports its nets need. Elaborated for `Boxes`, a part has those that it declares,
    and equal parts are one module. A subclass has `_build` in place of `elaborate`.
    """

    latency = 0
    shared = False  # whether every part of the class is the same module, made once

    def elaborate(self, platform: Any) -> Module | Instance:
        """Return what the part is made of, or for `Boxes` an instance of its module."""
        return platform.box(self) if isinstance(platform, Boxes) else self._build()

    def _module_name(self) -> str:
        """Return a name for the Verilog module; parts that differ may have the same, and get a number."""
        raise NotImplementedError

    def _build(self) -> Module:
        raise NotImplementedError


class Boxes:
    """The platform for which every part becomes an instance of a module; it collects those modules.

    Parameters
    ----------
    prefix : str
        Of every module's name.

    Attributes
    ----------
    modules : dict of str to str
        RTLIL of each module by its name.
    """

    def __init__(self, prefix: str) -> None:
        self.modules: dict[str, str] = {}
        self._prefix = prefix
        self._open: list[Part] = []

    def outermost(self, part: Part, name: str) -> str:
        """Return RTLIL of a part that no other holds, as a module of the given name."""
        self._open.append(part)
        text = rtlil.convert(part, name, self, emit_src=False)
        self._open.remove(part)
        return str(text)

    def box(self, part: Part) -> Module | Instance:
        """Return an instance of a part's module, or, while that is being made, what is in it."""
        if any(part is other for other in self._open):
            return part._build()
        stem = name = f"{self._prefix}_{part._module_name()}"
        if part.shared and name in self.modules:
            return self._instance(part, name)
        self._open.append(part)
        count = 1
        while self.modules.setdefault(name, text := rtlil.convert(part, name, self, emit_src=False)) != text:
            count += 1
            name = f"{stem}_{count}"
        self._open.remove(part)
        return self._instance(part, name)

    def apart(self, part: Part) -> tuple[str, dict[str, str]]:
        """Return a part's name and the RTLIL of its modules, itself first, without keeping any but adders' cells."""
        name = f"{self._prefix}_{part._module_name()}"
        inner = Boxes(self._prefix)
        text = inner.outermost(part, name)
        self.modules |= {key: made for key, made in inner.modules.items() if key.endswith(("full_adder", "half_adder"))}
        return name, {name: text, **inner.modules}

    def _instance(self, part: Part, name: str) -> Instance:
        """Return an instance of a module with the part's ports."""
        connections = {}
        for path, member, port in part.signature.flatten(part):
            value = Value.cast(port)
            if len(value):
                connections[("i_" if member.flow == In else "o_") + "__".join(map(str, path))] = value
        return Instance(name, **connections)
