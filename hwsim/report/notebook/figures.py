# SPDX-License-Identifier: Apache-2.0
"""Interactive figures, as `plotly.graph_objects.Figure`: of comparisons, costs, layers, formats and simulations.

They are reached as ``hwsim.plot``; what is shown stays the caller's to change (``figure.update_layout(...)``).
"""

from hwsim.report.notebook.pareto import pareto_figure
from hwsim.report.notebook.parts import energy_figure, layer_heatmap, stage_figure
from hwsim.report.notebook.single import format_figure, roofline_figure

__all__ = [
    "energy_figure",
    "format_figure",
    "layer_heatmap",
    "pareto_figure",
    "roofline_figure",
    "stage_figure",
]
