# SPDX-License-Identifier: Apache-2.0
"""A comparison as one HTML file: pictures, table, diagrams and sources, opened in a browser without any network."""

from hwsim.report.page.writing import write_page

__all__ = [
    "write_page",
]
