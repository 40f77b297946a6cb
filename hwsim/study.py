# SPDX-License-Identifier: Apache-2.0
"""Price units, and compare formats: RTL, synthesis, the netlist checked against the model, the result kept."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import cost_models
import rtl
from cost_models import Cost
from cost_models.activity import levelize
from cost_models.store import text_hash
from cost_models.synthesis import asic, asic_cost, ecp5, fpga_cost, xilinx
from cost_models.technologies import FpgaTechnology, Technology
from hwsim import accelerator as accelerators
from hwsim import data, datapath, formats, network
from hwsim.datapath import DotProductUnit
from hwsim.formats import BlockSpec
from hwsim.gates import OPERANDS, check_netlist, step_energy
from hwsim.jobs import accuracy
from rtl import architecture as architectures
from testbenches.stimulus import stimulus

__all__ = [
    "PIPELINE",
    "compare",
    "price",
]

Progress = Callable[[str], None]
PIPELINE = 3  # register ranks of compared units: after the products, the register itself, after the conversion
_CHOICE = "best_area_delay"


def price(
    unit: DotProductUnit,
    technology: str = "asap7",
    *,
    pipeline: int = 2,
    architecture: str | None = None,
    progress: Progress = lambda text: None,
) -> Cost:
    """Price a unit: RTL, synthesis by every recipe, the chosen netlist checked against the model, the result kept.

    Parameters
    ----------
    unit : DotProductUnit
    technology : str
        Of `cost_models.technologies.names`: standard cells (the recipe with the least area x delay is the result), ECP5
        without or with DSP blocks (placed and routed), Xilinx 7-series (counts).
    pipeline : int
        Register ranks, as for `rtl.verilog`.
    architecture : str, optional
        Of `rtl.architecture.ARCHITECTURES`; without one, `cost_models.usual_architecture`, the same for every unit.
    progress : callable
        Called with what is being done.

    Returns
    -------
    Cost
        `verified_vectors` counts the outputs in which a standard-cell netlist equalled the model; an FPGA netlist is
        checked by the tests, not here, for its cells' models run slowly. What was measured before of the same RTL is
        read back, the user's own or what comes with the package.

    Raises
    ------
    LookupError, ValueError
        If there is no such technology, pipeline or architecture, or the netlist differs from the model.
    RuntimeError
        If a tool is missing or fails.
    """
    how = cost_models.usual_architecture(technology) if architecture is None else architecture
    text = rtl.core_verilog(unit, pipeline=pipeline, architecture=architectures.architecture(how))
    try:
        known = cost_models.estimate(unit, technology, pipeline=pipeline, architecture=how)
        if known.rtl_hash == text_hash(text):
            return known
    except cost_models.NotMeasuredError:
        pass
    target = cost_models.technologies.read(technology)
    if isinstance(target, Technology):
        cost = _standard_cells(unit, text, target, pipeline, progress)
    else:
        cost = _fpga(unit, text, target, pipeline, progress)
    cost = replace(cost, architecture=how)
    cost_models.save(cost)
    return cost


def _standard_cells(unit: DotProductUnit, text: str, target: Technology, pipeline: int, progress: Progress) -> Cost:
    top = f"{unit.name}_core"
    progress(f"{unit.name}: synthesis in {target.name}, every recipe")
    best = asic(text, top, target).choose(_CHOICE)
    netlist = levelize(best.netlist_json, target, top)
    progress(f"{unit.name}: the netlist against the model")
    verified = check_netlist(unit, netlist, stimulus(unit), pipeline)
    progress(f"{unit.name}: energy")
    return asic_cost(
        unit.name,
        best,
        energy=step_energy(unit, netlist, target, best.delay_ps, pipeline),
        operands=OPERANDS,
        verified_vectors=verified,
        pipeline=pipeline,
        rtl_hash=text_hash(text),
    )


def _fpga(unit: DotProductUnit, text: str, target: FpgaTechnology, pipeline: int, progress: Progress) -> Cost:
    top = f"{unit.name}_core"
    progress(f"{unit.name}: synthesis in {target.name}")
    dsp = target.name.endswith("_dsp")
    result = ecp5(text, top, dsp) if target.family == "ecp5" else xilinx(text, top, dsp)
    return fpga_cost(unit.name, result, pipeline=pipeline, rtl_hash=text_hash(text))


def compare(
    names: Sequence[str], *, lanes: int = 16, measure: bool = True, progress: Progress = lambda text: None
) -> list[dict[str, Any]]:
    """Compare formats on the digits network, and by what a dot-product unit of each costs.

    Weights and activations of every layer are quantized to the format (weights with a scale an output channel,
    activations with one scale from calibration; block formats by their own rule along K); every product goes through
    the format's `hwsim.datapath.comparable` unit. All units get the same recipes and the same register ranks.

    Parameters
    ----------
    names : sequence of str
        Formats.
    lanes : int
        Products a step; must divide the blocks.
    measure : bool
        Whether to synthesize what was never measured; else its figures are None, with a note.
    progress : callable
        Called with what is being done.

    Returns
    -------
    list of dict
        A row a format: format, unit, accuracy, float_accuracy, bits_per_element; lut, ff, fmax_mhz, fmax_spread (ECP5
        without DSP blocks), lut_with_dsp, dsp, fmax_with_dsp_mhz; xc7_lut, xc7_ff, xc7_lut_with_dsp, xc7_dsp; area_um2,
        delay_ps, leakage_uw, energy_pj_per_mac (ASAP7); nangate45_area_um2, nangate45_delay_ps,
        nangate45_energy_pj_per_mac; notes.

    Raises
    ------
    KeyError, ValueError
        For unknown formats, and lanes that do not go with them, before anything is run.
    """
    units = [(name, datapath.comparable(name, lanes)) for name in names]
    net = network.read(data.digits_model_path(quantized=False))
    images, labels = data.digits_test()
    source, output = net.inputs[0].name, net.outputs[0].name
    in_float = accuracy(network.run(net, {source: images})[output], labels)
    ranges = network.calibrate(net, {source: data.digits_calibration()})
    rows = []
    for name, unit in units:
        progress(f"{name}: the digits network")
        outputs = network.run(net, {source: images}, engine=accelerators.UnitEngine(unit, ranges))
        spec = formats.named(name)
        row: dict[str, Any] = {
            "format": name,
            "unit": unit.name,
            "accuracy": accuracy(outputs[output], labels),
            "float_accuracy": in_float,
            "bits_per_element": spec.bits_per_element if isinstance(spec, BlockSpec) else float(spec.bits),
            "notes": [],
        }
        missing = []
        for technology, fields in _FIELDS.items():
            cost = _cost(unit, technology, measure, progress)
            if cost is None:
                missing.append(technology)
            row |= {key: None if cost is None else getattr(cost, field) for key, field in fields.items()}
        for prefix in ("", "nangate45_"):
            energy = row.pop(f"{prefix}energy_pj")
            row[f"{prefix}energy_pj_per_mac"] = None if energy is None else energy / lanes
        if missing:
            row["notes"].append(f"{unit.name} was never measured in {', '.join(missing)}: run without --no-measure")
        rows.append(row)
    return rows


_FIELDS = {
    "ecp5": {"lut": "lut", "ff": "ff", "fmax_mhz": "fmax_mhz", "fmax_spread": "fmax_spread"},
    "ecp5_dsp": {"lut_with_dsp": "lut", "dsp": "dsp", "fmax_with_dsp_mhz": "fmax_mhz"},
    "xc7": {"xc7_lut": "lut", "xc7_ff": "ff"},
    "xc7_dsp": {"xc7_lut_with_dsp": "lut", "xc7_dsp": "dsp"},
    "asap7": {"area_um2": "area_um2", "delay_ps": "delay_ps", "leakage_uw": "leakage_uw", "energy_pj": "energy_pj"},
    "nangate45": {
        "nangate45_area_um2": "area_um2",
        "nangate45_delay_ps": "delay_ps",
        "nangate45_energy_pj": "energy_pj",
    },
}


def _cost(unit: DotProductUnit, technology: str, measure: bool, progress: Progress) -> Cost | None:
    """Return a cost, measured now if need be; None where that is not wanted."""
    try:
        known = cost_models.estimate(unit, technology, pipeline=PIPELINE)
    except cost_models.NotMeasuredError:
        return price(unit, technology, pipeline=PIPELINE, progress=progress) if measure else None
    if known.shipped or not measure:
        return known
    return price(unit, technology, pipeline=PIPELINE, progress=progress)  # which asks whether its RTL is today's
