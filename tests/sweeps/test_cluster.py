# SPDX-License-Identifier: Apache-2.0
"""Schedulers that are not there: one line each."""

import re
import subprocess
import sys

import pytest

pytest.importorskip("distributed")

from hwsim.sweeps.cluster import check_address, client_of, local_scheduler


@pytest.mark.parametrize("address", ["tcp://10.0.0.1:8786", "tls://host.example:1", "ws://[::1]:80", "wss://h:65535"])
def test_cluster_addresses(address: str) -> None:
    check_address(address)


@pytest.mark.parametrize("address", ["", "banana", "host:8786", "tcp://host", "tcp://:8786", "file://h:1", "tcp://h:x"])
def test_cluster_addresses_wrong(address: str) -> None:
    with pytest.raises(ValueError, match="must be tcp://HOST:PORT, or tls:// or ws://, not '"):
        check_address(address)


def test_cluster_tls_without_certificates_wrong() -> None:
    with (
        pytest.raises(RuntimeError, match=r"^'tls://127\.0\.0\.1:1' needs certificates: set distributed\.comm\.tls"),
        client_of("tls://127.0.0.1:1", local=False),
    ):
        pass


_CHAIN = """Traceback (most recent call last):
  File "nanny.py", line 1, in start
    raise OSError(24)
OSError: [Errno 24] Too many open files

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "cluster.py", line 2, in <module>
RuntimeError: Nanny failed to start.
"""


@pytest.mark.parametrize(
    ("said", "cause"),
    [(_CHAIN, "OSError: [Errno 24] Too many open files"), ("killed\n\n", "killed"), ("", "they said nothing")],
)
def test_cluster_that_does_not_start_says_the_deepest_cause(
    monkeypatch: pytest.MonkeyPatch, said: str, cause: str
) -> None:
    script = f"import sys; sys.stderr.write({said!r})"
    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda command, **given: popen([sys.executable, "-c", script], **given))
    with (
        pytest.raises(RuntimeError, match=re.escape(f"the local workers did not start: {cause}; run the same again")),
        local_scheduler(1) as address,
    ):
        address()
