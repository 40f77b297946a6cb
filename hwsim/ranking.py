# SPDX-License-Identifier: Apache-2.0
"""Which format keeps a network's weights best: formats ranked by their errors on them."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim import data, network
from hwsim.accelerator.scales import slice_scales
from hwsim.formats import BlockSpec, Format, PhaseSpec, named
from hwsim.formats.catalog import entries
from hwsim.formats.quality import measure

__all__ = [
    "DIGITS",
    "WIDE",
    "candidates",
    "left_out",
    "rank",
    "rank_file",
]

DIGITS = "digits"  # in place of a file: the network that the package ships
_MOST_BITS = 9.0
WIDE = f"of more than {_MOST_BITS:g} bits"
"""Why `candidates` leaves out a format that `rank_file` takes where it is named."""


def candidates() -> tuple[Format, ...]:
    """Return the catalogued formats of at most 9 bits an element that hold real values of both signs."""
    specs = [entry.spec for entry in entries() if not isinstance(entry.spec, PhaseSpec)]
    return tuple(spec for spec in specs if _bits(spec) <= _MOST_BITS and _is_candidate(spec))


def left_out() -> dict[str, tuple[str, ...]]:
    """Return the catalogued formats that are no `candidates`, by what they are; the wide ones can be ranked by name."""
    found: dict[str, tuple[str, ...]] = {}
    for entry in entries():
        spec = entry.spec
        if isinstance(spec, PhaseSpec):
            why = "of complex numbers"
        elif not _is_candidate(spec):
            why = "without negative values"
        elif _bits(spec) > _MOST_BITS:
            why = WIDE
        else:
            continue
        found[why] = (*found.get(why, ()), entry.name)
    return found


def rank_file(
    model: str | Path, formats: Sequence[str] = (), *, progress: Callable[[str], None] | None = None
) -> list[dict[str, Any]]:
    """Rank formats on the weights of an ONNX file, or of the digits network for the name ``"digits"``.

    Parameters
    ----------
    model : path-like or str
    formats : sequence of str
        Names; without any, `candidates`.
    progress : callable, optional
        Is told each format before its turn.

    Returns
    -------
    list of dict
        As `rank`.

    Raises
    ------
    FileNotFoundError, ValueError
        If the file cannot be read, or has no weights; if a format does not hold values of both signs.
    KeyError
        For an unknown format.
    """
    specs = tuple(named(name) for name in formats) or candidates()
    for spec in specs:
        if not _is_candidate(spec):
            raise ValueError(f"a ranked format must hold real values of both signs, and {spec.name} does not")
    path = data.digits_model_path(quantized=False) if str(model) == DIGITS else Path(model)
    return rank(network.weights(path), specs, progress=progress)


def rank(
    weights: Mapping[str, tuple[NDArray[Any], int]],
    formats: Sequence[Format],
    *,
    progress: Callable[[str], None] | None = None,
) -> list[dict[str, Any]]:
    """Quantize each tensor in each format and sum up the errors.

    Parameters
    ----------
    weights : mapping of str to (array of floats, int)
        Each tensor with the axis along which products are summed, K (`hwsim.network.weights`).
    formats : sequence of formats
        Block formats take their blocks along K. A scalar format has a float32 scale an output channel, that with which
        a unit runs (`hwsim.accelerator.scales`): the largest magnitude over the format's largest value, of posits over
        the end of their dense middle; none for float16, bfloat16, tfloat32 and float32.
    progress : callable, optional
        Is told each format before its turn.

    Returns
    -------
    list of dict
        JSON-ready, sorted by ``bits_per_element`` and falling ``qsnr_db``: a format's ``format``, ``bits_per_element``
        (without the scales of channels and tensors), ``elements``, ``qsnr_db`` (the power of all weights over that of
        all errors; None where there is no error), ``mean_qsnr_db`` (over the tensors with errors, weighted by their
        elements), ``mse``, ``max_error``, ``codes_used`` (share of the codes that occur in a
        tensor, weighted mean), and ``tensors``: the same of each tensor.

    Raises
    ------
    ValueError
        If there are no weights, or one of them is not finite.
    """
    rows = {name: _rows(name, array, axis) for name, (array, axis) in weights.items()}
    rows = {name: matrix for name, matrix in rows.items() if matrix.any()}  # zeros are the same in every format
    if not rows:
        raise ValueError("there are no weights other than zero to rank formats on")
    signal = math.fsum(float(np.square(matrix).sum()) for matrix in rows.values())
    found = []
    for spec in formats:
        if progress is not None:
            progress(f"format {spec.name} on {len(rows)} tensors")
        found.append(_row(spec, [_measure(spec, name, matrix) for name, matrix in rows.items()], signal))
    return sorted(found, key=lambda row: (row["bits_per_element"], -_order(row["qsnr_db"])))


def _order(qsnr: float | None) -> float:
    return math.inf if qsnr is None else qsnr


def _bits(spec: Format) -> float:
    return float(getattr(spec, "bits_per_element", spec.bits))


def _is_candidate(spec: Any) -> bool:
    inner = spec.element if isinstance(spec, BlockSpec) else spec
    has_zero_point = isinstance(spec, BlockSpec) and spec.zero_point
    return has_zero_point or (hasattr(inner, "min_value") and inner.min_value < 0 < inner.max_value)


def _rows(name: str, array: NDArray[Any], axis: int) -> NDArray[np.float64]:
    """Return a tensor as a matrix of output channels by K."""
    if not np.isfinite(array).all():
        raise ValueError(f"weights {name!r} must be finite")
    return np.ascontiguousarray(np.moveaxis(array, axis, -1), np.float64).reshape(-1, array.shape[axis])


def _measure(spec: Any, name: str, matrix: NDArray[np.float64]) -> dict[str, Any]:
    """Return the figures of a format on one tensor."""
    block = isinstance(spec, BlockSpec)
    quality = measure(matrix, spec, -1) if block else measure(matrix, spec, -1, scale=slice_scales(spec, matrix, -1))
    return {
        "tensor": name,
        "elements": matrix.size,
        "qsnr_db": None if math.isinf(quality.qsnr_db) else quality.qsnr_db,
        "mse": quality.mse,
        "max_error": quality.max_error,
        "codes_used": quality.codes_used,
    }


def _row(spec: Any, tensors: list[dict[str, Any]], signal: float) -> dict[str, Any]:
    """Return the figures of a format over all tensors, and those of each."""
    count = sum(each["elements"] for each in tensors)

    def mean(key: str) -> float:
        return float(sum(each["elements"] * each[key] for each in tensors) / count)

    noise = mean("mse") * count
    noisy = [each for each in tensors if each["qsnr_db"] is not None]
    weight = sum(each["elements"] for each in noisy)
    return {
        "format": spec.name,
        "bits_per_element": _bits(spec),
        "elements": count,
        "qsnr_db": 10 * math.log10(signal / noise) if noise else None,
        "mean_qsnr_db": sum(each["elements"] * each["qsnr_db"] for each in noisy) / weight if noisy else None,
        "mse": mean("mse"),
        "max_error": max(each["max_error"] for each in tensors),
        "codes_used": mean("codes_used"),
        "tensors": tensors,
    }
