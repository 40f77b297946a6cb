# SPDX-License-Identifier: Apache-2.0
"""Every proof and every check at compiled speed, a line each: what, by which method, how much, the result, the seconds.

python -m benchmarks.proofs                    # all of it; of the same Verilog, from the cache
python -m benchmarks.proofs steps shells       # some kinds: blocks, specifications, steps, shells, netlists, units
python -m benchmarks.proofs blocks --vectors 100000 --again
"""

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import rtl
from cost_models import store
from cost_models.synthesis import asic
from cost_models.technologies import Technology, liberty, read
from hwsim.datapath import DotProductUnit, named
from hwsim.datapath.array import ArrayGeometry, ArrayKind
from hwsim.datapath.unit import FixedAccumulator
from rtl.architecture import ARCHITECTURES
from rtl.blocks import blocks
from rtl.units.styles import style_verilog
from rtl.verilog import parts_verilog
from testbenches.blocks import EXHAUSTIVE_BITS, check_block
from testbenches.formal.contracts import array_handshake, shell_handshake
from testbenches.formal.equivalence import prove_block
from testbenches.formal.handshake import Handshake, prove_handshake
from testbenches.formal.mapped import prove_mapped
from testbenches.formal.proof import Proof
from testbenches.formal.steps import prove_row, prove_step
from testbenches.runner import VerificationError
from testbenches.suite import SUITE
from testbenches.units import check_unit

_STEPS = ("int8", "float8_e4m3fn", "float4_e2m1fn", "mxfp4", "mxfp8_e4m3", "mxint8")
_NETLISTS = (
    ("int8", "tool", "area"),
    ("int8", "booth_heap", "area"),
    ("int8", "booth_heap", "area_cells"),
    ("int8", "carry_save", "area"),
    ("int8", "carry_save", "timing_cells"),
    ("float4_e2m1fn_l4", "tool", "area"),
    ("float8_e4m3fn", "tool", "area"),
    ("float8_e4m3fn", "booth_heap", "area"),
    ("float8_e4m3fn", "booth_heap", "area_cells"),
    ("mxfp4_l4", "tool", "area"),
    ("posit8_0", "tool", "area"),
)
_HANDSHAKES = (("int8", None), ("float4_e2m1fn", None), ("float4_e2m1fn_l4", 4), ("mxfp4_l4", None))
_ARRAYS = (
    (ArrayKind.OUTPUT_STATIONARY, 2, 2, 10),
    (ArrayKind.WEIGHT_STATIONARY, 2, 2, 10),
    (ArrayKind.WEIGHT_STATIONARY, 3, 1, 11),
)
_FIRST = (
    ("int8", "tool"),
    ("int8", "booth_heap"),
    ("int8_l4", "dadda_heap"),
    ("int8_l4", "fast_heap"),
    ("int8_l4", "carry_save"),
    ("float8_e4m3fn", "tool"),
    ("float8_e4m3fn", "booth_heap"),
    ("float4_e2m1fn_l8", "dadda_heap"),
    ("mxfp4", "tool"),
    ("nvfp4", "tool"),
    ("posit8_0", "tool"),
    ("hopper_e4m3_e4m3_float32", "tool"),
    ("ternary", "tool"),
    ("binary", "tool"),
)
_UNITS = _FIRST + tuple((name, "tool") for name in SUITE if (name, "tool") not in _FIRST)
_Task = tuple[str, str, Callable[[], Proof]]  # name, the Verilog and the numbers that it depends on, how


