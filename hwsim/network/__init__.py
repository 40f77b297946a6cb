# SPDX-License-Identifier: Apache-2.0
"""Quantized networks: read from ONNX, as a graph of layers, run on an engine of the caller's choice."""

from hwsim.network.affine import AffineQuantization
from hwsim.network.calibration import calibrate
from hwsim.network.checkpoint import Checkpoint
from hwsim.network.execution import ExactEngine, SteadyEngine, run, trace
from hwsim.network.float_quantization import BlockQuantization, FormatQuantization
from hwsim.network.graph import Engine, Layer, MatmulShape, Network, TensorSpec
from hwsim.network.onnx_reader import read
from hwsim.network.requantize import Rule
from hwsim.network.weight_tensors import Weight, weights

__all__ = [
    "AffineQuantization",
    "BlockQuantization",
    "Checkpoint",
    "Engine",
    "ExactEngine",
    "FormatQuantization",
    "Layer",
    "MatmulShape",
    "Network",
    "Rule",
    "SteadyEngine",
    "TensorSpec",
    "Weight",
    "calibrate",
    "read",
    "run",
    "trace",
    "weights",
]
