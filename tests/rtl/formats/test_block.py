# SPDX-License-Identifier: Apache-2.0
import re
from typing import Any

import pytest

from hwsim import formats
from hwsim.formats import BlockSpec, IntegerSpec, ScaleRule
from rtl.formats import BlockDecoder
from testbenches.codecs import block_work, blocks, check


def test_block_every_element_with_every_scale(simulator: str) -> None:
    found = [spec for spec in blocks() if spec.element.bits <= 6]
    report = check([block_work(spec) for spec in found], simulator)
    assert report.compared == sum(1 << (spec.element.bits + spec.scale.bits) for spec in found) > 40_000


@pytest.mark.slow
def test_block_every_element_with_every_scale_of_all(simulator: str) -> None:
    found = blocks()
    assert {"mxfp8_e5m2", "mxfp8_e4m3", "mxfp4", "mxint8", "nvfp4"} <= {spec.name for spec in found}
    report = check([block_work(spec) for spec in found], simulator)
    assert report.compared == sum(1 << (spec.element.bits + spec.scale.bits) for spec in found) > 200_000


def test_block_spec_wrong() -> None:
    scalar: Any = formats.named("int8")
    with pytest.raises(TypeError, match=r"^spec must be a BlockSpec, not IntegerSpec"):
        BlockDecoder(scalar)
    scale = IntegerSpec(bits=8, signed=False)
    spec = BlockSpec(element=IntegerSpec(bits=4), scale=scale, block_size=16, tensor_scale=True, rule=ScaleRule.AMAX)
    with pytest.raises(ValueError, match=f"^{re.escape('the scale of a block decoder must be a float, not uint8')}$"):
        BlockDecoder(spec)
