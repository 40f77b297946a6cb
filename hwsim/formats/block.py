# SPDX-License-Identifier: Apache-2.0
"""Block-scaled formats: elements of one scalar format that share a scale of another."""

from dataclasses import dataclass
from enum import Enum
from typing import Never

from hwsim.formats.codebook import TERNARY, CodebookSpec, bitmod_options
from hwsim.formats.codes import check_bool, check_int
from hwsim.formats.float import FloatSpec
from hwsim.formats.integer import IntegerSpec
from hwsim.formats.posit import PositSpec
from hwsim.formats.specials import Specials, usual_bias

__all__ = [
    "BlockSpec",
    "Scalar",
    "ScaleRule",
]

Scalar = IntegerSpec | FloatSpec | PositSpec | CodebookSpec


class ScaleRule(Enum):
    """How `quantize` chooses the scale s of a block. Qmax is the element's largest value, amax the block's.

    Powers of two, exact, for a scale format of powers of two:

    OCP_FLOOR: the largest power not above amax, over the largest power not above Qmax; what is beyond Qmax saturates
    (OCP Microscaling Formats 1.0, section 6.3; also DFP16's shared exponent E_max - (P - 2), arXiv:1802.00930).
    OCP_CEIL: the smallest power not below amax, over the same (torchao 0.18, ScaleCalculationMode.CEIL).
    CEIL: the smallest power not below amax / Qmax, so that nothing saturates (arXiv:2510.25602, equation 9; that of
    NVIDIA's cvt.rp.satfinite.ue8m0x2.f32, and torchao's RCEIL but for its rounded logarithm).
    NEAREST: 2**round(log2(amax / Qmax)), whose boundary is sqrt(2) times a power ("round" of arXiv:2510.25602's code).
    EVEN: as OCP_FLOOR, of amax rounded to the element's mantissa bits, half up (torchao 0.18, EVEN). Float elements.
    QUEST: 2**floor(log2(2.92247856 / 6 * std + 1e-8)) for E2M1 (Quartet, arXiv:2505.14669); std is the population's,
    in float64: sum / n, then sqrt(sum of squared differences / n), summed in the order of the elements.

    For any scale format, a quotient taken in float64 and rounded to nearest even in the scale's format:

    AMAX: amax / Qmax (NVFP4, arXiv:2509.25149; bitsandbytes' NF4; VS-Quant, arXiv:2102.04503, where a scale of the
    tensor or of each channel is above).
    TWO_LEVEL: NVFP4 with the pretraining recipe's own float32 operations (arXiv:2509.25149, appendix), each rounded:
    enc = 448 * 6 / amax_tensor; scale = E4M3(min(amax / 6 * enc, 448)); elements E2M1(x * (1 / (scale * (1 / enc)))).
    ABSMEAN: the mean magnitude, not below 1e-5 (BitNet b1.58, arXiv:2402.17764). ABSMEDIAN: the median magnitude, the
    mean of the middle two of an even count, likewise (BitNet b1.58 Reloaded, arXiv:2407.09527). Sums as in QUEST.
    RANGE: (max(x, 0) - min(x, 0)) / (2**bits - 1), with the zero point round(-min / s) (ONNX DynamicQuantizeLinear).
    MSE: the scale of the least sum of squared errors of all that the format has; sums as in QUEST, and of equals the
    nearest code to AMAX's (NEAREST's for powers of two), then the smaller. The search goes down from there until what
    is clipped alone makes as large an error, and up as far as elements gain: floats and integers to twice the scale.
    """

    OCP_FLOOR = "ocp_floor"
    OCP_CEIL = "ocp_ceil"
    CEIL = "ceil"
    NEAREST = "nearest"
    EVEN = "even"
    QUEST = "quest"
    AMAX = "amax"
    TWO_LEVEL = "two_level"
    ABSMEAN = "absmean"
    ABSMEDIAN = "absmedian"
    RANGE = "range"
    MSE = "mse"

    @classmethod
    def _missing_(cls, value: object) -> Never:
        if not isinstance(value, str):
            raise TypeError(f"rule must be a ScaleRule or a str, not {value!r}")
        raise ValueError(f"rule must be one of {', '.join(rule.value for rule in cls)}, not {value!r}")

    @property
    def is_power(self) -> bool:
        """Whether the rule gives powers of two only."""
        return self in _POWER_RULES


