# SPDX-License-Identifier: Apache-2.0
"""Whole matrix products of cuBLAS on Hopper: chains of wgmma over all of K, and what is done at their end."""

from collections.abc import Iterator
from dataclasses import replace

from hwsim import formats
from hwsim.datapath.evidence import Entry, Evidence
from hwsim.datapath.hardware_nvidia import CAPTURED, float32_register, scalar, tensor_core
from hwsim.datapath.unit import DotProductUnit, Promotion
from hwsim.formats import FloatSpec, Rounding

__all__ = [
    "entries",
]

_PROMOTION = 128  # products of K between additions to the float32 sum
_SOURCE = f"whole products of PyTorch 2.11 and cuBLAS, {CAPTURED}"
_FAST = "use_fast_accum=True: one chain of wgmma from +0"
_SLOW = "use_fast_accum=False: every 128 of K four wgmma from +0, then one float32 addition; as arXiv:2412.19437 asks"
_TF32 = "float32 operands, rounded to tf32 by the library, which may also split K (see split64 and split128)"
_SPLIT = (
    "K in parts of {0}, each a chain of mma.sync.m16n8k8 from +0, added in order in float32; cuBLAS took parts of 64 "
    "for K of 256 and 512, of 128 for 2048"
)


def _output(unit: DotProductUnit, name: str) -> DotProductUnit:
    spec = formats.named(name)
    assert isinstance(spec, FloatSpec)
    return replace(unit, output=spec)


def _entry(name: str, unit: DotProductUnit, note: str, evidence: Evidence = Evidence.MEASURED) -> Entry:
    return Entry(
        f"cublas_hopper_{name}", unit, "NVIDIA", "Hopper (sm_90a)", "cuBLAS matrix product", evidence, _SOURCE, note
    )


def entries() -> Iterator[Entry]:
    """Make the entries of cuBLAS' products of FP8, float16, bfloat16 and tfloat32."""
    e4m3 = scalar("e4m3")
    fast = tensor_core(e4m3, e4m3, 32, 13, "f32", 13)
    register = float32_register(Rounding.NEAREST_EVEN)
    slow = replace(fast, promotion=Promotion(length=_PROMOTION, accumulator=register))
    yield _entry("e4m3_fast_float32", fast, _FAST)
    unseen = f"{_FAST}; rounded to bfloat16 at the end, as slow products are: no such output was captured"
    yield _entry("e4m3_fast_bfloat16", _output(fast, "bfloat16"), unseen, Evidence.LITERATURE)
    yield _entry("e4m3_slow_float32", slow, _SLOW)
    yield _entry("e4m3_slow_bfloat16", _output(slow, "bfloat16"), f"{_SLOW}; rounded to bfloat16 at the end")
    for operand, full in (("f16", "float16"), ("bf16", "bfloat16")):
        unit = tensor_core(scalar(operand), scalar(operand), 16, 25)
        yield _entry(f"{operand}_float32", unit, "one chain of wgmma from +0")
        yield _entry(f"{operand}_{full}", _output(unit, full), "one chain of wgmma from +0, rounded at the end")
    tf32 = tensor_core(scalar("tf32"), scalar("tf32"), 8, 25)
    tf32 = replace(tf32, operand_rounding=Rounding.NEAREST_EVEN)
    yield _entry("tf32_float32", tf32, _TF32)
    for part in (64, 128):
        split = replace(tf32, promotion=Promotion(length=part, accumulator=register))
        yield _entry(f"tf32_split{part}_float32", split, _SPLIT.format(part))
