# SPDX-License-Identifier: Apache-2.0
"""Quantize the digits network to 4-bit weights and 8-bit activations, write it, and run it on an array of such units.

python examples/quantize_network.py
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

import hwsim
from hwsim import data
from hwsim.quantization import Recipe, quantize


def main() -> None:
    """Print what each method does to the outputs, and what the hardware then gives."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer images")
    count = 32 if parser.parse_args().quick else 300
    calibration = {"input": data.digits_calibration()[:count]}
    recipe = Recipe(weights="int4", activations="int8", equalize=True, gptq=True, correct_bias=True)
    found = quantize(data.digits_model_path(quantized=False), recipe, calibration)
    assert found.model is not None
    for step in found.report.steps:
        print(f"{step.name:<18}{step.output_sqnr_db:6.2f} dB")
    file = Path("digits_w4a8.onnx")
    file.write_bytes(found.model.SerializeToString())
    machine = hwsim.accelerator.read("int8_16x16")
    machine = replace(machine, name="int8_by_int4_16x16", unit=hwsim.datapath.named("int8_by_int4"))
    images, labels = data.digits_test()
    result = hwsim.simulate(hwsim.network.read(file), machine, {"input": images[:count]})
    right = np.mean(result.outputs["output"].argmax(axis=1) == labels[:count])
    print(f"{file} on {machine.name}: {100 * right:.2f} % of {count} held-out digits, {result.cycles} cycles an image")


if __name__ == "__main__":
    main()
