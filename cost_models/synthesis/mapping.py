# SPDX-License-Identifier: Apache-2.0
"""Map Verilog to standard cells: many recipes in one Yosys process, each netlist kept as soon as it is there."""

import base64
import json
import re
import zlib
from collections.abc import Sequence
from functools import partial
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

_FRONT = """read_liberty -lib cells.lib
read_verilog -sv core.v
synth -flatten -noabc {booth} -top {top}
dfflibmap -liberty cells.lib
design -save front
"""
_MAP = """
design -load front
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
    Map each text; recipes of one text that share the front end share a process.

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
    """Map what is missing, a process for each front end: a second one in a process comes out in another order."""
    fronts: dict[tuple[str, str, bool], list[str]] = {}
    for key, (job, core) in missing.items():
        fronts.setdefault((core, job.top, job.recipe.booth), []).append(key)
    found: dict[str, Mapped] = {}
    for (core, top, booth), keys in fronts.items():
        script = [_FRONT.format(booth="-booth" if booth else "", top=top)]
        script += [_MAP.format(abc=missing[key][0].recipe.abc, name=key) for key in keys]
        inputs = {"cells.lib": files.library, "abc.constr": files.constraints, "core.v": core}
        with work_directory(inputs) as directory:
            watch = partial(_collect, directory, top, keys, found)
            directory.yosys("".join(script), watch)
    return found


def _collect(directory: WorkDirectory, top: str, keys: Sequence[str], found: dict[str, Mapped]) -> None:
    """Keep each netlist that is finished."""
    for key in keys:
        if key not in found and (directory.path / f"{key}.done").exists():
            found[key] = Mapped(directory.read(f"{key}.v"), _compact(directory.read(f"{key}.json"), top))
            _save(key, found[key])


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
