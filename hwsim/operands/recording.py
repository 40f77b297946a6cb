# SPDX-License-Identifier: Apache-2.0
"""What a unit multiplies while a network runs on it, a file a layer."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.accelerator import Accelerator, UnitEngine, check_network
from hwsim.datapath import DotProductUnit
from hwsim.network import Network, calibrate, run
from hwsim.network.layers.multiply_accumulate import MultiplyAccumulate

__all__ = [
    "Recorder",
    "record",
]

_ROWS = 4096
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")


class Recorder:
    """Keep the operands of each layer of a network, for `UnitEngine`.

    Parameters
    ----------
    unit : DotProductUnit
        The engine's.
    rows : int
        How many rows of a are kept, the first; at least 1.

    Attributes
    ----------
    layers : dict of str to dict of str to ndarray
        By layer, in order, the arrays of its file (`hwsim.operands.load`): ``a`` (groups, M, K) and ``b`` (groups, K,
        N), codes as they were multiplied; of block formats ``a_scales`` and ``b_scales``. Of a layer that runs more
        than once, for there are many images, the first time.

    Raises
    ------
    ValueError
        If rows is less than 1.
    """

    def __init__(self, unit: DotProductUnit, rows: int = _ROWS) -> None:
        if rows < 1:
            raise ValueError(f"rows must be at least 1, not {rows!r}")
        self._unit = unit
        self._rows = rows
        self.layers: dict[str, dict[str, NDArray[Any]]] = {}

    def __call__(self, layer: str, groups: list[dict[str, NDArray[Any]]]) -> None:
        """Take the operands of a layer, group by group."""
        if layer in self.layers:
            return
        kept = {name: np.stack([group[name] for group in groups]) for name in groups[0]}
        for name in ("a", "a_scales"):
            if name in kept:
                kept[name] = kept[name][:, : self._rows]
        self.layers[layer] = kept

    def write(self, folder: str | Path) -> list[Path]:
        """Write a file a layer, in order; the folder is made if need be.

        Returns
        -------
        list of Path
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        paths = []
        formats = {"a_format": np.array(self._unit.a.name), "b_format": np.array(self._unit.b.name)}
        for index, (layer, arrays) in enumerate(self.layers.items()):
            path = folder / f"{index:03d}_{_UNSAFE.sub('_', layer).strip('_')}.npz"
            content: dict[str, Any] = {**arrays, **formats, "layer": np.array(layer)}
            np.savez_compressed(path, **content)
            paths.append(path)
        return paths


def record(
    network: Network,
    hardware: Accelerator | DotProductUnit,
    inputs: Mapping[str, NDArray[Any]],
    folder: str | Path | None = None,
    *,
    calibration: Mapping[str, NDArray[Any]] | None = None,
) -> dict[str, dict[str, NDArray[Any]]]:
    """Run a network on a unit and return what it multiplied.

    Parameters
    ----------
    network : Network
    hardware : Accelerator or DotProductUnit
    inputs : mapping of str to ndarray
        As for `hwsim.network.run`.
    folder : str or Path, optional
        Where to write a .npz a layer.
    calibration : mapping of str to ndarray, optional
        On what the scales of a float32 network are chosen; the inputs if not given.

    Returns
    -------
    dict of str to dict of str to ndarray
        As `Recorder.layers`.

    Raises
    ------
    TypeError, ValueError
        If an input does not fit, or the unit cannot run every layer.
    """
    unit = hardware.unit if isinstance(hardware, Accelerator) else hardware
    floats = any(isinstance(layer, MultiplyAccumulate) and not layer.quantized for layer in network.layers)
    ranges = calibrate(network, inputs if calibration is None else calibration) if floats else {}
    check_network(network, unit, ranges)
    recorder = Recorder(unit)
    engine = UnitEngine(unit, ranges, record=recorder)
    if isinstance(hardware, Accelerator):
        run(network, inputs, engine=engine, rule=hardware.requantization)
    else:
        run(network, inputs, engine=engine)
    if folder is not None:
        recorder.write(folder)
    return recorder.layers
