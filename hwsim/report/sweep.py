# SPDX-License-Identifier: Apache-2.0
"""A sweep in words: what it will take, what came of it, what a store holds."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from hwsim.report.front_lines import fit_lines, front_lines
from hwsim.report.fronts import Front
from hwsim.report.live import duration
from hwsim.study import DesignPoint, Evaluation
from hwsim.study.version import model_version
from hwsim.sweeps.contents import Contents, contents, other_versions
from hwsim.sweeps.space import Selection
from hwsim.sweeps.store import Store
from hwsim.sweeps.study_file import Study
from hwsim.sweeps.sweep import Preview, Swept, generations_of

__all__ = [
    "found_lines",
    "many_lines",
    "old_lines",
    "preview_lines",
    "store_figures",
    "store_table",
    "swept_dict",
    "swept_lines",
    "unpriced_lines",
    "warning_lines",
]

_MOST_REASONS = 5


def preview_lines(study: Study, found: Preview, place: Path) -> Iterator[str]:
    """Say what a sweep will take."""
    yield from _absent(study)
    if found.selection is None:
        yield (
            f"{study.name}: a search of at most {_counted(found.points, 'point')} of "
            f"{_counted(len(study.space), 'combination')}, in {_counted(generations_of(study), 'generation')} of "
            f"{study.population}; seed {study.seed}"
        )
        yield f"store {place}: what it has of them is not evaluated again{_others(place)}"
        return
    lines = _left_out(found.selection)
    yield f"{study.name}: {next(lines)}"
    yield from lines
    yield (
        f"store {place}: {_counted(found.there, 'point')} there already, {found.points - found.there:,} to evaluate"
        f"{_others(place)}"
    )
    needs = [f"{_counted(found.values, 'network run')} for accuracies"]
    if study.costs == "measured":
        needs.append(f"{_counted(found.prices, 'unit')} to be synthesized")
    yield from unpriced_lines(found.unpriced)
    assert found.seconds is not None
    yield f"needs {', '.join(needs)}; about {duration(found.seconds)} on {_counted(found.workers, 'worker')}"


def swept_lines(study: Study, swept: Swept, fronts: Sequence[Front], place: Path, report: Path | None) -> Iterator[str]:
    """Say what came of a sweep, where it is, and what to try next."""
    yield from _absent(study)
    if swept.selection is not None:
        yield from _left_out(swept.selection)
    for failure in swept.failures[:_MOST_REASONS]:
        yield f"given up, not in the store: {failure.point}: {failure.text}"
    if len(swept.failures) > _MOST_REASONS:
        yield f"and {len(swept.failures) - _MOST_REASONS:,} others; log.jsonl in the store has all"
    yield from found_lines(swept.evaluations, fronts)
    new = len(swept.evaluations) - swept.earlier
    yield f"store: {place}, {_counted(new, 'new point')}, {swept.earlier:,} there before{_others(place)}"
    if report is not None:
        yield f"report: {report}"
    if all(each.refused for each in swept.evaluations):
        return
    if report is not None:
        yield f"next: open it in a browser; hwsim store front {place} --front accuracy,latency_us"
    else:
        yield f"next: hwsim store report {place} -o {place.name.removesuffix('.store')}.html"


def found_lines(evaluations: Sequence[Evaluation], fronts: Sequence[Front]) -> Iterator[str]:
    """Say which points cannot be, what the fronts of the others come to, and which can be on none."""
    yield from _refusals(evaluations)
    able = [each for each in evaluations if not each.refused]
    if able:
        yield from many_lines(fronts)
        yield from unpriced_lines(
            [each.point for each in able if each["cost_source"] is None and each["energy_nj"] is None]
        )


def unpriced_lines(points: Sequence[DesignPoint]) -> Iterator[str]:
    """Say which units have no price, so that their points are on no front of areas or energies."""
    for technology in dict.fromkeys(point.technology for point in points):
        of = [point for point in points if point.technology == technology]
        units = list(dict.fromkeys(point.unit for point in of))
        more = f" and {len(units) - _MOST_REASONS} others" * (len(units) > _MOST_REASONS)
        was = "was" if len(units) == 1 else "were"
        has = "has" if len(of) == 1 else "have"
        yield (
            f"{_counted(len(of), 'point')} {has} no area or energy: {', '.join(units[:_MOST_REASONS])}{more} {was} "
            f'never measured in {technology} and cannot be estimated; costs = "measured" synthesizes '
            f"{'it' if len(units) == 1 else 'them'}"
        )


def warning_lines(place: Path) -> Iterator[str]:
    """Say before a sweep how many points of its store are of other versions."""
    count = sum(other_versions(Store(place, create=False)).values()) if place.exists() else 0
    if count:
        yield (
            f"{_counted(count, 'point')} in {place} {'is' if count == 1 else 'are'} of another version of hwsim and "
            "will be evaluated again where the study asks for them; they stay"
        )


def many_lines(fronts: Sequence[Front]) -> Iterator[str]:
    """Say what the fronts of many points come to, and what is fitted of their members."""
    yield from front_lines(fronts)
    yield from fit_lines([row for front in fronts for row in front.members])


def swept_dict(study: Study, swept: Swept, fronts: Sequence[Front], place: Path, report: Path | None) -> dict[str, Any]:
    """Return what came of a sweep, JSON-ready."""
    return {
        "study": study.name,
        "method": study.method,
        "store": str(place),
        "version": model_version(),
        "points": len(swept.evaluations),
        "earlier": swept.earlier,
        "refused": sum(bool(each.refused) for each in swept.evaluations),
        "failed": [{"point": each.point.as_dict(), "text": each.text} for each in swept.failures],
        "selection": None if swept.selection is None else swept.selection.as_dict(),
        "generations": [
            {"number": each.number, "asked": each.asked, "front": len(each.front)} for each in swept.generations
        ],
        "fronts": [each.as_dict() for each in fronts],
        "report": None if report is None else str(report),
    }


def old_lines(held: Contents, *, every: bool) -> Iterator[str]:
    """Say how many points are of other versions of hwsim."""
    if held.old:
        does = "are among them" if every else "are left out; --all takes them too"
        yield f"{_counted(held.old, 'point')} of other versions of hwsim {does}"


def store_figures(store: Store) -> dict[str, Any]:
    """Return what a store holds, JSON-ready: points of today's version by network, of others by version."""
    held = contents(store)
    return {
        "store": str(store.path),
        "points": len(held.evaluations),
        "refused": sum(bool(each.refused) for each in held.evaluations),
        "networks": dict(Counter(each.point.network for each in held.evaluations)),
        "formats": len({each.point.format for each in held.evaluations}),
        "values": len(store.keys("values")),
        "costs": len(store.keys("costs")),
        "others": dict(held.others),
        "bytes": sum(part.stat().st_size for part in store.path.rglob("*.parquet")),
    }


