# SPDX-License-Identifier: Apache-2.0
"""Formats beside the libraries that have them: what was compared, and what differs."""

from hwsim.conformance.comparison import Verdict, conformance

__all__ = [
    "Verdict",
    "conformance",
]
