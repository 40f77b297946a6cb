# SPDX-License-Identifier: Apache-2.0
"""Benches that run a unit's Verilog in a simulator and compare it bit for bit with the unit's model."""
