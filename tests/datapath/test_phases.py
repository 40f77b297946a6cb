# SPDX-License-Identifier: Apache-2.0
import dataclasses

import numpy as np
import pytest

from hwsim import formats
from hwsim.datapath import DotProductUnit, FixedAccumulator, Sparsity, matmul_phases, named
from hwsim.formats import FloatSpec, Overflow, PhaseSpec

_ONE_OF_TWO = Sparsity(kept=1, of=2)


def _float(name: str) -> FloatSpec:
    spec = formats.named(name)
    assert isinstance(spec, FloatSpec)
    return spec


def _unit(name: str) -> DotProductUnit:
    return dataclasses.replace(named(name), sparsity=_ONE_OF_TWO)


def test_phases_integers_are_complex_products() -> None:
    generator = np.random.default_rng(5)
    phases = generator.integers(0, 4, (6, 37)).astype(np.uint8)
    x = generator.integers(-128, 128, (2, 37, 9))
    c = generator.integers(-1000, 1000, (2, 6, 9))
    wide = _float("float32")
    real, imag = matmul_phases(
        _unit("ternary_by_int8_l4_int32"), phases, *(x & 0xFF).astype(np.uint8), *(c & 0xFFFFFFFF).astype(np.uint32)
    )
    exact = PhaseSpec().decode(phases) @ (x[0] + 1j * x[1]) + c[0] + 1j * c[1]  # small integers, exact in float64
    assert wide.decode(real).tolist() == exact.real.tolist()
    assert wide.decode(imag).tolist() == exact.imag.tolist()


def test_phases_other_part_does_not_enter() -> None:
    # With w = 1 the imaginary part of x has no path to the real part of d, and may be infinite.
    float16 = _float("float16")
    infinite, two = int(float16.encode(np.inf, overflow="infinity")), int(float16.encode(2.0))
    real, imag = matmul_phases(_unit("ternary_by_float16_l2_float32"), [[0]], [[two]], [[infinite]])
    float32 = _float("float32")
    assert float32.decode(real).tolist() == [[2.0]]
    assert float32.decode(imag).tolist() == [[np.inf]]


def test_phases_float_register_rounds_each_step() -> None:
    # In float16 with one complex lane: a sum of 2048 and ones stays at 2048, one after the other.
    float16 = _float("float16")
    values = float16.encode([[2048.0], [1.0], [1.0], [1.0]])
    zeros = np.zeros_like(values)
    real, imag = matmul_phases(_unit("ternary_by_float16_float16"), [[0, 0, 0, 1]], values, zeros)
    assert float16.decode(real).tolist() == [[2048.0]]
    assert float16.decode(imag).tolist() == [[1.0]]


def test_phases_unit_wrong() -> None:
    with pytest.raises(TypeError, match=r"^unit must be a DotProductUnit, not 'int8'$"):
        matmul_phases("int8", [[0]], [[0]], [[0]])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^unit must have scalar formats and a sparsity of 1 of 2, and int8_l1_int32"):
        matmul_phases(named("int8"), [[0]], [[0]], [[0]])
    binary = dataclasses.replace(
        named("uint4_by_int8"),
        sparsity=_ONE_OF_TWO,
        accumulator=FixedAccumulator(bits=32, fraction_bits=0, overflow=Overflow.WRAP),
    )
    with pytest.raises(ValueError, match=r"^unit's a must hold -1, 0 and 1, and uint4 does not$"):
        matmul_phases(binary, [[2]], [[0]], [[0]])


def test_phases_shape_wrong() -> None:
    unit = _unit("ternary_by_int8_int32")
    with pytest.raises(ValueError, match=r"^phases must have the shape \(M, K\), real and imag \(K, N\), not \(1, 1\)"):
        matmul_phases(unit, [[0]], [[0]], [[0, 1]])
    with pytest.raises(ValueError, match=r"^phases' columns and real's rows must be as many, not 2 and 1$"):
        matmul_phases(unit, [[0, 1]], [[0]], [[0]])
