# SPDX-License-Identifier: Apache-2.0
"""The unit of a format, or of a pair of formats, where designs are compared."""

import difflib

from hwsim import datapath, formats
from hwsim.datapath import DotProductUnit
from hwsim.formats import IntegerSpec

__all__ = [
    "own_name",
    "resolved",
]

_PAIR = "_by_"
_HEADROOM_BITS = 12  # as of `hwsim.datapath.comparable`


def resolved(name: str, lanes: int = 16, accumulator: str | None = None) -> DotProductUnit:
    """Return the unit that a name stands for.

    Parameters
    ----------
    name : str
        A format: `hwsim.datapath.comparable`. ``A_by_B`` of two formats, activations by weights: made by the same rule,
        with sums in float32 at the end and 12 bits of head-room. A unit's name: that unit.
    lanes : int
        Products a step; of formats.
    accumulator : str, optional
        Another register of a format's unit, as units' names spell it (``int20``, ``fixed49``, ``float32``).

    Raises
    ------
    KeyError
        For an unknown name, with close matches.
    TypeError, ValueError
        For parts that do not go together, and an accumulator of what names a unit already; after the name.
    """
    if not isinstance(name, str):
        raise TypeError(f"format must be a str, not {name!r}")
    if isinstance(lanes, bool) or not isinstance(lanes, int):
        raise TypeError(f"lanes must be an int, not {lanes!r}")
    try:
        return _unit(name, lanes, accumulator)
    except KeyError as error:
        why = str(error.args[0])
        for known in ("unit", "format"):
            why = why.removeprefix(f"unknown {known} {name!r}: ")
        raise KeyError(f"unknown format or unit {name!r}: {why}") from None
    except ValueError as error:
        said = str(error)
        raise ValueError(f"{said if name in said else f'{name}: {said}'}{_close(name)}") from None


def _unit(name: str, lanes: int, accumulator: str | None) -> DotProductUnit:
    """Return the unit of a name, as `resolved`; errors without it."""
    pair = _formats(name)
    if not pair:
        if accumulator is not None:
            raise ValueError(f"accumulator must be left out with the unit {name!r}, whose register is its own")
        return datapath.named(name)
    if len(pair) == 1 and accumulator is None:
        return datapath.comparable(name, lanes)
    register = accumulator or _register(*pair)
    return datapath.named(f"{name}_l{lanes}{f'_{register}' if register else ''}_to_float32")


def own_name(unit: DotProductUnit, asked: str) -> str:
    """Return the name that spells a unit, where `hwsim.datapath.named` reads it; else the name that was asked for."""
    try:
        return unit.name if datapath.named(unit.name) == unit else asked
    except (KeyError, ValueError):
        return asked


def _close(name: str) -> str:
    """Return the formats close to a name that is none, as the end of an error."""
    try:
        _formats(name)
    except ValueError:
        close = difflib.get_close_matches(name, formats.names(), n=3)
        return f"; did you mean {', '.join(close)}?" if close else ""
    return ""


def _formats(name: str) -> tuple[str, ...]:
    """Return the format or the two formats that a name consists of; none for the name of a unit."""
    a, by, b = name.partition(_PAIR)
    parts = (a, b) if by else (a,)
    try:
        for part in parts:
            formats.named(part)
    except KeyError:
        return ()
    return parts


def _register(a: str, b: str) -> str:
    """Return the register of two integers; empty for others, whose units' names may leave it out."""
    one, other = formats.named(a), formats.named(b)
    if not (isinstance(one, IntegerSpec) and isinstance(other, IntegerSpec)):
        return ""
    return f"int{(one.max_significand * other.max_significand).bit_length() + 1 + _HEADROOM_BITS}"
