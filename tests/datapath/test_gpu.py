# SPDX-License-Identifier: Apache-2.0
import dataclasses
import os
import re
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hwsim.datapath import DotProductUnit, TruncatedAlignment, gpu, hardware, matmul, named
from hwsim.datapath.unit import ScalarSpec
from hwsim.formats import BlockSpec, FloatSpec
from hwsim.formats.codes import code_dtype

Codes = NDArray[np.unsignedinteger]

_SIMULATED = os.environ.get("NUMBA_ENABLE_CUDASIM", "0") != "0"
_SIDE = 5 if _SIMULATED else 70  # one output more than a tile of the kernels, on a GPU
_CATALOGUED = (
    "hopper_wgmma_m64n8k32_f32_e4m3_e5m2",
    "hopper_wgmma_m64n8k32_f16_e5m2_e5m2",
    "hopper_wgmma_m64n8k16_f32_bf16",
    "hopper_wgmma_m64n8k16_f16_f16",
    "hopper_mma_m16n8k8_f32_tf32",
    "hopper_mma_m16n8k32_f32_e4m3_e5m2",
    "hopper_mma_m16n8k16_f16_e5m2_e4m3",
    "hopper_mma_m8n8k4_f64",
    "hopper_mma_m16n8k32_s32_u8_s8_sat",
    "hopper_mma_m16n8k64_s32_s4_u4",
    "cublas_hopper_e4m3_slow_bfloat16",
    "cublas_hopper_tf32_float32",
    "blackwell_tcgen05_mxf8f6f4_f32_e4m3_e5m2_ue8m0",
    "volta_mma_m8n8k4_f32_f16",
)
_NAMED = (
    *("float8_e4m3fn_l1_float32", "bfloat16_l1_float32", "float8_e4m3fn_l4_float32", "mxfp4", "nvfp4", "mxfp8_e4m3"),
    "mxfp4_by_float8_e4m3fn",
    *("int8", "int8_l4_int16_sat", "int4_by_int8_l8", "float4_e2m1fn_l4_fixed24"),
)


@pytest.fixture
def device() -> None:
    """Skip where there is no GPU: `test_gpu_simulated` runs these tests without one."""
    if not gpu.available():
        pytest.skip("needs a GPU and numba-cuda, or its simulator (NUMBA_ENABLE_CUDASIM=1)")


def _unit(name: str) -> DotProductUnit:
    return hardware.entry(name).unit if name in _CATALOGUED else named(name)


def _draw(source: np.random.Generator, spec: ScalarSpec, shape: tuple[int, int], ignored: int, finite: bool) -> Codes:
    codes = np.frombuffer(source.bytes(8 * shape[0] * shape[1]), np.uint64) >> np.uint64(64 - spec.bits - ignored)
    codes = codes.reshape(shape).copy()
    if finite:
        special = spec.unpack((codes >> np.uint64(ignored)).astype(code_dtype(spec.bits))).special
        codes[special != 0] = 0
    return codes.astype(code_dtype(spec.bits + ignored))


