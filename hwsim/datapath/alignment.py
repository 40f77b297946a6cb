# SPDX-License-Identifier: Apache-2.0
"""How the products of a step are brought together: exactly, cut as tensor cores do, or rounded pair by pair."""

from dataclasses import dataclass

from hwsim.formats import Rounding
from hwsim.formats.codes import check_bool, check_int

__all__ = [
    "Alignment",
    "CascadedAlignment",
    "ExactAlignment",
    "PairwiseAlignment",
    "TruncatedAlignment",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExactAlignment:
    """The products of a step are added without losing a bit; the accumulator is added to their sum afterwards."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TruncatedAlignment:
    """The addends of a step are brought to the largest exponent among them and cut, as tensor cores do.

    An addend's exponent is the sum of its operands' exponents, not normalised: that of a product in [0, 4) * 2**e is e.
    Addends that are zero have none. An operand's exponent is that of the place where the leading bit of a significand
    of its format's full width stands (`hwsim.datapath.decode.point_bits`): of floats, posits and codebooks the number's
    own, but for subnormals; of integers a constant, so that a small one is cut as if it were large.

    Parameters
    ----------
    fraction_bits : int
        Bits kept below ``2**e`` of the largest exponent e, 0 to 60.
    exp_floor : int
        The least value of e, -4096 to 4096.
    with_accumulator : bool
        Whether the accumulator is one of the addends (one fused step), or is added afterwards.
    rounding : Rounding
        Of each addend to the kept bits: TOWARD_ZERO as NVIDIA's, DOWN (two's complement cut), or others.
    group : int
        So many neighbouring products of block formats are added exactly before they are an addend. Then an addend's
        exponent is that of its scales alone (NVFP4 units). 1: each product is one.

    Source
    ------
    Fasi et al., PeerJ CS 7:e330 (2021); Khattak and Mikaitis, arXiv:2512.07004; Xie et al., arXiv:2511.10909.
    """

    fraction_bits: int
    exp_floor: int
    with_accumulator: bool = True
    rounding: Rounding = Rounding.TOWARD_ZERO
    group: int = 1

    def __post_init__(self) -> None:
        check_int("fraction_bits", self.fraction_bits, 0, 60)
        check_int("exp_floor", self.exp_floor, -4096, 4096)
        check_bool("with_accumulator", self.with_accumulator)
        if not isinstance(self.rounding, Rounding):
            raise TypeError(f"rounding must be a Rounding, not {self.rounding!r}")
        if self.rounding is Rounding.STOCHASTIC:
            raise ValueError(f"rounding of an alignment must be deterministic, not {self.rounding!r}")
        check_int("group", self.group, 1, 1024)

    @property
    def name(self) -> str:
        """What a unit's name says of it: ``t13_floorm133``."""
        rounding = "" if self.rounding is Rounding.TOWARD_ZERO else f"_{self.rounding.value}"
        group = "" if self.group == 1 else f"_g{self.group}"
        apart = "" if self.with_accumulator else "_apart"
        return f"t{self.fraction_bits}_floor{self.exp_floor}{rounding}{group}{apart}".replace("-", "m")


@dataclass(frozen=True, slots=True, kw_only=True)
class PairwiseAlignment:
    """A tree of float adders: products, and sums of neighbours, are each rounded as the accumulator rounds.

    Of 2**n lanes, lane 0 meets lane 1, their sum that of lanes 2 and 3, and so on; the accumulator is added last. With
    an accumulator that flushes, every intermediate result is flushed.

    Source
    ------
    AMD's CDNA1 and CDNA2: Xie et al., arXiv:2511.10909.
    """

    @property
    def name(self) -> str:
        """What a unit's name says of it."""
        return "pairwise"


@dataclass(frozen=True, slots=True, kw_only=True)
class CascadedAlignment:
    """Products are cut and added in one or two parts, then the sum and the accumulator are cut again.

    First the products of a part (all, or the even and the odd lanes) are brought to the largest exponent of the part
    and cut toward zero; two parts are then brought to the larger of their exponents and cut downward. Then the sum and
    the accumulator are brought to the larger of their exponents, cut downward at `sum_fraction_bits` and
    `register_fraction_bits`, and added. A product from 2**n on, n the exponent at which the accumulator's format
    overflows, counts as an infinity.

    Parameters
    ----------
    fraction_bits : int
        Bits kept below ``2**e`` of the largest product exponent e, 0 to 30; exponents as of `TruncatedAlignment`.
    sum_fraction_bits, register_fraction_bits : int
        Of the last sum, 0 to 40.
    parts : int
        1, or 2 (even and odd lanes apart).
    register_reach : int
        An accumulator whose exponent is further below the largest is dropped, before a downward cut could make it -1; 0
        for none such.

    Source
    ------
    AMD's CDNA3: Xie et al., arXiv:2511.10909; Khattak and Mikaitis, arXiv:2512.07004.
    """

    fraction_bits: int
    sum_fraction_bits: int
    register_fraction_bits: int
    parts: int = 1
    register_reach: int = 0

    def __post_init__(self) -> None:
        check_int("fraction_bits", self.fraction_bits, 0, 30)
        check_int("sum_fraction_bits", self.sum_fraction_bits, 0, 40)
        check_int("register_fraction_bits", self.register_fraction_bits, 0, 40)
        check_int("parts", self.parts, 1, 2)
        check_int("register_reach", self.register_reach, 0, 64)

    @property
    def name(self) -> str:
        """What a unit's name says of it: ``cascaded24_31_24``."""
        parts = "_even_odd" if self.parts == 2 else ""
        reach = f"_reach{self.register_reach}" if self.register_reach else ""
        return f"cascaded{self.fraction_bits}_{self.sum_fraction_bits}_{self.register_fraction_bits}{parts}{reach}"


Alignment = ExactAlignment | TruncatedAlignment | PairwiseAlignment | CascadedAlignment
