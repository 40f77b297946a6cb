# SPDX-License-Identifier: Apache-2.0
from typing import Any

import numpy as np
import pytest

from hwsim.datapath import DotProductUnit, ExactAlignment, FixedAccumulator, Sparsity, matmul_phases
from hwsim.formats import IntegerSpec, Overflow
from hwsim.formats.codebook import TERNARY
from rtl.units.phases import PhaseStep, blocks
from rtl.units.step_core import StepCore, Streams

BLOCKS = [
    pytest.param(block, id=block.name, marks=pytest.mark.slow if "heap" in block.name else ()) for block in blocks()
]


@pytest.mark.parametrize("block", BLOCKS)
def test_phases_equals_oracle(block: Any, run_block: Any) -> None:
    assert run_block(block, 500) == 500


def test_phases_stream_equals_matmul(run_rows: Any) -> None:
    lanes, steps, sums = 4, 3, 20
    register = FixedAccumulator(bits=32, fraction_bits=0, overflow=Overflow.WRAP)
    unit = DotProductUnit(
        a=TERNARY,
        b=IntegerSpec(bits=8),
        lanes=lanes,
        alignment=ExactAlignment(),
        accumulator=register,
        output=register.format,
        overflow=Overflow.WRAP,
        sparsity=Sparsity(kept=1, of=2),
    )
    generator = np.random.default_rng(3)
    phases = generator.integers(0, 4, (1, lanes * steps))
    parts = generator.integers(0, 256, (2, lanes * steps, sums))
    parts[:, :, 0] = 0x80
    real, imag = (codes.astype(np.int64)[0] for codes in matmul_phases(unit, phases, *parts))
    rows = []
    for column in range(sums):
        for step in range(steps):
            here = slice(step * lanes, (step + 1) * lanes)
            row = {"first": int(step == 0), "last": int(step == steps - 1), "c": 0}
            row["w"] = sum(int(code) << 2 * lane for lane, code in enumerate(phases[0, here]))
            for name, codes in zip(("re", "im"), parts, strict=True):
                row[name] = sum(int(code) << 8 * lane for lane, code in enumerate(codes[here, column]))
            rows.append(row)
    seen = run_rows(Streams(StepCore(PhaseStep(lanes))), rows, sums)
    assert seen == [int(r) % (1 << 32) | int(i) % (1 << 32) << 32 for r, i in zip(real, imag, strict=True)]


def test_phases_conjugate_by_hand() -> None:
    """conj(3 + 5i) * i = 5 + 3i, and (3 + 5i) * i = -5 + 3i."""
    plain, conjugate = blocks()[0], blocks()[2]
    ports = {name: np.array([code], dtype=object) for name, code in {"w": 1, "re": 3, "im": 5, "base": 0}.items()}
    assert int(conjugate.oracle(**ports)["following"][0]) == 5 | 3 << 32
    assert int(plain.oracle(**ports)["following"][0]) == (1 << 32) - 5 | 3 << 32


def test_phases_register_bits_wrong() -> None:
    with pytest.raises(ValueError, match=r"^register_bits must be in 10\.\.64, not 9$"):
        PhaseStep(4, 8, 9)
