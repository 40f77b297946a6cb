# SPDX-License-Identifier: Apache-2.0
"""Clock rate of a core on FPGAs that open tools place and route: the core between registers, in a harness."""

import json
from collections.abc import Mapping

from cost_models.synthesis.yosys import NEXTPNR_ECP5, NEXTPNR_ICE40, WorkDirectory
from cost_models.technologies import FpgaTechnology

__all__ = [
    "PLACERS",
    "TOP",
    "harness",
    "place",
    "registered_wrapper",
    "shift_wrapper",
]

TOP = "registered"
PLACERS = {"ecp5": NEXTPNR_ECP5, "ice40": NEXTPNR_ICE40}
"""The package that places a family; a family that is not here has counts only."""


def registered_wrapper(ports: Mapping[str, tuple[str, int]], top: str, clock: str = "clk") -> str:
    """
    Verilog of module ``registered``: a core with every port but the clock behind a register.

    Parameters
    ----------
    ports : mapping of str to (str, int)
        Direction (``input`` or ``output``) and width of each port of the core.
    top : str
        The core's module.
    clock : str
        Its clock port.

    Raises
    ------
    ValueError
        The core has no such clock.
    """
    _check_clock(ports, top, clock)
    declared, body, edges = [f"input {clock}"], [], []
    for name, (direction, width) in ports.items():
        if name == clock:
            continue
        size = f"[{width - 1}:0]"
        if direction == "input":
            declared.append(f"input {size} {name}")
            body.append(f"  reg {size} q_{name};")
            edges.append(f"    q_{name} <= {name};")
        else:
            declared.append(f"output reg {size} {name}")
            body.append(f"  wire {size} q_{name};")
            edges.append(f"    {name} <= q_{name};")
    pins = [f".{clock}({clock})", *(f".{name}(q_{name})" for name in ports if name != clock)]
    lines = [f"module {TOP}({', '.join(declared)});", *body, f"  {top} core({', '.join(pins)});"]
    return "\n".join([*lines, f"  always @(posedge {clock}) begin", *edges, "  end", "endmodule", ""])


def shift_wrapper(ports: Mapping[str, tuple[str, int]], top: str, clock: str = "clk") -> str:
    """
    Verilog of module ``registered`` with four pins: a core between a shift register and a register read by shifting.

    For parts that cannot be placed without pins. No logic is between the core and the registers: its outputs are
    registered, and that register is loaded into the one that shifts when ``cap`` is 1.

    Parameters, errors: those of `registered_wrapper`.
    """
    _check_clock(ports, top, clock)
    widths = {
        kind: {name: width for name, (direction, width) in ports.items() if direction == kind and name != clock}
        for kind in ("input", "output")
    }
    i_bits, o_bits = (sum(row.values()) for row in widths.values())
    pins = [f".{clock}({clock})"]
    for kind, bus in (("input", "taken"), ("output", "given")):
        low = 0
        for name, width in widths[kind].items():
            pins.append(f".{name}({bus}[{low + width - 1}:{low}])")
            low += width
    return "\n".join(
        [
            f"module {TOP}(input {clock}, input si, input cap, output so);",
            f"  reg [{i_bits - 1}:0] taken;",
            f"  wire [{o_bits - 1}:0] given;",
            f"  reg [{o_bits - 1}:0] kept, shifted;",
            f"  {top} core({', '.join(pins)});",
            f"  assign so = shifted[{o_bits - 1}];",
            f"  always @(posedge {clock}) begin",
            "    taken <= {taken, si};",
            "    kept <= given;",
            "    shifted <= cap ? kept : {shifted, 1'b0};",
            "  end",
            "endmodule",
            "",
        ]
    )


def harness(ports: Mapping[str, tuple[str, int]], top: str, family: str) -> str:
    """Verilog around a core to be placed: ECP5 can be placed out of context, iCE40 needs a pin for every port."""
    return registered_wrapper(ports, top) if family == "ecp5" else shift_wrapper(ports, top)


def place(directory: WorkDirectory, target: FpgaTechnology, seed: int) -> float:
    """Place and route ``wrapper.json`` with one seed; the achieved clock rate in MHz."""
    directory.remove("report.json")
    if target.family == "ecp5":
        part = ["--speed", target.speed_grade, "--out-of-context"]
    else:
        part = ["--pcf-allow-unconstrained"]
    directory.run(
        PLACERS[target.family],
        [f"--{target.device}", "--package", target.package, *part, "--json", "wrapper.json", "--report", "report.json",
         "--timing-allow-fail", "--seed", str(seed), "--quiet", "--log", "nextpnr.log"],
        "nextpnr.log",
    )  # fmt: skip
    clocks = json.loads(directory.read("report.json"))["fmax"]
    return float(min(clock["achieved"] for clock in clocks.values()))


def _check_clock(ports: Mapping[str, tuple[str, int]], top: str, clock: str) -> None:
    """Refuse a core without the clock port."""
    if ports.get(clock) != ("input", 1):
        raise ValueError(f"module {top!r} must have an input {clock!r} of 1 bit; its ports are {', '.join(ports)}")
