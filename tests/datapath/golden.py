# SPDX-License-Identifier: Apache-2.0
"""Outputs of real matrix instructions, and how many of them the catalogued units give bit for bit.

`benchmarks/golden.py` prints the counts of all of them; the tests of hardware units load this file.
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim.datapath import DotProductUnit, matmul, named

__all__ = [
    "HERE",
    "Case",
    "Tile",
    "cases",
    "chosen",
    "count",
    "cublas",
    "few",
    "hopper",
    "main",
    "mismatches",
    "other_gpus",
    "sample",
]

HERE = Path(__file__).resolve().parent

_Codes = NDArray[np.unsignedinteger]
_Matmul = Callable[..., _Codes]

_ARCHITECTURES = {
    "V100": "volta",
    "A100": "ampere",
    "A2": "ampere",
    "L40S": "ada",
    "Ada": "ada",
    "H100": "hopper",
    "H200": "hopper",
    "B200": "blackwell",
}
_SHAPES = {"V100": "m8n8k4", "tf32": "m16n8k4", "E4M3": "m16n8k32", "E5M2": "m16n8k32"}
_SPLITS = {256: 64, 512: 64, 2048: 128, 1024: 0}  # by K: into what parts cuBLAS cut tf32 products
_ROWS = 32  # dot products of their own that run as one product of matrices, of which the diagonal counts


class Tile(NamedTuple):
    """One product: (M, K), (K, N), (M, N) or None for zeros, (M, N); or, with d one-dimensional, n dot products.

    Then a is (n, K), b (K, n) and c (n,).
    """

    a: _Codes
    b: _Codes
    c: _Codes | None
    d: _Codes


class Case(NamedTuple):
    """Captured outputs: from where, the catalogued unit that must give them, and the products."""

    group: str
    unit: str
    tiles: list[Tile]


def hopper(folder: Path) -> Iterator[Case]:
    """Read every instruction of an H200, and the chains of four."""
    for path in sorted(folder.glob("*.npz")):
        if path.stem == "gemm_cublas":
            continue
        with np.load(path) as file:
            data = {key: file[key] for key in file.files}
        a, b, c = (data[key] for key in "abc")
        for at, (instruction, length) in enumerate(zip(data["instr"], data["instr_k"], strict=True)):
            tiles = [Tile(a[t, :, :length], b[t, :length], c[t], data["d"][t, at]) for t in range(len(a))]
            yield Case(path.stem, f"hopper_{instruction}", tiles)
            if "d_chain" in data and str(instruction).startswith("wgmma"):
                chains = []
                for t, d in enumerate(data["d_chain"]):
                    four = range(4 * t, 4 * t + 4)
                    left = np.concatenate([a[i, :, :length] for i in four], axis=1)
                    right = np.concatenate([b[i, :length] for i in four], axis=0)
                    chains.append(Tile(left, right, c[4 * t], d))
                yield Case(f"{path.stem} chains", f"hopper_{instruction}", chains)


def cublas(path: Path) -> Iterator[Case]:
    """Read the first 32 x 32 outputs of whole products of cuBLAS."""
    endings = {
        "fast1_f32": "e4m3_fast_float32",
        "fast0_f32": "e4m3_slow_float32",
        "fast0_bf16": "e4m3_slow_bfloat16",
    }
    full = {"f16": "float16", "bf16": "bfloat16", "f32": "float32"}
    with np.load(path) as file:
        data = {key: file[key] for key in file.files if key != "kernels"}
    for key, d in data.items():
        operand, shape, ending = key.split("_", 2)
        if ending in ("a", "bT"):
            continue
        a, b = data[f"{operand}_{shape}_a"], data[f"{operand}_{shape}_bT"].T
        part = _SPLITS[a.shape[1]] if operand == "tf32" else 0
        split = f"split{part}_" if part else ""
        name = endings.get(ending) or f"{operand}_{split}{full[ending]}"
        yield Case(path.stem, f"cublas_hopper_{name}", [Tile(a, b, None, d)])


def other_gpus(path: Path) -> Iterator[Case]:
    """Read the dot products that Khattak and Mikaitis captured on eight GPUs."""
    with np.load(path) as file:
        data = {key: file[key] for key in file.files if key not in ("license", "source")}
    for key, d in data.items():
        gpu, operand, *ending = key.split("_")
        if ending[0] != "d":
            continue
        a, b, c = (data[f"{gpu}_{operand}_{part}"] for part in "abc")
        yield _rows(path.stem, _unit_of(gpu, operand, ending[1]), a, b, _start(gpu, operand, ending[1], c), d)


def _unit_of(gpu: str, operand: str, output: str) -> str:
    """Return the unit whose outputs these are."""
    d = {"fp32": "f32", "fp16": "f16"}[output]
    architecture = _ARCHITECTURES[gpu]
    x = operand.lower().replace("fp", "f")
    if operand in ("E4M3", "E5M2"):
        x = f"{x}_{x}"
        if architecture == "hopper" and d == "f32":  # these are of wgmma, whose C was zero (their Validate_TC_models.m)
            return f"hopper_wgmma_m64n8k32_{d}_{x}"
    shape = _SHAPES.get(gpu) or _SHAPES.get(operand)
    if shape is None:
        shape = "m16n8k16" if architecture in ("hopper", "blackwell") else "m16n8k8"
    return f"{architecture}_mma_{shape}_{d}_{x}"


def _start(gpu: str, operand: str, output: str, c: _Codes) -> _Codes:
    """Return C as it entered: rounded to float16 for such an output, and zero where it was left out."""
    if gpu in ("H100", "H200") and operand in ("E4M3", "E5M2") and output == "fp32":
        return np.zeros_like(c)
    return c.view(np.float32).astype(np.float16).view(np.uint16) if output == "fp16" else c


def _rows(group: str, unit: str, a: _Codes, b: _Codes, c: _Codes, d: _Codes) -> Case:
    parts = [slice(at, at + _ROWS) for at in range(0, len(d), _ROWS)]
    return Case(group, unit, [Tile(a[part], b[part].T, c[part], d[part]) for part in parts])


def sample(path: Path) -> Iterator[Case]:
    """Read a file of dot products kept in the repository: keys end in ``:a``, ``:b``, ``:c`` and ``:d``."""
    with np.load(path) as file:
        data = {key: file[key] for key in file.files}
    for key in data:
        stem, _, ending = key.partition(":")
        if ending == "d":
            yield _rows(path.stem, stem.partition(" ")[0], *(data[f"{stem}:{part}"] for part in "abcd"))


def mismatches(unit: DotProductUnit, tile: Tile, multiply: _Matmul = matmul) -> NDArray[np.bool_]:
    """Return where a unit gives other bits."""
    if tile.d.ndim == 2:
        found = multiply(unit, tile.a, tile.b, tile.c)
    else:
        assert tile.c is not None
        start = np.repeat(tile.c[:, None], len(tile.c), axis=1)
        found = np.diagonal(multiply(unit, tile.a, tile.b, start))
    assert found.shape == tile.d.shape
    return np.asarray(found != tile.d)


def chosen(case: Case, stride: int) -> Case:
    """Return the first of every `stride` products."""
    return case._replace(tiles=case.tiles[::stride])


def few(case: Case, rows: int) -> Case:
    """Return the first so many dot products of a sample's case."""
    a, b, c, d = case.tiles[0]
    assert c is not None
    return case._replace(tiles=[Tile(a[:rows], b[:, :rows], c[:rows], d[:rows])])


