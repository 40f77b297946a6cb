# SPDX-License-Identifier: Apache-2.0
"""Layer normalization: LayerNormalization, RMSNormalization, com.microsoft's Skip forms, and the exported pattern."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from hwsim.network.affine import AffineQuantization
from hwsim.network.float_softmax import sum_16_lanes
from hwsim.network.graph import Engine, Layer, Shape, TensorSpec
from hwsim.network.layers.nonlinear import Kind, Nonlinear, to_rows
from hwsim.network.nonlinear import LayerNormKind, NonlinearKernels, NonlinearSpec
from hwsim.network.pattern import Pattern, RawNode
from hwsim.network.requantize import Rule

__all__ = [
    "LayerNorm",
    "Statistics",
    "build_layer_norm",
    "build_skip_layer_norm",
]

Array = npt.NDArray[Any]
FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LayerNorm(Nonlinear):
    """(x - mean) / sqrt(variance + epsilon) * gamma + beta, over the last axes from `axis` on.

    Parameters
    ----------
    gamma, beta : ndarray of float32, shape (elements of a vector,)
    epsilon : float
        Integer kinds leave it out: their root is never 0.
    centred : bool
        Whether the mean is subtracted; without, the mean of the squares is all (RMSNormalization).
    """

    kind: ClassVar[str] = "layer_norm"

    gamma: FloatArray
    beta: FloatArray
    epsilon: float
    centred: bool = True

    @property
    def parameters(self) -> int:
        """Number of gains and offsets."""
        return self.gamma.size + self.beta.size

    def keeps_batch(self, specs: tuple[TensorSpec, ...]) -> bool:
        """Tell whether the sums do not run over the batch."""
        return self.axis % len(specs[0].shape) != 0

    def chosen(self, spec: NonlinearSpec) -> LayerNormKind:
        """Return the kind of normalization."""
        return spec.layer_norm

    def float_rows(self, kind: Kind, rows: FloatArray, tile: int) -> FloatArray:
        """Compute in float32, every operation rounded.

        ``mean = sum(x) / n``; ``d = x - mean``; ``variance = sum(d * d) / n``;
        ``d / sqrt(variance + epsilon) * gamma + beta``, from the left. Sums run in 16 lanes, folded to 8 and then
        pairwise. A pattern of other operators has this order too.

        Source: ONNX operator LayerNormalization; Ba, Kiros, Hinton, arXiv:1607.06450.
        """
        del kind, tile
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            centred, deviation = _deviation(rows, self.epsilon, self.centred)
            return np.asarray(centred / deviation * self.gamma + self.beta)

    def code_rows(
        self,
        kernels: NonlinearKernels,
        kind: Kind,
        rows: Array,
        source: AffineQuantization,
        output: AffineQuantization,
    ) -> Array:
        """Compute by an integer kernel."""
        assert isinstance(kind, LayerNormKind)
        if not self.centred:
            raise ValueError(f"it subtracts the mean, and {self.operator} does not")
        return kernels.layer_norm(kind, rows, source, output, self.gamma, self.beta)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Statistics(Layer):
    """The mean, or the reciprocal of the deviation, that a normalization divides by; in float32.

    Parameters
    ----------
    axis : int
    epsilon : float
    mean : bool
        Which of the two.
    centred : bool
        As of `LayerNorm`.
    """

    kind: ClassVar[str] = "statistics"

    axis: int
    epsilon: float
    mean: bool
    centred: bool = True

    def output_specs(self, specs: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
        """Return the output's spec: axes from `axis` on have the size 1."""
        shape = specs[0].shape
        place = self.axis % len(shape)
        return (TensorSpec(name=self.outputs[0], shape=shape[:place] + (1,) * (len(shape) - place), dtype="float32"),)

    def keeps_batch(self, specs: tuple[TensorSpec, ...]) -> bool:
        """Tell whether the sums do not run over the batch."""
        return self.axis % len(specs[0].shape) != 0

    def run(self, values: tuple[Array, ...], engine: Engine, rule: Rule) -> tuple[Array, ...]:
        """Compute in float32, in the order of `LayerNorm`."""
        del engine, rule
        x = np.asarray(values[0], np.float32)
        rows = to_rows(x, self.axis, True)[0]
        result = _mean(rows) if self.mean else np.float32(1) / _deviation(rows, self.epsilon, self.centred)[1]
        place = self.axis % x.ndim
        return (result.reshape(x.shape[:place] + (1,) * (x.ndim - place)),)


