# SPDX-License-Identifier: Apache-2.0
"""NVIDIA's tensor cores: mma.sync, wgmma and tcgen05.mma from Volta to Blackwell, bit for bit.

One fused step explains all floating-point ones: the exact products and C are cut toward zero at so many fraction bits
below the largest exponent, added, and rounded once. An architecture is its products a step and its fraction bits.
"""

from collections.abc import Iterator, Mapping

from hwsim import formats
from hwsim.datapath.evidence import Entry, Evidence
from hwsim.datapath.unit import (
    DotProductUnit,
    ExactAlignment,
    FixedAccumulator,
    FloatAccumulator,
    NanResult,
    Promotion,
    ScalarSpec,
    TruncatedAlignment,
)
from hwsim.formats import BlockSpec, FloatSpec, IntegerSpec, Overflow, Rounding

__all__ = [
    "CAPTURED",
    "KHATTAK",
    "MMA_SIM",
    "NvidiaFamily",
    "chain",
    "entries",
    "float32_register",
    "fp8_units",
    "integer",
    "scalar",
    "tensor_core",
]

CAPTURED = "captured on an H200 for this project (driver 580.159.04, nvcc 13.0.88)"
MMA_SIM = "Xie et al., arXiv:2511.10909, MMA-Sim @ c785138"
KHATTAK = "Khattak and Mikaitis, arXiv:2512.07004, MATLAB-tensor-core @ b12b5a7"
_FASI = "Fasi et al., PeerJ CS 7:e330 (2021)"
_PTX = "PTX ISA, mma, .satfinite"

