# SPDX-License-Identifier: Apache-2.0
"""Softmax and the product with the values after it as one pass over tiles of keys, as attention units do it."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from hwsim.network.float_softmax import exponential, finite_top, online_softmax, sum_16_lanes
from hwsim.network.graph import Engine, Layer, MatmulShape, Network, TensorSpec
from hwsim.network.layers.gemm import Gemm
from hwsim.network.layers.multiply_accumulate import Form
from hwsim.network.layers.softmax import Softmax
from hwsim.network.nonlinear import NonlinearSpec, SoftmaxKind
from hwsim.network.requantize import Rule

__all__ = [
    "OnlineAttention",
    "with_online_attention",
]

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OnlineAttention(Layer):
    """softmax(scores) @ values, the softmax never held as a whole.

    Of each tile of keys, with scores x and values v: ``m' = max(m, max(x))``; ``e = exp(x - m')``;
    ``c = exp(m - m')``; ``s = s * c + sum(e)``; ``o = o * c + e @ v``, the product by the engine; ``m = m'``. At last
    ``o / s``. All in float32, every operation rounded; exp and the sum of a tile as in `online_softmax`.

    Parameters
    ----------
    softmax : Softmax
    product : Gemm
        What multiplies the softmax with the values: its name goes to the engine.
    tile : int
        Keys of a tile.

    Source
    ------
    FuseMax, arXiv:2406.10491, the one-pass cascade (equations 39 to 55), with the division deferred.
    """

    kind: ClassVar[str] = "gemm"

    softmax: Softmax
    product: Gemm
    tile: int

    def output_specs(self, specs: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
        """Return the specs of the softmax and of the product."""
        (weights,) = self.softmax.output_specs(specs[:1])
        return (weights, *self.product.output_specs((weights, specs[1])))

    def matmul_shape(self, specs: tuple[TensorSpec, ...]) -> MatmulShape:
        """Return the product's sizes, all tiles in one."""
        return self.product.matmul_shape(specs)

    def keeps_batch(self, specs: tuple[TensorSpec, ...]) -> bool:
        """Tell whether axis 0 is a row or a group of its own on both sides."""
        return self.softmax.keeps_batch(specs[:1]) and self.product.keeps_batch(specs)

    def run(self, values: tuple[Array, ...], engine: Engine, rule: Rule) -> tuple[Array, ...]:
        """Return the softmax, which the hardware never has (for those who look at it), and the product."""
        scores, keyed = values
        lead = scores.shape[:-1]
        maximum = np.full((*lead, 1), -np.inf, np.float32)
        total, out = np.zeros((*lead, 1), np.float32), np.zeros((), np.float32)
        for start in range(0, scores.shape[-1], self.tile):
            part = scores[..., start : start + self.tile]
            top = np.maximum(maximum, part.max(axis=-1, keepdims=True))
            exps = exponential(part - finite_top(top))
            kept = exponential(maximum - finite_top(top))
            sums = sum_16_lanes(exps.reshape(-1, exps.shape[-1])).reshape(total.shape)
            total = total * kept + sums
            (partial,) = self.product.run((exps, keyed[..., start : start + self.tile, :]), engine, rule)
            out = partial if start == 0 else out * kept + partial
            maximum = top
        rows = online_softmax(scores.reshape(-1, scores.shape[-1]), self.tile)
        return rows.reshape(scores.shape), np.asarray(out / total)


def with_online_attention(network: Network, spec: NonlinearSpec) -> Network:
    """Return a network in which each float softmax that only a product reads is computed with it in one pass.

    Parameters
    ----------
    network : Network
    spec : NonlinearSpec
        The network is returned as it is unless its softmax is ONLINE.

    Returns
    -------
    Network
        With the same tensors. A softmax along another axis than the last, one that others read too, and one that is
        quantized before the product stay layers of their own.
    """
    if spec.softmax is not SoftmaxKind.ONLINE:
        return network
    readers: dict[str, list[Layer]] = {}
    for layer in network.layers:
        for name in layer.inputs:
            readers.setdefault(name, []).append(layer)
    kept = {output.name for output in network.outputs}
    found = {
        product.name: softmax
        for softmax in network.layers
        if isinstance(softmax, Softmax) and softmax.outputs[0] not in kept and len(readers[softmax.outputs[0]]) == 1
        for product in readers[softmax.outputs[0]]
        if _joins(network, softmax, product)
    }
    gone = {softmax.name for softmax in found.values()}
    layers: list[Layer] = []
    for layer in network.layers:
        if layer.name in found:
            assert isinstance(layer, Gemm)
            layers.append(_joined(found[layer.name], layer, spec.tile))
        elif layer.name not in gone:
            layers.append(layer)
    return replace(network, layers=tuple(layers))


def _joins(network: Network, softmax: Softmax, product: Layer) -> bool:
    """Tell whether a product of floats multiplies a softmax along its last axis with something that varies."""
    if not isinstance(product, Gemm) or product.form is not Form.FLOAT or product.transpose_a:
        return False
    if product.bias_values is not None or product.channel_scale is not None or product.activation is not None:
        return False
    if len(product.inputs) != 2 or product.inputs[0] != softmax.outputs[0] or len(softmax.inputs) != 1:
        return False
    shape, values = (network.tensors[name].shape for name in (softmax.inputs[0], product.inputs[1]))
    last = softmax.axis % len(shape) == len(shape) - 1
    return last and softmax.output_quantization is None and len(shape) > 1 and len(values) > 1


def _joined(softmax: Softmax, product: Gemm, tile: int) -> OnlineAttention:
    """Return the layer that computes both."""
    return OnlineAttention(
        name=product.name,
        operator=product.operator,
        inputs=(softmax.inputs[0], product.inputs[1]),
        outputs=(softmax.outputs[0], product.outputs[0]),
        softmax=softmax,
        product=product,
        tile=tile,
    )
