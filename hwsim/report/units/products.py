# SPDX-License-Identifier: Apache-2.0
"""Products through units: one run, two compared, one compared with a recorded result."""

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from hwsim.datapath import DotProductUnit, dot_exact, matmul
from hwsim.datapath.trace import element_rows
from hwsim.formats import BlockSpec, FloatSpec, Quantized
from hwsim.report.formats.text import code_text
from hwsim.report.units.catalog import entries, unit_of
from hwsim.report.units.comparison import Comparison, Exactness, compare, compare_values, exactness
from hwsim.report.units.operands import (
    Codes,
    Operands,
    Recorded,
    draw,
    encode,
    from_files,
    quantized,
    read_array,
    read_recorded,
)
from hwsim.report.units.parting import Followed, follow
from hwsim.report.units.show import Shown, Task, percent
from hwsim.report.units.tables import differences_table, histogram_table
from hwsim.report.units.tracing import pair_as_dict, pair_parts, steps_parts, trace_as_dict, trace_parts
from hwsim.report.units.words import count

__all__ = [
    "run",
]

Part = str | Table
_LOOKED = 3  # elements by the oracle, before a whole product is made


def run(task: Task, units: list[DotProductUnit], progress: Callable[[str], None]) -> Shown:
    """Compute, and compare where there is something to compare with."""
    first = units[0]
    operands = _operands(task, first)
    others = [operands, *(_also(task, first, operands, unit) for unit in units[1:])]
    shape = operands.shape
    if task.place is not None and (task.place[0] >= shape[0] or task.place[1] >= shape[2]):
        raise ValueError(f"--trace must be within {shape[0]} rows and {shape[2]} columns, not {task.trace}")
    recorded = None
    if task.against is not None:
        recorded = read_recorded(task.against, first.output, operands)
    results = []
    for name, unit, held in zip(task.names, units, others, strict=True):
        progress(f"unit {name}")
        results.append(_product(unit, held, task.seed))
    if len(units) == 2:
        return _compared(task, units, others, results)
    if recorded is not None:
        return _against(task, first, operands, results[0], recorded)
    return _ran(task, first, operands, results[0])


def _operands(task: Task, unit: DotProductUnit) -> Operands:
    if task.shape is not None:
        return draw(unit, task.shape, task.distribution or "normal", task.seed)
    assert task.a is not None
    assert task.b is not None
    return from_files(unit, task.a, task.b, task.c, task.a_scales, task.b_scales)


def _also(task: Task, first: DotProductUnit, operands: Operands, second: DotProductUnit) -> Operands:
    """Return the operands of a second unit: the same codes, or the same values in its formats.

    Codes that are converted have the values that they were made of, tensor scales included.
    """
    same = (first.a, first.b, first.ignored_bits) == (second.a, second.b, second.ignored_bits)
    if same and (operands.c is None or first.register.format == second.register.format):
        return operands
    if task.a is not None and task.b is not None:
        files = [task.a, task.b, *([task.c] if task.c is not None else [])]
        if all(read_array(file, "operands").dtype.kind == "f" for file in files):
            return from_files(second, task.a, task.b, task.c)
    return _converted(first, operands, second)


def _converted(first: DotProductUnit, operands: Operands, second: DotProductUnit) -> Operands:
    """Return the operands' values in the formats of another unit."""
    notes = []
    made: dict[str, tuple[Codes, Codes | None, float]] = {}
    for at, name in enumerate("ab"):
        if first.ignored_bits == second.ignored_bits and getattr(first, name) == getattr(second, name):
            held = (operands.a, operands.a_scales) if name == "a" else (operands.b, operands.b_scales)
            made[name] = *held, operands.tensor_scales[at]
            continue
        values = _values(first, operands, name)
        if not np.isfinite(values).all():
            raise ValueError(
                f"{name} must be finite to be rounded to unit 2's {second.a.name if name == 'a' else second.b.name}; "
                "codes with specials can be compared in units of the same formats"
            )
        rounded = quantized(second, name, values)
        notes.append(f"{name}: {rounded.note}")
        made[name] = rounded[:3]
    (a, a_scales, above_a), (b, b_scales, above_b) = made["a"], made["b"]
    c = None
    if operands.c is not None:
        start = np.asarray(first.register.format.decode(operands.c), np.float64)
        c = encode(second.register.format, start * (operands.scale / (above_a * above_b)))
        notes.append(f"c: values rounded to {second.register.format.name}, the register's format")
    scales = above_a, above_b
    return Operands(a=a, b=b, c=c, a_scales=a_scales, b_scales=b_scales, tensor_scales=scales, notes=tuple(notes))


