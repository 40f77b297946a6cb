# SPDX-License-Identifier: Apache-2.0
"""The functions of rtl_quality.py on an FPGA: look-up tables, DSP blocks and clock rate on ECP5, beside published RTL.

python -m benchmarks.rtl_fpga                    # every row: ten minutes on a core
python -m benchmarks.rtl_fpga "INT8 MAC" --dsp

LUT4: LUT4 and two for each carry cell of two bits. MHz: nextpnr's for ECP5-25 -6, every port registered, the median of
three seeds; only of rows with registers. Published: the same count by Yosys 0.70 without DSP blocks, not placed.
"""

import argparse

from benchmarks.rtl_quality import ROWS, behavioural, ours
from cost_models.synthesis import FpgaResult, fpga
from cost_models.technologies import FpgaTechnology, read
from rtl.architecture import ARCHITECTURES

__all__ = [
    "PEERS",
    "main",
]

# LUT4 on ECP5 without DSP blocks, of the published designs with the fewest.
PEERS = {
    "INT8 MAC": "yc2367/BitSim 522, TPE 528",
    "INT8 multiplier": "ebby-s/MX-for-FPGA 309",
    "MXINT8 32": "ebby-s/MX-for-FPGA 10786",
    "MXINT4 32": "ebby-s/MX-for-FPGA 2771",
    "MXFP4 32": "ebby-s/MX-for-FPGA 3022",
    "MXFP6 E2M3 32": "ebby-s/MX-for-FPGA 6660",
    "MXFP6 E3M2 32": "ebby-s/MX-for-FPGA 7366",
    "MXFP8 E4M3 32": "ebby-s/MX-for-FPGA 13421",
    "MXFP8 E5M2 32": "ebby-s/MX-for-FPGA 18248",
    "NVFP4 16": "Hrushi199/nvfp4-riscv 2318, without scales",
}
_ARCHITECTURES = ("tool", "booth_heap", "dadda_heap", "carry_save")


def main() -> None:
    """Print a line a row and structure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)}; all of them if none is given")
    parser.add_argument("--dsp", action="store_true", help="multipliers may become DSP blocks")
    options = parser.parse_args()
    unknown = [row for row in options.rows if row not in ROWS]
    if unknown:
        parser.error(f"unknown row {unknown[0]!r}; there are {', '.join(ROWS)}")
    for row in options.rows or ROWS:
        print(f"\n{row}", flush=True)
        if "float" not in ROWS[row] and "mx" not in ROWS[row]:
            print(_line("behavioural", _price(behavioural(ROWS[row]), options.dsp)), flush=True)
        for name in _ARCHITECTURES:
            try:
                text = ours(ROWS[row], ARCHITECTURES[name])
            except ValueError:  # an architecture that the unit cannot have
                continue
            print(_line(name, _price(text, options.dsp)), flush=True)
        if row in PEERS:
            print(f"  published    {PEERS[row]} LUT4")


def _price(text: str, dsp: bool) -> FpgaResult:
    """Place and route what has a clock; count the cells of what has none."""
    target = read("ecp5_dsp" if dsp else "ecp5")
    assert isinstance(target, FpgaTechnology)
    return fpga(text, "quality", target, seeds=None if " clk" in text else ())


def _line(name: str, result: FpgaResult) -> str:
    """Return a line of counts."""
    lut = result.lut + 2 * result.carry
    rate = f"{result.fmax_mhz:8.1f} MHz" if result.fmax_by_seed else ""
    return f"  {name:12} {lut:6} LUT4 {result.ff:4} FF {result.dsp:3} DSP{rate}"


if __name__ == "__main__":
    main()
