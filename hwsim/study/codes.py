# SPDX-License-Identifier: Apache-2.0
"""Networks that are quantized already: whose own codes run, on units that take them."""

from functools import lru_cache

import onnx

from hwsim.accelerator.operand_fit import fits, format_name
from hwsim.datapath import DotProductUnit
from hwsim.network import Network
from hwsim.network.layers.multiply_accumulate import MultiplyAccumulate
from hwsim.network.onnx_reader import from_model
from hwsim.quantization import float_form
from hwsim.study.cases import Case

__all__ = [
    "check_codes",
    "has_codes",
]

_QDQ = (
    "--from-quantized (from_quantized in Python and in a study's file) takes its float form, so that every format "
    "can run"
)
_OTHER = "its quantizers cannot be taken out, as those of a QDQ network can: other formats need its float network"


def has_codes(net: Network) -> bool:
    """Tell whether a product takes codes, which run as they are."""
    return any(
        isinstance(layer, MultiplyAccumulate) and not (layer.a_quantization is None and layer.b_quantization is None)
        for layer in net.layers
    )


def check_codes(case: Case, unit: DotProductUnit) -> None:
    """Raise ValueError if a unit does not take the codes of a network that is quantized already; with what would do."""
    net = case.network
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
            f"not take its codes ({', '.join(wrong)}); {_QDQ if _has_float_form(case) else _OTHER}"
        )


@lru_cache(maxsize=8)
def _has_float_form(case: Case) -> bool:
    """Tell whether the quantizers of a case's network can be taken out."""
    model = onnx.load_model_from_string(case.model)
    if not any(node.op_type == "DequantizeLinear" for node in model.graph.node):
        return False
    try:
        return not has_codes(from_model(float_form(model), batch=case.batch, dimensions=dict(case.dimensions)))
    except ValueError:
        return False
