# SPDX-License-Identifier: Apache-2.0
"""Integer instructions that only some machines have, for kernels, and which of them this one has."""

from functools import cache
from typing import Any

from llvmlite import ir
from numba import types
from numba.core.registry import cpu_target

from hwsim.datapath.vectors import Vec, call_llvm, compiled, elementwise, intrinsic

__all__ = [
    "VNNI_LANES",
    "count_ones",
    "dot_bytes",
    "dot_words",
    "features",
    "has_permute",
    "has_popcount",
    "permute_bytes",
    "vnni_lanes",
]


@cache
def features() -> frozenset[str]:
    """Return the features that kernels are compiled for, by LLVM's names: `NUMBA_CPU_FEATURES`, or this machine's."""
    if not compiled():
        return frozenset()
    codegen: Any = cpu_target.target_context.codegen()
    return frozenset(name[1:] for name in str(codegen.magic_tuple()[2]).split(",") if name.startswith("+"))


def vnni_lanes() -> int:
    """Return how many 32-bit sums `dot_bytes` and `dot_words` make at a time; 0 where the machine lacks them."""
    if {"avx512vnni", "avx512bw"} <= features():
        return 16
    return 8 if "avxvnni" in features() else 0


def has_popcount() -> bool:
    """Whether the machine counts ones in vectors of 64-bit words."""
    return "avx512vpopcntdq" in features()


def has_permute() -> bool:
    """Whether the machine looks up 64 bytes at a time in a table of 64 (`permute_bytes`)."""
    return "avx512vbmi" in features()


VNNI_LANES = vnni_lanes() or 16
"""Elements of a Vec in kernels with `dot_bytes` or `dot_words`, which are not compiled where there are none."""


def _dot(total: Any, x: Any, y: Any, name: str) -> Any:
    """Dot products of the parts of 32-bit elements; old and new LLVM take these argument types."""
    if not isinstance(total, Vec) or {total, x, y} != {total} or total.dtype != types.int32:
        return None

    def emit(builder: Any, sums: Any, p: Any, q: Any) -> Any:
        function = ir.FunctionType(total.llvm, [total.llvm] * 3)
        instruction = f"llvm.x86.avx512.{name}.{32 * total.count}"
        callee = builder.module.globals.get(instruction) or ir.Function(builder.module, function, instruction)
        return builder.call(callee, [sums, p, q])

    return elementwise((total, x, y), emit)


@intrinsic
def dot_bytes(_context: Any, total: Any, x: Any, y: Any) -> Any:
    """Add to each int32 the four products of its bytes of x, unsigned, and of y, signed, modulo 2**32 (vpdpbusd)."""
    return _dot(total, x, y, "vpdpbusd")


@intrinsic
def dot_words(_context: Any, total: Any, x: Any, y: Any) -> Any:
    """Add to each int32 the two products of its signed halves of x and y, modulo 2**32 (vpdpwssd)."""
    return _dot(total, x, y, "vpdpwssd")


@intrinsic
def count_ones(_context: Any, x: Any) -> Any:
    """How many bits are set in each element."""
    if not isinstance(x, Vec):
        return None
    return elementwise((x,), lambda builder, p: call_llvm(builder, "llvm.ctpop", p.type, [p]))


@intrinsic
def permute_bytes(_context: Any, table: Any, places: Any) -> Any:
    """Return the bytes of a table of 64 at 64 places, each modulo 64 (vpermb)."""
    if not isinstance(table, Vec) or table != places or (table.count, table.dtype) != (64, types.uint8):
        return None

    def emit(builder: Any, entries: Any, at: Any) -> Any:
        name = "llvm.x86.avx512.permvar.qi.512"
        function = ir.FunctionType(table.llvm, [table.llvm] * 2)
        callee = builder.module.globals.get(name) or ir.Function(builder.module, function, name)
        return builder.call(callee, [entries, at])

    return elementwise((table, places), emit)
