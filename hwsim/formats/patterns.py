# SPDX-License-Identifier: Apache-2.0
"""Names of formats that follow a pattern, one function a pattern."""

import re
from collections.abc import Callable
from dataclasses import replace

from hwsim.formats.block import BlockSpec, ScaleRule
from hwsim.formats.float import FloatSpec, Specials
from hwsim.formats.integer import IntegerSpec

__all__ = [
    "Format",
    "float_spec",
    "of_pattern",
]

Format = IntegerSpec | FloatSpec | BlockSpec
_Named = Callable[[str], Format]


def float_spec(
    exp_bits: int,
    man_bits: int,
    specials: Specials,
    bias: int | None = None,
    *,
    signed: bool = True,
    subnormals: bool | None = None,
) -> FloatSpec:
    """Return a float with the usual bias of its specials, and without subnormals where nothing but a scale is meant."""
    usual = (1 << (exp_bits - 1)) - (specials is not Specials.FNUZ)
    return FloatSpec(
        exp_bits=exp_bits,
        man_bits=man_bits,
        bias=usual if bias is None else bias,
        specials=specials,
        signed=signed,
        subnormals=signed or man_bits > 0 if subnormals is None else subnormals,
    )


_INTEGER = re.compile(r"(?P<unsigned>u?)int(?P<bits>\d{1,2})(?P<narrow>_narrow)?")
_FIXED = re.compile(r"(?P<unsigned>u?)fixed(?P<bits>\d{1,2})_(?P<minus>m?)(?P<fraction>\d{1,4})(?P<narrow>_narrow)?")
_FLOAT = re.compile(
    r"(?P<family>float(?P<total>\d{1,2})|minifloat)_e(?P<exp>\d{1,2})m(?P<man>\d{1,2})"
    r"(?:b(?P<minus>m?)(?P<bias>\d{1,4}))?"
    r"(?P<specials>fnuz|fn|)(?P<unsigned>u?)(?P<mark>_flat|_zero|_nan|)"
)
_SCALED = re.compile(r"(?P<family>mx|nv)(?P<element>fp4|fp\d{1,2}_e\d{1,2}m\d{1,2}|int\d{1,2})_b(?P<size>\d{1,5})")
_BLOCK = re.compile(
    r"block(?P<size>\d{1,5})_(?P<element>.+)_(?P<scale>float\d{1,2}_e\w+)_(?P<rule>ocp_floor|amax)(?P<tensor>_tensor)?"
)


def of_pattern(name: str, named: _Named) -> Format | None:
    """Return the format whose pattern a name follows, None if there is none; `named` looks up the names within it."""
    for pattern, build in _PATTERNS:
        match = pattern.fullmatch(name)
        spec = build(match, named) if match is not None else None
        if spec is not None:
            return spec
    return None


def _integer(match: re.Match[str], _: _Named) -> IntegerSpec:
    return IntegerSpec(bits=int(match["bits"]), signed=not match["unsigned"], narrow=bool(match["narrow"]))


def _fixed(match: re.Match[str], _: _Named) -> IntegerSpec:
    fraction = int(match["fraction"]) * (-1 if match["minus"] else 1)
    return IntegerSpec(
        bits=int(match["bits"]), signed=not match["unsigned"], narrow=bool(match["narrow"]), fraction_bits=fraction
    )


def _minifloat(match: re.Match[str], _: _Named) -> FloatSpec | None:
    suffix, mark = match["specials"], match["mark"]
    minifloat = match["family"] == "minifloat"
    if minifloat and suffix:
        return None
    specials = Specials.FINITE if minifloat else {"": Specials.IEEE, "fn": Specials.FN, "fnuz": Specials.FNUZ}[suffix]
    bias = None if match["bias"] is None else int(match["bias"]) * (-1 if match["minus"] else 1)
    spec = float_spec(
        int(match["exp"]),
        int(match["man"]),
        specials,
        bias,
        signed=not match["unsigned"],
        subnormals={"_flat": False, "_zero": True}.get(mark),
    )
    if not minifloat and int(match["total"]) != spec.bits:
        raise ValueError(f"format {match[0]!r} states {match['total']} bits, but its fields have {spec.bits}")
    if mark and not spec.name.endswith(mark):
        return None  # a mark that says nothing
    return spec


def _scaled(match: re.Match[str], named: _Named) -> BlockSpec | None:
    try:
        base = named(match["family"] + match["element"])
    except KeyError:
        return None
    return replace(base, block_size=int(match["size"])) if isinstance(base, BlockSpec) else None


def _block(match: re.Match[str], named: _Named) -> BlockSpec | None:
    try:
        element, scale = named(match["element"]), named(match["scale"])
    except KeyError:
        return None
    if isinstance(element, BlockSpec) or not isinstance(scale, FloatSpec):
        return None
    return BlockSpec(
        element=element,
        scale=scale,
        block_size=int(match["size"]),
        tensor_scale=match["tensor"] is not None,
        rule=ScaleRule(match["rule"]),
    )


_PATTERNS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], _Named], Format | None]], ...] = (
    (_INTEGER, _integer),
    (_FIXED, _fixed),
    (_FLOAT, _minifloat),
    (_SCALED, _scaled),
    (_BLOCK, _block),
)
