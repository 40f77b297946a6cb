# SPDX-License-Identifier: Apache-2.0
"""The units that are verified from the oracle to the mapped netlist."""

__all__ = [
    "SUITE",
]

SUITE = (
    "int4",
    "int8",
    "int8_int16_sat",
    "float8_e4m3fn",  # into a 49-bit fixed point
    "float8_e4m3fn_float32",
    "float8_e5m2",  # into float32
    "float4_e2m1fn",
    "mxint8",
    "mxfp8_e4m3",
    "mxfp4",
    "nvfp4",
    "hopper_e4m3_e4m3_float32",
)
"""Names for `hwsim.datapath.named`: integers, floats into fixed point and float32, block formats, a truncating unit."""
