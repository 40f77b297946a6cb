# SPDX-License-Identifier: Apache-2.0
"""NVIDIA's Blackwell: mma.sync and tcgen05.mma of sm_100, mma.sync of sm_120, with block scales."""

from collections.abc import Iterator
from dataclasses import replace

from hwsim import formats
from hwsim.datapath.evidence import Entry, Evidence
from hwsim.datapath.hardware_nvidia import KHATTAK, MMA_SIM, NvidiaFamily, fp8_units, integer, scalar, tensor_core
from hwsim.formats import BlockSpec

__all__ = [
    "entries",
]

_NARROW = ("e4m3", "e5m2", "e3m2", "e2m3", "e2m1")
_MX = {"e4m3": "mxfp8_e4m3", "e5m2": "mxfp8_e5m2", "e3m2": "mxfp6_e3m2", "e2m3": "mxfp6_e2m3", "e2m1": "mxfp4"}
_STEPS = {
    "f16": (16, ("m16n8k16", "m16n8k8")),
    "bf16": (16, ("m16n8k16", "m16n8k8")),
    "tf32": (8, ("m16n8k8", "m16n8k4")),
}
_FLOOR = "exponent floors -133 and -21 as on Hopper"
_FLOAT16_FLOOR = f"{_FLOOR}; a later B200TC.m of Khattak and Mikaitis has -15 for an f16 result"
_OTHER_SHAPES = "the vectors are of m16n8k16 (f16, bf16) and four products of tf32; of this shape there are none"
_SMALL = "FP6 and FP4 by analogy with FP8: MMA-Sim leaves them open"
_SCALED = "an exponent floor of -133 is assumed, under which scales can get"
_UE4M3 = "the sign bit of a ue4m3 scale is ignored by the hardware; the unit takes scales without one"


def _block(operand: str, scale: str, block_size: int) -> BlockSpec:
    """Return a block format by its element, scale and size."""
    spec = formats.named("nvfp4" if scale == "ue4m3" else _MX[operand])
    assert isinstance(spec, BlockSpec)
    return spec if spec.block_size == block_size else replace(spec, block_size=block_size)


def _scaled(family: NvidiaFamily, shapes: dict[int, str]) -> Iterator[Entry]:
    """Make entries of instructions on scaled blocks; `shapes` says how names begin, by K."""
    literature = Evidence.LITERATURE
    for a in _NARROW:
        for b in _NARROW:
            unit = tensor_core(_block(a, "ue8m0", 32), _block(b, "ue8m0", 32), 32, 25)
            note = _SCALED if {a, b} <= {"e4m3", "e5m2"} else f"{_SCALED}; {_SMALL}"
            yield family.entry(f"{shapes[32]}mxf8f6f4_f32_{a}_{b}_ue8m0", unit, literature, MMA_SIM, note)
    for kind, block_size, scale in (
        ("mxf4", 32, "ue8m0"),
        ("mxf4nvf4_block32", 32, "ue8m0"),
        ("mxf4nvf4_block16", 16, "ue8m0"),
        ("mxf4nvf4_block16", 16, "ue4m3"),
    ):
        if (block_size, scale) == (16, "ue8m0") and family.prefix != "blackwell":
            continue
        x = _block("e2m1", scale, block_size)
        note = f"{_SCALED}; {_UE4M3}" if scale == "ue4m3" else _SCALED
        unit = tensor_core(x, x, 64, 35, group=16)
        yield family.entry(f"{shapes[64]}{kind}_f32_e2m1_e2m1_{scale}", unit, literature, MMA_SIM, note)


def _narrow(family: NvidiaFamily, begin: str) -> Iterator[Entry]:
    """Make entries of the instructions on FP8, FP6 and FP4 without scales."""
    for d in ("f32", "f16"):
        for a in _NARROW:
            for b in _NARROW:
                unit = tensor_core(scalar(a), scalar(b), 32, 25, d)
                note = _FLOOR if {a, b} <= {"e4m3", "e5m2"} else f"{_FLOOR}; {_SMALL}"
                yield family.entry(f"{begin}f8f6f4_{d}_{a}_{b}", unit, Evidence.LITERATURE, MMA_SIM, note)


def _data_center() -> Iterator[Entry]:
    family = NvidiaFamily("blackwell", "Blackwell (sm_100a)")
    source = f"{KHATTAK}, B200; {MMA_SIM}"
    yield from family.floats(_STEPS, 25, Evidence.REPRODUCED, source, _FLOAT16_FLOOR, others=_OTHER_SHAPES)
    yield from family.emulations(Evidence.REPRODUCED, source)
    yield from family.integers(("m16n8k32", "m16n8k16"), 8, Evidence.LITERATURE, "PTX ISA, mma, .satfinite")
    for operand, lanes in (("tf32", 8), ("f16", 16), ("bf16", 16)):
        for d in ("f32", "f16") if operand == "f16" else ("f32",):
            unit = tensor_core(scalar(operand), scalar(operand), lanes, 25, d)
            kind = "tf32" if operand == "tf32" else "f16"
            yield family.entry(f"tcgen05_{kind}_{d}_{operand}", unit, Evidence.LITERATURE, MMA_SIM, _FLOOR)
    yield from _narrow(family, "tcgen05_")
    yield from _scaled(family, {32: "tcgen05_", 64: "tcgen05_"})
    for a in ("s8", "u8"):
        for b in ("s8", "u8"):
            for ending in ("", "_sat"):
                unit = integer(a, b, 32, saturate=bool(ending))
                name = f"tcgen05_i8_s32_{a}_{b}{ending}"
                yield family.entry(name, unit, Evidence.LITERATURE, "PTX ISA, tcgen05.mma, kind::i8")


def _workstation() -> Iterator[Entry]:
    family = NvidiaFamily("rtx_blackwell", "RTX Blackwell (sm_120a)")
    yield from family.floats(_STEPS, 25, Evidence.LITERATURE, MMA_SIM, _FLOOR)
    for name, unit in fp8_units("mma", ("m16n8k32", "m16n8k16"), 32, (25, 23)):
        yield family.entry(name, unit, Evidence.LITERATURE, MMA_SIM, _FLOOR)
    yield from _narrow(family, "mma_m16n8k32_")
    yield from _scaled(family, {32: "mma_m16n8k32_", 64: "mma_m16n8k64_"})
    yield from family.integers(("m16n8k32", "m16n8k16"), 8, Evidence.LITERATURE, "PTX ISA, mma, .satfinite")


def entries() -> Iterator[Entry]:
    """Make the entries of both kinds of Blackwell."""
    yield from _data_center()
    yield from _workstation()
