# SPDX-License-Identifier: Apache-2.0
"""Describe a unit that no catalog has, and get its values and its Verilog from that one description.

    python examples/describe_a_unit.py

The unit: four 6-bit floats by four 4-bit integers a step, products cut at ten bits below the largest, a 16-bit float
register that is rounded toward zero at each step.
"""

import argparse
from pathlib import Path

import numpy as np

import rtl
from hwsim import formats
from hwsim.datapath import DotProductUnit, FloatAccumulator, TruncatedAlignment, matmul
from hwsim.formats import FloatSpec, Overflow, Rounding


def main() -> None:
    """Describe, compute, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the same: this is quick")
    parser.add_argument("--output", type=Path, help="a file for the Verilog; without it only its size is printed")
    options = parser.parse_args()

    float16 = formats.named("float16")
    assert isinstance(float16, FloatSpec)
    unit = DotProductUnit(
        a=formats.named("float6_e3m2fn"),
        b=formats.named("int4"),
        lanes=4,
        alignment=TruncatedAlignment(fraction_bits=10, exp_floor=-14),
        accumulator=FloatAccumulator(
            format=float16, rounding=Rounding.TOWARD_ZERO, overflow=Overflow.SATURATE, result_man_bits=10
        ),
        output=float16,
    )
    generator = np.random.default_rng(0)
    activations, weights = generator.normal(size=(2, 64)), generator.normal(size=(64, 3))
    a = formats.quantize(activations, "float6_e3m2fn", axis=None)
    b = formats.quantize(weights, "int4", axis=0)
    d = float16.decode(matmul(unit, a.codes, b.codes)) * a.scales * b.scales
    print(unit.name)
    print("in the unit\n", np.round(d, 4))
    print("in float64\n", np.round(activations @ weights, 4))
    text = rtl.verilog(unit)
    print(f"{len(text.splitlines())} lines of Verilog, latency {rtl.latency(unit)} cycles")
    if options.output:
        options.output.write_text(text)


if __name__ == "__main__":
    main()
