# SPDX-License-Identifier: Apache-2.0
"""Simulate a network from a file: checks first, then the run, then what to say of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import rtl
from hwsim import accelerator as accelerators
from hwsim import data, network
from hwsim.jobs.files import check_files, check_folder
from hwsim.jobs.inputs import check_outputs, job, npz
from hwsim.jobs.report import SimulationReport
from hwsim.jobs.sizes import read_network
from hwsim.network.checkpoint import Checkpoint
from hwsim.network.layers.multiply_accumulate import MultiplyAccumulate
from hwsim.operands import Recorder
from hwsim.simulation import check_prices, simulate

__all__ = [
    "SimulationTask",
    "accuracy",
    "simulate_files",
]

_APART = (
    ("--inputs", "--random"),
    ("--errors", "--resume"),
    ("--operands-to", "--resume"),
    ("--sampled", "--errors"),
    ("--sampled", "--operands-to"),
    ("--sampled", "--resume"),
)


def accuracy(outputs: NDArray[Any], labels: NDArray[Any]) -> float:
    """Return the share of rows whose largest output is at the label.

    Raises
    ------
    ValueError
        If there is not one row of outputs a label.
    """
    rows = outputs.reshape(outputs.shape[0], -1)
    if labels.shape != (rows.shape[0],):
        raise ValueError(f"labels must have shape ({rows.shape[0]},), one an image, not {labels.shape}")
    return float(np.mean(rows.argmax(axis=1) == labels))


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationTask:
    """What to simulate, and what to compute and write of it.

    Parameters
    ----------
    model : Path or None
        An ONNX file. None: the digits network, its int8 form where the accelerator's unit takes int8, else its float32
        form.
    accelerator : str or Path
        A TOML file or a preset's name.
    inputs : Path, optional
        A .npz with an array for each input of the network and, for an accuracy, `labels`.
    random : int, optional
        In place of `inputs`: that many images of seeded random values over the whole range of the type (floats:
        standard normal).
    batch : int, optional
        Images in a pass.
    dimensions : mapping of str to int
        Sizes of the network's symbolic dimensions; of others, the shapes in `inputs` and `calibration` say them.
    calibration : Path, optional
        A .npz on which the scales of a float32 network are chosen; without it the inputs (the digits have their own).
    outputs : Path, optional
        A .npz to write the outputs to; its folder must exist.
    operands_to : Path, optional
        A folder to write the operands of each layer to, a .npz a layer (`hwsim.operands.load`).
    cycles_only : bool
        Compute no value; takes neither inputs nor anything that is made of values.
    sampled : int, optional
        Compute so many tiles of each product, at least 2, and all else in float32.
    errors : bool
        Compare every layer with the float network.
    resume : Path, optional
        A folder in which finished layers are kept, and from which a run that was stopped goes on.
    drawn : mapping of str to Path
        By their options, files that the caller is going to write of the result.

    Raises
    ------
    ValueError
        If options do not go together; by their names on the command line.
    """

    model: Path | None = None
    accelerator: str | Path = "int8_16x16"
    inputs: Path | None = None
    random: int | None = None
    batch: int | None = None
    dimensions: Mapping[str, int] = field(default_factory=dict)
    calibration: Path | None = None
    outputs: Path | None = None
    operands_to: Path | None = None
    cycles_only: bool = False
    sampled: int | None = None
    errors: bool = False
    resume: Path | None = None
    drawn: Mapping[str, Path] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = ("inputs", "random", "calibration", "outputs", "operands_to", "sampled", "errors", "resume")
        given = ["--" + name.replace("_", "-") for name in names if getattr(self, name) not in (None, False)]
        if self.cycles_only and given:
            raise ValueError(f"--cycles-only computes no value: leave out {', '.join(given)}")
        for one, other in _APART:
            if one in given and other in given:
                raise ValueError(f"{one} and {other} cannot both be given")

    @property
    def is_digits(self) -> bool:
        """Whether it is the embedded network on its embedded images."""
        return self.model is None and self.inputs is None and self.random is None


def simulate_files(task: SimulationTask, progress: Callable[[str], None] | None = None) -> SimulationReport:
    """Simulate a network from a file, or the embedded digits network.

    Parameters
    ----------
    task : SimulationTask
    progress : callable, optional
        Called with the name of each layer and, after some seconds, the share that is done and the time left.

    Raises
    ------
    OSError, TypeError, ValueError
        For files that are missing or wrong, that cannot be written or would be overwritten, and for inputs that do not
        fit, before anything is run.
    """
    _check_paths(task)
    hardware = accelerators.read(task.accelerator)
    _check_hardware(hardware, task.accelerator)
    source = data.digits_model_path(quantized=_takes_int8(hardware)) if task.model is None else task.model
    given = None if task.inputs is None else npz(task.inputs)
    chosen = None if task.calibration is None else npz(task.calibration)
    net = read_network(source, task.batch, task.dimensions, {**(chosen or {}), **(given or {})})
    if task.cycles_only:
        result = simulate(net, hardware, values="none")
        return SimulationReport(result=result, accuracy=None, float_accuracy=None, inputs="none")
    work = job(net, task.model, task.inputs, given, task.random)
    ranges = _calibration(task, net, chosen)
    recorder = None if task.operands_to is None else Recorder(hardware.element)
    tiles: dict[str, Any] = {} if task.sampled is None else {"tiles": task.sampled}
    result = simulate(
        net,
        hardware,
        work.values,
        calibration=ranges,
        values="exact" if task.sampled is None else "sampled",
        progress=progress,
        record=recorder,
        against_float=task.errors,
        resume=None if task.resume is None else Checkpoint(task.resume),
        **tiles,
    )
    if recorder is not None and task.operands_to is not None:
        recorder.write(task.operands_to)
    if task.outputs is not None:
        arrays: dict[str, Any] = {name: np.asarray(value) for name, value in result.outputs.items()}
        np.savez(task.outputs, **arrays)
    return SimulationReport(
        result=result,
        accuracy=None if work.labels is None else accuracy(next(iter(result.outputs.values())), work.labels),
        float_accuracy=_digits_float_accuracy() if task.is_digits else None,
        inputs=work.what,
    )


def _check_paths(task: SimulationTask) -> None:
    """Raise unless all that is to be written can be, and is not what is read."""
    if task.outputs is not None:
        check_outputs(task.outputs)
    toml = Path(task.accelerator)
    read = {
        "MODEL": task.model,
        "--accelerator": toml if toml.is_file() else None,
        "--inputs": task.inputs,
        "--calibration": task.calibration,
    }
    check_files(read, {"--outputs": task.outputs, **task.drawn}, layers=task.operands_to)
    if task.resume is not None:
        check_folder("--resume", task.resume)


def _calibration(
    task: SimulationTask, net: network.Network, given: Mapping[str, NDArray[Any]] | None
) -> Mapping[str, NDArray[Any]] | None:
    """Return what scales are chosen on; None for the inputs."""
    if given is not None:
        if all(layer.a_quantization is not None for layer in net.layers if isinstance(layer, MultiplyAccumulate)):
            raise ValueError(f"--calibration is not used: network {net.name!r} is quantized, its scales are its own")
        return {name: value for name, value in given.items() if name != "labels"}
    return {net.inputs[0].name: data.digits_calibration()} if task.model is None else None


def _digits_float_accuracy() -> float:
    """Return how well the float32 digits network does."""
    net = network.read(data.digits_model_path(quantized=False))
    images, labels = data.digits_test()
    return accuracy(next(iter(network.run(net, {net.inputs[0].name: images}).values())), labels)


def _check_hardware(hardware: accelerators.Accelerator, where: str | Path) -> None:
    """Raise, with the file and the key, if the accelerator names what cannot be built or priced."""
    try:
        rtl.depth(hardware.element, hardware.pipeline)
    except ValueError as error:
        raise ValueError(f"{where}: pipeline: {str(error).removeprefix('pipeline ')}") from None
    try:
        check_prices(hardware)
    except (LookupError, ValueError) as error:
        raise ValueError(f"{where}: {error.args[0]}") from None


def _takes_int8(hardware: accelerators.Accelerator) -> bool:
    """Whether the unit runs the int8 digits network."""
    try:
        accelerators.check_network(network.read(data.digits_model_path(quantized=True)), hardware.element, {})
    except ValueError:
        return False
    return True
