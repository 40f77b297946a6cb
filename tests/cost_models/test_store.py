# SPDX-License-Identifier: Apache-2.0
"""Results on disk."""

from pathlib import Path

import pytest

from cost_models import store


@pytest.fixture(autouse=True)
def empty_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HWSIM_CACHE", str(tmp_path))
    return tmp_path


def test_store_round_trip(empty_store: Path) -> None:
    name = store.key(text="module", recipe="area")
    assert store.load("asic", name) is None
    store.save("asic", name, {"area": 1.5, "cells": {"INV": 2}})
    assert store.load("asic", name) == {"area": 1.5, "cells": {"INV": 2}}
    assert store.load("fpga", name) is None
    assert [path.suffix for path in empty_store.rglob("*") if path.is_file()] == [".json"]


def test_store_cut_short(empty_store: Path) -> None:
    name = store.key(text="module")
    store.save("asic", name, [1])
    path = next(empty_store.rglob("*.json"))
    path.write_text("[1", encoding="utf-8")
    assert store.load("asic", name) is None


def test_store_interrupted_write_leaves_the_old(empty_store: Path) -> None:
    name = store.key(text="module")
    store.save("asic", name, [1])
    with pytest.raises(TypeError, match="not JSON serializable"):
        store.save("asic", name, [object()])
    assert store.load("asic", name) == [1]
    assert not list(empty_store.rglob("*.part"))


def test_store_key_order() -> None:
    assert store.key(a=1, b="x") == store.key(b="x", a=1)
    assert len({store.key(a=1), store.key(a=2), store.key(b=1)}) == 3


def test_store_directory(monkeypatch: pytest.MonkeyPatch, empty_store: Path) -> None:
    assert store.cache_directory() == empty_store
    monkeypatch.delenv("HWSIM_CACHE")
    assert store.cache_directory().name == "hwsim"
