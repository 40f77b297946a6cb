# SPDX-License-Identifier: Apache-2.0
"""How many threads a kernel gets: one where waking the others would take longer than the work."""

from collections.abc import Iterator
from contextlib import contextmanager

import numba

__all__ = [
    "threads_for",
]

_WORTH_THREADS = 1 << 18
"""Products; some milliseconds of work. Waiting for a thread that has no core of its own takes up to 10 ms."""


@contextmanager
def threads_for(products: int) -> Iterator[None]:
    """Limit the kernels called inside to one thread if there are few products; no result depends on it."""
    threads = numba.get_num_threads()
    numba.set_num_threads(threads if products >= _WORTH_THREADS else 1)
    try:
        yield
    finally:
        numba.set_num_threads(threads)
