# SPDX-License-Identifier: Apache-2.0
"""Scales moved between layers: cross-layer equalization and SmoothQuant. The float network stays what it is."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from hwsim.quantization.float_graph import FloatGraph
from hwsim.quantization.paths import Shapes, Source, channels_of, scaled_by, siblings
from hwsim.quantization.products import Product, products

__all__ = [
    "equalize",
    "smooth",
    "smoothable",
]

Scales = npt.NDArray[np.float64]

_ROUNDS = 10  # over all pairs; ranges of chains converge within a few (arXiv:1906.04721, section 4.1.2)


def equalize(graph: FloatGraph, shapes: Shapes, *, power_of_two: bool) -> list[str]:
    """Give the output channels of a layer and the input channels that read them one range.

    s_i = sqrt(r1_i / r2_i), r1_i the largest magnitude of output channel i of the first layer's weights, r2_i that of
    input channel i of the second's; W1 and b1 are divided by s, W2 is multiplied (arXiv:1906.04721, equation 11). Pairs
    are first layers whose output only layers with weights read, through Relu, pooling and flattening.

    Parameters
    ----------
    graph : FloatGraph
        Changed in place.
    shapes : mapping of str to tuple of int
    power_of_two : bool
        Round each s to a power of two: the float network then gives the same bits.

    Returns
    -------
    list of str
        The pairs, each with the range of its scales.
    """
    known = {product.name: product for product in products(graph)}
    pairs = []
    for tensor in dict.fromkeys(product.input for product in known.values()):
        readers = siblings(graph, tensor, known)
        source = scaled_by(graph, tensor, shapes, is_conv=readers[0].is_conv) if readers else None
        if source is not None and source.product is not None:
            pairs.append((source, readers))
    total = [np.ones(source.product.rows.shape[0]) for source, _ in pairs if source.product is not None]
    for _ in range(_ROUNDS):
        for (source, readers), so_far in zip(pairs, total, strict=True):
            assert source.product is not None
            first = np.abs(source.product.rows).max(axis=1).astype(np.float64)
            second = _channel_sizes(readers, source.repeat)
            used = (first > 0) & (second > 0)
            scales = np.sqrt(np.where(used, first, 1.0) / np.where(used, second, 1.0))
            step = _rounded(scales, power_of_two)
            _apply(source, readers, step)
            np.multiply(so_far, step, out=so_far)
    return [
        f"{source.product.name} and {', '.join(each.name for each in readers)}: scales {s.min():.3g} to {s.max():.3g}"
        for (source, readers), s in zip(pairs, total, strict=True)
        if source.product is not None
    ]


def smoothable(graph: FloatGraph) -> dict[str, list[Product]]:
    """Return the tensors that SmoothQuant can scale, with the products that read them."""
    known = {product.name: product for product in products(graph)}
    found = {}
    for tensor in dict.fromkeys(product.input for product in known.values()):
        readers = [each for each in known.values() if each.input == tensor and each.has_weights and each.groups == 1]
        if readers and len({each.is_conv for each in readers}) == 1:
            found[tensor] = readers
    return found


def smooth(
    graph: FloatGraph, shapes: Shapes, largest: Mapping[str, Scales], alpha: float, *, power_of_two: bool
) -> list[str]:
    """Move the size of activations' channels into the weights that read them.

    s_j = max|X_j|**alpha / max|W_j|**(1 - alpha) (arXiv:2211.10438, equation 4); X is divided, W multiplied. The
    division goes into the normalization or product that makes X where it is read by these products only; else it
    stays as a Mul in the graph.

    Parameters
    ----------
    graph : FloatGraph
        Changed in place.
    shapes : mapping of str to tuple of int
    largest : mapping of str to ndarray
        Of each tensor of `smoothable`, the largest magnitude of each channel on the calibration set.
    alpha : float
    power_of_two : bool
        Round each s to a power of two.

    Returns
    -------
    list of str
        The places, folded or not.
    """
    notes = []
    for tensor, readers in smoothable(graph).items():
        seen = largest[tensor]
        sizes = _channel_sizes(readers, 1)
        used = (seen > 0) & (sizes > 0)
        scales = np.where(used, seen, 1.0) ** alpha / np.where(used, sizes, 1.0) ** (1 - alpha)
        scales = _rounded(np.where(used, scales, 1.0), power_of_two)
        alone = siblings(graph, tensor, {each.name: each for each in readers})
        source = scaled_by(graph, tensor, shapes, is_conv=readers[0].is_conv) if alone else None
        if source is not None and source.repeat == 1:
            _apply(source, readers, scales)
            by = source.product.name if source.product is not None else source.norm.name  # type: ignore[union-attr]
            notes.append(f"{tensor}: folded into {by}")
        else:
            _online(graph, tensor, readers, scales)
            notes.append(f"{tensor}: a Mul before {', '.join(each.name for each in readers)}, not folded")
    return notes


def _channel_sizes(readers: list[Product], repeat: int) -> Scales:
    """Return the largest magnitude of the weights of each input channel (of the source)."""
    sizes = [
        np.abs(each.rows).reshape(each.rows.shape[0], channels_of(each) // repeat, -1).max(axis=(0, 2))
        for each in readers
    ]
    return np.asarray(np.max(sizes, axis=0), np.float64)


def _rounded(scales: Scales, power_of_two: bool) -> Scales:
    return np.exp2(np.rint(np.log2(scales))) if power_of_two else scales


def _apply(source: Source, readers: list[Product], scales: Scales) -> None:
    """Divide what the source makes by scales, and multiply the weights that read it."""
    if source.product is not None:
        source.product.set_rows(source.product.rows / scales[:, None])
        source.product.set_bias(source.product.bias / scales)
    else:
        node = source.norm
        assert node is not None
        graph = readers[0].graph
        for index, name in enumerate(node.input[1:], 1):
            if name:
                graph.own_constant(node, index, (graph.constants[name] / scales).astype(np.float32))
    _multiply(readers, np.repeat(scales, source.repeat))


def _multiply(readers: list[Product], scales: Scales) -> None:
    for each in readers:
        each.set_rows(each.rows * np.repeat(scales, each.taps))


def _online(graph: FloatGraph, tensor: str, readers: list[Product], scales: Scales) -> None:
    """Put a Mul by 1 / scales before the readers."""
    rank: tuple[Any, ...] = (1, -1, *[1] * (readers[0].weight.ndim - 2)) if readers[0].is_conv else (-1,)
    name = graph.add_constant(f"{tensor}.smoothing", (1 / scales).astype(np.float32).reshape(rank))
    smoothed = graph.append("Mul", [tensor, name], f"{tensor}.smooth")
    graph.redirect(tensor, smoothed, [each.node for each in readers])
    _multiply(readers, scales)
