# SPDX-License-Identifier: Apache-2.0
"""What papers claim beside what we measure: the claims as data, our figures by function, a page of both."""

from hwsim.report.papers.beside import Beside, beside
from hwsim.report.papers.claims import Claim, Ours, Paper, Papers, read_papers
from hwsim.report.papers.page import page, write_page

__all__ = [
    "Beside",
    "Claim",
    "Ours",
    "Paper",
    "Papers",
    "beside",
    "page",
    "read_papers",
    "write_page",
]
