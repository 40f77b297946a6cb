# SPDX-License-Identifier: Apache-2.0
"""Map Verilog to standard cells: many recipes of many texts in one Yosys process, each kept as soon as it is there."""

import base64
import json
import re
import zlib
from collections.abc import Sequence
from typing import NamedTuple

from cost_models import store
from cost_models.synthesis.adders import with_library_adders
from cost_models.synthesis.recipes import Recipe
from cost_models.synthesis.yosys import YOSYS, WorkDirectory, versions, work_directory
from cost_models.technologies import Technology, liberty

__all__ = [
    "Job",
    "Mapped",
    "mapped",
]

_KIND = "mapped"
_AREA_UNIT_UM2 = 1e-3
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)

_FRONT = """
design -load library
read_verilog -sv {core}
synth -flatten -noabc {booth} -top {top}
dfflibmap -liberty cells.lib
design -save front{number}
"""
_MAP = """
design -load front{number}
abc -liberty cells.lib -constr abc.constr -script +{abc}
opt_clean -purge
check -assert -mapped
rename -enumerate -pattern g%_
write_verilog -noattr {name}.v
write_json {name}.json
tee -q -o {name}.done log
"""


class Job(NamedTuple):
    """One text to be mapped, and how."""

    text: str
    top: str
    recipe: Recipe


class Mapped(NamedTuple):
    """A mapped netlist: as Verilog, and as what `cost_models.activity.levelize` reads of Yosys' JSON."""

    verilog: str
    json: str


class _Files(NamedTuple):
    """The inputs of the tool that are the same for all mappings into a technology."""

    library: str
    constraints: str


def mapped(jobs: Sequence[Job], technology: Technology) -> list[Mapped]:
    """
    Map each text, in one process where several are not in the user's cache.

    A netlist is kept under the hash of what the tools read: scripts, library, constraints, text, and their versions.
    What finished before an error or an interrupt is kept.

    Parameters
    ----------
    jobs : sequence of Job
    technology : Technology

    Returns
    -------
    list of Mapped

    Raises
    ------
    RuntimeError
        Yosys is not installed, or fails (`ToolError`, with the tail of the log).
    """
    files = _Files(
        liberty(technology, _AREA_UNIT_UM2),
        f"set_driving_cell {technology.driver}\nset_load {technology.operating_point.load_ff}\n",
    )
    cores = [with_library_adders(job.text, technology) if job.recipe.cells else job.text for job in jobs]
    keys = [_key(job, core, files) for job, core in zip(jobs, cores, strict=True)]
    found = {key: _load(key) for key in keys}
    missing = {key: (job, core) for key, job, core in zip(keys, jobs, cores, strict=True) if found[key] is None}
    if missing:
        found |= _run(missing, files)
    return [netlist for key in keys if (netlist := found[key]) is not None]


def _key(job: Job, core: str, files: _Files) -> str:
    """Name the result by everything that the tools read; the library's comments are nothing to them."""
    return store.key(
        front=_FRONT, map=_MAP, top=job.top, booth=job.recipe.booth, abc=job.recipe.abc, core=core,
        library=_COMMENT.sub("", files.library), constraints=files.constraints, tools=versions(YOSYS),
    )  # fmt: skip


def _run(missing: dict[str, tuple[Job, str]], files: _Files) -> dict[str, Mapped]:
    """Map all that is missing in one process, front ends shared."""
    fronts: dict[tuple[str, str, bool], list[str]] = {}
    for key, (job, core) in missing.items():
        fronts.setdefault((core, job.top, job.recipe.booth), []).append(key)
    cores = list(dict.fromkeys(core for core, _, _ in fronts))
    names = {core: "core.v" if len(cores) == 1 else f"core{index}.v" for index, core in enumerate(cores)}
    script = ["read_liberty -lib cells.lib\ndesign -save library"]
    for number, ((core, top, booth), keys) in enumerate(fronts.items()):
        booths = "-booth" if booth else ""
        script.append(_FRONT.format(core=names[core], booth=booths, top=top, number=number))
        script += [_MAP.format(abc=missing[key][0].recipe.abc, name=key, number=number) for key in keys]
    inputs = {"cells.lib": files.library, "abc.constr": files.constraints} | {names[core]: core for core in cores}
    found: dict[str, Mapped] = {}
    with work_directory(inputs) as directory:

        def collect() -> None:
            for key, (job, _) in missing.items():
                if key not in found and (directory.path / f"{key}.done").exists():
                    verilog, netlist_json = directory.read(f"{key}.v"), directory.read(f"{key}.json")
                    found[key] = Mapped(verilog, _compact(netlist_json, job.top))
                    _save(key, found[key])

        directory.yosys("\n".join(script), collect)
    return found


def _save(key: str, netlist: Mapped) -> None:
    """Keep a netlist, packed: tenths of a megabyte are usual, and there are thousands."""
    packed = (base64.b64encode(zlib.compress(text.encode())).decode() for text in netlist)
    store.save(_KIND, key, dict(zip(Mapped._fields, packed, strict=True)))


def _load(key: str) -> Mapped | None:
    """Give a netlist that was kept, or None."""
    record = store.load(_KIND, key)
    if record is None:
        return None
    return Mapped(*(zlib.decompress(base64.b64decode(record[name])).decode() for name in Mapped._fields))


def _compact(netlist_json: str, top: str) -> str:
    """Keep of a netlist what `levelize` reads: a fifth of the text."""
    module = json.loads(netlist_json)["modules"][top]
    kept = {
        "ports": module["ports"],
        "cells": {
            name: {"type": row["type"], "connections": row["connections"]} for name, row in module["cells"].items()
        },
        "netnames": {name: {"bits": row["bits"]} for name, row in module["netnames"].items()},
    }
    return json.dumps({"modules": {top: kept}}, separators=(",", ":"))
