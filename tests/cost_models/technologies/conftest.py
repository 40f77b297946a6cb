# SPDX-License-Identifier: Apache-2.0
"""Every standard-cell technology that comes with the package."""

import pytest

from cost_models.technologies import Technology, names, read

LIBRARIES = [name for name in names() if isinstance(read(name), Technology)]


@pytest.fixture(scope="session", params=LIBRARIES)
def technology(request: pytest.FixtureRequest) -> Technology:
    """Return each standard-cell technology."""
    found = read(request.param)
    assert isinstance(found, Technology)
    return found