def _values(unit: DotProductUnit, operands: Operands, name: str) -> NDArray[np.float64]:
    """Return an operand's values, its tensor scale multiplied in."""
    spec = unit.a if name == "a" else unit.b
    codes = operands.a if name == "a" else operands.b
    if isinstance(spec, BlockSpec):
        scales = operands.a_scales if name == "a" else operands.b_scales
        assert scales is not None
        above = operands.tensor_scales[0 if name == "a" else 1]
        held = Quantized(codes=codes, scales=scales, tensor_scale=above, format=spec, axis=1 if name == "a" else 0)
        return held.dequantize()
    if unit.ignored_bits and isinstance(spec, FloatSpec):
        spec = replace(spec, man_bits=spec.man_bits + unit.ignored_bits)
    return np.asarray(spec.decode(codes), np.float64)


def _product(unit: DotProductUnit, held: Operands, seed: int) -> Codes:
    return matmul(unit, held.a, held.b, held.c, a_scales=held.a_scales, b_scales=held.b_scales, seed=seed)


def _followed(name: str, unit: DotProductUnit, operands: Operands, place: tuple[int, int], seed: int) -> Followed:
    return follow(unit, name, element_rows(unit, **operands.row(place), seed=seed), operands.shape[1])


def _head(operands: Operands) -> list[str]:
    rows, depth, columns = operands.shape
    return [*operands.notes, f"{rows} x {depth} by {depth} x {columns}: {count(rows * columns, 'output')}"]


def _ran(task: Task, unit: DotProductUnit, operands: Operands, codes: Codes) -> Shown:
    name = task.names[0]
    exact = exactness(unit, operands, codes)
    values = _scaled(unit, operands, codes)
    finite = values[np.isfinite(values)]
    figures: dict[str, Any] = {
        "unit": name,
        "shape": list(operands.shape),
        "notes": list(operands.notes),
        "tensor_scale": operands.scale,
        "output": unit.output.name,
        "exactness": asdict(exact),
        "nan": int(np.isnan(values).sum()),
        "infinite": int(np.isinf(values).sum()),
        "smallest": float(finite.min()) if finite.size else None,
        "largest": float(finite.max()) if finite.size else None,
    }
    parts: list[Part] = [*_head(operands), f"through {name}: d in {unit.output.name}"]
    span = f"values {finite.min():.7g} to {finite.max():.7g}" if finite.size else "no finite value"
    parts.append(f"{span}; {figures['nan']:,} NaN, {figures['infinite']:,} infinite")
    parts += _scale_notes([operands])
    if values.size <= 64:
        parts.append(np.array2string(values, max_line_width=120, threshold=64))
    parts.append(differences_table([name], [exact]))
    if task.output is not None:
        what = _write(task.output, unit, codes, values if task.values else None, operands.scale)
        figures["file"] = str(task.output)
        parts.append(f"{what} written to {task.output}")
    if task.place is not None:
        followed = _followed(name, unit, operands, task.place, task.seed)
        figures["trace"] = {"place": list(task.place), "traces": [trace_as_dict(followed)]}
        parts += [f"\nelement {task.place[0]},{task.place[1]}", *trace_parts(followed)]
    return Shown(figures=figures, parts=parts)


def _scaled(unit: DotProductUnit, operands: Operands, codes: Codes) -> NDArray[np.float64]:
    """Return the values of d, tensor scales multiplied in."""
    values: NDArray[np.float64] = np.asarray(unit.output.decode(codes), np.float64)
    return values if operands.scale == 1 else values * operands.scale


def _scale_notes(held: list[Operands]) -> list[str]:
    """Say what becomes of tensor scales, if there are any."""
    scales = [each.scale for each in held]
    if all(scale == 1 for scale in scales):
        return []
    if len(set(scales)) == 1:
        by = f"{scales[0]:.9g}"
    else:
        by = " and ".join(f"{scale:.9g} (unit {at})" for at, scale in enumerate(scales, start=1))
    return [f"values are those of d's codes times the tensor scales, {by}; traces and codes are before them"]


