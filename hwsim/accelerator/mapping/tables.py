# SPDX-License-Identifier: Apache-2.0
"""Bits of a tensor's pieces for many sizes of tiles at once."""

from collections import Counter
from typing import NamedTuple

import numpy as np

from hwsim.accelerator.mapping.pieces import Form, Matrix, Operand, Spans, bounds, sized
from hwsim.accelerator.mapping.visits import Ints
from hwsim.formats import BlockSpec

__all__ = [
    "Table",
    "table",
]


class Table(NamedTuple):
    """Bits of a tensor's pieces, tiling by tiling.

    largest : of one on chip
    outside, stored : of all, in the DRAM's form and in that on chip
    first, last : of one, in the DRAM's form
    """

    largest: Ints
    outside: Ints
    stored: Ints
    first: Ints
    last: Ints


def table(tensor: Operand, totals: tuple[int, int], sizes: tuple[list[int], list[int]], groups: int) -> Table:
    """Return the table of a tensor for tiles of so many groups; `outside` and `stored` are of all groups.

    A row is for a size along the second side (K, or the output's channels), a column for one along the first.
    """
    rows = tensor.view.spans(totals[0], sizes[0])
    plain = not any(isinstance(form, BlockSpec) for form in (tensor.outside, tensor.stored))
    return (_plain if plain else _block)(tensor, rows, totals[1], sizes[1], min(groups, tensor.groups))


def _bits(tensor: Operand, form: Form, rows: Ints, length: int, groups: int) -> Ints:
    """Return the bits of pieces; where groups are not joined their rows are stacked."""
    whole = sized(form, rows, length * groups) if tensor.joined else sized(form, rows * groups, length)
    return np.asarray(whole.bits)


def _plain(tensor: Operand, rows: Spans, total: int, sizes: list[int], groups: int) -> Table:
    """Return the table of a tensor without blocks: a row for each size along the other side."""
    if isinstance(tensor.view, Matrix):
        lengths = tensor.view.spans(total, sizes)
    else:
        parts = [tensor.view.lengths(bounds(total, size), fresh=False) for size in sizes]
        lengths = Spans(*np.array([(each.max(), each.sum(), each[0], each[-1]) for each in parts], np.int64).T)
    outside, stored = (form if isinstance(form, int) else form.bits for form in (tensor.outside, tensor.stored))
    whole = np.outer(lengths.summed, rows.summed * tensor.groups)
    return Table(
        np.outer(lengths.largest, rows.largest) * (stored * groups),
        whole * outside,
        whole * stored,
        np.outer(lengths.first, rows.first) * (outside * groups),
        np.outer(lengths.last, rows.last) * outside,
    )


def _block(tensor: Operand, rows: Spans, total: int, sizes: list[int], groups: int) -> Table:
    """Return the table of a tensor with blocks: a row for each size along the other side."""
    columns = []
    for size in sizes:
        lengths = tensor.view.lengths(bounds(total, size), fresh=False).tolist()
        outside, stored = (
            sum(
                count * _bits(tensor, form, rows.summed, each, tensor.groups)
                for each, count in Counter(lengths).items()
            )
            for form in (tensor.outside, tensor.stored)
        )
        columns.append(
            (
                _bits(tensor, tensor.stored, rows.largest, max(lengths), groups),
                outside,
                stored,
                _bits(tensor, tensor.outside, rows.first, lengths[0], groups),
                _bits(tensor, tensor.outside, rows.last, lengths[-1], 1),
            )
        )
    return Table(*(np.stack(part) for part in zip(*columns, strict=True)))
