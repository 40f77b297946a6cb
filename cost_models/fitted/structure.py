# SPDX-License-Identifier: Apache-2.0
"""What a unit is made of, counted from its spec: cells a stage in the sense of closed forms, and register bits."""

import numpy as np

from hwsim.datapath.unit import DotProductUnit, ExactAlignment, FixedAccumulator, FloatAccumulator, ScalarSpec
from hwsim.formats import CodebookSpec, FloatSpec, IntegerSpec, Overflow, PositSpec, Rounding

__all__ = [
    "check_unit",
    "exponent_bits",
    "float_window",
    "fused_columns",
    "is_signed_product",
    "ranks",
    "scale_max",
    "significand_bits",
    "structure",
    "sum_magnitude_bits",
    "table_muxes",
]

_PREFERENCE = ("accumulate", "multiply", "round_pack", "align_add")  # where a pipeline gets registers first
_CONTROL_BITS = 3  # valid, first, last


def check_unit(unit: DotProductUnit, pipeline: int) -> None:
    """
    Check that a unit is of the kind that the features describe.

    Raises
    ------
    TypeError
        If `unit` is no DotProductUnit, or `pipeline` no int.
    ValueError
        If the unit has what no feature counts (an alignment that cuts, a promotion, sparsity, an order, operands that
        are converted as they enter, several scales a step, stochastic rounding), or more register ranks than stages.
    """
    if not isinstance(unit, DotProductUnit):
        raise TypeError(f"unit must be a DotProductUnit, not {unit!r}")
    if isinstance(pipeline, bool) or not isinstance(pipeline, int):
        raise TypeError(f"pipeline must be an int, not {pipeline!r}")
    what = None
    if not isinstance(unit.alignment, ExactAlignment):
        what = f"the alignment {unit.alignment.name}"
    elif unit.inner is not unit:
        what = "a promotion, an order, sparsity or operands that change as they enter"
    elif max(unit.scale_counts) > 1:
        what = "several scales a step"
    elif isinstance(unit.accumulator, FloatAccumulator) and unit.accumulator.rounding is Rounding.STOCHASTIC:
        what = "stochastic rounding"
    if what is not None:
        raise ValueError(f"a fitted cost is for units with exact alignment and plain operands; {unit.name} has {what}")
    most = len(_possible(unit))
    if not 1 <= pipeline <= most:
        raise ValueError(f"a fitted cost of {unit.name} is for 1..{most} register ranks, not {pipeline}")


def significand_bits(spec: ScalarSpec) -> int:
    """Return the bits of a decoded significand: in two's complement for integers, else a magnitude."""
    return spec.bits + bool(spec.zero_point) if isinstance(spec, IntegerSpec) else spec.sig_bits


def exponent_bits(*specs: ScalarSpec | FloatSpec) -> int:
    """Return the bits of the sum of raw exponents: none where it is constant."""
    low = high = 0
    for spec in specs:
        reach = spec.exp_max - spec.exp_min
        one = int(isinstance(spec, FloatSpec) and spec.subnormals and reach > 0)
        low, high = low + one, high + one + reach
    return high.bit_length() if high > low else 0


def is_signed_product(unit: DotProductUnit) -> bool:
    """Whether products are in two's complement: one operand is a signed integer."""
    return any(
        isinstance(spec, IntegerSpec) and (spec.signed or spec.zero_point) for spec in (unit.element_a, unit.element_b)
    )


def scale_max(unit: DotProductUnit) -> int:
    """Return the largest significand of a product of scales."""
    largest = 1
    for spec in (unit.scale_a, unit.scale_b):
        largest *= 1 if spec is None else spec.max_significand
    return largest


def sum_magnitude_bits(unit: DotProductUnit) -> int:
    """Return the bits of the magnitude of a step's sum, scales in it."""
    if unit.on_grid:
        return int((((1 << (unit.sum_bits - 1)) - 1) * scale_max(unit)).bit_length())
    return int((unit.product_max * scale_max(unit)).bit_length())


def float_window(unit: DotProductUnit) -> int:
    """Return the columns in which a step's sum and a float register are added."""
    assert isinstance(unit.accumulator, FloatAccumulator)
    return max(sum_magnitude_bits(unit) + unit.accumulator.result_man_bits + 4, unit.accumulator.format.man_bits + 3)


