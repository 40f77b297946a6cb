# SPDX-License-Identifier: Apache-2.0
"""Digits, elements and units in bit-slice and serial styles beside what was published of them, in one flow.

python -m benchmarks.bit_slices                                  # every section; about 10 minutes the first time
python -m benchmarks.bit_slices digits elements --technology nangate45 --json lines.json

digits    the average of the non-zero digits of N(0, sigma) rounded to int8, beside that of TPE's authors for K = 128
elements  area and delay of the bare elements, every recipe, beside peers' RTL in the same flow (its two recipes)
units     area and delay of whole units of four int8 lanes, and their cycles a row measured in the RTL, on N(0, sigma)

Areas are in NAND2 equivalents, delays in FO4. Peers: the public RTL of TPE and BitSim. "quoted" is what was measured of
it in 2026-11 with Yosys 0.70 and the recipes "area" and "timing" of ABC alone, on Nangate45; "here" is what this flow
says of the same functions with synchronous resets, so that only the structure differs. Peers reset all registers, ours
none that need no reset; BitSim's Pragmatic element cuts two bits off the sum of its lanes, ours keeps them.
"""

import argparse
import json
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from cost_models.synthesis import Asic, asic
from cost_models.technologies import Technology, read
from hwsim import datapath
from hwsim.datapath.digits import bench_average, mean_nonzero, row_cycles
from rtl.architecture import Adder
from rtl.units.bit_serial_element import BitSerialElement, PragmaticElement
from rtl.units.bit_slice import DigitColumn, DigitElement, DigitGroup
from rtl.units.styles import STYLES, shell_verilog, style
from rtl.verilog import _convert
from testbenches.compiled import Compiled

__all__: list[str] = []

Line = dict[str, Any]

_PUBLISHED = {10: 1.75, 20: 2.10, 30: 2.32, 40: 2.48, 50: 2.60}
"""TPE (arXiv:2503.06342), the README of its authors: EN-T digits an operand, K = 128."""

_STEPS = {"a carry a bit": 1, "a carry 2 bits": 2, "a carry 4 bits": 4}
_ADDERS: tuple[Adder, ...] = ("tool", "sklansky", "han_carlson")
_ELEMENTS: dict[str, dict[str, Callable[[], Any]]] = {
    "sparse digit": {name: partial(DigitElement, 8, 26, step) for name, step in _STEPS.items()},
    "sparse digit, encoder": {name: partial(DigitColumn, 1, 8, 26, step) for name, step in _STEPS.items()},
    "16 on an encoder": {"a carry 2 bits": partial(DigitColumn, 16, 8, 26, 2)},
    "four on a 6:2 tree": {"": DigitGroup},
    "bit-serial, 8 lanes": {name: partial(BitSerialElement, adder=name) for name in _ADDERS},
    "Pragmatic, 8 lanes": {name: partial(PragmaticElement, adder=name) for name in _ADDERS},
}
_PEERS: dict[str, dict[str, tuple[tuple[str, float, float], ...]]] = {
    "nangate45": {
        "sparse digit": (("quoted", 621, 31), ("quoted", 771, 17), ("here", 624, 24.8), ("here", 664, 17.0)),
        "sparse digit, encoder": (("quoted", 821, 29), ("quoted", 1004, 16), ("here", 824, 25.9), ("here", 859, 16.0)),
        "bit-serial, 8 lanes": (("quoted", 1670, 65), ("quoted", 2343, 40), ("here", 1612, 47.4), ("here", 2002, 38.2)),
        "Pragmatic, 8 lanes": (("quoted", 2582, 70), ("quoted", 3685, 42), ("here", 2383, 55.0), ("here", 3127, 41.2)),
    },
    "asap7": {
        "sparse digit": (("here", 619, 21.4), ("here", 669, 14.4)),
        "sparse digit, encoder": (("here", 801, 21.4), ("here", 848, 13.8)),
        "bit-serial, 8 lanes": (("here", 1605, 48.3), ("here", 1934, 29.1)),
        "Pragmatic, 8 lanes": (("here", 2337, 49.0), ("here", 2871, 33.0)),
    },
}
"""Area and delay with the recipe "area", then "timing"."""

_ROWS = 4096
_PATIENCE = 256  # cycles that a stream waits for more behind its last output


def _digits() -> Iterable[Line]:
    print("average non-zero digits of N(0, sigma) rounded to int8")
    print(f"{'sigma':>6} {'published':>10} {'ours, K=128':>12} {'EN-T, exact':>12} {'Booth, exact':>13}")
    for sigma, published in _PUBLISHED.items():
        bench, en_t, booth = (
            bench_average(sigma, "en_t", 128),
            mean_nonzero(sigma, "en_t"),
            mean_nonzero(sigma, "booth"),
        )
        print(f"{sigma:6d} {published:10.2f} {bench:12.2f} {en_t:12.4f} {booth:13.4f}")
        yield {
            "section": "digits",
            "sigma": sigma,
            "published": published,
            "bench": bench,
            "en_t": en_t,
            "booth": booth,
        }


