# SPDX-License-Identifier: Apache-2.0
"""Operands of units: read from .npy files, as codes or as values to be rounded; or drawn."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim.datapath import DotProductUnit, prune
from hwsim.datapath.unit import ScalarSpec
from hwsim.formats import BlockSpec, CodebookSpec, FloatSpec, IntegerSpec, PositSpec, quantize
from hwsim.formats.codes import code_dtype

__all__ = [
    "DISTRIBUTIONS",
    "Operands",
    "Recorded",
    "Rounded",
    "draw",
    "encode",
    "from_files",
    "quantized",
    "read_array",
    "read_recorded",
]

Codes = NDArray[np.unsignedinteger]
DISTRIBUTIONS = ("normal", "wide", "all")
_MOST = 1 << 28  # elements of a drawn matrix


@dataclass(frozen=True, slots=True, kw_only=True)
class Operands:
    """Codes of a (M, K), b (K, N), and, where there are, c (M, N) and block scales; `notes` say how they were made.

    `tensor_scales`, of a and of b, stand above the block scales of values that were quantized. No unit sees them: a
    value of d is that of its code times both.
    """

    a: Codes
    b: Codes
    c: Codes | None = None
    a_scales: Codes | None = None
    b_scales: Codes | None = None
    tensor_scales: tuple[float, float] = (1.0, 1.0)
    notes: tuple[str, ...] = field(default=())

    @property
    def shape(self) -> tuple[int, int, int]:
        """M, K and N."""
        return self.a.shape[0], self.a.shape[1], self.b.shape[1]

    @property
    def scale(self) -> float:
        """What the values of d's codes are multiplied by: the product of both tensor scales."""
        return self.tensor_scales[0] * self.tensor_scales[1]

    def row(self, place: tuple[int, int]) -> dict[str, Any]:
        """Return what one element of d is made from, as `hwsim.datapath.trace.element_rows` takes it."""
        row, column = place
        found: dict[str, Any] = {"a": self.a[row].tolist(), "b": self.b[:, column].tolist(), "place": place}
        if self.c is not None:
            found["c"] = int(self.c[row, column])
        if self.a_scales is not None:
            found["a_scales"] = self.a_scales[row].tolist()
        if self.b_scales is not None:
            found["b_scales"] = self.b_scales[:, column].tolist()
        return found


