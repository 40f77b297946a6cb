# SPDX-License-Identifier: Apache-2.0
"""Operands of a layer in a file."""

from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from hwsim import formats
from hwsim.datapath import DotProductUnit
from hwsim.datapath.unit import ScalarSpec
from hwsim.formats import BlockSpec
from hwsim.operands.matrices import from_matrices
from hwsim.operands.streams import Operands

__all__ = [
    "load",
]

_KEYS = ("a", "b", "a_format", "b_format", "layer")
_SCALES = ("a_scales", "b_scales")


def load(path: str | Path, unit: DotProductUnit, *, dataflow: str = "output_stationary") -> Operands:
    """Read the operands of a layer from a .npz, as `record` writes them.

    Parameters
    ----------
    path : str or Path
        A .npz with ``a`` (M, K) or (groups, M, K) and ``b`` (K, N) or (groups, K, N), codes; ``a_format`` and
        ``b_format``, names; ``layer``, a name; of block formats ``a_scales`` (..., M, blocks) and ``b_scales``
        (..., blocks, N), codes.
    unit : DotProductUnit
        Takes those formats.
    dataflow : str
        As for `from_matrices`.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    TypeError, ValueError
        If it is no .npz, lacks an array, is of other formats, or its arrays are not as above; the text begins with the
        path.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"operands file {path} does not exist")
    try:
        with np.load(path) as found:
            arrays: dict[str, NDArray[Any]] = dict(found)
    except (ValueError, BadZipFile, OSError, AttributeError, TypeError) as error:
        raise ValueError(f"{path}: not a .npz of arrays: {error}") from error
    missing = [key for key in _KEYS if key not in arrays]
    unknown = sorted(set(arrays) - {*_KEYS, *_SCALES})
    if missing or unknown:
        wrong = f"lacks {', '.join(missing)}" if missing else f"has unknown {', '.join(unknown)}"
        raise ValueError(f"{path}: {wrong}; want {', '.join(_KEYS)} and, of block formats, {', '.join(_SCALES)}")
    for side in "ab":
        name, spec = str(arrays[f"{side}_format"]), getattr(unit, side)
        if not _is(name, spec):
            raise ValueError(f"{path}: {side}_format must be {spec.name}, which unit {unit.name} takes, not {name!r}")
    try:
        return from_matrices(
            unit, arrays["a"], arrays["b"], a_scales=arrays.get("a_scales"), b_scales=arrays.get("b_scales"),
            dataflow=dataflow, name=f"layer {arrays['layer']} of {path.name}",
        )  # fmt: skip
    except (TypeError, ValueError) as error:
        raise type(error)(f"{path}: {error}") from None


def _is(name: str, spec: ScalarSpec | BlockSpec) -> bool:
    """Whether a name is that of a format."""
    try:
        return name == spec.name or formats.named(name) == spec
    except (LookupError, ValueError):
        return False