_POWER_RULES = frozenset(
    (
        ScaleRule.OCP_FLOOR,
        ScaleRule.OCP_CEIL,
        ScaleRule.CEIL,
        ScaleRule.NEAREST,
        ScaleRule.EVEN,
        ScaleRule.QUEST,
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockSpec:
    """A block-scaled format: ``value = (element - zero_point) * scale * outer_scale``.

    Parameters
    ----------
    element : IntegerSpec, FloatSpec, PositSpec or CodebookSpec
        Format of each element; it has positive values.
    scale : FloatSpec or IntegerSpec
        Format of the scale that the elements of a block share. Negative scales are not made.
    block_size : int
        Elements in a block, consecutive along one axis, 1 to 65536; 0: all of the axis.
    tensor_scale : bool
        Whether a float32 scale for the whole tensor comes on top (NVFP4).
    rule : ScaleRule
        How a scale is chosen.
    block_rows : int
        Rows of `block_size` in a block, along the axis before the blocks' one (behind it if that is the first), 1 to
        65536; 0, with a block size of 0: the whole tensor is one block.
    channel_scale : bool
        Whether a float32 scale for each slice along the axis comes on top (BitMoD, VS-Quant).
    zero_point : bool
        Whether a block has a code that stands for zero, of the element's format; integer elements with rule RANGE.
    others : tuple of scalar formats
        More element formats of the same width: each block has the one of the least squared error (BitMoD, whose code
        clamps a group's scale to [1e-5, 1e4]; not so here, where that is an INT8 code under the channel's float32 scale
        and has no absolute range).

    Raises
    ------
    TypeError, ValueError
        If a field is of the wrong kind or out of range, or does not go with the others.
    """

    element: Scalar
    scale: FloatSpec | IntegerSpec
    block_size: int
    tensor_scale: bool
    rule: ScaleRule
    block_rows: int = 1
    channel_scale: bool = False
    zero_point: bool = False
    others: tuple[Scalar, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.others, tuple):
            raise TypeError(f"others must be a tuple of scalar formats, not {self.others!r}")
        for element in self.elements:
            if not isinstance(element, Scalar):
                raise TypeError(f"element must be a scalar format, not {element!r}")
        if not isinstance(self.scale, FloatSpec | IntegerSpec):
            raise TypeError(f"scale must be a FloatSpec or an IntegerSpec, not {self.scale!r}")
        if not isinstance(self.rule, ScaleRule):
            raise TypeError(f"rule must be a ScaleRule, not {self.rule!r}")
        check_int("block_size", self.block_size, 0, 65536)
        check_int("block_rows", self.block_rows, 0, 65536)
        check_bool("tensor_scale", self.tensor_scale)
        check_bool("channel_scale", self.channel_scale)
        check_bool("zero_point", self.zero_point)
        self._check_sharing()
        self._check_scale()
        self._check_elements()

    def _check_sharing(self) -> None:
        if self.block_rows == 0 and self.block_size:
            raise ValueError(f"block_size must be 0 for a block of all rows, not {self.block_size}")
        if self.block_rows > 1 and self.block_size == 0:
            raise ValueError(f"block_size must be at least 1 for a block of {self.block_rows} rows, not 0")
        if self.channel_scale and (self.tensor_scale or self.block_rows != 1):
            raise ValueError("channel_scale must be False with a tensor_scale, and where a block has more than one row")

    def _check_scale(self) -> None:
        scale, rule = self.scale, self.rule
        if rule.is_power and not self.has_power_scale:
            text = "scale must be a power of two without zero for rule"
            raise ValueError(f"{text} {rule.name}, not {scale.name}")
        if scale.max_value <= 0:
            raise ValueError(f"scale must have positive values, not {scale.name}")
        if rule is ScaleRule.MSE and not (isinstance(scale, FloatSpec) and scale.man_bits <= 4):
            raise ValueError(f"scale must be a float of at most 4 mantissa bits for rule MSE, not {scale.name}")
        if rule is ScaleRule.TWO_LEVEL and not (self.tensor_scale and isinstance(scale, FloatSpec)):
            raise ValueError(f"rule TWO_LEVEL must have a float scale {scale.name} and a tensor_scale above it")
        if isinstance(scale, IntegerSpec) and not (self.tensor_scale or self.channel_scale):
            raise ValueError(f"scale must be a float where no float32 scale is above it, not {scale.name}")

    def _check_elements(self) -> None:
        for element in self.elements:
            if element.max_value <= 0 or (isinstance(element, FloatSpec) and not element.subnormals):
                raise ValueError(f"element must have zero and positive values, not {element.name}")
            if element.bits != self.element.bits:
                raise ValueError(f"others must be of {self.element.bits} bits like the element, not {element.name}")
            if self.rule is ScaleRule.EVEN and not isinstance(element, FloatSpec):
                raise ValueError(f"element must be a float for rule EVEN, not {element.name}")
            if self.rule is ScaleRule.QUEST and element.name != "float4_e2m1fn":
                raise ValueError(
                    f"element must be float4_e2m1fn for rule QUEST, whose factor is for it, not {element.name}"
                )
            searched = self.others or self.rule is ScaleRule.MSE
            if searched and element.bits > 16:
                raise ValueError(f"element must be of at most 16 bits for a search, not {element.name}")
        if self.zero_point != (self.rule is ScaleRule.RANGE):
            raise ValueError(f"zero_point must be True for rule RANGE and no other, not {self.zero_point}")
        if self.zero_point and (not isinstance(self.element, IntegerSpec) or self.element.bits > 16 or self.others):
            raise ValueError(f"element must be an integer of at most 16 bits for a zero_point, not {self.element.name}")
        if self.others and self.rule not in (ScaleRule.AMAX, ScaleRule.MSE) and not self.rule.is_power:
            raise ValueError(f"others must be empty for rule {self.rule.name}, not {len(self.others)} formats")

    @property
    def elements(self) -> tuple[Scalar, ...]:
        """The element formats among which a block chooses; one, but for BitMoD and its like."""
        return (self.element, *self.others)

    @property
    def has_power_scale(self) -> bool:
        """Whether the scale's format has powers of two only, without zero."""
        scale = self.scale
        return isinstance(scale, FloatSpec) and not (scale.man_bits or scale.signed or scale.subnormals)

    @property
    def bits(self) -> int:
        """Width of an element's code."""
        return self.element.bits

    @property
    def bits_per_element(self) -> float:
        """Storage of an element with its share of the block's scale, in bits.

        With the block's zero point and choice of element format; the scales of the tensor and of the channels are left
        out, and so is what a whole axis or tensor shares.
        """
        if self.block_size == 0:
            return float(self.element.bits)
        shared = self.scale.bits + self.zero_point * self.element.bits + len(self.others).bit_length()
        return self.element.bits + shared / (self.block_size * self.block_rows)

    @property
    def name(self) -> str:
        """The catalog's name for the published formats and their other block sizes, else one that spells the fields."""
        return _published_name(self) or _spelt_name(self)


def _spelt_name(spec: BlockSpec) -> str:
    """Return the name that spells all fields."""
    rows = "" if spec.block_rows == 1 else f"{spec.block_rows}x"
    whole = "channel" if spec.block_rows else "whole"
    blocks = f"block{rows}{spec.block_size}" if spec.block_size else whole
    elements = "_or_".join(element.name for element in spec.elements)
    above = "_tensor" if spec.tensor_scale else "_channel" if spec.channel_scale else ""
    return f"{blocks}_{elements}_{spec.scale.name}_{spec.rule.value}{above}"


def _published_name(spec: BlockSpec) -> str | None:
    """Return the published name with the block size and rule that are not the usual ones; None if there is none."""
    scale, element = spec.scale.name, spec.element.name
    if spec.others:
        return _bitmod_name(spec)
    if spec.block_rows == 0:
        return _whole_name(spec)
    if not spec.block_size or spec.channel_scale:
        return None
    family = _FAMILIES.get((scale, spec.tensor_scale))
    if family is not None and element in family[2]:
        prefix, usual_size, elements, usual_rule = family
        rule = "" if spec.rule is usual_rule else f"_{spec.rule.value}"
        return f"{prefix}{elements[element]}{_size(spec, usual_size)}{rule}"
    if isinstance(spec.scale, FloatSpec) and _has_shared_exponent(spec) and not spec.tensor_scale:
        width = "" if spec.scale.exp_bits == 8 else f"_e{spec.scale.exp_bits}"
        rule = "" if spec.rule is ScaleRule.OCP_FLOOR else f"_{spec.rule.value}"
        mantissa = spec.element == IntegerSpec(bits=spec.bits, narrow=spec.bits > 1)
        return f"bfp{spec.bits}{width}{_size(spec, 0)}{rule}" if mantissa else None
    return _group_name(spec)


def _group_name(spec: BlockSpec) -> str | None:
    """Return the name of codebooks under float32 and of integers under float16 scales, group by group."""
    if spec.tensor_scale or spec.block_rows != 1:
        return None
    if isinstance(spec.element, CodebookSpec):
        usual = spec.scale.name == "float32" and spec.rule is ScaleRule.AMAX
        return f"{spec.element.name}_b{spec.block_size}" if usual else None
    group = {
        ScaleRule.AMAX: IntegerSpec(bits=spec.bits, narrow=spec.bits > 1),
        ScaleRule.RANGE: IntegerSpec(bits=min(spec.bits, 63), signed=False),
    }.get(spec.rule)
    if spec.scale.name != "float16" or spec.element != group:
        return None
    return f"{'u' * spec.zero_point}int{spec.bits}_g{spec.block_size}"


def _bitmod_name(spec: BlockSpec) -> str | None:
    known = spec.bits in (3, 4) and spec.elements == bitmod_options(spec.bits)
    shared = spec.scale == IntegerSpec(bits=8) and spec.channel_scale and spec.rule is ScaleRule.AMAX
    return f"bitmod_fp{spec.bits}_g{spec.block_size}" if known and shared and spec.block_size else None


def _whole_name(spec: BlockSpec) -> str | None:
    """Return the published name of a format with one scale for a whole tensor."""
    if spec.tensor_scale or spec.zero_point:
        return None
    if spec.scale.name == "float8_e8m0fnu" and spec.element == IntegerSpec(bits=spec.bits):
        prefix = {ScaleRule.OCP_FLOOR: "dfp", ScaleRule.MSE: "qfx"}.get(spec.rule)
        return None if prefix is None else f"{prefix}{spec.bits}"
    if spec.scale.name == "float32" and spec.element == TERNARY:
        return {ScaleRule.ABSMEAN: "bitnet", ScaleRule.ABSMEDIAN: "bitnet_median"}.get(spec.rule)
    return None


def _has_shared_exponent(spec: BlockSpec) -> bool:
    """Whether the scale is what `bfp` means: an exponent with the usual bias and one NaN."""
    scale = spec.scale
    if not (isinstance(scale, FloatSpec) and spec.has_power_scale and scale.specials is Specials.FN):
        return False
    return scale.bias == usual_bias(scale.exp_bits, Specials.FN)


def _size(spec: BlockSpec, usual: int) -> str:
    if spec.block_rows != 1:
        return f"_{spec.block_rows}x{spec.block_size}"
    return "" if spec.block_size == usual else f"_b{spec.block_size}"


_MX_ELEMENTS = {
    "float8_e5m2": "fp8_e5m2",
    "float8_e4m3fn": "fp8_e4m3",
    "float6_e3m2fn": "fp6_e3m2",
    "float6_e2m3fn": "fp6_e2m3",
    "float4_e2m1fn": "fp4",
    "fixed8_6_narrow": "int8",
    "fixed6_4_narrow": "int6",
    "fixed4_2_narrow": "int4",
}
_NV_ELEMENTS = {"float4_e2m1fn": "fp4", "int4_narrow": "int4"}
_FAMILIES = {
    ("float8_e8m0fnu", False): ("mx", 32, _MX_ELEMENTS, ScaleRule.OCP_FLOOR),
    ("float8_e4m3fn", True): ("nv", 16, _NV_ELEMENTS, ScaleRule.AMAX),
}
