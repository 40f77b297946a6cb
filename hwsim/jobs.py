# SPDX-License-Identifier: Apache-2.0
"""The jobs of the command line, from files to files."""

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

import rtl
from hwsim import accelerator as accelerators
from hwsim import data, network
from hwsim.network import Network
from hwsim.operands import Recorder
from hwsim.result import SimulationResult
from hwsim.simulation import check_prices, simulate

__all__ = [
    "SimulationReport",
    "accuracy",
    "simulate_files",
]

_SEED = 2026


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SimulationReport:
    """A simulation, and how well the network does.

    accuracy : share of the labelled images that the simulated hardware gets right; None without labels
    float_accuracy : the same of the float32 network; None where there is none to compare with
    inputs : what the inputs were
    """

    result: SimulationResult
    accuracy: float | None
    float_accuracy: float | None
    inputs: str

    def lines(self) -> list[str]:
        """Return what the table does not say, a sentence a line."""
        result = self.result
        energy = result.energy
        lines = []
        if self.accuracy is not None:
            against = "" if self.float_accuracy is None else f"; the float32 network {100 * self.float_accuracy:.2f} %"
            lines.append(f"accuracy on {self.inputs}: simulated hardware {100 * self.accuracy:.2f} %{against}")
        else:
            lines.append(f"inputs: {self.inputs}; no labels, so no accuracy")
        accelerator = result.accelerator
        total = "not known" if energy.total_pj is None else f"{energy.total_pj / 1e3:,.2f} nJ"
        units = "?" if energy.units_pj is None else f"{energy.units_pj / 1e3:,.2f}"
        registers = "?" if energy.registers_pj is None else f"{energy.registers_pj / 1e3:,.2f}"
        wires = f"wires {energy.wires_pj / 1e3:,.2f}, " if energy.wires_pj else ""
        what = "one image" if result.batch == 1 else f"{result.batch} images at once"
        lines.append(
            f"{what}: {result.cycles:,} cycles, {result.latency_us:,.1f} us at {accelerator.clock_mhz} MHz, "
            f"{100 * result.utilisation:.1f} % of the array; energy {total} (units {units}, "
            f"registers {registers}, SRAM {energy.sram_pj / 1e3:,.2f}, DRAM {energy.dram_pj / 1e3:,.2f}, {wires}"
            f"leakage {energy.leakage_pj / 1e3:,.2f})"
        )
        lines.append(_traffic_line(result))
        lines.append(f"energy of the units: {result.energy_note}")
        lines.extend(result.assumptions)
        return lines

    def as_dict(self) -> dict[str, Any]:
        """Return all figures as JSON-ready values."""
        import json

        figures: dict[str, Any] = json.loads(self.result.to_json())
        return {"accuracy": self.accuracy, "float_accuracy": self.float_accuracy, "inputs": self.inputs, **figures}


