# SPDX-License-Identifier: Apache-2.0
import pytest

from hwsim import formats
from hwsim.formats import FloatSpec
from rtl.formats import PhaseEncoder
from testbenches.codecs import check, phase_works


@pytest.mark.parametrize("source", ["float32", "bfloat16"])
def test_phase_every_code_and_diagonal(simulator: str, source: str) -> None:
    spec = formats.named(source)
    assert isinstance(spec, FloatSpec)
    report = check(phase_works(spec), simulator)
    assert report.modules == 2
    assert report.compared > 100_000


def test_phase_source_wrong() -> None:
    spec = formats.named("float8_e8m0fnu")
    assert isinstance(spec, FloatSpec)
    with pytest.raises(ValueError, match=r"^source must have a sign and a zero, not float8_e8m0fnu$"):
        PhaseEncoder(spec)