def _elements(technologies: list[Technology]) -> Iterable[Line]:
    for technology in technologies:
        print(f"\n{technology.name}: area (NAND2), delay (FO4), flip-flops")
        for name, makers in _ELEMENTS.items():
            points = []
            for variant, make in makers.items():
                done = asic(_convert(make(), "element", "element"), "element", technology)
                for result in done.results:
                    points.append((result.nand2_equivalents, result.fo4))
                    yield {
                        "section": "elements", "technology": technology.name, "element": name, "variant": variant,
                        "recipe": result.recipe, "area_nand2": result.nand2_equivalents, "delay_fo4": result.fo4,
                        "flip_flops": result.flip_flops,
                    }  # fmt: skip
                print(f"  {name:22} {variant:15} {_spelled(done)}")
            for kind, area, delay in _PEERS[technology.name].get(name, ()):
                inside = [(a, d) for a, d in points if a <= area and d <= delay]
                best = min(inside, key=lambda point: point[0] * point[1], default=None)
                said = "no point inside" if best is None else f"inside: {best[0]:.0f}, {best[1]:.1f}"
                ratio = "" if best is None else f", area x delay {best[0] * best[1] / (area * delay):.2f} of it"
                print(f"  {'':22} {'peer, ' + kind:15} {area}, {delay}; {said}{ratio}")


def _units(technologies: list[Technology], sigmas: tuple[int, ...]) -> Iterable[Line]:
    unit = datapath.named("int8_l4")
    generator = np.random.default_rng(1)
    drawn = {
        sigma: np.rint(generator.normal(0, sigma, (_ROWS, 4))).clip(-128, 127).astype(np.int64) for sigma in sigmas
    }
    b = generator.integers(0, 1 << 32, _ROWS, dtype=np.uint64)
    print(f"\n{unit.name} in every style: cycles a row of four products, measured in the RTL over {_ROWS} rows")
    for name in STYLES:
        top = f"{unit.name}_{name}"
        text = shell_verilog(style(name).core(unit), top)
        line: Line = {"section": "units", "style": name}
        shell = Compiled(text, top)
        for sigma, a in drawn.items():
            line[f"cycles_sigma{sigma}"] = _measured(shell, a, b)
        elements = {"sparse_en_t": 1, "sparse_en_t_by_4": 4}.get(name)
        model = ""
        if elements:
            means = [row_cycles(a, 8, "en_t", elements=elements).mean() for a in drawn.values()]
            model = f" (model {', '.join(f'{mean:.2f}' for mean in means)})"
        cycles = ", ".join(f"{line[f'cycles_sigma{sigma}']:.2f} at sigma {sigma}" for sigma in drawn)
        print(f"  {name:18} {cycles}{model}")
        for technology in technologies:
            done = asic(text, top, technology)
            line[technology.name] = [(r.recipe, r.nand2_equivalents, r.fo4) for r in done.results]
            print(f"  {'':18} {technology.name:10} {_spelled(done)}")
        yield line


def _measured(shell: Compiled, a: Any, b: Any) -> float:
    """Return the cycles a row of one dot product of all rows takes, after comparing its result."""
    shell.reset()
    ends = np.zeros(len(a), np.uint64)
    first, last = ends.copy(), ends.copy()
    first[0] = last[-1] = 1
    packed = sum(((a[:, lane] & 255).astype(np.uint64) << np.uint64(8 * lane)) for lane in range(4))
    rows = {"i_first": first, "i_last": last, "i_a": packed, "i_b": b, "i_c": ends}
    done = shell.stream(rows, 1, patience_cycles=_PATIENCE)
    right = np.stack([(b >> np.uint64(8 * lane)).astype(np.uint8).view(np.int8) for lane in range(4)], axis=1)
    exact = int((a * right.astype(np.int64)).sum()) % (1 << 32)
    if done.given != 1 or int(done.outputs["o_d"].reshape(-1)[0]) != exact:
        raise AssertionError(f"{shell.top} gives {done.outputs['o_d']!r}, not {exact:#x}")
    return float((done.cycles - _PATIENCE) / len(a))


def _spelled(done: Asic) -> str:
    """Spell the front of all recipes."""
    return "; ".join(f"{r.nand2_equivalents:.0f}, {r.fo4:.1f}, {r.flip_flops} ({r.recipe})" for r in done.front)


def main() -> None:
    """Print the sections asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    sections = ("digits", "elements", "units")
    parser.add_argument(
        "sections", nargs="*", metavar="SECTION", help=f"of {', '.join(sections)}; all if none is named"
    )
    parser.add_argument("--technology", nargs="+", default=["nangate45", "asap7"], choices=["nangate45", "asap7"])
    parser.add_argument("--sigma", nargs="+", type=int, default=[10, 30, 50])
    parser.add_argument("--json", type=Path, help="file to which all lines go")
    options = parser.parse_args()
    unknown = [name for name in options.sections if name not in sections]
    if unknown:
        parser.error(f"unknown sections {', '.join(unknown)}; there are {', '.join(sections)}")
    technologies = [read(name) for name in options.technology]
    asked = options.sections or sections
    lines: list[Line] = []
    if "digits" in asked:
        lines += _digits()
    if "elements" in asked:
        lines += _elements([technology for technology in technologies if isinstance(technology, Technology)])
    if "units" in asked:
        lines += _units(
            [technology for technology in technologies if isinstance(technology, Technology)], tuple(options.sigma)
        )
    if options.json:
        options.json.write_text(json.dumps(lines, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
