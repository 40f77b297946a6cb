# SPDX-License-Identifier: Apache-2.0
"""Figures of ours that stand beside papers': made anew by the package's code, or recorded by a benchmark."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from cost_models.closed_forms import fp8_vs_int8, int_vs_fp
from cost_models.closed_forms.minifloat import integer_accumulator_bits, minifloat_accumulator_bits
from hwsim import datapath
from hwsim.datapath.digits import bench_average, nonzero_digits
from hwsim.formats import FloatSpec, named
from hwsim.formats.crossover import CONTESTS, closed_crossing, exact_crossing
from hwsim.formats.overshoot import overshoot_exact
from hwsim.ranking import DIGITS, rank_file
from hwsim.report.papers.catalog import AREA_WITHOUT_CONVERSION, shipped
from hwsim.report.papers.recorded import Recorded
from hwsim.report.papers.studied import Studied
from hwsim.study import DesignPoint, digits, value_figures

__all__ = [
    "MEASURES",
    "Found",
    "Sources",
]


class Sources(NamedTuple):
    """What benchmarks recorded: papers' figures measured at length, and the evaluations of the seed study."""

    papers: Recorded
    study: Studied


class Found(NamedTuple):
    """Figures of ours, and how they were come by."""

    values: tuple[float, ...]
    how: str


Measure = Callable[..., Found]
_TERMS = 4608
_BARS = {"fixed": 0, "float16": 5, "float32": 8}
_SCALE_GATES = {"mx": 118, "nv": 800}
"""Two 8-bit adders; two small float multiplications, a guess, for the paper has no counts of them."""


def _recorded(sources: Sources, *, benchmark: str, field: str, index: int | None = None, **match: Any) -> Found:
    assert benchmark == "papers"
    value = sources.papers.line(**match)[field]
    return Found((float(value if index is None else value[index]),), sources.papers.how(match["section"]))


def _recorded_bars(sources: Sources, *, register: str) -> Found:
    lines = [sources.papers.line(section="fp8_vs_int8", accumulator=register, exp_bits=bits) for bits in range(1, 6)]
    return Found(tuple(float(line["ours"]) for line in lines), sources.papers.how("fp8_vs_int8"))


def _recorded_bar_ratio(sources: Sources, *, bars: Sequence[tuple[str, int]]) -> Found:
    gates = [
        float(sources.papers.line(section="fp8_vs_int8", accumulator=register, exp_bits=bits)["ours"])
        for register, bits in bars
    ]
    return Found(tuple(gates[i] / gates[i + 1] for i in range(0, len(gates), 2)), sources.papers.how("fp8_vs_int8"))


def _recorded_gains(sources: Sources, *, field: str) -> Found:
    kinds = ("systolic", "cube", "adder_tree", "broadcast")
    return Found(
        tuple(float(sources.papers.line(section="tpe", kind=kind)[field]) for kind in kinds), sources.papers.how("tpe")
    )


def _gate_forms(_: Sources, *, register: str) -> Found:
    if register == "fixed":
        totals = [fp8_vs_int8.fixed_accumulator(bits).total for bits in range(1, 6)]
    else:
        totals = [fp8_vs_int8.float_accumulator(bits, _BARS[register]).total for bits in range(1, 6)]
    return Found(tuple(map(float, totals)), "`cost_models.closed_forms.fp8_vs_int8`")


def _table_6(_: Sources, *, unit: str) -> Found:
    def total(name: str) -> float:
        return int_vs_fp.per_product(
            int_vs_fp.FORMATS[name], int_vs_fp.VAN_BAALEN, scales=_SCALE_GATES[name[:2]], accumulator=0
        )

    return Found((total(unit) / total("mxfp8"),), "`cost_models.closed_forms.int_vs_fp`, without an accumulator")


def _crossings(_: Sources, *, form: str, figure: str) -> Found:
    closed = form == "closed"
    found = [closed_crossing(each) if closed else exact_crossing(each, rounded=True) for each in CONTESTS]
    name = "closed_crossing" if closed else "exact_crossing"
    return Found(tuple(getattr(each, figure) for each in found), f"`hwsim.formats.crossover.{name}`")


def _overshoot(_: Sources, *, arithmetics: Sequence[str]) -> Found:
    specs = [named(name) for name in arithmetics]
    values = [100 * overshoot_exact(spec) for spec in specs if isinstance(spec, FloatSpec)]
    return Found(tuple(values), "`hwsim.formats.overshoot`")


@lru_cache(maxsize=1)
def _qsnr_on_digits(formats: tuple[str, ...]) -> dict[str, float]:
    return {row["format"]: row["qsnr_db"] for row in rank_file(DIGITS, formats)}