def _traffic_line(result: SimulationResult) -> str:
    """Say what was moved, scales and indices apart, and the rows of the DRAM that were opened."""
    moved = [layer.traffic for layer in result.layers]
    scales, indices = sum(each.scale_bits for each in moved), sum(each.index_bits for each in moved)
    parts = (("scales", scales), ("sparse indices", indices))
    shares = ", ".join(f"{bits / 1e3:,.1f} of {what}" for what, bits in parts if bits)
    rows = sum(layer.dram_activations for layer in result.layers)
    return (
        f"traffic: {sum(each.sram_bits for each in moved) / 1e3:,.1f} kbit on chip, "
        f"{sum(each.dram_bits for each in moved) / 1e3:,.1f} kbit of DRAM"
        + (f" in {rows:,} row activations" if rows else "")
        + (f"; of these {shares}" if shares else "")
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


def simulate_files(
    model: Path | None,
    accelerator: str | Path,
    *,
    inputs: Path | None = None,
    random: int | None = None,
    calibration: Path | None = None,
    outputs: Path | None = None,
    operands_to: Path | None = None,
    progress: Callable[[str], None] | None = None,
) -> SimulationReport:
    """Simulate a network from a file, or the embedded digits network.

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
    calibration : Path, optional
        A .npz on which the scales of a float32 network are chosen; without it the inputs (the digits have their own).
    outputs : Path, optional
        A .npz to write the outputs to; its folder must exist.
    operands_to : Path, optional
        A folder to write the operands of each layer to, a .npz a layer (`hwsim.operands.load`).
    progress : callable, optional
        Called with the name of each layer.

    Raises
    ------
    FileNotFoundError, TypeError, ValueError
        For files that are missing or wrong, and for inputs that do not fit, before anything is run.
    """
    hardware = accelerators.read(accelerator)
    _check_hardware(hardware, accelerator)
    if inputs is not None and random is not None:
        raise ValueError("inputs and random cannot both be given")
    if outputs is not None:
        _check_outputs(outputs)
    net = network.read(data.digits_model_path(quantized=_takes_int8(hardware)) if model is None else model)
    job = _inputs(net, model, inputs, random)
    scales: Mapping[str, NDArray[Any]] | None = None
    if calibration is not None:
        scales = _npz(calibration)
    elif model is None:
        scales = {net.inputs[0].name: data.digits_calibration()}
    recorder = None if operands_to is None else Recorder(hardware.unit)
    result = simulate(net, hardware, job.values, calibration=scales, progress=progress, record=recorder)
    if recorder is not None and operands_to is not None:
        recorder.write(operands_to)
    if outputs is not None:
        arrays: dict[str, Any] = {name: np.asarray(value) for name, value in result.outputs.items()}
        np.savez(outputs, **arrays)
    digits = model is None and inputs is None and random is None
    return SimulationReport(
        result=result,
        accuracy=None if job.labels is None else accuracy(next(iter(result.outputs.values())), job.labels),
        float_accuracy=_digits_float_accuracy() if digits else None,
        inputs=job.what,
    )


class _Job(NamedTuple):
    """What a network is run on, its labels if there are any, and what to call it."""

    values: Mapping[str, NDArray[Any]]
    labels: NDArray[Any] | None
    what: str


def _inputs(net: Network, model: Path | None, inputs: Path | None, random: int | None) -> _Job:
    """Return the inputs asked for; without any, the digits for the digits network, else an error."""
    if random is not None:
        count = random if net.batchable else net.batch
        return _Job(_random_inputs(net, random), None, f"{count} random image{'s' * (count != 1)} (seed {_SEED})")
    if inputs is not None:
        values = dict(_npz(inputs))
        labels = values.pop("labels", None)
        if labels is not None:
            _check_labels(labels, net, values, inputs)
        return _Job(values, labels, f"the images of {inputs.name}")
    if model is not None:
        wanted = ", ".join(f"{spec.name} {spec.dtype}{list(spec.shape)}" for spec in net.inputs)
        raise ValueError(f"{model}: give its inputs ({wanted}) with --inputs FILE.npz, or --random COUNT")
    images, labels = data.digits_test()
    return _Job({net.inputs[0].name: images}, labels, f"{len(images)} held-out handwritten digits")


def _digits_float_accuracy() -> float:
    """Return how well the float32 digits network does."""
    net = network.read(data.digits_model_path(quantized=False))
    images, labels = data.digits_test()
    return accuracy(next(iter(network.run(net, {net.inputs[0].name: images}).values())), labels)


def _check_hardware(hardware: accelerators.Accelerator, where: str | Path) -> None:
    """Raise, with the file and the key, if the accelerator names what cannot be built or priced."""
    try:
        rtl.depth(hardware.unit, hardware.pipeline)
    except ValueError as error:
        raise ValueError(f"{where}: pipeline: {str(error).removeprefix('pipeline ')}") from None
    try:
        check_prices(hardware)
    except (LookupError, ValueError) as error:
        raise ValueError(f"{where}: {error.args[0]}") from None


def _check_outputs(file: Path) -> None:
    """Raise if the outputs cannot be written there."""
    if file.is_dir():
        raise ValueError(f"the outputs' file {str(file)!r} is a directory")
    if file.suffix != ".npz":
        raise ValueError(f"the outputs' file must end in .npz, not {file.name!r}")
    if not file.parent.is_dir():
        raise FileNotFoundError(f"no folder {str(file.parent)!r} to write {file.name!r} to")


def _check_labels(labels: NDArray[Any], net: Network, values: Mapping[str, NDArray[Any]], file: Path) -> None:
    """Raise if the labels are no integers, or not one an image; inputs that do not fit are for `simulate` to name."""
    if labels.dtype.kind not in "iu":
        raise TypeError(f"{file}: labels must be integers, not {labels.dtype}")
    spec = net.inputs[0]
    shape = values[spec.name].shape if spec.name in values else ()
    if spec.shape and len(shape) == len(spec.shape) and shape[1:] == spec.shape[1:] and labels.shape != shape[:1]:
        raise ValueError(f"{file}: labels must have shape ({shape[0]},), one an image, not {labels.shape}")


def _takes_int8(hardware: accelerators.Accelerator) -> bool:
    """Whether the unit runs the int8 digits network."""
    try:
        accelerators.check_network(network.read(data.digits_model_path(quantized=True)), hardware.unit, {})
    except ValueError:
        return False
    return True


def _npz(path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of a .npz, or raise with its name."""
    if path.is_dir():
        raise ValueError(f"{path}: is a directory, not a .npz file")
    if not path.is_file():
        raise FileNotFoundError(f"no file {str(path)!r}")
    try:
        with path.open("rb") as stream:
            arrays = np.load(stream)
            if isinstance(arrays, np.lib.npyio.NpzFile):
                return {name: arrays[name] for name in arrays.files}
    except (BadZipFile, EOFError, OSError, RuntimeError, ValueError, zlib.error) as error:
        raise ValueError(f"{path}: not a .npz file: {error}") from None
    raise ValueError(f"{path}: must be a .npz with an array for each input, not a single array")


def _random_inputs(net: Network, count: int) -> dict[str, NDArray[Any]]:
    """Draw `count` images in all, or one batch where the network takes no other number."""
    generator = np.random.default_rng(_SEED)
    values: dict[str, NDArray[Any]] = {}
    for spec in net.inputs:
        shape = (count, *spec.shape[1:]) if net.batchable else spec.shape
        dtype = np.dtype(spec.dtype)
        if dtype.kind == "f":
            values[spec.name] = generator.standard_normal(shape).astype(dtype)
        else:
            limits = np.iinfo(dtype)
            values[spec.name] = generator.integers(limits.min, limits.max, shape, dtype, endpoint=True)
    return values
