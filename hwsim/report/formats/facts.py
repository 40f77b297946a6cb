# SPDX-License-Identifier: Apache-2.0
"""What there is to say of a format: its fields, its range, its special codes, and how densely its values lie."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.formats import AnyFormat, BlockSpec, IntegerSpec, Overflow, Rounding, named
from hwsim.formats.catalog import Entry, entries
from hwsim.formats.posit import PositSpec

__all__ = [
    "LISTED_BITS",
    "NEVER_MADE",
    "Binade",
    "Facts",
    "all_values",
    "bits_per_element",
    "element",
    "elements",
    "ends",
    "entry_of",
    "facts",
    "families",
    "family",
    "json_number",
    "landmarks",
    "never_made",
    "runs",
]

LISTED_BITS = 16  # the codes of wider formats are not listed
NEVER_MADE = "decoded, never made"
_UNSAID = ("name", "levels")
_TABLE_BITS = 8  # up to this width the facts as JSON hold every code unasked


@dataclass(frozen=True, slots=True, kw_only=True)
class Binade:
    """How many positive values lie in [2**exponent, 2**(exponent + 1))."""

    exponent: int
    count: int

    @property
    def significant_bits(self) -> float:
        """Bits of a significand, its leading one included, that lie as densely: 1 + log2(count)."""
        return 1 + math.log2(self.count)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What there is to say of a format.

    largest, lowest, smallest : the largest and the most negative finite value, and the smallest positive one; of a
        block format with the most extreme scales, without what is above them; None where values are not real
    specials : what the codes that are not ordinary numbers are; of a block format those of its elements
    binades : of the positive values, from the smallest magnitude; of a block format under a scale of one
    rounding, overflow : the rules that `encode` takes; none for a block format, where they are its element's
    """

    entry: Entry
    fields: dict[str, Any]
    bits_per_element: float
    largest: float | None
    lowest: float | None
    smallest: float | None
    specials: dict[str, str]
    binades: tuple[Binade, ...]
    rounding: tuple[str, ...]
    overflow: tuple[str, ...]

    def as_dict(self, *, codes: bool = False) -> dict[str, Any]:
        """Return JSON-ready values; every code's value too where asked for, or where there are at most 256."""
        spec = self.entry.spec
        inner = element(spec)
        found: dict[str, Any] = {
            "name": spec.name,
            "family": self.entry.family,
            "summary": self.entry.summary,
            "source": self.entry.source,
            "aliases": list(self.entry.aliases),
            "bits": spec.bits,
            "bits_per_element": self.bits_per_element,
            "fields": self.fields,
            "largest": self.largest,
            "lowest": self.lowest,
            "smallest_positive": self.smallest,
            "specials": self.specials,
            "rounding": list(self.rounding),
            "overflow": list(self.overflow),
            "binades": [
                {"exponent": b.exponent, "values": b.count, "significant_bits": b.significant_bits}
                for b in self.binades
            ],
        }
        if codes or inner.bits <= _TABLE_BITS:
            found["values"] = [json_number(value) for value in all_values(spec).tolist()]
            if len(elements(spec)) > 1:
                found["element_values"] = {
                    each.name: [json_number(value) for value in all_values(each).tolist()] for each in elements(spec)
                }
        return found


def facts(name: str | AnyFormat) -> Facts:
    """Return the facts of a format.

    Raises
    ------
    KeyError, ValueError
        As `hwsim.formats.named`.
    """
    entry = entry_of(name)
    spec = entry.spec
    inner = element(spec)
    largest, lowest, smallest = ends(spec)
    return Facts(
        entry=entry,
        fields=_fields(spec),
        bits_per_element=bits_per_element(spec),
        largest=largest,
        lowest=lowest,
        smallest=smallest,
        specials=_specials(inner),
        binades=_binades(inner),
        rounding=_rules(inner, Rounding) if inner is spec else (),
        overflow=_rules(inner, Overflow) if inner is spec else (),
    )


def entry_of(name: str | AnyFormat) -> Entry:
    """Return the catalog's entry of a format, or one made up for a format that only a pattern names."""
    known = next((entry for entry in entries() if name in (entry.name, *entry.aliases)), None)
    if known is not None:
        return known
    spec = named(name) if isinstance(name, str) else name
    known = next((entry for entry in entries() if entry.spec == spec), None)
    if known is not None:
        return known
    family_name = next((entry.family for entry in entries() if type(entry.spec) is type(spec)), "format")
    return Entry(
        name=spec.name, spec=spec, family=family_name, summary=f"{family_name} format, by its name's pattern", source=""
    )


def families() -> tuple[str, ...]:
    """Return the catalog's families, in its order."""
    return tuple(dict.fromkeys(entry.family for entry in entries()))


