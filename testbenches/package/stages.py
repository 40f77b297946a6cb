# SPDX-License-Identifier: Apache-2.0
"""The graph of a module: ports, instances and ranks of registers, in the columns of a drawing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import networkx as nx

from testbenches.package.netlist import Module

__all__ = [
    "Edge",
    "Node",
    "Stages",
    "stages",
]

_QUIET = frozenset({"clk", "rst", "en"})  # everywhere, so drawn nowhere


@dataclass(slots=True, kw_only=True)
class Node:
    """What is drawn: a port, an instance or registers.

    kind : "input", "output", "instance" or "registers"
    names : of the ports, the instance or the registers
    bits : all of them together; of an instance its outputs
    column : from the left; -1 until it is known
    control : whether it is of single bits that go along with the data
    inside : flip-flops within an instance
    """

    kind: str
    names: tuple[str, ...]
    bits: int
    column: int = -1
    control: bool = False
    inside: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """A wire between nodes, with its bits; `loop` where it goes back, from registers to the logic in front of them."""

    source: str
    target: str
    bits: int
    loop: bool


@dataclass(slots=True, kw_only=True)
class Stages:
    """
    The graph.

    Attributes
    ----------
    nodes : dict of str to Node
    edges : list of Edge
    ranks : list of int
        Columns of the ranks of registers.
    """

    nodes: dict[str, Node] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)
    ranks: list[int] = field(default_factory=list)


def stages(module: Module, modules: Mapping[str, Module]) -> Stages:
    """
    Find the stages of a module.

    Parameters
    ----------
    module : Module
        Its registers are split into ranks: a register stands one rank behind the last of those that it depends on, not
        counting itself and what it feeds back.
    modules : mapping of str to Module
        Those of its instances.

    Returns
    -------
    Stages
    """
    nodes = _nodes(module, modules)
    graph = _dependencies(module, modules, nodes)
    loops = {
        (source, target)
        for members in nx.strongly_connected_components(graph)
        for source, target in graph.subgraph(members).edges
        if nodes[source].kind == "registers"
    }
    forward = graph.copy()
    forward.remove_edges_from(loops)
    found = Stages(nodes=nodes)
    ranks = _place(forward, nodes, found)
    merged = _merge_control(nodes, ranks)
    seen = set()
    for source, target, bits in graph.edges(data="bits"):
        ends = merged.get(source, source), merged.get(target, target)
        if ends in seen or ends[0] == ends[1]:
            continue
        # The control bits reach every stage: only their own way is drawn.
        if nodes[ends[0]].control and not nodes[ends[1]].control:
            continue
        seen.add(ends)
        wire = nodes[ends[0]].bits if nodes[ends[0]].control else bits
        found.edges.append(Edge(source=ends[0], target=ends[1], bits=wire, loop=(source, target) in loops))
    return found


def _nodes(module: Module, modules: Mapping[str, Module]) -> dict[str, Node]:
    found = {}
    for name, port in module.ports.items():
        if name in _QUIET:
            continue
        key = f"{port.direction} {name}"
        found[key] = Node(kind=port.direction, names=(name,), bits=port.bits, control=port.bits == 1)
    for name, instance in module.instances.items():
        inner = modules[instance.module].ports if instance.module in modules else {}
        bits = sum(port.bits for port in inner.values() if port.direction == "output")
        inside = _flip_flops(instance.module, modules)
        found[f"instance {name}"] = Node(kind="instance", names=(name,), bits=bits, inside=inside)
    for name in module.registers:
        bits = module.bits[name]
        found[f"registers {name}"] = Node(kind="registers", names=(name,), bits=bits, control=bits == 1)
    return found


def _flip_flops(name: str, modules: Mapping[str, Module]) -> int:
    """Return the register bits of a module and of all that it consists of."""
    if name not in modules:
        return 0
    module = modules[name]
    own = sum(module.bits[register] for register in module.registers)
    return own + sum(_flip_flops(instance.module, modules) for instance in module.instances.values())


def _dependencies(module: Module, modules: Mapping[str, Module], nodes: Mapping[str, Node]) -> Any:
    """Return which node feeds which, through the logic between them."""
    nets: Any = nx.DiGraph()
    nets.add_nodes_from(nodes)

    def connect(sources: Iterable[str], targets: Iterable[str]) -> None:
        nets.add_edges_from((source, target) for source in sources for target in targets)

    for name, port in module.ports.items():
        if name not in _QUIET:
            ends = ([f"input {name}"], [name]) if port.direction == "input" else ([name], [f"output {name}"])
            connect(*ends)
    for targets, sources in module.assigned:
        connect((net for net in sources if net not in _QUIET), targets)
    for name, instance in module.instances.items():
        inner = modules[instance.module].ports if instance.module in modules else {}
        for port_name, used in instance.connections.items():
            if port_name in inner and inner[port_name].direction == "output":
                connect([f"instance {name}"], used)
            else:
                connect((net for net in used if net not in _QUIET), [f"instance {name}"])
    for name, sources in module.registers.items():
        connect((net for net in sources if net not in _QUIET), [f"registers {name}"])
        connect([f"registers {name}"], [name])
    graph: Any = nx.DiGraph()
    graph.add_nodes_from(nodes)
    for source, node in nodes.items():
        reached, waiting = set(), list(nets.successors(source))
        while waiting:
            net = waiting.pop()
            if net in reached:
                continue
            reached.add(net)
            if net in nodes:
                graph.add_edge(source, net, bits=node.bits)
            else:
                waiting.extend(nets.successors(net))
    return graph


def _place(forward: Any, nodes: Mapping[str, Node], found: Stages) -> dict[str, int]:
    """Give every node its column, and return the rank of each: the registers before it, itself included."""
    ranks: dict[str, int] = {}
    depths: dict[str, int] = {}
    for name in nx.topological_sort(forward):
        before = list(forward.predecessors(name))
        rank = max((ranks[other] for other in before), default=0)
        ranks[name] = rank + (nodes[name].kind == "registers")
        same = [depths[other] for other in before if ranks[other] == ranks[name] and nodes[other].kind == "instance"]
        depths[name] = max(same, default=-1) + 1 if nodes[name].kind == "instance" else 0
    column = 1
    last = max((ranks[name] for name, node in nodes.items() if node.kind == "registers"), default=0)
    for rank in range(last + 1):
        here = [name for name, node in nodes.items() if ranks[name] == rank and node.kind == "instance"]
        for name in here:
            nodes[name].column = column + depths[name]
        column += max((depths[name] for name in here), default=-1) + 1
        if rank < last:
            found.ranks.append(column)
            for name, node in nodes.items():
                if node.kind == "registers" and ranks[name] == rank + 1:
                    node.column = column
            column += 1
    for node in nodes.values():
        if node.kind in ("input", "output"):
            node.column = 0 if node.kind == "input" else column
    return ranks


def _merge_control(nodes: dict[str, Node], ranks: Mapping[str, int]) -> dict[str, str]:
    """Make one node of the single bits of each rank, and return what became of the others."""
    groups: dict[tuple[str, int], list[str]] = {}
    for name, node in nodes.items():
        if node.control:
            groups.setdefault((node.kind, ranks[name]), []).append(name)
    merged = {}
    for members in groups.values():
        first = nodes[members[0]]
        first.names = tuple(name for member in members for name in nodes[member].names)
        first.bits = len(members)
        for member in members[1:]:
            merged[member] = members[0]
            del nodes[member]
    return merged