_FORMATS = {
    "f16": "float16",
    "bf16": "bfloat16",
    "tf32": "tfloat32",
    "f64": "float64",
    "e4m3": "float8_e4m3fn",
    "e5m2": "float8_e5m2",
    "e3m2": "float6_e3m2fn",
    "e2m3": "float6_e2m3fn",
    "e2m1": "float4_e2m1fn",
    "s8": "int8",
    "u8": "uint8",
    "s4": "int4",
    "u4": "uint4",
}
_FP8 = ("e4m3", "e5m2")
_TF32_IGNORED = 13  # of a 32-bit container
_FLOORS = {23: (-1000, -19), 24: (-132, -20), 25: (-133, -21), 13: (-133, -21), 35: (-133, -133)}
_HALVES = tuple(k for half in (0, 2) for k in range(32) if k % 4 // 2 * 2 == half)
"""The order of emulated FP8: of every four elements of K two go to a first f16 instruction, two to the next."""


def scalar(name: str) -> ScalarSpec:
    """Return a format by its name in PTX."""
    spec = formats.named(_FORMATS[name])
    assert not isinstance(spec, BlockSpec)
    return spec


def _float(name: str) -> FloatSpec:
    spec = formats.named(name)
    assert isinstance(spec, FloatSpec)
    return spec


def float32_register(rounding: Rounding, man_bits: int = 23) -> FloatAccumulator:
    """Return NVIDIA's float32 register: NaN is all ones, a zero is +0, overflow is an infinity in any rounding."""
    return FloatAccumulator(
        format=_float("float32"),
        rounding=rounding,
        overflow=Overflow.INFINITY,
        result_man_bits=man_bits,
        nan=NanResult.ALL_ONES,
    )


def _half_register() -> FloatAccumulator:
    return FloatAccumulator(
        format=_float("float16"),
        rounding=Rounding.NEAREST_EVEN,
        overflow=Overflow.INFINITY,
        result_man_bits=10,
        nan=NanResult.ALL_ONES,
    )


def tensor_core(
    a: ScalarSpec | BlockSpec,
    b: ScalarSpec | BlockSpec,
    lanes: int,
    fraction_bits: int,
    d: str = "f32",
    man_bits: int = 23,
    group: int = 1,
) -> DotProductUnit:
    """Return a unit of one fused step; d is ``f32`` (cut toward zero to `man_bits`) or ``f16`` (to nearest, even)."""
    register = float32_register(Rounding.TOWARD_ZERO, man_bits) if d == "f32" else _half_register()
    return DotProductUnit(
        a=a,
        b=b,
        lanes=lanes,
        alignment=TruncatedAlignment(
            fraction_bits=fraction_bits, exp_floor=_FLOORS[fraction_bits][d == "f16"], group=group
        ),
        accumulator=register,
        output=register.format,
        ignored_bits=_TF32_IGNORED if a == scalar("tf32") else 0,
    )


def _emulated(a: str, b: str, k: int, d: str) -> DotProductUnit:
    """Return FP8 mma.sync as two f16 instructions from zero, one upon the other, and one addition of C."""
    register = float32_register(Rounding.NEAREST_EVEN) if d == "f32" else _half_register()
    step = float32_register(Rounding.TOWARD_ZERO) if d == "f32" else register
    return DotProductUnit(
        a=scalar(a),
        b=scalar(b),
        lanes=k // 2,
        alignment=TruncatedAlignment(fraction_bits=25, exp_floor=_FLOORS[25][d == "f16"]),
        accumulator=step,
        output=register.format,
        promotion=Promotion(length=k, accumulator=register),
        order=tuple(at for at in _HALVES if at < k),
        unpacked=_float("float16"),
    )


def chain(fmt: str, nan: NanResult) -> DotProductUnit:
    """Return a chain of fused multiply-adds in one IEEE format."""
    spec = _float(fmt)
    return DotProductUnit(
        a=spec,
        b=spec,
        lanes=1,
        alignment=ExactAlignment(),
        accumulator=FloatAccumulator(
            format=spec,
            rounding=Rounding.NEAREST_EVEN,
            overflow=Overflow.INFINITY,
            result_man_bits=spec.man_bits,
            nan=nan,
            signed_zero=True,
        ),
        output=spec,
    )


def integer(a: str, b: str, k: int, *, saturate: bool) -> DotProductUnit:
    """Return an integer unit: the exact sum of C and all products of an instruction, wrapped or clamped once."""
    register = FixedAccumulator(bits=32, fraction_bits=0, overflow=Overflow.SATURATE if saturate else Overflow.WRAP)
    x, y = scalar(a), scalar(b)
    assert isinstance(x, IntegerSpec)
    assert isinstance(y, IntegerSpec)
    return DotProductUnit(a=x, b=y, lanes=k, alignment=ExactAlignment(), accumulator=register, output=register.format)


class NvidiaFamily:
    """An architecture's entries, made one by one."""

    def __init__(self, prefix: str, architecture: str) -> None:
        self.prefix, self.architecture = prefix, architecture

    def entry(self, name: str, unit: DotProductUnit, evidence: Evidence, source: str, note: str = "") -> Entry:
        """Make an entry; the instruction's spelling follows from its name."""
        spelling = (("tcgen05.", "tcgen05.mma.kind::"), ("wgmma.", "wgmma.mma_async."), ("mma.", "mma.sync."))
        instruction = name.replace("_", ".")
        begin, full = next(pair for pair in spelling if instruction.startswith(pair[0]))
        instruction = full + instruction.removeprefix(begin)
        return Entry(f"{self.prefix}_{name}", unit, "NVIDIA", self.architecture, instruction, evidence, source, note)

    def floats(
        self,
        steps: Mapping[str, tuple[int, tuple[str, ...]]],
        fraction_bits: int,
        evidence: Evidence,
        source: str,
        note: str = "",
        names: str = "mma",
        others: str | None = None,
    ) -> Iterator[Entry]:
        """Make entries of instructions on f16, bf16 and tf32; `steps` has the products a step at most, and shapes.

        With `others`, the evidence is of the shapes in `_IN_VECTORS` alone, and the rest is literature with that note.
        """
        for operand, (lanes, shapes) in steps.items():
            for shape in shapes:
                k = int(shape.rpartition("k")[2])
                known, said = evidence, note
                if others is not None and (shape, operand) not in _IN_VECTORS[self.prefix]:
                    known, said = Evidence.LITERATURE, f"{others}; {note}"
                for d in ("f32", "f16") if operand == "f16" else ("f32",):
                    x = scalar(operand)
                    unit = tensor_core(x, x, min(lanes, k), fraction_bits, d)
                    yield self.entry(f"{names}_{shape}_{d}_{operand}", unit, known, source, said)

    def integers(
        self, shapes: tuple[str, ...], bits: int, evidence: Evidence, source: str, note: str = "", names: str = "mma"
    ) -> Iterator[Entry]:
        """Make entries of instructions on two signs of each operand, wrapping and saturating."""
        for shape in shapes:
            k = int(shape.rpartition("k")[2])
            for a in "su":
                for b in "su":
                    for ending in ("", "_sat"):
                        unit = integer(f"{a}{bits}", f"{b}{bits}", k, saturate=ending == "_sat")
                        name = f"{names}_{shape}_s32_{a}{bits}_{b}{bits}{ending}"
                        yield self.entry(name, unit, evidence, source, note)

    def emulations(self, evidence: Evidence, source: str) -> Iterator[Entry]:
        """Make entries of FP8 mma.sync where it is no instruction of its own."""
        for k in (32, 16):
            for d in ("f32", "f16"):
                for a in _FP8:
                    for b in _FP8:
                        captured = evidence is Evidence.MEASURED or (a == b and k == 32)
                        known = evidence if captured else Evidence.LITERATURE
                        unit = _emulated(a, b, k, d)
                        yield self.entry(f"mma_m16n8k{k}_{d}_{a}_{b}", unit, known, source, _EMULATION)


_ONE_STEP = frozenset({("m16n8k8", "f16"), ("m16n8k8", "bf16"), ("m16n8k4", "tf32")})
_IN_VECTORS = {
    "ampere": _ONE_STEP,
    "ada": _ONE_STEP,
    "blackwell": frozenset({("m16n8k16", "f16"), ("m16n8k16", "bf16"), ("m16n8k4", "tf32")}),
}
"""Shapes of the vectors of Khattak and Mikaitis."""

_TWO_STEPS = "a step is as in the shape of half the K, which equals the vectors; two, lower K first, are by MMA-Sim"
_IMMA = "one clamp an instruction, as measured on Hopper, is assumed of .satfinite"


def _volta() -> Iterator[Entry]:
    family = NvidiaFamily("volta", "Volta (sm_70)")
    note = "no exponent floor for an f32 result, -19 for f16: Khattak and Mikaitis"
    yield from family.floats({"f16": (4, ("m8n8k4",))}, 23, Evidence.REPRODUCED, f"{KHATTAK}, V100; {_FASI}", note)


def _turing() -> Iterator[Entry]:
    family = NvidiaFamily("turing", "Turing (sm_75)")
    note = "8 products a step by MMA-Sim, 4 by Fasi et al.; exponent floors as on Ampere are assumed"
    yield from family.floats({"f16": (8, ("m16n8k8",))}, 24, Evidence.LITERATURE, f"{MMA_SIM}; {_FASI}", note)
    yield from family.integers(("m8n8k16",), 8, Evidence.LITERATURE, _PTX, _IMMA)
    yield from family.integers(("m8n8k32",), 4, Evidence.LITERATURE, _PTX, _IMMA)


_AMPERE_STEPS = {
    "f16": (8, ("m16n8k16", "m16n8k8")),
    "bf16": (8, ("m16n8k16", "m16n8k8")),
    "tf32": (4, ("m16n8k8", "m16n8k4")),
}


def _ampere(prefix: str, architecture: str, gpus: str) -> Iterator[Entry]:
    family = NvidiaFamily(prefix, architecture)
    source = f"{KHATTAK}, {gpus}; {MMA_SIM}"
    yield from family.floats(_AMPERE_STEPS, 24, Evidence.REPRODUCED, source, _A100_FLOOR, others=_TWO_STEPS)
    yield from family.integers(("m16n8k32", "m16n8k16", "m8n8k16"), 8, Evidence.LITERATURE, _PTX, _IMMA)
    yield from family.integers(("m16n8k64", "m16n8k32", "m8n8k32"), 4, Evidence.LITERATURE, _PTX, _IMMA)


_A100_FLOOR = "exponent floors -132 and -20: Khattak and Mikaitis"


def _f64(family: NvidiaFamily, evidence: Evidence, shapes: tuple[str, ...], source: str) -> Iterator[Entry]:
    note = "a NaN is the first of b, c, a, made quiet; an invalid operation gives the negative quiet NaN"
    unit = chain("float64", NanResult.OPERAND)
    for shape in shapes:
        yield family.entry(f"mma_{shape}_f64", unit, evidence, source, note)


def fp8_units(
    begin: str, shapes: tuple[str, ...], lanes: int, rules: tuple[int, int]
) -> list[tuple[str, DotProductUnit]]:
    """Return names and units of native FP8 instructions: products a step, fraction bits and mantissa bits kept."""
    fraction_bits, man_bits = rules
    found = []
    for shape in shapes:
        k = int(shape.rpartition("k")[2])
        for d in ("f32", "f16"):
            for a in _FP8:
                for b in _FP8:
                    unit = tensor_core(scalar(a), scalar(b), min(lanes, k), fraction_bits, d, man_bits)
                    found.append((f"{begin}_{shape}_{d}_{a}_{b}", unit))
    return found


def _ada() -> Iterator[Entry]:
    yield from _ampere("ada", "Ada Lovelace (sm_89)", "L40S and RTX 1000 Ada")
    family = NvidiaFamily("ada", "Ada Lovelace (sm_89)")
    order = "the order of the two steps of 16 is in the vectors; an L40S gave no f16 results"
    other = "the vectors are of m16n8k32 and of two operands of one format; of this there are none"
    for name, unit in fp8_units("mma", ("m16n8k32", "m16n8k16"), 16, (13, 13)):
        same = name.endswith(("e4m3_e4m3", "e5m2_e5m2")) and "k32" in name
        evidence = Evidence.REPRODUCED if same else Evidence.LITERATURE
        note = order if same else other
        yield family.entry(name, unit, evidence, f"{KHATTAK}, L40S and RTX 1000 Ada; {MMA_SIM}", note)


_EMULATION = (
    "emulated: operands unpacked to f16, elements with k % 4 in {0, 1}, then {2, 3}, in two f16 instructions from zero "
    "and one addition of C; ptxas 12.8 and later. ptxas 12.4.131 keeps the two apart and adds C to their sum. "
    "NVIDIA/cutlass#1986"
)


def _hopper() -> Iterator[Entry]:
    family = NvidiaFamily("hopper", "Hopper (sm_90a)")
    measured, source = Evidence.MEASURED, f"{CAPTURED}; {MMA_SIM}; {KHATTAK}"
    steps = {
        "f16": (16, ("m16n8k16", "m16n8k8")),
        "bf16": (16, ("m16n8k16", "m16n8k8")),
        "tf32": (8, ("m16n8k8", "m16n8k4")),
    }
    yield from family.floats(steps, 25, measured, source)
    wide = {"f16": (16, ("m64n8k16",)), "bf16": (16, ("m64n8k16",)), "tf32": (8, ("m64n8k8",))}
    note = "any N behaves as n8"
    yield from family.floats(wide, 25, measured, source, note, "wgmma")
    for name, unit in fp8_units("wgmma", ("m64n8k32",), 32, (13, 13)):
        yield family.entry(name, unit, measured, source, note)
    yield from family.emulations(measured, source)
    yield from _f64(family, measured, ("m8n8k4", "m16n8k4", "m16n8k8", "m16n8k16"), CAPTURED)
    yield from family.integers(("m16n8k32", "m16n8k16"), 8, measured, CAPTURED)
    yield from family.integers(("m64n8k32",), 8, measured, CAPTURED, note, "wgmma")
    unpacked = "unpacked to 8 bits by the compiler; one addition of C, saturating for .satfinite"
    yield from family.integers(("m16n8k64", "m16n8k32"), 4, measured, CAPTURED, unpacked)


def entries() -> Iterator[Entry]:
    """Make the entries of Volta, Turing, Ampere, Ada and Hopper."""
    yield from _volta()
    yield from _turing()
    yield from _ampere("ampere", "Ampere (sm_80, sm_86)", "A100 and A2")
    yield from _f64(NvidiaFamily("ampere", "Ampere (sm_80)"), Evidence.LITERATURE, ("m8n8k4",), MMA_SIM)
    yield from _ada()
    yield from _hopper()
