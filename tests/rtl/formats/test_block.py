# SPDX-License-Identifier: Apache-2.0
import re
from typing import Any

import pytest

from hwsim import formats
from hwsim.formats import BlockSpec, IntegerSpec, ScaleRule
from rtl.formats import BlockDecoder
from testbenches.codecs import block_work, blocks, check


def _pairs(spec: BlockSpec) -> int:
    """Return how many pairs of an element and a scale are compared: all of up to 16 bits, else a sample."""
    bits = spec.element.bits + spec.scale.bits
    return 1 << (bits if bits <= 16 else 14)


def test_block_every_element_with_every_scale(simulator: str) -> None:
    found = [spec for spec in blocks() if spec.element.bits <= 6]
    report = check([block_work(spec) for spec in found], simulator)
    assert report.compared == sum(map(_pairs, found)) > 100_000


@pytest.mark.slow
def test_block_every_element_with_every_scale_of_all(simulator: str) -> None:
    found = blocks()
    assert {"mxfp8_e5m2", "mxfp8_e4m3", "mxfp4", "mxint8", "nvfp4"} <= {spec.name for spec in found}
    report = check([block_work(spec) for spec in found], simulator)
    assert report.compared == sum(map(_pairs, found)) > 400_000


# Block formats without a decoder: a zero point of each block, a choice of codebooks for each.
WITHOUT = {"uint4_g128", "uint4_g32", "bitmod_fp4_g128", "bitmod_fp3_g128"}


def test_block_decoders_of_the_catalog() -> None:
    every = {name for name in formats.names() if isinstance(formats.named(name), BlockSpec)}
    assert {spec.name for spec in blocks()} == every - WITHOUT


def test_block_spec_wrong() -> None:
    scalar: Any = formats.named("int8")
    with pytest.raises(TypeError, match=r"^spec must be a BlockSpec, not IntegerSpec"):
        BlockDecoder(scalar)
    scale = IntegerSpec(bits=8, signed=False)
    spec = BlockSpec(element=IntegerSpec(bits=4), scale=scale, block_size=16, tensor_scale=True, rule=ScaleRule.AMAX)
    with pytest.raises(ValueError, match=f"^{re.escape('the scale of a block decoder must be a float, not uint8')}$"):
        BlockDecoder(spec)
