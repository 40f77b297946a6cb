# SPDX-License-Identifier: Apache-2.0
"""The job of writing a format's decoder or encoder, and of comparing it with the model."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rtl
from hwsim import formats
from testbenches import codecs
from testbenches.package.constraints import DEFAULT_CLOCK_MHZ, check_clock
from testbenches.package.part import write_part
from testbenches.simulators import find

__all__ = [
    "EncoderRules",
    "check_part",
    "write_codec",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderRules:
    """How an encoder rounds, see `rtl.encoder_verilog`; `source` is the name of the float format of its input."""

    source: str = "float32"
    rounding: str = "nearest_even"
    overflow: str = "saturate"
    random_bits: int = 0


def write_codec(
    name: str,
    part: str,
    folder: Path,
    *,
    rules: EncoderRules | None = None,
    verify: bool = False,
    simulator: str | None = None,
    clock_mhz: float = DEFAULT_CLOCK_MHZ,
) -> dict[str, Any]:
    """Write a format's decoder or encoder into a folder, with all that goes with it.

    Parameters
    ----------
    name : str
        A format's name (`hwsim.formats.named`), or "phase4".
    part : str
        "decoder" or "encoder".
    folder : Path
        Made if need be; files in it with the same names are overwritten.
    rules : EncoderRules, optional
        Of an encoder; without them float32 to nearest even, saturating.
    verify : bool
        Whether to compare the module with the model in a simulator: a decoder on all codes of up to 16 bits, an encoder
        around every step of its rounding. The folder gets a testbench with the same rows then, and lint is run.
    simulator : str, optional
        "icarus" or "verilator"; to name one is to ask for the run.
    clock_mhz : float, default 100
        Of the timing constraints: registers stand at the ports.

    Returns
    -------
    dict
        `module`, `files`, `simulator`, `verified_vectors`: the outputs compared (None where it was not run), and
        `checks`, the result of each by what it is.
    """
    check_part(part)
    if part == "unit":
        raise ValueError("part must be 'decoder' or 'encoder', not 'unit'")
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"the output {str(folder)!r} must be a folder, and is a file")
    check_clock(clock_mhz)
    spec = formats.PhaseSpec() if name in ("phase4", "ifairy") else formats.named(name)
    rules = rules or EncoderRules()
    source = formats.named(rules.source)
    if not isinstance(source, formats.FloatSpec):
        raise ValueError(f"source must be a float format, not {source.name}")
    checked = verify or simulator is not None
    if checked:
        find(simulator)
    if part == "decoder":
        text = rtl.decoder_verilog(spec)
    elif isinstance(spec, formats.BlockSpec):
        raise ValueError(f"{spec.name} has no encoder of its own: take that of its elements, {spec.element.name}")
    else:
        text = rtl.encoder_verilog(
            spec, source, rounding=rules.rounding, overflow=rules.overflow, random_bits=rules.random_bits
        )
    module = text.split(":", 1)[0].removeprefix("// ")
    works = _works(spec, part, source, rules) if checked else []
    report = codecs.check(works, simulator) if checked else None
    written = write_part(
        text,
        module,
        folder,
        summary=_prose(text),
        table=next((work.table for work in works if module in work.table.outputs), None),
        clock_mhz=clock_mhz,
        checked=checked,
    )
    return {
        "module": module,
        "files": [str(file) for file in written.files],
        "simulator": None if report is None else report.simulator,
        "verified_vectors": None if report is None else report.compared,
        "checks": {check.what: check.result for check in written.checks},
    }


def check_part(part: str) -> None:
    """Raise ValueError for a part that `hwsim verilog` does not write."""
    if part not in ("unit", "decoder", "encoder"):
        raise ValueError(f"part must be 'unit', 'decoder' or 'encoder', not {part!r}")


def _prose(text: str) -> str:
    """Return the sentences of the comment on top, between the module's name and its ports."""
    lines = []
    for line in text.splitlines()[2:]:
        if not line.removeprefix("//").strip():
            break
        lines.append(line.removeprefix("//").strip())
    return " ".join(lines).replace("*", "\\*")


def _works(spec: formats.AnyFormat, part: str, source: formats.FloatSpec, rules: EncoderRules) -> list[codecs.Work]:
    """Return what a decoder or an encoder is compared with: for an encoder, under all overflow rules of the format."""
    if isinstance(spec, formats.PhaseSpec):
        return list(codecs.phase_works(source))
    if isinstance(spec, formats.BlockSpec):
        return [codecs.block_work(spec)]
    if spec.bits > 16:
        raise ValueError(f"verify must be False for {spec.name}: only formats of up to 16 bits are compared")
    if part == "decoder":
        return [codecs.decoder_work(spec)]
    return list(
        codecs.encoder_work(
            spec, source, modes=[formats.Rounding(rules.rounding)], random_bits=max(rules.random_bits, 1)
        )
    )
