# SPDX-License-Identifier: Apache-2.0
"""Sparse operands against the oracle, which takes their zeros; what is refused."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from hwsim import formats
from hwsim.datapath import CascadedAlignment, PairwiseAlignment, Sparsity, TruncatedAlignment, named
from rtl.datapath.dot_product import check_buildable, row_fields

_FLOAT = named("float8_e4m3fn_l4_float32")


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("int8_l2", {"lanes": 4, "sparsity": Sparsity(kept=2, of=4)}),
        (
            "float8_e4m3fn_l4_float32",
            {
                "lanes": 3,
                "b": formats.named("float8_e5m2"),
                "sparsity": Sparsity(kept=3, of=5),
                "flush_operands": True,
                "alignment": TruncatedAlignment(fraction_bits=13, exp_floor=-133),
            },
        ),
    ],
)
def test_sparse_core_is_the_oracle(compare: Callable[..., int], name: str, changes: dict[str, Any]) -> None:
    assert compare(replace(named(name), **changes), count=40) > 35


def test_sparse_row_has_a_place_for_each_lane() -> None:
    unit = replace(named("int8_l2"), lanes=4, sparsity=Sparsity(kept=2, of=4))
    assert row_fields(unit) == {"first": 1, "last": 1, "a": 32, "b": 64, "index": 8, "c": 32}


@pytest.mark.parametrize(
    ("changes", "feature"),
    [
        ({"lanes": 3, "sparsity": Sparsity(kept=3, of=4), "alignment": PairwiseAlignment()}, "pairs of more than two"),
        (
            {
                "lanes": 2,
                "sparsity": Sparsity(kept=1, of=4),
                "alignment": CascadedAlignment(fraction_bits=9, sum_fraction_bits=9, register_fraction_bits=9, parts=2),
            },
            "even and odd sparse lanes",
        ),
    ],
)
def test_sparse_unit_is_refused_where_places_count(changes: dict[str, Any], feature: str) -> None:
    with pytest.raises(ValueError, match=f"must do without {feature}"):
        check_buildable(replace(_FLOAT, **changes))
