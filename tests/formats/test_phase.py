# SPDX-License-Identifier: Apache-2.0
"""The four phases against the source's rule, its exact boundaries, and complex products."""

import math
from fractions import Fraction

import numpy as np
import pytest

from hwsim.formats.phase import PhaseSpec, phase_product, quantize_phase

SPEC = PhaseSpec()


def test_phase_decode_powers() -> None:
    assert SPEC.decode([0, 1, 2, 3]).tolist() == [1, 1j, -1, -1j]
    assert (SPEC.bits, SPEC.name) == (2, "phase4")
    assert SPEC.decode(np.zeros((2, 0), np.uint8)).shape == (2, 0)


def test_phase_encode_quadrants() -> None:
    # The source's intervals of the phase, where its float is not near a boundary.
    rng = np.random.default_rng(41)
    values = rng.normal(size=(200, 50)) + 1j * rng.normal(size=(200, 50))
    phase = np.angle(values)
    codes = np.full(values.shape, 3)
    codes[(phase >= -math.pi / 4) & (phase < math.pi / 4)] = 0
    codes[(phase >= math.pi / 4) & (phase < 3 * math.pi / 4)] = 1
    codes[(phase >= 3 * math.pi / 4) | (phase < -3 * math.pi / 4)] = 2
    assert np.array_equal(SPEC.encode(values), codes)
    assert np.array_equal(SPEC.encode(values.astype(np.complex64)), codes)


def test_phase_encode_boundaries() -> None:
    compared = 0
    rng = np.random.default_rng(42)
    for size in (*np.exp2(rng.integers(-1000, 1000, 50)) * rng.random(50), 1.0, 0.1, 5e-324):
        above, below = math.nextafter(size, math.inf), math.nextafter(size, 0)
        # pi/4 is i's, 3 pi/4 is -1's, -3 pi/4 is -i's, -pi/4 is 1's; one float beside it may be the neighbour's.
        for real, imag, code in (
            (size, size, 1),
            (above, size, 0),
            (size, below, 0),
            (-size, size, 2),
            (-below, size, 1),
            (-size, above, 1),
            (-size, -size, 3),
            (-above, -size, 2),
            (-size, -below, 2),
            (size, -size, 0),
            (below, -size, 3),
            (size, -above, 3),
        ):
            assert SPEC.encode(complex(real, imag)) == code, (real, imag)
            compared += 1
    assert compared == 53 * 12


def test_phase_encode_axes() -> None:
    assert SPEC.encode([1, 2j, -3, -4j, 0, complex(-1, -0.0), complex(0.0, -0.0)]).tolist() == [0, 1, 2, 3, 0, 2, 0]
    assert SPEC.encode(SPEC.decode([3, 2, 1, 0])).tolist() == [3, 2, 1, 0]


def test_phase_quantize_scales() -> None:
    rng = np.random.default_rng(43)
    values = rng.normal(size=500) + 1j * rng.normal(size=500)
    quantized = quantize_phase(values)
    real = [abs(Fraction(v.real)) for v, code in zip(values, quantized.codes, strict=True) if code % 2 == 0]
    imag = [abs(Fraction(v.imag)) for v, code in zip(values, quantized.codes, strict=True) if code % 2 == 1]
    assert quantized.scale_real == float(np.float32(float(sum(real) / len(real))))
    assert quantized.scale_imag == float(np.float32(float(sum(imag) / len(imag))))
    expected = [
        {
            0: quantized.scale_real,
            1: 1j * quantized.scale_imag,
            2: -quantized.scale_real,
            3: -1j * quantized.scale_imag,
        }[int(code)]
        for code in quantized.codes
    ]
    assert quantized.dequantize().tolist() == expected


def test_phase_quantize_empty_group() -> None:
    quantized = quantize_phase([3.0, -1.0])
    assert (quantized.codes.tolist(), quantized.scale_real) == ([0, 2], 2.0)
    assert quantized.scale_imag == float(np.float32(1e-6))


def test_phase_product_identity() -> None:
    # conj(x) * w, with 8-bit activations, in complex arithmetic that is exact for them.
    real, imag = (part.reshape(-1) for part in np.meshgrid(np.arange(-128, 128), np.arange(-128, 128)))
    compared = 0
    for code in range(4):
        out_real, out_imag = phase_product(real, imag, np.uint8(code))
        product = np.conj(real + 1j * imag) * SPEC.decode(code)
        assert np.array_equal(out_real, product.real)
        assert np.array_equal(out_imag, product.imag)
        # The source's form: xr wr + xi wi, and xr wi - xi wr.
        weight = complex(SPEC.decode(code))
        assert np.array_equal(out_real, real * int(weight.real) + imag * int(weight.imag))
        assert np.array_equal(out_imag, real * int(weight.imag) - imag * int(weight.real))
        compared += real.size
    assert compared == 4 * 2**16


def test_phase_values_wrong() -> None:
    with pytest.raises(TypeError, match=r"values to encode as phase4 must be numbers that fit complex128, not <U1"):
        SPEC.encode(["a"])
    with pytest.raises(ValueError, match=r"values to encode as phase4 must be finite, not as that at \(1,\), \(?nan"):
        SPEC.encode([0.0, math.nan])


def test_phase_codes_wrong() -> None:
    with pytest.raises(ValueError, match=r"codes of phase4 must be in 0\.\.2\*\*2 - 1, not 4"):
        SPEC.decode([4])
