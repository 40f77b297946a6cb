# SPDX-License-Identifier: Apache-2.0
"""Print mixed-precision assignments against every uniform format, under that format's own budget.

    python -m benchmarks.mixed_precision
    python -m benchmarks.mixed_precision --models ../shared/models

For each quantity (bits, area x time, energy, latency) and each format, the budget is what that format takes in every
layer. Printed are the loss of the uniform format, of the optimum of the integer program (the sum of sensitivities it
expects, and simulated), and of the assignment that simulation chooses from the first eight and the uniform formats;
each layer on its own unit, on the calibration set, where the chosen one cannot be worse; beside them the losses of the
uniform format and of the chosen one on the digits that were held out, where it can. ResNet-8 is the float form of the
int8 network, and its images are shifts of one, so that there is nothing to hold out.
"""

import argparse
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hwsim import accelerator, data
from hwsim.allocation import (
    QUANTITIES,
    Allocation,
    Probe,
    candidates,
    choose_by_simulation,
    estimate_sensitivities,
    layer_costs,
    measure_sensitivities,
)
from hwsim.network import Network, read
from hwsim.network.onnx_reader import from_model
from hwsim.quantization import float_form

FORMATS = ("int8", "int6", "int4", "float8_e4m3fn", "float4_e2m1fn", "mxfp4", "nvfp4")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, help="a folder with resnet8_cifar10_int8_qdq.onnx and golden_io.npz")
    parser.add_argument("--accelerator", default="mxfp4_4x4", help="whose unit is replaced (default: mxfp4_4x4)")
    parser.add_argument("--quick", action="store_true", help="few images, one quantity")
    options = parser.parse_args()
    quantities = ("energy",) if options.quick else QUANTITIES
    images = data.digits_calibration()[: 32 if options.quick else 300]
    network = read(data.digits_model_path(quantized=False))
    others = data.digits_test()[0]
    _compare("digits", network, images, options.accelerator, quantities, others[:32] if options.quick else others)
    if options.models is not None:
        resnet = from_model(float_form(options.models / "resnet8_cifar10_int8_qdq.onnx"))
        picture = np.load(options.models / "golden_io.npz")["cifar10_class3/image_nchw_uint8"].astype(np.float32)
        moved = np.concatenate([np.roll(picture, (dy, dx), (2, 3)) for dy in (-3, 0, 3) for dx in (-4, 0, 4)])
        _compare("ResNet-8", resnet, moved, options.accelerator, quantities)


class _Line(NamedTuple):
    """Losses of a uniform format and of what was chosen in its place; on held-out images where there are any."""

    uniform: str
    chosen: Allocation
    calibration: tuple[float, float]
    held_out: tuple[float, float] | None


def _compare(
    name: str,
    network: Network,
    images: np.ndarray[Any, Any],
    machine: str,
    quantities: tuple[str, ...],
    others: np.ndarray[Any, Any] | None = None,
) -> None:
    """Print a network's sensitivities and its assignments."""
    chosen = candidates(FORMATS)
    start = time.perf_counter()
    costs = layer_costs(network, chosen, accelerator.read(machine))
    print(f"\n{name}: {len(costs.layers)} layers, costs in {time.perf_counter() - start:.2f} s")
    for note in costs.notes:
        print(f"  {note}")
    probe = Probe(network, chosen, {network.inputs[0].name: images})
    start = time.perf_counter()
    measured = measure_sensitivities(probe)
    print(f"sensitivities (KL, nats) measured on {len(images)} images in {time.perf_counter() - start:.1f} s")
    start = time.perf_counter()
    estimated = estimate_sensitivities(probe)
    print(f"and, behind the stroke, estimated from curvature in {time.perf_counter() - start:.1f} s")
    print(f"  {'':<12}" + "".join(f"{each:>22}" for each in FORMATS))
    for row, layer in enumerate(costs.layers):
        pairs = zip(measured.values[row], estimated.values[row], strict=True)
        print(f"  {layer:<12}" + "".join(f"{f'{m:.2e} / {e:.1e}':>22}" for m, e in pairs))
    heads = "".join(f"{each:>10}" for each in ("uniform", "expected", "optimum", "chosen"))
    heads += "".join(f"{each:>17}" for each in ("held-out uniform", "held-out chosen") if others is not None)
    print(f"  {'budget':<24}{'limit':>12}{heads}{'gap':>5}{'rank':>5}")
    lines = []
    for quantity in quantities:
        for column, each in enumerate(FORMATS):
            limit = costs.total(quantity, [column] * len(costs.layers))
            choice = choose_by_simulation(probe, measured, costs, {quantity: limit})
            same = dict.fromkeys(costs.layers, each)
            held = None
            if others is not None:
                given = {network.inputs[0].name: others}
                held = probe.loss_on(same, given), probe.loss_on(choice.allocation.assignment, given)
            line = _Line(each, choice.allocation, (probe.measure(same), choice.loss), held)
            lines.append(line)
            losses = (line.calibration[0], choice.optimum.objective, choice.optimum_loss, choice.loss)
            print(
                f"  {quantity + ' of ' + each:<24}{limit:>12.5g}"
                + "".join(f"{loss:>10.2e}" for loss in losses)
                + "".join(f"{loss:>17.2e}" for loss in held or ())
                + f"{choice.optimum.gap:>5g}{choice.rank:>5}  "
                + " ".join(choice.allocation.assignment.values()),
                flush=True,
            )
    _summarize(lines)


def _summarize(lines: list[_Line]) -> None:
    """Print how often the choice is better, equal and worse than the uniform format whose budget it has."""
    kinds = [set(line.chosen.assignment.values()) for line in lines]
    itself = sum(kind == {line.uniform} for kind, line in zip(kinds, lines, strict=True))
    another = sum(len(kind) == 1 for kind in kinds) - itself
    print(
        f"{len(lines)} budgets: that uniform format itself chosen in {itself}, another uniform one in {another}, "
        f"a mixed assignment in {len(lines) - itself - another}"
    )
    for where in ("calibration", "held_out"):
        pairs = [pair for pair in (getattr(line, where) for line in lines) if pair is not None]
        if pairs:
            better, worse = sum(new < old for old, new in pairs), sum(new > old for old, new in pairs)
            label = where.replace("_", "-")
            print(f"  {label}: better {better}, equal {len(pairs) - better - worse}, worse {worse}")


if __name__ == "__main__":
    main()
