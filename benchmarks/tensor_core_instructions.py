# SPDX-License-Identifier: Apache-2.0
"""CUDA kernels that run Hopper's matrix instructions, one instruction each, for `benchmarks.tensor_cores`."""

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import numpy as np

from hwsim.datapath import DotProductUnit, hardware

cupy: Any = import_module("cupy")  # untyped
_FP8 = ("e4m3", "e5m2")
_INT8 = ("s8", "u8")
_INT4 = ("s4", "u4")
_BITS = {"f16": 16, "bf16": 16, "tf32": 32, "e4m3": 8, "e5m2": 8, "s8": 8, "u8": 8, "s4": 4, "u4": 4, "f64": 64}


def instructions() -> Iterator[str]:
    """Name every instruction of Hopper with a dense matrix operand, a shape of k each."""
    for operand, depths in (("f16", (16, 8)), ("bf16", (16, 8)), ("tf32", (8, 4))):
        for d in ("f32", "f16") if operand == "f16" else ("f32",):
            yield from (f"mma_m16n8k{k}_{d}_{operand}" for k in depths)
            yield f"wgmma_m64n8k{depths[0]}_{d}_{operand}"
    for d in ("f32", "f16"):
        for a in _FP8:
            for b in _FP8:
                yield from (f"{shape}_{d}_{a}_{b}" for shape in ("mma_m16n8k32", "mma_m16n8k16", "wgmma_m64n8k32"))
    for kinds, shapes in (
        (_INT8, ("mma_m16n8k32", "mma_m16n8k16", "wgmma_m64n8k32")),
        (_INT4, ("mma_m16n8k64", "mma_m16n8k32")),
    ):
        for a in kinds:
            for b in kinds:
                yield from (f"{shape}_s32_{a}_{b}{sat}" for shape in shapes for sat in ("", "_sat"))
    yield from (f"mma_{shape}_f64" for shape in ("m8n8k4", "m16n8k4", "m16n8k8", "m16n8k16"))


