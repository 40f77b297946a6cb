# SPDX-License-Identifier: Apache-2.0
"""A layer's product as a problem for the mapper: where its operands are, and what a tile needs of them."""

from math import prod

from hwsim.accelerator.mapping.machine import Machine
from hwsim.accelerator.mapping.pieces import Form, Image, Matrix, Operand, Place
from hwsim.accelerator.mapping.problem import Problem, k_fold
from hwsim.accelerator.mapping.storage import FLOATS, Storage, coded_form, weight_form
from hwsim.accelerator.spec import Accelerator
from hwsim.network import Layer, MatmulShape, Network
from hwsim.network.layers.conv import Conv
from hwsim.network.layers.multiply_accumulate import MultiplyAccumulate

__all__ = [
    "input_place",
    "least_bits",
    "output_place",
    "outside_form",
    "plain_problem",
]

_KIB_BITS = 8192


def input_place(storage: Storage, layer: Layer, name: str) -> Place:
    """Return where an input is when the layer begins."""
    if not storage.chip(name):
        return Place.DRAM
    return Place.KEPT if storage.inputs.get(storage.same[name]) == layer.name else Place.CHIP


def output_place(storage: Storage, name: str) -> Place:
    """Return where an output goes."""
    if not storage.chip(name):
        return Place.DRAM
    return Place.KEPT if name in storage.outputs else Place.CHIP


def outside_form(network: Network, storage: Storage, name: str) -> Form:
    """Return how a tensor is kept in the DRAM: the network's own in their own type, others as on chip."""
    root = storage.same[name]
    if root in storage.inputs or root in storage.outputs:
        return network.tensors[name].bits
    return storage.forms[root]


def plain_problem(
    network: Network, accelerator: Accelerator, storage: Storage, layer: Layer, activation_bits: int
) -> Problem:
    """Return a layer's product as it is, with so much of the activations' memory free."""
    assert isinstance(layer, MultiplyAccumulate)
    product = layer.matmul_shape(network.specs(layer))
    assert product is not None
    groups, m, k, n = product
    joined = isinstance(layer, Conv)
    if layer.weight is None:
        b = _activation(network, accelerator, storage, layer, 1, (groups, n, k))
    else:
        place = Place.CHIP if storage.weights_resident else Place.DRAM
        form = weight_form(accelerator, layer)
        b = Operand("weight", place, Matrix(), groups, form, form)
    name = layer.outputs[0]
    out = Operand(
        "activation",
        output_place(storage, name),
        Matrix(),
        groups,
        outside_form(network, storage, name),
        storage.forms[storage.same[name]],
        joined,
    )
    return Problem(
        product=product,
        a=_activation(network, accelerator, storage, layer, 0, (groups, m, k)),
        b=b,
        out=out,
        arrangement="plain",
        factor=1,
        groups=groups,
        k=k,
        swapped=False,
        activation_bits=activation_bits,
        weight_bits=accelerator.weights.kilobytes * _KIB_BITS,
    )


def _activation(
    network: Network,
    accelerator: Accelerator,
    storage: Storage,
    layer: MultiplyAccumulate,
    index: int,
    sides: tuple[int, int, int],
) -> Operand:
    """Return an operand that is a tensor of the network: an image of a convolution, or `groups` matrices.

    Codes come with the scales of their blocks. Tiles of floats are rounded to the unit's format as they are loaded.
    """
    name = layer.inputs[index]
    spec, place = network.tensors[name], input_place(storage, layer, name)
    outside, stored = outside_form(network, storage, name), storage.forms[storage.same[name]]
    coded = coded_form(layer.blocks[index])
    if coded is not None:
        outside = stored = coded
    elif spec.dtype in FLOATS and place is Place.DRAM:
        stored = (accelerator.unit.a, accelerator.unit.b)[index]
    groups, rows, length = sides
    view: Image | Matrix = Matrix()
    if isinstance(layer, Conv):
        view = _image(layer, spec.shape)
    else:
        groups = max(1, min(groups, spec.elements // (rows * length)))
    return Operand(
        "activation",
        place,
        view,
        groups,
        outside,
        stored,
        isinstance(layer, Conv),
    )


def _image(layer: Conv, shape: tuple[int, ...]) -> Image:
    window, spatial = layer.window, shape[2:]
    out = window.output(spatial)
    return Image(
        lines=spatial[0],
        pixels=prod(spatial[1:]),
        out_lines=out[0],
        per_line=prod(out[1:]),
        stride=window.strides[0],
        pad=window.pads[0],
        extent=window.extent[0],
        taps=prod(window.kernel),
    )


def least_bits(machine: Machine, problem: Problem, *, whole: bool = False) -> int:
    """Return the bits of the activations' memory that the smallest tiles of a plain problem take.

    Parameters
    ----------
    whole : bool
        Of those that have all of K.
    """
    one, product = machine.folds, problem.product
    k = product.k if whole else k_fold(machine, problem)
    bits = 0
    if not machine.keeps_outputs and product.k > one.k:
        bits += min(product.m, one.m) * min(product.n, one.n) * machine.sum_bits
    twice = 2 if machine.doubled["activation"] else 1
    for tensor, sides in ((problem.a, ("m", "k")), (problem.b, ("n", "k")), (problem.out, ("m", "n"))):
        if tensor.memory == "activation" and tensor.place is Place.DRAM:
            sizes = MatmulShape(1, one.m, k, one.n)
            cuts = ((getattr(product, side), getattr(sizes, side)) for side in sides)
            bits += twice * int(tensor.pieces(tensor.stored, 1, *cuts).bits.max())
    return bits
