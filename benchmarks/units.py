# SPDX-License-Identifier: Apache-2.0
"""How fast matrix products run through units, bit for bit, beside float32 `numpy.matmul` and every installed library.

python -m benchmarks.units                       # all units, 1024 x 1024 x 1024, one thread and two; about ten minutes
python -m benchmarks.units hopper_e4m3 int8 --size 256 --threads 1 --no-peers
python -m benchmarks.units mxfp4 int8 --without avx512vnni,avxvnni    # as on a processor without these instructions
python -m benchmarks.units --cold --memory       # seconds of the first product of a process; memory while one runs

Speeds are 10**9 multiply-accumulates a second of wall time (GMAC/s), the median of five runs after a warm-up, in a
process of its own for each number of threads, our product and numpy's in turns. Before it is timed, a sample of the
result is compared with `dot_exact`: a wrong one has no speed. What takes longer than `--patience` gets fewer rows, a
library that takes longer than half a second a smaller product; a library's result is compared with ours.
"""

import argparse
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks import unit_costs, unit_tables
from benchmarks.unit_peers import PEERS, Operands, Peer
from hwsim import datapath, formats
from hwsim.conformance.reference import MissingReferenceError
from hwsim.datapath import DotProductUnit, FixedAccumulator, FloatAccumulator, Row, TruncatedAlignment
from hwsim.formats import BlockSpec, FloatSpec, Overflow

__all__ = [
    "main",
]

Array = NDArray[Any]

PAUSE = 0.05  # until the threads of the other's pool, which wait busily, are asleep
PEER_SECONDS = 0.5
VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


class Case(NamedTuple):
    """A line of the table.

    `target` is the speed asked of one core, `ratio` that over float32 `numpy.matmul`; `with_feature` a higher target
    where the processor has an instruction. `spread` is the deviation of normal operands, None for codes that are any
    finite ones; `peers` the kind of arithmetic in `PEERS`.
    """

    title: str
    unit: Callable[[], DotProductUnit]
    peers: str
    target: float | None = None
    ratio: float | None = None
    with_feature: tuple[str, float] | None = None
    spread: float | None = 1.0
    overflows: bool = False


def _named(name: str) -> Callable[[], DotProductUnit]:
    return lambda: datapath.named(name)


def _e6m9() -> DotProductUnit:
    """Return an E4M3 MAC whose register has 6 exponent and 9 mantissa bits."""
    register, unit = formats.named("float16_e6m9"), datapath.named("float8_e4m3fn_float16")
    assert isinstance(register, FloatSpec)
    assert isinstance(unit.accumulator, FloatAccumulator)
    accumulator = dataclasses.replace(unit.accumulator, format=register, result_man_bits=9)
    return dataclasses.replace(unit, accumulator=accumulator, output=register)


def _tensor_core(name: str) -> Callable[[], DotProductUnit]:
    """Return Hopper's unit for 16-bit floats: 16 products and C cut at 25 fraction bits, a full float32 result."""

    def unit() -> DotProductUnit:
        spec, fp8 = formats.named(name), datapath.named("hopper_e4m3_e4m3_float32")
        assert isinstance(spec, FloatSpec)
        assert isinstance(fp8.accumulator, FloatAccumulator)
        assert isinstance(fp8.alignment, TruncatedAlignment)
        alignment = dataclasses.replace(fp8.alignment, fraction_bits=25)
        accumulator = dataclasses.replace(fp8.accumulator, result_man_bits=23)
        return dataclasses.replace(fp8, a=spec, b=spec, lanes=16, alignment=alignment, accumulator=accumulator)

    return unit


def _quire(name: str, bits: int) -> Callable[[], DotProductUnit]:
    """Return a MAC with a quire: of 16 * 8 bits in the Posit Standard (2022), of 32 in SoftPosit's posit8."""

    def unit() -> DotProductUnit:
        mac = datapath.named(name)
        quire = FixedAccumulator(bits=bits, fraction_bits=-mac.product_exp_min, overflow=Overflow.WRAP)
        return dataclasses.replace(mac, accumulator=quire)

    return unit