def build_layer_norm(node: RawNode, pattern: Pattern) -> None:
    """Build a LayerNormalization or RMSNormalization: X, gamma, beta (optional); Y, mean, 1 / deviation (optional)."""
    centred = node.operator == "LayerNormalization"
    axis, epsilon = int(node.attributes.get("axis", -1)), float(node.attributes.get("epsilon", 1e-5))
    if int(node.attributes.get("stash_type", 1)) != 1:
        raise ValueError(f"node {node.label}: stash_type must be 1 (float32), not {node.attributes['stash_type']}")
    fields = LayerNorm.fields(node, pattern, 1)
    if not fields["inputs"]:
        raise ValueError(f"node {node.label}: the input must not be a constant")
    shape = pattern.specs[fields["inputs"][0]].shape
    if not -len(shape) <= axis < len(shape):
        raise ValueError(f"node {node.label}: axis must be in {-len(shape)}..{len(shape) - 1}, not {axis}")
    normalized = shape[axis % len(shape) :]
    gamma = _constant(node, pattern, 1, normalized)
    beta = _constant(node, pattern, 2, normalized) if node.present(2) else np.zeros_like(gamma)
    pattern.add(LayerNorm(**fields, axis=axis, flatten=True, gamma=gamma, beta=beta, epsilon=epsilon, centred=centred))
    names = (("mean", 1), ("deviation", 2)) if centred else (("deviation", 1),)
    for what, index in names:
        if index < len(node.outputs) and node.outputs[index]:
            statistics = Statistics(
                name=pattern.fresh(f"{node.name}_{what}"),
                operator=node.operator,
                inputs=(pattern.plain(node.inputs[0]).spec.name,),
                outputs=(node.outputs[index],),
                axis=axis,
                epsilon=epsilon,
                mean=what == "mean",
                centred=centred,
            )
            pattern.add(statistics)


def build_skip_layer_norm(node: RawNode, pattern: Pattern) -> None:
    """Build a com.microsoft Skip(Simplified)LayerNormalization: X, skip, gamma, beta, bias; Y, -, -, sum.

    The simplified form, which subtracts no mean, has no beta. The inputs are added from the left.
    """
    simple = node.operator == "SkipSimplifiedLayerNormalization"
    gamma, last = 2, 3 if simple else 4
    if any(index < len(node.outputs) and node.outputs[index] for index in (1, 2)):
        raise ValueError(f"node {node.label}: mean and deviation are outputs of training")
    total = node.outputs[3] if len(node.outputs) > 3 and node.outputs[3] else pattern.fresh(f"{node.outputs[0]}_sum")
    addends = [node.inputs[1], *([node.inputs[last]] if node.present(last) else [])]
    summed = node.inputs[0]
    for index, addend in enumerate(addends):
        name = total if index == len(addends) - 1 else pattern.fresh(f"{total}_skip")
        add = RawNode(
            name=pattern.fresh(f"{node.name}_add"),
            operator="Add",
            domain="",
            opset=14,
            inputs=(summed, addend),
            outputs=(name,),
            attributes={},
        )
        pattern.insert(add)
        pattern.emit(add)
        summed = name
    beta = () if simple or not node.present(3) else (node.inputs[3],)
    normalization = RawNode(
        name=node.name,
        operator="RMSNormalization" if simple else "LayerNormalization",
        domain="",
        opset=23,
        inputs=(summed, node.inputs[gamma], *beta),
        outputs=node.outputs[:1],
        attributes={"epsilon": node.attributes.get("epsilon", 1e-12)},
    )
    build_layer_norm(normalization, pattern)


def _constant(node: RawNode, pattern: Pattern, index: int, shape: Shape) -> FloatArray:
    """Return a constant of one element for each of a vector."""
    operand = pattern.known(node.inputs[index])
    if operand is None:
        raise ValueError(f"node {node.label}: input {index} ({node.inputs[index]!r}) must be a constant")
    values = operand.values
    trailing = zip(values.shape[::-1], shape[::-1], strict=False)
    if values.ndim > len(shape) or any(size not in (1, wanted) for size, wanted in trailing):
        raise ValueError(
            f"node {node.label}: input {index} must broadcast to the normalized axes {shape}, not {values.shape}"
        )
    return np.broadcast_to(values, shape).reshape(math.prod(shape)).astype(np.float32)


def _mean(rows: FloatArray) -> FloatArray:
    """Return each row's mean."""
    return np.asarray(sum_16_lanes(rows) / np.float32(rows.shape[1]))[:, np.newaxis]


def _deviation(rows: FloatArray, epsilon: float, centred: bool) -> tuple[FloatArray, FloatArray]:
    """Return what is divided, and the root of its mean square and epsilon."""
    difference = rows - _mean(rows) if centred else rows
    return difference, np.asarray(np.sqrt(_mean(difference * difference) + np.float32(epsilon)))
