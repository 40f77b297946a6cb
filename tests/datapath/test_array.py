# SPDX-License-Identifier: Apache-2.0
"""The specification of an array: names, what an element computes, and what is refused."""

from typing import Any

import pytest

from hwsim import datapath
from hwsim.datapath.array import ArrayGeometry, ArrayKind


def _geometry(**fields: Any) -> ArrayGeometry:
    defaults: dict[str, Any] = {"kind": ArrayKind.OUTPUT_STATIONARY, "rows": 3, "columns": 2}
    return ArrayGeometry(**(defaults | fields))


def test_array_geometry_name() -> None:
    assert _geometry().name == "output_stationary_3x2"
    assert _geometry(kind=ArrayKind.CUBE, depth=4).name == "cube_3x2x4"
    assert _geometry(kind=ArrayKind.ADDER_TREE, partial_sums=True).name == "adder_tree_3x2_c"


def test_array_geometry_element() -> None:
    unit = datapath.named("int8_l4")
    depths = {kind: 2 if kind is ArrayKind.CUBE else 1 for kind in ArrayKind}
    lanes = {kind: _geometry(kind=kind, depth=depth).element(unit).lanes for kind, depth in depths.items()}
    assert lanes.pop(ArrayKind.CUBE) == 8
    assert lanes.pop(ArrayKind.ADDER_TREE) == 12
    assert set(lanes.values()) == {4}


def test_array_geometry_wrong() -> None:
    with pytest.raises(TypeError, match=r"^kind must be an ArrayKind, not 'cube'$"):
        _geometry(kind="cube")
    with pytest.raises(ValueError, match=r"^rows must be in 1\.\.4096, not 0$"):
        _geometry(rows=0)
    with pytest.raises(ValueError, match=r"^columns must be in 1\.\.4096, not 4097$"):
        _geometry(columns=4097)
    with pytest.raises(ValueError, match=r"^depth must be in 2\.\.64, not 1$"):
        _geometry(kind=ArrayKind.CUBE)
    with pytest.raises(ValueError, match=r"^depth must be in 1\.\.1, not 2$"):
        _geometry(depth=2)
    with pytest.raises(TypeError, match=r"^partial_sums must be a bool, not 1$"):
        _geometry(kind=ArrayKind.ADDER_TREE, partial_sums=1)
    with pytest.raises(ValueError, match=r"^partial_sums must be False where outputs stay in place, as in broadcast$"):
        _geometry(kind=ArrayKind.BROADCAST, partial_sums=True)
