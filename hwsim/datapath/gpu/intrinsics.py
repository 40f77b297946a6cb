# SPDX-License-Identifier: Apache-2.0
"""The few operations of a GPU that Python has no operator for.

`add_max(a, b, c)` is max(a + b, c) of each half of a word, `dot4(a_signed, b_signed)` gives a function that adds the
products of the bytes of two words to a third, `add_odd` adds float64 rounded to odd; `SINGLE` and `DOUBLE` have those
of float32 and float64.
"""

from hwsim.datapath.gpu import simulated

if simulated():
    from hwsim.datapath.gpu.simulator import DOUBLE, SINGLE, add_max, add_odd, dot4
else:
    from hwsim.datapath.gpu.device import DOUBLE, SINGLE, add_max, add_odd, dot4

__all__ = [
    "DOUBLE",
    "SINGLE",
    "add_max",
    "add_odd",
    "dot4",
]
