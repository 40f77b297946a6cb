# SPDX-License-Identifier: Apache-2.0
"""Other arrangements of grouped convolutions: the matrices they stand for are built, and give the same outputs."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

import hwsim
from hwsim.accelerator import Accelerator, ArrayKind, schedule
from hwsim.accelerator.mapping.arrangements import arrangements, takes_zeros
from hwsim.accelerator.mapping.machine import Machine
from hwsim.accelerator.mapping.operands import plain_problem
from hwsim.accelerator.mapping.problem import Problem
from hwsim.accelerator.mapping.storage import store
from hwsim.datapath import matmul, named
from hwsim.network import MatmulShape, Network, TensorSpec
from hwsim.network.layers.conv import Conv
from hwsim.network.layers.multiply_accumulate import Form
from hwsim.network.layers.window import Window

Ints = NDArray[np.int64]


def accelerator(kind: ArrayKind = ArrayKind.WEIGHT_STATIONARY, unit: str = "int8") -> Accelerator:
    base = hwsim.accelerator.read("int8_16x16")
    return replace(base, unit=named(unit), array=replace(base.array, dataflow=kind))


def conv(
    groups: int, channels: int, filters: int, size: tuple[int, int], stride: int, dilation: int
) -> tuple[Network, Conv]:
    """Return a 3 x 3 convolution of so many channels and filters in each group, as a network."""
    rng = np.random.default_rng(1)
    weight = rng.integers(-8, 8, (groups * filters, channels, 3, 3)).astype(np.float32)
    layer = Conv(
        name="conv",
        operator="Conv",
        inputs=("x",),
        outputs=("z",),
        form=Form.FLOAT,
        weight=weight,
        window=Window(kernel=(3, 3), strides=(stride, stride), dilations=(dilation, dilation), pads=(1, 1, 1, 1)),
        groups=groups,
    )
    x = TensorSpec(name="x", shape=(2, groups * channels, *size), dtype="float32")
    (z,) = layer.output_specs((x,))
    tensors = {"x": x, "z": z}
    return Network(name="one", layers=(layer,), inputs=(x,), outputs=(z,), tensors=tensors, constants={}), layer


def variants(machine: Machine, net: Network, layer: Conv) -> Iterator[Problem]:
    storage = store(net, machine.accelerator, lambda layer, storage: 0)
    plain = plain_problem(net, machine.accelerator, storage, layer, 1 << 30)
    yield plain
    yield from arrangements(machine, layer, plain, net.tensors["x"].shape)


def packed(a: Ints, b: Ints, factor: int) -> Ints:
    """Multiply with `factor` groups side by side, zeros where a group meets the weights of another."""
    groups, m, k = a.shape
    n = b.shape[2]
    outputs = np.zeros((groups, m, n), np.int64)
    for first in range(0, groups, factor):
        wide = np.zeros((m, factor * k), np.int64)
        diagonal = np.zeros((factor * k, factor * n), np.int64)
        here = range(first, min(first + factor, groups))
        for place, group in enumerate(here):
            wide[:, place * k : (place + 1) * k] = a[group]
            diagonal[place * k : (place + 1) * k, place * n : (place + 1) * n] = b[group]
        product = wide @ diagonal
        for place, group in enumerate(here):
            outputs[group] = product[:, place * n : (place + 1) * n]
    return outputs


def toeplitz(x: Ints, layer: Conv, factor: int) -> tuple[Ints, MatmulShape]:
    """Multiply with `factor` neighbouring pixels of a line side by side; return the outputs and the product's sides."""
    assert layer.weight is not None
    weight = layer.weight.astype(np.int64)
    stride, dilation = layer.window.strides[0], layer.window.dilations[0]
    batch, _, height, width = x.shape
    out_h, out_w = layer.window.output((height, width))
    filters, channels = weight.shape[0] // layer.groups, weight.shape[1]
    across = -(-out_w // factor)
    padded = np.pad(x, ((0, 0), (0, 0), (1, 8), (1, 1 + factor * stride + 4 * dilation)))
    taps = sorted({pixel * stride + tap * dilation for pixel in range(factor) for tap in range(3)})
    places = [(c, row, tap) for c in range(channels) for row in range(3) for tap in taps]
    outputs = np.zeros((batch, layer.groups * filters, out_h, across * factor), np.int64)
    for group in range(layer.groups):
        b = np.zeros((len(places), factor * filters), np.int64)
        for index, (c, row, tap) in enumerate(places):
            for pixel in range(factor):
                column, rest = divmod(tap - pixel * stride, dilation)
                if rest == 0 and 0 <= column < 3:
                    for f in range(filters):
                        b[index, pixel * filters + f] = weight[group * filters + f, c, row, column]
        rows = [(i, y, q) for i in range(batch) for y in range(out_h) for q in range(across)]
        a = np.array(
            [
                [
                    padded[i, group * channels + c, y * stride + row * dilation, q * factor * stride + tap]
                    for c, row, tap in places
                ]
                for i, y, q in rows
            ]
        )
        product = a @ b
        for (i, y, q), line in zip(rows, product, strict=True):
            for pixel in range(factor):
                start = group * filters
                outputs[i, start : start + filters, y, q * factor + pixel] = line[
                    pixel * filters : (pixel + 1) * filters
                ]
    shape = MatmulShape(layer.groups, len(rows), len(places), factor * filters)
    return outputs[..., :out_w], shape


@pytest.mark.parametrize(
    ("groups", "channels", "filters", "size", "stride", "dilation"),
    [(8, 1, 1, (6, 9), 1, 1), (5, 1, 2, (7, 8), 2, 1), (3, 2, 1, (6, 11), 1, 2), (4, 1, 1, (9, 9), 2, 2)],
)
def test_arrangements_are_the_same_convolution(
    groups: int, channels: int, filters: int, size: tuple[int, int], stride: int, dilation: int
) -> None:
    net, layer = conv(groups, channels, filters, size, stride, dilation)
    rng = np.random.default_rng(2)
    x = rng.integers(-8, 8, net.inputs[0].shape)
    a, b = layer.operands((x,), "channel_first")
    exact = a.astype(np.int64) @ b.astype(np.int64)
    seen = set()
    for kind in (ArrayKind.WEIGHT_STATIONARY, ArrayKind.OUTPUT_STATIONARY):
        for problem in variants(Machine(accelerator(kind)), net, layer):
            seen.add(problem.arrangement)
            if problem.arrangement == "packed_groups":
                count = -(-groups // problem.factor)
                assert problem.product == (count, a.shape[1], problem.factor * a.shape[2], problem.factor * b.shape[2])
                assert np.array_equal(packed(a, b, problem.factor), exact)
            elif problem.arrangement == "toeplitz":
                outputs, shape = toeplitz(x, layer, problem.factor)
                assert problem.product == shape
                assert np.array_equal(outputs, layer.restore(exact, (x.shape,)))
            elif problem.arrangement == "transposed":
                assert np.array_equal((b.transpose(0, 2, 1) @ a.transpose(0, 2, 1)).transpose(0, 2, 1), exact)
    assert seen == {"plain", "packed_groups", "toeplitz", "transposed"}


def test_arrangements_read_what_is_not_zero() -> None:
    # 8 channels on 16 x 16 weight-stationary units: one group side by side takes 9 rows. Weights are 72 bytes in each.
    net, layer = conv(8, 1, 1, (6, 9), 1, 1)
    machine = Machine(accelerator(ArrayKind.OUTPUT_STATIONARY))
    for problem in variants(machine, net, layer):
        a, b = problem.reads(machine, problem.product, problem.groups)
        if problem.arrangement == "packed_groups":
            assert (problem.factor, a.bits, b.bits) == (8, 8 * 8 * 108 * 9, 8 * 8 * 9)
        if problem.arrangement == "toeplitz" and problem.factor == 8:  # 9 pixels: two of 8, whose taps are 10 columns
            assert (a.bits, b.bits) == (8 * 8 * 24 * 30, 8 * 8 * 8 * 9)


def test_arrangements_of_a_depthwise_convolution_by_hand() -> None:
    # 32 channels of two images of 14 x 14, 3 x 3, on 16 x 16 output-stationary units. Plain: a fold for 16 of 392
    # pixels, of 9 steps. 14 pixels side by side: a fold for 16 of 28 lines, of 3 x 16 taps.
    net, layer = conv(32, 1, 1, (14, 14), 1, 1)
    machine = Machine(accelerator(ArrayKind.OUTPUT_STATIONARY))
    cycles = {
        (each.arrangement, each.factor): schedule(machine.accelerator.array, each.product, 1, 2)
        for each in variants(machine, net, layer)
    }
    plain, side = cycles["plain", 1], cycles["toeplitz", 14]
    assert (plain.folds, plain.stream_cycles) == (32 * 25, 32 * 25 * 9)
    assert (side.folds, side.stream_cycles) == (32 * 2, 32 * 2 * 48)
    assert side.cycles == 32 * 2 * (48 + 30) + 18
    assert plain.cycles == 32 * 25 * (9 + 30) + 18


def test_arrangements_only_where_values_stay() -> None:
    assert takes_zeros(accelerator())
    assert not takes_zeros(accelerator(unit="mxfp4_l16"))
    base = accelerator()
    saturating = replace(
        base.unit, accumulator=replace(base.unit.accumulator, overflow=hwsim.formats.Overflow.SATURATE)
    )
    assert takes_zeros(replace(base, unit=saturating))
    assert not takes_zeros(replace(base, unit=replace(saturating, lanes=4)))


def test_zeros_leave_the_sums_of_a_float_unit_as_they_are() -> None:
    unit = replace(named("fp8_e4m3_l4"), lanes=1)
    assert takes_zeros(replace(accelerator(), unit=unit))
    rng = np.random.default_rng(3)
    a = hwsim.formats.quantize(rng.normal(size=(64, 9)), unit.a, None).codes
    b = hwsim.formats.quantize(rng.normal(size=(9, 4)), unit.b, None).codes
    wide_a = hwsim.formats.quantize(rng.normal(size=(64, 27)), unit.a, None).codes
    wide_b = np.zeros((27, 4), b.dtype)
    places = np.sort(rng.permutation(27)[:9])
    wide_a[:, places], wide_b[places] = a, b
    plain = unit.output.decode(matmul(unit, a, b))
    assert np.array_equal(unit.output.decode(matmul(unit, wide_a, wide_b)), plain)
    assert np.count_nonzero(plain) > 200
