# SPDX-License-Identifier: Apache-2.0
"""Describe a multiply-accumulate unit once: what it computes bit for bit, its Verilog, its cost; and networks on it."""

__version__ = "0.1.0"
