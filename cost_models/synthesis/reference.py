# SPDX-License-Identifier: Apache-2.0
"""The unmapped design as a netlist of generic gates that know their place in the hierarchy."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cost_models.activity.netlist import Netlist, levelize
from cost_models.synthesis.yosys import YOSYS, versions, work_directory
from cost_models.technologies import Cell, OperatingPoint, Technology

__all__ = [
    "CONTROL",
    "Reference",
    "recipe",
    "references",
]

CONTROL = "control"
# Stages by how the names of modules begin, in the order of the data. `+` joins what one structure does together.
_STAGES = (
    ("enter", "enter"),
    ("select", "enter"),
    ("decode", "decode"),
    ("products", "decode+multiply"),
    ("multiply", "multiply"),
    ("rounded_product", "multiply"),
    ("core_row", "decode+multiply+align_add"),
    ("row_sum", "decode+multiply+align_add"),
    ("rows", "multiply+align_add"),
    ("step_sum", "multiply+align_add+accumulate"),
    ("align_add", "align_add"),
    ("cascaded_add", "align_add"),
    ("pair_tree", "align_add"),
    ("add_", "align_add"),
    ("accumulate", "accumulate"),
    ("float_add", "accumulate"),
    ("quire_add", "accumulate"),
    ("promote", "accumulate"),
    ("resolve", "round_pack"),
    ("core_result", "round_pack"),
    ("round_", "round_pack"),
    ("posit_pack", "round_pack"),
)
# Signals of the top module, which are of no submodule. A stage's registers are `<stage>_data`.
_SIGNALS = (("register", "accumulate"), ("base", "accumulate"), ("following", "accumulate"), ("d", "round_pack"))
_PRODUCT = re.compile(r"[\w\])}] ?\* ?[\w({$]")
_INDEX = re.compile(r"\[\d+\]$")

_SCRIPT = """
read_verilog -sv core.v
hierarchy -check -top {top}
proc
opt_expr
opt_clean
opt -full -nodffe -nosdff
wreduce
opt_clean
write_json hierarchy.json
design -save start
"""
_GATES = """
design -load start
{booth}
alumacc
techmap
simplemap
dfflegalize -cell $_DFF_P_ x
opt_expr
opt_clean
flatten
opt_clean
write_json {name}.json
"""
_FUNCTIONS = {
    "$_BUF_": "A",
    "$_NOT_": "!A",
    "$_AND_": "A*B",
    "$_NAND_": "!(A*B)",
    "$_OR_": "A+B",
    "$_NOR_": "!(A+B)",
    "$_XOR_": "A^B",
    "$_XNOR_": "!(A^B)",
    "$_ANDNOT_": "A*!B",
    "$_ORNOT_": "A+!B",
    "$_MUX_": "(A*!S)+(B*S)",
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reference:
    """
    A netlist of generic gates.

    Attributes
    ----------
    netlist : Netlist
        Its cells cost nothing.
    names : tuple of str
        The stages, `CONTROL` the last.
    gates, flip_flops : ndarray of int64
        Stage of each row by the place of its cell, -1 where the top module has it and no name of a signal tells.
    """

    netlist: Netlist
    names: tuple[str, ...]
    gates: npt.NDArray[np.int64]
    flip_flops: npt.NDArray[np.int64]


def references(text: str, top: str) -> list[Reference]:
    """
    Elaborate Verilog into generic gates: multipliers as the tool makes them, and as its Booth recoder does.

    Parameters
    ----------
    text : str
    top : str

    Returns
    -------
    list of Reference
        One, or two of a text with products; the stages are the same.

    Raises
    ------
    RuntimeError
        Yosys is not installed, or fails (`ToolError`).
    """
    ways = {"plain": "", "booth": "booth"} if _PRODUCT.search(text) else {"plain": ""}
    script = _SCRIPT.format(top=top)
    script += "".join(_GATES.format(booth=booth, name=name) for name, booth in ways.items())
    with work_directory({"core.v": text}) as directory:
        directory.yosys(script)
        hierarchy = json.loads(directory.read("hierarchy.json"))["modules"]
        texts = [directory.read(f"{name}.json") for name in ways]
    places = _Places(hierarchy, top)
    return [_reference(text, top, places) for text in texts]


def recipe() -> str:
    """Name all that a reference depends on beside the text: the tool's version, the scripts, the table of stages."""
    return f"{versions(YOSYS)}{_SCRIPT}{_GATES}{_STAGES}{_SIGNALS}{_FUNCTIONS}"


