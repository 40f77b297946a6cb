# SPDX-License-Identifier: Apache-2.0
"""Tables that decoders and encoders are held to: every code, and both sides of every step of a format's rounding."""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim import formats
from hwsim.formats import (
    BlockSpec,
    CodebookSpec,
    FloatSpec,
    IntegerSpec,
    Overflow,
    PhaseSpec,
    PositSpec,
    Rounding,
    Specials,
)
from hwsim.formats.block import Scalar
from hwsim.formats.codebook import CODEBOOKS
from hwsim.formats.codes import NAN, NEGATIVE_INFINITY
from hwsim.formats.logarithmic import apot, denseshift, log2, logsqrt2, pot, shiftadd
from hwsim.formats.specials import usual_bias
from rtl.datapath.layouts import operand_layout, operand_raw
from rtl.formats import BlockDecoder, Decoder, Encoder, PhaseDecoder, PhaseEncoder
from rtl.formats.block import check_block, scaled_layout, scaled_raw
from rtl.formats.conversion import FLOAT32
from rtl.part import Part
from rtl.verilog import parts_verilog
from testbenches.tables import Column, Table, TableReport, compare

__all__ = [
    "Work",
    "block_work",
    "blocks",
    "check",
    "decoder_work",
    "encoder_work",
    "phase_works",
    "round_trip_work",
    "rules",
    "scalars",
    "steps",
]

