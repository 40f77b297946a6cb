# SPDX-License-Identifier: Apache-2.0
"""Workers of a sweep: processes of this machine that end with their client, or a Dask cluster by its address.

``python -m hwsim.sweeps.cluster COUNT`` is the process in which the local scheduler lives, its workers as children.
It is a process of its own so that a sweep may be started from anything that runs Python (a script without a
``__main__`` guard, a notebook, ``python -c``), and so that it can see the client's end: its standard input closes then,
whatever the client died of.
"""

import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import cache, partial
from pathlib import Path
from typing import IO, Any

__all__ = [
    "ALLOWED_FAILURES",
    "check_address",
    "check_workers",
    "client_of",
    "distributed",
    "local_scheduler",
]

ALLOWED_FAILURES = 2
"""A local task whose worker has died more often than this is given up: the third time."""
_CONNECT_SECONDS = 20.0
_WAIT_SECONDS = 60.0
_CLOSE_SECONDS = 2.0
_ADDRESS = re.compile(r"(tcp|tls|wss?)://[^/\s]+:\d{1,5}")
_ERROR = re.compile(r"[\w.]*[A-Z]\w*(Error|Exception|Exit|Interrupt|Warning)\b.*")
_LEAN = {
    "distributed.scheduler.allowed-failures": ALLOWED_FAILURES,
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.tick.limit": "10s",
    "distributed.admin.system-monitor.interval": "10s",
    "distributed.deploy.lost-worker-timeout": "1000 days",
}
"""Settings of local schedulers and workers.

What Dask measures for its dashboard takes time from the points. Without the last, a worker that is starting again 15 s
after it died, for it died again, is never started again.
"""
_ONE_THREAD = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def distributed() -> Any:
    """Return dask.distributed; ModuleNotFoundError says how to get it."""
    try:
        import distributed as module
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "a sweep needs dask.distributed: pip install 'hwsim[sweep]'", name=error.name, path=error.path
        ) from None
    return module


