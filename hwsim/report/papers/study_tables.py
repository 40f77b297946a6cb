# SPDX-License-Identifier: Apache-2.0
"""The tables of the seed study, a paper each, in Markdown."""

from collections.abc import Callable, Mapping, Sequence

from hwsim import datapath, formats
from hwsim.datapath.unit import FixedAccumulator
from hwsim.formats import BlockSpec
from hwsim.report.papers.catalog import AREA_WITHOUT_CONVERSION, shipped
from hwsim.report.papers.studied import LAYERS, WIDTHS, Studied
from hwsim.study.point import DesignPoint

__all__ = [
    "study_tables",
]

_BLOCKS = ("mxfp8_e4m3", "mxint8", "mxfp6_e2m3", "mxint6", "mxfp4", "mxint4", "nvfp4", "nvint4")
_FIXED = ("int8", "minifloat_e2m5", "minifloat_e3m4", "minifloat_e4m3", "float8_e5m2_fixed79")
_BYTES = ("int8", "minifloat_e2m5", "float8_e3m4", "float8_e4m3fn", "float8_e5m2")
_TITLES = {"digits": "digits", "resnet8": "ResNet-8"}
_TECHNOLOGY = "asap7"
_LANES = 16


def study_tables(study: Studied) -> dict[str, str]:
    """Return the tables by paper: ``int_vs_fp``, ``fp8_vs_int8``, ``minifloat``."""
    return {"int_vs_fp": _blocks(study), "fp8_vs_int8": _registers(study), "minifloat": _minifloats(study)}


def _blocks(study: Studied) -> str:
    units = {name: DesignPoint.of(name).unit for name in _BLOCKS}
    first = units["mxfp8_e4m3"]
    heads = ["format", "bits", "unit area um2", "of MXFP8's", "pJ/MAC", "of MXFP8's"]
    rows = []
    for name, unit in units.items():
        spec = formats.named(name)
        assert isinstance(spec, BlockSpec)
        area, energy = (shipped(unit, _TECHNOLOGY, 3, figure) for figure in ("area_um2", "energy_pj"))
        areas, energies = (shipped(first, _TECHNOLOGY, 3, figure) for figure in ("area_um2", "energy_pj"))
        cells = [f"{spec.bits_per_element:.2f}", f"{area:.0f}", f"{area / areas:.2f}"]
        cells += [f"{energy / _LANES:.4f}", f"{energy / energies:.2f}"]
        rows.append([name, *cells, *_values(study, unit)])
    return _table([*heads, *_value_heads(study)], rows)


def _registers(study: Studied) -> str:
    names = [(name, DesignPoint.of(name, lanes=1).unit) for name in _FIXED]
    names += [
        (name, datapath.named(f"{name}_{register}").name) for register in ("float16", "float32") for name in _BYTES
    ]
    rows = [
        [f"{name.partition('_fixed')[0]}, {_register(unit)}", *_plain(unit, names[0][1]), *_values(study, unit)]
        for name, unit in names
    ]
    heads = ["format, register", "area um2", "of INT8's, fixed point", "pJ/MAC"]
    return _table([*heads, *_value_heads(study)], rows)


def _minifloats(study: Studied) -> str:
    rows = []
    for bits in sorted(WIDTHS, reverse=True):
        integer = DesignPoint.of(f"int{bits}", lanes=1).unit
        for name in (f"int{bits}", *WIDTHS[bits]):
            unit = DesignPoint.of(name, lanes=1).unit
            rows.append([f"{name}, {_register(unit)}", *_plain(unit, integer), *_values(study, unit)])
    heads = ["format, register", "area um2", "of the integer's", "pJ/MAC"]
    return _table([*heads, *_value_heads(study)], rows)


def _plain(unit: str, other: str) -> list[str]:
    """Return a unit's area without conversion, over another's, and its energy a MAC."""
    area, first = (shipped(name, _TECHNOLOGY, 2, AREA_WITHOUT_CONVERSION) for name in (unit, other))
    return [f"{area:.0f}", f"{area / first:.2f}", f"{shipped(unit, _TECHNOLOGY, 2, 'energy_pj'):.3f}"]


def _register(unit: str) -> str:
    accumulator = datapath.named(unit).accumulator
    return f"{accumulator.bits} bits" if isinstance(accumulator, FixedAccumulator) else accumulator.format.name


def _value_heads(study: Studied) -> list[str]:
    heads = {
        "accuracy": "accuracy %",
        "agreement": "agreement %",
        "output_sqnr_db": "outputs dB",
        LAYERS: "layers dB",
        "weight_qsnr_db": "weights dB",
    }
    return [f"{_TITLES[network]}: {heads[key]}" for network in study.networks for key in _keys(study, network)]


def _keys(study: Studied, network: str) -> Sequence[str]:
    labelled = any(row["network"] == network and row["accuracy"] is not None for row in study.rows)
    return ("accuracy" if labelled else "agreement", "output_sqnr_db", LAYERS, "weight_qsnr_db")


def _values(study: Studied, unit: str) -> list[str]:
    """Return what a unit computes on each network, or that it cannot."""
    cells = []
    written: Mapping[str, Callable[[float], str]] = {
        "accuracy": lambda value: f"{100 * value:.2f}", "agreement": lambda value: f"{100 * value:.1f}"
    }  # fmt: skip
    for network in study.networks:
        row = next(each for each in study.rows if (each["network"], each["unit"]) == (network, unit))
        for key in _keys(study, network):
            value = row[key]
            cells.append("-" if value is None else written.get(key, _tenths)(value))
    return cells


def _tenths(value: float) -> str:
    return f"{value:.1f}"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
