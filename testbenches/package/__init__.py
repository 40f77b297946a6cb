# SPDX-License-Identifier: Apache-2.0
"""The folder that goes with Verilog to whoever receives it."""