def _write(file: Path, unit: DotProductUnit, codes: Codes, values: NDArray[np.float64] | None, scale: float) -> str:
    """Write codes, or values as float32 where that holds them all; and say which."""
    held: NDArray[Any] = codes
    what = f"codes of {unit.output.name} ({codes.dtype})"
    if values is not None:
        with np.errstate(over="ignore", invalid="ignore"):
            single = values.astype(np.float32)
        held = single if np.array_equal(single.astype(np.float64), values, equal_nan=True) else values
        what = f"values ({held.dtype})"
    if scale != 1:
        what += " without the tensor scales" if values is None else " with the tensor scales"
    try:
        np.save(file, held)
    except OSError as error:
        raise OSError(f"cannot write {str(file)!r}: {error.strerror or error}") from error
    return what


def _compared(task: Task, units: list[DotProductUnit], operands: list[Operands], results: list[Codes]) -> Shown:
    scales = operands[0].scale, operands[1].scale
    found = compare((units[0].output, units[1].output), (results[0], results[1]), scales)
    exact = [exactness(*each) for each in zip(units, operands, results, strict=True)]
    notes = _notes(operands)
    figures = _figures(list(task.names), operands, notes, found, exact)
    parts: list[Part] = [f"1: {task.names[0]}", f"2: {task.names[1]}", *notes]
    parts += _summary(found, operands[0], "unit 2")
    parts.append(differences_table(task.names, exact))
    place = task.place or (found.places[0] if found.places else None)
    if place is not None:
        pair = [
            _followed(name, unit, held, place, task.seed)
            for name, unit, held in zip(task.names, units, operands, strict=True)
        ]
        figures["trace"] = {"place": list(place), **pair_as_dict(pair[0], pair[1])}
        which = "element" if task.place is not None else "the first that differs:"
        parts += [f"\n{which} row {place[0]}, column {place[1]}"]
        parts += pair_parts(pair[0], pair[1], full=task.place is not None)
    return Shown(figures=figures, parts=parts)


def _notes(operands: list[Operands]) -> list[str]:
    """Return how the operands of two units were made: what is said of both once, else of which."""
    first, second = operands
    both = [note for note in first.notes if note in second.notes or first is second]
    drawn = [note for note in first.notes if " drawn: " in note and note not in both]
    found = [*both, *drawn]
    for at, each in enumerate(operands, start=1):
        found += [f"unit {at}: {note}" for note in each.notes if note not in found]
    return found + _scale_notes(operands)


def _against(task: Task, unit: DotProductUnit, operands: Operands, codes: Codes, recorded: Recorded) -> Shown:
    """Compare a unit with a result that was recorded elsewhere."""
    name, file = task.names[0], str(task.against)
    if recorded.codes is not None:
        scales = operands.scale, operands.scale
        found = compare((unit.output, unit.output), (codes, recorded.codes), scales)
    else:
        found = compare_values(unit.output, (_as_recorded(unit, operands, codes, recorded), _float64(recorded)))
    results = [(name, codes)] + ([] if recorded.codes is None else [(file, recorded.codes)])
    exact = [exactness(unit, operands, each) for _, each in results]
    wrong = found.differ + found.zero_signs + found.nan_codes
    notes = [*operands.notes, *_scale_notes([operands])]
    figures = _figures([name, file], [operands], notes, found, exact)
    others = _others(unit, operands, recorded, found, task.seed) if wrong else []
    figures["others"] = others
    parts: list[Part] = [
        f"unit:     {name}",
        f"recorded: {file}",
        *notes,
        f"{file}: {recorded.what}" + ("" if recorded.codes is None else f", {unit.output.name}"),
        *_summary(found, operands, "the recorded result"),
    ]
    parts.append(differences_table([called for called, _ in results], exact))
    if wrong:
        same = ", ".join(others) or "none"
        parts.append(f"units of the catalog that give every recorded bit on these operands: {same}")
    place = task.place or (found.places[0] if found.places else None)
    if place is not None:
        followed = _followed(name, unit, operands, place, task.seed)
        held, text = _recorded_at(unit, recorded, place)
        parts.append(f"\n{'element' if task.place else 'the first that differs:'} row {place[0]}, column {place[1]}")
        parts.append(f"recorded: {text}")
        figures["trace"] = {"place": list(place), "recorded": held}
        if others:
            other = _followed(others[0], unit_of(others[0]), operands, place, task.seed)
            figures["trace"] |= pair_as_dict(followed, other)
            parts += pair_parts(followed, other, full=task.place is not None)
        else:
            figures["trace"] |= {"traces": [trace_as_dict(followed)]}
            parts += trace_parts(followed) if task.place else steps_parts(followed)
    return Shown(figures=figures, parts=parts, passed=wrong == 0)


