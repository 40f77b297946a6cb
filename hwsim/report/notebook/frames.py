# SPDX-License-Identifier: Apache-2.0
"""Tables that pandas, polars, DuckDB and others read: Apache Arrow, with both interchange protocols.

`table` is reached as ``hwsim.table``.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hwsim.report.notebook.rows import POINT_KEYS, Designs, evaluations_of, rows_of, setting_keys
from hwsim.result import SimulationResult
from hwsim.study.quantities import QUANTITIES

if TYPE_CHECKING:
    from hwsim.result import LayerResult

__all__ = [
    "table",
]

_LAYER_KINDS = {
    "name": "str",
    "operator": "str",
    "macs": "int",
    "cycles": "int",
    "utilisation": "float",
    "energy_nj": "float",
    "sqnr_db": "float",
    "sqnr_alone_db": "float",
}
_ENERGY = ("units_pj", "registers_pj", "sram_pj", "dram_pj", "wires_pj", "leakage_pj", "total_pj")
_RESULT_KINDS = {
    "name": "str",
    "kind": "str",
    **dict.fromkeys(
        ("macs", "start_cycle", "fill_cycles", "compute_cycles", "drain_cycles", "stall_cycles", "cycles"), "int"
    ),
    "utilisation": "float",
    "sram_bits": "int",
    "dram_bits": "int",
    **{f"energy_{part}": "float" for part in _ENERGY},
    **dict.fromkeys(("max_abs", "sqnr_db", "cosine", "max_abs_alone", "sqnr_alone_db", "cosine_alone"), "float"),
}


def table(what: Designs | SimulationResult, *, layers: bool = False) -> Any:
    """Return designs, or the layers of a simulation, as a table that other libraries read without a copy.

    Parameters
    ----------
    what : Comparison, Evaluation, sequence of Evaluation, the dict of a comparison or store, or SimulationResult
    layers : bool
        Of designs: whether a row is a layer of a design. Of a simulation a row always is.

    Returns
    -------
    pyarrow.Table
        With ``__dataframe__`` and ``__arrow_c_stream__``: ``pandas.DataFrame.from_arrow(table)``,
        ``polars.DataFrame(table)``. Columns of designs: the point's, settings by their dotted keys, the figures of
        `hwsim.study.QUANTITIES`, and ``refused``; of a comparison those beside each unit (``xc7_lut``), too. Null
        where a figure is not known.

    Raises
    ------
    ModuleNotFoundError
        Without pyarrow (``pip install 'hwsim[notebook]'``).
    TypeError
        For anything else.
    """
    pa = _arrow()
    if isinstance(what, SimulationResult):
        return _table(pa, _RESULT_KINDS, [_result_row(layer) for layer in what.layers])
    evaluations = evaluations_of(what)
    rows = rows_of(what)
    kinds = dict.fromkeys(POINT_KEYS, "str")
    kinds |= {key: _kind([row.get(key) for row in rows]) for key in setting_keys(evaluations)}
    if layers:
        found = [
            {key: row.get(key) for key in kinds} | {f"layer_{key}": value for key, value in layer.items()}
            for row, each in zip(rows, evaluations, strict=True)
            for layer in each.layers
        ]
        return _table(pa, kinds | {f"layer_{key}": kind for key, kind in _LAYER_KINDS.items()}, found)
    kinds |= {each.key: each.kind for each in QUANTITIES} | {"refused": "str"}
    more = dict.fromkeys(key for row in rows for key in row if key not in kinds)
    return _table(pa, kinds | {key: _kind([row.get(key) for row in rows]) for key in more}, rows)


def _arrow() -> Any:
    try:
        import pyarrow as pa
    except ModuleNotFoundError as error:
        text = "tables need pyarrow: pip install 'hwsim[notebook]'"
        raise ModuleNotFoundError(text, name=error.name, path=error.path) from None
    return pa


def _table(pa: Any, kinds: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> Any:
    types = {"str": pa.string(), "int": pa.int64(), "float": pa.float64(), "bool": pa.bool_()}
    schema = pa.schema([pa.field(name, types[kind]) for name, kind in kinds.items()])
    mixed = [name for name, kind in kinds.items() if kind == "str"]
    texts = [dict(row) | {name: str(row[name]) for name in mixed if row.get(name) is not None} for row in rows]
    return pa.Table.from_pylist(texts, schema=schema)


def _kind(values: Sequence[Any]) -> str:
    """Return the narrowest kind of column that holds a setting's values; text where they are of several."""
    found = {type(value).__name__ for value in values if value is not None}
    if not found or found == {"int", "float"}:
        return "float"
    return found.pop() if len(found) == 1 else "str"


def _result_row(layer: "LayerResult") -> dict[str, Any]:
    row: dict[str, Any] = {
        name: getattr(layer, name) for name in _RESULT_KINDS if hasattr(layer, name) and name != "energy"
    }
    row |= {"sram_bits": layer.traffic.sram_bits, "dram_bits": layer.traffic.dram_bits}
    row |= {f"energy_{part}": getattr(layer.energy, part) for part in _ENERGY}
    if layer.error is not None:
        for end, found in (("", layer.error.accumulated), ("_alone", layer.error.own)):
            row |= {f"max_abs{end}": found.max_abs, f"sqnr{end}_db": found.sqnr_db, f"cosine{end}": found.cosine}
    return row
