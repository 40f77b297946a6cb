# SPDX-License-Identifier: Apache-2.0
"""Units by name; those of real hardware are in `hwsim.datapath.hardware`.

Sources: head-room of 12 bits: van Baalen et al., arXiv:2303.17951. A float32 result of block-scaled dot products: OCP
Microscaling Formats 1.0, section 6.2.
"""

import difflib
import re
from functools import lru_cache

from hwsim import formats
from hwsim.datapath import hardware
from hwsim.datapath.unit import (
    DotProductUnit,
    ExactAlignment,
    FixedAccumulator,
    FloatAccumulator,
)
from hwsim.formats import BlockSpec, CodebookSpec, FloatSpec, Format, IntegerSpec, Overflow, PositSpec, Rounding

__all__ = [
    "comparable",
    "named",
    "names",
]

_NAME = re.compile(
    r"(?P<a>.+?)(?:_by_(?P<b>.+?))?(?:_l(?P<lanes>\d{1,4}))?"
    r"(?:_(?P<accumulator>int\d+|fixed\d+|quire|float\d+_e\d+m\d+|float(?:16|32|64)|bfloat16|tfloat32)(?P<saturate>_sat)?)?"
    r"(?:_to_(?P<output>[a-z0-9_]+?))?"
)
_HEADROOM_BITS = 12
_WIDEST_BITS = 63


def _scalar(name: str) -> FloatSpec:
    spec = formats.named(name)
    assert isinstance(spec, FloatSpec)
    return spec


def _float_accumulator(name: str = "float32") -> FloatAccumulator:
    spec = _scalar(name)
    return FloatAccumulator(
        format=spec, rounding=Rounding.NEAREST_EVEN, overflow=Overflow.INFINITY, result_man_bits=spec.man_bits
    )


_FP8 = ("e4m3", "e5m2")
_ALIASES = {f"hopper_{a}_{b}_float32": f"hopper_wgmma_m64n8k32_f32_{a}_{b}" for a in _FP8 for b in _FP8}


def names() -> tuple[str, ...]:
    """Return the names of the catalogued units, those of real hardware; `named` also takes names by its pattern.

    `hwsim.datapath.hardware_entries` has what is known of each.
    """
    return (*_ALIASES, *(entry.name for entry in hardware.entries()))


@lru_cache(maxsize=1)
def _hardware() -> dict[str, DotProductUnit]:
    return {entry.name: entry.unit for entry in hardware.entries()}


def named(name: str) -> DotProductUnit:
    """Return the unit of a name.

    Parameters
    ----------
    name : str
        A catalogued name (`names`): ``hopper_wgmma_m64n8k32_f32_e4m3_e4m3``, or ``hopper_e4m3_e4m3_float32`` for short;
        or ``FORMAT[_by_FORMAT][_lLANES][_ACCUMULATOR[_sat]][_to_FORMAT]``: ``int8``,
        ``int4_l16``, ``int8_int16_sat``, ``float8_e4m3fn_fixed49``, ``float8_e4m3fn_l4_float32``, ``int4_by_int8_l8``,
        ``float8_e4m3fn_float16_e6m9``, ``posit16_1_quire``, ``nvfp4``. Without lanes: 1, or the block of a block
        format. Without an accumulator: int32 for integers (wider where 12 bits of head-room need it), a fixed-point one
        of every product and 12 bits of head-room for floats where that is at most 63 bits wide, else float32; float32
        for block formats. The output is the accumulator itself, float32 for a fixed-point one of floats, or the posit
        for its quire.

    Raises
    ------
    TypeError
        If name is not a str.
    KeyError
        If there is no such unit or format; the message has the close matches.
    ValueError
        If the parts do not go together.
    """
    if not isinstance(name, str):
        raise TypeError(f"the name of a unit must be a str, not {name!r}")
    if _ALIASES.get(name, name) in _hardware():
        return _hardware()[_ALIASES.get(name, name)]
    match = _NAME.fullmatch(name)
    if match is None:
        form = "FORMAT[_by_FORMAT][_lLANES][_ACCUMULATOR][_to_FORMAT]"
        raise KeyError(f"unknown unit {name!r}: a unit is {form} or one that `hwsim units` lists")
    try:
        a = formats.named(match["a"])
        b = formats.named(match["b"]) if match["b"] else a
        output = formats.named(match["output"]) if match["output"] else None
    except KeyError as error:
        close = difflib.get_close_matches(name, names(), n=2, cutoff=0.6)
        hint = f"; or did you mean the unit {', '.join(close)}?" if close else ""
        raise KeyError(f"unknown unit {name!r}: {error.args[0]}{hint}") from None
    return _build(a, b, match, output)


