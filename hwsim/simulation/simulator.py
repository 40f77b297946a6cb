# SPDX-License-Identifier: Apache-2.0
"""The simulation itself: checks first, then values where they are asked for, then figures."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwsim.accelerator import Accelerator, Record, UnitEngine, check_network
from hwsim.network import Network, calibrate, run
from hwsim.network.layers.multiply_accumulate import MultiplyAccumulate
from hwsim.network.layers.online_attention import with_online_attention
from hwsim.network.nonlinear import check as check_nonlinear
from hwsim.prices import Priced, check_prices
from hwsim.result import LayerError, SimulationResult
from hwsim.simulation.errors import ErrorMeter
from hwsim.simulation.figures import layer_results
from hwsim.simulation.pace import Pace

if TYPE_CHECKING:
    from hwsim.network.checkpoint import Checkpoint

__all__ = [
    "VALUES",
    "simulate",
]

VALUES = ("exact", "none", "sampled")
"""What `simulate` computes of a network's values."""

Arrays = dict[str, NDArray[Any]]
_Engines = Callable[[Callable[[str], None] | None, Record | None], UnitEngine]


def simulate(
    network: Network,
    accelerator: Accelerator,
    inputs: Mapping[str, ArrayLike] | None = None,
    *,
    calibration: Mapping[str, ArrayLike] | None = None,
    values: str = "exact",
    progress: Callable[[str], None] | None = None,
    record: Record | None = None,
    against_float: bool = False,
    resume: "Checkpoint | None" = None,
    tiles: int = 16,
    seed: int = 0,
    cost: Priced = "known",
) -> SimulationResult:
    """Simulate a network on an accelerator.

    Parameters
    ----------
    network : Network
        Quantized (its codes go through the unit as they are), or float32 (operands are quantized to the unit's
        formats).
    accelerator : Accelerator
    inputs : mapping of input name to array
        Of the network's shapes; any number of images where the network takes them one by one. Not looked at, and may be
        left out, where `values` is "none".
    calibration : mapping of input name to array, optional
        What the scales of a float32 network are chosen on; without it, the inputs themselves.
    values : {"exact", "none", "sampled"}
        Every value of the network as the hardware computes it; or none: cycles, traffic and energy alone, which depend
        on shapes and formats only; or some tiles of each product, chosen at random, and all else in float32
        (`hwsim.accelerator.sampled.SampledEngine`).
    progress : callable, optional
        Called as a layer's product begins, with its name and, after some seconds, how much is done and how long the
        rest will take.
    record : callable, optional
        Takes what the unit multiplies, layer by layer: `hwsim.operands.Recorder`.
    against_float : bool
        Compare every layer's output with the float32 network's (`hwsim.simulation.FloatNetwork`), as it accumulates and
        for each layer alone. Takes about twice the time, for each layer runs twice.
    resume : Checkpoint, optional
        Where finished layers are kept, so that a run that was stopped goes on from there.
    tiles, seed : int
        Of "sampled": how many tiles of each product, at least 2, and of the choice.
    cost : Cost, None or "known"
        What an element of the array costs, as for `check_prices`.

    Returns
    -------
    SimulationResult
        Outputs for all images; cycles, traffic and energy for a pass of the network's batch.

    Raises
    ------
    TypeError, ValueError
        If an input does not fit, options do not go together, the accelerator has a part without a price
        (`check_prices`), or it cannot run every layer (all such layers are listed).

    Examples
    --------
    >>> from hwsim import accelerator, network
    >>> from hwsim.data import digits_model_path, digits_test
    >>> images, labels = digits_test()
    >>> digits = network.read(digits_model_path(quantized=True))
    >>> result = simulate(digits, accelerator.read("int8_16x16"), {"input": images[:4]})
    >>> result.cycles
    1203
    >>> result.outputs["output"].argmax(axis=1) == labels[:4]
    array([ True,  True,  True,  True])
    """
    _check_options(values, inputs, against_float=against_float, record=record, resume=resume)
    prices = check_prices(accelerator, cost=cost)
    check_nonlinear(network, accelerator.nonlinear, UnitEngine.nonlinear_kernels, accelerator.requantization)
    check_network(network, accelerator.element, dict.fromkeys(_calibrated(network), (0.0, 0.0)))
    figures = layer_results(network, accelerator, prices)  # before any value, for memories may be too small
    if values == "none" or inputs is None:
        found = _Values({}, 0)
    else:
        arrays = {name: np.asarray(value) for name, value in inputs.items()}
        engines = _engines(network, accelerator, arrays if calibration is None else calibration)
        running = with_online_attention(network, accelerator.nonlinear)
        pace = Pace(running, _images(arrays), progress or (lambda text: None), resume)
        if values == "sampled":
            found = _sampled(running, accelerator, arrays, engines, pace, tiles, seed)
        else:
            found = _exact(running, accelerator, arrays, engines, pace, record, against_float, resume)
    return SimulationResult(
        network=network.name,
        accelerator=accelerator,
        outputs=found.outputs,
        layers=tuple(replace(each, error=found.errors.get(each.name)) for each in figures),
        batch=network.batch,
        images=found.images,
        energy_note=prices.note,
        assumptions=prices.assumptions(accelerator),
        values=values,
        samples=found.samples,
        float_on_codes=found.on_codes,
    )


