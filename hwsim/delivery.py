# SPDX-License-Identifier: Apache-2.0
"""The folder that `hwsim verilog` writes: of a unit, a block, or a format's decoder or encoder."""

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import rtl
from hwsim import datapath
from hwsim.codecs import EncoderRules, check_part, write_codec
from hwsim.datapath import DotProductUnit
from hwsim.datapath.array import ArrayGeometry, ArrayKind
from rtl.architecture import architecture
from rtl.blocks import Block, blocks
from rtl.verilog import check_name
from testbenches.package.array import write_array
from testbenches.package.constraints import DEFAULT_CLOCK_MHZ, check_clock
from testbenches.package.part import write_block
from testbenches.package.unit import write_unit
from testbenches.package.written import Written
from testbenches.simulators import find

__all__ = [
    "Order",
    "deliver",
    "encoder_rules",
    "geometry",
    "lines",
    "write_verilog",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """
    What is to be written, and where to.

    Parameters
    ----------
    name : str
        Of a unit (`hwsim.datapath.named`), a block (`rtl.blocks`), or, with `part`, a format.
    folder : Path
        Made if need be; files in it with the same names are overwritten.
    part : str, default "unit"
        ``"unit"`` (a block is one, too), ``"decoder"`` or ``"encoder"``.
    pipeline : int, optional
        Of a unit, or of the elements of an array: ranks of registers (see `rtl.ranks`); an array's are 1 if not given.
    architecture : str, optional
        Of a unit: how it is built, a name of `rtl.architecture.ARCHITECTURES`.
    module : str, optional
        Of a unit or an array: what the names of modules and files begin with, in place of its own name.
    array : ArrayGeometry, optional
        Of an array of the unit, which is written in place of the unit.
    clock_mhz : float, default 100
        Of the timing constraints.
    rules : EncoderRules, optional
        Of an encoder; float32 to nearest even, saturating, if not given.
    verify : bool
        Whether to run every check of the folder right away.
    simulator : str, optional
        ``"icarus"`` or ``"verilator"``; to name one is to ask for the run.
    """

    name: str
    folder: Path
    part: str = "unit"
    pipeline: int | None = None
    architecture: str | None = None
    module: str | None = None
    array: ArrayGeometry | None = None
    clock_mhz: float = DEFAULT_CLOCK_MHZ
    rules: EncoderRules | None = None
    verify: bool = False
    simulator: str | None = None

    @property
    def checked(self) -> bool:
        """Whether anything is to be run."""
        return self.verify or self.simulator is not None


def deliver(order: Order, progress: Callable[[str], None] = lambda text: None) -> dict[str, Any]:
    """
    Write what is ordered.

    Parameters
    ----------
    order : Order
    progress : callable
        Called with what is being done.

    Returns
    -------
    dict
        As of `write_verilog`, or `hwsim.codecs.write_codec`.

    Raises
    ------
    KeyError
        There is nothing of that name; the message has close matches.
    ValueError, VerificationError, MissingToolError
        As of the functions that write.
    """
    check_part(order.part)
    if order.rules is not None and order.part != "encoder":
        raise ValueError(
            f"source, rounding, overflow and random_bits must not be given for a {order.part}: they are an encoder's"
        )
    if order.part == "unit":
        return write_verilog(order, progress)
    of_units = {
        "pipeline": order.pipeline,
        "architecture": order.architecture,
        "name": order.module,
        "array": order.array,
    }
    for option, value in of_units.items():
        if value is not None:
            raise ValueError(f"{option} must not be given for a {order.part}: it is a unit's")
    progress(f"{order.name}: {order.part}")
    return write_codec(
        order.name,
        order.part,
        order.folder,
        rules=order.rules,
        verify=order.verify,
        simulator=order.simulator,
        clock_mhz=order.clock_mhz,
    )


def write_verilog(order: Order, progress: Callable[[str], None] = lambda text: None) -> dict[str, Any]:
    """
    Write a unit's or a block's Verilog, with its testbenches and all that goes with it, into a folder.

    Parameters
    ----------
    order : Order
        Its part is not looked at.
    progress : callable
        Called with what is being done.

    Returns
    -------
    dict
        `unit` (or `array`, or `block`), `files`, `latency_cycles` (0 of a block), `simulator`, `verified_vectors`: the
        outputs compared (None where it was not run), and `checks`, the result of each by what it is.
    """
    thing = _named(order.name)
    folder = order.folder
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"the output {str(folder)!r} must be a folder, and is a file")
    check_clock(order.clock_mhz)
    how = None if order.architecture is None else architecture(order.architecture)
    if order.module is not None:
        check_name(order.module)
    if isinstance(thing, Block):
        of_units = {"pipeline": order.pipeline, "architecture": how, "array": order.array, "name": order.module}
        for option, value in of_units.items():
            if value is not None:
                raise ValueError(f"{option} must not be given for the block {thing.name}: it is what its name says")
        written = write_block(thing, folder, clock_mhz=order.clock_mhz, checked=order.checked, progress=progress)
        return {"block": thing.name, "latency_cycles": 0} | _answer(written)
    if order.checked:
        find(order.simulator)
    if order.array is not None:
        element = order.array.element(thing)
        pipeline = rtl.latency(element, 1 if order.pipeline is None else order.pipeline, how)
        written = write_array(
            order.array,
            thing,
            folder,
            pipeline=pipeline,
            architecture=how,
            name=order.module,
            clock_mhz=order.clock_mhz,
            checked=order.checked,
            progress=progress,
        )
        name = order.module or rtl.array_name(order.array, thing, pipeline)
        return {"array": name, "latency_cycles": rtl.array_latency(order.array, pipeline)} | _answer(written)
    latency = rtl.latency(thing, order.pipeline, how)
    written = write_unit(
        thing,
        folder,
        pipeline=order.pipeline,
        architecture=how,
        name=order.module,
        clock_mhz=order.clock_mhz,
        checked=order.checked,
        simulator=order.simulator,
        progress=progress,
    )
    return {"unit": order.module or thing.name, "latency_cycles": latency} | _answer(written)


