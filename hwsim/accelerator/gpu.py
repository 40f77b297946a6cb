# SPDX-License-Identifier: Apache-2.0
"""A network's products through a unit on an NVIDIA GPU."""

from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from hwsim.accelerator.engine import Ranges, UnitEngine
from hwsim.datapath import DotProductUnit, gpu

__all__ = [
    "GpuEngine",
]


class GpuEngine(UnitEngine):
    """`UnitEngine`, its products made by `hwsim.datapath.gpu.matmul`: the same bits.

    Operands are quantized on the processor and travel to the GPU, results back.

    Parameters
    ----------
    unit : DotProductUnit
        Of a kind that the GPU has kernels for.
    ranges, progress
        As of `UnitEngine`.

    Raises
    ------
    RuntimeError
        If numba-cuda, or a GPU, is missing.
    """

    def __init__(self, unit: DotProductUnit, ranges: Ranges, progress: Callable[[str], None] | None = None) -> None:
        gpu.require()
        super().__init__(unit, ranges, progress)

    def _product(
        self, a: NDArray[Any], b: NDArray[Any], a_scales: NDArray[Any] | None, b_scales: NDArray[Any] | None
    ) -> NDArray[Any]:
        """Multiply codes."""
        return gpu.matmul(self.unit, a, b, a_scales=a_scales, b_scales=b_scales)
