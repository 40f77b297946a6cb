# SPDX-License-Identifier: Apache-2.0
"""The commands of studies: sweep, and what is done with the stores that sweeps leave."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console

from hwsim.terminal import JSON, console, print_lines, progress

if TYPE_CHECKING:
    from hwsim.sweeps.study_file import Study
    from hwsim.sweeps.sweep import Preview, Swept

__all__ = [
    "store",
    "sweep",
]

sweep = typer.Typer()
store = typer.Typer(
    no_args_is_help=True,
    help="The stores of sweeps: list them, merge, export, report, and find the front.",
    epilog="Examples:\n\n  hwsim store list\n\n  hwsim store front sweep_arrays.store --front accuracy,energy_nj",
)

_INTERRUPTED = 130
_STORE = Annotated[Path, typer.Argument(help="The folder of a store.")]
_ALL = Annotated[
    bool, typer.Option("--all", help="Points of other versions of hwsim too, whose figures may be others.")
]
_FRONTS = Annotated[
    list[str] | None,
    typer.Option("--front", metavar="FIGURE,FIGURE", help="What to set against what; may be given more than once."),
]


@sweep.command(
    "sweep",
    epilog="Examples:\n\n  hwsim sweep examples/sweep_arrays.toml --dry-run\n\n"
    "  hwsim sweep examples/sweep_arrays.toml --workers 2 --report arrays.html\n\n"
    "  hwsim sweep STUDY.toml --scheduler tcp://10.0.0.1:8786 --store /shared/study.store\n\n"
    "  hwsim sweep STUDY.toml --network resnet8=resnet8.onnx --json",
)
def sweep_command(
    study_file: Annotated[Path, typer.Argument(metavar="STUDY.toml", help="What to vary; docs/sweep.md has its keys.")],
    folder: Annotated[
        Path | None,
        typer.Option(
            "--store",
            metavar="DIR",
            help="Where results go; NAME.store in the current folder, NAME being the study's, if not given.",
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes of this machine; one a core if not given.", min=1)
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="A Dask cluster to run on instead: tcp://HOST:PORT.")
    ] = None,
    network: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=MODEL.onnx", help="The file of a network of the study; may be given more than once."
        ),
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write a page with all of it to this .html.")] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Say how many points there are, how many are known, and how long it takes."),
    ] = False,
    as_json: JSON = False,
) -> None:
    """Evaluate every design point of a study, or search for the best; stopped, it goes on where it was."""
    from hwsim.report.live import watching
    from hwsim.report.plots import check_file
    from hwsim.report.sweep import warning_lines
    from hwsim.sweeps.runner import Runner
    from hwsim.sweeps.study_file import read_study
    from hwsim.sweeps.sweep import StoppedError, generations_of, preview
    from hwsim.sweeps.sweep import sweep as run_study

    if report is not None:
        check_file(report, (".html",), "report")
    study = read_study(study_file, _models(network or []))
    place = Path(f"{study.name}.store") if folder is None else folder
    if dry_run:
        with progress(as_json) as step:
            step("timing a network run and a point of each network")
            found = preview(study, study.cases(), place, workers=workers)
        _print_preview(study, found, place, as_json=as_json)
        return
    if not as_json:
        print_lines(Console(stderr=True), [f"hwsim: {line}" for line in warning_lines(place)])
    generations = generations_of(study) if study.is_search else 0
    with watching(as_json, study.asked, study.limits, generations) as watch:
        try:
            with Runner(
                study.cases(), place, scheduler=scheduler, workers=workers, costs=study.costs, layers=study.layers
            ) as runner:
                swept = run_study(study, runner, progress=watch, told=watch.generation)
        except StoppedError as error:
            _stop(str(error))
    _print_swept(study, swept, place, report, as_json=as_json)
    if swept.failures:
        raise typer.Exit(1)


@store.command("list", epilog="Examples:\n\n  hwsim store list\n\n  hwsim store list arrays.store other.store --json")
def list_command(
    stores: Annotated[
        list[Path] | None, typer.Argument(help="Folders; those of the current folder named *.store if not given.")
    ] = None,
    as_json: JSON = False,
) -> None:
    """List what stores hold: points by network and version, network runs, measured prices."""
    from hwsim.report.sweep import store_figures, store_table
    from hwsim.sweeps.store import Store

    found = [store_figures(Store(each, create=False)) for each in stores or sorted(Path().glob("*.store"))]
    if as_json:
        print(json.dumps(found))
    elif not found:
        print_lines(console(), ["no *.store in this folder: `hwsim sweep STUDY.toml` makes one"])
    else:
        console().print(store_table(found))


@store.command(
    "merge",
    epilog="Examples:\n\n  hwsim store merge mine.store yours.store --into both.store\n\n"
    "  hwsim store merge night/*.store --into arrays.store --json",
)
def merge_command(
    stores: Annotated[list[Path], typer.Argument(help="The folders to read; they stay as they are.")],
    into: Annotated[Path, typer.Option(help="The folder to put all of it in; its own points stay.")],
    as_json: JSON = False,
) -> None:
    """Put the points of several stores into one; the same point in two of them must be the same in both."""
    from hwsim.sweeps.store import merge

    added = merge(stores, into)
    if as_json:
        print(json.dumps({"store": str(into), "added": added}))
        return
    print_lines(console(), [f"{into}: {', '.join(f'{count:,} {kind} added' for kind, count in added.items())}"])


@store.command(
    "export",
    epilog="Examples:\n\n  hwsim store export arrays.store -o arrays.csv\n\n"
    "  hwsim store export arrays.store -o arrays.parquet --all\n\n  hwsim store export arrays.store -o arrays.json",
)
def export_command(
    folder: _STORE,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="A row a point: .csv or .parquet; .json has layers and sources too.")
    ],
    every: _ALL = False,
    as_json: JSON = False,
) -> None:
    """Write the points of a store for other programs; DuckDB, pandas and polars read a store itself, too."""
    from hwsim.report.plots import check_file
    from hwsim.report.sweep import old_lines
    from hwsim.sweeps.contents import EXPORTS, export, opened

    check_file(output, EXPORTS, "output")
    held = opened(folder, every=every)
    export(held.evaluations, output)
    if as_json:
        print(json.dumps({"output": str(output), "points": len(held.evaluations), "old": held.old}))
        return
    lines = [f"{output}: {len(held.evaluations):,} points", *old_lines(held, every=every)]
    print_lines(console(), lines)


@store.command(
    "report",
    epilog="Examples:\n\n  hwsim store report arrays.store -o arrays.html\n\n"
    "  hwsim store report both.store -o both.html --title 'Both of us' --all",
)
def report_command(
    folder: _STORE,
    output: Annotated[Path, typer.Option("-o", "--output", help="The .html to write; it needs no network to open.")],
    title: Annotated[str | None, typer.Option(help="Of the page; the store's name if not given.")] = None,
    every: _ALL = False,
    as_json: JSON = False,
) -> None:
    """Write a page of everything in a store: plots with the front, a table, layers, sources."""
    from hwsim.report.page import write_page
    from hwsim.report.plots import check_file
    from hwsim.report.sweep import old_lines
    from hwsim.sweeps.contents import opened
    from hwsim.sweeps.sweep import comparison_dict

    check_file(output, (".html",), "output")
    held = opened(folder, every=every)
    write_page(comparison_dict(held.evaluations, title or folder.name.removesuffix(".store")), output)
    if as_json:
        print(json.dumps({"output": str(output), "points": len(held.evaluations), "old": held.old}))
        return
    lines = [f"{output}: {len(held.evaluations):,} points", *old_lines(held, every=every)]
    print_lines(console(), lines)


@store.command(
    "front",
    epilog="Examples:\n\n  hwsim store front arrays.store\n\n"
    "  hwsim store front arrays.store --front accuracy,latency_us --limit area_mm2=0.5\n\n"
    "  hwsim store front arrays.store --front accuracy,energy_nj,area_mm2 --json",
)
def front_command(
    folder: _STORE,
    front: _FRONTS = None,
    limit: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FIGURE=NUMBER",
            help="Leave out what is worse: above it where less is better, else below; may be given more than once.",
        ),
    ] = None,
    every: _ALL = False,
    as_json: JSON = False,
) -> None:
    """Show the points of a store that no other one is better than in every objective."""
    from hwsim.report.front_tables import front_tables
    from hwsim.report.fronts import directed, front_keys, swept_fronts
    from hwsim.report.sweep import found_lines, old_lines
    from hwsim.sweeps.contents import opened
    from hwsim.sweeps.study_sections import limits

    objectives = [directed(front_keys(text)) for text in front or ()]
    bounds = limits(dict(_limit(text) for text in limit or ()), "--limit")
    held = opened(folder, every=every)
    found = swept_fronts(held.evaluations, objectives, bounds)
    if as_json:
        print(json.dumps({"fronts": [each.as_dict() for each in found], "old": held.old}))
        return
    terminal = console()
    for table in front_tables(found, folder.name):
        terminal.print(table)
    print_lines(terminal, [*found_lines(held.evaluations, found), *old_lines(held, every=every)])


def _models(given: list[str]) -> dict[str, str]:
    """Return the files of networks."""
    found = {}
    for text in given:
        name, _, model = text.partition("=")
        if not name or not model:
            raise ValueError(f"--network must be NAME=MODEL.onnx, not {text!r}")
        found[name] = model
    return found


def _limit(text: str) -> tuple[str, float]:
    """Return a figure and its limit."""
    key, _, number = text.partition("=")
    try:
        return key, float(number)
    except ValueError:
        raise ValueError(f"--limit must be FIGURE=NUMBER, not {text!r}") from None


def _print_preview(study: "Study", found: "Preview", place: Path, *, as_json: bool) -> None:
    """Say what a sweep will take."""
    from hwsim.report.sweep import preview_lines

    if as_json:
        print(json.dumps({"study": study.name, "method": study.method, "store": str(place), **found.as_dict()}))
    else:
        print_lines(console(), preview_lines(study, found, place))


def _print_swept(study: "Study", swept: "Swept", place: Path, report: Path | None, *, as_json: bool) -> None:
    """Write the page, and say what was found and what to try next."""
    from hwsim.report.front_tables import front_tables
    from hwsim.report.fronts import swept_fronts
    from hwsim.report.sweep import swept_dict, swept_lines
    from hwsim.sweeps.sweep import comparison_dict

    found = swept_fronts(swept.evaluations, study.asked, study.limits)
    if report is not None:
        from hwsim.report.fronts import pairs
        from hwsim.report.page import write_page

        shown = comparison_dict(swept.evaluations, study.name, [study.description] * bool(study.description))
        write_page(shown, report, fronts=pairs(found))
    if as_json:
        print(json.dumps(swept_dict(study, swept, found, place, report)))
        return
    terminal = console()
    for table in front_tables(found, study.name):
        terminal.print(table)
    print_lines(terminal, swept_lines(study, swept, found, place, report))


def _stop(message: str) -> NoReturn:
    """Say in a line what an interrupted sweep has kept, and leave."""
    print(f"hwsim: {message}", file=sys.stderr)
    raise SystemExit(_INTERRUPTED)
