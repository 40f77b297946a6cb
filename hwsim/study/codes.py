# SPDX-License-Identifier: Apache-2.0
"""Networks that are quantized already: whose own codes run, on units that take them."""

from hwsim.accelerator.operand_fit import fits, format_name
from hwsim.datapath import DotProductUnit
from hwsim.network import Network
from hwsim.network.layers.multiply_accumulate import MultiplyAccumulate

__all__ = [
    "check_codes",
    "has_codes",
]


def has_codes(net: Network) -> bool:
    """Tell whether a product takes codes, which run as they are."""
    return any(
        isinstance(layer, MultiplyAccumulate) and not (layer.a_quantization is None and layer.b_quantization is None)
        for layer in net.layers
    )


def check_codes(net: Network, unit: DotProductUnit) -> None:
    """Raise ValueError if a unit does not take the codes of a network that is quantized already; with what would do."""
    wrong: dict[str, None] = {}
    for layer in net.layers:
        if not isinstance(layer, MultiplyAccumulate):
            continue
        pairs = ((unit.a, layer.a_quantization), (unit.b, layer.b_quantization))
        if any(found is not None and not fits(spec, found) for spec, found in pairs):
            wrong[" by ".join("float32" if found is None else format_name(found) for _, found in pairs)] = None
    if wrong:
        raise ValueError(
            f"network {net.name!r} is quantized already, and unit {unit.name} ({unit.a.name} by {unit.b.name}) does "
            f"not take its codes ({', '.join(wrong)}); --from-quantized (from_quantized in Python and in a study's "
            "file) takes its float form, so that every format can run"
        )
