# SPDX-License-Identifier: Apache-2.0
"""Formats by name: what each is for, and where its definition is published (sources retrieved 2026-11)."""

import difflib
from dataclasses import dataclass

from hwsim.formats import codebook, logarithmic
from hwsim.formats.block import BlockSpec, ScaleRule
from hwsim.formats.float import FloatSpec, Specials
from hwsim.formats.integer import IntegerSpec
from hwsim.formats.patterns import Format, float_spec, of_pattern
from hwsim.formats.phase import PhaseSpec
from hwsim.formats.posit import PositSpec

__all__ = [
    "AnyFormat",
    "Entry",
    "Format",
    "entries",
    "named",
    "names",
]

AnyFormat = Format | PhaseSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A catalogued format: its name here, its spec, its family, what it is, its source, and its names elsewhere."""

    name: str
    spec: AnyFormat
    family: str
    summary: str
    source: str
    aliases: tuple[str, ...] = ()


_OFP8 = "OCP 8-bit Floating Point Specification 1.0, tables 1-2"
_MX = "OCP Microscaling Formats 1.0, section 5"
_IEEE = "IEEE 754-2019, section 3.6"
_ML_DTYPES = "ml_dtypes 0.6, README"
_P3109 = "IEEE P3109 interim report 4.0.3, names Binary<K>p<P><s|u><f|e>"
_QUALCOMM = "arXiv:2303.17951, section 2"
_INT_V_FP = "arXiv:2510.25602, table 1"
_NVFP4 = "arXiv:2509.25149, section 2"

_E4M3 = float_spec(4, 3, Specials.FN)
_E2M1 = float_spec(2, 1, Specials.FINITE)
_E8M0 = float_spec(8, 0, Specials.FN, signed=False)


def _entry(spec: AnyFormat, family: str, summary: str, source: str, *aliases: str) -> Entry:
    return Entry(name=spec.name, spec=spec, family=family, summary=summary, source=source, aliases=aliases)


def _integers() -> list[Entry]:
    onnx, a8 = "ONNX IR, TensorProto types", "ONNX QuantizeLinear: a zero point of 128 where there is no sign"
    found = []
    for bits in (2, 4, 6, 8, 16, 32):
        for signed in (True, False):
            kind = "two's complement" if signed else "unsigned"
            summary = f"{bits}-bit integer, {kind}"
            found.append(_entry(IntegerSpec(bits=bits, signed=signed), "integer", summary, onnx))
    others = (
        (IntegerSpec(bits=8, narrow=True), "8-bit integer without -128: symmetric", f"{_INT_V_FP}; QONNX, narrow"),
        (IntegerSpec(bits=4, narrow=True), "4-bit integer without -8: symmetric", f"{_INT_V_FP}; QONNX, narrow"),
        (IntegerSpec(bits=8, signed=False, zero_point=128), "offset 8-bit integer: zero is 128", a8),
        (
            IntegerSpec(bits=16, fraction_bits=8),
            "16-bit fixed point, the binary point in the middle",
            "two's complement Q8.8",
        ),
    )
    return found + [_entry(spec, "integer", summary, source) for spec, summary, source in others]


def _floats() -> list[Entry]:
    def fp(summary: str, source: str, spec: FloatSpec, *aliases: str) -> Entry:
        return _entry(spec, "float", summary, source, *aliases)

    ieee, fn, fnuz, finite = Specials.IEEE, Specials.FN, Specials.FNUZ, Specials.FINITE
    extended = Specials.EXTENDED
    return [
        fp("half precision", _IEEE, float_spec(5, 10, ieee), "fp16"),
        fp("float32's exponent with 8 significant bits", _ML_DTYPES, float_spec(8, 7, ieee), "bf16"),
        fp(
            "NVIDIA TF32: float32's exponent, half's mantissa",
            "NVIDIA A100 whitepaper",
            float_spec(8, 10, ieee),
            "tf32",
        ),
        fp("single precision", _IEEE, float_spec(8, 23, ieee), "fp32"),
        fp("double precision", _IEEE, float_spec(11, 52, ieee), "fp64"),
        fp("OFP8 E4M3: no infinity, NaN all ones, maximum 448", _OFP8, _E4M3, "fp8_e4m3"),
        fp("OFP8 E5M2: IEEE specials, maximum 57344", _OFP8, float_spec(5, 2, ieee), "fp8_e5m2"),
        fp("E4M3 with IEEE specials, maximum 240", _ML_DTYPES, float_spec(4, 3, ieee)),
        fp("E3M4 with IEEE specials, maximum 15.5", _ML_DTYPES, float_spec(3, 4, ieee)),
        fp(
            "E4M3 with one NaN (negative zero's code), bias 8 (Qualcomm's FP8-E4)",
            f"{_ML_DTYPES}; {_QUALCOMM}",
            float_spec(4, 3, fnuz),
            "binary8p4sf",
        ),
        fp("E4M3 with one NaN, bias 11", _ML_DTYPES, float_spec(4, 3, fnuz, 11)),
        fp(
            "E5M2 with one NaN, bias 16 (Qualcomm's FP8-E5)",
            f"{_ML_DTYPES}; {_QUALCOMM}",
            float_spec(5, 2, fnuz),
            "binary8p3sf",
        ),
        fp("E3M4 with one NaN, bias 4 (Qualcomm's FP8-E3)", _QUALCOMM, float_spec(3, 4, fnuz), "binary8p5sf"),
        fp("E2M5 with one NaN, bias 2 (Qualcomm's FP8-E2)", _QUALCOMM, float_spec(2, 5, fnuz), "binary8p6sf"),
        fp("P3109 binary8p4se: E4M3 with one NaN and infinities, maximum 224", _P3109, float_spec(4, 3, extended)),
        fp("P3109 binary8p3se: E5M2 with one NaN and infinities, maximum 49152", _P3109, float_spec(5, 2, extended)),
        fp("P3109 binary4p2sf: E2M1 with one NaN, bias 2", _P3109, float_spec(2, 1, fnuz), "binary4p2sf"),
        fp(
            "P3109 binary8p1uf: powers of two with a zero, a scale",
            _P3109,
            FloatSpec(exp_bits=8, man_bits=0, bias=128, specials=fn, signed=False),
            "binary8p1uf",
        ),
        fp("OCP FP6 E2M3, every code finite, maximum 7.5", _MX, float_spec(2, 3, finite), "fp6_e2m3"),
        fp("OCP FP6 E3M2, every code finite, maximum 28", _MX, float_spec(3, 2, finite), "fp6_e3m2"),
        fp("OCP FP4 E2M1, every code finite, maximum 6", _MX, _E2M1, "fp4_e2m1"),
        fp("OCP E8M0: a power of two, the scale of MX blocks", _MX, _E8M0, "ue8m0"),
        fp(
            "UE5M3 scale with NaN 0xFF, maximum 114688",
            "PTX ISA 9.4, ue5m3",
            float_spec(5, 3, fn, signed=False),
            "ue5m3",
            "ue5m3_114688",
        ),
        fp(
            "UE5M3 scale with IEEE specials, maximum 61440",
            "arXiv:2609.02846",
            float_spec(5, 3, ieee, signed=False),
            "ue5m3_61440",
        ),
        fp(
            "UE5M3 scale, every code finite, maximum 122880",
            "no standard: the reading in which no code is left out",
            float_spec(5, 3, finite, signed=False),
            "ue5m3_122880",
        ),
    ]


def _mx(element: IntegerSpec | FloatSpec) -> BlockSpec:
    return BlockSpec(element=element, scale=_E8M0, block_size=32, tensor_scale=False, rule=ScaleRule.OCP_FLOOR)


def _nv(element: IntegerSpec | FloatSpec) -> BlockSpec:
    return BlockSpec(element=element, scale=_E4M3, block_size=16, tensor_scale=True, rule=ScaleRule.AMAX)


def _blocks() -> list[Entry]:
    def mx(element: IntegerSpec | FloatSpec, source: str) -> Entry:
        return _entry(_mx(element), "block", f"32 {element.name} under an E8M0 scale", source)

    def nv(element: IntegerSpec | FloatSpec, source: str) -> Entry:
        return _entry(_nv(element), "block", f"16 {element.name}, E4M3 scale, a float32 scale a tensor", source)

    finite = (float_spec(e, m, Specials.FINITE) for e, m in ((3, 2), (2, 3), (2, 1)))
    integers = {bits: IntegerSpec(bits=bits, narrow=True, fraction_bits=bits - 2) for bits in (8, 6, 4)}
    return [
        *(mx(element, _MX) for element in (float_spec(5, 2, Specials.IEEE), _E4M3, *finite)),
        *(mx(element, f"{_MX}; {_INT_V_FP}" if bits == 8 else _INT_V_FP) for bits, element in integers.items()),
        nv(_E2M1, _NVFP4),
        nv(IntegerSpec(bits=4, narrow=True), _INT_V_FP),
    ]


def _shared_scales() -> list[Entry]:
    """Return the other formats with shared scales: rules, tiles, groups, shared exponents, codebooks under a scale."""
    quartet, bitsandbytes = "arXiv:2505.14669 (Quartet), QuEST rule", "arXiv:2305.14314; bitsandbytes"
    rows = {
        "mxint8_ceil": ("MXINT8 whose scale is rounded up", f"{_INT_V_FP}, equation 9"),
        "mxfp8_e4m3_ceil": ("MXFP8 whose scale is rounded up", f"{_INT_V_FP}, equation 9"),
        "mxfp4_ceil": ("MXFP4 whose scale is rounded up", f"{_INT_V_FP}, equation 9"),
        "mxfp4_nearest": ("MXFP4 whose scale is rounded to nearest", "the code of arXiv:2510.25602, round"),
        "mxfp4_even": ("MXFP4 whose scale is floored after rounding to E2M1's mantissa", "torchao 0.18, EVEN"),
        "mxfp4_quest": ("MXFP4 whose scale goes by the standard deviation", quartet),
        "mxfp4_mse": ("MXFP4 with the scale of least squared error", "a search, see ScaleRule.MSE"),
        "nvfp4_two_level": ("NVFP4 in the pretraining recipe's float32 operations", "arXiv:2509.25149, appendix"),
        "nvfp4_mse": ("NVFP4 with the scales of least squared error", "a search, see ScaleRule.MSE"),
        "nvfp4_16x16": ("NVFP4 whose scales hold for 16 x 16 tiles, for weights", "arXiv:2509.25149, section 4"),
        "bfp8_b64": (
            "64 mantissas of 8 bits under an 8-bit exponent (BFP16_64)",
            "arXiv:2403.20137; dmx-compressor 69a2245",
        ),
        "bfp4_b128": (
            "128 mantissas of 4 bits under an 8-bit exponent (BFP12_128)",
            "arXiv:2403.20137; dmx-compressor 69a2245",
        ),
        "dfp16": ("16-bit integers, one exponent for a tensor: dynamic fixed point", "arXiv:1802.00930"),
        "qfx8": (
            "8-bit fixed point whose binary point is fitted to the data",
            "arXiv:2401.17544 (QFX); here the binary point of least squared error, not a trained one",
        ),
        "int8_g128": ("128 8-bit integers under a float16 scale", "arXiv:2210.17323 (GPTQ), group size 128"),
        "int4_g128": ("128 4-bit integers under a float16 scale", "arXiv:2210.17323 (GPTQ), group size 128"),
        "int4_g32": ("32 4-bit integers under a float16 scale", "arXiv:2210.17323 (GPTQ), smaller groups"),
        "uint4_g128": ("128 4-bit codes under a float16 scale and a zero point", "arXiv:2306.00978 (AWQ)"),
        "uint4_g32": (
            "32 4-bit codes under a float16 scale and a zero point",
            "arXiv:2306.00978 (AWQ), smaller groups",
        ),
        "nf4_b64": ("64 NF4 codes under a float32 scale (QLoRA)", bitsandbytes),
        "bnb_fp4_b64": ("64 FP4 codes of bitsandbytes under a float32 scale", bitsandbytes),
        "bitmod_fp4_g128": ("the best of four FP4 codebooks for each 128, INT8 scales", "arXiv:2411.11745"),
        "bitmod_fp3_g128": ("the best of four FP3 codebooks for each 128, INT8 scales", "arXiv:2411.11745"),
        "bitnet": ("-1, 0 and 1 under the mean magnitude of a tensor", "arXiv:2402.17764 (BitNet b1.58)"),
        "bitnet_median": ("-1, 0 and 1 under the median magnitude of a tensor", "arXiv:2407.09527"),
    }
    found = []
    for name, (summary, source) in rows.items():
        spec = _known(name)
        assert spec.name == name
        found.append(_entry(spec, "block", summary, source))
    return found


def _posits() -> list[Entry]:
    standard, softposit = (
        "Standard for Posit Arithmetic (2022), section 3",
        "SoftPosit 0.4; Gustafson and Yonemoto (2017)",
    )
    known = ((4, 1), (8, 0), (8, 1), (8, 2), (16, 1), (16, 2), (32, 2))
    specs = (PositSpec(bits=bits, es=es) for bits, es in known)
    return [
        _entry(
            spec,
            "posit",
            f"{spec.bits}-bit posit, es {spec.es}, maximum 2**{spec.scale_max}, quire of {spec.quire_bits} bits",
            standard if spec.es == 2 else softposit,
        )
        for spec in specs
    ]


def _codebooks() -> list[Entry]:
    apot, bitmod = "arXiv:1909.13144, equations 3 and 5", "BitMoD, arXiv:2411.11745, table IV"
    basic = "0, 1, 2, 4 and their opposites, and", "E2M1's values, and"
    rows: list[tuple[codebook.CodebookSpec, str, str]] = [
        (codebook.NF4, "NormalFloat: quantiles of a normal distribution, maximum 1", "arXiv:2305.14314, appendix E"),
        (codebook.BNB_FP4, "2, 3, 4, 6, 8, 12 and a sixteenth, over 12", "bitsandbytes, csrc/kernels.cu"),
        (codebook.TERNARY, "-1, 0 and 1", "arXiv:2402.17764 (BitNet b1.58)"),
        (codebook.BINARY, "0 and 1", "arXiv:1606.06160 (DoReFa-Net), one-bit activations"),
        (codebook.BIPOLAR, "-1 and 1", "arXiv:1603.05279 (XNOR-Net)"),
        *(
            (spec, f"{basic[spec.bits - 3]} {spec.levels[1 << (spec.bits - 1)]:g} for negative zero", bitmod)
            for bits in (3, 4)
            for spec in codebook.bitmod_options(bits)
        ),
        (logarithmic.log2(4), "powers of two down from 1; the last code is zero", "arXiv:2111.13824 (FQ-ViT)"),
        (
            logarithmic.logsqrt2(4),
            "powers of the root of two down from 1; the last code is zero",
            "arXiv:2212.08254 (RepQ-ViT)",
        ),
        (logarithmic.pot(4), "signed powers of two up to 1, and zero", apot),
        (
            logarithmic.denseshift(3),
            "signed powers of two from 1, without zero",
            "arXiv:2208.09708 (DenseShift, ICCV 2023)",
        ),
        (
            logarithmic.denseshift(4),
            "signed powers of two from 1, without zero",
            "arXiv:2208.09708 (DenseShift, ICCV 2023)",
        ),
        (logarithmic.shiftadd(4), "signed powers of two down from 1, without zero", "arXiv:2306.06446 (ShiftAddViT)"),
        (logarithmic.apot(4), "signed sums of two powers of two", apot),
        (logarithmic.apot(5), "signed sums of two powers of two", apot),
    ]
    return [_entry(spec, "codebook", summary, source) for spec, summary, source in rows]


_BASE = (*_integers(), *_floats(), *_posits(), *_codebooks(), *_blocks())
_BASE_SPECS = {entry.name: entry.spec for entry in _BASE}


def _known(name: str) -> Format:
    """Look up a format while the catalog is being made."""
    spec = _BASE_SPECS.get(name) or of_pattern(name, _known)
    if spec is None or isinstance(spec, PhaseSpec):
        raise KeyError(name)
    return spec


_ENTRIES = (
    *_BASE,
    *_shared_scales(),
    _entry(
        PhaseSpec(), "complex", "1, i, -1 and -i: weights without multipliers", "Fairy+-i (iFairy), 9d3d309", "ifairy"
    ),
)
_ENTRY = {name: entry for entry in _ENTRIES for name in (entry.name, *entry.aliases)}
_CATALOG = {entry.name: entry.spec for entry in _ENTRIES if not isinstance(entry.spec, PhaseSpec)}
_ALIASES = {alias: entry.spec for entry in _ENTRIES for alias in entry.aliases if not isinstance(entry.spec, PhaseSpec)}


def entries() -> tuple[Entry, ...]:
    """Return the catalogued formats with their summaries and sources, the one of complex numbers among them."""
    return _ENTRIES


def names() -> tuple[str, ...]:
    """Return the catalogued names of formats of real numbers; `named` also takes aliases and patterns."""
    return tuple(_CATALOG)


def named(name: str) -> Format:
    """Return the format of real numbers of a name; that of complex ones is `PhaseSpec`.

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
    if name in _ALIASES:
        return _ALIASES[name]
    spec = of_pattern(name, named)
    if spec is not None:
        return spec
    if name in _ENTRY:
        raise KeyError(f"format {name!r} is of complex numbers: see hwsim.formats.PhaseSpec")
    close = difflib.get_close_matches(name, (*_CATALOG, *_ALIASES), n=4, cutoff=0.5)
    hint = f"did you mean {', '.join(close)}?" if close else "`hwsim formats` lists the catalog"
    raise KeyError(f"unknown format {name!r}: {hint}")
