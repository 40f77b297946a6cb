# SPDX-License-Identifier: Apache-2.0
"""Areas and energies of the catalog that comes with the package, whatever the user has measured."""

from collections.abc import Mapping
from functools import lru_cache

from cost_models import Cost, measurements
from cost_models.table import from_csv
from hwsim import datapath

__all__ = [
    "AREA_WITHOUT_CONVERSION",
    "shipped",
]

AREA_WITHOUT_CONVERSION = "area_without_conversion"
"""The area in um2 without the stage that makes a float32 of a fixed-point register; float registers need none."""
_CONVERSION = "round_pack"


def shipped(unit: str, technology: str, pipeline: int, figure: str) -> float:
    """Return a figure of the cost of a unit that comes with the package.

    Parameters
    ----------
    unit : str
        Of `hwsim.datapath.named`.
    technology : str
    pipeline : int
        Register ranks.
    figure : str
        A field of `cost_models.Cost` that is a number, or `AREA_WITHOUT_CONVERSION`.

    Raises
    ------
    LookupError
        If the package has no such cost, or not that figure of it.
    """
    name = datapath.named(unit).name
    table = _table(technology)
    if (name, pipeline) not in table:
        raise LookupError(f"the package has no cost of {name} in {technology} with {pipeline} ranks")
    cost = table[name, pipeline]
    if figure == AREA_WITHOUT_CONVERSION:
        if not cost.area_by_stage:
            raise LookupError(f"the areas of the stages of {name} in {technology} are not known")
        return shipped(unit, technology, pipeline, "area_um2") - cost.area_by_stage.get(_CONVERSION, 0.0)
    value = getattr(cost, figure)
    if value is None:
        raise LookupError(f"{figure} of {name} in {technology} is not known")
    return float(value)


@lru_cache(maxsize=8)
def _table(technology: str) -> Mapping[tuple[str, int], Cost]:
    path = measurements.shipped_path(technology)
    costs = from_csv(path.read_text(encoding="utf-8"), path.name)
    return {(cost.unit, cost.pipeline): cost for cost in costs if cost.structures == "all"}
