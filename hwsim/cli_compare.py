# SPDX-License-Identifier: Apache-2.0
"""The commands about formats: what they are, and what they come to on a network, an accelerator and a technology."""

import json
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hwsim.terminal import JSON, console, print_lines, progress
from hwsim.terminal import show as show_answer

if TYPE_CHECKING:
    from hwsim.study import Case, Comparison

__all__ = [
    "DEFAULT_FORMATS",
    "compare",
]

compare = typer.Typer()

_MORE = "next: --plot FILE.png draws the fronts; --report FILE.html has them, every layer and all sources in one page"
DEFAULT_FORMATS = ("int8", "int4", "float8_e4m3fn", "float4_e2m1fn", "mxint8", "mxfp8_e4m3", "mxfp4", "nvfp4")


@compare.command(
    "compare",
    epilog="Examples:\n\n  hwsim compare\n\n  hwsim compare int8 mxfp4 nvfp4 --report formats.html\n\n"
    "  hwsim compare int4 mxfp4 --accelerator my.toml --technology asap7 --technology nangate45\n\n"
    "  hwsim compare int8 float8_e4m3fn --model model.onnx --inputs images.npz --calibration more.npz\n\n"
    "  hwsim compare int8 mxfp4 --model int8_qdq.onnx --from-quantized --random-range 0,255\n\n"
    "  hwsim compare --unit int4_by_int8 --unit hopper_e4m3_e4m3_float32 --clock-mhz fastest\n\n"
    "  hwsim compare minifloat_e3m2 int6 --lanes 8 --front accuracy,area_mm2,energy_nj --json",
)
def compare_command(
    formats: Annotated[
        list[str] | None, typer.Argument(help="Formats; without any and without --unit, eight of 4 and 8 bits.")
    ] = None,
    units: Annotated[
        list[str] | None, typer.Option("--unit", help="A unit by its name, too; may be given more than once.")
    ] = None,
    accelerators: Annotated[
        list[str] | None,
        typer.Option(
            "--accelerator",
            help="A preset or a TOML file, its unit replaced; may be given more than once. Without one, mxfp4_4x4.",
        ),
    ] = None,
    technologies: Annotated[
        list[str] | None,
        typer.Option("--technology", help="nangate45, ecp5, ...; may be given more than once. Without one, asap7."),
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="An ONNX network, float32 for any format; without it the digits network.")
    ] = None,
    inputs: Annotated[
        Path | None,
        typer.Option(
            help="A .npz with an array for each input, and `labels` for an accuracy; without it random images."
        ),
    ] = None,
    calibration: Annotated[
        Path | None, typer.Option(help="A .npz on which scales are chosen; without it, the inputs.")
    ] = None,
    from_quantized: Annotated[
        bool,
        typer.Option("--from-quantized", help="Take the model's own quantizers out first, so that all formats run."),
    ] = False,
    images: Annotated[
        int | None, typer.Option(help="Only the first so many images; or how many random ones, else 16.", min=1)
    ] = None,
    random_range: Annotated[
        str | None,
        typer.Option(
            metavar="LOW,HIGH", help="Draw random images evenly between these; without it, standard normal ones."
        ),
    ] = None,
    lanes: Annotated[int, typer.Option(help="Products a step, for every format alike.", min=1)] = 16,
    clock_mhz: Annotated[
        str | None,
        typer.Option(
            help="Of all; or `fastest`, each at its own. Without it, the highest multiple of 10 MHz that all of a "
            "technology reach, at most the accelerator's own."
        ),
    ] = None,
    layers: Annotated[
        bool | None, typer.Option("--layers/--no-layers", help="Errors by layer, too; without it where --report is.")
    ] = None,
    front: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY,KEY", help="Mark this Pareto front; may be given more than once."),
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write a page with all of it to this .html.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw the fronts into this .png, .svg or .pdf.")] = None,
    details: Annotated[bool, typer.Option("--details", help="Cycles, energy by component and traffic, too.")] = False,
    fpga: Annotated[bool, typer.Option("--fpga", help="What a unit takes on ECP5 and its DSP blocks, too.")] = False,
    measure: Annotated[
        bool,
        typer.Option("--measure/--no-measure", help="Synthesize what was never measured (about two minutes a format)."),
    ] = True,
    as_json: JSON = False,
) -> None:
    """Compare formats on a network: accuracy, area, delay, energy, speed, and which are on the Pareto front."""
    from hwsim import study
    from hwsim.report import check_plot_file, comparison
    from hwsim.report.fronts import directed, front_keys
    from hwsim.report.fronts import fronts as fronts_of
    from hwsim.report.plots import check_file, comparison_plot

    if plot is not None:
        check_plot_file(plot)
    if report is not None:
        check_file(report, (".html",), "report")
    objectives = [directed(front_keys(text)) for text in front or ()]
    clock = _clock(clock_mhz)
    case = _case(model, inputs, calibration, images, random_range, from_quantized=from_quantized)
    with progress(as_json) as step:
        found = study.compare(
            tuple(formats or ()) or (() if units else DEFAULT_FORMATS),
            units=tuple(units or ()),
            accelerators=tuple(accelerators or ()),
            technologies=tuple(technologies or ()),
            case=case,
            lanes=lanes,
            clock_mhz=clock,
            measure=measure,
            layers=report is not None if layers is None else layers,
            fpga=fpga,
            progress=step,
        )
    rows = found.rows
    if all(row["refused"] for row in rows):
        raise ValueError(f"nothing is left to compare; {'; '.join(comparison.refusals(rows))}")
    fronts = fronts_of(rows, objectives)
    title = _title(found, case, lanes)
    written = {} if plot is None else {"plot": str(comparison_plot(rows, plot, title))}
    if report is not None:
        from hwsim.report.fronts import pairs
        from hwsim.report.page import write_page

        models = {} if model is None else {case.name: str(model)}
        written["report"] = str(write_page(found.as_dict(), report, fronts=pairs(fronts), models=models))
    if as_json:
        said = [each.of_rows(rows) for each in fronts]
        print(json.dumps({"rows": rows, "lanes": lanes, "fronts": said, "notes": found.notes, **written}))
        return
    terminal = console()
    for heading, table in comparison.comparison_tables(rows, fronts, details=details, ecp5=fpga).items():
        print_lines(terminal, [heading or title])
        terminal.print(table, "")
    missing = dict.fromkeys(note for row in rows for note in row["notes"]) if fpga else {}
    notes = [note for note in found.notes if case.what not in note]  # the title says it
    print_lines(terminal, [*comparison.comparison_lines(rows, fronts), *missing, *notes])
    print_lines(terminal, [f"{what}: {file}" for what, file in written.items()] or [_MORE])


