# SPDX-License-Identifier: Apache-2.0
import numba
import pytest

from hwsim.datapath.threads import threads_for


def test_threads_few_products_get_one() -> None:
    before = numba.get_num_threads()
    with threads_for(1000):
        assert numba.get_num_threads() == 1
    assert numba.get_num_threads() == before
    with threads_for(1 << 30):
        assert numba.get_num_threads() == before


def test_threads_come_back_after_an_error() -> None:
    before = numba.get_num_threads()
    with pytest.raises(RuntimeError, match=r"^on purpose$"), threads_for(1):
        raise RuntimeError("on purpose")
    assert numba.get_num_threads() == before
