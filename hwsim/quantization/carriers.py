# SPDX-License-Identifier: Apache-2.0
"""Which formats an ONNX file can carry, as which element type, from which opset on."""

from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
import numpy.typing as npt

from hwsim.formats import BlockSpec, FloatSpec, IntegerSpec, ScaleRule
from hwsim.formats.block import Scalar
from hwsim.quantization.recipe import Granularity, Recipe, format_of

__all__ = [
    "Carrier",
    "carrier",
    "check",
    "element",
    "limits",
    "opset",
    "tensor",
]


class Carrier(NamedTuple):
    """An element type: numpy's (or ml_dtypes') type of it, and the opset whose QuantizeLinear has it."""

    name: str
    dtype: Any
    opset: int


# Source: ONNX operators QuantizeLinear and DequantizeLinear, versions 13 to 28, type constraints.
_INTEGERS = {
    (2, True): Carrier("int2", ml_dtypes.int2, 25),
    (2, False): Carrier("uint2", ml_dtypes.uint2, 25),
    (4, True): Carrier("int4", ml_dtypes.int4, 21),
    (4, False): Carrier("uint4", ml_dtypes.uint4, 21),
    (8, True): Carrier("int8", np.int8, 13),
    (8, False): Carrier("uint8", np.uint8, 13),
    (16, True): Carrier("int16", np.int16, 21),
    (16, False): Carrier("uint16", np.uint16, 21),
}
_FLOATS = {
    "float8_e4m3fn": Carrier("float8e4m3fn", ml_dtypes.float8_e4m3fn, 19),
    "float8_e4m3fnuz": Carrier("float8e4m3fnuz", ml_dtypes.float8_e4m3fnuz, 19),
    "float8_e5m2": Carrier("float8e5m2", ml_dtypes.float8_e5m2, 19),
    "float8_e5m2fnuz": Carrier("float8e5m2fnuz", ml_dtypes.float8_e5m2fnuz, 19),
    "float4_e2m1fn": Carrier("float4e2m1", ml_dtypes.float4_e2m1fn, 23),
    "float6_e2m3fn": Carrier("float6e2m3", ml_dtypes.float6_e2m3fn, 28),
    "float6_e3m2fn": Carrier("float6e3m2", ml_dtypes.float6_e3m2fn, 28),
}
_BLOCKED_OPSET = 21  # DequantizeLinear's block_size
_POWER_SCALE_OPSET = 24  # its scale of FLOAT8E8M0
_KNOWN = ", ".join([*(each.name for each in _INTEGERS.values()), *_FLOATS, "blocks of these, narrower integers"])


def carrier(spec: Scalar) -> Carrier | None:
    """Return the type that carries a scalar format: its own, or for an integer the next wider; None where none does."""
    if isinstance(spec, IntegerSpec):
        if spec.fraction_bits or spec.zero_point:
            return None
        widths = [bits for bits, signed in _INTEGERS if signed == spec.signed and bits >= spec.bits]
        return _INTEGERS[min(widths), spec.signed] if widths and spec.bits > 1 else None
    return _FLOATS.get(spec.name) if isinstance(spec, FloatSpec) else None


def limits(found: Carrier) -> tuple[int, int]:
    """Return the least and the greatest code of an integer carrier."""
    info: Any = ml_dtypes.iinfo(found.dtype)  # type: ignore[no-untyped-call]
    return int(info.min), int(info.max)


def tensor(spec: Scalar, codes: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return codes (int64 of integers, unsigned of floats) as an array of the carrier's type."""
    found = carrier(spec)
    assert found is not None
    if isinstance(spec, IntegerSpec):
        return codes.astype(found.dtype)
    return codes.astype(np.uint8).view(found.dtype)


def opset(recipe: Recipe) -> int:
    """Return the least opset that has all that a recipe asks for."""
    needed = [13]
    chosen = [(recipe.weights, True), (recipe.activations, False), (recipe.kv_cache, False)]
    chosen += [pair for each in recipe.layers.values() for pair in ((each.weights, True), (each.activations, False))]
    for name, is_weight in chosen:
        spec = format_of(name)
        if spec is None:
            continue
        held = element(spec) if isinstance(spec, BlockSpec) else spec
        found = carrier(held)
        needed.append(found.opset if found is not None else 13)
        grouped = is_weight and recipe.granularity is Granularity.GROUP
        if isinstance(spec, BlockSpec) or grouped:
            needed.append(_BLOCKED_OPSET)
        if isinstance(spec, BlockSpec) and spec.scale.name == "float8_e8m0fnu":
            needed.append(_POWER_SCALE_OPSET)
        if isinstance(spec, BlockSpec) and spec.scale.name == "float8_e4m3fn":
            needed.append(23)
    return max(needed)


def check(recipe: Recipe) -> None:
    """Raise ValueError where ONNX cannot carry what a recipe asks for, with all that it cannot."""
    wrong = []
    asked: list[tuple[str, str | None]] = [
        ("weights", recipe.weights),
        ("activations", recipe.activations),
        ("kv_cache", recipe.kv_cache),
    ]
    for layer, each in recipe.layers.items():
        asked += [(f"weights of {layer}", each.weights), (f"activations of {layer}", each.activations)]
    for what, name in asked:
        spec = format_of(name)
        if spec is None:
            continue
        if isinstance(spec, BlockSpec) and not what.startswith("weights") and not _runs(spec):
            wrong.append(f"{what} in {name}: as the network runs, ONNX can only choose scales of MX formats and NVFP4")
        elif isinstance(spec, BlockSpec) and (spec.others or spec.block_rows != 1):
            wrong.append(f"{what} in {name}: blocks of more than one element format or row")
        elif carrier(element(spec) if isinstance(spec, BlockSpec) else spec) is None:
            wrong.append(f"{what} in {name}")
    if wrong:
        raise ValueError(f"ONNX cannot carry {'; '.join(wrong)}. It carries {_KNOWN}; others can be evaluated only")


def _runs(spec: BlockSpec) -> bool:
    """Whether ONNX's operators can choose the scales of blocks as the network runs."""
    power = spec.scale.name == "float8_e8m0fnu" and spec.rule is ScaleRule.OCP_FLOOR
    two_level = spec.scale.name == "float8_e4m3fn" and spec.rule is ScaleRule.AMAX and spec.tensor_scale
    return (
        (power or two_level) and not (spec.others or spec.zero_point) and spec.block_rows == 1 and spec.block_size > 0
    )


def element(spec: BlockSpec) -> Scalar:
    """Return the element format of a block, the fraction bits that go into the scale taken off."""
    held = spec.element
    if isinstance(held, IntegerSpec) and held.fraction_bits:
        return IntegerSpec(bits=held.bits, signed=held.signed)
    return held
