# SPDX-License-Identifier: Apache-2.0
"""Claims of papers with our figures beside them, and whether they agree."""

from collections.abc import Iterable
from dataclasses import dataclass

from hwsim.report.papers.claims import Claim, Papers, agrees, figures_text
from hwsim.report.papers.measures import MEASURES, Sources
from hwsim.report.papers.recorded import Recorded
from hwsim.report.papers.studied import Studied

__all__ = [
    "STUDY",
    "Beside",
    "beside",
    "recorded_sources",
]

STUDY = ("best_minifloat", "front_share", "study")
"""The measures that take the seed study's evaluations."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """A figure of ours beside a claim: what it is of, its text, how it was come by, and whether it agrees."""

    paper: str
    claim: Claim
    label: str
    values: tuple[float, ...]
    how: str
    agrees: bool

    @property
    def text(self) -> str:
        """Our figures as a table writes them."""
        return figures_text(self.claim, self.values)


def recorded_sources() -> Sources:
    """Return what benchmarks recorded with the package."""
    return Sources(Recorded.read(), Studied.read())


def beside(
    papers: Papers,
    sources: Sources,
    *,
    measures: Iterable[str] = tuple(MEASURES),
    networks: Iterable[str] = ("digits", "resnet8"),
) -> list[Beside]:
    """Return our figures beside every claim, in the order of the claims.

    Parameters
    ----------
    papers : Papers
    sources : Sources
    measures : iterable of str
        Names of `MEASURES`: figures by others are left out.
    networks : iterable of str
        Of the study, at least one: figures of others are left out.

    Raises
    ------
    LookupError
        If a benchmark has not recorded what a claim asks for, or a measure is unknown; with the claim.
    """
    wanted, there = tuple(measures), tuple(networks)
    rows = []
    for paper in papers.papers:
        for claim in paper.claims:
            for ours in claim.ours:
                if ours.measure not in MEASURES:
                    raise LookupError(f"claim {claim.says!r}: there is no measure {ours.measure!r}")
                if ours.measure not in wanted or ours.arguments.get("network", there[0]) not in there:
                    continue
                try:
                    found = MEASURES[ours.measure](sources, **ours.arguments)
                except LookupError as error:
                    raise LookupError(f"claim {claim.says!r}: {error.args[0]}") from None
                rows.append(
                    Beside(
                        paper=paper.key,
                        claim=claim,
                        label=ours.label,
                        values=found.values,
                        how=found.how,
                        agrees=agrees(claim, found.values),
                    )
                )
    return rows
