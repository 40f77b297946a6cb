# SPDX-License-Identifier: Apache-2.0
"""What is known of a unit that exists: how sure its numerics are, and from where."""

from enum import Enum
from typing import NamedTuple

from hwsim.datapath.unit import DotProductUnit

__all__ = [
    "Entry",
    "Evidence",
]


class Evidence(Enum):
    """How the numerics of a unit are known; each member's value is what one says of it.

    MEASURED units equal outputs captured from the instruction for this project, on an H200. REPRODUCED ones equal
    outputs that others captured and published. LITERATURE ones are read from public sources alone.
    """

    MEASURED = "measured on hardware"
    REPRODUCED = "reproduced on others' vectors"
    LITERATURE = "literature only"


class Entry(NamedTuple):
    """A unit of real hardware.

    An instruction may take more elements of K than the unit's `width`: then it is as many steps, in ascending order.

    Parameters
    ----------
    name : str
        Architecture and instruction in one identifier.
    unit : DotProductUnit
    vendor, architecture : str
        ``NVIDIA``, ``Hopper (sm_90a)``.
    instruction : str
        As its manual spells it, or the library call of a whole matrix product.
    evidence : Evidence
    source : str
        Where the numerics are published or how they were captured.
    note : str
        Where sources differ, what depends on the compiler, what is assumed; may be empty.
    """

    name: str
    unit: DotProductUnit
    vendor: str
    architecture: str
    instruction: str
    evidence: Evidence
    source: str
    note: str = ""