def _float64(recorded: Recorded) -> NDArray[np.float64]:
    return recorded.values.astype(np.float64)


def _as_recorded(unit: DotProductUnit, operands: Operands, codes: Codes, recorded: Recorded) -> NDArray[np.float64]:
    """Return the values of d, tensor scales multiplied in, as the recorded type holds them: rounded once to it."""
    with np.errstate(over="ignore"):
        return _scaled(unit, operands, codes).astype(recorded.values.dtype).astype(np.float64)


def _recorded_at(unit: DotProductUnit, recorded: Recorded, place: tuple[int, int]) -> tuple[int | float, str]:
    """Return code, or value where there is none, of a recorded element; and both in words."""
    if recorded.codes is None:
        value = float(recorded.values[place])
        return value, f"{value:.10g}"
    code = int(recorded.codes[place])
    return code, f"{code_text(code, unit.output.bits)} = {float(unit.output.decode(code)):.10g}"


def _others(unit: DotProductUnit, operands: Operands, recorded: Recorded, found: Comparison, seed: int) -> list[str]:
    """Return the catalog's units that take the same codes and give what was recorded."""
    names: dict[DotProductUnit, list[str]] = {}
    for entry in entries():
        if _signature(entry.unit) == _signature(unit) and entry.unit != unit:
            names.setdefault(entry.unit, []).append(entry.name)

    def equal(codes: Any, place: Any = ...) -> bool:
        if recorded.codes is not None:
            return np.array_equal(codes, recorded.codes[place])
        held = _as_recorded(unit, operands, np.asarray(codes), recorded)
        return np.array_equal(held, _float64(recorded)[place], equal_nan=True)

    same = []
    for other, called in names.items():
        looked = all(
            equal(dot_exact(other, element_rows(other, **operands.row(place), seed=seed))[0], place)
            for place in found.places[:_LOOKED]
        )
        if looked and equal(_product(other, operands, seed)):
            same += called
    return same


def _signature(unit: DotProductUnit) -> tuple[Any, ...]:
    """Return what two units must have alike to take the same codes and give codes of one format."""
    return unit.a, unit.b, unit.ignored_bits, unit.sparsity, unit.register.format, unit.output


def _figures(
    names: list[str], operands: list[Operands], notes: list[str], found: Comparison, exact: list[Exactness]
) -> dict[str, Any]:
    return {
        "results": names,
        "shape": list(operands[0].shape),
        "notes": notes,
        "tensor_scales": [each.scale for each in operands],
        **asdict(found),
        "exactness": [asdict(each) for each in exact],
    }


def _summary(found: Comparison, operands: Operands, second: str) -> list[Part]:
    """Return how many outputs differ, where, and by how much."""
    rows, depth, columns = operands.shape
    size = f"{rows} x {depth} by {depth} x {columns}"
    if not found.differ:
        parts: list[Part] = [f"{size}: all of {count(found.outputs, 'output')} are the same numbers"]
    else:
        where = f"in {found.rows:,} of {rows:,} rows and {found.columns:,} of {columns:,} columns"
        parts = [f"{size}: {percent(found.differ, found.outputs)} differ, {where}"]
        parts.append(f"{second} is larger in {found.above:,} of them, smaller in {found.below:,}")
    if found.specials:
        parts.append(f"{percent(found.specials, found.outputs)} with a NaN or an infinity on one side only")
    for number, what in ((found.zero_signs, "in the sign of a zero"), (found.nan_codes, "in the code of a NaN")):
        if number:
            parts.append(f"{number:,} differ {what} alone")
    if found.histogram:
        parts.append(histogram_table(found))
    largest = [
        f"{format(worst[0], ',' if isinstance(worst[0], int) else '.6g')}{what} at {worst[1][0]},{worst[1][1]}"
        for what, worst in (
            (f" ulps of {found.format}", found.largest_ulps),
            ("", found.largest_absolute),
            (" of the larger", found.largest_relative),
        )
        if worst is not None
    ]
    if largest:
        parts.append(f"largest difference: {'; '.join(largest)} (row,column)")
    if len(found.places) > 1:
        shown = "; ".join(f"{row},{column}" for row, column in found.places)
        parts.append(f"first places: {shown}" + (" ..." if found.differ > len(found.places) else ""))
    return parts