def count(case: Case, multiply: _Matmul = matmul) -> tuple[int, int]:
    """Return how many outputs were compared, and how many differ."""
    unit = named(case.unit)
    wrong = [mismatches(unit, tile, multiply) for tile in case.tiles]
    return sum(part.size for part in wrong), int(sum(part.sum() for part in wrong))


def cases(folder: Path) -> Iterator[Case]:
    """Read everything in the folder of vectors."""
    yield from hopper(folder / "hopper_h200")
    yield from cublas(folder / "hopper_h200" / "gemm_cublas.npz")
    yield from other_gpus(folder / "other_gpus" / "vectors.npz")


def main(folder: Path, report: Callable[[str], Any] = print) -> int:
    """Compare everything, report a line a case and the totals, and return the number of mismatches."""
    totals: dict[str, list[int]] = {}
    for case in cases(folder):
        compared, wrong = count(case)
        report(f"{case.group:<20}{case.unit:<44}{compared:>9,} compared {wrong:>7,} differ")
        for key in (case.group.partition(" ")[0] if case.group in ("gemm_cublas", "vectors") else "hopper_h200", "all"):
            total = totals.setdefault(key, [0, 0, 0])
            for at, add in enumerate((1, compared, wrong)):
                total[at] += add
    for key, (number, compared, wrong) in sorted(totals.items(), key=lambda item: item[1][1]):
        report(f"{key}: {number} cases, {compared:,} outputs compared, {wrong:,} differ")
    return totals["all"][2]


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])) != 0)
