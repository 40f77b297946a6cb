# SPDX-License-Identifier: Apache-2.0
"""Matrix products through an array: the beats of its stream, the outputs that the model expects, the Verilog run."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.datapath import matmul
from hwsim.datapath.array import ArrayGeometry, ArrayKind
from hwsim.datapath.unit import DotProductUnit
from hwsim.formats import BlockSpec
from rtl.arrays import array_latency, beat_fields, output_fields
from testbenches.compiled import Compiled, from_limbs, to_limbs

__all__ = [
    "Program",
    "Run",
    "chained",
    "program",
    "run_verilog",
    "stall_pattern",
]

Codes = NDArray[Any]
_PATIENCE_CYCLES = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What enters an array, beat by beat, and what leaves it.

    beats : fields of each beat of `rtl.arrays.beat_fields` by name; a field that is not named is 0
    outputs : `d` and `last` of each output, as the model has them
    product : what `matmul` makes of the operands, shape (M, N)
    places : for each output its row (or, input-stationary, its column) of the product and its first column (row), or
    None for a partial sum and for what is outside
    beats_to_next : beats from the first one to where another program's may begin (`chained`)
    """

    beats: list[dict[str, int]]
    outputs: list[dict[str, int]]
    product: Codes
    places: list[tuple[int, int] | None]
    transposed: bool
    beats_to_next: int

    def gather(self, outputs: list[int], geometry: ArrayGeometry, bits: int) -> Codes:
        """Return the product that an array's outputs are, each an integer of ``columns`` codes of `bits`."""
        found = np.zeros_like(self.product.T if self.transposed else self.product)
        for value, place in zip(outputs, self.places, strict=True):
            if place is not None:
                row, left = place
                for column in range(left, min(left + geometry.columns, found.shape[1])):
                    found[row, column] = (value >> ((column - left) * bits)) & ((1 << bits) - 1)
        return found.T if self.transposed else found


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What an array made of a program.

    d, last : fields of each output
    wrong : outputs that are not as the model has them, those that are missing or too many included
    cycles : from the first, which without bubbles has the first beat, to the one with the last output, both included
    broken : cycles in which an output changed while it waited
    """

    d: list[int]
    last: list[int]
    wrong: int
    cycles: int
    broken: int


@dataclass(frozen=True, slots=True)
class _Operand:
    """An operand, lines of codes along K: rows of a or columns of b; filled up, cut into steps of an element."""

    codes: Codes
    scales: Codes | None
    bits: int
    scale_bits: int
    block: int

    def word(self, lines: range, start: int, width: int) -> int:
        """Join some lines' codes of ``start .. start + width - 1``, the first at bit 0."""
        flat = self.codes[lines.start : lines.stop, start : start + width].reshape(-1)
        return _packed(flat, self.bits)

    def scale(self, lines: range, start: int) -> int:
        """Join some lines' scales of the block that a place along K is in."""
        if self.scales is None:
            return 0
        return _packed(self.scales[lines.start : lines.stop, start // self.block], self.scale_bits)


def program(
    geometry: ArrayGeometry,
    unit: DotProductUnit,
    a: Codes,
    b: Codes,
    *,
    a_scales: Codes | None = None,
    b_scales: Codes | None = None,
    pipeline: int = 1,
) -> Program:
    """Cut a matrix product into the beats of an array's stream.

    Parameters
    ----------
    geometry : ArrayGeometry
    unit : DotProductUnit
    a, b : arrays of integers, shapes (M, K) and (K, N)
        Codes, as of `matmul`; filled up with code 0 to whole tiles.
    a_scales, b_scales : arrays of integers
        As of `matmul`, for block formats.
    pipeline : int
        Ranks of registers of an element: how long partial sums take.

    Returns
    -------
    Program
        Tiles in order of rows, then of columns; where an operand stays, parts of K in order, each over all tiles. Loads
        ride with the steps of the fold before, as early as they can; gaps are left until partial sums are out. Those
        enter as the model has them, and the outputs that they should have come from are among the expected ones.

    Raises
    ------
    ValueError
        If K takes several folds, and the array has no partial sums or the unit rounds what leaves it.
    """
    element = geometry.element(unit)
    width = element.lanes
    kept = geometry.kind.keeps_outputs
    deep = width * (1 if kept or geometry.kind is ArrayKind.ADDER_TREE else geometry.rows)
    transposed = geometry.kind is ArrayKind.INPUT_STATIONARY
    across = geometry.columns
    tall = geometry.rows if kept else 1
    m, n = (across, tall) if transposed else (tall, across)
    left, right = _filled(a, m, deep), _filled(b.T, n, deep)
    blocks_a, blocks_b = (-(-left.shape[1] // _block(spec)) for spec in (unit.a, unit.b))
    scales_a = None if a_scales is None else _filled(a_scales, m, blocks_a)
    scales_b = None if b_scales is None else _filled(b_scales.T, n, blocks_b)
    model = _Model(element, left, right, scales_a, scales_b)
    operands = {
        name: _Operand(codes, scales, spec.bits, 0 if scale is None else scale.bits, _block(whole))
        for name, codes, scales, spec, scale, whole in (
            ("a", left, scales_a, unit.element_a, unit.scale_a, unit.a),
            ("b", right, scales_b, unit.element_b, unit.scale_b, unit.b),
        )
    }
    beats: list[dict[str, int]] = []
    outputs: list[dict[str, int]] = []
    places: list[tuple[int, int] | None] = []
    if kept:
        whole = model.product(left.shape[1])
        to_next = 0
        for top in range(0, left.shape[0], geometry.rows):
            for column in range(0, right.shape[0], geometry.columns):
                beats += _steps(geometry, operands, (top, column), width)
                for row in range(top, top + geometry.rows):
                    d = _packed(whole[row, column : column + geometry.columns], unit.output.bits)
                    outputs.append({"d": d, "last": int(row == top + geometry.rows - 1)})
                    places.append((row, column) if row < a.shape[0] else None)
    else:
        folds = _folds(geometry, unit, model, deep, transposed)
        beats, to_next = _loaded(geometry, operands, folds, width, unit.output.bits, pipeline)
        for fold in folds:
            for index, line in enumerate(fold.expected):
                outputs.append({"d": _packed(line, unit.output.bits), "last": int(index == len(fold.expected) - 1)})
                places.append((index, fold.column) if fold.start + deep == left.shape[1] else None)
    product = model.product(left.shape[1])[: a.shape[0], : b.shape[1]]
    return Program(
        beats=beats,
        outputs=outputs,
        product=product,
        places=places,
        transposed=transposed,
        beats_to_next=to_next or len(beats),
    )


def chained(programs: Sequence[Program]) -> Program:
    """Return programs of one array as one, each entering as soon as it can behind the one before: groups of a product.

    Its `product` and `places` are of the first; outputs are in order, to be given to each one's `gather`.
    """
    beats: list[dict[str, int]] = []
    start = 0
    for each in programs:
        beats += [{} for _ in range(start + len(each.beats) - len(beats))]
        for beat, more in zip(beats[start:], each.beats, strict=True):
            beat.update(more)  # a load beside the steps of the fold before
        start += each.beats_to_next
    outputs = [output for each in programs for output in each.outputs]
    return replace(programs[0], beats=beats, outputs=outputs, beats_to_next=start)


def run_verilog(
    compiled: Compiled,
    geometry: ArrayGeometry,
    unit: DotProductUnit,
    what: Program,
    *,
    bubbles: float = 0.0,
    stalls: float = 0.0,
    seed: int = 1,
) -> Run:
    """Send a program through the compiled Verilog of `rtl.array_verilog`, after a reset.

    Parameters
    ----------
    compiled : Compiled
    geometry, unit
        What the Verilog is of.
    what : Program
    bubbles, stalls : float
        How often no beat is offered, and an output not taken, of 1: see `Compiled.stream`.
    seed : int
        Of these.
    """
    fields = beat_fields(geometry, unit)
    rows = {
        f"i_{name}": to_limbs(np.array([beat.get(name, 0) for beat in what.beats], object), bits)
        for name, bits in fields.items()
    }
    compiled.reset()
    done = compiled.stream(
        rows, len(what.outputs), bubbles=bubbles, stalls=stalls, seed=seed, patience_cycles=_PATIENCE_CYCLES
    )
    found = {
        name: [int(code) for code in from_limbs(done.outputs[f"o_{name}"])] for name in output_fields(geometry, unit)
    }
    pairs = zip(what.outputs, found["d"], found["last"], strict=True)
    wrong = sum((output["d"], output["last"]) != (d, last) for output, d, last in pairs)
    wrong += abs(done.given - len(what.outputs)) + (len(what.beats) - done.accepted)
    return Run(d=found["d"], last=found["last"], wrong=wrong, cycles=done.cycles - _PATIENCE_CYCLES, broken=done.broken)


def stall_pattern(bubbles: float, stalls: float, seed: int = 1) -> Iterator[tuple[bool, bool]]:
    """Give for each cycle whether `run_verilog` offers a beat in it, and whether it takes an output: without an end."""
    mask = (1 << 64) - 1
    levels = int(bubbles * 256), int(stalls * 256)
    x = (seed * 2654435769 + 88172645463325252) & mask
    while True:
        x ^= (x << 13) & mask
        x ^= x >> 7
        x ^= (x << 17) & mask
        yield (x & 255) >= levels[0], ((x >> 20) & 255) >= levels[1]


class _Model:
    """`matmul` of the operands as they enter, up to some place along K."""

    def __init__(self, unit: DotProductUnit, left: Codes, right: Codes, *scales: Codes | None) -> None:
        self._unit, self._left, self._right, self._scales = unit, left, right, scales

    def product(self, depth: int) -> Codes:
        """Return the product of the first `depth` elements of K."""
        of_a, of_b = self._scales
        block = _block(self._unit.a), _block(self._unit.b)
        return matmul(
            self._unit,
            self._left[:, :depth],
            self._right[:, :depth].T,
            a_scales=None if of_a is None else of_a[:, : -(-depth // block[0])],
            b_scales=None if of_b is None else of_b[:, : -(-depth // block[1])].T,
        )


@dataclass(frozen=True, slots=True)
class _Fold:
    """A part of K and the columns of a tile; what its sums start from, and what they come to, a line a step."""

    start: int
    column: int
    entering: Codes | None
    expected: Codes


def _folds(geometry: ArrayGeometry, unit: DotProductUnit, model: _Model, deep: int, transposed: bool) -> list[_Fold]:
    length = model._left.shape[1]
    if length > deep and (unit.converts or not geometry.partial_sums):
        raise ValueError(
            f"array {geometry.name} of {unit.name} must take K in one fold of {deep}, not {length}: "
            "it has no partial sums, or rounds them"
        )
    found = []
    before: Codes | None = None
    for start in range(0, length, deep):
        after = model.product(start + deep)
        after = after.T if transposed else after
        for column in range(0, after.shape[1], geometry.columns):
            tile = slice(column, column + geometry.columns)
            found.append(_Fold(start, column, None if before is None else before[:, tile], after[:, tile]))
        before = after
    return found


def _steps(
    geometry: ArrayGeometry, operands: Mapping[str, _Operand], corner: tuple[int, int], width: int
) -> Iterator[dict[str, int]]:
    """Spell a tile, a step a beat."""
    length = operands["a"].codes.shape[1]
    lines = range(corner[0], corner[0] + geometry.rows), range(corner[1], corner[1] + geometry.columns)
    for start in range(0, length, width):
        beat = {"first": int(start == 0), "last": int(start + width >= length)}
        for name, those in zip("ab", lines, strict=True):
            operand = operands[name]
            beat |= {name: operand.word(those, start, width), f"scale_{name}": operand.scale(those, start)}
        yield beat


def _loaded(
    geometry: ArrayGeometry,
    operands: Mapping[str, _Operand],
    folds: list[_Fold],
    width: int,
    start_bits: int,
    pipeline: int,
) -> tuple[list[dict[str, int]], int]:
    """Spell folds, each with its loads in the beats of the one before; and say how far on others may follow."""
    stays, streams = ("a", "b") if geometry.kind is ArrayKind.INPUT_STATIONARY else ("b", "a")
    rows, tree = geometry.rows, geometry.kind is ArrayKind.ADDER_TREE
    lines = len(folds[0].expected)
    tiles = len({fold.column for fold in folds})
    latency = array_latency(geometry, pipeline)
    spacing = max(lines, rows if tree else 2 * rows - 1)
    if len(folds) > tiles:
        spacing = max(spacing, -(-(latency + 1) // tiles))
    beats: list[dict[str, int]] = [{} for _ in range(rows + spacing * (len(folds) - 1) + lines)]
    part = width // rows if tree else width
    for index, fold in enumerate(folds):
        begin = rows + spacing * index
        load = begin - spacing + (0 if tree else rows - 1) if index else 0
        held = range(fold.column, fold.column + geometry.columns)
        for place in range(rows):
            start = fold.start + (rows - 1 - place) * part
            beats[load + place] |= {
                "load": 1,
                stays: operands[stays].word(held, start, part),
                f"scale_{stays}": operands[stays].scale(held, start),
            }
        for step in range(lines):
            one = range(step, step + 1)
            beat = beats[begin + step]
            beat |= {"step": 1, "first": int(step == 0), "last": int(step == lines - 1)}
            beat[streams] = operands[streams].word(one, fold.start, part * rows)
            starts = [fold.start] if tree else [fold.start + row * part for row in range(rows)]
            scale = [operands[streams].scale(one, start) for start in starts]
            beat[f"scale_{streams}"] = sum(
                code << (row * operands[streams].scale_bits) for row, code in enumerate(scale)
            )
            if fold.entering is not None:
                beat["c"] = _packed(fold.entering[step], start_bits)
    return beats, spacing * len(folds)


def _filled(codes: Codes, lines: int, length: int) -> Codes:
    """Fill up with zeros to multiples."""
    pads = [(0, -codes.shape[0] % lines), (0, -codes.shape[1] % length)]
    return np.pad(np.asarray(codes), pads)


def _packed(codes: Codes, bits: int) -> int:
    return sum(int(code) << (index * bits) for index, code in enumerate(codes))


def _block(spec: object) -> int:
    return spec.block_size if isinstance(spec, BlockSpec) else 1
