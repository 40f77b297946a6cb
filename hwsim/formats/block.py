# SPDX-License-Identifier: Apache-2.0
"""Block-scaled formats: elements of one scalar format that share a scale of another."""

from dataclasses import dataclass
from enum import Enum

from hwsim.formats.codes import check_bool, check_int
from hwsim.formats.float import FloatSpec
from hwsim.formats.integer import IntegerSpec

__all__ = [
    "BlockSpec",
    "ScaleRule",
]


class ScaleRule(Enum):
    """How `quantize` chooses the scale of a block from the largest magnitude in it.

    OCP_FLOOR: the largest power of two not above it, over the largest power of two of the element format; elements
    beyond the format's range saturate (OCP Microscaling Formats 1.0, section 6.3). AMAX: it, over the element format's
    largest value, rounded to nearest even in the scale's format (NVFP4, arXiv:2509.25149).
    """

    OCP_FLOOR = "ocp_floor"
    AMAX = "amax"


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockSpec:
    """A block-scaled format: ``value = element * scale * tensor_scale``.

    Parameters
    ----------
    element : IntegerSpec or FloatSpec
        Format of each element; it has zero and positive values.
    scale : FloatSpec
        Format of the scale that `block_size` elements share.
    block_size : int
        Elements in a block, consecutive along one axis, 1 to 65536.
    tensor_scale : bool
        Whether a float32 scale for the whole tensor comes on top (NVFP4).
    rule : ScaleRule
        How a scale is chosen.

    Raises
    ------
    TypeError, ValueError
        If a field is of the wrong kind or out of range, or the rule does not fit the scale.
    """

    element: IntegerSpec | FloatSpec
    scale: FloatSpec
    block_size: int
    tensor_scale: bool
    rule: ScaleRule

    def __post_init__(self) -> None:
        if not isinstance(self.element, IntegerSpec | FloatSpec):
            raise TypeError(f"element must be an IntegerSpec or a FloatSpec, not {self.element!r}")
        if not isinstance(self.scale, FloatSpec):
            raise TypeError(f"scale must be a FloatSpec, not {self.scale!r}")
        if not isinstance(self.rule, ScaleRule):
            raise TypeError(f"rule must be a ScaleRule, not {self.rule!r}")
        check_int("block_size", self.block_size, 1, 65536)
        check_bool("tensor_scale", self.tensor_scale)
        if self.rule is ScaleRule.OCP_FLOOR and (self.scale.man_bits or self.scale.signed or self.scale.subnormals):
            raise ValueError(f"scale must be a power of two without zero for rule OCP_FLOOR, not {self.scale.name}")
        if not self.scale.has_nan or self.scale.has_inf:
            raise ValueError(f"scale must have a NaN, for blocks that hold one, and no infinity, not {self.scale.name}")
        if self.element.max_value <= 0 or (isinstance(self.element, FloatSpec) and not self.element.subnormals):
            raise ValueError(f"element must have zero and positive values, not {self.element.name}")

    @property
    def bits(self) -> int:
        """Width of an element's code."""
        return self.element.bits

    @property
    def bits_per_element(self) -> float:
        """Storage of an element with its share of the block's scale, in bits; the tensor's scale is left out."""
        return self.element.bits + self.scale.bits / self.block_size

    @property
    def name(self) -> str:
        """The catalog's name for the published formats and their other block sizes, else one that spells the fields."""
        family = _FAMILIES.get((self.scale.name, self.rule, self.tensor_scale))
        if family is not None:
            prefix, usual_size, elements = family
            if self.element.name in elements:
                size = "" if self.block_size == usual_size else f"_b{self.block_size}"
                return f"{prefix}{elements[self.element.name]}{size}"
        tensor = "_tensor" if self.tensor_scale else ""
        return f"block{self.block_size}_{self.element.name}_{self.scale.name}_{self.rule.value}{tensor}"


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
    ("float8_e8m0fnu", ScaleRule.OCP_FLOOR, False): ("mx", 32, _MX_ELEMENTS),
    ("float8_e4m3fn", ScaleRule.AMAX, True): ("nv", 16, _NV_ELEMENTS),
}
