# SPDX-License-Identifier: Apache-2.0
"""Cycles of the bit-serial unit in Verilog: those of an array of one such element."""

import numpy as np
import pytest

from hwsim import datapath
from hwsim.accelerator import ArrayKind, ArraySpec, Folds, schedule
from hwsim.network import MatmulShape
from rtl.units.styles import style_verilog
from testbenches.compiled import Compiled, to_limbs

_PATIENCE_CYCLES = 64


@pytest.mark.parametrize("name", ["int4_l2", pytest.param("int8", marks=pytest.mark.slow)])
def test_bit_serial_unit_takes_the_cycles_of_an_array_of_one(name: str) -> None:
    unit = datapath.named(name)
    compiled = Compiled(style_verilog(unit, "bit_serial"), f"{unit.name}_bit_serial")
    for rows in (1, 2, 7):
        source = np.random.default_rng(rows)
        fields = {"first": [1] + [0] * (rows - 1), "last": [0] * (rows - 1) + [1], "c": [0] * rows}
        for operand in ("a", "b"):
            fields[operand] = source.integers(0, 1 << unit.lanes * unit.element_a.bits, rows).tolist()
        compiled.reset()
        ports = {f"i_{key}": to_limbs(np.array(value, object), 64) for key, value in fields.items()}
        done = compiled.stream(ports, 1, patience_cycles=_PATIENCE_CYCLES)
        assert (done.accepted, done.given) == (rows, 1)
        product = MatmulShape(1, 1, rows * unit.lanes, 1)
        for folds in Folds:
            spec = ArraySpec(dataflow=ArrayKind.OUTPUT_STATIONARY, rows=1, columns=1, folds=folds, serial_bits=1)
            expected = schedule(spec, product, unit.width, 2, step_cycles=unit.element_a.bits)
            assert done.cycles - _PATIENCE_CYCLES == expected.cycles == rows * unit.element_a.bits + 3
