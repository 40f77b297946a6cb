# SPDX-License-Identifier: Apache-2.0
"""The simulator that the tables run in."""

import pytest

from testbenches.simulators import MissingToolError, find


@pytest.fixture(scope="session")
def simulator() -> str:
    """Icarus Verilog, or else Verilator; skip where neither is installed."""
    try:
        return find().name
    except MissingToolError as missing:
        pytest.skip(str(missing))
