# SPDX-License-Identifier: Apache-2.0
"""The comment on top of a unit's Verilog: everything that one needs to use it."""

from hwsim.datapath.unit import (
    CascadedAlignment,
    DotProductUnit,
    ExactAlignment,
    FixedAccumulator,
    FloatAccumulator,
    PairwiseAlignment,
    ScalarSpec,
)
from hwsim.formats import BlockSpec, CodebookSpec, IntegerSpec, PositSpec, Rounding, Specials
from rtl.architecture import Architecture
from rtl.datapath.dot_product import chosen_ranks, ranks, row_fields

__all__ = [
    "header",
]

_SPECIALS = {
    Specials.IEEE: "infinity and NaN where the exponent is all ones",
    Specials.FN: "NaN where all bits below the sign are ones, no infinity",
    Specials.FNUZ: "NaN in place of negative zero, no infinity",
    Specials.FINITE: "no infinity, no NaN",
    Specials.EXTENDED: "infinity is the largest magnitude, NaN in place of negative zero, or all ones if unsigned",
}


def header(
    unit: DotProductUnit,
    latency: int,
    version: str,
    architecture: Architecture | None = None,
    *,
    name: str | None = None,
) -> str:
    """Return the comment for a unit with registers after `latency` stages, which is its latency.

    Its module is `name`, or of the unit's name.
    """
    top = name or unit.name
    registers = ", ".join(chosen_ranks(unit, latency, architecture))
    lines = [
        f"{top}: written by hwsim {version}",
        *([] if top == unit.name else ["", f"The unit {unit.name} of hwsim, under another name."]),
        "",
        f"Computes d = round(c + sum(a[i] * b[i])), {unit.lanes} product{'s' * (unit.lanes > 1)} a row.",
        "A row with first starts from c, any other from the register; a row with last makes an output, so that a row",
        f"with both is a whole dot product of {unit.lanes}.",
        "",
        f"Operand a:    {_format(unit.a)}",
        f"Operand b:    {_format(unit.b)}",
        *_entry(unit),
        f"Alignment:    {_alignment(unit)}",
        f"Accumulator:  {_accumulator(unit.accumulator, unit.has_specials)}",
        *_promotion(unit),
        f"Output:       {_output(unit)}",
        "",
        *_structure(architecture),
        f"Registers:    after {registers} (possible: {', '.join(ranks(unit, architecture))})",
        f"Latency:      {latency} cycle{'s' * (latency > 1)} from an accepted row with last to o_valid, with no wait",
        "Throughput:   one row a cycle",
        "Clock, reset: rising edge of clk; rst is synchronous, active high, acts without en, and resets the valid bits",
        "              only, not the register: the first row after rst must have first",
        "Flow:         while an output waits (o_valid and not o_ready) everything stands still;",
        "              i_ready is combinational from o_ready",
        "",
        f"Module {top} (the shell)",
        *_ports(unit, shell=True),
        "",
        f"Module {top}_core (in the shell, or to be used alone)",
        *_ports(unit, shell=False),
    ]
    return "".join(f"// {line}".rstrip() + "\n" for line in lines)


def _structure(architecture: Architecture | None) -> list[str]:
    """Return what is not the synthesizer's own."""
    if architecture is None or architecture == Architecture():
        return []
    words = {
        "products by": architecture.multiplier,
        "reduction by": architecture.reduction,
        "adders by": architecture.adder,
        "accumulation in": architecture.accumulation.replace("_", "-") + " form",
    }
    return [f"Structure:    {', '.join(f'{what} {how}' for what, how in words.items())}"]


def _format(spec: ScalarSpec | BlockSpec) -> str:
    if isinstance(spec, BlockSpec):
        tensor = "; the tensor's scale is left to the user" if spec.tensor_scale else ""
        scaled = f"a scale for {spec.block_size} elements: {_format(spec.scale)}"
        return f"{spec.name}: {_format(spec.element)}; {scaled}{tensor}"
    if isinstance(spec, IntegerSpec):
        kind = "two's complement" if spec.signed else "unsigned"
        unit = "" if spec.fraction_bits == 0 else f", unit 2**{-spec.fraction_bits}"
        return f"{spec.name}: {spec.bits} bits, {kind}{unit}"
    if isinstance(spec, PositSpec):
        return f"{spec.name}: {spec.bits} bits, {spec.es} exponent bits, NaR"
    if isinstance(spec, CodebookSpec):
        return f"{spec.name}: {spec.bits} bits, codebook of {', '.join(f'{level:g}' for level in spec.levels)}"
    fields = f"{'sign, ' * spec.signed}{spec.exp_bits} exponent bits (bias {spec.bias}), {spec.man_bits} mantissa bits"
    zero = "" if spec.subnormals else ", no subnormals and no zero"
    return f"{spec.name}: {fields}; {_SPECIALS[spec.specials]}{zero}"


def _alignment(unit: DotProductUnit) -> str:
    if isinstance(unit.alignment, ExactAlignment):
        return "the products of a row are added exactly"
    spec = unit.alignment
    if isinstance(spec, PairwiseAlignment):
        return "products, and sums of neighbours pair by pair, are each rounded as the accumulator is"
    if isinstance(spec, CascadedAlignment):
        return _cascaded(spec)
    addends = "the products of a row" if spec.group == 1 else f"the sums of {spec.group} products each"
    what = f"{'products' if spec.group == 1 else addends} and register" if spec.with_accumulator else addends
    rest = "cut" if spec.rounding is Rounding.TOWARD_ZERO else f"rounded {spec.rounding.value}"
    return (
        f"{what} are brought to the largest exponent (at least {spec.exp_floor}); "
        f"{spec.fraction_bits} bits below it are kept, the rest is {rest}"
    )


