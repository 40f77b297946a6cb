# SPDX-License-Identifier: Apache-2.0
"""Set the model on the GPU beside a Hopper GPU's own matrix instructions, and measure its speed.

python benchmarks/tensor_cores.py                 # every instruction, whole cuBLAS products, speeds: some minutes
python benchmarks/tensor_cores.py --side 512      # fewer outputs

Needs a Hopper GPU (compute capability 9.0), nvcc, CuPy, PyTorch, and hwsim's extra `gpu`. Every instruction runs on
random tiles: each 16 (64) rows of A beside each 8 columns of B, with a C of its own. The model runs on the same GPU on
the same codes and is compared there, bit for bit.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cupy
import numpy as np
import torch
from numba import cuda
from numpy.typing import NDArray

from hwsim import formats
from hwsim.datapath import DotProductUnit, FloatAccumulator, gpu, hardware, named
from hwsim.datapath.unit import ScalarSpec
from hwsim.formats import FloatSpec, IntegerSpec
from hwsim.formats.codes import code_dtype

POOL = 1 << 16
DISTRIBUTIONS = ("all", "finite", "normal", "sparse", "big_c")
_FP8 = ("e4m3", "e5m2")
_INT8 = ("s8", "u8")
_INT4 = ("s4", "u4")
_BITS = {"f16": 16, "bf16": 16, "tf32": 32, "e4m3": 8, "e5m2": 8, "s8": 8, "u8": 8, "s4": 4, "u4": 4, "f64": 64}


def instructions() -> Iterator[str]:
    """Name every instruction of Hopper with a dense matrix operand, a shape of k each."""
    for operand, shapes in (("f16", (16, 8)), ("bf16", (16, 8)), ("tf32", (8, 4))):
        for d in ("f32", "f16") if operand == "f16" else ("f32",):
            yield from (f"mma_m16n8k{k}_{d}_{operand}" for k in shapes)
            yield f"wgmma_m64n8k{shapes[0]}_{d}_{operand}"
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
        self.emulated = self.kind == "mma" and self.a in _FP8
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
  for (int i = 0; i < {b_words}; i++) b[i] = *(const unsigned*)(B + (size_t)(tile_n * 8 + g) * {width} + 4 * t + 16 * i);
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
            f"{{ .reg .pred p; setp.ne.b32 p, 1, 0; wgmma.mma_async.sync.aligned.{self.shape}.{self.d}.{self.a}.{self.b}"
            f"{sat} {{{c}}}, {{{a}}}, %{count + 4}, p{tail.get(self.a, '')}; }}"
        )
        inputs = [f'"r"(a[{i}])' for i in range(4)] + ['"l"(where)']
        outputs = ", ".join(f'"+r"(c[{i}])' for i in range(count))
        return f"""
