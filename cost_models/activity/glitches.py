# SPDX-License-Identifier: Apache-2.0
"""Bit-parallel unit-delay simulation of a mapped netlist: every transition counted, glitches too."""

from typing import ClassVar

from cost_models.activity.toggles import Simulator

__all__ = [
    "GlitchSimulator",
]


class GlitchSimulator(Simulator):
    """
    Simulate a netlist in which every gate takes one step of time, and count all transitions.

    Inputs and flip-flop outputs change together at step 0 of a cycle; a gate's output at step t is its function of its
    inputs at step t - 1 (transport delay), until nothing changes any more. `Trace.toggles` counts every change at
    every step. Outputs are the settled values, those of `Simulator`. All else is as there.

    Parameters
    ----------
    netlist : Netlist
    lanes : int
        At least 1; a multiple of 2048 is fast.

    Raises
    ------
    ValueError
        `lanes` is below 1.
    """

    _unit_delay: ClassVar[bool] = True
