# SPDX-License-Identifier: Apache-2.0
"""Ways to lay a product out on an array, beside the plain one: groups side by side, pixels side by side, transposed."""

from collections.abc import Iterator
from dataclasses import replace
from math import prod

from hwsim.accelerator.mapping.machine import Machine
from hwsim.accelerator.mapping.pieces import Image, Lines, Whole
from hwsim.accelerator.mapping.problem import Problem
from hwsim.accelerator.spec import Accelerator
from hwsim.datapath.accumulator import FixedAccumulator, FloatAccumulator
from hwsim.datapath.array import ArrayKind
from hwsim.formats import FloatSpec, IntegerSpec, Overflow, PositSpec, Rounding
from hwsim.network import MatmulShape
from hwsim.network.layers.conv import Conv

__all__ = [
    "arrangements",
    "takes_zeros",
]


def takes_zeros(accelerator: Accelerator) -> bool:
    """Whether products with a zero of b may be brought in anywhere along K without changing a value.

    They may where all sums are exact: fixed accumulators that wrap. They may where an element adds one product a step:
    to a float accumulator but for the sign of a zero, and as long as no operand is infinite or NaN. They may not where
    a step has several products, which would fall into other steps, nor with block formats, whose blocks would.
    """
    unit, element = accelerator.unit, accelerator.element
    if not all(isinstance(form, IntegerSpec | FloatSpec | PositSpec) for form in (unit.a, unit.b)):
        return False
    if unit.sparsity is not None or unit.order or unit.promotion is not None:
        return False
    register = unit.accumulator
    if isinstance(register, FloatAccumulator) and register.rounding is Rounding.STOCHASTIC:
        return False  # its random words go with the step
    exact = isinstance(register, FixedAccumulator) and register.overflow is Overflow.WRAP
    return exact or element.lanes == 1


def arrangements(machine: Machine, layer: object, plain: Problem, shape: tuple[int, ...]) -> Iterator[Problem]:
    """Yield the other arrangements of a plain problem that leave its values as they are.

    - packed_groups: several groups side by side, their weights a block-diagonal matrix;
    - toeplitz: several neighbouring output pixels of a line side by side on the columns, K the union of their taps;
    - transposed: M and N exchanged, where the unit takes both operands in one format.

    Parameters
    ----------
    layer : Layer
    plain : Problem
    shape : tuple of int
        Of the layer's first input.
    """
    if isinstance(layer, Conv) and takes_zeros(machine.accelerator):
        yield from _packed(machine, plain)
        yield from _toeplitz(machine, layer, plain, shape)
    unit = machine.accelerator.unit
    if unit.a == unit.b and unit.sparsity is None and not unit.ignored_bits:
        groups, m, k, n = plain.product
        yield replace(
            plain, arrangement="transposed", product=MatmulShape(groups, n, k, m), a=plain.b, b=plain.a, swapped=True
        )


def _packed(machine: Machine, plain: Problem) -> Iterator[Problem]:
    groups, m, k, n = plain.product
    array, one = machine.accelerator.array, machine.folds
    most = array.columns // n
    if array.dataflow is ArrayKind.INPUT_STATIONARY:
        most = one.k // k
    elif not array.dataflow.keeps_outputs:
        most = min(most, one.k // k)
    factor = min(most, groups)
    if factor < 2:
        return
    factor = -(-groups // -(-groups // factor))  # as even as can be
    assert isinstance(plain.a.view, Image)
    yield replace(
        plain,
        arrangement="packed_groups",
        factor=factor,
        product=MatmulShape(-(-groups // factor), m, factor * k, factor * n),
        a=plain.a._replace(view=plain.a.view._replace(channels=k // plain.a.view.taps)),
        b=plain.b._replace(view=Whole(n, k)),
        out=plain.out._replace(view=Lines(1, 1, 1, n)),
    )


def _toeplitz(machine: Machine, layer: Conv, plain: Problem, shape: tuple[int, ...]) -> Iterator[Problem]:
    groups, _, k, n = plain.product
    window = layer.window
    out = window.output(shape[2:])
    most = min(machine.accelerator.array.columns // n, out[-1])
    if len(out) < 2 or most < 2:
        return
    view = plain.a.view
    assert isinstance(view, Image)
    channels = k // view.taps
    factors = {most} | {1 << bit for bit in range(1, most.bit_length()) if 1 << bit < most}
    for factor in sorted(factors):
        taps = {
            pixel * window.strides[-1] + tap * window.dilations[-1]
            for pixel in range(factor)
            for tap in range(window.kernel[-1])
        }
        across = -(-out[-1] // factor)
        per_line = prod(out[1:-1]) * across
        union = prod(window.kernel[:-1]) * len(taps)
        yield replace(
            plain,
            arrangement="toeplitz",
            factor=factor,
            product=MatmulShape(groups, shape[0] * out[0] * per_line, channels * union, n * factor),
            a=plain.a._replace(view=view._replace(per_line=per_line, taps=union, channels=channels)),
            b=plain.b._replace(view=Whole(n, k)),
            out=plain.out._replace(view=Lines(across, out[-1], factor, n)),
        )
