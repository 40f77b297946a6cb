# SPDX-License-Identifier: Apache-2.0
"""The commands that make quantized networks: quantize, and allocate formats to layers."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hwsim.terminal import JSON, console, print_lines, progress

if TYPE_CHECKING:
    import onnx

    from hwsim.allocation import Choice, Costs, Probe
    from hwsim.quantization import LayerFormats

__all__ = [
    "networks",
]

networks = typer.Typer()

_MODEL = Annotated[Path | None, typer.Argument(help="A float32 ONNX network; without it the digits network.")]
_CALIBRATION = Annotated[
    Path | None, typer.Option(help="A .npz with an array for each input; the digits network has its own.")
]
_DEQUANTIZE = Annotated[bool, typer.Option("--from-quantized", help="Take the quantizers of a QDQ network out first.")]


@networks.command(
    epilog="Examples:\n\n  hwsim quantize -o digits.onnx --weights int4 --activations int8 --gptq --correct-bias\n\n"
    "  hwsim quantize MODEL.onnx -o OUT.onnx --calibration images.npz --observer mse --equalize\n\n"
    "  hwsim quantize MODEL.onnx -o OUT.onnx --calibration tokens.npz --weights mxfp4 --activations none "
    "--kv-cache int8 --smooth 0.5 --rotate 32\n\n"
    "  hwsim quantize --evaluate-only --weights nf4 --activations posit8_1 --observer mse --json"
)
def quantize(
    model: _MODEL = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="The .onnx to write.")] = None,
    weights: Annotated[str, typer.Option(help="Their format; none for float32.")] = "int8",
    activations: Annotated[str, typer.Option(help="Their format; none for float32.")] = "int8",
    kv_cache: Annotated[str | None, typer.Option(help="Of keys and values; as activations if not given.")] = None,
    calibration: _CALIBRATION = None,
    granularity: Annotated[str, typer.Option(help="Of scalar weights: tensor, channel or group.")] = "channel",
    group: Annotated[int, typer.Option(help="Input channels in a group.")] = 32,
    symmetric: Annotated[bool, typer.Option("--symmetric", help="Integer activations without a zero point.")] = False,
    scope: Annotated[str, typer.Option(help="products: their operands; all: every tensor (integers).")] = "products",
    observer: Annotated[str, typer.Option(help="Of activations: absmax, percentile, mse or entropy.")] = "absmax",
    percentile: Annotated[float, typer.Option(help="Per cent of the values that observer percentile keeps.")] = 99.99,
    weight_observer: Annotated[str, typer.Option(help="Of weights: absmax or mse.")] = "absmax",
    equalize: Annotated[bool, typer.Option("--equalize", help="Cross-layer equalization.")] = False,
    smooth: Annotated[float | None, typer.Option(help="SmoothQuant with this alpha, 0 to 1.")] = None,
    rotate: Annotated[int | None, typer.Option(help="Hadamard blocks of this size; 0: the largest.")] = None,
    power_of_two: Annotated[
        bool, typer.Option("--power-of-two", help="Scales of --equalize and --smooth as powers of two.")
    ] = False,
    gptq: Annotated[bool, typer.Option("--gptq", help="Weights by GPTQ, not to nearest.")] = False,
    act_order: Annotated[bool, typer.Option("--act-order", help="GPTQ's columns by falling activations.")] = False,
    damping: Annotated[float, typer.Option(help="Of GPTQ, a share of the mean diagonal.")] = 0.01,
    correct_bias: Annotated[bool, typer.Option("--correct-bias", help="Bias correction.")] = False,
    layer: Annotated[
        list[str] | None, typer.Option(metavar="NAME=WEIGHTS:ACTIVATIONS", help="Other formats for one layer.")
    ] = None,
    evaluate_only: Annotated[
        bool, typer.Option("--evaluate-only", help="Write nothing: any format of the catalog can be tried.")
    ] = False,
    effects: Annotated[bool, typer.Option("--effects/--no-effects", help="Evaluate after each method.")] = True,
    from_quantized: _DEQUANTIZE = False,
    as_json: JSON = False,
) -> None:
    """Quantize a float network to standard ONNX, and say what each method and layer does to it."""
    from hwsim import quantization

    if (output is None) != evaluate_only:
        raise ValueError("give either -o OUT.onnx or --evaluate-only")
    if output is not None:
        _check_output(output, model, calibration)
    for option, name in (("--weights", weights), ("--activations", activations), ("--kv-cache", kv_cache)):
        _check_format(option, name)
    recipe = quantization.Recipe(
        weights=weights, activations=activations, kv_cache=kv_cache, granularity=granularity, group=group,
        symmetric=symmetric, scope=scope, observer=observer, percentile=percentile, weight_observer=weight_observer,
        equalize=equalize, smooth=smooth, rotate=rotate, power_of_two=power_of_two, gptq=gptq, act_order=act_order,
        damping=damping, correct_bias=correct_bias, layers=_layers(layer or []),
    )  # fmt: skip
    given = _network(model, from_quantized=from_quantized)
    arrays = _calibration(model, calibration)
    with progress(as_json) as step:
        found = quantization.quantize(given, recipe, arrays, written=not evaluate_only, effects=effects, progress=step)
    accuracies = None
    if output is not None and found.model is not None:
        output.write_bytes(found.model.SerializeToString())
        accuracies = _digits_accuracies(found.model) if model is None else None
    if as_json:
        print(json.dumps({**found.report.as_dict(), "output": output and str(output), "accuracy": accuracies}))
        return
    from hwsim.report.quantization import quantization_table

    terminal = console()
    terminal.print(quantization_table(found.report))
    lines = found.report.lines()
    if accuracies is not None:
        lines.append(
            f"held-out digits: float {100 * accuracies['float']:.2f} %, quantized {100 * accuracies['quantized']:.2f} %"
        )
    if output is not None:
        lines.append(f"written: {output}, opset {found.report.opset}")
    print_lines(terminal, lines)


@networks.command(
    epilog="Examples:\n\n  hwsim allocate --formats int8,int6,int4 --budget energy=70%\n\n"
    "  hwsim allocate MODEL.onnx --calibration images.npz --formats int8,int4,mxfp4 --budget bits=mxfp4 "
    "--budget latency=int8\n\n"
    "  hwsim allocate --formats int8,float8_e4m3fn,int4,mxfp4 --lanes 16 --budget energy=80%\n\n"
    "  hwsim allocate --formats int8,int4 --budget bits=40000 -o mixed.onnx --json"
)
def allocate(
    model: _MODEL = None,
    formats: Annotated[
        str, typer.Option(help="Candidates for every layer, separated by commas.")
    ] = "int8,int6,int4,float8_e4m3fn,mxfp4",
    budget: Annotated[
        list[str] | None,
        typer.Option(
            metavar="QUANTITY=LIMIT",
            help="Of bits, area (um2 x cycles), energy (pJ) or latency (cycles): a number, N% of the dearest uniform "
            "format, or a format for what it takes everywhere. May be given more than once.",
        ),
    ] = None,
    calibration: _CALIBRATION = None,
    accelerator: Annotated[str, typer.Option(help="A TOML file or preset, whose unit is replaced.")] = "mxfp4_4x4",
    lanes: Annotated[
        int | None, typer.Option(help="Products a step of every unit; as many as fit 64 bits if not given.", min=1)
    ] = None,
    loss: Annotated[str, typer.Option(help="kl of class probabilities, or noise of the outputs.")] = "kl",
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Sensitivities from each layer's curvature, not measured.")
    ] = False,
    pool: Annotated[int, typer.Option(help="Assignments of the integer program that are simulated.", min=1)] = 8,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write the network so quantized to this .onnx.")
    ] = None,
    from_quantized: _DEQUANTIZE = False,
    as_json: JSON = False,
) -> None:
    """Choose a format for each layer under a budget: measured sensitivities, an integer program, and simulation."""
    from hwsim import accelerator as accelerators
    from hwsim import allocation, quantization
    from hwsim.jobs.sizes import open_axes, sizes_of
    from hwsim.network.onnx_reader import from_model

    if not budget:
        raise ValueError("give at least one --budget QUANTITY=LIMIT")
    if output is not None:
        _check_output(output, model, calibration)
    names = [name.strip() for name in formats.split(",") if name.strip()]
    for name in names:
        _check_format("--formats", name)
    chosen = allocation.candidates(names, lanes=lanes)
    asked = _quantities(budget)
    machine = accelerators.read(accelerator)
    given = _network(model, from_quantized=from_quantized)
    arrays = _calibration(model, calibration)
    net = from_model(given, dimensions=sizes_of(open_axes(given), arrays))
    if output is not None:
        for each in chosen:
            quantization.check(given, quantization.Recipe(weights=each.name, activations=each.name), arrays)
    with progress(as_json) as step:
        costs = allocation.layer_costs(net, chosen, machine, step)
        limits = _limits(asked, costs)
        allocation.check_budget(costs, limits)
        probe = allocation.Probe(net, chosen, arrays, loss)
        measure = allocation.estimate_sensitivities if estimate else allocation.measure_sensitivities
        sensitivities = measure(probe, progress=step)
        choice = allocation.choose_by_simulation(probe, sensitivities, costs, limits, pool=pool, progress=step)
        held_out = _held_out_losses(probe, choice, costs) if model is None else None
        if output is not None:
            _write_mixed(given, choice.allocation.assignment, arrays, output)
    from hwsim.report.quantization import allocation_lines, allocation_rows, allocation_table

    rows = allocation_rows(probe, sensitivities, costs, choice)
    if as_json:
        print(json.dumps({**rows, "held_out": held_out, "notes": costs.notes, "output": output and str(output)}))
        return
    terminal = console()
    terminal.print(allocation_table(rows))
    lines = allocation_lines(rows)
    if held_out is not None:
        losses = [f"{name} everywhere {loss:.4g}" for name, loss in held_out["uniform"].items()]
        lines.append(", ".join([f"held-out digits: loss {held_out['chosen']:.4g}", *losses]))
    print_lines(terminal, [*lines, *costs.notes, *([f"written: {output}"] if output else [])])


def _check_output(file: Path, model: Path | None, calibration: Path | None) -> None:
    """Raise where a network cannot be written there, or would overwrite what it is made from."""
    from hwsim.jobs.files import check_files

    if file.suffix != ".onnx":
        raise ValueError(f"the output must end in .onnx, not {file.name!r}")
    if file.is_dir():
        raise ValueError(f"the output {str(file)!r} is a directory")
    if not file.parent.is_dir():
        raise FileNotFoundError(f"no folder {str(file.parent)!r} to write {file.name!r} to")
    check_files({"MODEL": model, "--calibration": calibration}, {"--output": file})


def _check_format(option: str, name: str | None) -> None:
    """Raise, by the option, where there is no such format; None is one that was not given."""
    from hwsim.quantization.recipe import format_of

    try:
        format_of(name)
    except (LookupError, ValueError) as error:
        raise ValueError(f"{option} {name}: {error.args[0]}") from None


def _layers(given: list[str]) -> "dict[str, LayerFormats]":
    """Return the formats of single layers."""
    from hwsim.quantization import LayerFormats

    found = {}
    for text in given:
        name, _, pair = text.rpartition("=")
        weights, colon, activations = pair.partition(":")
        if not name or not colon:
            raise ValueError(f"--layer must be NAME=WEIGHTS:ACTIVATIONS, not {text!r}")
        found[name] = LayerFormats(weights=weights, activations=activations)
    return found


def _network(model: Path | None, *, from_quantized: bool) -> "onnx.ModelProto":
    """Return the float network asked for."""
    from hwsim import data, quantization

    path = data.digits_model_path(quantized=False) if model is None else model
    return quantization.float_form(path) if from_quantized else quantization.opened(path)


def _calibration(model: Path | None, file: Path | None) -> dict[str, Any]:
    """Return the calibration set."""
    from hwsim import data
    from hwsim.jobs.inputs import npz

    if file is None:
        if model is not None:
            raise ValueError(f"{model}: give the images that ranges are chosen on with --calibration FILE.npz")
        return {"input": data.digits_calibration()}
    arrays = {name: value for name, value in npz(file).items() if name != "labels"}
    if not arrays:
        raise ValueError(f"{file}: has no array but labels")
    return arrays


def _digits_accuracies(model: "onnx.ModelProto") -> dict[str, float]:
    """Return the shares of the held-out digits that the float and the quantized network get right."""
    from hwsim import data, network
    from hwsim.jobs import accuracy
    from hwsim.network.onnx_reader import from_model

    images, labels = data.digits_test()
    plain = network.read(data.digits_model_path(quantized=False))
    runs = {"float": plain, "quantized": from_model(model)}
    return {name: accuracy(network.run(net, {"input": images})["output"], labels) for name, net in runs.items()}


def _held_out_losses(probe: "Probe", choice: "Choice", costs: "Costs") -> dict[str, Any]:
    """Return losses on the held-out digits: of the choice, and of the uniform formats within its budget."""
    from hwsim import data

    images, budget = {"input": data.digits_test()[0]}, choice.allocation.budget
    same = {
        name: probe.loss_on(dict.fromkeys(costs.layers, name), images)
        for column, name in enumerate(costs.formats)
        if all(costs.total(what, [column] * len(costs.layers)) <= limit for what, limit in budget.items())
    }
    return {"chosen": probe.loss_on(choice.allocation.assignment, images), "uniform": same}


def _quantities(given: list[str]) -> dict[str, str]:
    """Return budgets by quantity, their limits as they were given."""
    from hwsim.allocation import QUANTITIES

    asked = {}
    for text in given:
        quantity, equals, limit = text.partition("=")
        if quantity not in QUANTITIES or not equals:
            raise ValueError(f"--budget must be QUANTITY=LIMIT of one of {', '.join(QUANTITIES)}, not {text!r}")
        asked[quantity] = limit
    return asked


def _limits(asked: Mapping[str, str], costs: "Costs") -> dict[str, float]:
    """Return budgets as numbers."""
    limits: dict[str, float] = {}
    for quantity, limit in asked.items():
        totals = {
            name: costs.total(quantity, [column] * len(costs.layers)) for column, name in enumerate(costs.formats)
        }
        if limit in totals:
            limits[quantity] = totals[limit]
            continue
        try:
            number = float(limit.removesuffix("%"))
        except ValueError:
            raise ValueError(
                f"--budget {quantity} must be a number, N% or one of {', '.join(costs.formats)}, not {limit!r}"
            ) from None
        limits[quantity] = number / 100 * max(totals.values()) if limit.endswith("%") else number
    return limits


def _write_mixed(
    model: "onnx.ModelProto", assignment: Mapping[str, str], arrays: Mapping[str, Any], output: Path
) -> None:
    """Quantize each layer to its format, symmetric as the units that were simulated, and write the network."""
    from hwsim.quantization import LayerFormats, Recipe, quantize

    layers = {name: LayerFormats(weights=each, activations=each) for name, each in assignment.items()}
    recipe = Recipe(weights=None, activations=None, symmetric=True, layers=layers)
    found = quantize(model, recipe, arrays, effects=False)
    assert found.model is not None
    output.write_bytes(found.model.SerializeToString())
