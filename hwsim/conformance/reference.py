# SPDX-License-Identifier: Apache-2.0
"""What a reference is: an outside library, the formats that it has, and how to ask it for codes and values."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module, metadata
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "BlockEncoding",
    "BlockPeer",
    "Encoding",
    "MissingReferenceError",
    "Peer",
    "Reference",
    "load",
]

Values = NDArray[np.float32] | NDArray[np.float64]
BlockQuantize = Callable[[NDArray[np.float32]], tuple[NDArray[np.float64], NDArray[np.float64] | None]]


class MissingReferenceError(Exception):
    """A reference that is not installed, or does not load; says which of the two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """One way in which a reference rounds to a format.

    rounding, overflow : str
        The rules under which our format does the same.
    run : callable
        Takes an array of float32 (float64 if `double`), returns the values of the codes that the reference chose.
    random : pair or None
        The words of stochastic rounding, repeated to the number of values, and their bits.
    covers : callable or None
        Tells which values the reference accepts; None for all.
    double : bool
        Compared on float64 values as well.
    """

    rounding: str
    overflow: str
    run: Callable[[Any], NDArray[Any]]
    random: tuple[NDArray[np.int64], int] | None = None
    covers: Callable[[Values], NDArray[np.bool_]] | None = None
    double: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A scalar format of a reference: the values of its codes (None if it has no codes), and its encodings."""

    decode: Callable[[NDArray[np.unsignedinteger]], NDArray[Any]] | None
    encodings: tuple[Encoding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockEncoding:
    """One way in which a reference quantizes to a block format.

    quantize : callable
        Takes rows of float32, returns the values and, if it has them, the scales of blocks.
    rule : str or None
        The scale rule under which `quantize` of ours does the same; None for the format's own.
    flaw, reason : callable or None, str
        What the reference is known to give in place of the format, by our own account of its steps.
    """

    quantize: BlockQuantize
    rule: str | None = None
    flaw: BlockQuantize | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockPeer:
    """A block format of a reference, and how many rows of four blocks it takes in a second or less."""

    encodings: tuple[BlockEncoding, ...]
    rows: int


class Reference(Protocol):
    """An outside library."""

    name: str
    distribution: str

    def has(self, spec: Any) -> bool:
        """Tell whether the library has a format, without importing it."""

    def peer(self, spec: Any) -> Peer | BlockPeer:
        """Return the library's form of a format that it has."""


def load(name: str, distribution: str) -> Any:
    """Import an optional library."""
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        raise MissingReferenceError("not installed") from None
    try:
        with _silence():
            return import_module(name)
    except Exception as error:  # an extension that does not fit this Python raises what it likes
        raise MissingReferenceError(f"installed, but does not load: {error}") from error


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keep what a library and the compilers that it calls print while it is imported out of our output."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(1), os.dup(2)]
    with Path(os.devnull).open("w") as sink, contextlib.redirect_stdout(sink), contextlib.redirect_stderr(sink):
        os.dup2(sink.fileno(), 1)
        os.dup2(sink.fileno(), 2)
        try:
            yield
        finally:
            sink.flush()
            for place, copy in zip((1, 2), kept, strict=True):
                os.dup2(copy, place)
                os.close(copy)
