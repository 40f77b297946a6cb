# SPDX-License-Identifier: Apache-2.0
"""How far the fitted cost model is off on formats that it has not seen; with --ship, fit the models of the package.

python -m benchmarks.fitted [--ship] [TECHNOLOGY ...]
"""

import sys
import time
from collections.abc import Sequence

import numpy as np

from cost_models import measurements
from cost_models.fitted import HeldOut, Model, Row, fit, held_out_formats, held_out_kinds, rows_of
from cost_models.fitted.quantities import QUANTITIES, Quantity
from cost_models.fitted.shipped import PATH, write
from cost_models.table import from_csv
from cost_models.technologies import names

__all__ = [
    "main",
    "table",
]

TARGETS = {"area_um2": 0.05, "energy_pj": 0.10}
EXPLAINED = ("area_um2", "energy_pj", "lut")
LEAST = 30
WORST = 8
EXAMPLE = "float8_e4m3fn_l1_"


def measured(technology: str) -> tuple[list[Row], dict[str, str]]:
    """Return the rows of the shipped table of a technology, and those left out, with the reason."""
    path = measurements.shipped_path(technology)
    if not path.is_file():
        return [], {}
    return rows_of(from_csv(path.read_text(encoding="utf-8"), str(path)))


def table(technology: str, rows: Sequence[Row], left_out: dict[str, str]) -> list[str]:
    """Return the lines on a technology: each quantity's errors on held-out formats, and the worst formats.

    `refused` counts predictions that the model does not give: without the format, the unit is outside of what was
    measured.
    """
    formats = {name for row in rows for name in row.formats}
    kinds = {row.kind for row in rows}
    lines = [f"{technology}: {len(rows)} rows of {len(kinds)} kinds, {len(formats)} formats; {len(left_out)} left out"]
    lines += [f"  left out: {name}: {why}" for name, why in sorted(left_out.items())]
    heads = ("quantity", "rows", "refused", "median", "9 of 10", "worst", "unseen kinds: median", "9 of 10", "target")
    lines.append(
        "  " + "".join(f"{head:>{22 if 'kinds' in head else 16 if not i else 9}}" for i, head in enumerate(heads))
    )
    for quantity in QUANTITIES:
        if len(quantity.measured(rows)) >= LEAST:
            lines += _quantity(rows, quantity)
    return lines


def _quantity(rows: Sequence[Row], quantity: Quantity) -> list[str]:
    held = held_out_formats(rows, quantity)
    errors = np.abs([each.error for each in held])
    kinds = np.abs([each.error for each in held_out_kinds(rows, quantity)])
    cells = [f"{100 * x:8.1f}%" for x in (np.median(errors), np.quantile(errors, 0.9), errors.max())]
    unseen = [f"{100 * x:.1f}%" for x in np.quantile(kinds, (0.5, 0.9))] if kinds.size else ["none", "none"]
    target = TARGETS.get(quantity.name)
    verdict = "" if target is None else f"{'met' if np.median(errors) < target else 'missed'} (<{100 * target:.0f}%)"
    kept = quantity.measured(rows)
    refused = sum(len(row.formats) for row in kept) - len(held)
    start = f"  {quantity.name:>16}{len(kept):>9}{refused:>9}{''.join(cells)}"
    line = f"{start}{unseen[0]:>22}{unseen[1]:>9}  {verdict}"
    return [line, f"    worst formats: {_worst(held)}"] if target is not None else [line]


def _worst(held: Sequence[HeldOut]) -> str:
    """Return the formats of the largest median errors, with sign, and the unit that is off by most in each."""
    by_format: dict[str, list[HeldOut]] = {}
    for each in held:
        by_format.setdefault(each.without, []).append(each)
    median = {name: float(np.median([each.error for each in some])) for name, some in by_format.items()}
    first = sorted(median, key=lambda name: -abs(median[name]))[:WORST]
    texts = []
    for name in first:
        most = max(by_format[name], key=lambda each: abs(each.error))
        texts.append(
            f"{name} {100 * median[name]:+.0f}% ({len(by_format[name])} rows; {most.row.unit} {100 * most.error:+.0f}%)"
        )
    return "; ".join(texts)


def explained(model: Model, rows: Sequence[Row]) -> list[str]:
    """Return what the fit makes of a row, feature by feature."""
    row, lines = next((row for row in rows if row.unit.startswith(EXAMPLE)), rows[0]), []
    for name in EXPLAINED:
        if name in model.fits:
            regression = model.fits[name].regression
            parts = sorted(regression.contributions(row.basis).items(), key=lambda item: -item[1])
            total = ", ".join(f"{term} {amount:.4g}" for term, amount in parts)
            made = f"({total}) x {regression.correction(row.basis):.3f} = {regression(row.basis):.5g}"
            lines.append(f"  {row.unit}, {name}: {made}, measured {row.values[name]:.5g}")
    return lines


def main(arguments: Sequence[str] = ()) -> None:
    """Print the cross-validation of each technology, and ship the fits if asked to."""
    ship = "--ship" in arguments
    wanted = [name for name in arguments if name != "--ship"] or list(names())
    models = {}
    for technology in wanted:
        start = time.perf_counter()
        rows, left_out = measured(technology)
        if len(rows) < LEAST:
            print(f"{technology}: {len(rows)} measured rows are too few for a fit, which takes {LEAST}")
            continue
        print("\n".join(table(technology, rows, left_out)))
        models[technology] = fit(rows)
        print("\n".join(explained(models[technology], rows)))
        print(f"  {time.perf_counter() - start:.0f} s")
    if ship:
        write(models)
        print(f"wrote {PATH}: {', '.join(models)}")


if __name__ == "__main__":
    main(sys.argv[1:])
