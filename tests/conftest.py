# SPDX-License-Identifier: Apache-2.0
"""What every test sees: the generators' settings and the reference data beside the checkout."""

import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]

# Derandomised, so that a red run is red again. Uncompiled kernels are a thousand times slower: fewer examples there.
settings.register_profile("compiled", derandomize=True, deadline=None, max_examples=200, database=None)
settings.register_profile("slow_mode", settings.get_profile("compiled"), max_examples=20)
SLOW_MODES = ("NUMBA_DISABLE_JIT", "NUMBA_BOUNDSCHECK")
settings.load_profile("slow_mode" if any(os.environ.get(mode, "0") != "0" for mode in SLOW_MODES) else "compiled")


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep syntheses and builds of a run apart from the user's, whose measurements would hide the package's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HWSIM_CACHE", str(tmp_path_factory.mktemp("hwsim_cache")))
        yield


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the folder of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def pages() -> ModuleType:
    """Return the module that runs the blocks of Markdown pages."""
    spec = importlib.util.spec_from_file_location("pages", Path(__file__).with_name("pages.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["pages"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of reference data beside the checkout, or skip: it is not part of the distribution."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip(f"needs the reference data in {folder.name}/ beside the checkout")
    return folder
