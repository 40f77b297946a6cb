# SPDX-License-Identifier: Apache-2.0
"""Bits in memory: by hand, and as many as the quantizer makes."""

from dataclasses import replace

import numpy as np
import pytest

from hwsim import datapath, formats
from hwsim.accelerator import Footprint, footprint, step_bits
from hwsim.datapath.unit import Sparsity
from hwsim.formats import BlockSpec


@pytest.mark.parametrize(
    ("name", "length", "wanted"),
    [
        # 6 rows; a last block that is not full has a whole scale
        ("int8", 40, Footprint(6 * 40 * 8)),
        ("mxfp4", 64, Footprint(6 * 64 * 4, 6 * 2 * 8)),
        ("mxfp4", 40, Footprint(6 * 40 * 4, 6 * 2 * 8)),
        ("mxfp8_e4m3", 33, Footprint(6 * 33 * 8, 6 * 2 * 8)),
        ("mxfp6_e2m3", 32, Footprint(6 * 32 * 6, 6 * 8)),
        ("nvfp4", 40, Footprint(6 * 40 * 4, 6 * 3 * 8 + 32)),  # an E4M3 scale for 16, a float32 one for the tensor
    ],
)
def test_footprint_by_hand(name: str, length: int, wanted: Footprint) -> None:
    spec = formats.named(name)
    assert not isinstance(spec, formats.PhaseSpec)
    assert footprint(spec, 6, length) == wanted
    assert wanted.bits == wanted.element_bits + wanted.scale_bits
    assert wanted.times(3) == Footprint(3 * wanted.element_bits, 3 * wanted.scale_bits)


@pytest.mark.parametrize(
    "name", ["mxfp4", "mxfp8_e5m2", "mxint8", "nvfp4", "nvint4", "nf4_b64", "int4_g128", "bfp8_b64"]
)
@pytest.mark.parametrize("length", [64, 100, 128])
def test_footprint_as_the_quantizer(name: str, length: int) -> None:
    spec = formats.named(name)
    assert isinstance(spec, BlockSpec)
    q = formats.quantize(np.random.default_rng(0).normal(size=(6, length)), spec, axis=-1)
    assert q.scales is not None
    above = 32 * np.size(q.tensor_scale) if spec.tensor_scale else 0
    wanted = Footprint(q.codes.size * spec.bits, q.scales.size * spec.scale.bits + above)
    assert footprint(spec, 6, length) == wanted
    if length == 128:
        assert wanted.bits - above == 6 * length * spec.bits_per_element


@pytest.mark.parametrize(
    ("cut", "blocks"),
    [
        (None, 3),  # of 80: 32, 32, 16
        (32, 3),
        (16, 5),  # 16 of each of five pieces lie in one block
        (24, 6),  # 0..24 in block 0; 24..48 in 0 and 1; 48..72 in 1 and 2; 72..80 in 2
    ],
)
def test_footprint_cut(cut: int | None, blocks: int) -> None:
    spec = formats.named("mxfp4")
    assert isinstance(spec, BlockSpec)
    assert footprint(spec, 1, 80, cut=cut).scale_bits == 8 * blocks


@pytest.mark.parametrize(
    ("kept", "of", "length", "places", "index_bits"),
    [
        (2, 4, 16, 8, 2),  # NVIDIA's: two bits a kept value
        (2, 4, 18, 10, 2),  # a last group of two may keep both
        (2, 4, 17, 9, 2),
        (1, 8, 16, 2, 3),
    ],
)
def test_footprint_sparse(kept: int, of: int, length: int, places: int, index_bits: int) -> None:
    spec = formats.named("int8")
    assert isinstance(spec, formats.IntegerSpec)
    found = footprint(spec, 5, length, sparsity=Sparsity(kept=kept, of=of))
    assert found == Footprint(5 * places * 8, 0, 5 * places * index_bits)


@pytest.mark.parametrize(
    ("name", "a", "b"),
    [
        ("int8", 8, 8),
        ("int8_l16", 128, 128),
        ("mxfp4_l16", 16 * 4 + 8, 16 * 4 + 8),
        ("mxfp4_l32", 32 * 4 + 8, 32 * 4 + 8),
        ("nvfp4_l32", 32 * 4 + 2 * 8, 32 * 4 + 2 * 8),
        ("int4_by_int8_l8", 32, 64),
    ],
)
def test_footprint_step_bits(name: str, a: int, b: int) -> None:
    assert step_bits(datapath.named(name)) == (a, b)


def test_footprint_step_bits_sparse() -> None:
    unit = replace(datapath.named("int8_l16"), sparsity=Sparsity(kept=2, of=4))
    # 16 values of a with two bits of place each, and the 32 of b that they are among
    assert step_bits(unit) == (16 * (8 + 2), 32 * 8)
