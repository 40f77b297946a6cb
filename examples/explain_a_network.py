# SPDX-License-Identifier: Apache-2.0
"""Explain a network on an accelerator: where cycles, energy and accuracy go, and what a change would bring.

python examples/explain_a_network.py --roofline roofline.svg --timeline timeline.svg --trace trace.json
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import hwsim
from hwsim import data
from hwsim.accelerator import Accelerator, ArrayKind
from hwsim.report import roofline_plot, timeline_plot, write_trace


def changes(accelerator: Accelerator) -> Iterator[tuple[str, Accelerator]]:
    """Give the accelerator with one thing changed at a time."""
    array, dram = accelerator.array, accelerator.dram
    yield "twice the columns", replace(accelerator, array=replace(array, columns=2 * array.columns))
    yield "two arrays", replace(accelerator, array=replace(array, count=2))
    for kind in (ArrayKind.OUTPUT_STATIONARY, ArrayKind.WEIGHT_STATIONARY, ArrayKind.INPUT_STATIONARY):
        if kind is not array.dataflow:
            yield kind.value.replace("_", "-"), replace(accelerator, array=replace(array, dataflow=kind))
    yield "half of the DRAM's bits", replace(accelerator, dram=replace(dram, bits_per_cycle=dram.bits_per_cycle // 2))
    weights = replace(accelerator.weights, kilobytes=4)
    yield "4 KiB for weights", replace(accelerator, weights=weights)


def main() -> None:
    """Print what there is to know of a network on an accelerator, and write what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accelerator", default="mxfp4_4x4", help="a preset or a TOML file, whose unit takes floats")
    parser.add_argument("--roofline", type=Path)
    parser.add_argument("--timeline", type=Path)
    parser.add_argument("--trace", type=Path)
    parser.add_argument("--quick", action="store_true", help="a few images only")
    options = parser.parse_args()

    network = hwsim.network.read(data.digits_model_path(quantized=False))
    accelerator = hwsim.accelerator.read(options.accelerator)
    images, _ = data.digits_test()
    result = hwsim.simulate(
        network,
        accelerator,
        {"input": images[: 8 if options.quick else 360]},
        calibration={"input": data.digits_calibration()},
        against_float=True,
    )

    print(f"{network.name} on {accelerator.name}: {result.cycles:,} cycles a pass, {result.latency_us:.1f} us")
    for layer in sorted(result.layers, key=lambda each: -each.cycles)[:3]:
        print(f"  {layer.name}: {100 * layer.cycles / result.cycles:.0f} % of the cycles")
        for sentence in layer.mapping:
            print(f"    {sentence}")

    energy = result.energy.as_dict()
    total = energy.pop("total_pj")
    if total is not None:
        parts = ", ".join(
            f"{name.removesuffix('_pj')} {100 * (part or 0.0) / total:.0f} %" for name, part in energy.items()
        )
        print(f"energy: {total / 1e3:.1f} nJ a pass: {parts}")

    losses = {layer.name: layer.error.own.sqnr_db for layer in result.layers if layer.error is not None}
    known = sorted((loss, name) for name, loss in losses.items() if loss is not None)
    print(f"accuracy: {', '.join(f'{name} {loss:.1f} dB' for loss, name in known)} SQNR of each layer alone")

    print("what a change would bring:")
    for what, changed in changes(accelerator):
        try:
            other = hwsim.simulate(network, changed, values="none")
        except ValueError as error:
            print(f"  {what}: {error}")
            continue
        cost = other.energy.total_pj
        joules = "" if cost is None or total is None else f", {100 * cost / total:.0f} % of the energy"
        print(f"  {what}: {100 * other.cycles / result.cycles:.0f} % of the cycles{joules}")

    for file, write in (
        (options.roofline, roofline_plot),
        (options.timeline, timeline_plot),
        (options.trace, write_trace),
    ):
        if file is not None:
            print(f"wrote {write(result, file)}")


if __name__ == "__main__":
    main()
