# SPDX-License-Identifier: Apache-2.0
"""Pack codes against NumPy's bit packing, ml_dtypes' and ONNX's nibbles, and the decoding that TC-FPx does."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnx.numpy_helper
import pytest
from numpy.typing import NDArray

from hwsim.formats import FloatSpec, named
from hwsim.formats.codes import code_dtype
from hwsim.formats.storage import BitOrder, join_planes, pack_codes, packed_bytes, split_planes, unpack_codes


def random_codes(seed: int, bits: int, *shape: int) -> NDArray[np.unsignedinteger]:
    drawn = np.random.default_rng(seed).integers(0, 1 << bits, shape, np.uint64, endpoint=False)
    return drawn.astype(code_dtype(bits))


def row_of_bits(codes: NDArray[np.unsignedinteger], bits: int, order: str) -> NDArray[np.uint8]:
    """Return a packed row by NumPy's packbits, from each code's bits in the order given."""
    places = range(bits) if order == "little" else range(bits - 1, -1, -1)
    stream = np.array([(int(code) >> place) & 1 for code in codes for place in places], np.uint8)
    return np.packbits(stream, bitorder="little" if order == "little" else "big")


@pytest.mark.parametrize("order", ["little", "big"])
def test_storage_bits(order: str) -> None:
    compared = 0
    for bits in range(1, 65):
        for count in (1, 7, 8, 9, 40):
            codes = random_codes(bits, bits, 2, count) if bits < 64 else np.full((2, count), (1 << 64) - 3, np.uint64)
            packed = pack_codes(codes, bits, order)
            assert packed.shape == (2, packed_bytes(count, bits)) == (2, -(-count * bits // 8))
            for row in range(2):
                assert packed[row].tolist() == row_of_bits(codes[row], bits, order).tolist(), (bits, count)
            back = unpack_codes(packed, bits, count, order)
            assert back.dtype == codes.dtype
            assert np.array_equal(back, codes)
            compared += codes.size
    assert compared == 64 * 2 * 65


@pytest.mark.parametrize("order", list(BitOrder))
@pytest.mark.parametrize("bits", [1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 21])
def test_storage_round_trip(bits: int, order: BitOrder, thin: Callable[..., Any]) -> None:
    codes = thin(random_codes(bits, bits, 100_003))
    packed = pack_codes(codes, bits, order)
    assert packed.size == -(-codes.size * bits // 8)
    assert np.array_equal(unpack_codes(packed, bits, codes.size, order), codes)


def test_storage_nibbles_as_onnx() -> None:
    codes = random_codes(4, 4, 16)
    tensor = onnx.helper.make_tensor("x", onnx.TensorProto.UINT4, [16], codes.tolist())
    assert tensor.int32_data == pack_codes(codes, 4).tolist() or tensor.raw_data == pack_codes(codes, 4).tobytes()
    assert pack_codes([1, 2, 3], 4).tolist() == [0x21, 0x03]
    assert pack_codes([1, 2, 3], 4, "big").tolist() == [0x12, 0x30]
    assert pack_codes([[1], [2]], 4).tolist() == [[1], [2]]  # every row starts on a byte


def test_storage_does_not_alias() -> None:
    codes = random_codes(1, 8, 16)
    packed = pack_codes(codes, 8)
    kept = codes.copy()
    packed[:] = 0
    assert np.array_equal(codes, kept)
    whole = pack_codes(np.array([0x1234], np.uint16), 16, "big")
    assert whole.tolist() == [0x12, 0x34]


def test_storage_empty() -> None:
    assert pack_codes(np.zeros((3, 0), np.uint8), 4).shape == (3, 0)
    assert pack_codes(np.zeros((0, 3), np.uint8), 4).shape == (0, 2)
    assert unpack_codes(np.zeros((3, 0), np.uint8), 4, 0).shape == (3, 0)


@pytest.mark.parametrize(("bits", "low_bits"), [(6, 4), (5, 4), (6, 2), (12, 8), (2, 1)])
def test_storage_planes(bits: int, low_bits: int) -> None:
    codes = np.concatenate([np.arange(1 << bits), [1]]).astype(code_dtype(bits)).reshape(1, -1)
    planes = split_planes(codes, bits, low_bits)
    count = codes.size
    assert planes.low.size + planes.high.size == packed_bytes(count, low_bits) + packed_bytes(count, bits - low_bits)
    assert np.array_equal(unpack_codes(planes.low, low_bits, count), codes % (1 << low_bits))
    assert np.array_equal(unpack_codes(planes.high, bits - low_bits, count), codes >> low_bits)
    back = join_planes(planes, bits, low_bits, count)
    assert back.dtype == codes.dtype
    assert np.array_equal(back, codes)


def test_storage_planes_fp6_by_hand() -> None:
    low, high = split_planes(np.array([0b11_0101, 0b01_1110, 0b10_0000, 0b00_1111], np.uint8), 6, 4)
    assert low.tolist() == [0b1110_0101, 0b1111_0000]
    assert high.tolist() == [0b00_10_01_11]


@pytest.mark.parametrize(("name", "power"), [("float6_e3m2fn", 12), ("minifloat_e2m2", 14)])
def test_storage_tcfpx_decode(name: str, power: int) -> None:
    # arXiv:2401.14112: the fields go where FP16 has them, and one product mends the bias, subnormals included.
    spec = named(name)
    assert isinstance(spec, FloatSpec)
    codes = np.arange(1 << spec.bits, dtype=np.uint8)
    joined = join_planes(split_planes(codes, spec.bits, 4), spec.bits, 4, codes.size).astype(np.uint16)
    sign, rest = joined >> (spec.bits - 1), joined & ((1 << (spec.bits - 1)) - 1)
    words = (sign << 15 | rest << (10 - spec.man_bits)).astype(np.uint16)
    values = words.view(np.float16) * np.float16(2.0**power)
    expected = spec.decode(codes)
    assert values.size == 1 << spec.bits
    assert values.astype(np.float64).tobytes() == expected.tobytes()


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: pack_codes([1.0], 4), TypeError, "codes must be integers, not float64"),
        (lambda: pack_codes(3, 4), ValueError, "codes must have at least one dimension, not none"),
        (lambda: pack_codes([16], 4), ValueError, "codes must be in 0..2**4 - 1, not 16"),
        (lambda: pack_codes([-1], 8), ValueError, "codes must be in 0..2**8 - 1, not -1"),
        (lambda: pack_codes([1], 0), ValueError, "bits must be in 1..64, not 0"),
        (lambda: pack_codes([1], True), TypeError, "bits must be an int, not True"),
        (lambda: pack_codes([1], 4, "middle"), ValueError, "order must be one of little, big, not 'middle'"),
        (lambda: pack_codes([1], 4, 1), TypeError, "order must be a BitOrder or a str, not 1"),  # type: ignore[arg-type]
        (lambda: unpack_codes([1], 4, 2), TypeError, "packed must be an array of uint8, not int64"),
        (
            lambda: unpack_codes(np.zeros(2, np.uint8), 4, 2),
            ValueError,
            "packed must have 1 bytes in a row for 2 codes of 4 bits, not shape (2,)",
        ),
        (lambda: unpack_codes(np.zeros(2, np.uint8), 4, -1), ValueError, f"count must be in 0..{1 << 62}, not -1"),
        (lambda: split_planes([1], 6, 6), ValueError, "low_bits must be in 1..5, not 6"),
        (lambda: split_planes([1], 1, 1), ValueError, "bits must be in 2..64, not 1"),
    ],
)
def test_storage_arguments_wrong(call: Callable[[], object], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(text)}$"):
        call()


def test_storage_planes_wrong() -> None:
    low, high = split_planes(np.zeros((2, 8), np.uint8), 6, 4)
    with pytest.raises(ValueError, match=r"^planes must have the same rows, not \(2,\) and \(1,\)$"):
        join_planes(type(split_planes([0], 6, 4))(low, high[:1]), 6, 4, 8)
