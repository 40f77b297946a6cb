# SPDX-License-Identifier: Apache-2.0
"""The features of a unit from which costs are fitted, and what kind of unit it is."""

from cost_models.fitted.activity import activity
from cost_models.fitted.structure import structure
from hwsim.datapath.unit import DotProductUnit, FixedAccumulator, ScalarSpec
from hwsim.formats import BlockSpec, CodebookSpec, FloatSpec, IntegerSpec

__all__ = [
    "TOGGLES",
    "features",
    "formats_of",
    "kind_of",
]

TOGGLES = "toggles."
"""How the names of those features begin that count toggles, and not cells."""


def features(unit: DotProductUnit, pipeline: int) -> dict[str, float]:
    """
    Return what a unit is made of and how often it toggles, from its spec alone.

    Parameters
    ----------
    unit : DotProductUnit
    pipeline : int
        Register ranks, no more than the unit has stages to put them behind.

    Returns
    -------
    dict of str to float
        ``stage.part`` in cells (`cost_models.fitted.structure`), ``toggles.stage.part`` in toggles a step
        (`cost_models.fitted.activity`).

    Raises
    ------
    TypeError, ValueError
        If the unit is not of the kind that the features describe (`cost_models.fitted.structure.check_unit`).
    """
    cells = structure(unit, pipeline)
    return cells | {f"{TOGGLES}{name}": value for name, value in activity(unit, pipeline).items()}


def kind_of(unit: DotProductUnit) -> str:
    """Return the families of a unit's operands, and whether its register is fixed: ``"float x float, fixed"``."""
    operands = " x ".join(sorted(_family(spec) for spec in (unit.a, unit.b)))
    return f"{operands}, {'fixed' if isinstance(unit.accumulator, FixedAccumulator) else 'float'}"


def formats_of(unit: DotProductUnit) -> frozenset[str]:
    """
    Return the element formats of a unit, as they are held out: what differs in its specials or sign alone is one.

    ``float8_e4m3fn``, ``float8_e4m3fnuz`` and the elements of ``mxfp8_e4m3`` are all ``e4m3``; ``uint8`` is ``int8``.
    """
    return frozenset(_format(spec) for spec in (unit.element_a, unit.element_b))


def _family(spec: ScalarSpec | BlockSpec) -> str:
    if isinstance(spec, BlockSpec):
        return f"block {_family(spec.element)}"
    if isinstance(spec, IntegerSpec):
        return "integer"
    if isinstance(spec, FloatSpec):
        return "float"
    return "codebook" if isinstance(spec, CodebookSpec) else "posit"


def _format(spec: ScalarSpec) -> str:
    if isinstance(spec, IntegerSpec):
        return f"int{spec.bits}"
    return f"e{spec.exp_bits}m{spec.man_bits}" if isinstance(spec, FloatSpec) else spec.name
