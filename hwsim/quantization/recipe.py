# SPDX-License-Identifier: Apache-2.0
"""What is to be done to a float network: formats, granularity, calibration, and the methods, in their fixed order."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import Enum
from typing import Any

from hwsim import formats
from hwsim.formats import BlockSpec, FloatSpec, IntegerSpec
from hwsim.formats.block import Scalar
from hwsim.formats.codes import check_bool, check_int

__all__ = [
    "ORDER",
    "Choice",
    "Granularity",
    "LayerFormats",
    "Observer",
    "Recipe",
    "Scope",
    "element",
    "format_of",
]

ORDER = ("equalize", "smooth", "rotate", "gptq", "correct_bias")
"""The methods in the order in which they are applied, whatever others are chosen."""

_UNQUANTIZED = ("none", "float32")


class Choice(Enum):
    """An enumeration given by its value; another value is an error that lists them."""

    @classmethod
    def _missing_(cls, value: object) -> "Choice":
        known = ", ".join(str(each.value) for each in cls)
        raise ValueError(f"{cls.__name__.lower()} must be one of {known}, not {value!r}")


class Granularity(Choice):
    """Which weights share a scale: all of a tensor, those of an output channel, or `group` in a row along K."""

    TENSOR = "tensor"
    CHANNEL = "channel"
    GROUP = "group"


class Observer(Choice):
    """How the range of a tensor is chosen: see `hwsim.quantization.ranges`."""

    ABSMAX = "absmax"
    PERCENTILE = "percentile"
    MSE = "mse"
    ENTROPY = "entropy"


class Scope(Choice):
    """What is quantized: the operands of products, or every tensor between operators (integers only)."""

    PRODUCTS = "products"
    ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerFormats:
    """Formats of one layer's operands, by name; None (or "none") leaves an operand in float32."""

    weights: str | None
    activations: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a network is quantized.

    Parameters
    ----------
    weights, activations : str or None
        Names of formats (`hwsim.formats.named`); None, "none" or "float32" leave them in float32.
    kv_cache : str or None
        Format of the second operand of products of two varying tensors (keys and values of attention); None:
        as `activations`.
    granularity : Granularity or str
        Of weights in scalar formats. Block formats have their own.
    group : int
        Weights a scale in granularity GROUP, 1 to 65536.
    symmetric : bool
        Activations in integers have the zero point 0; else the ends of the range are on the ends of the codes.
    scope : Scope or str
    observer : Observer or str
        Of the activations.
    percentile : float
        Of the values of a tensor that observer PERCENTILE keeps inside the range, above 50, to 100.
    weight_observer : Observer or str
        ABSMAX or MSE, slice by slice.
    equalize : bool
        Cross-layer equalization.
    smooth : float or None
        SmoothQuant's alpha, 0 to 1.
    rotate : int or None
        Hadamard rotation of K in blocks of this size, a power of two from 2; 0: the largest that divides a layer's K.
    power_of_two : bool
        Round the scales of equalization and smoothing to powers of two: float outputs then keep every bit.
    gptq, act_order : bool
        GPTQ, and its columns in order of falling activations.
    damping : float
        GPTQ's, as a share of the mean diagonal.
    correct_bias : bool
        Bias correction.
    layers : mapping of str to LayerFormats
        Other formats for single layers, by node name.
    """

    weights: str | None = "int8"
    activations: str | None = "int8"
    kv_cache: str | None = None
    granularity: Granularity | str = Granularity.CHANNEL
    group: int = 32
    symmetric: bool = False
    scope: Scope | str = Scope.PRODUCTS
    observer: Observer | str = Observer.ABSMAX
    percentile: float = 99.99
    weight_observer: Observer | str = Observer.ABSMAX
    equalize: bool = False
    smooth: float | None = None
    rotate: int | None = None
    power_of_two: bool = False
    gptq: bool = False
    act_order: bool = False
    damping: float = 0.01
    correct_bias: bool = False
    layers: Mapping[str, LayerFormats] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, kind in (
            ("granularity", Granularity), ("scope", Scope), ("observer", Observer), ("weight_observer", Observer)
        ):  # fmt: skip
            object.__setattr__(self, name, kind(getattr(self, name)))
        for name in ("weights", "activations", "kv_cache"):
            object.__setattr__(self, name, _name(name, getattr(self, name)))
        for name in ("symmetric", "equalize", "power_of_two", "gptq", "act_order", "correct_bias"):
            check_bool(name, getattr(self, name))
        check_int("group", self.group, 1, 65536)
        if self.weight_observer not in (Observer.ABSMAX, Observer.MSE):
            raise ValueError(f"weight_observer must be absmax or mse, not {self.weight_observer!r}")
        if not 50 < self.percentile <= 100:
            raise ValueError(f"percentile must be above 50 and at most 100, not {self.percentile!r}")
        if self.smooth is not None and not 0 <= self.smooth <= 1:
            raise ValueError(f"smooth must be in 0..1, not {self.smooth!r}")
        if self.rotate is not None:
            check_int("rotate", self.rotate, 0, 4096)
            if self.rotate == 1 or self.rotate & (self.rotate - 1):
                raise ValueError(f"rotate must be 0 or a power of two from 2, not {self.rotate!r}")
        if not 0 < self.damping < 1:
            raise ValueError(f"damping must be above 0 and below 1, not {self.damping!r}")
        if self.act_order and not self.gptq:
            raise ValueError("act_order must be False without gptq, not True")
        for name, chosen in self.layers.items():
            _name(f"layers[{name!r}].weights", chosen.weights)
            _name(f"layers[{name!r}].activations", chosen.activations)
        self._check_scope()

    def _check_scope(self) -> None:
        """Raise unless all formats are integers where every tensor is to be quantized."""
        if self.scope is not Scope.ALL:
            return
        if not isinstance(format_of(self.activations), IntegerSpec):
            raise ValueError(f"scope all needs integer activations, not {self.activations}")
        others = [self.kv_cache, *(chosen.activations for chosen in self.layers.values())]
        different = [name for name in others[self.kv_cache is None :] if name != self.activations]
        if different:
            raise ValueError(f"scope all has one format of activations, {self.activations}, not {different[0]} as well")

    def formats(self, layer: str) -> LayerFormats:
        """Return the formats of a layer."""
        return self.layers.get(layer) or LayerFormats(weights=self.weights, activations=self.activations)

    @property
    def steps(self) -> tuple[str, ...]:
        """The methods that are chosen, in the order of their application."""
        return tuple(name for name in ORDER if getattr(self, name) is not None and getattr(self, name) is not False)

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as JSON-ready values."""
        found: dict[str, Any] = {}
        for each in fields(self):
            value = getattr(self, each.name)
            found[each.name] = value.value if isinstance(value, Enum) else value
        found["layers"] = {
            name: {"weights": chosen.weights, "activations": chosen.activations} for name, chosen in self.layers.items()
        }
        return found


def format_of(name: str | None) -> Scalar | BlockSpec | None:
    """Return a format that values can be quantized to; None for float32."""
    if name is None or name in _UNQUANTIZED:
        return None
    spec = formats.named(name)
    if not isinstance(spec, Scalar | BlockSpec):
        raise ValueError(f"a network's values are real, and {name} is a format of complex numbers")
    held = element(spec)
    if held.max_value <= 0 or (held.min_value >= 0 and not isinstance(held, IntegerSpec)):
        raise ValueError(f"a network's values have both signs, and {name} holds {held.min_value:g}..{held.max_value:g}")
    return spec


def element(spec: Scalar | BlockSpec) -> Scalar:
    """Return the format of the elements."""
    return spec.element if isinstance(spec, BlockSpec) else spec


def _name(what: str, name: object) -> str | None:
    """Return the name of a format that is there, None for float32; raise otherwise."""
    if name is not None and not isinstance(name, str):
        raise TypeError(f"{what} must be the name of a format or None, not {name!r}")
    spec = format_of(name)
    if isinstance(spec, FloatSpec) and spec.bits > 8:
        raise ValueError(f"{what} must be a format of at most 8 bits, an integer, or none for float32, not {name}")
    return None if spec is None else name
