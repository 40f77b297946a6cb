# SPDX-License-Identifier: Apache-2.0
"""The files of a command: none that is read is overwritten, none is written twice, and all can be written."""

import re
import tempfile
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path

__all__ = [
    "check_files",
    "check_folder",
]

_LAYER_FILE = re.compile(r"\d{3,}_.*\.npz")  # `Recorder.write`


def check_files(
    read: Mapping[str, Path | None], written: Mapping[str, Path | None], layers: Path | None = None
) -> None:
    """Check the files of a command before any work; those that are None are left out.

    Parameters
    ----------
    read, written : mapping of str to Path
        By the option that names them. The folders of those to be written exist.
    layers : Path, optional
        A folder to which a file a layer is written (`hwsim.operands.Recorder`).

    Raises
    ------
    OSError
        If a file cannot be written.
    ValueError
        If a file to be written is one that is read or another that is written, links followed.
    """
    inputs = {option: file for option, file in read.items() if file is not None}
    outputs = {option: file for option, file in written.items() if file is not None}
    for one, other in [*((each, known) for each in outputs for known in inputs), *combinations(outputs, 2)]:
        file = outputs[one]
        if _is_same(file, inputs[other] if other in inputs else outputs[other]):
            if other in inputs:
                raise ValueError(f"{one} would overwrite what {other} reads: {str(file)!r}")
            raise ValueError(f"{one} and {other} must be two files, not both {str(file)!r}")
    for option, file in outputs.items():
        _check_writable(option, file)
    if layers is None:
        return
    check_folder("--operands-to", layers)
    for option, file in {**inputs, **outputs}.items():
        if _is_same(file.parent, layers) and _LAYER_FILE.fullmatch(file.name):
            raise ValueError(f"--operands-to writes files named like that of {option}, {str(file)!r}: another folder")


def check_folder(option: str, folder: Path) -> None:
    """Raise OSError or ValueError if files cannot be written to a folder, which need not exist yet."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{option} must be a folder, not the file {str(folder)!r}")
    there = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
    if not there.is_dir():
        raise ValueError(f"{option} must be in a folder, and {str(there)!r} is a file")
    _probe(option, folder, there)


def _is_same(one: Path, other: Path) -> bool:
    """Whether two paths are one file, hard links too."""
    return one.resolve() == other.resolve() or (one.exists() and other.exists() and one.samefile(other))


def _check_writable(option: str, file: Path) -> None:
    """Raise OSError where a file cannot be written; an existing one is left as it is."""
    if not file.exists():
        _probe(option, file, file.parent)
        return
    try:
        file.open("r+b").close()
    except OSError as error:
        raise _cannot(option, file, error) from None


def _probe(option: str, path: Path, folder: Path) -> None:
    """Raise OSError where a folder takes no new file."""
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise _cannot(option, path, error) from None


def _cannot(option: str, path: Path, error: OSError) -> OSError:
    return OSError(f"{option} {str(path)!r} cannot be written: {(error.strerror or str(error)).lower()}")