class _Values(NamedTuple):
    """What a run gave: outputs, how many images, errors by layer, layers without a float form, errors of samples."""

    outputs: Arrays
    images: int
    errors: Mapping[str, LayerError] = MappingProxyType({})
    on_codes: tuple[str, ...] = ()
    samples: tuple[Any, ...] = ()


def _check_options(values: str, inputs: object, *, against_float: bool, record: object, resume: object) -> None:
    """Raise where options do not go together."""
    if values not in VALUES:
        raise ValueError(f"values must be one of {', '.join(VALUES)}, not {values!r}")
    if values != "none":
        if inputs is None:
            raise ValueError(f"inputs must be given with values {values!r}, not None")
        if not isinstance(inputs, Mapping):
            raise TypeError(f"inputs must be a mapping of names to arrays, not {type(inputs).__name__}")
        if against_float and resume is not None:
            raise ValueError("against_float must be False with resume: the errors of layers already finished are lost")
    whole = {"against_float": against_float, "record": record is not None, "resume": resume is not None}
    given = [name for name, is_given in whole.items() if is_given]
    if given and values != "exact":
        raise ValueError(f"{given[0]} must be left out with values {values!r}: it takes every value")


def _calibrated(network: Network) -> list[str]:
    """Return the layers whose first operand is rounded with a scale from a calibration."""
    products = [layer for layer in network.layers if isinstance(layer, MultiplyAccumulate)]
    return [layer.name for layer in products if layer.a_quantization is None]


def _images(arrays: Arrays) -> int:
    first = next(iter(arrays.values()), np.zeros(1))
    return first.shape[0] if first.ndim else 1


def _engines(network: Network, accelerator: Accelerator, calibration: Mapping[str, ArrayLike]) -> _Engines:
    """Return what makes engines of the accelerator's element, checked to run every layer."""
    chosen = {name: np.asarray(value) for name, value in calibration.items()}
    ranges = calibrate(network, chosen) if _calibrated(network) else {}
    check_network(network, accelerator.element, ranges)

    def engine(progress: Callable[[str], None] | None, record: Record | None) -> UnitEngine:
        made = UnitEngine(accelerator.element, ranges, progress, record)
        made.nonlinear = accelerator.nonlinear
        return made

    return engine


def _exact(
    network: Network,
    accelerator: Accelerator,
    arrays: Arrays,
    engines: _Engines,
    pace: Pace,
    record: Record | None,
    against_float: bool,
    resume: "Checkpoint | None",
) -> _Values:
    """Compute every value on the hardware, and beside it in float32 where that is asked for."""
    rule = accelerator.requantization
    meter = ErrorMeter(network, engines(None, None), rule) if against_float else None

    def hook(name: str, array: NDArray[Any]) -> None:
        pace.took(name, array)
        if meter is not None:
            meter(name, array)

    outputs = run(network, arrays, engine=engines(pace.begins, record), rule=rule, hook=hook, resume=resume)
    if meter is None:
        return _Values(outputs, _images(arrays))
    return _Values(outputs, _images(arrays), meter.errors(), meter.on_codes)


def _sampled(
    network: Network, accelerator: Accelerator, arrays: Arrays, engines: _Engines, pace: Pace, tiles: int, seed: int
) -> _Values:
    """Compute some tiles of each product on the hardware."""
    from hwsim.accelerator.sampled import SampledEngine

    engine = SampledEngine(engines(None, None), tiles, seed=seed, progress=pace.begins)
    outputs = run(network, arrays, engine=engine, rule=accelerator.requantization, hook=pace.took)
    return _Values(outputs, _images(arrays), samples=engine.errors)
