# SPDX-License-Identifier: Apache-2.0
"""What a layer moves: each tensor through each port, scales and places apart from the elements."""

from dataclasses import dataclass
from typing import Any

from hwsim.accelerator.footprint import Footprint

__all__ = [
    "PORTS",
    "Move",
    "Traffic",
    "move",
]

PORTS = ("activation_read", "activation_write", "weight_read", "weight_write", "dram")


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

    Weights that fit on chip all together stay there, and are not fetched again for each pass. What else crosses the
    DRAM, and how often, is the mapping's (`hwsim.accelerator.mapping`): what comes from there is written to a memory on
    chip, and what goes there is read from one.
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


def move(tensor: str, port: str, whole: Footprint, times: int = 1) -> Move:
    """Return a move of so many bits in all, `times` over."""
    return Move(
        tensor=tensor,
        port=port,
        element_bits=whole.element_bits,
        scale_bits=whole.scale_bits,
        index_bits=whole.index_bits,
        times=times,
    )
