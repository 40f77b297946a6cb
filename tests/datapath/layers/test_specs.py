# SPDX-License-Identifier: Apache-2.0
from typing import Any

import pytest

from hwsim.datapath.layers import HadamardSpec, LayerNormSpec, RequantizerSpec, ShiftGeluSpec, ShiftmaxSpec


@pytest.mark.parametrize(
    ("spec", "fields", "message"),
    [
        (RequantizerSpec, {"value_bits": 33}, "value_bits must be"),
        (RequantizerSpec, {"multiplier_bits": 0}, "multiplier_bits must be"),
        (RequantizerSpec, {"shift_max": 63}, "shift_max must be"),
        (RequantizerSpec, {"shift_min": 5, "shift_max": 4}, "shift_min must be"),
        (RequantizerSpec, {"code_bits": 1}, "code_bits must be"),
        (ShiftmaxSpec, {"length": 0}, "length must be"),
        (ShiftmaxSpec, {"length": 3, "bits": 25}, "bits must be"),
        (ShiftmaxSpec, {"length": 3, "unit_bits": 17}, "unit_bits must be"),
        (ShiftmaxSpec, {"length": 3, "steps": 31}, "steps must be"),
        (ShiftmaxSpec, {"length": 3, "code_bits": 17}, "code_bits must be"),
        (ShiftGeluSpec, {"length": 3, "unit_bits": 16, "steps": 25}, "unit_bits and steps must be at most 40 together"),
        (ShiftGeluSpec, {"length": 3, "code_bits": 1}, "code_bits must be"),
        (LayerNormSpec, {"length": 5000}, "length must be"),
        (LayerNormSpec, {"length": 3, "bits": 21}, "bits must be"),
        (LayerNormSpec, {"length": 3, "bias_bits": 1}, "bias_bits must be"),
        (LayerNormSpec, {"length": 3, "start_bits": 31}, "start_bits must be"),
        (LayerNormSpec, {"length": 3, "iterations": 17}, "iterations must be"),
        (HadamardSpec, {"bits": 33, "size": 4}, "bits must be"),
        (HadamardSpec, {"bits": 3, "size": 1}, "size must be"),
        (HadamardSpec, {"bits": 3, "size": 12}, "size must be a power of two, not 12"),
    ],
)
def test_specs_field_wrong(spec: Any, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        spec(**fields)


def test_specs_kind_wrong() -> None:
    rounding: Any = "down"
    with pytest.raises(TypeError, match=r"^rounding must be a ShiftRounding, not 'down'$"):
        RequantizerSpec(rounding=rounding)
    signed: Any = 1
    with pytest.raises(TypeError, match=r"^signed must be"):
        RequantizerSpec(signed=signed)