class _Places:
    """Where cells are: the stage of a name in the flat netlist."""

    def __init__(self, hierarchy: Mapping[str, Any], top: str) -> None:
        self._top = top
        self._prefix = top.removesuffix("_core") + "_"
        self._instances = {
            name: {cell: row["type"] for cell, row in module["cells"].items() if row["type"] in hierarchy}
            for name, module in hierarchy.items()
        }
        used = set(self._used(top, []))
        order = [*dict.fromkeys(stage for _, stage in _STAGES)]
        other = sorted(used - set(order))
        self.names = (*(stage for stage in order if stage in used or "+" not in stage), *other, CONTROL)

    def stage(self, cell: str) -> int:
        """Return the index of the stage of a flat cell, -1 in the top module."""
        module, path, rest = self._top, [], cell.removeprefix("$flatten")
        while True:
            for name, inner in self._instances[module].items():
                for head in (f"\\{name}.", f"{name}."):
                    if rest.startswith(head):
                        module, rest = inner, rest[len(head) :]
                        path.append(inner)
                        break
                else:
                    continue
                break
            else:
                return self.names.index(self._of(path)) if path else -1

    def signal(self, name: str) -> int | None:
        """Return the index of the stage of a named signal of the top module; None where the name does not tell."""
        if name.startswith("$") or re.fullmatch(r"_\d+_", name) or "." in name:
            return None
        stem = name.removesuffix("_data")
        wanted = dict(_SIGNALS).get(name) or next((to for key, to in _SIGNALS[:3] if name.startswith(f"{key}_")), None)
        if wanted is None and stem != name:
            wanted = next((stage for key, stage in _STAGES if stem.startswith(key)), None)
        if wanted is None:
            return len(self.names) - 1
        merged = [stage for stage in self.names if "+" in stage and wanted in stage.split("+")]
        return self.names.index(merged[0] if merged and wanted not in self._here else wanted)

    @property
    def _here(self) -> set[str]:
        return set(self._used(self._top, []))

    def _used(self, module: str, path: list[str]) -> list[str]:
        """List the stages of all instances below a module."""
        found = []
        for inner in set(self._instances[module].values()):
            below = [*path, inner]
            found += [self._of(below), *self._used(inner, below)]
        return found

    def _of(self, path: list[str]) -> str:
        """Name the stage of a path of modules: the outermost of one stage, else of several, else by the outermost."""
        named = [self._stem(module) for module in path]
        stages = [stage for stage in named if stage is not None]
        plain = [stage for stage in stages if "+" not in stage]
        return (plain or stages or [path[0].removeprefix(self._prefix)])[0]

    def _stem(self, module: str) -> str | None:
        local = module.removeprefix(self._prefix)
        return next((stage for key, stage in _STAGES if local.startswith(key)), None)


def _reference(text: str, top: str, places: _Places) -> Reference:
    """Read a netlist and place its cells."""
    netlist = levelize(text, _GENERIC, top)
    module = json.loads(text)["modules"][top]
    cells = [name for name, row in module["cells"].items() if row["type"] != "$scopeinfo"]
    signals: dict[int, int] = {}
    for name, net in netlist.names.items():
        stage = places.signal(_INDEX.sub("", name))
        if stage is not None and net > 1:
            signals[net] = min(stage, signals.get(net, stage))
    labels = []
    for rows, instances in (
        (netlist.gates, netlist.gate_instances),
        (netlist.flip_flops, netlist.flip_flop_instances),
    ):
        placed = np.full(len(rows), -1, dtype=np.int64)
        for index, (net, instance) in enumerate(zip(rows[:, 0].tolist(), instances.tolist(), strict=True)):
            stage = places.stage(cells[instance])
            placed[index] = stage if stage >= 0 else signals.get(net, -1)
        labels.append(placed)
    return Reference(netlist=netlist, names=places.names, gates=labels[0], flip_flops=labels[1])


def _free(name: str, output: str, function: str, pins: str, clock: str = "", data: str = "") -> Cell:
    """Make a cell that costs nothing."""
    return Cell(
        name=name, family="", drive=1.0, stages=1, outputs={output: function}, pin_caps_ff=dict.fromkeys(pins, 0.0),
        area_um2=0.0, leakage_nw=0.0, internal_fj=0.0, delay_ps=0.0, delay_max_ps=0.0, out_slew_ps=0.0,
        clock=clock, data=data,
    )  # fmt: skip


def _generic() -> Technology:
    """Make a library of Yosys' own gates."""
    cells = {
        name: _free(name, "Y", function, "".join(pin for pin in "ABS" if pin in function))
        for name, function in _FUNCTIONS.items()
    }
    cells["$_DFF_P_"] = _free("$_DFF_P_", "Q", "IQ", "CD", clock="C", data="D")
    point = OperatingPoint(voltage_v=0.0, temperature_c=0.0, load_ff=0.0, input_slew_ps=0.0, fo4_ps=0.0)
    return Technology(
        name="generic", title="gates of Yosys", node_nm=0.0, source="Yosys' simcells.v: functions alone", licence="ISC",
        inverter="$_NOT_", nand2="$_NAND_", driver="$_BUF_", operating_point=point, cells=cells, digest="",
    )  # fmt: skip


_GENERIC = _generic()
