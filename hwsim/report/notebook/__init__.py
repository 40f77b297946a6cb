# SPDX-License-Identifier: Apache-2.0
"""hwsim in notebooks: rich outputs, interactive figures (``hwsim.plot``) and tables for other libraries."""

from functools import partial
from importlib import import_module
from typing import Any

__all__ = [
    "register",
]

_REPRS = "hwsim.report.notebook.reprs"
_FORMATS = ("integer.IntegerSpec", "float.FloatSpec", "posit.PositSpec", "codebook.CodebookSpec", "block.BlockSpec")
_SHOWN = {
    ("hwsim.datapath.unit", "DotProductUnit"): "unit_html",
    **{(f"hwsim.formats.{module}", name): "format_html" for module, name in (each.split(".") for each in _FORMATS)},
    ("cost_models.cost", "Cost"): "cost_html",
    ("hwsim.network.graph", "Network"): "network_html",
    ("hwsim.accelerator.spec", "Accelerator"): "accelerator_html",
    ("hwsim.result", "SimulationResult"): "result_html",
    ("hwsim.study.evaluation", "Evaluation"): "evaluation_html",
    ("hwsim.study.comparison", "Comparison"): "comparison_html",
}
_TEXTS = {
    ("hwsim.network.graph", "Network"): "network_text",
    ("hwsim.result", "SimulationResult"): "result_text",
    ("hwsim.study.evaluation", "Evaluation"): "evaluation_text",
}
_DISPLAYED = {("hwsim.study.comparison", "Comparison"): "show_comparison"}


def register(shell: Any) -> None:
    """Tell an IPython shell how hwsim's objects are shown; nothing is imported until one is.

    Parameters
    ----------
    shell : IPython.core.interactiveshell.InteractiveShell
        ``get_ipython()``. In a terminal, where no HTML is shown, long objects are told in a line.
    """
    formatters = shell.display_formatter.formatters
    for (module, name), function in _SHOWN.items():
        formatters["text/html"].for_type_by_name(module, name, partial(_shown, function))
    for (module, name), function in _TEXTS.items():
        formatters["text/plain"].for_type_by_name(module, name, partial(_told, function))
    if hasattr(shell, "kernel"):  # there, outputs can be several
        for (module, name), function in _DISPLAYED.items():
            shell.display_formatter.ipython_display_formatter.for_type_by_name(module, name, partial(_shown, function))


def _shown(function: str, what: Any) -> Any:
    return getattr(import_module(_REPRS), function)(what)


def _told(function: str, what: Any, printer: Any, cycle: bool) -> None:
    printer.text("..." if cycle else _shown(function, what))
