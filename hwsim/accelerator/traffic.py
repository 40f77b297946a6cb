# SPDX-License-Identifier: Apache-2.0
"""What a layer moves: each tensor through each port, scales and places apart from the elements."""

from dataclasses import dataclass
from math import ceil
from typing import Any

from hwsim.accelerator.arrays import Schedule
from hwsim.accelerator.footprint import Footprint, footprint
from hwsim.accelerator.spec import Accelerator, Dataflow
from hwsim.network import Layer, MatmulShape, Network, TensorSpec
from hwsim.network.layers.multiply_accumulate import MultiplyAccumulate

__all__ = [
    "PORTS",
    "Move",
    "Traffic",
    "layer_traffic",
    "weights_fit",
]

PORTS = ("activation_read", "activation_write", "weight_read", "weight_write", "dram")
_KIB_BITS = 8192
_IMAGES = ("conv", "max_pool", "average_pool")


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A tensor that goes through a port, `times` over.

    Parameters
    ----------
    tensor : str
        Its name; ``LAYER.weight`` of weights, ``LAYER.partial_sums`` of what a fold of K leaves for the next.
    port : str
        One of `PORTS`.
    element_bits, scale_bits, index_bits : int
        Bits in all; of scales: those of blocks, channels and the tensor; of indices: the places that sparsity keeps.
    times : int
        How often the same bits are moved.
    """

    tensor: str
    port: str
    element_bits: int
    scale_bits: int = 0
    index_bits: int = 0
    times: int = 1

    @property
    def bits(self) -> int:
        """All of them."""
        return self.element_bits + self.scale_bits + self.index_bits


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Bits moved in a pass of the network's batch, tensor by tensor; scales and indices are in all sums.

    Weights that fit on chip all together stay there, and are not fetched again for each pass. Otherwise a layer's come
    from the DRAM once, or once for each row of tiles where they do not fit alone. Activations cross the DRAM at the
    network's edges, and where a layer's inputs and outputs do not fit on chip; what comes from there is written to the
    activations' memory, and what goes there is read from it.
    """

    moves: tuple[Move, ...] = ()

    def port_bits(self, port: str) -> int:
        """Return the bits through a port."""
        return sum(move.bits for move in self.moves if move.port == port)

    @property
    def activation_read_bits(self) -> int:
        """Bits read from the activations' memory."""
        return self.port_bits("activation_read")

    @property
    def activation_write_bits(self) -> int:
        """Bits written to it."""
        return self.port_bits("activation_write")

    @property
    def weight_read_bits(self) -> int:
        """Bits read from the weights' memory."""
        return self.port_bits("weight_read")

    @property
    def weight_write_bits(self) -> int:
        """Bits written to it."""
        return self.port_bits("weight_write")

    @property
    def dram_bits(self) -> int:
        """Bits to and from the DRAM."""
        return self.port_bits("dram")

    @property
    def scale_bits(self) -> int:
        """Bits of scales, through all ports."""
        return sum(move.scale_bits for move in self.moves)

    @property
    def index_bits(self) -> int:
        """Bits of sparse places, through all ports."""
        return sum(move.index_bits for move in self.moves)

    @property
    def bits(self) -> int:
        """All bits through all ports."""
        return sum(move.bits for move in self.moves)

    @property
    def sram_bits(self) -> int:
        """All bits to and from the memories on chip."""
        return self.bits - self.dram_bits

    def as_dict(self) -> dict[str, Any]:
        """Return the sums and the moves as JSON-ready values."""
        sums = {f"{port}_bits": self.port_bits(port) for port in PORTS}
        moves = [
            {
                "tensor": move.tensor,
                "port": move.port,
                "element_bits": move.element_bits,
                "scale_bits": move.scale_bits,
                "index_bits": move.index_bits,
                "times": move.times,
            }
            for move in self.moves
        ]
        return {**sums, "scale_bits": self.scale_bits, "index_bits": self.index_bits, "moves": moves}


def weights_fit(network: Network, accelerator: Accelerator) -> bool:
    """Whether the weights of all layers, scales included, are on chip together."""
    bits = 0
    for layer in network.layers:
        product = layer.matmul_shape(network.specs(layer))
        if product is not None and isinstance(layer, MultiplyAccumulate) and layer.weight is not None:
            bits += _weights(accelerator, product).bits
    return bits <= accelerator.weights.kilobytes * _KIB_BITS


