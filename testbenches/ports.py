# SPDX-License-Identifier: Apache-2.0
"""The ports of a unit's shell, as the benches see them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hwsim.datapath.unit import DotProductUnit, FixedAccumulator

__all__ = [
    "Port",
    "ShellPorts",
    "register_bits",
    "shell_ports",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """One field of a stream.

    Parameters
    ----------
    name : str
        Name without its prefix: ``a`` is the port ``i_a`` of a shell.
    bits : int
        Width, at least 1.

    Raises
    ------
    ValueError
        If `bits` is less than 1.
    """

    name: str
    bits: int

    def __post_init__(self) -> None:
        if self.bits < 1:
            raise ValueError(f"bits of port {self.name} must be at least 1, not {self.bits!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ShellPorts:
    """The streams of a shell.

    Its module has ``clk``, ``rst``, ``i_valid``, ``i_ready``, one port ``i_<name>`` a field, ``o_valid``, ``o_ready``
    and ``o_d``.

    Parameters
    ----------
    fields : tuple of Port
        Fields of the input stream; ``first`` and ``last`` are among them, one bit each. In a file of vectors the first
        field stands at bit 0 of a row.
    output_bits : int
        Width of ``o_d``.

    Raises
    ------
    ValueError
        If ``first`` or ``last`` is missing or wider than a bit, or a name comes twice.
    """

    fields: tuple[Port, ...]
    output_bits: int

    def __post_init__(self) -> None:
        names = [port.name for port in self.fields]
        if len(set(names)) != len(names):
            raise ValueError(f"fields must have different names, not {', '.join(names)}")
        for name in ("first", "last"):
            if Port(name=name, bits=1) not in self.fields:
                raise ValueError(f"fields must hold {name} with 1 bit, not {', '.join(names)}")

    @property
    def row_bits(self) -> int:
        """Width of a row: all fields side by side."""
        return sum(port.bits for port in self.fields)

    def pack(self, stimulus: Mapping[str, Sequence[int]]) -> list[int]:
        """Put the fields of each row side by side.

        Parameters
        ----------
        stimulus : mapping of str to sequence of int
            For each field one value a row, in [0, 2**bits).

        Returns
        -------
        list of int
            One word a row, the first field at bit 0.

        Raises
        ------
        ValueError
            If a field is missing or unknown, the fields differ in length, or a value does not fit its field.
        """
        names = {port.name for port in self.fields}
        if set(stimulus) != names:
            given = ", ".join(sorted(stimulus))
            raise ValueError(f"stimulus must have the fields {', '.join(sorted(names))}, not {given}")
        lengths = {name: len(values) for name, values in stimulus.items()}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"stimulus must have as many values in each field, not {lengths}")
        words = [0] * lengths["first"]
        low = 0
        for port in self.fields:
            for row, value in enumerate(stimulus[port.name]):
                if not 0 <= value < 1 << port.bits:
                    raise ValueError(f"{port.name} must fit {port.bits} bits, not {value:#x} in row {row}")
                words[row] |= int(value) << low
            low += port.bits
        return words


def register_bits(unit: DotProductUnit) -> int:
    """Return the width of c."""
    accumulator = unit.register
    return accumulator.bits if isinstance(accumulator, FixedAccumulator) else accumulator.format.bits


def shell_ports(unit: DotProductUnit) -> ShellPorts:
    """Give the ports of a unit's shell.

    Parameters
    ----------
    unit : DotProductUnit
        The unit.

    Returns
    -------
    ShellPorts
        ``first``, ``last``, ``a``, ``b`` (lane 0 at bit 0), ``scale_a`` and ``scale_b`` where the operand is in a
        block format, ``c`` in the format of the accumulator; the output is in that of the unit.
    """
    sides = (("a", unit.element_a, unit.lanes), ("b", unit.element_b, unit.width))
    operands = [(name, count * (spec.bits + unit.ignored_bits)) for name, spec, count in sides]
    if unit.sparsity is not None:
        operands.append(("index", unit.lanes * (unit.sparsity.of - 1).bit_length()))
    counts = unit.scale_counts
    scales = [
        (name, count * scale.bits)
        for name, scale, count in (("scale_a", unit.scale_a, counts[0]), ("scale_b", unit.scale_b, counts[1]))
        if scale
    ]
    named = [("first", 1), ("last", 1), *operands, *scales, ("c", register_bits(unit))]
    return ShellPorts(fields=tuple(Port(name=name, bits=bits) for name, bits in named), output_bits=unit.output.bits)
