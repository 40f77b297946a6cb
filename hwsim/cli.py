# SPDX-License-Identifier: Apache-2.0
"""The command line: simulate, verilog and units here, the other commands in `hwsim.cli_*`."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from hwsim.cli_compare import compare
from hwsim.cli_costs import catalog, cost
from hwsim.cli_doctor import doctor
from hwsim.cli_networks import networks
from hwsim.cli_sweep import store, sweep
from hwsim.faults import is_stated
from hwsim.terminal import JSON, console, print_lines, progress
from hwsim.terminal import show as show_answer

__all__ = [
    "app",
    "main",
]

app = typer.Typer(
    name="hwsim",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Describe a multiply-accumulate unit once: its bit-exact model, its Verilog, its cost; and networks on it.",
    epilog="Examples:\n\n  hwsim doctor\n\n  hwsim compare int8 mxfp4\n\n  hwsim simulate --accelerator mxfp4_4x4\n\n"
    "  hwsim sweep STUDY.toml --dry-run",
)

# A usage error of typer: of its own copy of click, or of click itself, by the version of typer.
_UsageError: type[Any] = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")
_INTERRUPTED = 130
_SYNTHESIZING = ("compare", "cost", "catalog")

for commands in (compare, networks, cost, sweep, doctor):
    app.add_typer(commands)
app.add_typer(catalog, name="catalog")
app.add_typer(store, name="store")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; an error is one line on standard error and exit status 2, a fault in hwsim a traceback."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        status = app(args=given or ["--help"], standalone_mode=False)
    except _UsageError as error:
        _fail(error.format_message())
    except (typer.Abort, KeyboardInterrupt):
        status = _INTERRUPTED
    except MemoryError as error:
        _fail(f"not enough memory: {error}".removesuffix(": "))
    except (ModuleNotFoundError, TypeError) as error:
        if not is_stated(error):
            raise  # a fault of the program: its traceback is what helps
        _fail(str(error))
    except (LookupError, OSError, RuntimeError, ValueError) as error:
        _fail(str(error.args[0]) if isinstance(error, LookupError) and error.args else str(error))
    if status == _INTERRUPTED:
        print(f"hwsim: interrupted{_kept(given)}", file=sys.stderr)
    raise SystemExit(status if isinstance(status, int) else 0)


def _kept(given: Sequence[str]) -> str:
    """Say what an interrupted command has kept, and how to go on."""
    command = next(iter(given), "")
    if command in _SYNTHESIZING:
        return "; finished syntheses are kept, run it again to go on"
    if command == "simulate" and any(each.split("=")[0] == "--resume" for each in given):
        return "; finished layers are kept, run it again to go on"
    return "; nothing is kept without --resume DIR" if command == "simulate" else ""


def _fail(message: str) -> None:
    print(f"hwsim: error: {' '.join(message.split())}", file=sys.stderr)
    raise SystemExit(2)


@app.command(
    epilog="Examples:\n\n  hwsim simulate\n\n  hwsim simulate --accelerator mxfp4_4x4 --errors\n\n"
    "  hwsim simulate model.onnx --accelerator my.toml --inputs images.npz --outputs result.npz\n\n"
    "  hwsim simulate model.onnx --random 4 --json\n\n"
    "  hwsim simulate model.onnx --cycles-only --batch 8 --explain\n\n"
    "  hwsim simulate model.onnx --cycles-only --roofline roofline.svg --timeline timeline.svg --trace trace.json\n\n"
    "  hwsim simulate big.onnx --inputs tokens.npz --dimension sequence=128 --resume finished_layers\n\n"
    "  hwsim simulate big.onnx --inputs tokens.npz --sampled 16"
)
def simulate(
    model: Annotated[Path | None, typer.Argument(help="An ONNX network; without it the digits network.")] = None,
    accelerator: Annotated[str, typer.Option(help="A TOML file, or a preset's name.")] = "int8_16x16",
    inputs: Annotated[
        Path | None, typer.Option(help="A .npz with an array for each input, and `labels` for an accuracy.")
    ] = None,
    random: Annotated[int | None, typer.Option(help="Use this many seeded random images.", min=1)] = None,
    batch: Annotated[
        int | None,
        typer.Option(
            help="Images in a pass, layer by layer: what does not fit on the chip spills, and a pass of many may take "
            "more cycles than as many of one.",
            min=1,
        ),
    ] = None,
    dimension: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=SIZE",
            help="Of a symbolic dimension; may be given more than once. Without it the arrays of --inputs and "
            "--calibration say it.",
        ),
    ] = None,
    calibration: Annotated[
        Path | None, typer.Option(help="A .npz on which a float32 network's scales are chosen.")
    ] = None,
    outputs: Annotated[Path | None, typer.Option(help="Write the outputs to this .npz.")] = None,
    operands_to: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write what the unit multiplies, a .npz a layer, for `cost`.")
    ] = None,
    cycles_only: Annotated[
        bool, typer.Option("--cycles-only", help="Compute no value: cycles, traffic and energy, without any input.")
    ] = False,
    sampled: Annotated[
        int | None,
        typer.Option(
            metavar="TILES",
            help="Compute so many tiles of each product, chosen at random, and the rest in float32; the outputs are "
            "not the hardware's.",
            min=2,
        ),
    ] = None,
    errors: Annotated[
        bool, typer.Option("--errors", help="Compare every layer with float32, accumulated and by itself.")
    ] = False,
    details: Annotated[
        bool, typer.Option("--details", help="Each layer's traffic by port and energy by component, too.")
    ] = False,
    explain: Annotated[bool, typer.Option("--explain", help="Say why each layer is cut into tiles as it is.")] = False,
    sources: Annotated[
        bool, typer.Option("--sources", help="Print every constant of units, memories and wires with its source.")
    ] = False,
    roofline: Annotated[
        Path | None, typer.Option(help="Draw each layer under the roofs of arrays and memories (.svg, .png, .pdf).")
    ] = None,
    timeline: Annotated[
        Path | None, typer.Option(help="Draw what each component does over the cycles (.svg, .png, .pdf).")
    ] = None,
    trace: Annotated[
        Path | None, typer.Option(help="Write the same as a .json for Perfetto (ui.perfetto.dev) or chrome://tracing.")
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep finished layers here, and go on from what is kept after an interrupt."),
    ] = None,
    as_json: JSON = False,
) -> None:
    """Simulate a network: exact outputs, accuracy, cycles, utilisation, traffic and energy, a row a layer."""
    from hwsim.jobs import SimulationTask, simulate_files
    from hwsim.report import drawings

    files = drawings.Files(roofline=roofline, timeline=timeline, trace=trace).checked()
    task = SimulationTask(
        model=model,
        accelerator=accelerator,
        inputs=inputs,
        random=random,
        batch=batch,
        dimensions=_sizes(dimension or []),
        calibration=calibration,
        outputs=outputs,
        operands_to=operands_to,
        cycles_only=cycles_only,
        sampled=sampled,
        errors=errors,
        resume=resume,
        drawn=files.by_option,
    )
    with progress(as_json) as step:
        report = simulate_files(task, lambda layer: step(f"layer {layer}"))
    written = files.write(report.result)
    if as_json:
        print(json.dumps({**report.as_dict(), "files": written}))
        return
    from hwsim.report import explanations, simulation_tables

    terminal = console()
    for table in simulation_tables(report.result, details=details):
        terminal.print(table)
    lines = [*report.lines(), *(report.sources() if sources else ["constants and their sources: --sources"])]
    lines += [f"{what}: {file}" for what, file in written.items()]
    print_lines(terminal, [*lines, *(explanations(report.result) if explain else ())])


def _sizes(given: Sequence[str]) -> dict[str, int]:
    """Return the sizes of symbolic dimensions."""
    sizes = {}
    for text in given:
        name, _, size = text.partition("=")
        if not name or not size.isdecimal() or not int(size):
            raise ValueError(f"--dimension must be NAME=SIZE with a size of at least 1, not {text!r}")
        sizes[name] = int(size)
    return sizes


@app.command(
    epilog="Examples:\n\n  hwsim verilog int8 -o int8\n\n"
    "  hwsim verilog nvfp4 --pipeline 3 --clock-mhz 800 -o nvfp4 --verify\n\n"
    "  hwsim verilog hopper_e4m3_e4m3_float32 --architecture booth_heap -o hopper --json\n\n"
    "  hwsim verilog int8 --array weight_stationary --rows 8 --columns 8 -o array\n\n"
    "  hwsim verilog multiply_int8_booth -o multiplier --verify\n\n"
    "  hwsim verilog posit8_2 --part decoder -o posit --verify\n\n"
    "  hwsim verilog float4_e2m1fn --part encoder --rounding stochastic --random-bits 8 -o e2m1"
)
def verilog(
    unit: Annotated[
        str,
        typer.Argument(
            help="A unit's name: FORMAT[_by_FORMAT][_lLANES][_ACCUMULATOR], or of the catalog; or a block's; with "
            "--part a format's."
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="The folder to write; made if need be.")],
    part: Annotated[str, typer.Option(help="unit, or decoder or encoder of a format.")] = "unit",
    pipeline: Annotated[int | None, typer.Option(help="Register ranks; more is faster, the values stay.")] = None,
    architecture: Annotated[
        str | None, typer.Option(help="How a unit is built: tool, booth_heap, dadda_heap, fast_heap or carry_save.")
    ] = None,
    array: Annotated[
        str | None,
        typer.Option(
            metavar="KIND",
            help="An array of the unit: output_stationary, weight_stationary, input_stationary, broadcast, cube or "
            "adder_tree.",
        ),
    ] = None,
    rows: Annotated[int | None, typer.Option(help="Of an array; 4 if not given.")] = None,
    columns: Annotated[int | None, typer.Option(help="Of an array; 4 if not given.")] = None,
    depth: Annotated[int | None, typer.Option(help="Of a cube: steps of the unit at once; 2 if not given.")] = None,
    name: Annotated[
        str | None,
        typer.Option(
            help="Of a unit or an array: what the names of modules and files begin with, in place of its own."
        ),
    ] = None,
    clock_mhz: Annotated[float, typer.Option(help="Of the timing constraints.")] = 100.0,
    source: Annotated[
        str | None, typer.Option(help="Of an encoder: the float format of its input; float32 if not given.")
    ] = None,
    rounding: Annotated[str | None, typer.Option(help="Of an encoder; nearest_even if not given.")] = None,
    overflow: Annotated[str | None, typer.Option(help="Of an encoder; saturate if not given.")] = None,
    random_bits: Annotated[int | None, typer.Option(help="Of a stochastic encoder: bits of its random words.")] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Run the folder's checks right away: testbenches, lint, latches and loops.")
    ] = False,
    simulator: Annotated[
        str | None, typer.Option(help="icarus or verilator; without it the one that is there.")
    ] = None,
    as_json: JSON = False,
) -> None:
    """Write a folder to hand over: Verilog, constraints, pictures, testbenches and README of a unit, array or block."""
    from hwsim.delivery import Order, deliver, encoder_rules, geometry, lines

    order = Order(
        name=unit,
        folder=output,
        part=part,
        pipeline=pipeline,
        architecture=architecture,
        module=name,
        array=geometry(array, rows, columns, depth),
        clock_mhz=clock_mhz,
        rules=encoder_rules(source=source, rounding=rounding, overflow=overflow, random_bits=random_bits),
        verify=verify,
        simulator=simulator,
    )
    with progress(as_json) as step:
        answer = deliver(order, step)
    if as_json:
        print(json.dumps(answer))
        return
    terminal = console()
    print_lines(terminal, lines(answer))


@app.command(
    epilog="Examples:\n\n  hwsim units --architecture hopper\n\n"
    "  hwsim units hopper_wgmma_m64n8k32_f32_e4m3_e4m3 --depth 4096 --diagram unit.svg\n\n"
    "  hwsim units mxfp4 --a a.npy --b b.npy -o d.npy --values\n\n"
    "  hwsim units hopper_wgmma_m64n8k32_f32_e4m3_e4m3 hopper_mma_m16n8k32_f32_e4m3_e4m3 --random 16x128x16\n\n"
    "  hwsim units hopper_wgmma_m64n8k32_f32_e4m3_e4m3 --a a.npy --b b.npy --against kernel.npy --trace 0,3"
)
def units(
    names: Annotated[list[str] | None, typer.Argument(help="A unit, or two to compare; without any, the list.")] = None,
    architecture: Annotated[
        str | None, typer.Option(help="List the units of an architecture or a vendor: hopper, sm_90, amd.")
    ] = None,
    evidence: Annotated[str | None, typer.Option(help="List those measured, reproduced, or of literature.")] = None,
    depth: Annotated[int | None, typer.Option(help="Say how a product of this K is computed, and why exactly.")] = None,
    diagram: Annotated[Path | None, typer.Option(help="Draw the stages into this .png, .svg or .pdf.")] = None,
    a: Annotated[Path | None, typer.Option("--a", help="M x K, .npy: unsigned codes, or floats to be rounded.")] = None,
    b: Annotated[Path | None, typer.Option("--b", help="K x N, likewise.")] = None,
    c: Annotated[Path | None, typer.Option("--c", help="M x N, likewise: where the sums start.")] = None,
    a_scales: Annotated[Path | None, typer.Option(help="Codes of a's block scales, M x blocks.")] = None,
    b_scales: Annotated[Path | None, typer.Option(help="Codes of b's block scales, blocks x N.")] = None,
    random: Annotated[str | None, typer.Option(metavar="MxKxN", help="Draw the operands instead.")] = None,
    distribution: Annotated[
        str | None, typer.Option(help="Of drawn operands: normal, wide (exponents) or all (codes).")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of drawn operands, and of stochastic rounding.")] = 0,
    against: Annotated[
        Path | None, typer.Option(help="Compare with this recorded d (.npy); exit status 1 where it differs.")
    ] = None,
    trace: Annotated[
        str | None, typer.Option(metavar="ROW,COLUMN", help="Follow this element through every stage of every step.")
    ] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Write d to this .npy, as codes.")] = None,
    values: Annotated[
        bool, typer.Option("--values", help="Write values (tensor scales multiplied in), not codes.")
    ] = False,
    as_json: JSON = False,
) -> None:
    """List units, show one, run one on two matrices, compare two bit by bit, trace where they part."""
    from hwsim.report.units import show

    task = show.Task(
        names=tuple(names or ()),
        architecture=architecture,
        evidence=evidence,
        depth=depth,
        diagram=diagram,
        a=a,
        b=b,
        c=c,
        a_scales=a_scales,
        b_scales=b_scales,
        random=random,
        distribution=distribution,
        seed=seed,
        against=against,
        trace=trace,
        output=output,
        values=values,
    )
    with progress(as_json or not task.has_operands) as step:
        shown = show.run(task, step)
    show_answer(shown, as_json=as_json)
