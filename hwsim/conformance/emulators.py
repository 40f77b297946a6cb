# SPDX-License-Identifier: Apache-2.0
"""References for whole families: gfloat, APyTypes, SoftPosit, QPyTorch+."""

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.conformance.reference import Encoding, Peer, Values, load
from hwsim.formats import FloatSpec, IntegerSpec, Specials
from hwsim.formats.posit import PositSpec

__all__ = [
    "ApyTypes",
    "Gfloat",
    "QpytorchPlus",
    "SoftPosit",
    "gfloat_info",
]

_RANDOM_BITS = (1, 5, 8)
_GFLOAT_NAMES = {
    "float16": "binary16",
    "bfloat16": "bfloat16",
    "float32": "binary32",
    "float64": "binary64",
    "float8_e5m2": "ocp_e5m2",
    "float8_e4m3fn": "ocp_e4m3",
    "float6_e2m3fn": "ocp_e2m3",
    "float6_e3m2fn": "ocp_e3m2",
    "float4_e2m1fn": "ocp_e2m1",
    "float8_e8m0fnu": "ocp_e8m0",
}


def gfloat_info(spec: FloatSpec) -> Any:
    """Return gfloat's description of a format: its own constant where it has one."""
    gfloat, named = load("gfloat", "gfloat"), load("gfloat.formats", "gfloat")
    if spec.name in _GFLOAT_NAMES:
        return getattr(named, f"format_info_{_GFLOAT_NAMES[spec.name]}")
    ieee, extended = spec.specials is Specials.IEEE, spec.specials is Specials.EXTENDED
    if spec.name.startswith("binary"):
        domain = gfloat.Domain.Extended if extended else gfloat.Domain.Finite
        signedness = gfloat.Signedness.Signed if spec.signed else gfloat.Signedness.Unsigned
        info = named.format_info_p3109(spec.bits, spec.man_bits + 1, signedness, domain)
        if info.bias == spec.bias:
            return info
    top = spec.specials is Specials.FN or (extended and not spec.signed)
    return gfloat.FormatInfo(
        spec.name,
        spec.bits,
        spec.man_bits + 1,
        bias=spec.bias,
        is_signed=spec.signed,
        domain=gfloat.Domain.Extended if ieee or extended else gfloat.Domain.Finite,
        has_nz=spec.signed and spec.specials not in (Specials.FNUZ, Specials.EXTENDED),
        num_high_nans=(1 << spec.man_bits) - 1 if ieee else int(top),
        has_subnormals=spec.subnormals,
        is_twos_complement=False,
    )


class Gfloat:
    """Gfloat in each of its rounding modes; by its own constants where it names the format."""

    name = "gfloat"
    distribution = "gfloat"

    def has(self, spec: Any) -> bool:
        """Tell whether gfloat can describe the format."""
        return isinstance(spec, FloatSpec)

    def peer(self, spec: Any) -> Peer:
        """Return gfloat's form of a format."""
        gfloat = load("gfloat", self.distribution)
        info, modes = gfloat_info(spec), gfloat.RoundMode

        def covers(values: Values) -> NDArray[np.bool_]:
            return np.ones(values.shape, np.bool_) if spec.signed else ~np.signbit(values)

        def run(mode: Any, saturate: bool, values: Values) -> NDArray[Any]:
            with np.errstate(all="ignore"):
                return np.asarray(gfloat.round_ndarray(info, values.astype(np.float64), mode, saturate))

        def draw(bits: int, words: NDArray[np.int64], values: Values) -> NDArray[Any]:
            with np.errstate(all="ignore"):
                drawn = np.resize(words, values.shape)
                wide = values.astype(np.float64)
                return np.asarray(gfloat.round_ndarray(info, wide, modes.StochasticFastest, True, drawn, bits))

        names = {
            "nearest_even": modes.TiesToEven,
            "nearest_away": modes.TiesToAway,
            "toward_zero": modes.TowardZero,
            "up": modes.TowardPositive,
            "down": modes.TowardNegative,
        }
        encodings = [
            Encoding(
                rounding=rounding,
                overflow=overflow,
                run=partial(run, mode, overflow == "saturate"),
                covers=covers,
                double=rounding == "nearest_even",
            )
            for overflow in (("saturate", "ieee") if spec.has_nan else ("saturate",))
            for rounding, mode in names.items()
        ]
        for bits in _RANDOM_BITS if spec.bits <= 16 else ():
            words = np.random.default_rng(bits).integers(0, 1 << bits, 4093)
            encodings.append(
                Encoding(
                    rounding="stochastic",
                    overflow="saturate",
                    run=partial(draw, bits, words),
                    covers=covers,
                    random=(words, bits),
                )
            )
        return Peer(decode=lambda codes: np.asarray(gfloat.decode_ndarray(info, codes)), encodings=tuple(encodings))


