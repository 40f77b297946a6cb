# SPDX-License-Identifier: Apache-2.0
"""Print prices of memories beside published ones: SRAM, register files, wires and DRAM, ours, theirs and the ratio.

Run from the checkout: ``python benchmarks/memories.py``.
"""

from dataclasses import replace
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from cost_models.memory import (
    Stream,
    dram,
    published_register_file,
    register_file,
    sram,
    technology_wire,
    wire,
    wire_names,
)
from cost_models.technologies import Technology, read

__all__ = [
    "Row",
    "rows",
]

KIB, MIB = 1024, 1024 * 1024
LIBRARIES = ("asap7", "nangate45")


class Row(NamedTuple):
    """A figure of ours beside a published one, in pJ/bit (wires: pJ/bit/mm), and what differs."""

    what: str
    ours: float
    theirs: float
    source: str
    differs: str

    @property
    def ratio(self) -> float:
        """Ours over theirs."""
        return self.ours / self.theirs


def _sram() -> list[Row]:
    """Return CACTI beside measured and modelled SRAMs."""
    found = []
    sizes = ((8 * KIB, "8 KiB", 10.0, 7.5), (32 * KIB, "32 KiB", 20.0, 8.5), (MIB, "1 MiB", 100.0, 14.0))
    for capacity, text, at_45_pj, at_7_pj in sizes:
        what, old, new = f"SRAM {text}, 64 bit, read", sram(capacity, 64, 45), sram(capacity, 64, 22)
        differs = "theirs is a cache, ours a bare array"
        found += [
            Row(f"{what}, 45 nm", old.read_pj_per_bit, at_45_pj / 64, "Horowitz, ISSCC 2014", differs),
            Row(f"{what}, 22 nm", new.read_pj_per_bit, at_7_pj / 64, "Jouppi et al., ISCA 2021", "theirs is at 7 nm"),
        ]
    four, two = sram(4 * MIB, 256, 22), sram(2 * MIB, 256, 22)
    banks, wide = "theirs is at 7 nm, in banks", "theirs is 2048 bits wide, its node not given"
    return [
        *found,
        Row("SRAM 4 MiB, read, 22 nm", four.read_pj_per_bit, 0.249, "accelforge tpu_v4i.yaml", banks),
        Row("SRAM 4 MiB, write, 22 nm", four.write_pj_per_bit, 0.293, "accelforge tpu_v4i.yaml", banks),
        Row("SRAM 2 MiB, read, 22 nm", two.read_pj_per_bit, 416.16 / 2048, "ZigZag tpu_like.yaml", wide),
        Row("SRAM 2 MiB, write, 22 nm", two.write_pj_per_bit, 378.4 / 2048, "ZigZag tpu_like.yaml", wide),
    ]


def _registers(technology: Technology) -> list[Row]:
    """Return files of a technology's flip-flops beside other tools' constants."""
    found = []
    for name, words, width in (("zigzag_128b", 128, 8), ("zigzag_2b", 2, 8), ("aladdin40", 2, 32)):
        theirs, ours = published_register_file(name), register_file(technology, words, width)
        what = f"registers {words} x {width}, {technology.name}"
        differs = f"theirs is at {theirs.node_nm} nm; ours without wires, decoder and clock tree"
        found.append(Row(f"{what}, read", ours.read_pj_per_bit, theirs.read_pj_per_bit, name, differs))
        if theirs.write_pj_per_bit:
            found.append(Row(f"{what}, write", ours.write_pj_per_bit, theirs.write_pj_per_bit, name, differs))
    return found


def _wires(technology: Technology) -> list[Row]:
    """Return a technology's own wire beside published ones."""
    if technology.wires is None:
        return []
    ours = technology_wire(technology)
    differs = f"ours at {technology.node_nm:g} nm without repeaters, theirs at {{}} nm with them"
    published = [wire(name) for name in wire_names()]
    return [
        Row(f"wire, {technology.name}", ours.pj_per_bit_mm, each.pj_per_bit_mm, each.name, differs.format(each.node_nm))
        for each in published
    ]


def _dram() -> list[Row]:
    """Return HBM2 by rows and bits, at several localities, beside single figures."""
    hbm2, long = dram("hbm2"), Stream(8 * MIB)
    found = []
    for text, known in (
        ("rows used whole", hbm2),
        ("94 bytes a row", replace(hbm2, page_policy="hit_rate", row_hit_rate=1 - 256 / 751)),
        ("32 bytes a row", replace(hbm2, page_policy="closed")),
    ):
        ours = known.energy_pj(long.bits, known.activations([long])) / long.bits
        what, toggles = f"HBM2, {text}", "theirs at 94 bytes a row, fewer toggles"
        found += [
            Row(what, ours, 3.92, "O'Connor et al., section 2", toggles),
            Row(what, ours, 450 / 64, "Jouppi et al., upper end", "theirs does not say"),
        ]
    return found


def rows() -> list[Row]:
    """Return all comparisons."""
    libraries = [technology for name in LIBRARIES if isinstance(technology := read(name), Technology)]
    found = _sram()
    for technology in libraries:
        found += _registers(technology) + _wires(technology)
    return found + _dram()


def main() -> None:
    """Print them."""
    table = Table(title="pJ/bit; wires pJ/bit/mm", title_justify="left")
    for heading in ("what", "ours", "theirs", "ratio", "whose", "what differs"):
        table.add_column(heading, justify="right" if heading in ("ours", "theirs", "ratio") else "left")
    for row in rows():
        table.add_row(row.what, f"{row.ours:.4g}", f"{row.theirs:.4g}", f"{row.ratio:.2f}", row.source, row.differs)
    Console(width=160).print(table)


if __name__ == "__main__":
    main()