@compare.command(
    "formats",
    epilog="Examples:\n\n  hwsim formats --family float\n\n  hwsim formats posit8_0 float8_e4m3fn --plot both.svg\n\n"
    "  hwsim formats --on digits\n\n  hwsim formats --on model.onnx int4 mxfp4 nvfp4 --per-tensor\n\n"
    "  hwsim formats --conformance float8_e4m3fn --json",
)
def formats_command(
    names: Annotated[list[str] | None, typer.Argument(help="Formats to show; without any, the catalog.")] = None,
    family: Annotated[str | None, typer.Option(help="Only this family of the catalog.")] = None,
    codes: Annotated[bool, typer.Option("--codes", help="List every code.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Draw the named formats into this .png, .svg or .pdf.")] = None,
    on: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Rank formats on the weights of this .onnx, or `digits`.")
    ] = None,
    per_tensor: Annotated[bool, typer.Option("--per-tensor", help="With --on: each tensor too.")] = False,
    conformance: Annotated[
        bool, typer.Option("--conformance", help="Compare with every reference that is installed.")
    ] = False,
    as_json: JSON = False,
) -> None:
    """List number formats, show one with its values, rank them on a network's weights, check them against others."""
    from hwsim.report.formats import show

    task = show.Task(
        names=tuple(names or ()),
        family=family,
        codes=codes,
        plot=plot,
        model=on,
        per_tensor=per_tensor,
        conformance=conformance,
    )
    with progress(as_json or not task.is_long) as step:
        shown = show.run(task, step)
    show_answer(shown, as_json=as_json)


def _clock(text: str | None) -> int | str | None:
    """Read a clock: a whole number of MHz, or `fastest`."""
    if text is None or text == "fastest":
        return text
    if not text.isdecimal() or not int(text):
        raise ValueError(f"--clock-mhz must be a whole number of at least 1, or fastest, not {text!r}")
    return int(text)


def _case(
    model: Path | None,
    inputs: Path | None,
    calibration: Path | None,
    images: int | None,
    random_range: str | None,
    *,
    from_quantized: bool,
) -> "Case":
    """Return what the formats are compared on."""
    from hwsim import study

    given = {
        "--inputs": inputs,
        "--calibration": calibration,
        "--images": images,
        "--random-range": random_range,
        "--from-quantized": from_quantized,
    }
    asked = [option for option, value in given.items() if value]
    if model is None:
        if asked:
            raise ValueError(f"{', '.join(asked)} must come with --model: the digits network has its own images")
        return study.digits()
    if inputs is not None and random_range is not None:
        raise ValueError("--random-range must come without --inputs, which are no random images")
    drawn = inputs if random_range is None else _range(random_range)
    return study.case(model.stem, model, drawn, calibration, from_quantized=from_quantized, images=images)


def _range(text: str) -> tuple[float, float]:
    """Read two rising numbers."""
    try:
        low, high = (float(each) for each in text.split(","))
    except ValueError:
        low, high = 0.0, 0.0
    if not -inf < low < high < inf:
        raise ValueError(f"--random-range must be two rising numbers, as 0,255, not {text!r}")
    return low, high


def _title(found: "Comparison", case: "Case", lanes: int) -> str:
    """Say what is the same in all rows."""
    said = [f"{case.name}, {case.what}"]
    for key in ("accelerator", "technology", "clock_mhz"):
        values = {row[key] for row in found.rows if row[key] is not None}
        if len(values) == 1:
            said.append(f"{values.pop()} MHz" if key == "clock_mhz" else str(values.pop()))
    return "; ".join([*said, f"{lanes} lane{'s' * (lanes > 1)}"])
