# SPDX-License-Identifier: Apache-2.0
"""What synthesis on standard cells found: netlists with their figures, their front, and the choice among them."""

from dataclasses import dataclass
from statistics import median

from cost_models.synthesis.recipes import RECIPES

__all__ = [
    "CHOICES",
    "Asic",
    "AsicResult",
]

CHOICES = ("smallest", "fastest", "best_area_delay")


@dataclass(frozen=True, slots=True, kw_only=True)
class AsicResult:
    """
    Outcome of one recipe on one structure.

    `architecture` names the structure where there were several, `recipe` is a name of `RECIPES`, with a sizing target
    behind it where `sweep` set one. `delay_ps` is the worst path of our timing analysis with flip-flop delay and setup
    and without wires, `fo4` the same in the technology's FO4 inverter delays; `cost_models.synthesis.timing` has the
    delay with wires. `nand2_equivalents` is the area in the technology's smallest NAND2. `netlist_verilog` and
    `netlist_json` are the mapped netlist, `netlist_hash` the SHA-256 of the former.
    """

    architecture: str = ""
    recipe: str
    top: str
    technology: str
    area_um2: float
    sequential_area_um2: float
    delay_ps: float
    register_ps: float
    fo4: float
    leakage_uw: float
    nand2_equivalents: float
    cells: int
    flip_flops: int
    netlist_verilog: str
    netlist_json: str
    netlist_hash: str
    tools: tuple[tuple[str, str], ...]

    @property
    def area_delay(self) -> float:
        """Area times delay, in um2 ps."""
        return self.area_um2 * self.delay_ps


@dataclass(frozen=True, slots=True, kw_only=True)
class Asic:
    """Outcomes for one unit and technology, in the order of structures and, within one, of recipes."""

    results: tuple[AsicResult, ...]

    @property
    def front(self) -> tuple[AsicResult, ...]:
        """The area-delay front: no other result is as good in both and better in one; by area, smallest first."""
        front: list[AsicResult] = []
        for result in sorted(self.results, key=lambda item: (item.area_um2, item.delay_ps)):
            if not front or result.delay_ps < front[-1].delay_ps:
                front.append(result)
        return tuple(front)

    @property
    def area_spread(self) -> float:
        """
        Structural noise of the area: (max - min) / median over the fixed set of structures and recipes.

        This is how far one run of the tools with one structure may be from another of the same function, the goals
        (area or delay) of the recipes included. Results with a sizing target are not counted.
        """
        return _spread([result.area_um2 for result in self._fixed])

    @property
    def delay_spread(self) -> float:
        """Structural noise of the delay, as `area_spread`."""
        return _spread([result.delay_ps for result in self._fixed])

    @property
    def _fixed(self) -> list[AsicResult]:
        return [result for result in self.results if result.recipe in RECIPES]

    def at_clock(self, period_ps: float) -> AsicResult:
        """
        Return the smallest result whose delay, without wires, is at most a clock period.

        Raises
        ------
        ValueError
            None is as fast; the text says how fast the fastest is.
        """
        meeting = [result for result in self.results if result.delay_ps <= period_ps]
        if not meeting:
            fastest = self.choose("fastest")
            raise ValueError(f"no netlist meets {period_ps:g} ps; the fastest takes {fastest.delay_ps:.0f} ps")
        return min(meeting, key=lambda item: (item.area_um2, item.delay_ps))

    def choose(self, choice: str = "best_area_delay") -> AsicResult:
        """
        One result by name.

        Parameters
        ----------
        choice : {"best_area_delay", "smallest", "fastest"} or a recipe's name
            A recipe of several structures: the first.

        Raises
        ------
        ValueError
            No such choice.
        """
        if choice == "smallest":
            return min(self.results, key=lambda item: (item.area_um2, item.delay_ps))
        if choice == "fastest":
            return min(self.results, key=lambda item: (item.delay_ps, item.area_um2))
        if choice == "best_area_delay":
            return min(self.results, key=lambda item: item.area_delay)
        for result in self.results:
            if result.recipe == choice:
                return result
        known = [*CHOICES, *(result.recipe for result in self.results)]
        raise ValueError(f"choice must be one of {', '.join(known)}, not {choice!r}")


def _spread(values: list[float]) -> float:
    """Return (max - min) / median."""
    return (max(values) - min(values)) / median(values)
