# SPDX-License-Identifier: Apache-2.0
"""The commands about costs: what one unit costs, and the catalog of measured ones."""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hwsim.terminal import JSON, console, progress

if TYPE_CHECKING:
    from hwsim.catalog import Outcome

__all__ = [
    "catalog",
    "cost",
]

cost = typer.Typer()
catalog = typer.Typer(
    no_args_is_help=True,
    help="The catalog of measured costs: list it, build it, check a row again, export it.",
    epilog="Examples:\n\n  hwsim catalog list\n\n  hwsim catalog check int8",
)

_TECHNOLOGY = Annotated[
    str, typer.Option(help="asap7, nangate45, sky130hd, ecp5, ...; or the path of a .toml or a Liberty .lib.")
]
_ANY_TECHNOLOGY = ("csv", "parquet")  # the forms that have room for an FPGA's counts
_TECHNOLOGIES = Annotated[
    list[str] | None, typer.Option("--technology", help="Only this one; may be given more than once.")
]
_CATALOG_TECHNOLOGY = Annotated[str, typer.Option(help="One of the package's: asap7, nangate45, sky130hd, ecp5, ...")]
_PIPELINE = Annotated[int, typer.Option(help="Register ranks.", min=1, max=32)]


@cost.command(
    "cost",
    epilog="Examples:\n\n  hwsim cost int8\n\n  hwsim cost mxfp4_l16 --technology nangate45 --pipeline 3 --json\n\n"
    "  hwsim cost int8 --clock-mhz 1500\n\n  hwsim cost int8 --technology my_library.lib\n\n"
    "  hwsim simulate --operands-to layers && hwsim cost int8 --operands layers/001_conv2.npz\n\n"
    "  hwsim cost minifloat_e3m2_l8_float32 --no-measure",
)
def cost_command(
    unit: Annotated[str, typer.Argument(help="A unit's name.")],
    technology: _TECHNOLOGY = "asap7",
    pipeline: _PIPELINE = 2,
    architecture: Annotated[
        str | None, typer.Option(help="How it is built: tool, booth_heap, ...; the best of all if not given.")
    ] = None,
    clock_mhz: Annotated[
        float | None, typer.Option(help="The smallest that reaches this clock; else the least area x delay.")
    ] = None,
    operands: Annotated[
        str | None, typer.Option(help="What the energy is of: gaussian, uniform, or a layer's .npz.")
    ] = None,
    measure: Annotated[
        bool, typer.Option("--measure/--no-measure", help="Synthesize what was never measured; else estimate it.")
    ] = True,
    remeasure: Annotated[bool, typer.Option("--remeasure", help="Measure even what is known.")] = False,
    as_json: JSON = False,
) -> None:
    """Say what a unit costs: area and energy by stage, delay, leakage, and every assumption behind the numbers."""
    from hwsim import datapath
    from hwsim.cost_report import Request, lines, report

    request = Request(
        unit=datapath.named(unit),
        technology=technology,
        pipeline=pipeline,
        architecture=architecture,
        clock_mhz=clock_mhz,
        operands=operands,
        measure=measure,
        remeasure=remeasure,
    )
    with progress(as_json) as step:
        answer = report(request, step)
    if as_json:
        print(json.dumps(answer))
        return
    from hwsim.report import cost_tables

    terminal = console()
    for table in cost_tables(answer):
        terminal.print(table)
    for line in lines(answer):
        terminal.print(line, soft_wrap=True, highlight=False, markup=False)


@catalog.command(
    "list", epilog="Examples:\n\n  hwsim catalog list\n\n  hwsim catalog list int8 --technology asap7 --json"
)
def list_command(
    unit: Annotated[str, typer.Argument(help="Only units whose name begins so.")] = "",
    technologies: _TECHNOLOGIES = None,
    as_json: JSON = False,
) -> None:
    """List what was measured: the package's rows and your own, a line each."""
    from dataclasses import asdict

    from cost_models import catalog as measured
    from hwsim.report import catalog_table

    costs = [
        found for technology in _known(technologies) for found in measured(technology) if found.unit.startswith(unit)
    ]
    if as_json:
        print(json.dumps([asdict(found) for found in costs]))
    else:
        console().print(catalog_table(costs))


@catalog.command(
    "build",
    epilog="Examples:\n\n  hwsim catalog build --dry-run\n\n  hwsim catalog build --technology asap7 --workers 2\n\n"
    "  hwsim catalog build --plan my_units.toml",
)
def build_command(
    technologies: _TECHNOLOGIES = None,
    plan_file: Annotated[
        Path | None, typer.Option("--plan", help="A TOML file of rows in place of the package's own.")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Processes; one a core if not given.", min=1)] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say how long it will take, and leave it.")] = False,
    as_json: JSON = False,
) -> None:
    """Measure every row of the catalog; stopped, it goes on where it was. It says first how long it will take."""
    from os import cpu_count

    from hwsim.catalog import PLAN, build, expected_seconds, left, plan

    rows = plan(technologies, PLAN if plan_file is None else plan_file)
    todo = left(rows)
    count = workers or cpu_count() or 1
    minutes = expected_seconds(todo) / count / 60
    said = (
        f"{len(rows)} rows, {len(rows) - len(todo)} measured of today's RTL; about {minutes:.0f} min on {count} cores"
    )
    if not as_json:
        console().print(said, highlight=False)
    if dry_run:
        if as_json:
            print(json.dumps({"rows": len(rows), "left": len(todo), "minutes": minutes, "workers": count}))
        return
    start = time.monotonic()

    def tell(outcome: "Outcome", done: int, seconds: float) -> None:
        if not as_json:
            text = f"{done}/{len(todo)} {_line(outcome)}; about {seconds / 60:.0f} min to go"
            console().print(text, soft_wrap=True, highlight=False, markup=False)

    outcomes = list(build(todo, workers=count, report=tell))
    failed = [
        f"{outcome.row.unit} in {outcome.row.technology}: {outcome.error}" for outcome in outcomes if outcome.error
    ]
    minutes = (time.monotonic() - start) / 60
    if as_json:
        print(
            json.dumps(
                {"rows": len(rows), "measured": len(outcomes) - len(failed), "failed": failed, "minutes": minutes}
            )
        )
    else:
        console().print(
            f"{len(outcomes) - len(failed)} measured, {len(failed)} failed, {minutes:.1f} min", highlight=False
        )
    if failed:
        raise typer.Exit(1)


