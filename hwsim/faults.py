# SPDX-License-Identifier: Apache-2.0
"""Tell what a user got wrong from what the program got wrong."""

import dis

__all__ = [
    "is_stated",
]

_OWN = ("hwsim", "rtl", "testbenches", "cost_models")


def is_stated(error: Exception) -> bool:
    """Return whether a ``raise`` in one of the project's own packages made an error, and not the interpreter."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return False
    code = trace.tb_frame.f_code
    own = str(trace.tb_frame.f_globals.get("__name__", "")).partition(".")[0] in _OWN
    return own and dis.opname[code.co_code[trace.tb_lasti]] in ("RAISE_VARARGS", "RERAISE")
