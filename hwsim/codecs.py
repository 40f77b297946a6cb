# SPDX-License-Identifier: Apache-2.0
"""The job of writing a format's decoder or encoder, and of comparing it with the model."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rtl
from hwsim import formats
from testbenches import codecs
from testbenches.simulators import find

__all__ = [
    "EncoderRules",
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
) -> dict[str, Any]:
    """Write the Verilog of a format's decoder or encoder into a folder.

    Parameters
    ----------
    name : str
        A format's name (`hwsim.formats.named`), or "phase4".
    part : str
        "decoder" or "encoder".
    folder : Path
        Made if need be; a file in it with the same name is overwritten.
    rules : EncoderRules, optional
        Of an encoder; without them float32 to nearest even, saturating.
    verify : bool
        Whether to compare the module with the model in a simulator: a decoder on all codes of up to 16 bits, an encoder
        around every step of its rounding.
    simulator : str, optional
        "icarus" or "verilator"; to name one is to ask for the run.

    Returns
    -------
    dict
        `module`, `files`, `simulator` and `verified_vectors`: the outputs compared (None where it was not run).
    """
    if part not in ("decoder", "encoder"):
        raise ValueError(f"part must be 'unit', 'decoder' or 'encoder', not {part!r}")
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"the output {str(folder)!r} must be a folder, and is a file")
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
    report = codecs.check(_works(spec, part, source, rules), simulator) if checked else None
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{module}.v"
    file.write_text(text)
    return {
        "module": module,
        "files": [str(file)],
        "simulator": None if report is None else report.simulator,
        "verified_vectors": None if report is None else report.compared,
    }


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
