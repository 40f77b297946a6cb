# SPDX-License-Identifier: Apache-2.0
"""Results for people: tables on the terminal, and plots."""

from hwsim.report.costs import catalog_table, cost_tables
from hwsim.report.plots import check_plot_file, comparison_plot
from hwsim.report.tables import comparison_table, simulation_table

__all__ = [
    "catalog_table",
    "check_plot_file",
    "comparison_plot",
    "comparison_table",
    "cost_tables",
    "simulation_table",
]
