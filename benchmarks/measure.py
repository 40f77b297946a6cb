# SPDX-License-Identifier: Apache-2.0
"""Measure the costs that come with the package: the units of `hwsim compare` and of the preset accelerators.

python benchmarks/measure.py          # about an hour on 2 cores; stopped, it goes on where it was
python benchmarks/measure.py --ship   # and then put the results into cost_models/measured
"""

import argparse
import time

from cost_models import store
from hwsim import accelerator, datapath, study
from hwsim.cli import DEFAULT_FORMATS

TECHNOLOGIES = ("asap7", "ecp5", "ecp5_dsp", "xc7", "xc7_dsp", "nangate45")
LANES = 16


def main() -> None:
    """Price every unit, a line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ship", action="store_true", help="write the package's set")
    options = parser.parse_args()
    jobs = []
    for name in accelerator.presets():
        preset = accelerator.read(name)
        jobs.append((preset.unit, preset.technology, preset.pipeline))
    for technology in TECHNOLOGIES:
        jobs += [(datapath.comparable(name, LANES), technology, study.PIPELINE) for name in DEFAULT_FORMATS]
    for index, (unit, technology, pipeline) in enumerate(dict.fromkeys(jobs)):
        start = time.perf_counter()
        cost = study.price(unit, technology, pipeline=pipeline)
        figures = (
            f"{cost.area_um2:.1f} um2 {cost.delay_ps:.0f} ps"
            if cost.area_um2
            else f"{cost.lut} LUT {cost.fmax_mhz} MHz"
        )
        print(
            f"{index + 1}/{len(dict.fromkeys(jobs))} {unit.name} {technology} p{pipeline}: {figures}, "
            f"{cost.verified_vectors} outputs equal, {time.perf_counter() - start:.1f} s",
            flush=True,
        )
    if options.ship:
        for technology in TECHNOLOGIES:
            print(store.ship(technology))


if __name__ == "__main__":
    main()