def fused_columns(unit: DotProductUnit) -> int:
    """
    Return the columns of a single-path fused multiply-add, in which the register is shifted and the sum stands still.

    Source: Montoye, Hokenek and Runyon (1990); with two positions of the sum, as trees with the register have it.
    """
    assert isinstance(unit.accumulator, FloatAccumulator)
    spec, kept = unit.accumulator.format, unit.accumulator.result_man_bits + 1
    bits = sum_magnitude_bits(unit)
    low = 0
    for lead, exponent in _leads(unit):
        low = max(low, min(max(kept + 1, spec.sig_bits) - lead, exponent - spec.exp_min))
    fold = 0
    while 2 << fold <= kept + 2 and 4 << fold <= bits + low:
        fold += 1
    return bits + spec.sig_bits + low + 4 - (1 << fold)


def _leads(unit: DotProductUnit) -> list[tuple[int, int]]:
    """Return for each kind of sum the lowest place of its leading bit, and the largest exponent of its last place."""
    elements = (unit.element_a, unit.element_b)
    if unit.lanes > 1 or unit.scales or not all(isinstance(spec, FloatSpec | PositSpec) for spec in elements):
        scales = sum(spec.exp_max for spec in (unit.scale_a, unit.scale_b) if spec is not None)
        return [(0, (unit.product_exp_min if unit.on_grid else unit.product_exp_max) + scales)]
    kinds = []
    for spec in elements:
        kind = [(spec.sig_bits - 1, spec.exp_max)]
        if isinstance(spec, FloatSpec) and spec.subnormals:
            kind.append((0, spec.exp_min))
        kinds.append(kind)
    return [(a[0] + b[0], a[1] + b[1]) for a in kinds[0] for b in kinds[1]]


def ranks(unit: DotProductUnit, pipeline: int) -> tuple[str, ...]:
    """Return the stages behind which a unit has registers."""
    possible = _possible(unit)
    preferred = [name for name in _PREFERENCE if name in possible]
    return tuple(name for name in possible if name in preferred[:pipeline])


def structure(unit: DotProductUnit, pipeline: int) -> dict[str, float]:
    """
    Count the cells of each stage of a unit: closed forms of its widths.

    Parameters
    ----------
    unit : DotProductUnit
    pipeline : int

    Returns
    -------
    dict of str to float
        By ``stage.part``. Adders and multiplexers are counted in bits, `flip_flops` exactly (of the unit built with the
        synthesizer's own operators).

    Raises
    ------
    TypeError, ValueError
        As `check_unit`.
    """
    check_unit(unit, pipeline)
    counts = {"constant": 1.0, "registers.flip_flops": float(_flip_flops(unit, pipeline))}
    counts["registers.select"] = float(unit.register.bits)
    counts["registers.row"] = float(_row_bits(unit, pipeline))
    counts |= _decode(unit) | _multiply(unit) | _align_add(unit)
    return counts | _fixed(unit) | _float(unit) | _pack(unit)


def _possible(unit: DotProductUnit) -> tuple[str, ...]:
    """Return the stages that can have registers behind them."""
    nothing_to_add = unit.lanes == 1 and scale_max(unit) == 1
    nothing_to_add = nothing_to_add and not (unit.on_grid and exponent_bits(unit.element_a, unit.element_b))
    names = ["multiply"] + ([] if nothing_to_add else ["align_add"]) + ["accumulate"]
    return tuple(names + (["round_pack"] if unit.converts else []))


def _special_bits(unit: DotProductUnit) -> int:
    operands = (unit.element_a, unit.element_b)
    if any(spec.has_inf for spec in operands):
        return 2
    return int(any(spec.has_nan for spec in (*operands, *unit.scales)))


def _flip_flops(unit: DotProductUnit, pipeline: int) -> int:
    """Return the register bits of a core."""
    scales = tuple(spec for spec in (unit.scale_a, unit.scale_b) if spec is not None)
    special, signs = _special_bits(unit), any(spec.signed for spec in scales)
    elements = (unit.element_a, unit.element_b)
    beside = any(spec.min_value < 0 and not isinstance(spec, IntegerSpec) for spec in elements)
    scale_sign, scale_exponent = int(signs), exponent_bits(*scales)
    control = _CONTROL_BITS + unit.register.bits
    total = 0
    for rank in ranks(unit, pipeline):
        if rank == "multiply":
            lane = unit.product_max.bit_length() + is_signed_product(unit) + exponent_bits(*elements) + beside
            scale = scale_max(unit).bit_length() if scale_max(unit) > 1 else 0
            total += unit.lanes * lane + scale + scale_exponent + scale_sign + special + control
        elif rank == "align_add":
            if isinstance(unit.accumulator, FixedAccumulator):
                total += unit.sum_bits + special + control
            elif unit.on_grid:
                total += sum_magnitude_bits(unit) + 1 + scale_exponent + scale_sign + special + control
            else:
                exponent = exponent_bits(*elements, *scales)
                sign = int(beside or signs) + is_signed_product(unit)
                total += sum_magnitude_bits(unit) + exponent + sign + special + control
        elif rank == "accumulate":
            total += unit.register.bits + 1 + (special if isinstance(unit.accumulator, FixedAccumulator) else 0)
        else:
            total += unit.output.bits + 1
    return total