class Instruction:
    """An instruction by its name: ``wgmma_m64n8k32_f32_e4m3_e5m2``, ``mma_m16n8k32_s32_u8_s8_sat``."""

    def __init__(self, name: str) -> None:
        self.name = name
        parts = name.removesuffix("_sat").split("_")
        self.saturates = name.endswith("_sat")
        self.kind, self.shape, self.d = parts[0], parts[1], parts[2]
        operands = parts[3:] or [self.d]
        self.a, self.b = operands[0], operands[-1]
        self.k = int(self.shape.rpartition("k")[2])
        self.rows = int(self.shape[1:].partition("n")[0])
        self.unit: DotProductUnit = hardware.entry(f"hopper_{name}").unit

    def source(self) -> str:
        """Return a CUDA kernel that runs it on every pair of a tile of A and one of B."""
        if self.d == "f64":
            return self._double()
        return self._wgmma() if self.kind == "wgmma" else self._mma()

    def _accumulators(self) -> tuple[int, str, str]:
        """Return how many words C has in a thread, and how they are loaded and stored."""
        if self.d == "f16":
            at = "((size_t)(row + 8 * i) * n + column) / 2"
            return 2, f"c[i] = ((const unsigned*)C)[{at}];", f"((unsigned*)D)[{at}] = c[i];"
        at = "(size_t)(row + 8 * (i >> 1)) * n + column + (i & 1)"
        return 4, f"c[i] = ((const unsigned*)C)[{at}];", f"((unsigned*)D)[{at}] = c[i];"

    def _mma(self) -> str:
        width = self.k * _BITS[self.a] // 8
        a_words, b_words = width // 8, width // 16
        count, load, store = self._accumulators()
        sat = ".satfinite" if self.saturates else ""
        words = [f"%{i}" for i in range(count + a_words + b_words)]
        groups = (words[:count], words[count : count + a_words], words[count + a_words :], words[:count])
        operands = ", ".join("{" + ", ".join(group) + "}" for group in groups)
        text = f"mma.sync.aligned.{self.shape}.row.col{sat}.{self.d}.{self.a}.{self.b}.{self.d} {operands};"
        inputs = [f'"r"(a[{i}])' for i in range(a_words)] + [f'"r"(b[{i}])' for i in range(b_words)]
        outputs = ", ".join(f'"+r"(c[{i}])' for i in range(count))
        return f"""
extern "C" __global__ void {self.name}(const char* A, const char* B, const void* C, void* D, int m, int n) {{
  size_t warp = ((size_t)blockIdx.x * blockDim.x + threadIdx.x) >> 5;
  int lane = threadIdx.x & 31, g = lane >> 2, t = lane & 3;
  int tile_m = warp / (n / 8), tile_n = warp % (n / 8);
  if (tile_m >= m / 16) return;
  int row = tile_m * 16 + g, column = tile_n * 8 + 2 * t;
  unsigned a[{a_words}], b[{b_words}], c[{count}];
  for (int i = 0; i < {a_words}; i++)
    a[i] = *(const unsigned*)(A + (size_t)(row + 8 * (i & 1)) * {width} + 4 * t + 16 * (i >> 1));
  for (int i = 0; i < {b_words}; i++)
    b[i] = *(const unsigned*)(B + (size_t)(tile_n * 8 + g) * {width} + 4 * t + 16 * i);
  for (int i = 0; i < {count}; i++) {load}
  asm volatile("{text}" : {outputs} : {", ".join(inputs)});
  for (int i = 0; i < {count}; i++) {store}
}}
"""

    def _wgmma(self) -> str:
        count, load, store = self._accumulators()
        tail = {"f16": ", 1, 1, 0", "bf16": ", 1, 1, 0", "tf32": ", 1, 1", "e4m3": ", 1, 1", "e5m2": ", 1, 1"}
        sat = ".satfinite" if self.saturates else ""
        c = ", ".join(f"%{i}" for i in range(count))
        a = ", ".join(f"%{count + i}" for i in range(4))
        text = (
            f"{{ .reg .pred p; setp.ne.b32 p, 1, 0; wgmma.mma_async.sync.aligned.{self.shape}.{self.d}.{self.a}"
            f".{self.b}{sat} {{{c}}}, {{{a}}}, %{count + 4}, p{tail.get(self.a, '')}; }}"
        )
        inputs = [f'"r"(a[{i}])' for i in range(4)] + ['"l"(where)']
        outputs = ", ".join(f'"+r"(c[{i}])' for i in range(count))
        return f"""
extern "C" __global__ void {self.name}(const char* A, const char* B, const void* C, void* D, int m, int n) {{
  __shared__ __align__(128) char held[256];
  int lane = threadIdx.x & 31, g = lane >> 2, t = lane & 3;
  int tile_m = blockIdx.x / (n / 8), tile_n = blockIdx.x % (n / 8);
  int row = tile_m * 64 + (threadIdx.x >> 5) * 16 + g, column = tile_n * 8 + 2 * t;
  int part = threadIdx.x;
  if (part < 16) ((uint4*)held)[(part & 1) * 8 + (part >> 1)] = ((const uint4*)(B + (size_t)tile_n * 256))[part];
  unsigned a[4], c[{count}];
  for (int i = 0; i < 4; i++)
    a[i] = *(const unsigned*)(A + (size_t)(row + 8 * (i & 1)) * 32 + 4 * t + 16 * (i >> 1));
  for (int i = 0; i < {count}; i++) {load}
  asm volatile("fence.proxy.async;" ::: "memory");
  __syncthreads();
  unsigned long long where = (unsigned long long)__cvta_generic_to_shared(held);
  where = ((where & 0x3FFFF) >> 4) | (8ull << 16) | (8ull << 32);
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
  asm volatile("{text}" : {outputs} : {", ".join(inputs)});
  asm volatile("wgmma.commit_group.sync.aligned; wgmma.wait_group.sync.aligned 0;" ::: "memory");
  for (int i = 0; i < {count}; i++) {store}
}}
"""

    def _double(self) -> str:
        halves = self.rows // 8
        a_count, b_count, count = halves * self.k // 4, self.k // 4, 2 * halves
        places = [f"%{i}" for i in range(count + a_count + b_count)]
        groups = (places[:count], places[count : count + a_count], places[count + a_count :], places[:count])
        operands = ", ".join("{" + ", ".join(group) + "}" for group in groups)
        text = f"mma.sync.aligned.{self.shape}.row.col.f64.f64.f64.f64 {operands};"
        inputs = [f'"d"(a[{i}])' for i in range(a_count)] + [f'"d"(b[{i}])' for i in range(b_count)]
        outputs = ", ".join(f'"+d"(c[{i}])' for i in range(count))
        at = f"(size_t)(tile_m * {self.rows} + g + 8 * (i >> 1)) * n + tile_n * 8 + 2 * t + (i & 1)"
        return f"""
extern "C" __global__ void {self.name}(const char* A, const char* B, const void* C, void* D, int m, int n) {{
  size_t warp = ((size_t)blockIdx.x * blockDim.x + threadIdx.x) >> 5;
  int lane = threadIdx.x & 31, g = lane >> 2, t = lane & 3;
  int tile_m = warp / (n / 8), tile_n = warp % (n / 8);
  if (tile_m >= m / {self.rows}) return;
  double a[{a_count}], b[{b_count}], c[{count}];
  for (int i = 0; i < {a_count}; i++)
    a[i] = ((const double*)A)[(size_t)(tile_m * {self.rows} + g + 8 * (i % {halves})) * {self.k}
                              + t + 4 * (i / {halves})];
  for (int i = 0; i < {b_count}; i++) b[i] = ((const double*)B)[(size_t)(tile_n * 8 + g) * {self.k} + t + 4 * i];
  for (int i = 0; i < {count}; i++) c[i] = ((const double*)C)[{at}];
  asm volatile("{text}" : {outputs} : {", ".join(inputs)});
  for (int i = 0; i < {count}; i++) ((double*)D)[{at}] = c[i];
}}
"""

    def run(self, module: Any, a: Any, b: Any, c: Any) -> Any:
        """Return D of codes a (M, k), b (N, k) and c (M, N), on the GPU."""
        m, n = c.shape
        if _BITS[self.a] == 4:
            a, b = (x[:, 0::2] | (x[:, 1::2] << 4) for x in (a, b))
        a, b = cupy.ascontiguousarray(a), cupy.ascontiguousarray(b)
        d = cupy.full_like(c, 0x5A)
        tiles = (m // self.rows) * (n // 8)
        blocks = tiles if self.kind == "wgmma" else -(-tiles // 4)
        module.get_function(self.name)((blocks,), (128,), (a, b, c, d, np.int32(m), np.int32(n)))
        return d
