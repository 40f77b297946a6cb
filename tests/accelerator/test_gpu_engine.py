# SPDX-License-Identifier: Apache-2.0
"""The engine on a GPU, on Numba's simulator of one, has the bits of the engine on the processor."""

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

from hwsim import datapath
from hwsim.accelerator.gpu import GpuEngine
from hwsim.datapath import gpu

_SCRIPT = """
import numpy as np
from hwsim import data, datapath, network
from hwsim.accelerator import UnitEngine
from hwsim.accelerator.gpu import GpuEngine

net = network.read(data.digits_model_path(quantized=False))
layer = next(layer for layer in net.layers if layer.kind == "gemm")
rng = np.random.default_rng(0)
a, b = rng.standard_normal((2, 3, 40), np.float32), rng.standard_normal((2, 40, 2), np.float32)
for unit in map(datapath.named, ("mxfp4_l16", "float8_e4m3fn_l4_float32")):
    found, expected = (kind(unit, {layer.name: (4.0, 4.0)}).matmul(layer, a, b) for kind in (GpuEngine, UnitEngine))
    assert found.tobytes() == expected.tobytes() and found.any()
print("same")
"""


@pytest.mark.skipif(find_spec("numba_cuda") is None, reason="needs numba-cuda")
def test_gpu_engine_has_the_same_bits() -> None:
    settings = {**os.environ, "NUMBA_ENABLE_CUDASIM": "1"}
    done = subprocess.run([sys.executable, "-c", _SCRIPT], check=False, capture_output=True, text=True, env=settings)
    assert done.stdout == "same\n", done.stderr


@pytest.mark.skipif(gpu.available(), reason="needs a machine without a GPU")
def test_gpu_engine_needs_a_gpu() -> None:
    with pytest.raises(RuntimeError, match="numba-cuda"):
        GpuEngine(datapath.named("mxfp4_l16"), {})