def _known(technologies: list[str] | None) -> list[str]:
    """Return the technologies asked for, else all."""
    from difflib import get_close_matches

    from cost_models.technologies import names

    for technology in technologies or ():
        if technology not in names():
            close = get_close_matches(technology, names()) or names()
            raise LookupError(f"technology {technology!r} is unknown; close matches: {', '.join(close)}")
    return technologies or list(names())


def _line(outcome: "Outcome") -> str:
    """Say what came of a row."""
    row = outcome.row
    head = f"{row.unit} in {row.technology}, {row.pipeline} ranks: "
    found = outcome.cost
    if found is None:
        return head + outcome.error
    if found.lut is not None:
        clock = "" if found.fmax_mhz is None else f", {found.fmax_mhz:.0f} MHz"
        return f"{head}{found.lut} LUT, {found.dsp} DSP{clock}; {found.seconds:.0f} s"
    return (
        f"{head}{found.area_um2:.4g} um2, {found.delay_ps:.0f} ps, {found.energy_pj:.3g} to "
        f"{found.energy_upper_pj:.3g} pJ ({found.architecture} {found.recipe}), {found.verified_vectors} outputs "
        f"equal; {found.seconds:.0f} s"
    )


@catalog.command(
    "check",
    epilog="Examples:\n\n  hwsim catalog check int8\n\n  hwsim catalog check mxfp4_l16 --technology ecp5 --pipeline 3",
)
def check_command(
    units: Annotated[list[str], typer.Argument(help="Names of units.")],
    technology: _CATALOG_TECHNOLOGY = "asap7",
    pipeline: _PIPELINE = 2,
    as_json: JSON = False,
) -> None:
    """Measure rows again from nothing and say whether they still hold; exit status 1 where one does not."""
    from cost_models import estimate
    from hwsim.catalog import Row, check

    rows = [Row(unit, technology, pipeline) for unit in units]
    for row in rows:
        estimate(row.spec.name, technology, pipeline=pipeline)  # what was never measured is said before any work
    checks = []
    for row in rows:
        with progress(as_json) as step:
            checks.append(check(row, step))
    if as_json:
        answers: list[dict[str, Any]] = [
            {"unit": each.kept.unit, "holds": each.holds, "differences": list(each.differences)} for each in checks
        ]
        print(json.dumps(answers))
    else:
        for each in checks:
            what = "holds" if each.holds else "; ".join(each.differences)
            console().print(
                f"{each.kept.unit} in {technology}, {pipeline} ranks: {what}", soft_wrap=True, highlight=False
            )
    if not all(each.holds for each in checks):
        raise typer.Exit(1)


@catalog.command(
    "export",
    epilog="Examples:\n\n  hwsim catalog export --to accelergy int8 float8_e4m3fn -o tables\n\n"
    "  hwsim catalog export --to parquet -o catalog",
)
def export_command(
    output: Annotated[Path, typer.Option("-o", "--output", help="The folder to write; made if need be.")],
    to: Annotated[str, typer.Option(help="accelergy, hwcomponents, zigzag, csv or parquet.")],
    units: Annotated[list[str] | None, typer.Argument(help="Names of units; without any, every row.")] = None,
    technologies: _TECHNOLOGIES = None,
    bound: Annotated[
        str, typer.Option(help="Which energy, lower or upper, where the form has room for one.")
    ] = "lower",
    as_json: JSON = False,
) -> None:
    """Write measured costs in the form of other tools: of FPGAs only as csv and parquet."""
    from cost_models import catalog as measured
    from cost_models.export import write
    from hwsim import datapath

    wanted = None if not units else {datapath.named(unit).name for unit in units}
    costs = [
        found
        for technology in _known(technologies)
        for found in measured(technology)
        if (wanted is None or found.unit in wanted)
        and (technologies or to in _ANY_TECHNOLOGY or found.area_um2 is not None)
    ]
    if wanted:
        missing = sorted(wanted - {found.unit for found in costs})
        if missing:
            raise LookupError(f"nothing is measured of {', '.join(missing)}; measure it with `hwsim cost {missing[0]}`")
    try:
        files = write(costs, to, output, bound)
    except ModuleNotFoundError as error:
        raise RuntimeError(str(error)) from error
    if as_json:
        print(json.dumps({"files": [str(file) for file in files], "rows": len(costs)}))
    else:
        for file in files:
            console().print(f"{file}", soft_wrap=True, highlight=False)