def _cascaded(spec: CascadedAlignment) -> str:
    parts = "products" if spec.parts == 1 else "products, even and odd lanes apart,"
    return (
        f"{parts} are brought to the largest exponent and cut {spec.fraction_bits} bits below it; then their sum and "
        f"the register to the larger one, cut downward {spec.sum_fraction_bits} and {spec.register_fraction_bits} "
        "bits below it"
    )


def _entry(unit: DotProductUnit) -> list[str]:
    """Return what happens to operands before they are multiplied."""
    words = []
    if unit.ignored_bits:
        dropped = "ignored" if unit.operand_rounding is Rounding.TOWARD_ZERO else "rounded to nearest even"
        words.append(f"the {unit.ignored_bits} bits below each code are {dropped}")
    if unit.unpacked is not None:
        words.append(f"converted to {unit.unpacked.name}")
    if unit.flush_operands:
        words.append("subnormals, of c too, count as zero")
    if unit.sparsity is not None:
        kept, of = unit.sparsity.kept, unit.sparsity.of
        words.append(f"of a {kept} of {of} neighbours, with the place of each; b with all")
    if unit.order:
        words.append("rows come in the order in which the unit takes elements")
    return [f"Entry:        {'; '.join(words)}"] if words else []


def _promotion(unit: DotProductUnit) -> list[str]:
    """Return what the second register is."""
    if unit.promotion is None:
        return []
    text = _accumulator(unit.promotion.accumulator, unit.has_specials)
    return [
        f"Promotion:    every {unit.promotion.length} products, and at last, that is added to a second register, to",
        f"              which c goes, and starts again at zero: {text}",
    ]


def _accumulator(spec: FixedAccumulator | FloatAccumulator, has_specials: bool) -> str:
    if isinstance(spec, FixedAccumulator):
        special = ", and beside it infinity or NaN seen since c" if has_specials else ""
        width = f"{spec.bits} bits, two's complement, unit 2**{-spec.fraction_bits}"
        return f"{width}; overflow: {spec.overflow.value}{special}"
    assert isinstance(spec, FloatAccumulator)
    kept = "" if spec.result_man_bits == spec.format.man_bits else f" to {spec.result_man_bits} mantissa bits"
    rounded = f"each row rounded {spec.rounding.value}{kept}, overflow: {spec.overflow.value}, NaN {spec.nan_code:#x}"
    return f"{_format(spec.format)}; {rounded}"


def _output(unit: DotProductUnit) -> str:
    if not unit.converts:
        return "the accumulator as it is"
    return f"{_format(unit.output)}; rounded {unit.rounding.value}, overflow: {unit.overflow.value}"


def _ports(unit: DotProductUnit, *, shell: bool) -> list[str]:
    notes = {"first": "the row starts from c", "last": "the row ends a dot product"}
    for name, spec, count in (("a", unit.element_a, unit.lanes), ("b", unit.element_b, unit.width)):
        notes[name] = f"{count} x {spec.name}, lane i at bits {_slice(spec.bits + unit.ignored_bits)}"
    if unit.sparsity is not None:
        notes["index"] = f"{unit.lanes} places of a's among {unit.sparsity.of} neighbours, lane 0 at bit 0"
    scales = zip(("scale_a", "scale_b"), (unit.scale_a, unit.scale_b), unit.scale_counts, strict=True)
    for name, scale, count in scales:
        if scale is not None and count == 1:
            notes[name] = f"{scale.name}, of the block that the row of {name[-1]} is from"
        elif scale is not None:
            notes[name] = f"{count} x {scale.name}, of the blocks of the row of {name[-1]}, the first at bit 0"
    notes["c"] = f"{unit.register.name}, read with first"
    fields = [(name, bits, notes[name]) for name, bits in row_fields(unit).items()]
    control: list[tuple[str, str, int, str]] = [("clk", "input", 1, ""), ("rst", "input", 1, "")]
    if shell:
        control += [
            ("i_valid", "input", 1, "there is a row"),
            ("i_ready", "output", 1, "it is accepted at the clock's edge"),
        ]
        rows = [(f"i_{name}", "input", bits, text) for name, bits, text in fields]
        outputs = [
            ("o_valid", "output", 1, "there is an output"),
            ("o_ready", "input", 1, "it is taken at the clock's edge"),
            ("o_d", "output", unit.output.bits, unit.output.name),
        ]
    else:
        control += [
            ("en", "input", 1, "clock enable of every register; rst acts without it"),
            ("valid", "input", 1, "there is a row"),
        ]
        rows = [(name, "input", bits, text) for name, bits, text in fields]
        outputs = [
            ("d", "output", unit.output.bits, unit.output.name),
            ("d_valid", "output", 1, "there is an output"),
        ]
    ports = [*control, *rows, *outputs]
    return [f"  {direction:6} {name:9} {bits:4}  {text}" for name, direction, bits, text in ports]


def _slice(bits: int) -> str:
    return "i" if bits == 1 else f"{bits}*i+{bits - 1}:{bits}*i"
