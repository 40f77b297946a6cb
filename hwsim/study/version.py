# SPDX-License-Identifier: Apache-2.0
"""The version of the model: a digest of all that decides a result, so that results of another are told apart."""

import hashlib
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

import cost_models
import hwsim
import rtl

__all__ = [
    "model_digest",
    "model_version",
]

_ROOMS = ("formats", "data", "datapath", "network", "accelerator", "simulation", "operands", "quantization")
_FILES = ("prices.py", "ranking.py", "result.py", "jobs/inputs.py", "jobs/simulation.py")
_STUDY = ("cases.py", "checks.py", "evaluation.py", "machine.py", "point.py", "quantities.py", "units.py", "values.py")
_COSTS = ("closed_forms", "fitted", "measured", "memory", "technologies")
_SUFFIXES = (".py", ".csv", ".json", ".toml", ".onnx", ".npz")
_PACKAGES = ("numba", "numpy", "onnx", "scipy")


@lru_cache(maxsize=1)
def model_digest() -> str:
    """Return the SHA-256 of the sources and tables of the package that decide an evaluation, and of what they use.

    Formats, datapaths, networks, accelerators, quantization, prices and their measured tables; not reports, commands
    or how results are kept. Read once a process.
    """
    total = hashlib.sha256()
    for package in _PACKAGES:
        total.update(f"{package} {version(package)}\n".encode())
    for label, path in _files():
        total.update(f"{label}\n".encode())
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def model_version() -> str:
    """Return the package's version with the first digits of the digest, for people to read."""
    return f"{hwsim.__version__} ({model_digest()[:12]})"


def _files() -> list[tuple[str, Path]]:
    """Return the files in order, each with its place in the packages."""
    top, costs, generated = (Path(str(module.__file__)).parent for module in (hwsim, cost_models, rtl))
    found = [top / name for name in _FILES] + [top / "study" / name for name in _STUDY]
    found += [path for room in _ROOMS for path in _tables(top / room)]
    found += sorted(costs.glob("*.py")) + [path for room in _COSTS for path in _tables(costs / room)]
    found += _tables(generated)
    roots = [top.parent, costs.parent, generated.parent]
    return [
        (next(path.relative_to(root).as_posix() for root in roots if path.is_relative_to(root)), path) for path in found
    ]


def _tables(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix in _SUFFIXES and path.is_file())