CASES = {
    "chain_e4m3": Case("float32 chain, E4M3", _named("float8_e4m3fn_l1_float32"), "chain", 40, 0.65, spread=None),
    "chain_float32": Case("float32 chain, float32", _named("float32_float32"), "chain_wide", 40, 0.65),
    "hopper_e4m3": Case("Hopper tensor core, E4M3", _named("hopper_e4m3_e4m3_float32"), "truncated", 12, 0.2),
    "hopper_float16": Case("Hopper tensor core, float16", _tensor_core("float16"), "float16"),
    "hopper_bfloat16": Case("Hopper tensor core, bfloat16", _tensor_core("bfloat16"), "bfloat16"),
    "float16": Case("float16 register, E4M3", _named("float8_e4m3fn_float16"), "half", 13, 0.2, ("avx512fp16", 120)),
    "float16_few": Case("float16 register, few overflows", _named("float8_e4m3fn_float16"), "", 8, overflows=True),
    "float16_all": Case("float16 register, all codes", _named("float8_e4m3fn_float16"), "", 8, spread=None),
    "e6m9": Case("E6M9 register, E4M3", _e6m9, "odd", 13, 0.2),
    "bfloat16": Case("bfloat16 register, E4M3", _named("float8_e4m3fn_bfloat16"), "rounded", 13, 0.2),
    "exact_e4m3": Case("exact sum, E4M3", _named("float8_e4m3fn"), "exact", 28, 0.45, spread=None),
    "mxfp4": Case("MXFP4, exact blocks, float32", _named("mxfp4"), "blocks", 38, 0.6, ("vnni", 120)),
    "nvfp4": Case("NVFP4, exact blocks, float32", _named("nvfp4"), "blocks"),
    "int8": Case("INT8 into INT32", _named("int8"), "integer", None, None, ("vnni", 180), None),
    "int8_sat": Case("INT8 into INT16, saturating", _named("int8_int16_sat"), "saturating", 80, spread=None),
    "posit8_2": Case("posit8 (es 2) quire", _quire("posit8_2", 128), "quire", 2.4),
    "posit8_0": Case("posit8 (es 0) quire", _quire("posit8_0", 32), "quire", 2.4),
}


def features() -> set[str]:
    """Return the processor's features that kernels are compiled for, by LLVM's names."""
    given = os.environ.get("NUMBA_CPU_FEATURES")
    if given is not None:
        return {name[1:] for name in given.split(",") if name.startswith("+")}
    host = import_module("llvmlite.binding").get_host_cpu_features()
    return {name for name, present in host.items() if present}


def target(case: Case) -> float | None:
    """Return the speed asked of one core of this processor."""
    if case.with_feature is not None and any(case.with_feature[0] in feature for feature in features()):
        return case.with_feature[1]
    return case.target