def comparable(fmt: str, lanes: int) -> DotProductUnit:
    """Return the unit that stands for a format where formats are compared: all alike but for what the format asks for.

    Products are added exactly. Scalar formats get a fixed-point (or integer) register that holds every product and 12
    bits of head-room, block formats, and floats too wide for that, a float32 register. Every one gives d in float32.

    Raises
    ------
    KeyError, ValueError
        As `named`; and if the format, or the element of a block format, cannot hold values of both signs.
    """
    spec = formats.named(fmt)
    held = spec.element if isinstance(spec, BlockSpec) else spec
    if not held.min_value < 0 < held.max_value:
        raise ValueError(
            f"a compared format must hold values of both signs, and {fmt} holds {held.min_value:g}..{held.max_value:g}"
        )
    needed = _fixed_bits(spec, spec)
    accumulator = _float_accumulator() if needed is None else _fixed(spec, spec, needed, Overflow.WRAP)
    return _unit(spec, spec, lanes, accumulator, _scalar("float32"))


def _build(a: Format, b: Format, match: re.Match[str], output: Format | None) -> DotProductUnit:
    """Fill in what a name leaves out."""
    blocks = [spec.block_size or 1 for spec in (a, b) if isinstance(spec, BlockSpec)]
    lanes = int(match["lanes"]) if match["lanes"] else min(blocks, default=1)
    overflow = Overflow.SATURATE if match["saturate"] else Overflow.WRAP
    wanted = match["accumulator"]
    accumulator: FixedAccumulator | FloatAccumulator
    integers = isinstance(a, IntegerSpec) and isinstance(b, IntegerSpec)
    if wanted is None:
        needed = _fixed_bits(a, b)
        if needed is None:
            accumulator = _float_accumulator()
        else:
            accumulator = _fixed(a, b, max(needed, 32) if integers else needed, overflow)
    elif wanted == "quire":
        accumulator = _quire(a, b, overflow)
        output = a if output is None else output
    elif "float" in wanted:
        if match["saturate"]:
            raise ValueError(f"unit {match[0]!r} asks for a float accumulator that saturates, which a name cannot say")
        accumulator = _float_accumulator(wanted)
    else:
        accumulator = _fixed(a, b, int(wanted.removeprefix("int").removeprefix("fixed")), overflow)
    if output is None:
        fixed_floats = isinstance(accumulator, FixedAccumulator) and not integers
        output = _scalar("float32") if fixed_floats else accumulator.format
    if isinstance(output, BlockSpec):
        raise ValueError(f"the output of a unit must be a scalar format, not {output.name}")
    if isinstance(output, CodebookSpec):
        raise ValueError(f"the output of a unit must be an integer, a float or a posit, not {output.name}")
    return _unit(a, b, lanes, accumulator, output)


def _unit(
    a: Format,
    b: Format,
    lanes: int,
    accumulator: FixedAccumulator | FloatAccumulator,
    output: IntegerSpec | FloatSpec | PositSpec,
) -> DotProductUnit:
    plain = not isinstance(output, FloatSpec) or not (output.has_inf or output.has_nan)
    return DotProductUnit(
        a=a,
        b=b,
        lanes=lanes,
        alignment=ExactAlignment(),
        accumulator=accumulator,
        output=output,
        overflow=Overflow.SATURATE if plain else Overflow.INFINITY,
    )


def _quire(a: Format, b: Format, overflow: Overflow) -> FixedAccumulator:
    """Return the exact accumulator of the Posit Standard (2022), section 3.2."""
    if not isinstance(a, PositSpec) or a != b:
        raise ValueError(f"a quire must be that of one posit format, not of {a.name} and {b.name}")
    return FixedAccumulator(bits=a.quire_bits, fraction_bits=a.quire_fraction_bits, overflow=overflow)


def _fixed(a: Format, b: Format, bits: int, overflow: Overflow) -> FixedAccumulator:
    if isinstance(a, BlockSpec) or isinstance(b, BlockSpec):
        raise ValueError(
            "the accumulator of a block format must be a float: its scales spread too far for a fixed point"
        )
    return FixedAccumulator(bits=bits, fraction_bits=-(a.exp_min + b.exp_min), overflow=overflow)


def _fixed_bits(a: Format, b: Format) -> int | None:
    """Return the width of a register for every product, a sign and the head-room; None where only a float will do."""
    if isinstance(a, BlockSpec) or isinstance(b, BlockSpec):
        return None
    largest = a.max_significand * b.max_significand << (a.exp_max + b.exp_max - a.exp_min - b.exp_min)
    bits = largest.bit_length() + 1 + _HEADROOM_BITS
    return bits if bits <= _WIDEST_BITS else None
