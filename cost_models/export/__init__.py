# SPDX-License-Identifier: Apache-2.0
"""Costs for other tools: Accelergy, hwcomponents, ZigZag and Stream, CSV and Parquet."""

from collections.abc import Sequence
from pathlib import Path

from cost_models.cost import Cost
from cost_models.export.accelergy import accelergy
from cost_models.export.figures import BOUNDS, figures, macs_per_step
from cost_models.export.hwcomponents import hwcomponents
from cost_models.export.tables import csv_table, parquet_table
from cost_models.export.zigzag import zigzag
from cost_models.technologies import Technology, read

__all__ = [
    "BOUNDS",
    "KINDS",
    "export",
    "macs_per_step",
    "write",
]

KINDS = ("accelergy", "hwcomponents", "zigzag", "csv", "parquet")


def export(costs: Sequence[Cost], kind: str, bound: str = "lower") -> dict[str, str | bytes]:
    """
    Write costs in another tool's form.

    Parameters
    ----------
    costs : sequence of Cost
        At least one.
    kind : {"accelergy", "hwcomponents", "zigzag", "csv", "parquet"}
        zigzag is Stream's, too.
    bound : {"lower", "upper"}
        Which energy goes into a form that has room for one; CSV and Parquet have both.

    Returns
    -------
    dict of file name to text, or to bytes of Parquet

    Raises
    ------
    ValueError
        The kind or the bound is unknown, there is no cost, a cost lacks what the form needs, two have one name, or a
        unit's name does not spell its lanes.
    LookupError
        hwcomponents, and a technology is not known by its name.
    ModuleNotFoundError
        Parquet without pyarrow.
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, not {kind!r}")
    if bound not in BOUNDS:
        raise ValueError(f"bound must be one of {', '.join(BOUNDS)}, not {bound!r}")
    if not costs:
        raise ValueError("costs must have at least one cost, not none")
    if kind == "csv":
        return {"costs.csv": csv_table(costs)}
    if kind == "parquet":
        return {"costs.parquet": parquet_table(costs)}
    each = figures(costs, bound, kind)
    if kind == "accelergy":
        return dict(accelergy(each))
    if kind == "zigzag":
        return dict(zigzag(each))
    nodes = {name: read(name) for name in {cost.technology for cost in costs}}
    return dict(hwcomponents(each, {name: it.node_nm for name, it in nodes.items() if isinstance(it, Technology)}))


def write(costs: Sequence[Cost], kind: str, folder: str | Path, bound: str = "lower") -> list[Path]:
    """
    Write the files of `export` into a folder, which is made if need be, over what has their names; raises as it does.

    Returns
    -------
    list of Path
        Of the files, in order.
    """
    files = export(costs, kind, bound)
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return [path / name for name in files]
