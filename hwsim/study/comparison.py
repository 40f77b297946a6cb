# SPDX-License-Identifier: Apache-2.0
"""Compare formats and units: what each computes on a network, and what it costs on accelerators in technologies."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

from cost_models import Cost
from hwsim import accelerator as presets
from hwsim.study.beside import beside_points, measured
from hwsim.study.cases import Case, digits
from hwsim.study.checks import check_point
from hwsim.study.clocks import check_clock, clocked
from hwsim.study.codes import has_codes
from hwsim.study.evaluation import Evaluation, evaluate, refusal, value_figures, value_key
from hwsim.study.front import PLACE, pareto
from hwsim.study.machine import draft, resolve_cost
from hwsim.study.point import DEFAULT_ACCELERATOR, DesignPoint
from hwsim.study.pricing import PIPELINE
from hwsim.study.quantities import QUANTITIES, quantity
from hwsim.study.shares import memory_note, shown
from hwsim.study.values import agreement_notes, is_float
from hwsim.study.version import model_version

__all__ = [
    "Comparison",
    "compare",
]

Progress = Callable[[str], None]
_RULE = (
    "operands of every layer are rounded to the format: weights with a scale an output channel, activations with one "
    "scale from calibration, block formats by their own rule along K"
)
_CODES = "where the network is quantized already, its own codes and scales run, which a unit's formats must hold"
_SHARES = ("energy_memory_share", "area_memory_share", "dram_float32_share", "constant_agreement")


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison(Sequence[Evaluation]):
    """Evaluations side by side.

    title : what is compared
    evaluations : tuple of Evaluation
    beside : of each, figures of its unit in other technologies (`hwsim.study.beside`), its leakage, and its notes
    notes : what holds for all
    """

    title: str
    evaluations: tuple[Evaluation, ...]
    beside: tuple[Mapping[str, Any], ...]
    notes: tuple[str, ...]

    @overload
    def __getitem__(self, index: int) -> Evaluation: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Evaluation, ...]: ...

    def __getitem__(self, index: int | slice) -> Evaluation | tuple[Evaluation, ...]:
        """Return an evaluation, or some."""
        return self.evaluations[index]

    def __len__(self) -> int:
        return len(self.evaluations)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """A flat row an evaluation: the point's fields, its settings, its figures, those beside it, why it is refused.

        Figures that the evaluation has come before those beside it: ``lut`` is ECP5's, but where the technology is
        another FPGA.
        """
        return [_row(each, others) for each, others in zip(self.evaluations, self.beside, strict=True)]

    def front(self, x: str, y: str) -> list[Evaluation]:
        """Return the evaluations on the Pareto front of two figures, by rising `x`: of each network in each technology.

        Raises
        ------
        KeyError
            For an unknown figure.
        ValueError
            For one of which neither way is better.
        """
        objectives = {}
        for key in (x, y):
            better = quantity(key).better
            if better is None:
                raise ValueError(f"a front must be of figures that are better one way, and {key} is not")
            objectives[key] = better
        is_on = pareto(self.rows, objectives, apart=PLACE)
        chosen = [each for each, on in zip(self.evaluations, is_on, strict=True) if on]
        return sorted(chosen, key=lambda each: float(each[x]))

    def figure(self, x: str = "energy_nj", y: str = "accuracy", *, colour: str = "format") -> Any:
        """Return a plotly figure of two figures, with their front: `hwsim.plot.pareto_figure`."""
        from hwsim.report.notebook.figures import pareto_figure

        return pareto_figure(self, x, y, colour=colour)

    def table(self, *, layers: bool = False) -> Any:
        """Return a row an evaluation, or a layer of one, as an Arrow table for pandas or polars: `hwsim.table`."""
        from hwsim.report.notebook.frames import table

        return table(self, layers=layers)

    def __dataframe__(self, nan_as_null: bool = False, allow_copy: bool = True) -> Any:
        """Give the table by the dataframe interchange protocol."""
        return self.table().__dataframe__(nan_as_null, allow_copy)

    def __arrow_c_stream__(self, requested_schema: object = None) -> Any:
        """Give the table by the Arrow PyCapsule protocol."""
        return self.table().__arrow_c_stream__(requested_schema)

    def as_dict(self) -> dict[str, Any]:
        """Return everything as JSON-ready values: what reports are made of."""
        return {
            "title": self.title,
            "version": model_version(),
            "quantities": [each.as_dict() for each in QUANTITIES],
            "evaluations": [each.as_dict() for each in self.evaluations],
            "beside": [dict(each) for each in self.beside],
            "notes": list(self.notes),
        }


def compare(
    formats: Sequence[str] = (),
    *,
    units: Sequence[str] = (),
    accelerators: Sequence[str | Path] = (),
    technologies: Sequence[str] = (),
    case: Case | None = None,
    lanes: int = 16,
    clock_mhz: int | str | None = None,
    measure: bool = True,
    layers: bool = False,
    fpga: bool = True,
    progress: Progress = lambda text: None,
) -> Comparison:
    """Compare formats and units on a network, on every accelerator, in every technology.

    Every product of the network goes through the format's unit (`hwsim.study.DesignPoint.of`), and an accelerator's own
    unit is replaced by it. All units get the same recipes and the same register ranks.

    Parameters
    ----------
    formats, units : sequence of str
        Formats, pairs of them (``int4_by_int8``), and names of units; at least one.
    accelerators : sequence of str or Path
        Presets and TOML files; `DEFAULT_ACCELERATOR` unless given.
    technologies : sequence of str
        ASAP7 unless given.
    case : Case, optional
        The digits network unless given.
    lanes : int
        Products a step of the formats' units; must divide the blocks.
    clock_mhz : int or "fastest", optional
        Of every accelerator; or the fastest of each. Unless given, the highest multiple of 10 MHz that every unit
        compared reaches in the technology with wires, and at most that of the accelerator.
    measure : bool
        Whether to synthesize what was never measured; else costs may be fitted, or None.
    layers : bool
        Whether each layer's errors are found too, which takes about twice the time.
    fpga : bool
        Whether `measure` holds for the counts on FPGAs beside each unit, too; those that are known are there anyway.
    progress : callable
        Called with what is being done.

    Returns
    -------
    Comparison
        Accelerator by accelerator, technology by technology, the formats and then the units in their order.

    Raises
    ------
    FileNotFoundError, LookupError, TypeError, ValueError
        For what is unknown or does not go together, before anything is run; with `measure`, as `hwsim.study.price`.
    """
    names = tuple(dict.fromkeys((*formats, *units)))
    if not names:
        raise ValueError("formats or units must name at least one, not none")
    check_clock(clock_mhz)
    chosen, places = _with_files(digits() if case is None else case, accelerators or (DEFAULT_ACCELERATOR,))
    points = [
        _point(name, lanes, chosen, place, technology)
        for place in places
        for technology in dict.fromkeys(technologies or ("asap7",))
        for name in names
    ]
    refused = [refusal(point, chosen) for point in points]
    costs = [
        _cost(point, chosen, measure=measure and not why, progress=progress)
        for point, why in zip(points, refused, strict=True)
    ]
    reached = [None if why else cost for cost, why in zip(costs, refused, strict=True)]
    points, notes = clocked(points, reached, chosen, clock_mhz)
    values: dict[str, dict[str, Any]] = {}
    evaluations = []
    for point, cost, why in zip(points, costs, refused, strict=True):
        key = "" if why else value_key(point, chosen, layers=layers)
        if key and key not in values:
            progress(f"{point.format}: network {chosen.name}")
            values[key] = value_figures(point, chosen, layers=layers)
        evaluations.append(evaluate(point, chosen, cost=cost, values=values.get(key), layers=layers))
    others = beside_points(points, costs, measure=measure and fpga, progress=progress)
    return Comparison(
        title=f"{', '.join(names)} on {chosen.name}",
        evaluations=tuple(evaluations),
        beside=tuple(others),
        notes=(*_notes(chosen, evaluations), *notes),
    )


def _notes(case: Case, evaluations: Sequence[Evaluation]) -> list[str]:
    """Say what the figures are of, and what of them no format changes."""
    found = {key: [each[key] for each in evaluations if each[key] is not None] for key in _SHARES}
    energy, area, floats, constant = found.values()
    traffic = [f"{shown(floats)} of the DRAM traffic is float32 tensors, whatever the format"] if any(floats) else []
    return [
        f"network {case.name}: {case.what}",
        *(agreement_notes(case, constant[0] if constant else None) if case.labels is None else []),
        *([_RULE] if is_float(case.network) else []),
        *([_CODES] if has_codes(case.network) else []),
        "; ".join([f"units of {PIPELINE} register ranks", *memory_note(energy, area), *traffic]),
    ]


def _with_files(case: Case, accelerators: Sequence[str | Path]) -> tuple[Case, list[str]]:
    """Return the case with the accelerators' files, and the names of all accelerators."""
    known = {*presets.presets(), *(name for name, _ in case.accelerators)}
    files: dict[str, Path] = {}
    names = []
    for each in dict.fromkeys(str(each) for each in accelerators):
        name = each if each in known else Path(each).stem
        if name != each or each not in known:
            if name in files:
                raise ValueError(f"accelerators must have different names, not twice {name!r}: {files[name]}, {each}")
            files[name] = Path(each)
        names.append(name)
    return case.with_accelerators(files), names


