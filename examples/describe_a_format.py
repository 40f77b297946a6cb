# SPDX-License-Identifier: Apache-2.0
"""Describe a number format that no catalog has, and get its values, its quality, its units and its hardware.

    python examples/describe_a_format.py

The format: NF4's sixteen levels, moved to the nearest 32nds, so that a multiplier takes 6 bits of them and not 24.
"""

import argparse
from pathlib import Path

import numpy as np

import rtl
from hwsim import formats
from hwsim.datapath import DotProductUnit, ExactAlignment, FixedAccumulator, matmul
from hwsim.formats import CodebookSpec, FloatSpec, Overflow


def main() -> None:
    """Describe, judge, compute, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the same: this is quick")
    parser.add_argument("--output", type=Path, help="a folder for the Verilog; without it only its size is printed")
    options = parser.parse_args()

    # The description: a name, and a level for each code.
    nf4 = formats.named("nf4")
    assert isinstance(nf4, CodebookSpec)
    near = CodebookSpec(name="nf4_near", levels=tuple(round(level * 32) / 32 for level in nf4.levels))

    # What it holds of Gaussian weights, beside others of four bits, with the same scale for every 64 of them.
    weights = np.random.default_rng(0).standard_normal((256, 512), dtype=np.float32)
    for fmt in (near, "nf4", "float4_e2m1fn", "int4"):
        quality = formats.measure(weights.reshape(-1, 64), fmt)
        print(f"{quality.format:<14} {quality.qsnr_db:6.2f} dB, {quality.entropy_bits:.2f} of 4 bits in use")

    # A unit of it: exact, since the levels are integers over 32.
    float32 = formats.named("float32")
    assert isinstance(float32, FloatSpec)
    unit = DotProductUnit(
        a=near,
        b=formats.named("int8"),
        lanes=8,
        alignment=ExactAlignment(),
        accumulator=FixedAccumulator(bits=32, fraction_bits=5, overflow=Overflow.SATURATE),
        output=float32,
    )
    q = formats.quantize(weights[:2, :64], near)
    activations = np.arange(64, dtype=np.uint8).reshape(64, 1)
    exact = near.decode(q.codes) @ activations.astype(float)
    assert np.array_equal(float32.decode(matmul(unit, q.codes, activations)), exact)

    # Its hardware.
    texts = {
        "decoder.v": rtl.decoder_verilog(near),
        "encoder.v": rtl.encoder_verilog(near),
        "unit.v": rtl.verilog(unit),
    }
    for name, text in texts.items():
        print(f"{name}: {len(text.splitlines())} lines of Verilog")
        if options.output:
            options.output.mkdir(parents=True, exist_ok=True)
            (options.output / name).write_text(text)


if __name__ == "__main__":
    main()