def _row_bits(unit: DotProductUnit, pipeline: int) -> int:
    """Return the bits that a rank behind products has where it stands behind their sum, in trees with the register."""
    apart = "multiply" in ranks(unit, pipeline) and isinstance(unit.accumulator, FixedAccumulator)
    return unit.sum_bits if apart else 0


def _decode(unit: DotProductUnit) -> dict[str, float]:
    """Count the decoders of both operands, and the detection of specials."""
    floats = posits = tables = specials = 0.0
    for spec in (unit.element_a, unit.element_b):
        if isinstance(spec, FloatSpec):
            floats += spec.exp_bits
        elif isinstance(spec, PositSpec):
            posits += spec.bits * float(np.log2(spec.bits))
        elif isinstance(spec, CodebookSpec):
            tables += table_muxes(spec)
        if spec.has_nan or spec.has_inf:
            specials += spec.bits * (1 + spec.has_inf)
    lanes = float(unit.lanes)
    return {
        "decode.float": lanes * floats,
        "decode.posit": lanes * posits,
        "decode.table": lanes * tables,
        "decode.specials": lanes * specials,
    }


def table_muxes(spec: CodebookSpec) -> int:
    """Return the multiplexers that look up significand, exponent and sign of a code, equal ones counted once."""
    parts = spec.unpack(np.arange(1 << spec.bits))
    significand, exponent = np.abs(parts.significand), parts.exponent - spec.exp_min
    words = [significand, exponent, parts.significand < 0]
    nodes: set[tuple[int, ...]] = set()

    def visit(table: tuple[int, ...]) -> None:
        """Count the nodes of a decision diagram of one output bit."""
        if len(set(table)) == 1 or table in nodes:
            return
        low, high = table[: len(table) // 2], table[len(table) // 2 :]
        if low != high:
            nodes.add(table)
        visit(low)
        visit(high)

    for word in words:
        for place in range(int(np.max(word)).bit_length()):
            visit(tuple(int(entry) >> place & 1 for entry in word))
    return len(nodes)


def _multiply(unit: DotProductUnit) -> dict[str, float]:
    """Count the AND gates and adders of the products, and the bits of exponent adders."""
    a, b = _independent_bits(unit.element_a), _independent_bits(unit.element_b)
    both = exponent_bits(unit.element_a) and exponent_bits(unit.element_b)
    scales = [spec for spec in (unit.scale_a, unit.scale_b) if spec is not None]
    exponents = exponent_bits(*scales) if len(scales) == 2 else 0
    scale_cells = scales[0].sig_bits * scales[1].sig_bits if len(scales) == 2 and scale_max(unit) > 1 else 0
    return {
        "multiply.ands": float(unit.lanes * a * b),
        "multiply.adders": float(unit.lanes * max(min(a, b) - 1, 0) * max(a, b)),
        "multiply.signs": float(unit.lanes * (a + b) if is_signed_product(unit) else 0),
        "multiply.exponents": float(unit.lanes * exponent_bits(unit.element_a, unit.element_b) if both else 0),
        "multiply.scales": float(exponents + scale_cells),
    }


def _independent_bits(spec: ScalarSpec) -> int:
    """Return the bits of a significand, of a codebook's only those that are different functions of the code."""
    if not isinstance(spec, CodebookSpec):
        return significand_bits(spec)
    significands = np.abs(spec.unpack(np.arange(1 << spec.bits)).significand)
    columns = {tuple((significands >> place & 1).tolist()) for place in range(spec.sig_bits)}
    return sum(len(set(column)) > 1 for column in columns)


def _align_add(unit: DotProductUnit) -> dict[str, float]:
    """Count the multiplexers of alignment, the exclusive-ors of signs, and the adders of the tree."""
    product = unit.product_max.bit_length() + is_signed_product(unit)
    spread = unit.product_exp_max - unit.product_exp_min if unit.on_grid else 0
    signs = unit.on_grid and any(
        spec.min_value < 0 and not isinstance(spec, IntegerSpec) for spec in (unit.element_a, unit.element_b)
    )
    tree, left, width = 0, unit.lanes, product + spread
    while left > 1:
        tree += left // 2 * (width + 1)
        left, width = left - left // 2, width + 1
    scaled = unit.sum_bits * scale_max(unit).bit_length() if scale_max(unit) > 1 else 0
    return {
        "align_add.muxes": float(unit.lanes * _shifter(product, spread, product + spread)),
        "align_add.signs": float(unit.lanes * (product + spread) if signs else 0),
        "align_add.tree": float(tree),
        "align_add.scales": float(scaled),
    }


def _fixed(unit: DotProductUnit) -> dict[str, float]:
    """Count the adder of a fixed register: where the step's sum stands, above that, and limits."""
    accumulator = unit.accumulator
    low = high = saturated = 0
    if isinstance(accumulator, FixedAccumulator):
        low = min(accumulator.bits, unit.sum_bits + max(unit.sum_shift, 0))
        high = accumulator.bits - low
        saturated = accumulator.bits if accumulator.overflow is Overflow.SATURATE else 0
    return {
        "accumulate.adder": float(low),
        "accumulate.carry": float(high),
        "accumulate.extend": float(high if _can_be_negative(unit) else 0),
        "accumulate.saturate": float(saturated),
    }


def _can_be_negative(unit: DotProductUnit) -> bool:
    return any(spec.min_value < 0 for spec in (unit.element_a, unit.element_b))


def _float(unit: DotProductUnit) -> dict[str, float]:
    """Count the parts of an adder of floats: swap, alignment, adder, search, normalisation, rounding, exponents."""
    accumulator = unit.accumulator
    larger = align = added = normalise = rounded = exponent = columns = fused = 0
    if isinstance(accumulator, FloatAccumulator):
        spec, window = accumulator.format, float_window(unit)
        larger = max(sum_magnitude_bits(unit), spec.sig_bits)
        scales = tuple(each for each in (unit.scale_a, unit.scale_b) if each is not None)
        exponent = max(exponent_bits(unit.element_a, unit.element_b, *scales), spec.exp_bits)
        align, added = _shifter(larger, window, window), window + 2
        normalise = _normalise(added, accumulator.result_man_bits + 2)
        rounded = accumulator.result_man_bits + spec.exp_bits
        columns = fused_columns(unit)
        fused = _normalise(columns, accumulator.result_man_bits + 2)
    return {
        "accumulate.float_swap": float(2 * larger),
        "accumulate.float_align": float(align),
        "accumulate.float_add": float(added),
        "accumulate.float_normalise": float(normalise),
        "accumulate.float_round": float(rounded),
        "accumulate.float_exponent": float(exponent),
        "accumulate.fused_columns": float(columns),
        "accumulate.fused_normalise": float(fused),
    }


def _pack(unit: DotProductUnit) -> dict[str, float]:
    """Count the conversion of the register to the output."""
    search = normalise = rounded = posit = 0
    if unit.converts and isinstance(unit.output, FloatSpec | PositSpec):
        kept = unit.output.sig_bits + 1
        rounded = unit.output.bits
        if isinstance(unit.accumulator, FixedAccumulator):
            search = unit.accumulator.bits
            normalise = _normalise(search, min(kept, search))
        if isinstance(unit.output, PositSpec):
            posit = int(unit.output.bits * np.log2(unit.output.bits))
    elif unit.converts:
        rounded = unit.output.bits
    return {
        "round_pack.search": float(search),
        "round_pack.normalise": float(normalise),
        "round_pack.round": float(rounded),
        "round_pack.posit": float(posit),
    }


def _shifter(bits: int, furthest: int, limit: int) -> int:
    """Return the multiplexers that shift a word by 0 to `furthest` places, which grows up to a limit."""
    total, width = 0, bits
    for place in range(furthest.bit_length()):
        width = min(width + (1 << place), limit)
        total += width
    return total


def _normalise(width: int, kept: int) -> int:
    """Return the multiplexers that shift a word up until its leading bit is on top, of which `kept` bits are kept."""
    total, left = 0, width
    for place in reversed(range(width.bit_length())):
        total += left
        left = min(kept + (1 << place) - 1, left)
    return total
