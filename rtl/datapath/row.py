# SPDX-License-Identifier: Apache-2.0
"""What a row of a unit has."""

from hwsim.datapath.unit import DotProductUnit, FixedAccumulator
from rtl.datapath.entry import code_bits
from rtl.datapath.sparse import index_bits

__all__ = [
    "row_fields",
]


def row_fields(unit: DotProductUnit) -> dict[str, int]:
    """Return the fields of an input row with their widths, the first at bit 0."""
    accumulator = unit.register
    of_a, of_b = code_bits(unit)
    fields = {"first": 1, "last": 1, "a": unit.lanes * of_a, "b": unit.width * of_b}
    if unit.sparsity is not None:
        fields["index"] = unit.lanes * index_bits(unit)
    for name, spec, count in zip(("scale_a", "scale_b"), (unit.scale_a, unit.scale_b), unit.scale_counts, strict=True):
        if spec is not None:
            fields[name] = count * spec.bits
    return fields | {"c": accumulator.bits if isinstance(accumulator, FixedAccumulator) else accumulator.format.bits}