def store_table(found: Sequence[Mapping[str, Any]]) -> Table:
    """Return a table of stores, a row each."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("store", overflow="fold")
    for heading in ("points", "refused", "formats", "network runs", "measured prices", "of other versions", "MB"):
        table.add_column(heading, justify="right")
    table.add_column("networks", overflow="fold")
    for each in found:
        counts = (each["points"], each["refused"], each["formats"], each["values"], each["costs"])
        old = sum(each["others"].values())
        networks = ", ".join(f"{name} {count:,}" for name, count in each["networks"].items())
        table.add_row(
            each["store"], *(f"{count:,}" for count in (*counts, old)), f"{each['bytes'] / 1e6:.2f}", networks
        )
    return table


def _left_out(selection: Selection) -> Iterator[str]:
    """Say how many points there are, and what became of the other combinations."""
    parts = [
        f"{selection.excluded:,} excluded" * bool(selection.excluded),
        f"{selection.repeated:,} the same as another" * bool(selection.repeated),
        f"{sum(selection.impossible.values()):,} without such a unit" * bool(selection.impossible),
    ]
    said = ", ".join(part for part in parts if part)
    yield (
        f"{_counted(len(selection.points), 'point')} of {_counted(selection.combinations, 'combination')}"
        + (f": {said}" if said else "")
    )
    yield from _reasons(selection.impossible)


def _refusals(evaluations: Sequence[Evaluation]) -> Iterator[str]:
    """Say how many points cannot be, and why."""
    reasons = Counter(each.refused for each in evaluations if each.refused)
    if reasons:
        every = "all " * all(each.refused for each in evaluations)
        yield f"{every}{_counted(sum(reasons.values()), 'point')} cannot be built or run:"
        yield from _reasons(reasons)


def _reasons(reasons: Mapping[str, int]) -> Iterator[str]:
    """Give the most frequent reasons, a line each."""
    ordered = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    for reason, count in ordered[:_MOST_REASONS]:
        yield f"  {count:,} x {reason}"
    if len(ordered) > _MOST_REASONS:
        yield f"  and {sum(count for _, count in ordered[_MOST_REASONS:]):,} for {len(ordered) - _MOST_REASONS} others"


def _absent(study: Study) -> Iterator[str]:
    """Say which optional networks are not there."""
    for name in study.absent:
        yield f"without the network {name}: give it with --network {name}=MODEL.onnx"


def _others(place: Path) -> str:
    """Say how many points of other versions a store has."""
    count = sum(other_versions(Store(place, create=False)).values()) if place.exists() else 0
    return f"; {_counted(count, 'point')} of other versions of hwsim stay" if count else ""


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'s' * (count != 1)}"