def family(name: str | None) -> tuple[Entry, ...]:
    """Return the entries of a family, or all.

    Raises
    ------
    KeyError
        If there is no such family; the message has them all.
    """
    if name is None:
        return entries()
    if name not in families():
        raise KeyError(f"unknown family {name!r}: the catalog has {', '.join(families())}")
    return tuple(entry for entry in entries() if entry.family == name)


def element(spec: AnyFormat) -> Any:
    """Return the scalar format of a block format's elements, or the format itself."""
    return spec.element if isinstance(spec, BlockSpec) else spec


def elements(spec: AnyFormat) -> tuple[Any, ...]:
    """Return the scalar formats that the elements of a block format can have, or the format itself."""
    return spec.elements if isinstance(spec, BlockSpec) else (spec,)


def never_made(spec: AnyFormat) -> list[int]:
    """Return the codes of finite values, of a block format's elements, that `encode` never makes.

    Such as that of -128 in a narrow range, or a second zero; of formats of more than 16 bits that of a narrow range.
    """
    inner = element(spec)
    if _is_complex(inner):
        return []
    if inner.bits > LISTED_BITS:
        narrow = isinstance(inner, IntegerSpec) and inner.narrow
        return [1 << (inner.bits - 1) if inner.signed else (1 << inner.bits) - 1] if narrow else []
    codes = np.arange(1 << inner.bits, dtype=np.uint32)
    values = inner.decode(codes)
    finite = np.isfinite(values)
    made = np.unique(inner.encode(values[finite]))
    return [int(code) for code in codes[finite & ~np.isin(codes, made)]]


def bits_per_element(spec: AnyFormat) -> float:
    """Return the stored bits of an element with its share of what a block stores."""
    return float(getattr(spec, "bits_per_element", spec.bits))


def all_values(spec: AnyFormat) -> NDArray[Any]:
    """Return the value of each code, of a block format's elements, in the order of the codes.

    Raises
    ------
    ValueError
        If the codes have more than 16 bits.
    """
    inner = element(spec)
    if inner.bits > LISTED_BITS:
        raise ValueError(f"codes are listed for formats of up to {LISTED_BITS} bits, not {spec.name} of {inner.bits}")
    return np.asarray(inner.decode(np.arange(1 << inner.bits, dtype=np.uint32)))


def json_number(value: complex) -> float | str:
    """Return a number as JSON has it: what is not a finite real one becomes Python's text of it."""
    if isinstance(value, complex):
        return str(value)
    return float(value) if math.isfinite(value) else str(float(value))


@lru_cache(maxsize=256)
def _positives(spec: Any) -> NDArray[np.float64] | None:
    """Return the distinct positive finite values in order; None for a wide format, or one whose values are not real."""
    if spec.bits > LISTED_BITS:
        return None
    values = all_values(spec)
    return None if np.iscomplexobj(values) else np.unique(values[np.isfinite(values) & (values > 0)])


def _is_complex(spec: Any) -> bool:
    return not hasattr(spec, "max_value")


def _smallest(spec: Any) -> float:
    """Return the smallest positive value of a scalar format."""
    if isinstance(spec, PositSpec):
        return spec.min_positive  # without the half second that decoding takes to load its kernel
    if isinstance(spec, IntegerSpec):
        return 2.0**-spec.fraction_bits
    values = _positives(spec)
    first = spec.decode(np.array([0, 1])) if values is None else values
    return float(min(value for value in first.tolist() if value > 0))


def ends(spec: AnyFormat) -> tuple[float | None, float | None, float | None]:
    """Return the largest, the lowest and the smallest positive value; None where values are not real."""
    inner = element(spec)
    if _is_complex(inner):
        return None, None, None
    if not isinstance(spec, BlockSpec):
        return float(inner.max_value), float(inner.min_value), _smallest(inner) if inner.max_value > 0 else None
    largest = max(float(each.max_value) for each in spec.elements)
    lowest = min(float(each.min_value) for each in spec.elements)
    smallest = min(_smallest(each) for each in spec.elements)
    high, low = float(spec.scale.max_value), _smallest(spec.scale)
    if spec.zero_point:  # any code can stand for zero
        return (largest - lowest) * high, (lowest - largest) * high, low
    return largest * high, lowest * (high if lowest < 0 else low), smallest * low


def landmarks(spec: AnyFormat) -> list[tuple[str, int, float]]:
    """Return what, code and value of a scalar format's (or an element's) notable codes, in the order of the values."""
    inner = element(spec)
    if _is_complex(inner):
        return []
    wanted = {"lowest": inner.min_value, "smallest positive": _smallest(inner), "one": 1.0, "largest": inner.max_value}
    codes = {what: int(inner.encode(np.array([value]))[0]) for what, value in wanted.items()}
    found = []
    for what, code in codes.items():
        value = float(inner.decode(np.array([code]))[0])
        if value == wanted[what]:
            found.append((what, code, value))
    return found


