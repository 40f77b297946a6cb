# SPDX-License-Identifier: Apache-2.0
"""How a machine computes softmax, GELU and layer normalization: in floats, or as integer hardware does."""

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Never, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from hwsim.formats.codes import check_int
from hwsim.network.affine import AffineQuantization
from hwsim.network.requantize import Rule

if TYPE_CHECKING:
    from hwsim.network.graph import Network

__all__ = [
    "GeluKind",
    "LayerNormKind",
    "NonlinearKernels",
    "NonlinearLayer",
    "NonlinearSpec",
    "SoftmaxKind",
    "check",
]

Array = npt.NDArray[Any]
FloatArray = npt.NDArray[np.float32]


class _Kind(Enum):
    """A kind by its name."""

    @classmethod
    def _missing_(cls, value: object) -> Never:
        if not isinstance(value, str):
            raise TypeError(f"kind must be a {cls.__name__} or a str, not {value!r}")
        raise ValueError(f"kind must be one of {', '.join(each.value for each in cls)}, not {value!r}")

    @property
    def integer(self) -> bool:
        """Whether it takes and gives codes, so that the layer needs a quantized input and output."""
        return self.value not in ("float", "online", "two_pass")


class SoftmaxKind(_Kind):
    """How a softmax is computed.

    FLOAT: float32, with the bits of ONNX Runtime (see `hwsim.network.layers.softmax`).
    SHIFTMAX: I-ViT's, in exact integers. SHIFTMAX_FLOAT32: the same steps in float32, as its authors' code.
    ONLINE: float32 in one pass over tiles, with a running maximum and sum that are rescaled (FuseMax).
    TWO_PASS: float32, exponentials kept as a mantissa and an exponent, so that no maximum is needed first.
    """

    FLOAT = "float"
    SHIFTMAX = "shiftmax"
    SHIFTMAX_FLOAT32 = "shiftmax_float32"
    ONLINE = "online"
    TWO_PASS = "two_pass"


class GeluKind(_Kind):
    """How a GELU is computed: in float32, or by I-ViT's ShiftGELU in exact integers or in its authors' float32."""

    FLOAT = "float"
    SHIFT_GELU = "shift_gelu"
    SHIFT_GELU_FLOAT32 = "shift_gelu_float32"


class LayerNormKind(_Kind):
    """How a layer is normalized: in float32, or by I-ViT's I-LayerNorm in exact integers or in its authors' float32."""

    FLOAT = "float"
    I_LAYER_NORM = "i_layer_norm"
    I_LAYER_NORM_FLOAT32 = "i_layer_norm_float32"


@dataclass(frozen=True, slots=True, kw_only=True)
class NonlinearSpec:
    """How a machine computes the layers that are no matrix products.

    Parameters
    ----------
    softmax : SoftmaxKind
    gelu : GeluKind
    layer_norm : LayerNormKind
    tile : int
        Elements of a tile of the online softmax, 1 to 65536. Other kinds do not look at it.

    Raises
    ------
    TypeError, ValueError
        If a field is of the wrong kind or out of range.
    """

    softmax: SoftmaxKind = SoftmaxKind.FLOAT
    gelu: GeluKind = GeluKind.FLOAT
    layer_norm: LayerNormKind = LayerNormKind.FLOAT
    tile: int = 16

    def __post_init__(self) -> None:
        for name, kind in (("softmax", SoftmaxKind), ("gelu", GeluKind), ("layer_norm", LayerNormKind)):
            if not isinstance(getattr(self, name), kind):
                raise TypeError(f"{name} must be a {kind.__name__}, not {getattr(self, name)!r}")
        check_int("tile", self.tile, 1, 1 << 16)


class NonlinearKernels(Protocol):
    """The integer kernels that an engine brings: all work on codes along the last axis, and give codes.

    Each raises ValueError where a scale, a length or a constant does not fit the hardware's widths; none of these
    depends on the codes.
    """

    def softmax(self, kind: SoftmaxKind, codes: Array, source: AffineQuantization, output: AffineQuantization) -> Array:
        """Return a softmax' codes."""
        ...

    def gelu(self, kind: GeluKind, codes: Array, source: AffineQuantization, output: AffineQuantization) -> Array:
        """Return a GELU's codes; the elements along the last axis share the maximum that is taken off."""
        ...

    def layer_norm(
        self,
        kind: LayerNormKind,
        codes: Array,
        source: AffineQuantization,
        output: AffineQuantization,
        gamma: FloatArray,
        beta: FloatArray,
    ) -> Array:
        """Return the codes of a normalization; gamma and beta have the shape (length,)."""
        ...


@runtime_checkable
class NonlinearLayer(Protocol):
    """A layer that is computed as a `NonlinearSpec` says."""

    name: str
    operator: str

    def nonlinear_problem(
        self, shape: tuple[int, ...], spec: NonlinearSpec, kernels: NonlinearKernels | None, rule: Rule
    ) -> str | None:
        """Tell why the layer cannot be computed so on a tensor of a shape, or None."""
        ...


def check(
    network: "Network", spec: NonlinearSpec, kernels: NonlinearKernels | None = None, rule: Rule = Rule.ONNX
) -> None:
    """Check that a machine can compute every softmax, GELU and layer normalization of a network.

    Parameters
    ----------
    network : Network
    spec : NonlinearSpec
    kernels : NonlinearKernels, optional
        What the engine brings; each layer is tried on one vector of zeros. Without, only the quantization is checked.
    rule : Rule

    Raises
    ------
    ValueError
        With every layer that cannot: an integer kind without a quantized input and output, a scale or a length beyond
        the hardware's widths, or the TFLite rule, which has a softmax of its own, together with a float kind.
    """
    problems = []
    for layer in network.layers:
        if isinstance(layer, NonlinearLayer):
            shape = (*network.specs(layer), *(network.tensors[name] for name in layer.outputs))[0].shape
            problem = layer.nonlinear_problem(shape, spec, kernels, rule)
            if problem is not None:
                problems.append(f"{layer.name!r} ({layer.operator}): {problem}")
    if problems:
        raise ValueError(
            f"network {network.name!r} has {len(problems)} layer(s) that this machine's non-linear functions cannot "
            f"compute: {'; '.join(problems)}"
        )
