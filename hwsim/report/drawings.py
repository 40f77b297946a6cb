# SPDX-License-Identifier: Apache-2.0
"""The files that a simulation can be drawn and written to."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hwsim.report.plots import check_plot_file
from hwsim.report.roofline import roofline_plot
from hwsim.report.timeline import timeline_plot
from hwsim.report.trace import check_trace_file, write_trace

if TYPE_CHECKING:
    from hwsim.result import SimulationResult

__all__ = [
    "Files",
]


class Files(NamedTuple):
    """Where a simulation's roofline, timeline and trace go; None where there is to be none."""

    roofline: Path | None = None
    timeline: Path | None = None
    trace: Path | None = None

    def checked(self) -> "Files":
        """Return itself.

        Raises
        ------
        FileNotFoundError, ValueError
            If a file's folder does not exist, or its ending is another.
        """
        for file in (self.roofline, self.timeline):
            if file is not None:
                check_plot_file(file)
        if self.trace is not None:
            check_trace_file(self.trace)
        return self

    @property
    def by_option(self) -> dict[str, Path]:
        """Those that are to be, by the command line's option."""
        return {f"--{what}": file for what, file in self._asdict().items() if file is not None}

    def write(self, result: "SimulationResult") -> dict[str, str]:
        """Write all of them; return their names by what they are."""
        written = {}
        for what, write in (("roofline", roofline_plot), ("timeline", timeline_plot), ("trace", write_trace)):
            file = getattr(self, what)
            if file is not None:
                written[what] = str(write(result, file))
        return written
