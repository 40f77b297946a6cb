# SPDX-License-Identifier: Apache-2.0
"""Where a network's tensors are: what each takes on chip, how long it lives, and what is spilled to the DRAM."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from hwsim.accelerator.footprint import Footprint, footprint
from hwsim.accelerator.mapping.pieces import Form
from hwsim.accelerator.spec import Accelerator
from hwsim.formats import BlockSpec, IntegerSpec, ScaleRule
from hwsim.network import Layer, Network
from hwsim.network.affine import element_bits
from hwsim.network.float_quantization import BlockQuantization, Quantization
from hwsim.network.layers.conv import Conv
from hwsim.network.layers.multiply_accumulate import MultiplyAccumulate

__all__ = [
    "FLOATS",
    "Storage",
    "coded_form",
    "store",
    "weight_form",
    "weights_fit",
]

_KIB_BITS = 8192
FLOATS = ("float32", "float16", "bfloat16", "float64", "float")


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """Where tensors are.

    forms : how the elements of each are kept on chip
    sizes : bits of each on chip
    same : the tensor whose bits a tensor has: of a reshape, its input
    on_chip : tensors (by `same`) that are whole on chip from the first layer that has them to the last
    live : of these, the ones that are there at each layer, layer by layer
    weights_resident : whether all weights stay on chip
    inputs : the network's, and the first layer that reads each
    outputs : the network's
    """

    forms: dict[str, Form]
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
            bits += footprint(weight_form(accelerator, layer), product.groups * product.n, product.k).bits
    return bits <= accelerator.weights.kilobytes * _KIB_BITS


def weight_form(accelerator: Accelerator, layer: MultiplyAccumulate) -> Form:
    """Return how a layer's weights are kept: codes as they are, with their blocks' scales; values as the unit's b."""
    form = coded_form(layer.b_quantization)
    return accelerator.unit.b if form is None else form


def coded_form(quantization: Quantization | None) -> Form | None:
    """Return how codes are kept: their bits, and a scale for each block where they have one; None of values."""
    if quantization is None:
        return None
    bits = element_bits(quantization.dtype)
    if not isinstance(quantization, BlockQuantization):
        return bits
    return BlockSpec(
        element=IntegerSpec(bits=bits, signed=False),
        scale=quantization.scale_format,
        block_size=quantization.block_size,
        tensor_scale=bool(quantization.tensor_scale != 1),
        rule=ScaleRule.AMAX,
    )


def _kept(
    network: Network, accelerator: Accelerator, same: dict[str, str]
) -> tuple[dict[str, Form], dict[str, Footprint]]:
    """Return how each tensor is kept on chip, and its bits.

    Codes are kept as they are. So are floats, but for those that products alone read, all as the same operand: these
    are rounded to the unit's format as they are written, blocks along K (of an image along its channels).
    """
    taken: dict[str, set[tuple[Form, int] | None]] = {
        same.get(spec.name, spec.name): {None} for spec in network.outputs
    }
    for layer in network.layers:
        if layer.kind != "reshape":
            for place, name in enumerate(layer.inputs):
                taken.setdefault(same[name], set()).add(_operand(network, accelerator, layer, place))
    forms: dict[str, Form] = {}
    sizes = {}
    for name, spec in {**{each.name: each for each in network.inputs}, **network.tensors}.items():
        readers = taken.get(same.get(name, name), {None})
        (only,) = readers if len(readers) == 1 else (None,)
        form, length = (spec.bits, 1) if only is None or spec.dtype not in FLOATS else only
        forms[name], sizes[name] = form, footprint(form, spec.elements // max(length, 1), length)
    return forms, sizes


def _operand(network: Network, accelerator: Accelerator, layer: Layer, place: int) -> tuple[Form, int] | None:
    """Return the format that a product takes an input in, and the length that blocks lie along; None of all others."""
    if not isinstance(layer, MultiplyAccumulate) or place > (layer.weight is None):
        return None
    product = layer.matmul_shape(network.specs(layer))
    assert product is not None
    form = accelerator.unit.b if place else accelerator.unit.a
    if not isinstance(form, BlockSpec):
        return form, 1
    return form, network.tensors[layer.inputs[0]].shape[1] if isinstance(layer, Conv) else product.k


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
    forms, sizes = _kept(network, accelerator, same)
    ends = {root: index[-1] for root, index in readers.items()}
    starts = {spec.name for spec in network.inputs}
    storage = Storage(
        forms=forms,
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