def layer_traffic(
    network: Network, accelerator: Accelerator, layer: Layer, schedule: Schedule | None, resident: bool
) -> Traffic:
    """Count what a layer moves.

    Operands of a product are read as the unit takes them: blocks lie along K, a row of a (an output pixel's, of a
    convolution) or a column of b after the other. A float32 tensor on chip is kept in the format of the unit's a, in
    blocks along its channels: axis 1 of what convolutions and pools touch, else the last axis.

    Parameters
    ----------
    network : Network
    accelerator : Accelerator
    layer : Layer
        One of the network's.
    schedule : Schedule, optional
        Of its product, if it is one.
    resident : bool
        Whether the weights stay on chip (`weights_fit`).
    """
    inputs = network.specs(layer)
    outputs = tuple(network.tensors[name] for name in layer.outputs)
    stored = {spec.name: _stored(network, accelerator, spec) for spec in (*inputs, *outputs)}
    moves = _outside(network, accelerator, layer, stored)
    if layer.kind == "reshape":  # the same elements in the same order: nothing moves but at the network's edges
        return Traffic(moves=tuple(moves))
    if schedule is None:
        moves += [_move(spec.name, "activation_read", stored[spec.name]) for spec in inputs]
    else:
        product = layer.matmul_shape(inputs)
        assert product is not None
        moves += _operands(accelerator, layer, product, schedule, resident)
    moves += [_move(spec.name, "activation_write", stored[spec.name]) for spec in outputs]
    return Traffic(moves=tuple(moves))


def _move(tensor: str, port: str, size: Footprint, times: int = 1) -> Move:
    whole = size.times(times)
    return Move(
        tensor=tensor,
        port=port,
        element_bits=whole.element_bits,
        scale_bits=whole.scale_bits,
        index_bits=whole.index_bits,
        times=times,
    )


def _operands(
    accelerator: Accelerator, layer: Layer, product: MatmulShape, schedule: Schedule, resident: bool
) -> list[Move]:
    """Return what a product reads, and what its folds leave for one another."""
    unit, array = accelerator.unit, accelerator.array
    assert isinstance(layer, MultiplyAccumulate)
    stationary = array.dataflow is Dataflow.WEIGHT_STATIONARY
    cut = array.rows * unit.width if stationary else None
    groups, m, k, n = product
    a = footprint(unit.a, groups * m, k, sparsity=unit.sparsity, cut=cut)
    b = footprint(unit.b, groups * n, k, cut=cut)
    a_times = schedule.a_elements // (groups * m * k)
    b_times = schedule.b_elements // (groups * n * k)
    moves = [_move(layer.inputs[0], "activation_read", a, a_times)]
    if layer.weight is None:
        moves.append(_move(layer.inputs[-1], "activation_read", b, b_times))
    else:
        name = f"{layer.name}.weight"
        moves.append(_move(name, "weight_read", b, b_times))
        if not resident:
            whole = _weights(accelerator, product)
            fits = stationary or whole.bits <= accelerator.weights.kilobytes * _KIB_BITS
            times = 1 if fits else ceil(m / array.rows)
            moves += [_move(name, port, whole, times) for port in ("weight_write", "dram")]
    if schedule.partial_sums:
        sums = Footprint(schedule.partial_sums * unit.accumulator.bits)
        name = f"{layer.name}.partial_sums"
        moves += [_move(name, port, sums) for port in ("activation_write", "activation_read")]
    return moves


def _weights(accelerator: Accelerator, product: MatmulShape) -> Footprint:
    return footprint(accelerator.unit.b, product.groups * product.n, product.k)


def _stored(network: Network, accelerator: Accelerator, spec: TensorSpec) -> Footprint:
    """Return the bits of a tensor on chip."""
    if not spec.dtype.startswith("float"):
        return Footprint(spec.elements * spec.bits)
    if spec.elements == 0 or not spec.shape:
        return footprint(accelerator.unit.a, 1, spec.elements)
    image = len(spec.shape) > 2 and any(
        layer.kind in _IMAGES and spec.name in (*layer.inputs, *layer.outputs) for layer in network.layers
    )
    channels = spec.shape[1 if image else -1]
    return footprint(accelerator.unit.a, spec.elements // channels, channels)


def _outside(network: Network, accelerator: Accelerator, layer: Layer, stored: dict[str, Footprint]) -> list[Move]:
    """Return the activations that cross the DRAM: the network's own, in their own type, and what does not fit."""
    capacity = accelerator.activations.kilobytes * _KIB_BITS
    spilled = layer.kind != "reshape" and sum(size.bits for size in stored.values()) > capacity
    starts = {spec.name: spec for spec in network.inputs}
    ends = {spec.name: spec for spec in network.outputs}
    moves = []
    for name, size in stored.items():
        read = name in layer.inputs
        own = (starts if read else ends).get(name)
        if own is not None and read and not spilled:  # loaded once, by the first that reads it
            own = own if next(each for each in network.layers if name in each.inputs) is layer else None
        if own is None and not spilled:
            continue
        outside = size if own is None else Footprint(own.elements * own.bits)
        moves += [_move(name, "dram", outside), _move(name, "activation_write" if read else "activation_read", size)]
    return moves
