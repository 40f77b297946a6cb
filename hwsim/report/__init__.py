# SPDX-License-Identifier: Apache-2.0
"""Results for people: tables on the terminal, and plots."""

from hwsim.report.costs import catalog_table, cost_tables
from hwsim.report.layers import errors_table, explanations, simulation_table, simulation_tables
from hwsim.report.plots import check_plot_file
from hwsim.report.roofline import roofline_plot
from hwsim.report.timeline import timeline_plot
from hwsim.report.trace import check_trace_file, write_trace

__all__ = [
    "catalog_table",
    "check_plot_file",
    "check_trace_file",
    "cost_tables",
    "errors_table",
    "explanations",
    "roofline_plot",
    "simulation_table",
    "simulation_tables",
    "timeline_plot",
    "write_trace",
]