def main() -> None:
    """Run and print."""
    kinds: dict[str, Callable[[argparse.Namespace], Iterator[_Task]]] = {
        "blocks": _blocks,
        "specifications": _specifications,
        "steps": _steps,
        "shells": _shells,
        "netlists": _netlists,
        "units": _units,
    }
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", default=list(kinds), metavar="kind")
    parser.add_argument("--only", default="", help="those with this in the name")
    parser.add_argument("--vectors", type=int, default=10_000_000, help="rows of a block or unit that is not exhausted")
    parser.add_argument("--seconds", type=float, default=120.0, help="limit of a SAT or SMT proof")
    parser.add_argument("--again", action="store_true", help="without the cache, as after a change of an oracle")
    options = parser.parse_args()
    if unknown := set(options.kinds) - set(kinds):
        parser.error(f"kind must be of {', '.join(kinds)}, not {', '.join(sorted(unknown))}")
    counts: dict[str, int] = {}
    total = 0.0
    for kind in options.kinds:
        for name, text, run in kinds[kind](options):
            if options.only not in name:
                continue
            proof, kept = _kept(kind, name, text, run, again=options.again)
            counts[proof.result] = counts.get(proof.result, 0) + 1
            total += proof.seconds
            line = f"{proof.name}: {proof.method}; {proof.size}; {proof.result}"
            line += f" ({proof.detail})" if proof.detail else ""
            print(f"{line}; {proof.seconds:.1f} s{', kept' if kept else ''}", flush=True)
    print(", ".join(f"{count} {result}" for result, count in sorted(counts.items())) + f"; {total:.0f} s of wall time")


def _kept(kind: str, name: str, text: str, run: Callable[[], Proof], *, again: bool) -> tuple[Proof, bool]:
    """Return a proof, from the cache if all that it depends on is the same and it came to an end there."""
    key = store.key(kind=kind, name=name, text=text)
    found = None if again else store.load("proofs", key)
    if found is not None and found["result"] != "not proved":
        return Proof(**found), True
    proof = run()
    store.save("proofs", key, asdict(proof))
    return proof, False


def _blocks(options: argparse.Namespace) -> Iterator[_Task]:
    """Compare every block with its oracle."""
    for name, block in blocks().items():
        text = parts_verilog({name: block.part()})[name]
        yield name, f"{text} {options.vectors}", partial(_block, block, text, options.vectors)


def _block(block: Any, text: str, vectors: int) -> Proof:
    started = time.perf_counter()
    method = "compiled, against the oracle"
    try:
        report = check_block(block, vectors=vectors, text=text)
    except VerificationError as error:
        return Proof(
            name=block.name, method=method, result="refuted", detail=str(error), seconds=time.perf_counter() - started
        )
    size = (
        f"all {report.vectors:,} operands" if report.exhaustive else f"{report.vectors:,} random and directed operands"
    )
    return Proof(
        name=block.name, method=method, result="proved" if report.exhaustive else "no difference", size=size,
        seconds=report.seconds,
    )  # fmt: skip


def _specifications(options: argparse.Namespace) -> Iterator[_Task]:
    """Prove the blocks that are too wide for all operands."""
    for name, block in blocks().items():
        text = parts_verilog({name: block.part()})[name]
        bits = sum(block.inputs.values())
        if block.specification and bits > EXHAUSTIVE_BITS:
            depends = text + block.specification
            yield name, depends, partial(prove_block, block, seconds=options.seconds)


def _steps(options: argparse.Namespace) -> Iterator[_Task]:
    """Prove the step or row sum of units with a heap."""
    for name in _STEPS:
        unit = named(name)
        for architecture in ARCHITECTURES.values():
            fixed = not unit.scales and isinstance(unit.accumulator, FixedAccumulator)
            if architecture.reduction != "heap" or (not fixed and architecture.accumulation != "binary"):
                continue
            prove = prove_step if fixed else prove_row
            text = rtl.core_verilog(unit, architecture=architecture)
            yield f"{name} {architecture.name}", text, partial(prove, unit, architecture)