def _weights(_: Sources, *, formats: Sequence[str]) -> Found:
    qsnr = _qsnr_on_digits(tuple(formats))
    return Found((qsnr[formats[0]] - qsnr[formats[1]],), "`hwsim.ranking.rank_file`")


def _digits_outputs(_: Sources, *, formats: Sequence[str]) -> Found:
    first, second = (
        value_figures(DesignPoint.of(name), digits(), layers=False)["figures"]["output_sqnr_db"] for name in formats
    )
    return Found((first - second,), "`hwsim.study.value_figures`")


def _study(sources: Sources, *, network: str, units: Sequence[str], figure: str) -> Found:
    first, second = (float(sources.study.row(network, unit)[figure]) for unit in units)
    return Found((first - second,), sources.study.how)


def _best_minifloat(sources: Sources, *, network: str, figure: str, widths: Sequence[int]) -> Found:
    leads = [sources.study.best_minifloat(network, bits, figure) for bits in widths]
    return Found(tuple(leads), sources.study.how)


def _front_share(sources: Sources, *, network: str, figure: str) -> Found:
    return Found((100 * sources.study.integers_on_front(network, figure),), sources.study.how)


def _catalog_ratios(
    _: Sources, *, units: Sequence[str], pipeline: int, figure: str, of: str = "", over: Sequence[str] = (),
    technology: str = "asap7",
) -> Found:  # fmt: skip
    bases = over or [of] * len(units)
    values = [
        shipped(one, technology, pipeline, figure) / shipped(other, technology, pipeline, figure)
        for one, other in zip(units, bases, strict=True)
    ]
    return Found(tuple(values), f"the catalog of {technology}")


def _catalog_ratio(sources: Sources, *, unit: str, **given: Any) -> Found:
    return _catalog_ratios(sources, units=[unit], **given)


def _minifloat_area(sources: Sources, *, widths: Sequence[int]) -> Found:
    pairs = [(unit, sources.study.integer(bits)) for bits in widths for unit in sources.study.minifloats(bits)]
    areas = [[shipped(unit, "asap7", 2, AREA_WITHOUT_CONVERSION) for unit in pair] for pair in pairs]
    ratios = [one / other for one, other in areas]
    return Found((min(ratios), max(ratios)), "the catalog of asap7")


def _register_bits(_: Sources, *, units: Sequence[str]) -> Found:
    registers = [datapath.named(unit).accumulator for unit in units]
    return Found(tuple(float(each.bits) for each in registers), "`hwsim.datapath.named`")


def _minifloat_register(_: Sources, *, exact: bool) -> Found:
    values = []
    for exp_bits, man_bits in ((2, 3), (3, 3), (4, 3), (5, 2)):
        largest = (((2 << man_bits) - 1) << ((1 << exp_bits) - 2)) ** 2 * _TERMS
        form = minifloat_accumulator_bits(exp_bits, man_bits, exp_bits, man_bits, _TERMS)
        values.append(largest.bit_length() + 1 if exact else form)
    for bits in (8, 6):
        most = _TERMS << 2 * (bits - 1)
        values.append(most.bit_length() + 1 if exact else integer_accumulator_bits(bits, bits, _TERMS))
    return Found(tuple(map(float, values)), "whole numbers" if exact else "`cost_models.closed_forms.minifloat`")


def _ent_digits(_: Sources, *, sigmas: Sequence[float]) -> Found:
    return Found(tuple(bench_average(sigma, "en_t", 128) for sigma in sigmas), "`hwsim.datapath.digits.bench_average`")


def _booth_share(_: Sources) -> Found:
    counts = nonzero_digits(np.arange(-128, 128), 8, "booth")
    return Found((100 * float(np.mean(counts <= 3)),), "`hwsim.datapath.digits.nonzero_digits`")


MEASURES: Mapping[str, Measure] = {
    "best_minifloat": _best_minifloat,
    "booth_share": _booth_share,
    "catalog_ratio": _catalog_ratio,
    "catalog_ratios": _catalog_ratios,
    "crossings": _crossings,
    "digits_outputs": _digits_outputs,
    "ent_digits": _ent_digits,
    "front_share": _front_share,
    "gate_forms": _gate_forms,
    "minifloat_area": _minifloat_area,
    "minifloat_register": _minifloat_register,
    "overshoot": _overshoot,
    "recorded": _recorded,
    "recorded_bar_ratio": _recorded_bar_ratio,
    "recorded_bars": _recorded_bars,
    "recorded_gains": _recorded_gains,
    "register_bits": _register_bits,
    "study": _study,
    "table_6": _table_6,
    "weights": _weights,
}
"""By the names that claims.toml uses; each takes the sources and the arguments that stand there."""
