# SPDX-License-Identifier: Apache-2.0
"""Costs as one table, CSV or Parquet: a row a cost, a column a field with its unit in its name."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from types import UnionType
from typing import Any, get_args, get_type_hints

from cost_models.cost import Cost
from cost_models.export.figures import macs_per_step

__all__ = [
    "COLUMNS",
    "csv_table",
    "parquet_table",
    "rows",
]

_DERIVED = ("macs_per_step", "energy_per_mac_pj", "energy_upper_per_mac_pj", "area_per_lane_um2")
COLUMNS = (*(item.name for item in fields(Cost)), *_DERIVED)
_ABOUT = (
    "Costs of dot-product units by hwsim. Units are in the names of columns. energy_pj, clock_energy_pj and "
    "energy_upper_pj are of one step of macs_per_step multiply-accumulates, clock and leakage in them; energy_pj is "
    "the lower bound (zero delay, no wires), energy_upper_pj counts glitches and the wire-load assumption. errors is "
    "empty where everything was measured."
)


def rows(costs: Sequence[Cost]) -> list[dict[str, Any]]:
    """
    Return a mapping of column to value for each cost; mappings and fronts are JSON texts.

    Raises
    ------
    ValueError
        A unit's name does not spell its lanes.
    """
    found = []
    for cost in costs:
        row = asdict(cost) | {"front": [point._asdict() for point in cost.front]}
        macs = macs_per_step(cost.unit)
        row = {key: json.dumps(value) if isinstance(value, Mapping | list) else value for key, value in row.items()}
        row |= {
            "macs_per_step": macs,
            "energy_per_mac_pj": _share(cost.energy_pj, macs),
            "energy_upper_per_mac_pj": _share(cost.energy_upper_pj, macs),
            "area_per_lane_um2": _share(cost.area_um2, macs),
        }
        found.append(row)
    return found


def csv_table(costs: Sequence[Cost]) -> str:
    """Write CSV with a header; numbers as Python writes them, so that they read back exactly; None is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows(costs))
    return text.getvalue()


def parquet_table(costs: Sequence[Cost]) -> bytes:
    """
    Write Parquet, with what the columns mean in the schema's metadata.

    Raises
    ------
    ModuleNotFoundError
        There is no pyarrow; the text says how to get it.
    """
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError('Parquet needs pyarrow: pip install "hwsim[tables]"') from error
    schema = pa.schema(
        [pa.field(name, _kind(pa, name), metadata={"unit": _unit(name)}) for name in COLUMNS],
        metadata={"hwsim": _ABOUT},
    )
    sink = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(rows(costs), schema=schema), sink)
    return sink.getvalue()


def _share(value: float | None, macs: int) -> float | None:
    return None if value is None else value / macs


def _kind(pa: Any, name: str) -> Any:
    """Return the Arrow type of a column."""
    if name in _DERIVED:
        return pa.int64() if name == "macs_per_step" else pa.float64()
    hint = get_type_hints(Cost)[name]
    kinds = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    for kind, arrow in ((bool, pa.bool_), (int, pa.int64), (float, pa.float64)):
        if kind in kinds:
            return arrow()
    return pa.string()


def _unit(name: str) -> str:
    """Return the unit that ends a column's name."""
    units = {"pj": "pJ", "um2": "um2", "ps": "ps", "uw": "uW", "mhz": "MHz", "seconds": "s"}
    return units.get(name.rpartition("_")[2], "")