def _point(name: str, lanes: int, case: Case, accelerator: str, technology: str) -> DesignPoint:
    """Return a point, checked, with the register ranks that all have."""
    point = DesignPoint.of(
        name, lanes=lanes, network=case.name, accelerator=accelerator, technology=technology
    )  # fmt: skip
    check_point(point, case)
    try:
        ranks = draft(point, case).pipeline
    except ValueError:
        return point  # refused, with that error
    return point if ranks == PIPELINE else point.with_settings(pipeline=PIPELINE)


def _cost(point: DesignPoint, case: Case, *, measure: bool, progress: Progress) -> Cost | None:
    """Return what an element of a point's array costs; None where it is not known or the point cannot be."""
    try:
        spec, known = draft(point, case), resolve_cost(point, case)
    except ValueError:
        return None
    if not measure or spec.array.serial_bits or (known is not None and known.shipped and not known.is_fitted):
        return known
    return measured(spec.element, spec.technology, spec.pipeline, measure=True, progress=progress)


def _row(evaluation: Evaluation, others: Mapping[str, Any]) -> dict[str, Any]:
    point, figures = evaluation.point.as_dict(), evaluation.figures
    return {
        **point,
        "key": evaluation.key,
        **others,
        "area_um2": figures["unit_area_um2"],
        "delay_ps": figures["unit_delay_ps"],
        **{key: others.get(key) if value is None else value for key, value in figures.items()},
        "refused": evaluation.refused,
    }
