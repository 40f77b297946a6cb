# SPDX-License-Identifier: Apache-2.0
"""What fronts come to in lines: who is on them, what is fitted, and which leads are chance."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import sqrt

from hwsim.report.fronts import Front
from hwsim.report.rows import Row, labels
from hwsim.study.quantities import quantity

__all__ = [
    "fit_lines",
    "front_lines",
]

_SHARES = ("accuracy", "agreement")
_LONGEST = 160  # characters of the names of a front's members, beyond which they are counted
_MOST = 3


def front_lines(found: Sequence[Front]) -> Iterator[str]:
    """Say what each front is of and who is on it, and how large the leads of accuracies are that are chance.

    Members with a fitted figure are marked ``~``; those are named that another row would beat, were that figure worse
    by the error of the fit.
    """
    for front in found:
        yield f"front {front.number}{_where(front, found)}, {front}: {_members(front)}"
    for network in dict.fromkeys(front.network for front in found):
        own = [front for front in found if front.network == network]
        of = f" on {network}" * (len(own) < len(found))
        for key in _SHARES:
            yield from _chance([front for front in own if key in front.objectives and front.members], key, of)


def fit_lines(rows: Sequence[Row]) -> Iterator[str]:
    """Say what `~` is, and how large the largest error is, where a row's cost is fitted."""
    fitted = [row for row in rows if row["cost_fitted"]]
    errors = [row["cost_error"] for row in fitted if row["cost_error"] is not None]
    if fitted:
        error = f", within {100 * max(errors):.0f} % for nine of ten formats that were held out" if errors else ""
        yield f"~ follows from a cost that is fitted, not measured{error}"


def _where(front: Front, found: Sequence[Front]) -> str:
    """Name the network and the technology of a front, where there are several."""
    network = f" of {front.network}" * (len({each.network for each in found}) > 1)
    return network + f" in {front.technology}" * (len({each.technology for each in found}) > 1)


def _members(front: Front) -> str:
    """Name the members of a front; of many, say how many, and name those that only the fit puts there."""
    fitted, unsure = front.fitted, front.unsure
    named = list(zip(front.members, labels(front.members, front.rows), strict=True))
    if not named:
        return "no row has all these figures"
    if sum(len(name) for _, name in named) <= _LONGEST:
        return ", ".join(
            "~" * _has(fitted, row) + name + " (within the fit's error)" * _has(unsure, row) for row, name in named
        )
    said = f"{len(named):,} points" + (f", {len(fitted):,} of them with ~" if fitted else "")
    close = _some([name for row, name in named if _has(unsure, row)])
    return said + (f"; within the fit's error: {close}" if close else "")


def _chance(found: Sequence[Front], key: str, of: str) -> Iterator[str]:
    """Say how large a standard error of a share is, and which members lead by less than two of them."""
    shares = [(row[key], row["images"]) for front in found for row in front.members if row["images"]]
    error = max((100 * sqrt(share * (1 - share) / images) for share, images in shares), default=0.0)
    if error:
        close = [text for front in found for points, text in _leads(front, key) if points < 2 * error]
        said = _some(tuple(dict.fromkeys(close)))
        yield (
            f"{quantity(key).label}{of}: the standard error of {min(images for _, images in shares):,} images is "
            f"{error:.1f} points, and leads below about {2 * error:.1f} are noise" + (f": {said}" if said else "")
        )


def _leads(front: Front, key: str) -> Iterator[tuple[float, str]]:
    """Give what each member is ahead of the one behind it, in points of a hundred; of equal ones the first."""
    ordered = sorted({row[key]: row for row in reversed(front.members)}.items())
    rows = [row for _, row in ordered]
    for (row, behind), (other, name) in pairwise(zip(rows, labels(rows), strict=True)):
        points = 100 * (other[key] - row[key])
        yield points, f"{name}'s {points:.2f} over {behind}"


def _some(names: Sequence[str]) -> str:
    """Name the first three, and say how many others there are."""
    more = len(names) - _MOST
    return ", ".join([*names[:_MOST], *[f"{more} other{'s' * (more > 1)}"] * (more > 0)])


def _has(rows: Sequence[Row], row: Row) -> bool:
    return any(row is each for each in rows)
