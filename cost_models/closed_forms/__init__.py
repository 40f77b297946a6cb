# SPDX-License-Identifier: Apache-2.0
"""Costs that papers state as formulas: for comparison with what is measured, never in its place."""

__all__: list[str] = []