extern "C" __global__ void {self.name}(const char* A, const char* B, const void* C, void* D, int m, int n) {{
  __shared__ __align__(128) char held[256];
  int lane = threadIdx.x & 31, g = lane >> 2, t = lane & 3;
  int tile_m = blockIdx.x / (n / 8), tile_n = blockIdx.x % (n / 8);
  int row = tile_m * 64 + (threadIdx.x >> 5) * 16 + g, column = tile_n * 8 + 2 * t;
  if (threadIdx.x < 16)
    ((uint4*)held)[(threadIdx.x & 1) * 8 + (threadIdx.x >> 1)] = ((const uint4*)(B + (size_t)tile_n * 256))[threadIdx.x];
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
    a[i] = ((const double*)A)[(size_t)(tile_m * {self.rows} + g + 8 * (i % {halves})) * {self.k} + t + 4 * (i / {halves})];
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


def build(chosen: list[Instruction], folder: Path) -> Any:
    """Compile the instructions' kernels and load them."""
    source, binary = folder / "instructions.cu", folder / "instructions.cubin"
    source.write_text("".join(instruction.source() for instruction in chosen))
    target = "-gencode=arch=compute_90a,code=sm_90a"
    subprocess.run(["nvcc", "-cubin", target, "-O2", "-o", str(binary), str(source)], check=True)
    module = cupy.RawModule(path=str(binary))
    module.get_function(chosen[0].name)  # reads the file, which will not be there for long
    return module


class Codes:
    """Random codes of a format, drawn on the GPU."""

    def __init__(self, spec: ScalarSpec, ignored_bits: int, seed: int) -> None:
        self._spec, self._ignored = spec, ignored_bits
        self._bits = spec.bits + ignored_bits
        self._dtype = code_dtype(self._bits)
        self._host = np.random.default_rng(seed)
        self._device = cupy.random.Generator(cupy.random.XORWOW(seed))

    def draw(self, distribution: str, shape: tuple[int, int], scale: float = 1.0) -> Any:
        """Draw codes: all of them, finite ones, normal numbers, half zeros, or large ones."""
        if distribution == "all" and self._bits < 64:
            return self._device.integers(0, 1 << self._bits, shape, dtype=np.uint64).astype(self._dtype)
        pool = cupy.asarray(self._pool(distribution, scale))
        return pool[self._device.integers(0, POOL, shape, dtype=np.int32)]

    def _pool(self, distribution: str, scale: float) -> NDArray[np.unsignedinteger]:
        """Return codes of which to choose."""
        if distribution in ("normal", "big"):
            values = self._host.standard_normal(POOL) * scale
            if distribution == "big":
                values *= np.exp2(self._host.integers(0, 40, POOL))
            if isinstance(self._spec, IntegerSpec):
                values = np.clip(np.rint(values * (1 << (self._spec.bits - 3))), self._spec.min_int, self._spec.max_int)
            if isinstance(self._spec, FloatSpec):
                largest = float(self._spec.max_value)
                values = np.clip(values, -largest, largest)
            codes = self._spec.encode(values).astype(np.uint64) << np.uint64(self._ignored)
        else:
            codes = np.frombuffer(self._host.bytes(8 * POOL), np.uint64) >> np.uint64(64 - self._bits)
            if distribution != "all":
                codes[self._spec.unpack((codes >> np.uint64(self._ignored)).astype(code_dtype(self._spec.bits))).special != 0] = 0
            if distribution == "sparse":
                codes[self._host.random(POOL) < 0.5] = 0
        low = np.frombuffer(self._host.bytes(8 * POOL), np.uint64) & np.uint64((1 << self._ignored) - 1)
        return (codes | low).astype(self._dtype)


def through_float16(spec: ScalarSpec, codes: Any) -> Any:
    """Return float16 codes of FP8 codes, as the instructions to which ptxas resolves FP8 mma.sync convert them."""
    values = spec.decode(np.arange(256, dtype=np.uint8))
    return cupy.asarray(values.astype(np.float16).view(np.uint16))[codes]


def compare(instruction: Instruction, module: Any, side: int, seed: int) -> tuple[int, int]:
    """Return how many outputs were compared, and how many differ."""
    unit = instruction.unit
    ignored = unit.ignored_bits
    sources = [Codes(unit.element_a, ignored, seed), Codes(unit.element_b, ignored, seed + 1)]
    if instruction.emulated:
        unit = replace(unit, a=formats.named("float16"), b=formats.named("float16"))
    register = Codes(unit.register.format, 0, seed + 2)
    compared = differ = 0
    for distribution in DISTRIBUTIONS:
        kind = {"big_c": "normal"}.get(distribution, distribution)
        a, b = (source.draw(kind, (side, instruction.k)) for source in sources)
        c = register.draw("big" if distribution == "big_c" else kind, (side, side), instruction.k**0.5)
        expected = instruction.run(module, a, b, c)
        if instruction.emulated:
            a, b = (through_float16(spec, x) for spec, x in ((instruction.unit.element_a, a), (instruction.unit.element_b, b)))
        found = cupy.asarray(gpu.product(unit, a, cupy.ascontiguousarray(b.T), c))
        wrong = found != expected
        count = int(wrong.sum())
        if count:
            row, column = (int(at[0]) for at in cupy.nonzero(wrong))
            print(
                f"  {instruction.name} {distribution}: {count} differ, first at {row}, {column}: "
                f"c {int(c[row, column]):x}, model {int(found[row, column]):x}, GPU {int(expected[row, column]):x}"
            )
        compared += found.size
        differ += count
    return compared, differ


def compare_all(module: Any, chosen: list[Instruction], side: int) -> int:
    """Print a line for each instruction and one for all; return how many outputs differ."""
    total = differ = 0
    for at, instruction in enumerate(chosen):
        start = time.perf_counter()
        outputs, wrong = compare(instruction, module, side, 1000 * at + 1)
        total, differ = total + outputs, differ + wrong
        seconds = time.perf_counter() - start
        print(f"{instruction.name}: {outputs} outputs compared, {wrong} differ, {seconds:.1f} s", flush=True)
    print(f"{len(chosen)} instructions: {total} outputs compared, {differ} differ", flush=True)
    return differ


def compare_cublas(shape: tuple[int, int, int]) -> int:
    """Set whole cuBLAS products beside the model; return how many outputs differ."""
    m, n, k = shape
    differ = 0
    torch.backends.cuda.matmul.allow_tf32 = True
    source = torch.Generator("cuda").manual_seed(1)
    one = torch.ones((), device="cuda")
    for name, dtype, codes in (
        ("e4m3_fast_float32", torch.float8_e4m3fn, torch.uint8),
        ("e4m3_slow_float32", torch.float8_e4m3fn, torch.uint8),
        ("f16_float32", torch.float16, torch.uint16),
        ("bf16_float32", torch.bfloat16, torch.uint16),
        ("tf32_float32", torch.float32, torch.uint32),
    ):
        a = torch.randn(m, k, device="cuda", generator=source).to(dtype)
        b = torch.randn(n, k, device="cuda", generator=source).to(dtype)
        if dtype == torch.float8_e4m3fn:
            fast = "fast" in name
            d = torch._scaled_mm(a, b.T, one, one, out_dtype=torch.float32, use_fast_accum=fast)
        elif dtype == torch.float32:
            d = a @ b.T
        else:
            d = torch.mm(a, b.T, out_dtype=torch.float32)
        unit = hardware.entry(f"cublas_hopper_{name}").unit
        left, right = cupy.asarray(a.view(codes)), cupy.ascontiguousarray(cupy.asarray(b.view(codes)).T)
        found = cupy.asarray(gpu.product(unit, left, right))
        wrong = int((found != cupy.asarray(d.view(torch.uint32))).sum())
        differ += wrong
        print(f"cuBLAS {name} {m}x{n}x{k}: {found.size} outputs compared, {wrong} differ", flush=True)
    return differ


def seconds_of(action: Any) -> float:
    """Return the median time of seven calls, the GPU's work included, after one that compiles."""
    action()
    times = []
    for _ in range(7):
        cuda.synchronize()
        start = time.perf_counter()
        action()
        cuda.synchronize()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def measure(side: int) -> None:
    """Print the speed of units on square layers, with the operands on the GPU and with all transfers."""
    units = {
        "Hopper FP8 unit": hardware.entry("hopper_wgmma_m64n8k32_f32_e4m3_e4m3").unit,
        "Hopper float16 unit": hardware.entry("hopper_wgmma_m64n8k16_f32_f16").unit,
        "Hopper bfloat16 unit": hardware.entry("hopper_wgmma_m64n8k16_f32_bf16").unit,
        "cuBLAS FP8, promoted every 128": hardware.entry("cublas_hopper_e4m3_slow_float32").unit,
        "E4M3 into a float32 chain": named("float8_e4m3fn_l1_float32"),
        "MXFP4 into float32": named("mxfp4"),
        "NVFP4 into float32": named("nvfp4"),
        "INT8 into int32": named("int8_l4"),
    }
    random = np.random.default_rng(1)
    for title, unit in units.items():
        shape = (side, side)
        arrays = []
        for spec in (unit.element_a, unit.element_b):
            values = random.standard_normal(shape) * (1.0 if isinstance(spec, FloatSpec) else 40.0)
            arrays.append(spec.encode(np.clip(values, spec.min_value, spec.max_value)))
        scales: dict[str, Any] = {}
        if unit.scale_a is not None and unit.scale_b is not None:
            blocks = side // unit.lanes
            scales = {
                "a_scales": unit.scale_a.encode(np.exp2(random.integers(-4, 5, (side, blocks)))),
                "b_scales": unit.scale_b.encode(np.exp2(random.integers(-4, 5, (blocks, side)))),
            }
        on_gpu = [cupy.asarray(array) for array in arrays]
        scales_on_gpu = {name: cupy.asarray(array) for name, array in scales.items()}
        alone = seconds_of(lambda: gpu.product(unit, *on_gpu, **scales_on_gpu))
        whole = seconds_of(lambda: gpu.matmul(unit, *arrays, **scales))
        work = side**3 / 1e12
        print(
            f"{title} emulated: {work / alone:.2f} TMAC/s; a layer of {side} x {side} x {side} takes {alone:.3f} s, "
            f"{whole:.3f} s with all transfers and checks",
            flush=True,
        )


def main() -> None:
    """Compare and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=4096, help="rows and columns of the outputs of a distribution")
    parser.add_argument("--only", default="", help="instructions whose names hold this text")
    parser.add_argument("--speed", type=int, default=4096, help="side of the layers that are timed; 0 for none")
    options = parser.parse_args()
    print(f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}, PyTorch {torch.__version__}", flush=True)
    if options.speed:
        measure(options.speed)
    differ = compare_cublas((4096, 4096, 1024))
    chosen = [Instruction(name) for name in instructions() if options.only in name]
    with tempfile.TemporaryDirectory() as folder:
        module = build(chosen, Path(folder))
    differ += compare_all(module, chosen, options.side)
    sys.exit(bool(differ))


if __name__ == "__main__":
    main()
