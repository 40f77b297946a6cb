# SPDX-License-Identifier: Apache-2.0
"""Specials on their way to the register: one bit for each infinity, both set for NaN."""

from typing import Any

from amaranth.hdl import Cat

__all__ = [
    "joined_specials",
    "special_pair",
]


def special_pair(nan: Any, infinite: Any, negative: Any) -> Any:
    """Return a bit for each infinity, +inf first, both for NaN, from the flags of a decoded operand."""
    return Cat(nan | (infinite & ~negative), nan | (infinite & negative))


def joined_specials(register: Any, seen: Any) -> Any:
    """Return the specials of a decoded register and of what is added to it, in as many bits as `special_bits` says."""
    own = special_pair(register.nan, register.infinite, register.negative)
    return own | (seen.replicate(2) if len(seen) == 1 else seen)
