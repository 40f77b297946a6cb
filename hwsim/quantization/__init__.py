# SPDX-License-Identifier: Apache-2.0
"""From a float network to a quantized one: formats, calibration, methods that save accuracy, standard ONNX."""

from hwsim.quantization.float_form import float_form
from hwsim.quantization.float_graph import opened
from hwsim.quantization.quantizer import Quantized, check, quantize
from hwsim.quantization.recipe import Granularity, LayerFormats, Observer, Recipe, Scope
from hwsim.quantization.report import LayerReport, Report, Step

__all__ = [
    "Granularity",
    "LayerFormats",
    "LayerReport",
    "Observer",
    "Quantized",
    "Recipe",
    "Report",
    "Scope",
    "Step",
    "check",
    "float_form",
    "opened",
    "quantize",
]
