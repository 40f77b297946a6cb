# SPDX-License-Identifier: Apache-2.0
"""Arrays of processing elements behind streams: systolic, broadcast, cube and adder tree."""

from rtl.arrays.array import Array, FlatArray, array_latency
from rtl.arrays.header import array_name
from rtl.arrays.layouts import beat_fields, output_fields
from rtl.arrays.verilog import array_verilog

__all__ = [
    "Array",
    "FlatArray",
    "array_latency",
    "array_name",
    "array_verilog",
    "beat_fields",
    "output_fields",
]
