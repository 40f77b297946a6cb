# SPDX-License-Identifier: Apache-2.0
"""Names of block formats, read back: each function the inverse of a part of `BlockSpec.name`."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hwsim.formats.block import BlockSpec, Scalar, ScaleRule
from hwsim.formats.codebook import TERNARY, CodebookSpec, bitmod_options
from hwsim.formats.codes import check_int
from hwsim.formats.float import FloatSpec
from hwsim.formats.integer import IntegerSpec
from hwsim.formats.specials import Specials, usual_bias

__all__ = [
    "PATTERNS",
]

_Named = Callable[[str], Any]

_RULES = "|".join(rule.value for rule in ScaleRule)
_SIZE = r"(?:_b(?P<size>\d{1,5})|_(?P<rows>\d{1,5})x(?P<wide>\d{1,5}))"
_RULE = rf"(?:_(?P<rule>{_RULES}))?"
_FAMILY = re.compile(rf"(?P<base>(?:mx|nv)(?:fp4|fp\d{{1,2}}_e\d{{1,2}}m\d{{1,2}}|int\d{{1,2}})){_SIZE}?{_RULE}")
_BFP = re.compile(rf"bfp(?P<bits>\d{{1,2}})(?:_e(?P<exp>\d{{1,2}}))?{_SIZE}{_RULE}")
_WHOLE = re.compile(r"(?P<kind>dfp|qfx)(?P<bits>\d{1,2})")
_BITNET = re.compile(r"bitnet(?P<median>_median)?")
_BITMOD = re.compile(r"bitmod_fp(?P<bits>[34])_g(?P<size>\d{1,5})")
_GROUP = re.compile(r"(?P<unsigned>u?)int(?P<bits>\d{1,2})_g(?P<size>\d{1,5})")
_CODEBOOK = re.compile(r"(?P<element>[a-z]\w*)_b(?P<size>\d{1,5})")
_SPELT = re.compile(
    r"(?:block(?:(?P<rows>\d{1,5})x)?(?P<size>\d{1,5})|(?P<shared>channel|whole))_(?P<elements>.+)_"
    r"(?P<scale>(?:t|b)?float\d{1,2}(?:_e\w+?)?|minifloat_e\w+?|binary\d\w+?|u?int\d{1,2}(?:_narrow)?"
    rf"|u?fixed\d\w+?)_(?P<rule>{_RULES})(?P<above>_tensor|_channel)?"
)


def _sized(spec: BlockSpec, match: re.Match[str]) -> BlockSpec:
    """Return a spec with the block size and the rows that a name states."""
    size = match["wide"] or match["size"]
    if size is None:
        return spec
    rows = int(match["rows"] or 1)
    check_int("block_size", int(size), 1, 65536)  # for 0 has a meaning of its own in a spec
    check_int("block_rows", rows, 1, 65536)
    return replace(spec, block_size=int(size), block_rows=rows)


def _positive(size: str) -> int:
    check_int("block_size", int(size), 1, 65536)
    return int(size)


def _family(match: re.Match[str], named: _Named) -> BlockSpec | None:
    if match["base"] == match[0]:
        return None
    try:
        base = named(match["base"])
    except KeyError:
        return None
    if not isinstance(base, BlockSpec):
        return None
    rule = ScaleRule(match["rule"]) if match["rule"] else base.rule
    return replace(_sized(base, match), rule=rule)


def _shared_exponent(exp_bits: int) -> FloatSpec:
    return FloatSpec(
        exp_bits=exp_bits,
        man_bits=0,
        bias=usual_bias(exp_bits, Specials.FN),
        specials=Specials.FN,
        signed=False,
        subnormals=False,
    )


def _bfp(match: re.Match[str], _: _Named) -> BlockSpec | None:
    bits = int(match["bits"])
    spec = BlockSpec(
        element=IntegerSpec(bits=bits, narrow=bits > 1),
        scale=_shared_exponent(int(match["exp"] or 8)),
        block_size=1,
        tensor_scale=False,
        rule=ScaleRule(match["rule"] or "ocp_floor"),
    )
    return _sized(spec, match)


def _whole(match: re.Match[str], _: _Named) -> BlockSpec:
    return BlockSpec(
        element=IntegerSpec(bits=int(match["bits"])),
        scale=_shared_exponent(8),
        block_size=0,
        block_rows=0,
        tensor_scale=False,
        rule=ScaleRule.OCP_FLOOR if match["kind"] == "dfp" else ScaleRule.MSE,
    )


def _bitnet(match: re.Match[str], named: _Named) -> BlockSpec:
    return BlockSpec(
        element=TERNARY,
        scale=named("float32"),
        block_size=0,
        block_rows=0,
        tensor_scale=False,
        rule=ScaleRule.ABSMEDIAN if match["median"] else ScaleRule.ABSMEAN,
    )


def _bitmod(match: re.Match[str], _: _Named) -> BlockSpec:
    first, *others = bitmod_options(int(match["bits"]))
    return BlockSpec(
        element=first,
        others=tuple(others),
        scale=IntegerSpec(bits=8),
        block_size=_positive(match["size"]),
        tensor_scale=False,
        channel_scale=True,
        rule=ScaleRule.AMAX,
    )


def _group(match: re.Match[str], named: _Named) -> BlockSpec:
    bits, offset = int(match["bits"]), bool(match["unsigned"])
    element = IntegerSpec(bits=bits, signed=not offset, narrow=not offset and bits > 1)
    return BlockSpec(
        element=element,
        scale=named("float16"),
        block_size=_positive(match["size"]),
        tensor_scale=False,
        zero_point=offset,
        rule=ScaleRule.RANGE if offset else ScaleRule.AMAX,
    )


def _codebook(match: re.Match[str], named: _Named) -> BlockSpec | None:
    try:
        element = named(match["element"])
    except KeyError:
        return None
    if not isinstance(element, CodebookSpec):
        return None
    return BlockSpec(
        element=element,
        scale=named("float32"),
        block_size=_positive(match["size"]),
        tensor_scale=False,
        rule=ScaleRule.AMAX,
    )


def _spelt(match: re.Match[str], named: _Named) -> BlockSpec | None:
    try:
        scale = named(match["scale"])
        elements = tuple(named(element) for element in match["elements"].split("_or_"))
    except KeyError:
        return None
    scalars = all(isinstance(element, Scalar) for element in elements)
    if not scalars or not isinstance(scale, FloatSpec | IntegerSpec):
        return None
    rule = ScaleRule(match["rule"])
    return BlockSpec(
        element=elements[0],
        others=elements[1:],
        scale=scale,
        block_size=_positive(match["size"]) if match["size"] else 0,
        block_rows=0 if match["shared"] == "whole" else int(match["rows"] or 1),
        tensor_scale=match["above"] == "_tensor",
        channel_scale=match["above"] == "_channel",
        zero_point=rule is ScaleRule.RANGE,
        rule=rule,
    )


PATTERNS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], _Named], BlockSpec | None]], ...] = (
    (_FAMILY, _family),
    (_BFP, _bfp),
    (_WHOLE, _whole),
    (_BITNET, _bitnet),
    (_BITMOD, _bitmod),
    (_GROUP, _group),
    (_SPELT, _spelt),
    (_CODEBOOK, _codebook),
)
"""Regular expressions of whole names, and what builds the format, or says that there is none."""
