# SPDX-License-Identifier: Apache-2.0
"""Compare formats with references, and count."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim import formats
from hwsim.conformance import points
from hwsim.conformance.blocks import Bitsandbytes, GfloatBlocks, Torchao, block_rows
from hwsim.conformance.emulators import ApyTypes, Gfloat, QpytorchPlus, SoftPosit
from hwsim.conformance.known import KNOWN, same
from hwsim.conformance.numeric import MlDtypes, Numpy, Onnx, OnnxRuntime, Torch
from hwsim.conformance.reference import (
    BlockEncoding,
    BlockPeer,
    Encoding,
    MissingReferenceError,
    Peer,
    Reference,
    Values,
)

__all__ = [
    "REFERENCES",
    "Verdict",
    "conformance",
]

REFERENCES: tuple[Reference, ...] = (
    Numpy(),
    MlDtypes(),
    Onnx(),
    OnnxRuntime(),
    Torch(),
    Gfloat(),
    ApyTypes(),
    SoftPosit(),
    QpytorchPlus(),
    GfloatBlocks(),
    Torchao(),
    Bitsandbytes(),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the comparison of one format with one reference found.

    format, reference : str
        Reference is ``"none"`` where no library that we know has the format.
    version : str
        Of the reference; empty where nothing was compared.
    decoded : int
        Codes whose values were compared.
    encoded : int
        Values that were encoded and compared, under each rounding and overflow rule that both have.
    differences : int
        Of all these, those that differ without a known reason.
    known : int
        Those that differ where, and as, a flaw or a choice of the reference that we know makes them.
    note : str
        The reasons of the known ones; or why nothing was compared.
    """

    format: str
    reference: str
    version: str
    decoded: int
    encoded: int
    differences: int
    known: int
    note: str

    def to_json(self) -> dict[str, Any]:
        """Return the fields as a mapping that json takes."""
        return asdict(self)


@dataclass(slots=True)
class _Count:
    """What one comparison has found so far."""

    decoded: int = 0
    encoded: int = 0
    differences: int = 0
    known: int = 0

    def add(self, wrong: NDArray[np.bool_], explained: NDArray[np.bool_]) -> None:
        self.differences += int((wrong & ~explained).sum())
        self.known += int((wrong & explained).sum())


def conformance(
    names: Sequence[str] | None = None,
    references: Sequence[str] | None = None,
    progress: Callable[[str], object] | None = None,
) -> list[Verdict]:
    """Compare formats with every reference that has them.

    Every code of a format of up to 16 bits is decoded (of a wider one 2**13 at random). Encoded are every float16 and
    bfloat16 value, every value of the format, every middle between two neighbours and one float32 below and above each,
    under every rounding and overflow rule that the reference has; block formats on rows of such values and others.
    Values are compared with the sign of zero; NaNs are alike.

    Parameters
    ----------
    names : sequence of str, optional
        Formats; without it, all that are catalogued.
    references : sequence of str, optional
        The names of the references to compare with; without it, all.
    progress : callable, optional
        Is given the name of each format before it is compared.

    Returns
    -------
    list of Verdict
        One for each format and reference that has it, installed or not; one with the reference ``"none"`` for a format
        that no reference has.

    Raises
    ------
    KeyError
        If there is no such format.
    ValueError
        If there is no such reference.
    """
    known = {reference.name for reference in REFERENCES}
    for name in references or ():
        if name not in known:
            raise ValueError(f"references must be among {', '.join(sorted(known))}, not {name!r}")
    verdicts = []
    for name in formats.names() if names is None else names:
        spec = formats.named(name)
        if progress is not None:
            progress(spec.name)
        having = [reference for reference in REFERENCES if reference.has(spec)]
        verdicts += [_judge(spec, each) for each in having if references is None or each.name in references]
        if not having:
            verdicts.append(_nothing(spec, "none", "no library that we know has this format"))
    return verdicts


def _nothing(spec: Any, reference: str, note: str) -> Verdict:
    return Verdict(
        format=spec.name, reference=reference, version="", decoded=0, encoded=0, differences=0, known=0, note=note
    )


def _judge(spec: Any, reference: Reference) -> Verdict:
    """Compare one format with one reference."""
    try:
        peer = reference.peer(spec)
    except MissingReferenceError as error:
        return _nothing(spec, reference.name, str(error))
    count, reasons = _Count(), dict[str, None]()
    with np.errstate(all="ignore"):  # NaNs and overflows are among the values
        if isinstance(peer, BlockPeer):
            for way in peer.encodings:
                _compare_blocks(spec, way, block_rows(peer.rows, 4 * spec.block_size), count, reasons)
        else:
            _compare_codes(spec, peer, count)
            for encoding in peer.encodings:
                _compare_values(spec, reference.name, encoding, points.singles(spec), count, reasons)
                if encoding.double:
                    _compare_values(spec, reference.name, encoding, points.doubles(spec), count, reasons)
    return Verdict(
        format=spec.name,
        reference=reference.name,
        version=metadata.version(reference.distribution),
        decoded=count.decoded,
        encoded=count.encoded,
        differences=count.differences,
        known=count.known,
        note="; ".join(reasons),
    )


def _compare_codes(spec: Any, peer: Peer, count: _Count) -> None:
    if peer.decode is None:
        return
    codes = points.codes(spec)
    wrong = ~same(spec.decode(codes), np.asarray(peer.decode(codes)))
    count.decoded += codes.size
    count.add(wrong, np.zeros(wrong.shape, np.bool_))


def _compare_values(
    spec: Any, reference: str, encoding: Encoding, values: Values, count: _Count, reasons: dict[str, None]
) -> None:
    if encoding.covers is not None:
        covered: Any = values[encoding.covers(values)]
        values = np.ascontiguousarray(covered)

    def ours(given: Values) -> NDArray[np.float64]:
        words = {}
        if encoding.random is not None:
            words = {"random": np.resize(encoding.random[0], given.shape), "random_bits": encoding.random[1]}
        return np.asarray(spec.decode(spec.encode(given, encoding.rounding, encoding.overflow, **words)))

    theirs = np.asarray(encoding.run(values)).astype(np.float64)
    wrong = ~same(ours(values), theirs)
    explained = np.zeros(wrong.shape, np.bool_)
    if wrong.any():
        for known in KNOWN:
            if reference in known.references and known.applies(spec, encoding):
                new = wrong & ~explained & same(known.result(spec, encoding, values, ours), theirs)
                if new.any():
                    reasons[known.reason] = None
                    explained |= new
    count.encoded += values.size
    count.add(wrong, explained)


def _compare_blocks(
    spec: Any, encoding: BlockEncoding, rows: NDArray[np.float32], count: _Count, reasons: dict[str, None]
) -> None:
    theirs = encoding.quantize(rows)
    quantized = formats.quantize(rows, spec, rule=encoding.rule)
    ours = (quantized.dequantize(), spec.scale.decode(quantized.scales))
    flaws = (None, None) if encoding.flaw is None else encoding.flaw(rows)
    for mine, other, flaw in zip(ours, theirs, flaws, strict=True):
        if other is None:
            continue
        wrong = ~same(mine, other)
        explained = np.zeros(wrong.shape, np.bool_) if flaw is None else wrong & same(flaw, other)
        count.encoded += other.size
        count.add(wrong, explained)
        if explained.any():
            reasons[encoding.reason] = None
