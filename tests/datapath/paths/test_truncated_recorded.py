# SPDX-License-Identifier: Apache-2.0
"""What tensor cores gave, by the path of truncating units."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hwsim.datapath import DotProductUnit
from hwsim.datapath.paths import truncated
from hwsim.datapath.problem import Problem
from hwsim.formats.codes import code_dtype

Codes = NDArray[Any]


def _without_specials(unit: DotProductUnit, a: Codes, b: Codes, c: Codes) -> tuple[Problem, NDArray[np.bool_]]:
    """Return a problem of (M, K), (N, K) and (M, N), zeros for specials, and which elements no special touches."""
    register: Any = unit.accumulator.format
    a, b = a.astype(code_dtype(unit.element_a.bits)), b.astype(code_dtype(unit.element_b.bits))
    c = c.astype(code_dtype(register.bits))
    bad = [spec.unpack(x).special != 0 for spec, x in ((unit.element_a, a), (unit.element_b, b), (register, c))]
    a, b, c = (np.where(wrong, 0, x).astype(x.dtype) for wrong, x in zip(bad, (a, b, c), strict=True))
    return Problem(unit, a, b, c, None, None), ~(bad[0].any(1)[:, None] | bad[1].any(1) | bad[2])


@pytest.mark.usefixtures("compiled")
def test_truncated_recorded_sample(hopper_sample: Path, hopper_unit: Any) -> None:
    compared = 0
    with np.load(hopper_sample) as arrays:
        for name in sorted({key[:-2] for key in arrays.files if key.endswith("_d") and "_s32_" not in key}):
            unit = hopper_unit(name.removesuffix("_chain"))
            path = truncated.offer(unit, 64)
            assert path is not None
            for a, b, c, d in zip(*(arrays[f"{name}_{part}"] for part in "abcd"), strict=True):
                problem, good = _without_specials(unit, a[None], b[None], c[None, None])
                found = path.run(problem)
                assert found[0, 0] == d or not good[0, 0], name
                compared += int(good[0, 0])
    assert compared >= 350


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("name", ["e4m3_e4m3_f32", "e5m2_e4m3_f32", "e5m2_e5m2_f16", "f16_f16", "f16_f32", "bf16_f32"])
def test_truncated_recorded_tiles(name: str, shared: Path, hopper_unit: Any) -> None:
    compared = 0
    with np.load(shared / "golden" / "hopper_h200" / f"{name}.npz") as arrays:
        a, b, c, d = (arrays[part] for part in "abcd")
        for at, (instruction, length) in enumerate(zip(arrays["instr"], arrays["instr_k"], strict=True)):
            if not str(instruction).startswith("wgmma"):
                continue
            unit = hopper_unit(str(instruction))
            path = truncated.offer(unit, 64)
            assert path is not None
            for tile in range(0, len(a), 4):
                problem, good = _without_specials(unit, a[tile, :, :length], b[tile, :length].T, c[tile])
                found = path.run(problem)
                assert np.array_equal(found[good], d[tile, at][good]), (instruction, tile)
                compared += int(good.sum())
    assert compared >= 15_000
