# SPDX-License-Identifier: Apache-2.0
"""Print where integers overtake floats on Gaussian blocks, and how often BF16 arithmetic lifts a maximum to -128.

Run as ``python benchmarks/crossovers.py [BLOCKS]``: the figures of arXiv:2510.25602 from the closed forms, from exact
integrals and from our own quantizers, each sampled one with its standard error.
"""

import math
import sys

from hwsim import formats
from hwsim.formats import FloatSpec
from hwsim.formats.crossover import (
    CONTESTS,
    Contest,
    closed_crossing,
    exact_crossing,
    measured_assumed,
    measured_blocks,
)
from hwsim.formats.overshoot import overshoot_exact, overshoot_measured

__all__ = [
    "main",
]

PRINTED = {"bfloat16": 16.82, "float16": 0.02, "float32": 0.0}  # per cent, arXiv:2510.25602
NOTES = f"""\
closed form   the paper's approximations of the noise; scales rho * kappa / 2**(bits - 1) and rho * kappa / max
integral      the same scales, not rounded, and no clipping; the noise integrated over the formats' own values
  sampled     `quantize` on random values under these conditions
real scales   the integral with integers to 2**(bits - 1) - 1, UE8M0 scales rounded up and averaged over the sizes of a
              block, E4M3 scales without overhead
  real blocks `quantize` on Gaussian blocks of each crest factor, with real scales, at a random size of the block.
              sigma is the block's root mean square; for 8 bits that of the elements but the largest, as no block of 32
              has a crest factor above {math.sqrt(32):.2f}: there MXINT8 is always ahead
Why they differ:
  closed form to integral: the closed form takes the mean of 1/m**2 over mantissas m in [1, 2) as 1/2, evenly spread;
    spread as the logarithm, as those of many binades are, it is {3 / (8 * math.log(2)):.3f}: \
{10 * math.log10(3 / (4 * math.log(2))):.2f} dB more noise for floats
  integral to real scales: integers of 8, 6, 4 bits end at 2**(bits - 1) - 1, \
{", ".join(f"{20 * math.log10(2 ** (b - 1) / (2 ** (b - 1) - 1)):.2f}" for b in (8, 6, 4))} dB more noise;
    a scale rounded up to a power of two has a root mean square overhead of {math.sqrt(3 / math.log(4)):.3f}, not 1.5, \
{20 * math.log10(1.5 / math.sqrt(3 / math.log(4))):.2f} dB less;
    one rounded to E4M3 has about 1, not 1.05, {20 * math.log10(1.05):.2f} dB less
  real scales to real blocks: no element is above the largest, where the integrals take the whole normal distribution;
    under a scale rounded to E4M3 the largest is not exact"""


def crossing_line(contest: Contest, blocks: int) -> str:
    """Return the figures of a contest as ``kappa @ dB`` in columns."""
    cells = [contest.name]
    cells += [f"{at.kappa:.2f} @ {at.qsnr_db:.2f}" for at in (contest.paper, closed_crossing(contest))]
    for rounded, sample in ((False, measured_assumed), (True, measured_blocks)):
        exact, found = exact_crossing(contest, rounded=rounded), sample(contest, blocks)
        cells.append(f"{exact.kappa:.3f} @ {exact.qsnr_db:.3f}")
        cells.append(f"{found.kappa:.3f}±{found.kappa_error:.3f} @ {found.qsnr_db:.3f}±{found.qsnr_error:.3f}")
    return "".join(f"{cell:<{width}}" for cell, width in zip(cells, WIDTHS, strict=True)).rstrip()


WIDTHS = (16, 14, 14, 16, 29, 16, 29)
HEADS = ("", "paper", "closed form", "integral", "  sampled", "real scales", "  real blocks")


def overshoot_line(name: str, samples: int) -> str:
    """Return the share of maxima on -128 or 128 for an arithmetic."""
    spec = formats.named(name)
    assert isinstance(spec, FloatSpec)
    exact = f"{100 * overshoot_exact(spec):.4f}" if spec.bits <= 16 else "-"
    cells = [f"{PRINTED[name]:.2f}", exact]
    for block in (1, 32):
        share, error = overshoot_measured(spec, samples, block=block)
        cells.append(f"{100 * share:.4f}±{100 * error:.4f}")
    return f"{name:<12}" + "".join(f"{cell:>20}" for cell in cells)


def main(blocks: int = 1 << 15) -> None:
    """Print both tables."""
    print(f"QSNR crossovers of integers and floats: crest factor kappa @ dB, {blocks} blocks, ± one standard error")
    print("".join(f"{head:<{width}}" for head, width in zip(HEADS, WIDTHS, strict=True)).rstrip())
    for contest in CONTESTS:
        print(crossing_line(contest, blocks))
    print(NOTES)
    samples = blocks * 128
    print(
        f"\nINT8 maxima that land on -128 or 128, %: x of N(0, 1), s = |x| / 127 and x / s each rounded to the type, "
        f"{samples} values, ± one standard error"
    )
    print(f"{'arithmetic':<12}{'paper':>20}{'exact sum':>20}{'each value alone':>20}{'blocks of 32':>20}")
    for name in PRINTED:
        print(overshoot_line(name, samples))
    print(
        "The paper does not say how it counted; every value as the largest of its own block gives all its digits. In\n"
        "FP16 the share comes from scales among the subnormals, so blocks of 32, whose maxima are larger, have none."
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
