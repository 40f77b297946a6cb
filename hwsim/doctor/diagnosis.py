# SPDX-License-Identifier: Apache-2.0
"""All that `hwsim doctor` says: where hwsim is, its tools, and what came of the self-test."""

import os
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import hwsim
from hwsim.doctor.selftest import Outcome, State, run_steps
from hwsim.doctor.tools import Tool, examine

__all__ = [
    "Diagnosis",
    "diagnose",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """What was found: Python, the machine, where hwsim and what it keeps are, tools; steps, none without a test."""

    python: str
    machine: str
    cores: int
    version: str
    folder: str
    store: str
    tools: tuple[Tool, ...]
    steps: tuple[Outcome, ...]

    @property
    def required_missing(self) -> tuple[Tool, ...]:
        """Packages that hwsim cannot do without, and that are not here."""
        return tuple(tool for tool in self.tools if not tool.extra and not tool.found)

    @property
    def passed(self) -> bool:
        """Whether no step failed and nothing that hwsim cannot do without is missing."""
        return not self.required_missing and all(step.state is not State.FAILED for step in self.steps)

    def as_dict(self) -> dict[str, Any]:
        """Return all of it, ready for JSON."""
        return {
            **{key: getattr(self, key) for key in ("python", "machine", "cores", "version", "folder", "store")},
            "tools": [{**asdict(tool), "found": tool.found} for tool in self.tools],
            "missing": [tool.name for tool in self.tools if not tool.found],
            "steps": [asdict(step) for step in self.steps],
            "seconds": sum(step.seconds for step in self.steps),
            "passed": self.passed,
        }


def diagnose(*, test: bool = True, progress: Callable[[str], None] = lambda text: None) -> Diagnosis:
    """Look for the tools and, with `test`, run the self-test; without what hwsim needs there is none."""
    progress("looking for tools")
    tools = examine()
    complete = all(tool.found for tool in tools if not tool.extra)
    return Diagnosis(
        python=platform.python_version(),
        machine=f"{platform.system()} {platform.machine()}",
        cores=os.cpu_count() or 1,
        version=hwsim.__version__,
        folder=str(Path(hwsim.__file__).parent),
        store=_store() if complete else "",
        tools=tools,
        steps=tuple(run_steps(tools, progress)) if test and complete else (),
    )


def _store() -> str:
    """Return where the user's measurements are kept."""
    from cost_models.store import cache_directory

    return str(cache_directory())
