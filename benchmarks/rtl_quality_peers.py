# SPDX-License-Identifier: Apache-2.0
"""Public RTL that rtl_quality.py compares with: what it costs in the same kind of flow.

Measured 2026-11-21 with Yosys 0.70, `synth -flatten`, and ABC's ``strash; dc2; dch -f; amap -m; topo`` (area) and
``strash; dch -f; map -B 0.9 -D d; topo; buffer; upsize -D d; dnsize -D d`` (timing), the better of with and without
Booth multipliers; NAND2 equivalents of each library's smallest NAND2, FO4 delays by static timing without wires. The
functions of the designs were not verified, and they differ from ours in what they do with NaN.
"""

from typing import NamedTuple

__all__ = [
    "PEERS",
    "Peer",
]


class Peer(NamedTuple):
    """A design's point."""

    design: str
    nand2: float
    fo4: float


def _points(design: str, *numbers: float) -> dict[str, tuple[Peer, ...]]:
    """Return a design's points: area and delay by the area and the timing recipe, on Nangate45, then on ASAP7."""
    pairs = [Peer(design, *numbers[i : i + 2]) for i in range(0, len(numbers), 2)]
    return {"nangate45": tuple(pairs[:2]), "asap7": tuple(pairs[2:])}


def _both(*designs: dict[str, tuple[Peer, ...]]) -> dict[str, tuple[Peer, ...]]:
    """Return the points of several designs."""
    return {name: sum((each[name] for each in designs), ()) for name in ("nangate45", "asap7")}


_MX = "ebby-s/MX-for-FPGA"
PEERS = {
    "INT8 multiplier": _points(_MX, 432, 54, 831, 31, 401, 45, 827, 28),
    "INT8 MAC": _both(
        _points("TPE, plain", 883, 98, 1281, 52, 680, 67, 843, 50),
        _points("TPE, carry-save (OPT1)", 1232, 49, 1619, 27, 821, 38, 900, 33),
        _points("yc2367/BitSim", 897, 89, 1327, 47, 701, 55, 875, 49),
    ),
    "MXINT8 32": _points(_MX, 16876, 113, 29915, 70, 14921, 86, 24780, 64),
    "MXINT4 32": _points(_MX, 4513, 86, 7723, 52, 3905, 69, 6952, 46),
    "MXFP4 32": _points(_MX, 3935, 82, 6873, 48, 3437, 62, 7316, 42),
    "MXFP6 E2M3 32": _points(_MX, 8333, 103, 14959, 60, 7392, 83, 15026, 53),
    "MXFP6 E3M2 32": _points(_MX, 9273, 115, 15850, 61, 8105, 91, 16710, 53),
    "MXFP8 E4M3 32": _points(_MX, 16775, 154, 26830, 76, 14622, 128, 23579, 64),
    "MXFP8 E5M2 32": _points(_MX, 23432, 215, 36165, 74, 17724, 166, 31548, 64),
    "NVFP4 16": _points("Hrushi199/nvfp4-riscv", 3788, 87, 6340, 51, 2877, 65, 3515, 59),
}
"""Points by row and technology."""