def _operands(unit: DotProductUnit, depth: int, seed: int, finite: bool) -> tuple[Codes, Codes, Codes, dict[str, Any]]:
    source = np.random.default_rng(seed)
    a = _draw(source, unit.element_a, (_SIDE, depth), unit.ignored_bits, finite)
    b = _draw(source, unit.element_b, (depth, _SIDE - 1), unit.ignored_bits, finite)
    c = _draw(source, unit.register.format, (_SIDE, _SIDE - 1), 0, finite)
    scales: dict[str, Any] = {}
    for key, spec, rows in (("a_scales", unit.a, _SIDE), ("b_scales", unit.b, _SIDE - 1)):
        if isinstance(spec, BlockSpec):
            assert isinstance(spec.scale, FloatSpec)
            shape = (rows, -(-depth // spec.block_size))
            drawn = _draw(source, spec.scale, shape, 0, finite)
            if finite:  # near one another, so that the blocks meet
                drawn = np.asarray(spec.scale.encode(np.exp2(source.integers(-6, 7, shape))))
            scales[key] = drawn if key == "a_scales" else drawn.T
    return a, b, c, scales


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("finite", [True, False])
@pytest.mark.parametrize("name", [*_CATALOGUED, *_NAMED])
def test_gpu_matmul_equals_the_cpu(name: str, finite: bool) -> None:
    unit = _unit(name)
    depth = max(2 * unit.lanes, len(unit.order)) + 3
    a, b, c, scales = _operands(unit, depth, 7, finite)
    start = c if finite else None
    found = gpu.matmul(unit, a, b, start, **scales)
    np.testing.assert_array_equal(found, matmul(unit, a, b, start, **scales))
    assert found.dtype == code_dtype(unit.output.bits)
    assert found.size == _SIDE * (_SIDE - 1)


@pytest.mark.usefixtures("device")
def test_gpu_matmul_equals_hopper(hopper_sample: Path) -> None:
    compared = 0
    with np.load(hopper_sample) as file:
        names = sorted({key[:-2] for key in file if key.endswith("_d") and "_chain" not in key})
        for name in names:
            unit = hardware.entry(f"hopper_{name}").unit
            count = 4 if _SIMULATED else len(file[f"{name}_c"])
            a, b = (file[f"{name}_{side}"][:count] for side in "ab")
            if unit.ignored_bits:  # the file has the upper bits
                a, b = (x.astype(np.uint32) << np.uint32(unit.ignored_bits) for x in (a, b))
            c = np.repeat(file[f"{name}_c"][:count, None], count, axis=1)
            found = gpu.matmul(unit, a, b.T, c)
            np.testing.assert_array_equal(np.diagonal(found), file[f"{name}_d"][:count], err_msg=name)
            compared += count
    assert compared >= 4 * 14


def _lanes(lanes: int) -> DotProductUnit:
    unit = hardware.entry("hopper_wgmma_m64n8k32_f32_e4m3_e4m3").unit
    assert isinstance(unit.alignment, TruncatedAlignment)
    return dataclasses.replace(unit, lanes=lanes)


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize(("lanes", "single"), [(582, True), (583, False)])
def test_gpu_truncated_at_the_edge_of_float32(lanes: int, single: bool) -> None:
    # A product of two 448 is 225 * 2**(13 - 6) + 1 = 28801 units at most, of which 2**24 - 1 has room for 582.
    unit = _lanes(lanes)
    how = import_module("hwsim.datapath.gpu.cut").cut(unit)
    assert how.single is single
    largest = np.full((1, lanes), 0x7E, np.uint8)
    found = gpu.matmul(unit, largest, largest.T)
    np.testing.assert_array_equal(found, matmul(unit, largest, largest.T))
    assert found.view(np.float32) == lanes * 448.0 * 448.0 // 2**13 * 2**13  # 14 significant bits from 2**26 on


@pytest.mark.usefixtures("device")
def test_gpu_product_stays_on_the_device() -> None:
    cuda = import_module("numba.cuda")
    unit = named("mxfp4")
    a, b, c, scales = _operands(unit, 64, 3, True)
    arrays = [cuda.to_device(np.ascontiguousarray(x)) for x in (a, b, c)]
    on_device = {key: cuda.to_device(np.ascontiguousarray(x)) for key, x in scales.items()}
    found = gpu.product(unit, *arrays, **on_device)
    np.testing.assert_array_equal(found.copy_to_host(), matmul(unit, a, b, c, **scales))


def _refused(unit: DotProductUnit, error: type[Exception], text: str, *arrays: Any) -> None:
    with pytest.raises(error, match=f"^{re.escape(text)}"):
        gpu.product(unit, *arrays[:3], a_scales=arrays[3] if len(arrays) > 3 else None)


@pytest.mark.usefixtures("device")
def test_gpu_product_arguments_wrong() -> None:
    cuda = import_module("numba.cuda")
    unit = named("int8")
    a, b = cuda.to_device(np.zeros((3, 4), np.uint8)), cuda.to_device(np.zeros((4, 2), np.uint8))
    wide = cuda.to_device(np.zeros((3, 4), np.uint16))
    _refused(unit, TypeError, "a must be a matrix of uint8 on the GPU, not of uint16", wide, b)
    _refused(unit, ValueError, "a's columns and b's rows must be as many, not 4 and 3", a, a)
    start = cuda.to_device(np.zeros((3, 3), np.uint32))
    _refused(unit, ValueError, "c must have the shape (3, 2), not (3, 3)", a, b, start)
    _refused(named("mxfp4"), ValueError, "a_scales must be given for the block format mxfp4", a, b)
    _refused(named("int8_to_int8"), ValueError, "unit must give its register, and", a, b)
    _refused(unit, ValueError, "a_scales must be None, for int8 has no block scales", a, b, None, a)
    with pytest.raises(TypeError, match=r"^unit must be a DotProductUnit, not 'int8'$"):
        gpu.product("int8", a, b)  # type: ignore[arg-type]


@pytest.mark.usefixtures("device")
def test_gpu_matmul_unit_without_kernel() -> None:
    unit = named("float8_e4m3fn_l1_float16")
    codes = np.zeros((2, 2), np.uint8)
    text = f"unit {unit.name} has no kernel for the GPU, which has those of truncated alignment, of a chain"
    with pytest.raises(ValueError, match=f"^{re.escape(text)}"):
        gpu.matmul(unit, codes, codes)


def test_gpu_matmul_without_numba_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "find_spec", lambda name: None)
    codes = np.zeros((2, 2), np.uint8)
    text = "a GPU's kernels need numba-cuda, which is not installed: `pip install hwsim[gpu]` brings it"
    with pytest.raises(RuntimeError, match=f"^{re.escape(text)}"):
        gpu.matmul(named("int8"), codes, codes)
    assert not gpu.available()


def test_gpu_matmul_without_device(monkeypatch: pytest.MonkeyPatch) -> None:
    class NoDevice:
        def is_available(self) -> bool:
            return False

    monkeypatch.setattr(gpu, "find_spec", lambda name: name)
    monkeypatch.setattr(gpu, "import_module", lambda name: NoDevice())
    codes = np.zeros((2, 2), np.uint8)
    text = "numba-cuda finds no GPU, or no driver of one, on this machine: "
    with pytest.raises(RuntimeError, match=f"^{re.escape(text)}"):
        gpu.product(named("int8"), codes, codes)


def test_gpu_simulated(root: Path) -> None:
    """Run the tests above with kernels in Python."""
    if find_spec("numba_cuda") is None:
        pytest.skip("needs numba-cuda (`pip install hwsim[gpu]`)")
    if _SIMULATED:
        return
    environment = {**os.environ, "NUMBA_ENABLE_CUDASIM": "1"}
    this = str(Path(__file__))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "ignore", this]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:]
    assert "skipped" not in done.stdout
    assert int(re.findall(r"(\d+) passed", done.stdout)[0]) >= 50
