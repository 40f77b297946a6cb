# SPDX-License-Identifier: Apache-2.0
"""Formats by name.

Sources (retrieved 2026-11): OCP 8-bit Floating Point Specification 1.0 (E4M3, E5M2); OCP Microscaling Formats 1.0 (FP6,
FP4, MXINT8, E8M0); ml_dtypes 0.6 (names, FNUZ, b11); IEEE 754-2019 (float16, float32); arXiv:2510.25602, table 1
(MXINT6, MXINT4, NVINT4: a symmetric range); arXiv:2509.25149 (NVFP4); PTX ISA 9.4 (UE5M3 with NaN 0xFF).
"""

import difflib
import re
from collections.abc import Callable
from dataclasses import replace

from hwsim.formats.block import BlockSpec, ScaleRule
from hwsim.formats.float import FloatSpec, Specials
from hwsim.formats.integer import IntegerSpec

__all__ = [
    "Format",
    "named",
    "names",
]

Format = IntegerSpec | FloatSpec | BlockSpec


def _float(
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


_E4M3 = _float(4, 3, Specials.FN)
_E8M0 = _float(8, 0, Specials.FN, signed=False)
_FLOATS = (
    _float(5, 10, Specials.IEEE),
    _float(8, 7, Specials.IEEE),
    _float(8, 10, Specials.IEEE),
    _float(8, 23, Specials.IEEE),
    _float(11, 52, Specials.IEEE),
    _E4M3,
    _float(5, 2, Specials.IEEE),
    _float(4, 3, Specials.IEEE),
    _float(3, 4, Specials.IEEE),
    _float(4, 3, Specials.FNUZ),
    _float(4, 3, Specials.FNUZ, 11),
    _float(5, 2, Specials.FNUZ),
    _float(2, 3, Specials.FINITE),
    _float(3, 2, Specials.FINITE),
    _float(2, 1, Specials.FINITE),
    _E8M0,
    _float(5, 3, Specials.FN, signed=False),
)


def _mx(element: IntegerSpec | FloatSpec) -> BlockSpec:
    return BlockSpec(element=element, scale=_E8M0, block_size=32, tensor_scale=False, rule=ScaleRule.OCP_FLOOR)


def _nv(element: IntegerSpec | FloatSpec) -> BlockSpec:
    return BlockSpec(element=element, scale=_E4M3, block_size=16, tensor_scale=True, rule=ScaleRule.AMAX)


_BLOCKS = (
    _mx(_float(5, 2, Specials.IEEE)),
    _mx(_E4M3),
    _mx(_float(3, 2, Specials.FINITE)),
    _mx(_float(2, 3, Specials.FINITE)),
    _mx(_float(2, 1, Specials.FINITE)),
    *(_mx(IntegerSpec(bits=bits, narrow=True, fraction_bits=bits - 2)) for bits in (8, 6, 4)),
    _nv(_float(2, 1, Specials.FINITE)),
    _nv(IntegerSpec(bits=4, narrow=True)),
)
_INTEGERS = tuple(IntegerSpec(bits=bits, signed=signed) for bits in (2, 4, 6, 8, 16, 32) for signed in (True, False))
_SPECS: tuple[Format, ...] = (*_INTEGERS, *_FLOATS, *_BLOCKS)
_CATALOG = {spec.name: spec for spec in _SPECS}

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


def names() -> tuple[str, ...]:
    """Return the names of the catalogued formats; `named` also takes those that follow a pattern."""
    return tuple(_CATALOG)


def named(name: str) -> Format:
    """Return the format of a name.

    Parameters
    ----------
    name : str
        A catalogued name (`names`), or one by a pattern: ``int5``, ``uint3``, ``int8_narrow``, ``fixed12_8`` (8
        fraction bits), ``minifloat_e3m4`` (every code finite), ``float8_e3m4``, ``float8_e4m3b11fnuz``, ``mxfp4_b16``
        (another block size), ``block16_int8_float8_e5m3fnu_amax``. Whatever a spec gives as its `name` is one.

    Raises
    ------
    TypeError
        If name is not a str.
    KeyError
        If there is no such format; the message has the close matches.
    ValueError
        If a pattern's width is out of its family's range.
    """
    if not isinstance(name, str):
        raise TypeError(f"the name of a format must be a str, not {name!r}")
    if name in _CATALOG:
        return _CATALOG[name]
    for pattern, build in _PATTERNS:
        match = pattern.fullmatch(name)
        spec = build(match) if match is not None else None
        if spec is not None:
            return spec
    close = difflib.get_close_matches(name, _CATALOG, n=4, cutoff=0.5)
    hint = f"did you mean {', '.join(close)}?" if close else f"the catalog has {', '.join(_CATALOG)}"
    raise KeyError(f"unknown format {name!r}: {hint}")


def _integer(match: re.Match[str]) -> IntegerSpec:
    return IntegerSpec(bits=int(match["bits"]), signed=not match["unsigned"], narrow=bool(match["narrow"]))


def _fixed(match: re.Match[str]) -> IntegerSpec:
    fraction = int(match["fraction"]) * (-1 if match["minus"] else 1)
    return IntegerSpec(
        bits=int(match["bits"]), signed=not match["unsigned"], narrow=bool(match["narrow"]), fraction_bits=fraction
    )


def _minifloat(match: re.Match[str]) -> FloatSpec | None:
    suffix, mark = match["specials"], match["mark"]
    minifloat = match["family"] == "minifloat"
    if minifloat and suffix:
        return None
    specials = Specials.FINITE if minifloat else {"": Specials.IEEE, "fn": Specials.FN, "fnuz": Specials.FNUZ}[suffix]
    bias = None if match["bias"] is None else int(match["bias"]) * (-1 if match["minus"] else 1)
    spec = _float(
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


def _scaled(match: re.Match[str]) -> BlockSpec | None:
    base = _CATALOG.get(match["family"] + match["element"])
    return replace(base, block_size=int(match["size"])) if isinstance(base, BlockSpec) else None


def _block(match: re.Match[str]) -> BlockSpec | None:
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


_PATTERNS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], Format | None]], ...] = (
    (_INTEGER, _integer),
    (_FIXED, _fixed),
    (_FLOAT, _minifloat),
    (_SCALED, _scaled),
    (_BLOCK, _block),
)
