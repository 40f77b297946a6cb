# SPDX-License-Identifier: Apache-2.0
"""Values, codes and definitions of formats in words."""

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from hwsim.formats import BlockSpec, FloatSpec, IntegerSpec, PhaseSpec, named
from hwsim.formats.codebook import CodebookSpec
from hwsim.formats.posit import PositSpec

__all__ = [
    "code_text",
    "definition",
    "value_text",
]

_LONGEST = 9
_SINGLE_LIMIT = 2.0**127


def value_text(value: complex | None) -> str:
    """Return a value as short as it can be said exactly: 0.0625, 13·2^-14; else as float32 or float64 print."""
    if value is None:
        return ""
    if isinstance(value, complex):
        return _complex(value)
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "inf" if value > 0 else "-inf"
    plain = f"{value:.12g}".replace("e+", "e")
    if float(plain) == value and len(plain.lstrip("-")) <= _LONGEST and "e" not in plain:
        return plain
    numerator, denominator = value.as_integer_ratio()
    twos = (abs(numerator) & -abs(numerator)).bit_length() - 1 if denominator == 1 else 1 - denominator.bit_length()
    odd = numerator >> twos if twos > 0 else numerator
    if abs(odd) < 1 << 10:
        return f"{'-' if odd < 0 else ''}{'' if abs(odd) == 1 else f'{abs(odd)}·'}2^{twos}"
    single = abs(value) < _SINGLE_LIMIT and float(np.float32(value)) == value
    return str(np.float32(value) if single else value).replace("e+", "e")


def _complex(value: complex) -> str:
    real = f"{value.real:g}" if value.real else ""
    imaginary = f"{value.imag:+g}i".replace("1i", "i") if value.imag else ""
    return (real + imaginary).removeprefix("+") or "0"


def code_text(code: int, bits: int) -> str:
    """Return a code in hexadecimal, as wide as the format."""
    return f"0x{code:0{-(-bits // 4)}x}"


def definition(spec: Any) -> list[str]:
    """Return how a code of the format is read, a line each.

    Raises
    ------
    TypeError
        If spec is of no known family.
    """
    for kind, describe in _DEFINITIONS:
        if isinstance(spec, kind):
            return describe(spec)
    raise TypeError(f"spec must be a format, not {spec!r}")


def _integer(spec: IntegerSpec) -> list[str]:
    kind = "two's complement" if spec.signed else "unsigned"
    integer = f"(integer - {spec.zero_point})".replace("- -", "+ ") if spec.zero_point else "integer"
    point = f" * 2^{-spec.fraction_bits}" if spec.fraction_bits else ""
    lines = [f"value = {integer}{point}, {kind}"]
    if spec.narrow:
        lines.append("encode leaves out the code without an opposite")
    return lines


def _float(spec: FloatSpec) -> list[str]:
    layout = f"{'s ' if spec.signed else ''}{'e' * spec.exp_bits} {'m' * spec.man_bits}".strip()
    sign = "(-1)^s * " if spec.signed else ""
    fraction = f" * (1 + m / {1 << spec.man_bits})" if spec.man_bits else ""
    lines = [f"code = {layout}", f"value = {sign}2^(e - {spec.bias}){fraction}".replace("- -", "+ ")]
    if spec.subnormals and spec.man_bits:
        lines.append(f"where e = 0: value = {sign}2^{1 - spec.bias} * m / {1 << spec.man_bits}")
    elif spec.subnormals:
        lines.append("where e = 0: value = 0")
    return lines


def _posit(spec: PositSpec) -> list[str]:
    return [
        f"code = s, regime (a run of equal bits and the bit that ends it), exponent of {spec.es} bits, fraction",
        f"value = 2^({1 << spec.es} * k + exponent) * 1.fraction; k = run - 1 for a run of ones, -run for zeros",
        "negative values are the two's complement; 1 0...0 is NaR",
        f"quire: {spec.quire_bits} bits",
    ]