_MODES = tuple(Rounding)


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Parts by the name of their module, and the table that they are held to."""

    parts: dict[str, Part]
    table: Table

    @property
    def compared(self) -> int:
        """Rows times modules."""
        return self.table.rows * len(self.parts)


def check(works: Sequence[Work], simulator: str | None = None) -> TableReport:
    """Write the Verilog of all parts, simulate it, and compare; raise where an output differs."""
    parts = {name: part for work in works for name, part in work.parts.items()}
    return compare([work.table for work in works], list(parts_verilog(parts).values()), simulator=simulator)


def scalars(most_bits: int = 16) -> tuple[Scalar, ...]:
    """Return the scalar formats that have decoders and encoders: those of the catalog, and more that follow a pattern.

    These are all floats of 3 to 8 bits with the usual biases and each kind of specials (P3109's among them), integers
    of 2 to 16 bits, posits and codebooks.
    """
    found = [formats.named(name) for name in formats.names()]
    found += [IntegerSpec(bits=bits, signed=signed) for bits in range(2, 17) for signed in (True, False)]
    found += [IntegerSpec(bits=8, signed=False, zero_point=128), IntegerSpec(bits=8, fraction_bits=5, zero_point=-7)]
    found += [PositSpec(bits=bits, es=es) for bits, es in ((4, 1), (6, 1), (8, 0), (8, 1), (8, 2), (16, 1), (16, 2))]
    found += [*CODEBOOKS, log2(4), log2(6), logsqrt2(4), pot(4), denseshift(4), shiftadd(4), apot(5)]
    for bits, exp_bits, specials, signed in product(range(3, 9), range(1, 8), Specials, (True, False)):
        usual = usual_bias(exp_bits, specials)
        with contextlib.suppress(ValueError):  # not every kind of specials has room in every format
            man_bits = bits - exp_bits - signed
            found.append(FloatSpec(exp_bits=exp_bits, man_bits=man_bits, bias=usual, specials=specials, signed=signed))
    unique = {spec.name: spec for spec in found if isinstance(spec, Scalar) and spec.bits <= most_bits}
    return tuple(unique.values())


def blocks() -> tuple[BlockSpec, ...]:
    """Return the block formats of the catalog that have a decoder."""
    found = (formats.named(name) for name in formats.names())
    return tuple(spec for spec in found if isinstance(spec, BlockSpec) and _has_decoder(spec))


def _has_decoder(spec: BlockSpec) -> bool:
    try:
        check_block(spec)
    except ValueError:
        return False
    return True


def rules(spec: Scalar) -> tuple[Overflow, ...]:
    """Return the overflow rules that a format's `encode` takes."""
    return tuple(rule for rule in Overflow if _takes(spec, rule))


def _takes(spec: Scalar, rule: Overflow) -> bool:
    try:
        spec.encode(0.0, Rounding.TOWARD_ZERO, rule)
    except ValueError:
        return False
    return True


def decoder_work(spec: Scalar) -> Work:
    """Return a format's decoder and all its codes, unpacked by the model."""
    codes = np.arange(1 << spec.bits)
    parts = spec.unpack(codes)
    layout = operand_layout(spec)
    finite = parts.special == 0
    whole = isinstance(spec, IntegerSpec)
    # The sign of a zero is lost in the model, and a posit's zero has no exponent.
    counts = finite & ((parts.significand != 0) | (not isinstance(spec, PositSpec)))
    fields: dict[str, tuple[NDArray[Any], NDArray[np.bool_]]] = {
        "significand": (parts.significand if whole else np.abs(parts.significand), finite),
        "exponent": (parts.exponent - operand_raw(spec).offset, counts),
        "negative": (
            ((parts.significand < 0) & (not whole)) | (parts.special == NEGATIVE_INFINITY),
            np.where(finite, parts.significand != 0, parts.special != NAN),
        ),
        "nan": (parts.special == NAN, np.ones(codes.size, np.bool_)),
        "infinite": ((parts.special != 0) & (parts.special != NAN), np.ones(codes.size, np.bool_)),
    }
    outputs = {}
    for name, field in layout:
        values, care = fields[name]
        if field.width:
            outputs[name] = Column(bits=field.width, values=values.astype(np.int64), care=care)
        elif name != "exponent":
            assert not np.any(values[care]), f"{spec.name} has no field for {name}"
    module = f"decode_{spec.name}"
    table = Table(inputs={"code": Column(bits=spec.bits, values=codes)}, outputs={module: outputs})
    return Work(parts={module: Decoder(spec)}, table=table)


def block_work(spec: BlockSpec) -> Work:
    """Return a block format's decoder, and all codes of an element with all of its scale; beyond 16 bits, a sample."""
    assert isinstance(spec.scale, FloatSpec)
    if spec.element.bits + spec.scale.bits <= 16:
        both = np.arange(1 << (spec.element.bits + spec.scale.bits))
        code, scale = both & ((1 << spec.element.bits) - 1), both >> spec.element.bits
    else:
        code, scale = (_sample(each.bits, seed) for seed, each in enumerate((spec.element, spec.scale)))
    element_parts, scale_parts = spec.element.unpack(code), spec.scale.unpack(scale)
    with np.errstate(invalid="ignore"):
        values = spec.element.decode(code) * spec.scale.decode(scale)
    finite = np.isfinite(values)
    layout = scaled_layout(spec)
    whole = isinstance(spec.element, IntegerSpec)  # its own sign is in the significand, that of the scale beside it
    size = np.abs(scale_parts.significand)
    significand = (element_parts.significand if whole else np.abs(element_parts.significand)) * size
    negative = scale_parts.significand < 0 if whole else values < 0
    exponent = element_parts.exponent + scale_parts.exponent - scaled_raw(spec).offset
    fields = {
        "significand": (significand, finite),
        "exponent": (exponent, finite & ((significand != 0) | (not isinstance(spec.element, PositSpec)))),
        "negative": (negative, ~np.isnan(values) & (values != 0)),
        "nan": (np.isnan(values), np.ones(code.size, np.bool_)),
        "infinite": (np.isinf(values), np.ones(code.size, np.bool_)),
    }
    outputs = {
        name: Column(bits=field.width, values=fields[name][0].astype(np.int64), care=fields[name][1])
        for name, field in layout
        if field.width
    }
    module = f"decode_{spec.name}"
    inputs = {"code": Column(bits=spec.element.bits, values=code), "scale": Column(bits=spec.scale.bits, values=scale)}
    return Work(parts={module: BlockDecoder(spec)}, table=Table(inputs=inputs, outputs={module: outputs}))


def _sample(bits: int, seed: int) -> NDArray[np.int64]:
    """Return 2**14 codes at random, the ends of the range among them."""
    codes = np.random.default_rng(seed).integers(0, 1 << bits, 1 << 14)
    top = 1 << (bits - 1)
    ends = [0, 1, top - 1, top, top + 1, 2 * top - 1]
    codes[: 1 << 8] = np.random.default_rng(seed + 9).choice(ends, 1 << 8)
    return codes


def phase_works(source: FloatSpec = FLOAT32) -> tuple[Work, Work]:
    """Return the decoder of phases with all codes, and the encoder with pairs of parts, most of them on diagonals."""
    spec = PhaseSpec()
    codes = np.arange(4)
    values = spec.decode(codes)
    outputs = {
        name: Column(bits=2, values=part.astype(np.int64)) for name, part in (("re", values.real), ("im", values.imag))
    }
    decoder = Table(inputs={"code": Column(bits=2, values=codes)}, outputs={"decode_phase4": outputs})
    top = 1 << (source.bits - 1)
    sizes = np.random.default_rng(3).integers(1, source.max_magnitude_code, 60)
    sizes = np.unique(np.concatenate([[0, 1, source.max_magnitude_code], sizes, sizes + 1, sizes - 1]))
    both = np.concatenate([sizes, sizes | top])
    re, im = (each.reshape(-1) for each in np.meshgrid(both, both))
    expected = spec.encode(source.decode(re) + 1j * source.decode(im)).astype(np.int64)
    module = f"encode_phase4_from_{source.name}"
    encoder = Table(
        inputs={"re": Column(bits=source.bits, values=re), "im": Column(bits=source.bits, values=im)},
        outputs={module: {"code": Column(bits=2, values=expected)}},
    )
    return (
        Work(parts={"decode_phase4": PhaseDecoder()}, table=decoder),
        Work(parts={module: PhaseEncoder(source)}, table=encoder),
    )


def steps(spec: Scalar, source: FloatSpec, most: int = 0, seed: int = 1) -> NDArray[np.int64]:
    """Return codes of the source around every value at which some rounding of a format changes, and its special ones.

    They are the values of the format, the means of neighbours, for a posit those of one more bit, for a codebook its
    thresholds, and what is beyond the largest; of each, where the source has no such value, the two next to it; and of
    these the neighbours. With `most`, so many of them at random. Codes at random come on top. NaN is among them only
    if the format has one, infinities only if `encode` takes them with any of its rules.
    """
    values = spec.decode(np.arange(1 << spec.bits))
    values = np.unique(values[np.isfinite(values)])
    largest, lowest = float(values[-1]), float(values[0])
    last = largest - float(values[-2])
    ends = [largest + last / 2, largest + last, 2 * largest, lowest - last / 2, lowest - last, 2 * lowest]
    points = [values, values[:-1] / 2 + values[1:] / 2, np.array(ends), values[values != 0] / 2]
    if isinstance(spec, PositSpec):
        between = replace(spec, bits=spec.bits + 1)
        points.append(between.decode(np.arange(1 << between.bits)))
    elif isinstance(spec, CodebookSpec):
        points += [spec.thresholds(mode)[0] for mode in Rounding if mode is not Rounding.STOCHASTIC]
    points = [np.concatenate(points)]
    exact = np.unique(points[0][np.isfinite(points[0])])
    generator = np.random.default_rng(seed)
    if 0 < most < exact.size:
        exact = generator.choice(exact, most, replace=False)
    top = 1 << (source.bits - 1)
    near = np.concatenate([source.encode(exact, mode, "infinity").astype(np.int64) for mode in ("down", "up")])
    magnitude, sign = near & (top - 1), near & top
    moved = [np.clip(magnitude + step, 0, source.inf_code) | sign for step in (-1, 0, 1)]
    special = [0, 1, 1 << source.man_bits, source.max_magnitude_code, source.inf_code]
    special += [source.inf_code + 1, source.nan_code, top - 1]
    more = most or 500
    chance = generator.integers(0, 1 << source.bits, more)
    # As many near one, where most formats have their values.
    around = source.encode(generator.normal(0, max(abs(largest), 1e-30) / 4, more)).astype(np.int64)
    codes = np.unique(np.concatenate([*moved, special, [each | top for each in special], chance, around]))
    return codes if spec.has_nan else codes[codes & (top - 1) <= source.inf_code]


def encoder_work(
    spec: Scalar,
    source: FloatSpec = FLOAT32,
    *,
    codes: NDArray[np.int64] | None = None,
    modes: Iterable[Rounding] = _MODES,
    random_bits: int = 8,
    most: int = 0,
) -> Iterator[Work]:
    """Give a format's encoders for some rounding modes and all its overflow rules, and what the model encodes.

    Stochastic rounding gets words at random beside the smallest and the largest one.
    """
    rows = steps(spec, source, most) if codes is None else codes
    for wraps in (False, True):
        # Where an integer wraps, an infinity is no value.
        taken = rows[(rows & ((1 << (source.bits - 1)) - 1)) != source.inf_code] if wraps else rows
        kinds = [rule for rule in rules(spec) if (rule is Overflow.WRAP) == wraps]
        values = source.decode(taken)
        known = [mode for mode in modes if mode is not Rounding.STOCHASTIC]
        if kinds and known:
            yield _work(spec, source, taken, values, product(known, kinds))
        if kinds and Rounding.STOCHASTIC in modes:
            random = np.random.default_rng(2).integers(0, 1 << random_bits, taken.size)
            random[::5], random[1::5] = 0, (1 << random_bits) - 1
            both = product([Rounding.STOCHASTIC], kinds)
            yield _work(spec, source, taken, values, both, (random, random_bits))


def round_trip_work(spec: Scalar, source: FloatSpec = FLOAT32) -> Work:
    """Return a format's encoder, the value of each code, and the code itself: no `encode` of the model is in it.

    Left out are the codes that no value leads back to: all NaNs but one, repeated levels of a codebook, and what a
    narrow integer leaves out.
    """
    codes = np.arange(1 << spec.bits)
    values = spec.decode(codes)
    _, first = np.unique(np.stack([values, np.signbit(values)]), axis=1, return_index=True)
    kept = np.isin(codes, first) & ~np.isnan(values)
    if isinstance(spec, IntegerSpec):
        kept &= (values >= spec.min_value) & (values <= spec.max_value)
    raw = source.encode(values).astype(np.int64)
    kept &= source.decode(raw) == values
    if spec.has_nan:
        kept[spec.nan_code] = True
        raw[spec.nan_code] = source.nan_code
    overflow = Overflow.INFINITY if spec.has_inf else Overflow.SATURATE
    part = Encoder(spec, source, overflow=overflow)
    module = f"encode_{part.spec.name}"
    outputs = {module: {"code": Column(bits=spec.bits, values=codes[kept])}}
    table = Table(inputs={"value": Column(bits=source.bits, values=raw[kept])}, outputs=outputs)
    return Work(parts={module: part}, table=table)


def _work(
    spec: Scalar,
    source: FloatSpec,
    codes: NDArray[np.int64],
    values: NDArray[np.float64],
    both: Iterable[tuple[Rounding, Overflow]],
    random: tuple[NDArray[np.int64], int] | None = None,
) -> Work:
    """Return the encoders of some modes and rules."""
    inputs = {"value": Column(bits=source.bits, values=codes)}
    options: dict[str, Any] = {}
    if random is not None:
        inputs["random"] = Column(bits=random[1], values=random[0])
        options = {"random": random[0], "random_bits": random[1]}
    parts: dict[str, Part] = {}
    outputs = {}
    for mode, rule in both:
        part = Encoder(spec, source, rounding=mode, overflow=rule, random_bits=0 if random is None else random[1])
        module = f"encode_{part.spec.name}"
        parts[module] = part
        expected = spec.encode(values, mode, rule, **options).astype(np.int64)
        outputs[module] = {"code": Column(bits=spec.bits, values=expected)}
    return Work(parts=parts, table=Table(inputs=inputs, outputs=outputs))
