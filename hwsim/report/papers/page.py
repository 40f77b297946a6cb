# SPDX-License-Identifier: Apache-2.0
"""The page of the papers' claims beside our figures, in Markdown."""

from collections import Counter
from pathlib import Path

from hwsim.report.papers.beside import Beside, beside, recorded_sources
from hwsim.report.papers.claims import Claim, Paper, Papers, figures_text, read_papers
from hwsim.report.papers.measures import Sources

__all__ = [
    "page",
    "write_page",
]

_MADE = (
    "<!-- Made by `python -m hwsim.report.papers docs/papers_beside.md`: change "
    "hwsim/report/papers/claims.toml, not this file. -->"
)
_HEAD = """\
# The papers' claims beside our figures

Every figure of ours is made anew by the package's code when this page is made, or was recorded by the benchmark and on
the day that stand beside it; a test fails when the page is not of today's code and data. [papers.md](papers.md)
explains the differences at length, [seed_comparison.md](seed_comparison.md) is the study whose outputs are compared.

A figure agrees if it is within the bounds in brackets: a tenth for areas and energies, the printed digits for what is
exact, the sign for an order.
"""


def page() -> str:
    """Return the page of the figures of today and those that benchmarks recorded.

    Raises
    ------
    LookupError
        If a claim asks for what was not recorded.
    """
    papers, sources = read_papers(), recorded_sources()
    rows = beside(papers, sources)
    counted = Counter(row.agrees for row in rows)
    claims = sum(len(paper.claims) for paper in papers.papers)
    lines = [
        _MADE,
        _HEAD,
        f"{claims} claims, {len(rows)} figures of ours: {counted[True]} agree, {counted[False]} do not.",
        "",
    ]
    for paper in papers.papers:
        lines += _section(paper, [row for row in rows if row.paper == paper.key])
    return "\n".join([*lines, *_not_compared(papers), *_recorded(sources)]) + "\n"


def write_page(path: str | Path) -> int:
    """Write the page, and return how many claims it has."""
    Path(path).write_text(page(), encoding="utf-8", newline="\n")
    return sum(len(paper.claims) for paper in read_papers().papers)


def _section(paper: Paper, rows: list[Beside]) -> list[str]:
    lines = [f"## {paper.title} (arXiv:{paper.arxiv})", "", paper.about, ""]
    lines += ["| claim | theirs | ours | of | agrees |", "|---|---|---|---|---|"]
    for claim in paper.claims:
        for index, row in enumerate(each for each in rows if each.claim is claim):
            first = (f"{claim.says} ({claim.where})", _theirs(claim)) if index == 0 else ("", "")
            verdict = "yes" if row.agrees else "**no**"
            cells = (*first, row.text, f"{row.label}: {row.how}", f"{verdict} ({rule_text(claim)})")
            lines.append(f"| {' | '.join(cells)} |")
    lines.append("")
    for claim in paper.claims:
        if claim.why and any(row.claim is claim and not row.agrees for row in rows):
            lines += [f"* *{claim.says}*: {claim.why}"]
    return [*lines, ""] if lines[-1] else lines


def rule_text(claim: Claim) -> str:
    """Return the bounds of agreement in words."""
    ((rule, limit),) = claim.agrees.items()
    if rule == "between":
        return f"{limit[0]:g} to {limit[1]:g}"
    if rule == "within":
        return f"within {100 * limit:g} %"
    if rule == "digits":
        return f"to {limit} digit{'s' * (limit != 1)}"
    return f"{rule.replace('_', ' ')} {limit}"


def _theirs(claim: Claim) -> str:
    text = figures_text(claim, claim.value)
    return text if claim.known == "printed" else f"{text} ({claim.known})"


def _recorded(sources: Sources) -> list[str]:
    """Return the conditions of what benchmarks recorded."""
    study = sources.study
    lines = dict.fromkeys(
        f"* `{section.command}`, {section.date}: {section.conditions}." for section in sources.papers.sections.values()
    )
    ran = "; ".join(study.conditions)
    lines[f"* {study.how}: {ran}; {study.seconds:.0f} s on {study.machine}; hwsim {study.version}."] = None
    return ["", "## Recorded", "", *lines]


def _not_compared(papers: Papers) -> list[str]:
    return ["## Not compared", "", *(f"* {what}: {why}." for what, why in papers.not_compared)]