def _codebook(spec: CodebookSpec) -> list[str]:
    lines = _logarithmic(spec) or [f"value = levels[code], ties: {spec.ties.value}"]
    if spec.boundaries is not None:
        boundaries = ", ".join(f"{value:.6g}" for value in spec.boundaries)
        lines.append(f"boundaries between the levels, to six digits: {boundaries}")
    return lines


def _logarithmic(spec: CodebookSpec) -> list[str]:
    """Return the rule of a codebook that rounds logarithms; empty for the others."""
    match = re.fullmatch(r"(log2|logsqrt2|shiftadd|sulq)_?\d+(.*)", spec.name)
    if match is None or not _is_named(spec):
        return []
    last = len(spec.levels) - 1
    if match[1] == "shiftadd":
        return [
            "code = s m; value = (-1)^s * 2^-m",
            f"encode to nearest: m = round(-log2 |v|), clipped to 0..{last >> 1}; zero goes to m = {last >> 1} (s = 0)",
        ]
    if match[1] == "sulq":
        eta, low, high = (part.replace("m", "-").replace("p", ".") for part in match[2].removeprefix("_").split("_"))
        return [
            f"d = ({high} - {low}) / {last}".replace("- -", "+ "),
            f"value = 2^round({low} + q * d) - {eta} for code q",
            f"encode to nearest: q = round((log2(v + {eta}) - {low}) / d), ".replace("- -", "+ ")
            + f"clipped to 0..{last}; ties to the even q",
        ]
    power, factor = ("-q", "") if match[1] == "log2" else ("(-q / 2)", "2 ")
    rounded = "" if match[1] == "log2" else ", rounded to float32"
    return [
        f"value = 2^{power} for code q < {last}{rounded}; code {last}, the last, stands for zero (ours)",
        f"encode to nearest: q = round(-{factor}log2 v), at least 0; where q >= {last}, and for v <= 0, code {last}",
    ]


def _is_named(spec: CodebookSpec) -> bool:
    """Return whether a codebook is the one that its name's pattern gives, and not one of a user."""
    try:
        return named(spec.name) == spec
    except (KeyError, ValueError):
        return False


def _phase(spec: PhaseSpec) -> list[str]:
    return [
        "value = i^code: 1, i, -1, -i",
        "encode: the phase nearest to that of the value; zero has phase 0; pi/4 goes to i, 3 pi/4 to -1,",
        "  -3 pi/4 to -i, -pi/4 to 1",
        "quantize_phase: value = re(phase) * scale_real + i * im(phase) * scale_imag, two float32 scales of a tensor:",
        "  scale_real the mean of |re| over the values whose phase is 1 or -1, scale_imag that of |im| over the others",
        "product with an activation x: conj(x) * w, a swap and a change of sign (phase_product)",
    ]


def _block(spec: BlockSpec) -> list[str]:
    above = " * scale of the tensor" if spec.tensor_scale else " * scale of the channel" if spec.channel_scale else ""
    names = " or ".join(element.name for element in spec.elements)
    element = f"(element - zero point) ({names})" if spec.zero_point else f"element ({names})"
    lines = [f"value = {element} * scale ({spec.scale.name}){above}{' (float32)' if above else ''}"]
    if spec.block_size and spec.block_rows > 1:
        shared = f"blocks of {spec.block_rows} x {spec.block_size} elements"
    elif spec.block_size:
        shared = f"{spec.block_size} elements along one axis"
    else:
        shared = "all elements along one axis" if spec.block_rows else "all elements of the tensor"
    return [*lines, f"{shared} share a scale; rule of the scale: {spec.rule.value}"]


_DEFINITIONS: tuple[tuple[type[Any], Callable[[Any], list[str]]], ...] = (
    (IntegerSpec, _integer),
    (FloatSpec, _float),
    (PositSpec, _posit),
    (CodebookSpec, _codebook),
    (PhaseSpec, _phase),
    (BlockSpec, _block),
)