def read_array(path: str | Path, what: str) -> NDArray[Any]:
    """Return the array of a .npy file.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, or it is none.
    """
    file = Path(path)
    if file.is_dir():
        raise ValueError(f"{file}: is a directory, not a .npy file for {what}")
    if not file.is_file():
        raise FileNotFoundError(f"no file {str(file)!r} for {what}")
    try:
        array = np.load(file, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise ValueError(f"{file}: not a .npy file of numbers for {what}") from error
    except MemoryError:
        raise ValueError(f"{file}: the array that its header tells of, for {what}, is larger than memory") from None
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{file}: must be a .npy file with one array for {what}, not a .npz")
    if array.dtype.kind == "V" and array.dtype.fields is None:  # how NumPy reads back bfloat16 and float8 of ml_dtypes
        codes = f".view(np.uint{8 * array.dtype.itemsize})"
        raise TypeError(
            f"{file}: {what} is of raw bytes ({array.dtype.str}), for a .npy file does not keep the name of a type of "
            f"ml_dtypes (bfloat16, float8): save codes, {codes}, or values, .astype(np.float32)"
        )
    if array.dtype.kind not in "uif":
        raise TypeError(f"{file}: {what} must be unsigned codes or values, not {array.dtype}")
    return array


def from_files(
    unit: DotProductUnit,
    a: Path,
    b: Path,
    c: Path | None = None,
    a_scales: Path | None = None,
    b_scales: Path | None = None,
) -> Operands:
    """Return a unit's operands from .npy files, checked.

    Unsigned integers are codes; floats are values and rounded to the unit's formats: to nearest, ties to even,
    saturating (infinities, too, where the format has none), without a scale; to a block format along K, which makes
    block scales and may make a tensor scale. c is divided by the tensor scales of a and b.

    Raises
    ------
    FileNotFoundError, TypeError, ValueError
        If a file is missing or not of the kind, shape or range that the unit takes; the message names it.
    """
    left, right = read_array(a, "a"), read_array(b, "b")
    for name, array, file in (("a", left, a), ("b", right, b)):
        if array.ndim != 2 or 0 in array.shape:
            raise ValueError(f"{file}: {name} must have two dimensions, none of them 0, not the shape {array.shape}")
    if left.shape[1] != right.shape[0]:
        raise ValueError(f"{b}: b must have as many rows as a has columns, {left.shape[1]}, not {right.shape[0]}")
    notes: list[str] = []
    x, x_scales, above_x = _operand(unit, "a", left, a, a_scales, notes)
    y, y_scales, above_y = _operand(unit, "b", right, b, b_scales, notes)
    start = None
    if c is not None:
        shape = left.shape[0], right.shape[1]
        start = _start(unit, read_array(c, "c"), c, shape, above_x * above_y, notes)
    scales = above_x, above_y
    return Operands(a=x, b=y, c=start, a_scales=x_scales, b_scales=y_scales, tensor_scales=scales, notes=tuple(notes))


def _operand(
    unit: DotProductUnit, name: str, array: NDArray[Any], file: Path, scales: Path | None, notes: list[str]
) -> tuple[Codes, Codes | None, float]:
    """Return codes, block scales and tensor scale of one operand."""
    spec = unit.a if name == "a" else unit.b
    element = unit.element_a if name == "a" else unit.element_b
    if array.dtype.kind == "f":
        if scales is not None:
            raise ValueError(f"{scales}: {name}'s scales go with codes, and {file} holds values")
        made = quantized(unit, name, array)
        notes.append(f"{file}: {made.note}")
        return made.codes, made.scales, made.tensor_scale
    codes = _in_range(array, element, element.bits + unit.ignored_bits, f"{file}: codes of {name}, {element.name},")
    if not isinstance(spec, BlockSpec):
        if scales is not None:
            raise ValueError(f"{scales}: {spec.name} has no block scales")
        return codes, None, 1.0
    if scales is None:
        raise ValueError(f"{file}: codes of {spec.name} need --{name}-scales FILE.npy, a code a block along K")
    held = read_array(scales, f"{name}'s scales")
    blocks = -(-array.shape[1 if name == "a" else 0] // spec.block_size)
    shape = (array.shape[0], blocks) if name == "a" else (blocks, array.shape[1])
    if held.dtype.kind == "f" or held.shape != shape:
        raise ValueError(
            f"{scales}: {name}'s scales must be unsigned codes of the shape {shape}, not {held.dtype} of {held.shape}"
        )
    what = f"{scales}: codes of {name}'s scales, {spec.scale.name},"
    return codes, _in_range(held, spec.scale, spec.scale.bits, what), 1.0


def _in_range(array: NDArray[Any], spec: ScalarSpec, bits: int, what: str) -> Codes:
    """Return codes of `bits` bits; of an integer format signed integers are values."""
    low, high = (int(array.min()), int(array.max())) if array.size else (0, 0)
    if array.dtype.kind == "i":
        if not isinstance(spec, IntegerSpec) or spec.fraction_bits:
            raise TypeError(
                f"{what} must be unsigned integers, not {array.dtype}: view them as unsigned if they are codes, or "
                "convert them to floats if they are values"
            )
        if low < spec.min_int or high > spec.max_int:
            wrong = low if low < spec.min_int else high
            raise ValueError(f"{what} must be in {spec.min_int}..{spec.max_int}, not {wrong}")
        return (array.astype(np.int64).view(np.uint64) & np.uint64((1 << bits) - 1)).astype(code_dtype(bits))
    if high >> bits:
        raise ValueError(f"{what} must be in 0..2**{bits} - 1, not {high}")
    return array.astype(code_dtype(bits))


def _container(unit: DotProductUnit, element: ScalarSpec) -> ScalarSpec:
    """Return the format of an operand's codes with the bits that the unit ignores."""
    if unit.ignored_bits and isinstance(element, FloatSpec):
        return replace(element, man_bits=element.man_bits + unit.ignored_bits)
    return element


class Rounded(NamedTuple):
    """Values in an operand's format: codes, block scales, tensor scale, and a sentence on how they came to be."""

    codes: Codes
    scales: Codes | None
    tensor_scale: float
    note: str


def quantized(unit: DotProductUnit, name: str, values: NDArray[Any]) -> Rounded:
    """Round values to an operand's format."""
    spec = unit.a if name == "a" else unit.b
    if isinstance(spec, BlockSpec):
        made = quantize(values, spec, axis=1 if name == "a" else 0)
        above = "" if made.tensor_scale == 1 else f", and a tensor scale of {made.tensor_scale:.7g}"
        note = f"values quantized to {spec.name} along K, blocks of {spec.block_size}{above}"
        return Rounded(made.codes, np.asarray(made.scales, code_dtype(spec.scale.bits)), made.tensor_scale, note)
    element = _container(unit, spec)
    codes = encode(element, values)
    with np.errstate(invalid="ignore"):
        back = np.asarray(element.decode(codes), np.float64)
        changed = int(((back != values.astype(np.float64)) & ~np.isnan(values)).sum())
    beyond = "" if np.isfinite(values).all() else ", infinities kept" if element.has_inf else ", infinities too"
    note = f"values rounded to {spec.name} without a scale (to nearest, ties to even, saturating{beyond}): "
    note += f"{changed:,} of {values.size:,} changed" if changed else "all exact"
    return Rounded(codes, None, 1.0, note)


def encode(spec: ScalarSpec, values: NDArray[Any]) -> Codes:
    """Return the codes of values; they saturate, but for infinities of a format that has them."""
    if isinstance(spec, FloatSpec) and spec.has_inf:
        return np.asarray(spec.encode(values, "nearest_even", "propagate"))
    if isinstance(spec, CodebookSpec | PositSpec):
        return np.asarray(spec.encode(values))
    return np.asarray(spec.encode(values, "nearest_even", "saturate"))


def _start(
    unit: DotProductUnit, array: NDArray[Any], file: Path, shape: tuple[int, int], scale: float, notes: list[str]
) -> Codes:
    register = unit.register.format
    if array.shape != shape:
        raise ValueError(f"{file}: c must have the shape {shape}, not {array.shape}")
    if array.dtype.kind == "f":
        divided = "" if scale == 1 else "divided by the tensor scales and "
        notes.append(f"{file}: values {divided}rounded to {register.name}, the register's format")
        return encode(register, array if scale == 1 else array.astype(np.float64) / scale)
    if scale != 1:
        raise TypeError(
            f"{file}: c must be values, not codes, where a and b are values quantized with tensor scales, "
            f"{scale:.7g} together: codes do not say whether they are to be divided by them"
        )
    return _in_range(array, register, register.bits, f"{file}: codes of c, {register.name},")


class Recorded(NamedTuple):
    """A recorded d: its codes, or, of units with tensor scales, values of a type; and which of the two it was."""

    codes: Codes | None
    values: NDArray[Any]
    what: str


def read_recorded(path: Path, spec: IntegerSpec | FloatSpec | PositSpec, operands: Operands) -> Recorded:
    """Return a recorded d: codes of its format, or values.

    Values are those of codes, exactly; only with tensor scales, which are multiplied in, they may be any.

    Raises
    ------
    FileNotFoundError, TypeError, ValueError
        If the file is none, of another shape, or its values are none of the format.
    """
    array = read_array(path, "d")
    shape = operands.shape[0], operands.shape[2]
    if array.shape != shape:
        raise ValueError(f"{path}: d must have the shape {shape}, not {array.shape}")
    if array.dtype.kind != "f":
        codes = _in_range(array, spec, spec.bits, f"{path}: codes of d, {spec.name},")
        said = "codes" if operands.scale == 1 else "codes, before the tensor scales"
        return Recorded(codes, np.asarray(spec.decode(codes)), said)
    if operands.scale != 1:
        return Recorded(None, array, f"values ({array.dtype}), the tensor scales multiplied in")
    if isinstance(spec, FloatSpec) and spec.name == array.dtype.name:
        return Recorded(array.view(f"u{array.dtype.itemsize}"), array, "values, bit for bit")
    codes = encode(spec, array)
    back = np.asarray(spec.decode(codes), np.float64)
    wrong = (back != array.astype(np.float64)) & ~(np.isnan(back) & np.isnan(array))
    if wrong.any():
        row, column = (int(at) for at in np.argwhere(wrong)[0])
        raise ValueError(
            f"{path}: d must hold values of {spec.name}, and {array[row, column]!s} at {row},{column} is none"
        )
    return Recorded(codes, array, "values")


def draw(unit: DotProductUnit, shape: tuple[int, int, int], distribution: str, seed: int) -> Operands:
    """Draw operands.

    Parameters
    ----------
    unit : DotProductUnit
    shape : tuple of int
        M, K and N.
    distribution : str
        ``normal``: standard normal values; ``wide``: signs and magnitudes over most of the formats' exponents;
        ``all``: every code alike, infinities and NaN with them (scales: those within 2**8 of 1).
    seed : int

    Returns
    -------
    Operands
        Sparse where the unit is.

    Raises
    ------
    ValueError
        For an unknown distribution, or sizes that are not positive or too large.
    """
    rows, depth, columns = shape
    if distribution not in DISTRIBUTIONS:
        raise ValueError(f"--distribution must be one of {', '.join(DISTRIBUTIONS)}, not {distribution!r}")
    if min(shape) < 1 or max(rows * depth, depth * columns, rows * columns) > _MOST:
        raise ValueError(f"--random MxKxN must be positive, with matrices of up to 2**28 elements, not {shape}")
    rng = np.random.default_rng(seed)
    drawn: dict[str, tuple[Codes, Codes | None, float]] = {}
    for name, size in (("a", (rows, depth)), ("b", (depth, columns))):
        spec, element = (unit.a, unit.element_a) if name == "a" else (unit.b, unit.element_b)
        if distribution == "all":
            codes = rng.integers(0, 1 << (element.bits + unit.ignored_bits), size, dtype=np.uint64)
            made = codes.astype(code_dtype(element.bits + unit.ignored_bits))
            if name == "a" and unit.sparsity is not None:
                kept = prune(rng.random(size) + 1, unit.sparsity) != 0
                made = np.where(kept, made, encode(_container(unit, element), np.zeros(1))[0])
            drawn[name] = made, _some_scales(rng, spec, size, name), 1.0
        else:
            values = rng.standard_normal(size) if distribution == "normal" else _wide(rng, element, size)
            if isinstance(element, IntegerSpec):
                values = values * (element.max_int / 3 if distribution == "normal" else 1) * 2.0**-element.fraction_bits
            if name == "a" and unit.sparsity is not None:
                values = prune(values, unit.sparsity)
            drawn[name] = quantized(unit, name, values)[:3]
    notes = [f"{rows} x {depth} by {depth} x {columns}, drawn: {distribution}, seed {seed}"]
    (a, a_scales, above_a), (b, b_scales, above_b) = drawn["a"], drawn["b"]
    if (above_a, above_b) != (1, 1):
        notes.append(f"tensor scales of a and b: {above_a:.7g} and {above_b:.7g}")
    scales = above_a, above_b
    return Operands(a=a, b=b, a_scales=a_scales, b_scales=b_scales, tensor_scales=scales, notes=tuple(notes))


def _wide(rng: np.random.Generator, element: ScalarSpec, size: tuple[int, int]) -> NDArray[np.float64]:
    """Draw signs, fractions and exponents; within 2**40 of 1, for beyond it little but the largest product is seen."""
    low = max(element.exp_min, -40)
    high = min(element.exp_max + element.sig_bits - 1, 40)
    exponents = rng.integers(low, high, size, endpoint=True)
    values: NDArray[np.float64] = np.ldexp(1 + rng.random(size), exponents) * rng.choice([-1.0, 1.0], size)
    return values


def _some_scales(rng: np.random.Generator, spec: object, size: tuple[int, int], name: str) -> Codes | None:
    if not isinstance(spec, BlockSpec):
        return None
    assert isinstance(spec.scale, FloatSpec)
    blocks = -(-size[1 if name == "a" else 0] // spec.block_size)
    shape = (size[0], blocks) if name == "a" else (blocks, size[1])
    exponents = rng.integers(max(-8, spec.scale.exp_min), min(8, spec.scale.exp_max), shape, endpoint=True)
    return np.asarray(spec.scale.encode(np.ldexp(1.0, exponents)))
