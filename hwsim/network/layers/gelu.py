# SPDX-License-Identifier: Apache-2.0
"""GELU: Gelu, the exported Erf and Tanh patterns, com.microsoft Gelu, FastGelu and BiasGelu."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from hwsim.network.affine import AffineQuantization
from hwsim.network.graph import TensorSpec
from hwsim.network.layers.functions import FUNCTIONS
from hwsim.network.layers.nonlinear import Kind, Nonlinear
from hwsim.network.nonlinear import GeluKind, NonlinearKernels, NonlinearSpec
from hwsim.network.pattern import Pattern, RawNode

__all__ = [
    "Gelu",
    "build_bias_gelu",
    "build_gelu",
]

Array = npt.NDArray[Any]
FloatArray = npt.NDArray[np.float32]

_ROOT_HALF = np.float32(math.sqrt(0.5))
_SLOPE = np.float32(math.sqrt(2 / math.pi))
_CUBIC = np.float32(0.044715)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Gelu(Nonlinear):
    """x * Phi(x), Phi the distribution function of the normal distribution.

    The last axis matters only to ShiftGELU, where its elements share a maximum.

    Parameters
    ----------
    tanh : bool
        Whether Phi is approximated by a hyperbolic tangent.
    """

    kind: ClassVar[str] = "gelu"

    tanh: bool = False

    def keeps_batch(self, specs: tuple[TensorSpec, ...]) -> bool:
        """Tell whether there is an axis beside the last one."""
        return len(specs[0].shape) > 1

    def chosen(self, spec: NonlinearSpec) -> GeluKind:
        """Return the kind of GELU."""
        return spec.gelu

    def float_rows(self, kind: Kind, rows: FloatArray, tile: int) -> FloatArray:
        """Compute in float32, every operation rounded, from the left.

        ``(0.5 * x) * (1 + erf(x * sqrt(1/2)))``, or with tanh
        ``(0.5 * x) * (1 + tanh(sqrt(2/pi) * (x + 0.044715 * ((x * x) * x))))``; erf and tanh are rounded once from
        float64, constants to float32. An exported pattern of other operators has this order too.

        Source: ONNX operator Gelu; Hendrycks and Gimpel, arXiv:1606.08415.
        """
        del kind, tile
        one, half = np.float32(1), np.float32(0.5)
        with np.errstate(over="ignore", invalid="ignore"):
            if self.tanh:
                inner = _SLOPE * (rows + _CUBIC * ((rows * rows) * rows))
                curve = FUNCTIONS["Tanh"].compute(inner)
            else:
                curve = FUNCTIONS["Erf"].compute(rows * _ROOT_HALF)
            return np.asarray((half * rows) * (one + curve.astype(np.float32)))

    def code_rows(
        self,
        kernels: NonlinearKernels,
        kind: Kind,
        rows: Array,
        source: AffineQuantization,
        output: AffineQuantization,
    ) -> Array:
        """Compute by an integer kernel."""
        assert isinstance(kind, GeluKind)
        return kernels.gelu(kind, rows, source, output)


def build_gelu(node: RawNode, pattern: Pattern) -> None:
    """Build a Gelu, float or QDQ; com.microsoft's Gelu is the exact one, its FastGelu the other, with a bias if any."""
    fast = node.operator == "FastGelu"
    if fast and node.present(1):
        build_bias_gelu(node, pattern)
        return
    form = "tanh" if fast else str(node.attributes.get("approximate", "none"))
    if form not in ("none", "tanh"):
        raise ValueError(f"node {node.label}: approximate must be none or tanh, not {form!r}")
    pattern.add(Gelu(**Gelu.fields(node, pattern, 1), tanh=form == "tanh"))


def build_bias_gelu(node: RawNode, pattern: Pattern) -> None:
    """Build a com.microsoft BiasGelu or FastGelu with a bias: an Add, then a Gelu."""
    total = pattern.fresh(f"{node.outputs[0]}_biased")
    add = RawNode(
        name=pattern.fresh(f"{node.name}_bias"),
        operator="Add",
        domain="",
        opset=14,
        inputs=node.inputs[:2],
        outputs=(total,),
        attributes={},
    )
    pattern.insert(add)
    pattern.emit(add)
    form = {"approximate": "tanh" if node.operator == "FastGelu" else "none"}
    gelu = RawNode(
        name=node.name,
        operator="Gelu",
        domain="",
        opset=20,
        inputs=(total,),
        outputs=node.outputs,
        attributes=form,
    )
    build_gelu(gelu, pattern)
