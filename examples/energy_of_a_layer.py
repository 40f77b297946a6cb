# SPDX-License-Identifier: Apache-2.0
"""What a multiply-accumulate costs on the data of a real layer, beside random data: area and energy by stage.

    python examples/energy_of_a_layer.py

Runs the embedded digits network on an INT8 unit, keeps what the unit multiplied, synthesizes the unit, and counts the
toggles of its gates on those very operands. With --quick a smaller unit, one recipe and one layer.
"""

import argparse

import rtl
from cost_models.activity import levelize
from cost_models.synthesis.asic import asic
from cost_models.synthesis.stages import area_by_stage, stages
from cost_models.technologies import Technology, read
from hwsim import data, datapath, network
from hwsim.gates import step_energy
from hwsim.operands import from_matrices, gaussian, record, uniform


def main() -> None:
    """Record, synthesize, count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one recipe, one layer")
    options = parser.parse_args()

    unit, technology, pipeline = datapath.named("int8"), read("asap7"), 3
    assert isinstance(technology, Technology)
    net = network.read(data.digits_model_path(quantized=True))
    images, _ = data.digits_test()
    layers = record(net, unit, {net.inputs[0].name: images[:8]})
    sources = {"normal": gaussian(unit), "uniform": uniform(unit)}
    for name in list(layers)[: 1 if options.quick else None]:
        sources[name] = from_matrices(unit, layers[name]["a"], layers[name]["b"], name=name)

    text, top = rtl.core_verilog(unit, pipeline=pipeline), f"{unit.name}_core"
    result = asic(text, top, technology, ("area",)) if options.quick else asic(text, top, technology)
    best = result.choose("best_area_delay")
    netlist = levelize(best.netlist_json, technology, top)
    labels = stages(netlist, text, top)
    areas = area_by_stage(netlist, technology, labels)
    print(f"{unit.name} in {technology.name}: {best.area_um2:.1f} um2, {best.delay_ps:.0f} ps")
    print(f"{'':40}" + "".join(f"{stage:>28}" for stage in areas))
    print(f"{'area, um2':40}" + "".join(f"{area:28.1f}" for area in areas.values()))
    for name, operands in sources.items():
        lower, upper = step_energy(unit, netlist, technology, best.delay_ps, pipeline, operands, labels)
        flips = operands.statistics()[0].toggles
        parts = [f"{1e3 * lower.by_stage[stage]:.1f} .. {1e3 * upper.by_stage[stage]:.1f}" for stage in areas]
        print(f"{name + f', {100 * flips:.0f} % of bits flip; fJ':40}" + "".join(f"{part:>28}" for part in parts))


if __name__ == "__main__":
    main()