def geometry(kind: str | None, rows: int | None, columns: int | None, depth: int | None) -> ArrayGeometry | None:
    """
    Return the array that options say, 4 by 4 if they do not, a cube 2 deep; None without a kind.

    Raises
    ------
    ValueError
        The kind is none, or there is none with rows, columns or depth, or these are not in range; the message has what
        there is.
    """
    if kind is None:
        given = {"rows": rows, "columns": columns, "depth": depth}
        for option, value in given.items():
            if value is not None:
                raise ValueError(f"{option} must not be given without array: it is an array's")
        return None
    known = [member.value for member in ArrayKind]
    if kind not in known:
        raise ValueError(f"array must be one of {', '.join(known)}, not {kind!r}")
    deep = depth if depth is not None else 2 if kind == ArrayKind.CUBE.value else 1
    tall, wide = (4 if side is None else side for side in (rows, columns))
    return ArrayGeometry(kind=ArrayKind(kind), rows=tall, columns=wide, depth=deep)


def encoder_rules(**options: str | int | None) -> EncoderRules | None:
    """Return the rules that options say, by the fields of `EncoderRules`; None where none is given."""
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    return EncoderRules(**given) if given else None


def lines(answer: dict[str, Any]) -> list[str]:
    """Return what `deliver` gave as lines of text."""
    found = list(answer["files"])
    if "array" in answer:
        found.append(f"{answer['array']}: latency {answer['latency_cycles']} cycles")
    if "unit" in answer:
        found.append(f"{answer['unit']}: latency {answer['latency_cycles']} cycles, one step a cycle")
    if answer["verified_vectors"] is not None:
        found.append(f"verified in {answer['simulator']}: {answer['verified_vectors']:,} outputs equal")
        found += [f"{what}: {result}" for what, result in answer["checks"].items()]
    return found


def _named(name: str) -> DotProductUnit | Block:
    """Return the block or else the unit of a name."""
    known = blocks()
    if name in known:
        return known[name]
    try:
        return datapath.named(name)
    except KeyError as error:
        close = get_close_matches(name, known, n=4, cutoff=0.6)
        if close and "did you mean" not in error.args[0]:
            raise KeyError(f"unknown {name!r}: did you mean the block {' or '.join(close)}?") from None
        raise


def _answer(written: Written) -> dict[str, Any]:
    return {
        "files": [str(file) for file in written.files],
        "simulator": written.simulator,
        "verified_vectors": written.compared,
        "checks": {check.what: check.result for check in written.checks},
    }