def _shells(options: argparse.Namespace) -> Iterator[_Task]:
    """Prove the handshakes of shells and arrays for all cycles, and their values for the first ones."""
    for name, pipeline in _HANDSHAKES:
        unit = named(name)
        text = rtl.verilog(unit, pipeline=pipeline)
        what = f"{unit.name} shell, {rtl.latency(unit, pipeline)} ranks"
        yield _handshake(options, what, text, unit.name, shell_handshake(unit, pipeline=pipeline), 6)
    unit = named("int8")
    what = f"{unit.name} shell, values with a = 0"
    yield _handshake(options, what, rtl.verilog(unit), unit.name, shell_handshake(unit, values=True), 8)
    for kind, rows, columns, depth in _ARRAYS:
        geometry, unit = ArrayGeometry(kind=kind, rows=rows, columns=columns), named("int2_int8")
        text, top = rtl.array_verilog(geometry, unit), rtl.array_name(geometry, unit)
        yield _handshake(options, top, text, top, array_handshake(geometry, unit), 8)
        spec = array_handshake(geometry, unit, values=True)
        yield _handshake(options, f"{top}, values", text, top, spec, depth)
    for kind in (ArrayKind.OUTPUT_STATIONARY, ArrayKind.WEIGHT_STATIONARY):
        geometry, unit = ArrayGeometry(kind=kind, rows=4, columns=4), named("int8")
        text, top = rtl.array_verilog(geometry, unit), rtl.array_name(geometry, unit)
        yield _handshake(options, top, text, top, array_handshake(geometry, unit), 10)


def _handshake(options: argparse.Namespace, what: str, text: str, top: str, spec: Handshake, depth: int) -> _Task:
    """Return a proof by induction, or of the first cycles where values are compared."""
    induction = bool(spec.owed)
    run = partial(prove_handshake, what, text, top, spec, depth=depth, induction=induction, seconds=options.seconds)
    return what, f"{text} {depth} {spec} {'induction' if induction else 'bounded'}", run


def _netlists(options: argparse.Namespace) -> Iterator[_Task]:
    """Prove cores, a serial style and an array equal to their netlists in Nangate45."""
    for name, style, recipe in _NETLISTS:
        unit = named(name)
        text = rtl.core_verilog(unit, architecture=ARCHITECTURES[style])
        yield _mapped(options, f"{unit.name}, {style}", text, f"{unit.name}_core", recipe)
    # One of the units that truncate, of few lanes: SAT sweeping takes too long for the 32 lanes that GPUs have.
    unit = replace(named("hopper_e4m3_e4m3_float32"), lanes=4)
    yield _mapped(options, unit.name, rtl.core_verilog(unit), f"{unit.name}_core", "area")
    unit = named("int4")
    yield _mapped(
        options, f"{unit.name}, sparse_en_t", style_verilog(unit, "sparse_en_t"), f"{unit.name}_sparse_en_t", "area"
    )
    for kind in (ArrayKind.OUTPUT_STATIONARY, ArrayKind.WEIGHT_STATIONARY):
        geometry = ArrayGeometry(kind=kind, rows=2, columns=2)
        top = rtl.array_name(geometry, unit)
        yield _mapped(options, top, rtl.array_verilog(geometry, unit), top, "area")


def _mapped(options: argparse.Namespace, what: str, text: str, top: str, recipe: str) -> _Task:
    """Return the proof of a module and its netlist by a recipe."""
    technology = read("nangate45")
    assert isinstance(technology, Technology)
    what = f"{what}, RTL and Nangate45 netlist ({recipe})"

    def run() -> Proof:
        netlist = asic(text, top, technology, (recipe,)).results[0].netlist_verilog
        return prove_mapped(what, text, netlist, top, liberty(technology), seconds=options.seconds)

    return what, text + technology.digest, run


def _units(options: argparse.Namespace) -> Iterator[_Task]:
    """Compare shells with the kernels."""
    for name, style in _UNITS:
        unit = named(name)
        text = rtl.verilog(unit, architecture=ARCHITECTURES[style])
        run = partial(_unit, unit, style, text, options.vectors)
        yield f"{name} {style}", f"{text} {options.vectors}", run


def _unit(unit: DotProductUnit, style: str, text: str, rows: int) -> Proof:
    started = time.perf_counter()
    name, method = f"{unit.name}, {style}", "compiled, against the model"
    try:
        report = check_unit(unit, rows=rows, text=text)
    except VerificationError as error:
        return Proof(
            name=name, method=method, result="refuted", detail=str(error), seconds=time.perf_counter() - started
        )
    size = f"{report.rows:,} rows, {report.outputs:,} outputs of the {report.model}"
    if report.exhaustive:
        size += f", all pairs of {'numbers' if unit.lanes > 1 else 'operands'}"
    return Proof(name=name, method=method, result="no difference", size=size, seconds=report.seconds)


if __name__ == "__main__":
    main()
