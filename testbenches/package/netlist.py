# SPDX-License-Identifier: Apache-2.0
"""Read the Verilog that `rtl` writes: modules, ports, registers, instances, and what depends on what."""

import re
from dataclasses import dataclass, field

__all__ = [
    "Instance",
    "Module",
    "Port",
    "facts",
    "port_notes",
    "read_modules",
]

_MODULE = re.compile(r"^module (\w+) ?\((.*?)\);\n(.*?)^endmodule", re.MULTILINE | re.DOTALL)
_ITEM = re.compile(r"\n(?=  [A-Za-z])")
_DECLARATION = re.compile(r"^  (input|output|reg|wire) (?:signed )?(?:\[(\d+):(\d+)\] )?(\w+)(?: = .*)?;$", re.DOTALL)
_INSTANCE = re.compile(r"^  (\w+) (\w+) \(\n(.*)\n  \);", re.DOTALL)
_CONNECTION = re.compile(r"\.(\w+)\((.*?)\)(?:,\n|$)", re.DOTALL)
_LITERAL = re.compile(r"\d+'s?[bdh][0-9a-fxz_?]+|\$\w+|\"[^\"]*\"")
_NAME = re.compile(r"\b[A-Za-z_]\w*")
_WORDS = frozenset({"always", "assign", "begin", "case", "casez", "default", "else", "end", "endcase", "if", "posedge"})
_NOTE = re.compile(r"^//   (?:input|output) +(\w+) +\d+(?: +(.*))?$")
_FACT = re.compile(r"^// (?P<key>[A-Z][\w ,]*):\s+(?P<value>.*)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """A port: ``input`` or ``output``, and its width."""

    direction: str
    bits: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """An instance: its module, and for each of its ports the names of the nets that it is connected to."""

    module: str
    connections: dict[str, tuple[str, ...]]


@dataclass(slots=True, kw_only=True)
class Module:
    """
    A module.

    Attributes
    ----------
    name : str
    ports : dict of str to Port
        In the order of the module's head.
    bits : dict of str to int
        Width of each net, register and port.
    registers : dict of str to tuple of str
        Names of what each flip-flop's next value and enable depend on.
    instances : dict of str to Instance
    assigned : list of (tuple of str, tuple of str)
        Nets that are driven, and the nets that they are driven from, an assignment each.
    """

    name: str
    ports: dict[str, Port] = field(default_factory=dict)
    bits: dict[str, int] = field(default_factory=dict)
    registers: dict[str, tuple[str, ...]] = field(default_factory=dict)
    instances: dict[str, Instance] = field(default_factory=dict)
    assigned: list[tuple[tuple[str, ...], tuple[str, ...]]] = field(default_factory=list)

    @property
    def register_bits(self) -> int:
        """Flip-flops of this module alone."""
        return sum(self.bits[name] for name in self.registers)


def read_modules(text: str) -> dict[str, Module]:
    """
    Read the modules of Verilog as `rtl` writes it.

    Parameters
    ----------
    text : str
        Verilog of `rtl.verilog`, `rtl.decoder_verilog` and the like: every item begins on a line of its own.

    Returns
    -------
    dict of str to Module
        By name, in order.
    """
    return {match[1]: _read(match[1], match[2], match[3]) for match in _MODULE.finditer(text)}


def facts(text: str) -> dict[str, str]:
    """Return what the comment on top says, ``Key: value`` by key, as far as the lists of ports."""
    found: dict[str, str] = {}
    last = ""
    for line in text.splitlines():
        match = _FACT.match(line)
        if match is not None:
            last = match["key"]
            found[last] = match["value"]
        elif last and line.startswith("//      "):
            found[last] += f" {line[2:].strip()}"
        elif not line.startswith("//"):
            break
        else:
            last = ""
    return found


def port_notes(text: str, name: str) -> dict[str, str]:
    """Return what the comment on top says of the ports of a module, by port; nothing where it lists none."""
    found: dict[str, str] = {}
    inside = False
    for line in text.splitlines():
        if not line.startswith("//"):
            break
        if line.startswith("// Module "):
            inside = line.split()[2] == name
        match = _NOTE.match(line)
        if inside and match is not None:
            found[match[1]] = match[2] or ""
    return found


def _read(name: str, head: str, body: str) -> Module:
    module = Module(name=name)
    directions: dict[str, str] = {}
    for item in _ITEM.split("\n" + body)[1:]:
        declaration, instance = _DECLARATION.match(item.rstrip()), _INSTANCE.match(item)
        if declaration is not None:
            kind, high, low, net = declaration.groups()
            module.bits[net] = int(high) - int(low) + 1 if high else 1
            if kind in ("input", "output"):
                directions[net] = kind
        elif instance is not None:
            connections = {port: tuple(_names(nets)) for port, nets in _CONNECTION.findall(instance[3])}
            module.instances[instance[2]] = Instance(module=instance[1], connections=connections)
        elif item.startswith("  assign "):
            target, source = item[len("  assign ") :].split(" = ", 1)
            module.assigned.append((tuple(_names(target)), tuple(_names(source))))
        elif item.startswith("  always @(posedge"):
            targets = re.findall(r"(\w+)(?:\[[\d:]+\])? <= ", item)
            sources = tuple(_names(item.split(")", 1)[1]))
            for target in targets:
                module.registers[target] = tuple(net for net in sources if net != target)
        elif item.startswith("  always @*"):
            targets = re.findall(r"(\w+)(?:\[[\d:]+\])? = ", item)
            module.assigned.append((tuple(targets), tuple(net for net in _names(item) if net not in targets)))
    for port in head.split(","):
        net = port.strip()
        module.ports[net] = Port(direction=directions[net], bits=module.bits[net])
    return module


def _names(text: str) -> list[str]:
    """Return the names in an expression, each once."""
    return [name for name in dict.fromkeys(_NAME.findall(_LITERAL.sub(" ", text))) if name not in _WORDS]