def operands(case: Case, size: int) -> Operands:
    """Return square operands; of block formats quantized along K."""
    rng, unit = np.random.default_rng(0), case.unit()
    # Sums whose deviation is 0.4 of float16's largest number: one of some hundred passes it.
    spread = (0.4 * 65504 / size**0.5) ** 0.5 if case.overflows else case.spread
    parts: list[tuple[Array, Array | None]] = []
    for spec, element, axis in ((unit.a, unit.element_a, 1), (unit.b, unit.element_b, 0)):
        if spread is None:
            codes = np.arange(1 << element.bits)
            finite = codes[np.isfinite(element.decode(codes))].astype(np.min_scalar_type(len(codes) - 1))
            parts.append((rng.choice(finite, (size, size)), None))
            continue
        values = rng.standard_normal((size, size), dtype=np.float32) * np.float32(spread)
        if isinstance(spec, BlockSpec):
            # Blocks of unlike sizes, or every order of their sums would give the same bits.
            blocks = (size // spec.block_size, size)
            exponents = rng.integers(-6, 7, blocks if axis == 0 else blocks[::-1])
            values *= np.exp2(exponents.repeat(spec.block_size, axis=axis)).astype(np.float32)
            quantized = formats.quantize(values, spec, axis=axis)
            parts.append((quantized.codes, quantized.scales))
        else:
            parts.append((element.encode(values), None))
    return Operands(unit, parts[0][0], parts[1][0], parts[0][1], parts[1][1])


def expected(given: Operands, row: int, column: int) -> int:
    """Return the oracle's code of one output."""
    unit, depth = given.unit, given.a.shape[1]
    rows = []
    for at in range(0, depth, unit.lanes):
        scales = [
            int(codes[at // spec.block_size])
            for spec, codes in (
                (unit.a, None if given.a_scales is None else given.a_scales[row]),
                (unit.b, None if given.b_scales is None else given.b_scales[:, column]),
            )
            if codes is not None and isinstance(spec, BlockSpec)
        ]
        a, b = given.a[row, at : at + unit.lanes].tolist(), given.b[at : at + unit.lanes, column].tolist()
        last = at + unit.lanes >= depth
        rows.append(Row(first=at == 0, last=last, a=tuple(a), b=tuple(b), scales=tuple(scales)))
    return datapath.dot_exact(unit, rows)[0]


def check(given: Operands, result: Array, samples: int) -> tuple[int, int]:
    """Return how many outputs of a sample differ from the oracle's, and how many were compared."""
    rng = np.random.default_rng(1)
    rows, columns = result.shape
    points = {(0, 0), (0, columns - 1), (rows - 1, 0), (rows - 1, columns - 1)}
    points |= {(int(rng.integers(rows)), int(rng.integers(columns))) for _ in range(samples - len(points))}
    return sum(int(result[at]) != expected(given, *at) for at in points), len(points)


def timed(run: Callable[[], Any]) -> float:
    """Return the seconds of one call."""
    time.sleep(PAUSE)
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def rate(given: Operands, seconds: float) -> float:
    """Return GMAC/s."""
    return given.a.size * len(given.b.T) / seconds / 1e9


def fitting(given: Operands, patience: float) -> Operands:
    """Return as many rows as take about `patience` seconds."""
    size = len(given.a)
    small = given.cut(min(32, size), size, size)
    small.multiply()
    per_row = timed(small.multiply) / len(small.a)
    rows = size
    while rows > 32 and rows * per_row > patience:
        rows //= 2
    return given.cut(rows, size, size)


def measure(key: str, options: argparse.Namespace) -> dict[str, Any]:
    """Check and time one case in this process."""
    case, size = CASES[key], options.size
    line: dict[str, Any] = {"case": key, "title": case.title, "unit": case.unit().name}
    line |= {"target": target(case), "target_ratio": case.ratio}
    whole = operands(case, size)
    choose = getattr(datapath, "choose", None)
    try:
        path = None if choose is None else choose(whole.unit, size)
        given = fitting(whole, options.patience)
        result = given.multiply()
    except ValueError as error:  # a unit that is too wide for every path
        return line | {"reason": str(error)}
    line |= {"path": getattr(path, "name", "-"), "proof": getattr(path, "proof", "-")}
    line |= {"shape": [len(result), size, size], "crc": zlib.crc32(result.tobytes())}
    line["wrong"], line["checked"] = check(given, result, options.samples)
    if line["wrong"]:
        return line | {"reason": f"{line['wrong']} of {line['checked']} outputs are wrong"}
    rng = np.random.default_rng(0)
    x, y = (rng.standard_normal((size, size), dtype=np.float32) for _ in range(2))
    ours, numpys = [], []
    np.matmul(x, y)
    for _ in range(options.runs):
        ours.append(timed(given.multiply))
        numpys.append(timed(lambda: np.matmul(x, y)))
    line["gmacs"], line["numpy_gmacs"] = rate(given, statistics.median(ours)), rate(whole, statistics.median(numpys))
    line["peers"] = [] if options.no_peers else list(_peers(case, whole, options))
    return line


def _peers(case: Case, whole: Operands, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Fit, check and time what can be set beside a case."""
    for make in PEERS.get(case.peers, ()):
        size = min(32, options.size)
        try:
            while True:
                given = whole.cut(size, size, size)
                peer: Peer = make(given, options.threads[0])
                peer.run()
                result = peer.run()
                if size * 2 > options.size or timed(peer.run) * 8 > PEER_SECONDS:
                    break
                size *= 2
            seconds = statistics.median(timed(peer.run) for _ in range(options.runs))
        except (ArithmeticError, AssertionError, MissingReferenceError, RuntimeError, TypeError, ValueError) as error:
            name = getattr(make, "func", make).__name__
            yield {"library": name, "reason": f"{type(error).__name__}: {error}".splitlines()[0]}
            continue
        output = given.unit.output
        ours = peer.round_ours(output.decode(given.multiply()))
        theirs = np.asarray(peer.values(result)).astype(np.float64)
        differ = int(((ours != theirs) & ~(np.isnan(ours) & np.isnan(theirs))).sum())
        line = {"library": peer.library, "same": peer.same, "gmacs": rate(given, seconds), "size": size}
        yield line | {"differ": differ, "of": ours.size}


def spawn(arguments: list[str], environment: dict[str, str]) -> Iterator[dict[str, Any]]:
    """Run a module of the benchmarks in a process of its own and yield the JSON lines among what it prints."""
    command = [sys.executable, "-m", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | environment) as process:
        assert process.stdout is not None
        for text in process.stdout:
            if text.startswith("{"):
                yield json.loads(text)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")


def worker(options: argparse.Namespace) -> None:
    """Measure the cases on the threads that this process was started with, a JSON line each."""
    for key in options.cases:
        line = measure(key, options)
        shown = f"{line['gmacs']:.2f} GMAC/s" if "gmacs" in line else line["reason"]
        print(f"{options.threads[0]} threads, {key}: {shown}", file=sys.stderr)
        print(json.dumps(line), flush=True)


def speeds(options: argparse.Namespace) -> dict[str, dict[int, dict[str, Any]]]:
    """Return the lines of each case by number of threads."""
    lines: dict[str, dict[int, dict[str, Any]]] = {key: {} for key in options.cases}
    for threads in options.threads:
        environment = dict.fromkeys(VARIABLES, str(threads))
        if options.without:
            environment["NUMBA_CPU_FEATURES"] = _features_without(options.without)
        arguments = ["benchmarks.units", *options.cases, "--worker", "--threads", str(threads)]
        for name in ("size", "runs", "samples", "patience"):
            arguments += [f"--{name}", str(getattr(options, name))]
        if options.no_peers:
            arguments.append("--no-peers")
        for line in spawn(arguments, environment):
            lines[line["case"]][threads] = line
    return lines


def _features_without(names: list[str]) -> str:
    host = import_module("llvmlite.binding").get_host_cpu_features()
    return ",".join(f"{'+' if on and name not in names else '-'}{name}" for name, on in sorted(host.items()))


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def _names(text: str) -> list[str]:
    return text.split(",")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", help=f"of {', '.join(CASES)}; all if none is given")
    parser.add_argument("--size", type=int, default=1024, help="rows, columns and depth, a multiple of 32")
    parser.add_argument("--threads", type=_numbers, default=[1, 2], help="numbers with commas between: 1,2")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--samples", type=int, default=16, help="outputs that are compared with the oracle")
    parser.add_argument("--patience", type=float, default=4.0, help="seconds that one product may take")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument(
        "--without", type=_names, default=[], help="features of the processor not to use, by LLVM's names"
    )
    parser.add_argument("--cold", action="store_true", help="the first product in a fresh process")
    parser.add_argument("--memory", action="store_true", help="the memory that a product takes")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    unknown = [key for key in options.cases if key not in CASES]
    if unknown:
        parser.error(f"cases must be of {', '.join(CASES)}, not {', '.join(unknown)}")
    if options.size < 32 or options.size % 32:
        parser.error(f"--size must be a multiple of 32, not {options.size}")
    options.cases = options.cases or list(CASES)
    return options


def main() -> None:
    """Print the table, or what is asked for."""
    options = arguments()
    if options.worker:
        worker(options)
        return
    report: dict[str, Any] = {"size": options.size, "features": sorted(features() - set(options.without))}
    if options.cold:
        report["cold"] = unit_costs.cold(options.size)
    if options.memory:
        report["memory"] = unit_costs.memory(options.size)
    if not (options.cold or options.memory):
        report["speed"] = speeds(options)
    if options.json:
        print(json.dumps(report, indent=1))
        return
    if "speed" in report:
        unit_tables.show_speeds(report["speed"], options.size)
    if "cold" in report:
        unit_tables.show_cold(report["cold"])
    if "memory" in report:
        unit_tables.show_memory(report["memory"])


if __name__ == "__main__":
    main()
