# SPDX-License-Identifier: Apache-2.0
import re
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwsim import formats
from hwsim.datapath import named
from hwsim.datapath.paths import bitplane

_TOOLS = runpy.run_path(str(Path(__file__).with_name("problems.py")))
_compare: Any = _TOOLS["compare"]
_portable: Any = _TOOLS["portable"]

_NAMES = [
    *("binary_int32", "bipolar_int32", "ternary_int32", "int2_int32", "uint2_int24", "uint1_by_uint4_int32"),
    *("binary_by_int3_int20", "bipolar_by_ternary_int40", "ternary_by_binary_l4_int16", "int1_int32"),
]


@pytest.mark.parametrize("name", _NAMES)
def test_bitplane_equals_stages(name: str, interpreted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    unit = named(name)
    if interpreted:
        assert bitplane.offer(unit, 32) is None
        return
    monkeypatch.setattr(bitplane, "_most_pairs", lambda: 4)
    assert _compare(bitplane.offer, unit) == 3 * 3_169


@pytest.mark.parametrize(
    ("name", "planes", "offset", "step"),
    [
        ("bipolar", 1, -1, 2),
        ("ternary", 2, -1, 1),
        ("int2", 2, -2, 1),
        ("uint4", 4, 0, 1),
        ("float4_e2m1fn", 5, -12, 1),
    ],
)
def test_bitplane_planes_add_up(name: str, planes: int, offset: int, step: int) -> None:
    spec: Any = formats.named(name)
    codes = np.arange(1 << spec.bits, dtype=np.uint8)
    found = bitplane.bit_planes(spec, codes)
    assert found.planes.shape == (planes, codes.size)
    assert set(np.unique(found.planes)) <= {0, 1}
    assert (found.offset, found.step) == (offset, step)
    weighted = found.offset + sum(step * 2**at * plane.astype(int) for at, plane in enumerate(found.planes))
    assert np.array_equal(weighted * 2.0**found.exponent, spec.decode(codes))


@pytest.mark.parametrize("name", ["int9", "float8_e4m3fn"])
def test_bitplane_spec_wrong(name: str) -> None:
    text = f"spec must have up to 8 bits and 256 evenly spaced places, and {name} has more"
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        bitplane.bit_planes(formats.named(name), np.zeros(3, int))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["int8", "int4", "float8_e4m3fn", "binary_float32", "ternary_int4_sat"])
def test_bitplane_leaves_other_units(name: str) -> None:
    assert bitplane.offer(named(name), 64) is None


@pytest.mark.slow
def test_bitplane_portable(interpreted: bool, tmp_path: Path) -> None:
    if not interpreted:
        _portable("bitplane", ["binary_int32", "bipolar_int32"], tmp_path)
