# SPDX-License-Identifier: Apache-2.0
"""What cutting a product into tiles costs at least."""

import numpy as np

from hwsim.accelerator.mapping.machine import Machine
from hwsim.accelerator.mapping.visits import Ints
from hwsim.datapath.array import ArrayKind
from hwsim.network import MatmulShape

__all__ = [
    "cut_cycles",
    "restart_cycles",
]


def cut_cycles(
    machine: Machine, product: MatmulShape, count: Ints, size: Ints, operands: Ints, outputs: Ints, stream: int
) -> Ints:
    """Return the cycles that the activations' port and the array take at least where K is cut into tiles.

    The tiles of the first part of K read no sums, those of the last write outputs and no sums: each kind of tile
    takes the longest of what it reads, writes and computes.

    Parameters
    ----------
    count, size : tiles along K, and elements of K in one
    operands, outputs : bits read and written in all
    stream : cycles in all
    """
    parts = -(-product.k // machine.folds.k)
    each = -(-size // machine.folds.k)
    crossing = product.groups * product.m * product.n * machine.sum_bits
    cycles = np.zeros(len(count))
    for tiles, folds, first, last in (
        (np.minimum(count - 1, 1), each, True, False),
        (np.maximum(count - 2, 0), each, False, False),
        (np.ones_like(count), parts - (count - 1) * each, count == 1, True),
    ):
        share = tiles * folds / parts
        within = tiles * (folds - 1) * crossing
        read = operands * share + within + tiles * crossing * ~np.asarray(first)
        written = within + (outputs if last else tiles * crossing)
        port = np.maximum(read, written) / machine.widths["activation"]
        cycles += np.maximum(port, stream * share)
    return np.floor(cycles * (1 - 1e-12)).astype(np.int64)


def restart_cycles(machine: Machine, product: MatmulShape, shared: str) -> int:
    """Return the cycles by which two parts one after the other take longer as tiles of their own, at least.

    Parts are two folds of the operand that stays, or of outputs; or two groups, whose folds wait for partial sums.
    """
    one = machine.folds
    side = "m" if machine.accelerator.array.dataflow is ArrayKind.INPUT_STATIONARY else "n"
    part = MatmulShape(1, min(product.m, one.m), min(product.k, 2 * one.k), one.n)
    if not machine.keeps_outputs:
        streamed = "n" if side == "m" else "m"
        part = part._replace(**{streamed: 1 if shared == streamed else getattr(product, streamed)})
        part = part._replace(**{side: getattr(one, side)})
    more = (part._replace(**{side: 2 * getattr(one, side)}), part._replace(groups=2))
    return max(0, 2 * machine.cost(part, "").cycles - max(machine.cost(each, "").cycles for each in more))