class ApyTypes:
    """APyTypes' floats with IEEE specials, and its fixed point, in the rounding modes that both have."""

    name = "apytypes"
    distribution = "apytypes"
    modes = (
        ("nearest_even", "TIES_EVEN"),
        ("nearest_away", "TIES_AWAY"),
        ("toward_zero", "TO_ZERO"),
        ("up", "TO_POS"),
        ("down", "TO_NEG"),
        ("to_odd", "JAM_UNBIASED"),
    )

    def has(self, spec: Any) -> bool:
        """Tell whether APyTypes can describe the format."""
        if isinstance(spec, IntegerSpec):
            return spec.signed and not (spec.narrow or spec.zero_point) and -30 <= spec.fraction_bits <= 60
        return isinstance(spec, FloatSpec) and spec.specials is Specials.IEEE and spec.signed and spec.subnormals

    def peer(self, spec: Any) -> Peer:
        """Return APyTypes' form of a format."""
        apytypes = load("apytypes", self.distribution)
        return self._fixed(apytypes, spec) if isinstance(spec, IntegerSpec) else self._float(apytypes, spec)

    def _float(self, apytypes: Any, spec: FloatSpec) -> Peer:
        fields = {"exp_bits": spec.exp_bits, "man_bits": spec.man_bits, "bias": spec.bias}
        arrays = apytypes.APyFloatArray

        def cast(mode: str, values: Values) -> NDArray[Any]:
            wide = arrays.from_array(values.astype(np.float64), 11, 52)
            return np.asarray(wide.cast(**fields, quantization=getattr(apytypes.QuantizationMode, mode)).to_numpy())

        return Peer(
            decode=lambda codes: np.asarray(arrays.from_bits(codes, **fields).to_numpy()),
            encodings=tuple(
                Encoding(rounding=ours, overflow="ieee", run=partial(cast, theirs), double=True)
                for ours, theirs in self.modes
            ),
        )

    def _fixed(self, apytypes: Any, spec: IntegerSpec) -> Peer:
        # Every float32 fits 40 and 150 bits; to wrap, APyTypes 0.5.1 needs a number of one machine word.
        sizes = {"SAT": (40, 150), "WRAP": (32, 32)}

        def covers(overflow: str, values: Values) -> NDArray[np.bool_]:
            low, high = sizes[overflow]
            with np.errstate(invalid="ignore"):
                scaled = np.ldexp(values.astype(np.float64), high)
                return np.asarray((np.abs(values) < 2.0 ** (low - 1)) & (scaled == np.rint(scaled)))

        def cast(mode: str, overflow: str, values: Values) -> NDArray[Any]:
            wide = apytypes.APyFixedArray.from_float(values.astype(np.float64), *sizes[overflow])
            quantized = wide.cast(
                int_bits=spec.bits - spec.fraction_bits,
                frac_bits=spec.fraction_bits,
                quantization=getattr(apytypes.QuantizationMode, mode),
                overflow=getattr(apytypes.OverflowMode, overflow),
            )
            return np.asarray(quantized.to_numpy())

        return Peer(
            decode=None,
            encodings=tuple(
                Encoding(rounding=ours, overflow=rule, run=partial(cast, theirs, wrap), covers=partial(covers, wrap))
                for rule, wrap in (("saturate", "SAT"), ("wrap", "WRAP"))
                for ours, theirs in self.modes
            ),
        )


class SoftPosit:
    """SoftPosit's posit8 (es 0), posit16 (es 1), posit32 (es 2), and posits of other widths with es 2."""

    name = "softposit"
    distribution = "softposit"

    def has(self, spec: Any) -> bool:
        """Tell whether SoftPosit has the format."""
        return isinstance(spec, PositSpec) and (spec.es == 2 or (spec.bits, spec.es) in ((8, 0), (16, 1)))

    def peer(self, spec: Any) -> Peer:
        """Return SoftPosit's form of a format."""
        library = load("softposit", self.distribution)
        types: dict[tuple[int, int], tuple[Any, Any, Any]] = {
            (8, 0): (library.posit8_t, library.convertDoubleToP8, library.convertP8ToDouble),
            (16, 1): (library.posit16_t, library.convertDoubleToP16, library.convertP16ToDouble),
            (32, 2): (library.posit32_t, library.convertDoubleToP32, library.convertP32ToDouble),
        }
        narrow = (library.posit_2_t, lambda x: library.convertDoubleToPX2(x, spec.bits), library.convertPX2ToDouble)
        fixed = types.get((spec.bits, spec.es))
        kind, encode, decode = fixed or narrow
        shift = 0 if fixed else 32 - spec.bits

        def values_of(codes: NDArray[np.unsignedinteger]) -> NDArray[Any]:
            def value(code: int) -> float:
                posit = kind()
                posit.v = code << shift
                return float(decode(posit))

            found = np.fromiter(map(value, codes.tolist()), np.float64, codes.size)
            return np.where(np.isinf(found), np.nan, found)  # it gives NaR as an infinity

        def cast(values: Values) -> NDArray[Any]:
            words = (encode(value).v >> shift for value in values.astype(np.float64).tolist())
            codes = np.fromiter(words, np.uint32, values.size)
            distinct, place = np.unique(codes, return_inverse=True)
            return values_of(distinct)[place]

        # An infinity is NaR, what is finite saturates.
        cast_only = Encoding(rounding="nearest_even", overflow="propagate", run=cast)
        return Peer(decode=values_of, encodings=(cast_only,))


class QpytorchPlus:
    """QPyTorch+'s posits; it builds a C++ extension when first imported."""

    name = "qtorch_plus"
    distribution = "qtorch_plus"

    def has(self, spec: Any) -> bool:
        """Tell whether QPyTorch+ has the format."""
        return isinstance(spec, PositSpec) and spec.bits <= 16 and spec.es <= 2

    def peer(self, spec: Any) -> Peer:
        """Return QPyTorch+'s form of a format."""
        torch = load("torch", "torch")
        quant = load("qtorch_plus.quant", self.distribution)

        def cast(values: NDArray[np.float32]) -> NDArray[Any]:
            return np.asarray(quant.posit_quantize(torch.from_numpy(values.copy()), spec.bits, spec.es))

        finite = Encoding(rounding="nearest_even", overflow="saturate", run=cast, covers=np.isfinite)
        return Peer(decode=None, encodings=(finite,))
