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

    OCP_FLOOR: the largest power of two not above it, over the largest power of two of the element format; elements beyond the
    format's range saturate (OCP Microscaling Formats 1.0, section 6.3).
    AMAX: it, over the element format's largest value, rounded to nearest even in the scale's format (NVFP4, arXiv:2509.25149).
    """

    OCP_FLOOR = "ocp_floor"
    AMAX = "amax"


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockSpec:
    """A block-scaled format: ``value = element * scale * tensor_scale``.

    Parameters
    ----------
    element : IntegerSpec or FloatSpec
        Format of each element.
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
            raise ValueError(f"rule OCP_FLOOR needs a power-of-two scale without zero (float8_e8m0fnu), not {self.scale.name}")
        if not self.scale.has_nan or self.scale.has_inf:
            raise ValueError(f"scale must have a NaN, to mark a block that holds one, and no infinity, unlike {self.scale.name}")

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
        """The catalog's name for the published formats, else one that spells the fields."""
        short = _element_name(self.element)
        if self.rule is ScaleRule.OCP_FLOOR and self.scale.name == "float8_e8m0fnu" and not self.tensor_scale:
            return f"mx{short}" if self.block_size == 32 else f"mx{short}_b{self.block_size}"
        if self.rule is ScaleRule.AMAX and self.scale.name == "float8_e4m3fn" and self.tensor_scale:
            return f"nv{short}" if self.block_size == 16 else f"nv{short}_b{self.block_size}"
        tensor = "_tensor" if self.tensor_scale else ""
        return f"block{self.block_size}_{self.element.name}_{self.scale.name}_{self.rule.value}{tensor}"


def _element_name(element: IntegerSpec | FloatSpec) -> str:
    """Return the element's part of a block format's name: fp8_e4m3, fp4, int8."""
    if isinstance(element, IntegerSpec):
        return f"int{element.bits}" if element.narrow else f"int{element.bits}_full"
    if (element.exp_bits, element.man_bits) == (2, 1):
        return "fp4"
    return f"fp{element.bits}_e{element.exp_bits}m{element.man_bits}"
