# SPDX-License-Identifier: Apache-2.0
"""What papers claim, read from a TOML file, and whether figures of ours agree."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = [
    "CLAIMS",
    "Claim",
    "Ours",
    "Paper",
    "Papers",
    "agrees",
    "figures_text",
    "read_papers",
]

CLAIMS = Path(__file__).with_name("claims.toml")
KNOWN = ("printed", "read off", "worked out")
"""How a paper's figure is known: it stands there, was read off a drawing, or follows from others that stand there."""
_RULES = ("within", "above", "mostly_above", "between", "digits")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ours:
    """How a figure of ours is come by: a name of `hwsim.report.papers.measures`, what it is of, its arguments."""

    measure: str
    label: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A figure, several, or a statement of a paper, and what of ours stands beside it.

    Parameters
    ----------
    says : str
    value : tuple of float, or str
        A statement where the paper gives no figure.
    unit : str
    digits : int
        After the point, as they are written.
    where : str
        Table, figure or section.
    known : str
        Of `KNOWN`.
    agrees : mapping
        One rule: ``within`` (relative), ``digits`` (the same when rounded so), ``above`` (all of ours),
        ``mostly_above`` (more than half of ours), ``between``.
    why : str
        Why ours differ, where they do.
    ours : tuple of Ours
    """

    says: str
    value: tuple[float, ...] | str
    unit: str
    digits: int
    where: str
    known: str
    agrees: Mapping[str, Any]
    why: str
    ours: tuple[Ours, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """A paper with its claims."""

    key: str
    title: str
    arxiv: str
    about: str
    claims: tuple[Claim, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Papers:
    """All papers, and what was left out with the reason."""

    papers: tuple[Paper, ...]
    not_compared: tuple[tuple[str, str], ...]


def read_papers(path: Path = CLAIMS) -> Papers:
    """Read papers and their claims.

    Raises
    ------
    KeyError, ValueError
        If a key is missing, unknown, or has a value that it cannot have; with the claim.
    """
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    papers = tuple(
        Paper(
            key=paper["key"],
            title=paper["title"],
            arxiv=paper["arxiv"],
            about=_flowing(paper["about"]),
            claims=tuple(_claim(each) for each in paper["claims"]),
        )
        for paper in table["papers"]
    )
    return Papers(papers=papers, not_compared=tuple((each["what"], each["why"]) for each in table["not_compared"]))


def _claim(table: Mapping[str, Any]) -> Claim:
    says, value = table["says"], table["value"]
    unknown = sorted(set(table) - {"says", "value", "unit", "digits", "where", "known", "agrees", "why", "ours"})
    if unknown:
        raise ValueError(f"claim {says!r}: unknown key {unknown[0]!r}")
    if table["known"] not in KNOWN:
        raise ValueError(f"claim {says!r}: known must be one of {', '.join(KNOWN)}, not {table['known']!r}")
    rule = table["agrees"]
    if len(rule) != 1 or next(iter(rule)) not in _RULES:
        raise ValueError(f"claim {says!r}: agrees must be one of {', '.join(_RULES)}, not {rule!r}")
    figures = value if isinstance(value, str) else tuple(value) if isinstance(value, list) else (value,)
    return Claim(
        says=says,
        value=figures,
        unit=table.get("unit", ""),
        digits=table.get("digits", 2),
        where=table["where"],
        known=table["known"],
        agrees=rule,
        why=_flowing(table.get("why", "")),
        ours=tuple(
            Ours(
                measure=each["measure"],
                label=each["label"],
                arguments={key: value for key, value in each.items() if key not in {"measure", "label"}},
            )
            for each in table["ours"]
        ),
    )


def _flowing(text: str) -> str:
    """Return a text without its line ends."""
    return " ".join(text.split())


def agrees(claim: Claim, ours: Sequence[float]) -> bool:
    """Return whether figures of ours agree with a claim, by its rule."""
    ((rule, limit),) = claim.agrees.items()
    if rule == "above":
        return all(value > float(limit) for value in ours)
    if rule == "mostly_above":
        return 2 * sum(value > float(limit) for value in ours) > len(ours)
    if rule == "between":
        return all(float(limit[0]) <= value <= float(limit[1]) for value in ours)
    assert not isinstance(claim.value, str)
    pairs = list(zip(ours, claim.value, strict=True))
    if rule == "digits":
        return all(f"{one:.{limit}f}" == f"{other:.{limit}f}" for one, other in pairs)
    return all(abs(one / other - 1) <= float(limit) for one, other in pairs)


def figures_text(claim: Claim, values: Sequence[float] | str) -> str:
    """Return figures as they are written in a table; ``values`` of the paper or ours."""
    if isinstance(values, str):
        return values
    text = ", ".join(f"{value:.{claim.digits}f}" for value in values)
    return f"{text} {claim.unit}".rstrip()
