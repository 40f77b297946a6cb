# SPDX-License-Identifier: Apache-2.0
"""Where a network's tensors are: what each takes on chip, how long it lives, and what is spilled to the DRAM."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from hwsim.accelerator.footprint import Footprint, footprint
from hwsim.accelerator.mapping.pieces import Form, sized
from hwsim.accelerator.spec import Accelerator
from hwsim.network import Layer, Network, TensorSpec
from hwsim.network.layers.multiply_accumulate import MultiplyAccumulate

__all__ = [
    "Storage",
    "store",
    "stored_form",
    "stored_size",
    "weights_fit",
]

_KIB_BITS = 8192
_IMAGES = ("conv", "max_pool", "average_pool")


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """Where tensors are.

    sizes : bits of each on chip
    same : the tensor whose bits a tensor has: of a reshape, its input
    on_chip : tensors (by `same`) that are whole on chip from the first layer that has them to the last
    live : of these, the ones that are there at each layer, layer by layer
    weights_resident : whether all weights stay on chip
    inputs : the network's, and the first layer that reads each
    outputs : the network's
    """

    sizes: dict[str, Footprint]
    same: dict[str, str]
    on_chip: frozenset[str]
    live: tuple[frozenset[str], ...]
    weights_resident: bool
    inputs: dict[str, str]
    outputs: frozenset[str]

    def chip(self, name: str) -> bool:
        """Tell whether a tensor is whole on chip."""
        return self.same[name] in self.on_chip

    def resident_bits(self, index: int) -> int:
        """Return what the tensors on chip take at a layer."""
        return sum(self.sizes[root].bits for root in self.live[index] & self.on_chip)


def weights_fit(network: Network, accelerator: Accelerator) -> bool:
    """Tell whether all weights of a network fit on chip."""
    bits = 0
    for layer in network.layers:
        product = layer.matmul_shape(network.specs(layer))
        if isinstance(layer, MultiplyAccumulate) and product is not None and layer.weight is not None:
            bits += footprint(accelerator.unit.b, product.groups * product.n, product.k).bits
    return bits <= accelerator.weights.kilobytes * _KIB_BITS


def stored_form(accelerator: Accelerator, spec: TensorSpec) -> Form:
    """Return how a tensor's elements are kept on chip: float ones as the unit's a, all others as they are."""
    return accelerator.unit.a if spec.dtype in _FLOATS else spec.bits


_FLOATS = ("float32", "float16", "bfloat16", "float64", "float")


def stored_size(accelerator: Accelerator, spec: TensorSpec, *, image: bool) -> Footprint:
    """Return the bits of a tensor on chip; blocks along axis 1 of an image, else along the last axis."""
    form = stored_form(accelerator, spec)
    channels = spec.elements if spec.elements == 0 or not spec.shape else spec.shape[1 if image else -1]
    rows = spec.elements // max(channels, 1)
    return sized(form, rows, channels) if isinstance(form, int) else footprint(form, rows, channels)


def store(
    network: Network,
    accelerator: Accelerator,
    least: Callable[[Layer, Storage], int],
    spilled: frozenset[str] = frozenset(),
) -> Storage:
    """Decide what is spilled.

    A tensor is whole on chip from the layer that makes it to the last one that reads it (the network's inputs: from
    the first that reads them), or it is spilled: then it is in the DRAM all that time, and each layer loads and stores
    tiles of it. An output of the network that no layer reads is always. Layer by layer, where what is live does not fit
    beside the tiles that the layer needs at least, the tensor is spilled whose next reader is farthest from the layer;
    of several such the one that fewest layers read, then the largest.

    Parameters
    ----------
    least : callable
        Takes a layer and where tensors are; returns the bits that its tiles need at least of the activations' memory.
    spilled : frozenset of str
        Tensors (by `Storage.same`) that are spilled whether they fit or not.

    Raises
    ------
    ValueError
        If a layer's tiles do not fit, whatever is spilled.
    """
    images = {
        name
        for layer in network.layers
        if layer.kind in _IMAGES
        for name in (*layer.inputs, *layer.outputs)
        if len(network.tensors[name].shape) > 2
    }
    sizes = {
        name: stored_size(accelerator, spec, image=name in images)
        for name, spec in {**{each.name: each for each in network.inputs}, **network.tensors}.items()
    }
    same: dict[str, str] = {}
    readers: dict[str, list[int]] = {}
    begins: dict[str, int] = {}
    for index, layer in enumerate(network.layers):
        roots = [same.setdefault(name, name) for name in layer.inputs]
        if layer.kind == "reshape":
            same.update(dict.fromkeys(layer.outputs, roots[0]))
            continue
        for root in roots:
            readers.setdefault(root, []).append(index)
        same.update((name, name) for name in layer.outputs)
        for root in (*roots, *layer.outputs):
            begins.setdefault(root, index)
    ends = {root: index[-1] for root, index in readers.items()}
    starts = {spec.name for spec in network.inputs}
    storage = Storage(
        sizes=sizes,
        same=same,
        on_chip=frozenset(ends) - spilled,
        live=(),
        weights_resident=weights_fit(network, accelerator),
        inputs={root: network.layers[begins[root]].name for root in ends if root in starts},
        outputs=frozenset(same.get(spec.name, spec.name) for spec in network.outputs),
    )
    capacity = accelerator.activations.kilobytes * _KIB_BITS
    live: list[set[str]] = []
    opened: dict[int, list[str]] = {}
    for root in storage.on_chip:
        opened.setdefault(begins[root], []).append(root)
    now: set[str] = set()
    for index, layer in enumerate(network.layers):
        now = {root for root in (*now, *opened.get(index, ())) if ends[root] >= index}
        while sum(sizes[root].bits for root in now) + (need := least(layer, storage)) > capacity:
            if not now:
                raise ValueError(
                    f"layer {layer.name!r}: tiles need {need} bits of the activations' memory at least, which has "
                    f"{capacity}"
                )
            gone = max(
                now, key=lambda root: (_next_use(readers[root], index), -len(readers[root]), sizes[root].bits, root)
            )
            now.discard(gone)
            storage = replace(storage, on_chip=storage.on_chip - {gone})
        live.append(now)
    return replace(storage, live=tuple(map(frozenset, live)))


def _next_use(readers: list[int], index: int) -> int:
    """Return the first layer from this one on that reads a tensor."""
    return next(reader for reader in readers if reader >= index)
