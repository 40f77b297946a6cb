# SPDX-License-Identifier: Apache-2.0
"""Rank 4-bit block formats on activations with outlier channels: as they are, smoothed, sorted, and rotated.

python examples/rotate_before_quantizing.py
"""

import argparse

import numpy as np

from hwsim.formats.quality import measure
from hwsim.formats.transforms import hadamard, random_signs, reorder_channels, smooth

FORMATS = ("mxfp4", "mxint4", "nvfp4", "nvint4")


def main() -> None:
    """Print the signal to quantization noise ratio of each format after each transform."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer rows")
    rows = 64 if parser.parse_args().quick else 4096
    rng = np.random.default_rng(0)
    x = rng.standard_normal((rows, 512)).astype(np.float32)
    x[:, rng.choice(512, 8, replace=False)] *= 12  # the few channels that language models have
    weights = rng.standard_normal((512, 256)).astype(np.float32)
    prepared = {
        "as it is": x,
        "smoothed": smooth(x, weights, power_of_two=True).x,
        "channels sorted": reorder_channels(x).values,
        "rotated by 32": hadamard(x, 32, signs=random_signs(32, seed=1)),
    }
    print(f"{'QSNR, dB':<18}{'crest':>8}" + "".join(f"{name:>10}" for name in FORMATS))
    for name, array in prepared.items():
        found = [measure(array, fmt) for fmt in FORMATS]
        figures = "".join(f"{quality.qsnr_db:>10.2f}" for quality in found)
        print(f"{name:<18}{found[0].crest_factor:>8.2f}{figures}")


if __name__ == "__main__":
    main()
