# SPDX-License-Identifier: Apache-2.0
"""Names of formats that follow a pattern, one function a pattern."""

import re
from collections.abc import Callable

from hwsim.formats import block_names, logarithmic
from hwsim.formats.block import BlockSpec
from hwsim.formats.codebook import CodebookSpec
from hwsim.formats.float import FloatSpec
from hwsim.formats.integer import IntegerSpec
from hwsim.formats.posit import PositSpec
from hwsim.formats.specials import Specials, usual_bias

__all__ = [
    "Format",
    "float_spec",
    "of_pattern",
]

Format = IntegerSpec | FloatSpec | PositSpec | CodebookSpec | BlockSpec
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
    return FloatSpec(
        exp_bits=exp_bits,
        man_bits=man_bits,
        bias=usual_bias(exp_bits, specials) if bias is None else bias,
        specials=specials,
        signed=signed,
        subnormals=signed or man_bits > 0 if subnormals is None else subnormals,
    )


_INTEGER = re.compile(r"(?P<unsigned>u?)int(?P<bits>\d{1,2})(?P<narrow>_narrow)?(?:_z(?P<zero>m?\d{1,19}))?")
_FIXED = re.compile(
    r"(?P<unsigned>u?)fixed(?P<bits>\d{1,2})_(?P<fraction>m?\d{1,4})(?P<narrow>_narrow)?(?:_z(?P<zero>m?\d{1,19}))?"
)
_P3109 = re.compile(
    r"binary(?P<bits>\d{1,2})p(?P<precision>\d{1,2})(?P<sign>[su])(?P<domain>[ef])(?:_b(?P<bias>m?\d{1,4}))?"
)
_FLOAT = re.compile(
    r"(?P<family>float(?P<total>\d{1,2})|minifloat)_e(?P<exp>\d{1,2})m(?P<man>\d{1,2})"
    r"(?:b(?P<bias>m?\d{1,4}))?"
    r"(?P<specials>fnuz|fn|)(?P<unsigned>u?)(?P<mark>_flat|_zero|_nan|)"
)
_POSIT = re.compile(r"posit(?P<bits>\d{1,2})_(?P<es>\d)")
_LOGARITHMIC = re.compile(r"(?P<kind>log2_|logsqrt2_|pot|apot|denseshift|shiftadd)(?P<bits>\d)")
_SULQ = re.compile(r"sulq(?P<bits>\d)_(?P<eta>[\dpem]+)_(?P<low>[\dpem]+)_(?P<high>[\dpem]+)")


def of_pattern(name: str, named: _Named) -> Format | None:
    """Return the format whose pattern a name follows, None if there is none; `named` looks up the names within it."""
    for pattern, build in _PATTERNS:
        match = pattern.fullmatch(name)
        spec = build(match, named) if match is not None else None
        if spec is not None:
            return spec
    return None


def _number(text: str | None) -> int:
    """Return a number of a name, in which m stands for minus; 0 where there is none."""
    return int((text or "0").replace("m", "-"))


def _integer(match: re.Match[str], _: _Named) -> IntegerSpec:
    return IntegerSpec(
        bits=int(match["bits"]),
        signed=not match["unsigned"],
        narrow=bool(match["narrow"]),
        zero_point=_number(match["zero"]),
    )


def _fixed(match: re.Match[str], _: _Named) -> IntegerSpec:
    return IntegerSpec(
        bits=int(match["bits"]),
        signed=not match["unsigned"],
        narrow=bool(match["narrow"]),
        fraction_bits=_number(match["fraction"]),
        zero_point=_number(match["zero"]),
    )


def _p3109(match: re.Match[str], _: _Named) -> FloatSpec | None:
    """Return a format of IEEE P3109 (interim report 4.0.3), or an extended one with another bias."""
    bits, precision, signed = int(match["bits"]), int(match["precision"]), match["sign"] == "s"
    finite = match["domain"] == "f"
    if finite and match["bias"]:
        return None
    if bits < 3:
        raise ValueError(f"format {match[0]!r} must have at least 3 bits, not {bits}")
    if not 1 <= precision <= bits - signed:
        raise ValueError(f"format {match[0]!r} must have a precision in 1..{bits - signed}, not {precision}")
    finite_specials = Specials.FNUZ if signed else Specials.FN
    exp_bits = bits - signed - precision + 1
    return FloatSpec(
        exp_bits=exp_bits,
        man_bits=precision - 1,
        bias=_number(match["bias"]) if match["bias"] else usual_bias(exp_bits, Specials.EXTENDED),
        specials=finite_specials if finite else Specials.EXTENDED,
        signed=signed,
    )


def _minifloat(match: re.Match[str], _: _Named) -> FloatSpec | None:
    suffix, mark = match["specials"], match["mark"]
    minifloat = match["family"] == "minifloat"
    if minifloat and suffix:
        return None
    specials = Specials.FINITE if minifloat else {"": Specials.IEEE, "fn": Specials.FN, "fnuz": Specials.FNUZ}[suffix]
    bias = None if match["bias"] is None else _number(match["bias"])
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
    plain = spec.signed or spec.man_bits > 0  # the kinds that have a zero unless they are flat
    if (mark == "_nan" and not spec.name.endswith(mark)) or (mark in ("_zero", "_flat") and spec.subnormals is plain):
        return None  # a mark that says nothing
    return spec


def _posit(match: re.Match[str], _: _Named) -> PositSpec:
    return PositSpec(bits=int(match["bits"]), es=int(match["es"]))


def _logarithmic(match: re.Match[str], _: _Named) -> CodebookSpec:
    build: Callable[[int], CodebookSpec] = getattr(logarithmic, match["kind"].rstrip("_"))
    return build(int(match["bits"]))


def _sulq(match: re.Match[str], _: _Named) -> CodebookSpec | None:
    try:
        numbers = [float(match[field].replace("m", "-").replace("p", ".")) for field in ("eta", "low", "high")]
    except ValueError:
        return None
    spec = logarithmic.sulq(int(match["bits"]), *numbers)
    return spec if spec.name == match[0] else None  # a number has one spelling, the shortest


_PATTERNS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], _Named], Format | None]], ...] = (
    (_INTEGER, _integer),
    (_FIXED, _fixed),
    (_FLOAT, _minifloat),
    (_P3109, _p3109),
    (_POSIT, _posit),
    (_LOGARITHMIC, _logarithmic),
    (_SULQ, _sulq),
    *block_names.PATTERNS,
)
