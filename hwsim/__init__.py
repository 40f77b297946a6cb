# SPDX-License-Identifier: Apache-2.0
"""Describe a multiply-accumulate unit once: what it computes bit for bit, its Verilog, its cost; and networks on it."""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hwsim import accelerator, allocation, datapath, formats, network, quantization, study
    from hwsim.report.notebook import figures as plot
    from hwsim.report.notebook.frames import table
    from hwsim.result import SimulationResult
    from hwsim.simulation import simulate

__all__ = [
    "SimulationResult",
    "accelerator",
    "allocation",
    "datapath",
    "formats",
    "network",
    "plot",
    "quantization",
    "simulate",
    "study",
    "table",
]

__version__ = "0.1.0"
_HOMES = {
    "SimulationResult": "hwsim.result",
    "simulate": "hwsim.simulation",
    "table": "hwsim.report.notebook.frames",
}
_MODULES = {"plot": "hwsim.report.notebook.figures"}


def __getattr__(name: str) -> Any:
    """Import a room when it is asked for, so that what needs the formats alone does not wait for the rest."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name in __all__:
        return import_module(_MODULES.get(name, f"hwsim.{name}"))
    raise AttributeError(f"module 'hwsim' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def load_ipython_extension(shell: Any) -> None:
    """Show units, formats, costs, networks and results as tables and drawings in a notebook: ``%load_ext hwsim``.

    To import hwsim while IPython runs does it, too.

    Parameters
    ----------
    shell : IPython.core.interactiveshell.InteractiveShell
    """
    import_module("hwsim.report.notebook").register(shell)


def _running_shell() -> Any:
    """Return IPython's shell, or None where none runs."""
    ipython = sys.modules.get("IPython")
    return None if ipython is None else ipython.get_ipython()


if (_shell := _running_shell()) is not None:
    load_ipython_extension(_shell)