def _fields(spec: Any) -> dict[str, Any]:
    """Return a spec's fields as JSON-ready values; the levels of a codebook are its values."""
    return {field.name: _plain(getattr(spec, field.name)) for field in fields(spec) if field.name not in _UNSAID}


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value):
        return getattr(value, "name", str(value))
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return json_number(value) if isinstance(value, float | complex) else value


def _specials(spec: Any) -> dict[str, str]:
    """Return what the codes are that are no ordinary numbers."""
    if spec.bits > LISTED_BITS:
        candidates = [0, 1 << (spec.bits - 1), getattr(spec, "nan_code", -1), getattr(spec, "inf_code", -1)]
        codes = np.array(sorted({code for code in candidates if code >= 0}), np.uint64)
    else:
        codes = np.arange(1 << spec.bits, dtype=np.uint64)
    values = spec.decode(codes)
    if np.iscomplexobj(values):
        return {}
    zero = values == 0
    kinds = {
        "NaN": np.isnan(values),
        "infinity": values == np.inf,
        "negative infinity": values == -np.inf,
        "zero": zero & ~np.signbit(values),
        "negative zero": zero & np.signbit(values),
    }
    found = {kind: codes[mask].tolist() for kind, mask in kinds.items()} | {NEVER_MADE: never_made(spec)}
    return {kind: _codes(spec.bits, listed) for kind, listed in found.items() if listed}


def _codes(bits: int, codes: list[int]) -> str:
    """Return codes as text, runs of them by their ends."""
    digits = -(-bits // 4)
    runs: list[list[int]] = []
    for code in codes:
        if runs and code == runs[-1][-1] + 1:
            runs[-1][1:] = [code]
        else:
            runs.append([code])
    return ", ".join(" to ".join(f"0x{code:0{digits}x}" for code in run) for run in runs)


@lru_cache(maxsize=256)
def _binades(spec: Any) -> tuple[Binade, ...]:
    """Count the positive values of a scalar format, binade by binade."""
    if _is_complex(spec):
        return ()
    values = _positives(spec)
    if values is not None:
        exponents, counts = np.unique(np.frexp(values)[1] - 1, return_counts=True)
        return tuple(Binade(exponent=int(e), count=int(n)) for e, n in zip(exponents, counts, strict=True))
    if isinstance(spec, IntegerSpec):
        top = spec.max_int - spec.zero_point
        sizes = [min(2 << e, top + 1) - (1 << e) for e in range(top.bit_length())]
        return tuple(Binade(exponent=e - spec.fraction_bits, count=size) for e, size in enumerate(sizes))
    # In the other wide formats (floats, posits) the codes of positive values are 1 and up, in the order of the values.
    last = int(spec.encode(np.array([spec.max_value]))[0])
    ends = [int(np.frexp(value)[1]) - 1 for value in (_smallest(spec), spec.max_value)]
    exponents = np.arange(ends[0], ends[1] + 1)
    starts = _first(spec, np.ldexp(1.0, exponents), last)
    counts = np.diff(starts, append=last + 1)
    return tuple(Binade(exponent=int(e), count=int(n)) for e, n in zip(exponents, counts, strict=True) if n)


def _first(spec: Any, values: NDArray[np.float64], last: int) -> NDArray[np.int64]:
    """Return the first positive code whose value is not below each value, last + 1 if there is none."""
    low = np.ones(values.shape, np.int64)
    high = np.full(values.shape, last + 1)
    for _ in range(spec.bits):
        middle = low + (high - low) // 2
        there = spec.decode(np.minimum(middle, last).astype(np.uint64)) >= values
        high = np.where(there | (middle > last), middle, high)
        low = np.where(there | (middle > last), low, np.minimum(middle + 1, high))
    return high


def _rules(spec: Any, kind: type[Rounding] | type[Overflow]) -> tuple[str, ...]:
    """Return the rounding or overflow rules that a format's `encode` takes, found by trying."""
    return tuple(rule.value for rule in kind if _takes(spec, rule))


def _takes(spec: Any, rule: Rounding | Overflow) -> bool:
    one = np.array([1.0])
    try:
        if isinstance(rule, Overflow):
            spec.encode(one, overflow=rule)
        elif rule.value == "stochastic":
            spec.encode(one, rule, random=np.zeros(1, np.uint32), random_bits=8)
        else:
            spec.encode(one, rule)
    except (TypeError, ValueError):
        return False
    return True


def runs(binades: Iterable[Binade]) -> list[tuple[Binade, Binade]]:
    """Return the first and last binade of each run of neighbours with as many values."""
    found: list[tuple[Binade, Binade]] = []
    for binade in binades:
        if found and found[-1][1].exponent + 1 == binade.exponent and found[-1][1].count == binade.count:
            found[-1] = (found[-1][0], binade)
        else:
            found.append((binade, binade))
    return found
