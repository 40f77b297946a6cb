# SPDX-License-Identifier: Apache-2.0
"""Layers off the array: the vector unit's cycles, and what it moves."""

from hwsim.accelerator.footprint import Footprint
from hwsim.accelerator.mapping.layer_plan import Event, LayerPlan
from hwsim.accelerator.mapping.operands import input_place, output_place, outside_form
from hwsim.accelerator.mapping.pieces import Place, sized
from hwsim.accelerator.mapping.storage import Storage
from hwsim.accelerator.spec import Accelerator
from hwsim.accelerator.traffic import Move, Traffic, move
from hwsim.network import Layer, Network
from hwsim.network.affine import element_bits
from hwsim.network.layers.elementwise import Elementwise
from hwsim.network.layers.gather import Gather, GatherElements, GatherND
from hwsim.network.nonlinear import SoftmaxKind

__all__ = [
    "passes",
    "vector_plan",
]

_FLOAT32_BITS = 32


def passes(accelerator: Accelerator, layer: Layer) -> int:
    """Return how often the vector unit goes over a layer's elements.

    Softmax: three times (maximum; exponentials and their sum; quotients), twice where it is online or in two passes.
    Layer normalization: three times (mean; variance; quotients). All others once.
    """
    if layer.kind == "softmax":
        return 2 if accelerator.nonlinear.softmax in (SoftmaxKind.ONLINE, SoftmaxKind.TWO_PASS) else 3
    return 3 if layer.kind == "layer_norm" else 1


def vector_plan(network: Network, accelerator: Accelerator, storage: Storage, layer: Layer) -> LayerPlan:
    """Plan a layer without a product: `vector_lanes` elements a cycle, of the largest of its tensors, in each pass.

    Elements stream: what comes from the DRAM is taken and what goes there leaves as fast as the slowest of vector unit,
    ports and DRAM lets them, with no fill. Each pass but the first reads what the first has left on chip. Constants
    come from the DRAM through the weights' memory, of a table that is gathered from the slices that are taken. A
    reshape moves nothing.
    """
    moves: list[Move] = []
    cycles = 0
    if layer.kind != "reshape":
        count = passes(accelerator, layer)
        specs = [network.tensors[name] for name in (*layer.inputs, *layer.outputs)]
        cycles = count * -(-max(spec.elements for spec in specs) // accelerator.vector_lanes)
        for name in dict.fromkeys(layer.inputs):
            size = storage.sizes[storage.same[name]]
            if input_place(storage, layer, name) is not Place.CHIP:
                form = outside_form(network, storage, name)
                whole = sized(form, 1, network.tensors[name].elements) if isinstance(form, int) else size
                moves += [move(name, "dram", whole), move(name, "activation_write", size)]
            moves.append(move(name, "activation_read", size.times(count), count))
        for name in layer.outputs:
            size = storage.sizes[name]
            moves.append(move(name, "activation_write", size))
            if output_place(storage, name) is not Place.CHIP:
                form = outside_form(network, storage, name)
                whole = sized(form, 1, network.tensors[name].elements) if isinstance(form, int) else size
                moves += [move(name, "activation_read", size), move(name, "dram", whole)]
        if bits := _constant_bits(network, layer):
            name = f"{layer.name}.constants"
            moves += [move(name, port, Footprint(bits)) for port in ("dram", "weight_write", "weight_read")]
    traffic = Traffic(moves=tuple(moves))
    width, weights = accelerator.activations.port_bits, accelerator.weights.port_bits
    slowest = max(
        -(-traffic.dram_bits // accelerator.dram.bits_per_cycle),
        -(-traffic.activation_read_bits // width),
        -(-traffic.activation_write_bits // width),
        -(-traffic.weight_read_bits // weights),
    )
    stall = max(0, slowest - cycles)
    events = [Event("compute", 0, cycles)] if cycles else []
    events += [Event("stall", cycles, cycles + stall)] if stall else []
    return LayerPlan(
        layer=layer,
        product=None,
        mapping=None,
        schedule=None,
        steps=0,
        fill_cycles=0,
        compute_cycles=cycles,
        drain_cycles=0,
        stall_cycles=stall,
        traffic=traffic,
        register_bits=0,
        weights_resident=False,
        events=tuple(events),
    )


def _constant_bits(network: Network, layer: Layer) -> int:
    """Return the bits of the constants that a layer takes in a pass, but for operands of a single number."""
    if not isinstance(layer, Elementwise) or all(array is None for array in layer.constants):
        return layer.parameters * _FLOAT32_BITS
    total = 0
    for index, array in enumerate(layer.constants):
        if array is None or array.size == 1:
            continue
        quantization = layer.quantizations[index] if index < len(layer.quantizations) else None
        bits = 8 * array.itemsize if quantization is None else element_bits(quantization.dtype)
        gathered = index == 0 and isinstance(layer, Gather | GatherElements | GatherND)
        total += bits * (network.tensors[layer.outputs[0]].elements if gathered else array.size)
    return total
