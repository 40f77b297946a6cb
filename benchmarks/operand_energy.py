# SPDX-License-Identifier: Apache-2.0
"""Energy of one multiply-accumulate unit under different operands: uniform, normal, and those of real layers.

Run ``python -m benchmarks.operand_energy [MODELS] [--out FILE]``, where MODELS holds MLPerf Tiny's ResNet-8
(``resnet8_cifar10_int8_qdq.onnx`` and ``golden_io.npz``); without it only the embedded digits network. One netlist a
unit and technology, that of the least area x delay; each figure is an energy a MAC between two bounds, as
`hwsim.gates.step_energy` says.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

import rtl
from cost_models.activity import Netlist, levelize
from cost_models.synthesis.asic import asic
from cost_models.technologies import Technology, read
from hwsim import data, datapath, network
from hwsim.datapath import DotProductUnit
from hwsim.gates import step_energy
from hwsim.operands import DATAFLOWS, Operands, from_matrices, gaussian, record, uniform

__all__ = [
    "TECHNOLOGIES",
    "main",
    "recorded",
    "rows",
]

TECHNOLOGIES = ("asap7", "nangate45")
UNITS = ("int8", "uint8_by_int8", "float8_e4m3fn")
PIPELINE = 3
_COMPONENTS = ("logic", "registers", "inputs", "wires", "clock", "leakage")
_IMAGES = 16


def recorded(unit: DotProductUnit, models: Path | None) -> dict[str, Operands]:
    """Return the operands of the layers of each network that the unit can run, by the layer's name.

    On unsigned activations: the same ones plus 128, so that the networks' zero, their least code, is the code 0.
    """
    integer, shifted = unit.b.name == "int8", unit.a.name == "uint8"
    runs = datapath.named("int8") if shifted else unit
    images, _ = data.digits_test()
    digits = network.read(data.digits_model_path(quantized=integer))
    source = digits.inputs[0].name
    calibration = None if integer else {source: data.digits_calibration()}
    found = {"digits": record(digits, runs, {source: images[:_IMAGES]}, calibration=calibration)}
    if models is not None and integer:
        with np.load(models / "golden_io.npz") as golden:
            image = (golden["cifar10_class3/image_nchw_uint8"].astype(np.int16) - 128).astype(np.int8)
        resnet = network.read(models / "resnet8_cifar10_int8_qdq.onnx")
        found["ResNet-8"] = record(resnet, runs, {resnet.inputs[0].name: image})
    operands = {}
    for name, layers in found.items():
        for layer, codes in layers.items():
            arrays = {**codes, "a": codes["a"] ^ 0x80} if shifted else codes
            stays = not unit.converts and arrays["a"].shape[1] > 1  # one row of a: nothing would ever change
            for dataflow in DATAFLOWS if stays else DATAFLOWS[:1]:
                key = f"{name} {layer}" + (" weights stay" if dataflow == "weight_stationary" else "")
                operands[key] = from_matrices(unit, **arrays, dataflow=dataflow, name=layer)
    return operands


def rows(unit: DotProductUnit, technology: str, operands: dict[str, Operands]) -> list[dict[str, Any]]:
    """Return a row an operand source: pJ a MAC by component, and the statistics of a and b."""
    target = read(technology)
    assert isinstance(target, Technology)
    netlist, period_ps = _netlist(unit, target)
    found = []
    for name, given in operands.items():
        bounds = step_energy(unit, netlist, target, period_ps, PIPELINE, given)
        parts = {part: [getattr(energy, f"{part}_pj") / unit.lanes for energy in bounds] for part in _COMPONENTS}
        a, b = given.statistics()
        found.append(
            {
                "unit": unit.name, "technology": technology, "operands": name, "a": a._asdict(), "b": b._asdict(),
                "pj_per_mac": [energy.total_pj / unit.lanes for energy in bounds], **parts,
            }
        )  # fmt: skip
    return found


def _netlist(unit: DotProductUnit, target: Technology) -> tuple[Netlist, float]:
    top = f"{unit.name}_core"
    result = asic(rtl.core_verilog(unit, pipeline=PIPELINE), top, target).choose("best_area_delay")
    return levelize(result.netlist_json, target, top), result.delay_ps


def _show(found: list[dict[str, Any]]) -> None:
    """Print a table: every energy beside that of normal operands."""
    normal = next(row for row in found if row["operands"] == "normal")["pj_per_mac"]
    print(f"\n{found[0]['unit']} in {found[0]['technology']}, fJ a MAC, lower..upper")
    print(
        f"{'operands':38} {'total':>15} {'of normal':>11} {'logic':>13} {'regs':>5} {'wires':>5} {'clock':>5}"
        f" {'0 in a':>6} {'common':>6} {'a flips':>7} {'b flips':>7}"
    )
    for row in found:
        low, high = (1e3 * energy for energy in row["pj_per_mac"])
        ratios = [energy / base for energy, base in zip(row["pj_per_mac"], normal, strict=True)]
        print(
            f"{row['operands'][:38]:38} {low:6.1f} .. {high:5.1f} {ratios[0]:4.2f} ..{ratios[1]:5.2f} "
            f"{1e3 * row['logic'][0]:5.1f} ..{1e3 * row['logic'][1]:6.1f} {1e3 * row['registers'][0]:5.1f} "
            f"{1e3 * row['wires'][1]:5.1f} {1e3 * row['clock'][0]:5.1f} {100 * row['a']['zeros']:5.1f}% "
            f"{100 * row['a']['common']:5.1f}% {100 * row['a']['toggles']:6.1f}% {100 * row['b']['toggles']:6.1f}%"
        )


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path, nargs="?", help="folder with ResNet-8")
    parser.add_argument("--out", type=Path, help="write the rows to this JSON file")
    options = parser.parse_args()
    every = []
    for name in UNITS:
        unit = datapath.named(name)
        operands = {"normal": gaussian(unit), "uniform": uniform(unit), **recorded(unit, options.models)}
        for technology in TECHNOLOGIES:
            found = rows(unit, technology, operands)
            _show(found)
            every += found
    if options.out:
        options.out.write_text(json.dumps(every, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
