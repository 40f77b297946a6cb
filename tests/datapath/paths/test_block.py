# SPDX-License-Identifier: Apache-2.0
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwsim.datapath import DotProductUnit, ExactAlignment, named
from hwsim.datapath.paths import block
from hwsim.datapath.problem import Problem
from hwsim.datapath.staged import matmul_staged
from hwsim.formats import BlockSpec, FloatSpec, IntegerSpec, ScaleRule, Specials

_TOOLS = runpy.run_path(str(Path(__file__).with_name("problems.py")))
_compare: Any = _TOOLS["compare"]
_problem: Any = _TOOLS["problem"]
_by_oracle: Any = _TOOLS["by_oracle"]
_portable: Any = _TOOLS["portable"]

_COMPARED = 3 * 3_169
_NAMES = [
    *("mxfp4", "nvfp4", "mxint8", "nvint4", "mxfp6_e2m3", "mxfp6_e3m2", "mxfp8_e4m3", "mxfp4_by_int8_l8"),
    *("nvfp4_by_mxfp4_b16_l4", "nvfp4_l1", "mxfp4_l2", "float8_e4m3fn_l4_float32", "int8_l4_float32", "mxint8_l4"),
    *("mxfp4_to_float16", "uint8_by_mxint4_l8", "mxint4_by_uint8_l8"),
]


@pytest.mark.parametrize("name", _NAMES)
def test_block_equals_stages(name: str, interpreted: bool) -> None:
    unit = named(name)
    if interpreted:
        assert block.offer(unit, 32) is None
        return
    assert _compare(block.offer, unit, spread=(110, 144)) == _COMPARED


@pytest.mark.parametrize("name", ["mxfp4", "mxint8", "mxfp6_e3m2", "mxfp8_e4m3"])
@pytest.mark.parametrize("spread", [(0, 255), (0, 40), (215, 255)])
def test_block_any_scales(name: str, spread: tuple[int, int], interpreted: bool) -> None:
    # Beyond float32's range at either end: sums become infinite, two infinities NaN, and small ones zero.
    if not interpreted:
        assert _compare(block.offer, named(name), spread=spread) == _COMPARED


@pytest.mark.parametrize("name", ["mxfp4", "nvfp4", "mxfp8_e4m3"])
def test_block_equals_oracle(name: str, interpreted: bool) -> None:
    if interpreted:
        return
    problem = _problem(named(name), (4, 96, 5), 1, spread=(120, 135))
    path = block.offer(problem.unit, 96)
    assert path is not None
    found = path.run(problem)
    assert np.array_equal(found, _by_oracle(problem))
    assert found.size == 20


def _scaled(man_bits: int) -> DotProductUnit:
    """Return a unit of which a step's sum takes 19 bits, and a's scale one more than man_bits."""
    scale = FloatSpec(exp_bits=4, man_bits=man_bits, bias=7, specials=Specials.FN)
    spec = BlockSpec(element=IntegerSpec(bits=8), scale=scale, block_size=32, tensor_scale=False, rule=ScaleRule.AMAX)
    base = named("mxint8")
    return DotProductUnit(
        a=spec,
        b=spec,
        lanes=32,
        alignment=ExactAlignment(),
        accumulator=base.accumulator,
        output=base.output,
    )


@pytest.mark.parametrize(("man_bits", "single"), [(4, True), (5, False)])
def test_block_at_the_edge_of_float32(man_bits: int, single: bool, interpreted: bool) -> None:
    # 32 * 128 * 128 is 2**19: times 31 it fits 24 bits, times 63 it does not.
    unit = _scaled(man_bits)
    path = block.offer(unit, 64)
    if interpreted:
        assert path is None
        return
    assert path is not None
    assert path.run.keywords["single"] == single  # type: ignore[attr-defined]
    compared = 0
    source = np.random.default_rng(2)
    for _ in range(20):
        a, b = (source.integers(128, 130, (4, 64), dtype=np.uint8) for _ in range(2))
        scales = [source.integers((7 << man_bits) - 4, (8 << man_bits), (4, 2)).astype(np.uint16) for _ in range(2)]
        scales = [codes.astype(np.uint8 if man_bits < 4 else codes.dtype) for codes in scales]
        problem = Problem(unit, a, b, None, scales[0], scales[1])
        found = path.run(problem)
        assert np.array_equal(found, matmul_staged(problem))
        compared += found.size
    assert compared == 320


@pytest.mark.parametrize(("codes", "shift"), [((127, 127), 0), ((254, 110), 11), ((254, 243), 11), ((254, 244), None)])
def test_block_moves_powers_of_two(codes: tuple[int, int], shift: int | None, interpreted: bool) -> None:
    # A sum of up to 4608 / 4 times 2**127 is beyond float32 by 11 places, which b's scale of up to 2**116 can take.
    unit = named("mxfp4")
    x, y = (block._scales(unit.a, np.full((1, 1), code, np.uint8)) for code in codes)
    assert block._shift(x, y, unit.product_exp_min, 32 * 144) == shift
    if interpreted:
        return
    path = block.offer(unit, 32)
    assert path is not None
    for element in (7, 15, 1):
        operands = np.full((1, 32), 7, np.uint8), np.full((1, 32), element, np.uint8)
        problem = Problem(unit, *operands, None, *(np.full((1, 1), code, np.uint8) for code in codes))
        assert np.array_equal(path.run(problem), matmul_staged(problem))


@pytest.mark.parametrize(
    "name", ["int8", "mxfp8_e5m2", "mxfp4_bfloat16", "hopper_e4m3_e4m3_float32", "float8_e5m2_l4_float32"]
)
def test_block_leaves_what_it_cannot_prove(name: str) -> None:
    assert block.offer(named(name), 64) is None


@pytest.mark.slow
def test_block_portable(interpreted: bool, tmp_path: Path) -> None:
    if not interpreted:
        _portable("block", ["mxfp4", "nvfp4", "mxfp8_e4m3"], tmp_path)