@contextmanager
def local_scheduler(workers: int) -> Iterator[Callable[[], str]]:
    """Start worker processes of one thread each on this machine.

    Gives what waits for their scheduler's address, and raises RuntimeError, with the first cause that they wrote, if
    they do not start. They end at the end of the context, or when this process ends in whatever way.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DASK_")}
    environment |= dict.fromkeys(_ONE_THREAD, "1")
    environment["PYTHONPATH"] = os.pathsep.join(path or str(Path.cwd()) for path in sys.path)
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(workers)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, env=environment, text=True,
            start_new_session=True,  # Ctrl-C is for the client, which ends them in order
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield cache(partial(_address, process.stdout, said))
        finally:
            process.stdin.close()
            process.wait()
            process.stdout.close()


def _address(answers: IO[str], said: IO[str]) -> str:
    address = answers.readline().strip()
    if not address:
        said.seek(0)
        raise RuntimeError(f"the local workers did not start: {_cause(said.readlines())}; run the same again")
    return address


def _cause(lines: Sequence[str]) -> str:
    """Return the first error of tracebacks, which is the cause of those after it; without any, the last line."""
    said = [line.strip() for line in lines if line.strip()]
    errors = (line.strip() for line in lines if _ERROR.fullmatch(line.rstrip()))
    return next(errors, said[-1] if said else "they said nothing")


def check_address(address: str) -> None:
    """Raise ValueError for what is no address of a scheduler."""
    if not _ADDRESS.fullmatch(address):
        raise ValueError(f"the scheduler's address must be tcp://HOST:PORT, or tls:// or ws://, not {address!r}")


@contextmanager
def client_of(address: str, *, local: bool) -> Iterator[Any]:
    """Connect to a scheduler; Dask's log is silent meanwhile, and a local cluster's settings are Dask's defaults.

    Raises
    ------
    RuntimeError
        If no scheduler answers at the address, or it has no worker.
    """
    module = distributed()
    with ExitStack() as stack:
        stack.enter_context(_settings(local))
        stack.enter_context(_silent("distributed", "tornado"))
        has_keys = module.Security().get_connection_args("client").get("ssl_context") is not None
        if address.startswith(("tls:", "wss:")) and not has_keys:
            raise RuntimeError(f"{address!r} needs certificates: set distributed.comm.tls in Dask's configuration")
        try:
            client = module.Client(address, set_as_default=False, timeout=_CONNECT_SECONDS, name="hwsim-sweep")
        except (OSError, ValueError) as error:
            raise RuntimeError(f"no Dask scheduler answers at {address!r}: {_first_line(error)}") from None
        stack.callback(_close, client)
        try:
            client.wait_for_workers(1, timeout=_WAIT_SECONDS)
        except TimeoutError:
            raise RuntimeError(
                f"the scheduler {address} has no worker after {_WAIT_SECONDS:.0f} s: start some with 'dask worker "
                f"{address} --nthreads 1'"
            ) from None
        yield client


def check_workers(client: Any, expected: Mapping[str, str]) -> int:
    """Check that every worker runs what the client runs, and return how many there are.

    Raises
    ------
    RuntimeError
        If one has no hwsim, or another version of it, of Python, numpy or numba; with its address.
    """
    from hwsim.sweeps.tasks import fingerprint

    answers = client.run(fingerprint, on_error="return")
    for address, answer in sorted(answers.items()):
        if isinstance(answer, BaseException):
            raise RuntimeError(f"the worker {address} cannot run hwsim: {type(answer).__name__}: {_first_line(answer)}")
        differing = [
            f"{name} {answer.get(name)} (client: {expected[name]})"
            for name in expected
            if answer.get(name) != expected[name]
        ]
        if differing:
            raise RuntimeError(f"the worker {address} has another {', '.join(differing)}: nothing was run")
    return len(answers)


def _close(client: Any) -> None:
    """Leave a scheduler, also one that is lost and will not answer."""
    with suppress(TimeoutError):
        client.close(timeout=_CLOSE_SECONDS)


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


@contextmanager
def _settings(local: bool) -> Iterator[None]:
    """Use Dask's defaults for a local cluster, in place of this user's files; a case may be large."""
    import dask

    clean: dict[str, Any] = {}
    if local:
        dask.config.refresh(config=clean, paths=[], env={})
    with dask.config.set(clean), dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 TiB"}):
        yield


@contextmanager
def _silent(*names: str) -> Iterator[None]:
    """Turn loggers off, those below them too."""
    known = [name for name in logging.root.manager.loggerDict if name.split(".")[0] in names]
    before = {name: logging.getLogger(name).level for name in {*names, *known}}
    for name in before:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)


def _serve(workers: int) -> None:
    """Run a scheduler and its workers until standard input closes, also while they start."""
    with tempfile.TemporaryDirectory(prefix="hwsim-sweep-", ignore_cleanup_errors=True) as scratch:
        threading.Thread(target=_end_with_client, args=(scratch,), daemon=True).start()
        cluster = distributed().LocalCluster(
            n_workers=workers, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None,
            memory_limit=0, local_directory=scratch, silence_logs=logging.CRITICAL,
        )  # fmt: skip
        sys.stdout.write(f"{cluster.scheduler_address}\n")
        sys.stdout.flush()
        threading.Event().wait()


def _end_with_client(scratch: str) -> None:
    """Wait until the client is gone, then end the workers and this process at once: they have nothing to keep."""
    import psutil  # comes with dask.distributed

    os.read(0, 1)  # of the descriptor: a lock of sys.stdin would be held for the workers that start meanwhile
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            process.kill()
    shutil.rmtree(scratch, ignore_errors=True)
    os._exit(0)


if __name__ in {"__main__", "__mp_main__"}:
    import dask

    dask.config.refresh(paths=[], env={})
    dask.config.set(_LEAN)

if __name__ == "__main__":
    _serve(int(sys.argv[1]))
