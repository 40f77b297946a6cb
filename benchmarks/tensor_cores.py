# SPDX-License-Identifier: Apache-2.0
"""Set the model on the GPU beside a Hopper GPU's own matrix instructions, and measure its speed.

PYTHONPATH=. python benchmarks/tensor_cores.py             # every instruction, cuBLAS products, speeds: 3 minutes
PYTHONPATH=. python benchmarks/tensor_cores.py --side 512  # fewer outputs

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
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.tensor_core_instructions import Instruction, instructions
from hwsim.datapath import DotProductUnit, gpu, hardware, named
from hwsim.datapath.unit import ScalarSpec
from hwsim.formats import FloatSpec, IntegerSpec
from hwsim.formats.codes import code_dtype

torch: Any = import_module("torch")  # not installed where the types are checked
cupy: Any = import_module("cupy")  # untyped, as is Numba's part for GPUs
cuda: Any = import_module("numba.cuda")
POOL = 1 << 16
DISTRIBUTIONS = ("all", "finite", "normal", "sparse", "big_c")


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
                narrow = (codes >> np.uint64(self._ignored)).astype(code_dtype(self._spec.bits))
                codes[self._spec.unpack(narrow).special != 0] = 0
            if distribution == "sparse":
                codes[self._host.random(POOL) < 0.5] = 0
        low = np.frombuffer(self._host.bytes(8 * POOL), np.uint64) & np.uint64((1 << self._ignored) - 1)
        return (codes | low).astype(self._dtype)


def compare(instruction: Instruction, module: Any, side: int, seed: int) -> tuple[int, int]:
    """Return how many outputs were compared, and how many differ."""
    unit = instruction.unit
    ignored = unit.ignored_bits
    sources = [Codes(unit.element_a, ignored, seed), Codes(unit.element_b, ignored, seed + 1)]
    register = Codes(unit.register.format, 0, seed + 2)
    compared = differ = 0
    for distribution in DISTRIBUTIONS:
        kind = {"big_c": "normal"}.get(distribution, distribution)
        a, b = (source.draw(kind, (side, instruction.k)) for source in sources)
        c = register.draw("big" if distribution == "big_c" else kind, (side, side), instruction.k**0.5)
        expected = instruction.run(module, a, b, c)
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
    for title, unit in units.items():
        arrays, scales = layer(unit, side)
        on_gpu = [cupy.asarray(array) for array in arrays]
        scales_on_gpu = {name: cupy.asarray(array) for name, array in scales.items()}
        alone = seconds_of(partial(gpu.product, unit, *on_gpu, **scales_on_gpu))
        whole = seconds_of(partial(gpu.matmul, unit, *arrays, **scales))
        print(
            f"{title} emulated: {side**3 / alone / 1e12:.2f} TMAC/s; a layer of {side} x {side} x {side} takes "
            f"{alone:.3f} s, {whole:.3f} s with all transfers and checks",
            flush=True,
        )


def layer(unit: DotProductUnit, side: int) -> tuple[list[Any], dict[str, Any]]:
    """Return normal operands, and scales where the unit has them."""
    random = np.random.default_rng(1)
    arrays = []
    for spec in (unit.element_a, unit.element_b):
        values = random.standard_normal((side, side)) * (1.0 if isinstance(spec, FloatSpec) else 40.0)
        arrays.append(spec.encode(np.clip(values, spec.min_value, spec.max_value)))
    if unit.scale_a is None or unit.scale_b is None:
        return arrays, {}
    blocks = side // unit.lanes
    return arrays, {
        "a_scales": unit.scale_a.encode(np.exp2(random.integers(-4, 5, (side, blocks)))),
        "b_scales": unit.scale_b.encode(np.exp2(random.integers(-4, 5, (blocks, side)))),
    }


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
