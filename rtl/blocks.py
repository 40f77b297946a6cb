# SPDX-License-Identifier: Apache-2.0
"""The catalog of blocks: combinational components with an oracle each, for checks, proofs, costs and Verilog alike."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import lru_cache
from importlib import import_module
from typing import Any

import numpy as np
from amaranth.hdl import Fragment, Value
from numpy.typing import NDArray

from rtl.part import Part

__all__ = [
    "Block",
    "Oracle",
    "block",
    "blocks",
]

_KNOWN: dict[str, dict[str, dict[str, int]]] = {}  # ports by block

Oracle = Callable[..., Mapping[str, NDArray[Any]]]
_MODULES: tuple[str, ...] = (
    "rtl.arithmetic.catalog",
    "rtl.neighbours.requantizer",
    "rtl.neighbours.block_quantizers",
    "rtl.neighbours.exponential",
    "rtl.neighbours.hadamard",
    "rtl.units.bit_plane",
    "rtl.units.bit_slice_digits",
    "rtl.units.bit_mod",
    "rtl.units.bit_mod_terms",
    "rtl.units.dsp_packed",
    "rtl.units.mixed_precision",
    "rtl.units.phases",
    "rtl.units.shift_add",
    "rtl.units.simd",
    "rtl.units.simd_float",
    "rtl.units.simd_posit",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """
    One combinational block.

    Parameters
    ----------
    name : str
        In the catalog, and of its Verilog module.
    summary : str
        What it does, one line.
    part : callable
        Makes the component anew.
    oracle : callable
        Takes the input ports by name as arrays of codes (uint64, or Python integers in an object array for ports above
        64 bits) and returns the output ports so, written in integer arithmetic without the component's structure.
    source : str
        Where the structure or the function is from.
    directed : mapping of str to sequence of int
        Codes worth trying, by input port, besides 0, 1 and all ones.
    specification : str
        Verilog of a module ``specification`` with the same ports that says the same behaviourally, for proofs; empty
        where there is none.
    """

    name: str
    summary: str
    part: Callable[[], Part]
    oracle: Oracle
    source: str
    directed: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    specification: str = ""

    @property
    def inputs(self) -> dict[str, int]:
        """Bits of each input port, as its Verilog module has them."""
        return _ports(self)["In"]

    @property
    def outputs(self) -> dict[str, int]:
        """Bits of each output port."""
        return _ports(self)["Out"]

    @property
    def space(self) -> int:
        """Bits of all inputs together: there are ``2**space`` operands."""
        return sum(self.inputs.values())


def _ports(block: Block) -> dict[str, dict[str, int]]:
    """Return the ports that have bits, by direction."""
    if block.name not in _KNOWN:
        part = block.part()
        Fragment.get(part, None)  # Amaranth warns of a component that is not used
        found: dict[str, dict[str, int]] = {"In": {}, "Out": {}}
        for path, member, port in part.signature.flatten(part):
            bits = len(Value.cast(port))
            if bits:
                found[member.flow.name]["__".join(map(str, path))] = bits
        _KNOWN[block.name] = found
    return _KNOWN[block.name]


@lru_cache(maxsize=1)
def blocks() -> dict[str, Block]:
    """Return every block by its name, those of a module in its order."""
    found: dict[str, Block] = {}
    for module in _MODULES:
        for item in import_module(module).blocks():
            if item.name in found:
                raise ValueError(f"two blocks have the name {item.name!r}")
            found[item.name] = item
    return found


def block(name: str) -> Block:
    """
    Return the block of a name.

    Raises
    ------
    KeyError
        There is none of that name; the message has the close matches.
    """
    known = blocks()
    if name not in known:
        close = get_close_matches(name, known, n=4, cutoff=0.5)
        hint = f"; close matches: {', '.join(close)}" if close else ""
        raise KeyError(f"unknown block {name!r}{hint}")
    return known[name]


def random_codes(bits: int, count: int, generator: np.random.Generator) -> NDArray[Any]:
    """Return codes of a port: uint64, or Python integers above 64 bits."""
    if bits <= 64:
        return (
            generator.integers(0, 1 << bits, count, dtype=np.uint64, endpoint=False)
            if bits < 64
            else (generator.integers(0, (1 << 64) - 1, count, dtype=np.uint64, endpoint=True))
        )
    limbs = generator.integers(0, (1 << 64) - 1, (-(-bits // 64), count), dtype=np.uint64, endpoint=True).astype(object)
    out = sum(int(1 << (64 * index)) * limb for index, limb in enumerate(limbs))
    return np.asarray(out % (1 << bits), dtype=object)
