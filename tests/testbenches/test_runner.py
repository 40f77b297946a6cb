# SPDX-License-Identifier: Apache-2.0
"""The runner and the cocotb bench on designs by hand: what is right passes, and each planted fault is named."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from testbenches.design import MODES, Design
from testbenches.ports import Port, ShellPorts
from testbenches.runner import VerificationError, run

Vectors = Callable[..., tuple[dict[str, list[int]], list[int]]]
Mac = Callable[..., Design]

LATE = (
    "reg [31:0] late; reg late_done; always @(posedge clk) if (rst) late_done <= 1'b0;"
    " else if (en) begin late <= sum; late_done <= done; end assign d = late;"
)

ACCEPTED = (".valid(i_valid)", ".valid(i_valid & i_ready)")

# What is wrong: the lines changed, and what the bench says.
FAULTS: dict[str, tuple[list[tuple[str, str]], str]] = {
    "carry": (
        [("sum <= base + addend;", "sum <= {base[31:16] + addend[31:16], base[15:0] + addend[15:0]};")],
        r"full_throughput, cycle \d+: output \d+ is wrong: expected [0-9a-f]{8}, seen [0-9a-f]{8}; row \d+ \(first=",
    ),
    "sign": (
        [("{16{product[15]}}", "{16{1'b0}}")],
        r"full_throughput, cycle \d+: output \d+ is wrong",
    ),
    "idle row added": (
        [("if (row_valid) sum", "sum")],
        r"random_stalls, cycle \d+: output \d+ is wrong",
    ),
    "row dropped in a stall": (
        [("assign i_ready = en;", "assign i_ready = 1'b1;")],
        r"random_stalls, cycle \d+: output \d+ (is wrong|does not come)",
    ),
    "output changes in a stall": (
        [("assign d = sum;", "assign d = sum ^ {31'b0, done & ~en};")],
        r"random_stalls, cycle \d+: o_d changed while o_valid was high and o_ready low: output \d+ was [01]{32}",
    ),
    "output dropped in a stall": (
        [("wire en = o_ready | ~o_valid;", "wire en = 1'b1;")],
        r"random_stalls, cycle \d+: (o_valid fell while o_ready was low: output \d+ is lost|o_d changed)",
    ),
    "output duplicated": (
        [("done <= row_valid & row_last;", "done <= (row_valid & row_last) | (done & ~row_valid);")],
        r"full_throughput, cycle \d+: extra output [0-9a-f]{8} \(the output before it again: duplicated\?\)",
    ),
    "output lost": (
        [("done <= row_valid & row_last;", "done <= row_valid & row_last & ~(row_first & product[3]);")],
        r"full_throughput, cycle \d+: output \d+ is wrong: .* \(the output after it: one lost\?\)",
    ),
    "last output lost": (
        [("done <= row_valid & row_last;", "done <= row_valid & row_last & valid;")],
        r"full_throughput, cycle \d+: output \d+ does not come, nothing moved for \d+ cycles: 1 outputs are lost",
    ),
    "latency": (
        [("assign d = sum;", LATE), ("assign d_valid = done;", "assign d_valid = late_done;")],
        r"full_throughput, cycle \d+: the latency is 3 cycles, stated is 2: output 0; row \d+ ",
    ),
    "reset leaves the row": (
        [("row_valid <= 1'b0;", "if (row_valid === 1'bx) row_valid <= 1'b0;")],
        r"reset_in_stream, cycle \d+: (extra output|o_valid is high \d cycles after rst rose)",
    ),
    "reset leaves the output": (
        [("done <= 1'b0;", "if (done === 1'bx) done <= 1'b0;")],
        r"reset_in_stream, cycle \d+: o_valid is high \d cycles after rst rose: the reset does not clear it",
    ),
    "no reset": (
        [("if (rst) begin", "if (1'b0) begin")],
        r"full_throughput, cycle \d+: (i_ready|o_valid) is X, and the reset is over",
    ),
    "unknown output": (
        [("assign d = sum;", "assign d = {sum[31:1], sum[7:1] == 7'd0 ? 1'bx : sum[0]};")],
        r"full_throughput, cycle \d+: output \d+ is wrong: expected [0-9a-f]{8}, seen [01]{31}X \(unknown bits\)",
    ),
    "half rate": (
        [("assign i_ready = en;", "assign i_ready = en & ~core.row_valid;"), ACCEPTED],
        r"full_throughput, cycle \d+: row \d+ is not accepted at once, though every output is",
    ),
}


def test_runner_mac_passes(mac: Mac, vectors: Vectors, simulator: str) -> None:
    stimulus, expected = vectors(3000, pairs=True)
    report = run(mac(), stimulus, expected, simulator=simulator)
    assert report.simulator == simulator
    assert report.vectors == 65536 + 3000
    assert report.outputs == len(expected) > 65536 + 1000
    assert report.latency_cycles == 2
    full, pauses, long, reset = report.modes
    assert tuple(mode.mode for mode in report.modes) == MODES
    assert (full.rows, full.outputs) == (report.vectors, report.outputs)
    assert pauses.rows == long.rows >= 4096
    assert pauses.outputs == long.outputs >= 2000
    assert reset.rows >= 512
    assert pauses.cycles > 1.5 * pauses.rows
    assert long.cycles > pauses.cycles
    assert report.compared == sum(mode.outputs for mode in report.modes)
    assert json.loads(json.dumps(report.to_json()))["vectors"] == report.vectors


def test_runner_wide_ports_pass(wide: Design, vectors: Vectors, simulator: str) -> None:
    stimulus, expected = vectors(4000, lanes=32, bits=64)
    report = run(wide, stimulus, expected, simulator=simulator)
    assert report.outputs == len(expected) > 1000
    assert report.latency_cycles == 1


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_runner_fault_is_named(mac: Mac, vectors: Vectors, icarus: str, fault: str) -> None:
    changes, message = FAULTS[fault]
    _fails(mac(*changes), vectors, icarus, message)


@pytest.mark.parametrize("fault", ["carry", "output changes in a stall", "reset leaves the row"])
def test_runner_fault_is_named_by_both(mac: Mac, vectors: Vectors, simulator: str, fault: str) -> None:
    changes, message = FAULTS[fault]
    _fails(mac(*changes), vectors, simulator, message)


def _fails(design: Design, vectors: Vectors, simulator: str, message: str) -> None:
    with pytest.raises(VerificationError, match=message) as failure:
        run(design, *vectors(2000), simulator=simulator)
    assert f"mac_int8 in {simulator} fails:" in str(failure.value)


def test_runner_wrong_model_is_named(mac: Mac, vectors: Vectors, icarus: str) -> None:
    stimulus, expected = vectors(2000)
    expected[700] ^= 0x10000
    with pytest.raises(VerificationError) as failure:
        run(mac(), stimulus, expected, simulator=icarus)
    row = [index for index, last in enumerate(stimulus["last"]) if last][700]
    digits = {"first": 1, "last": 1, "a": 2, "b": 2, "c": 8}
    inputs = " ".join(f"{name}={stimulus[name][row]:0{width}x}" for name, width in digits.items())
    values = f"expected {expected[700]:08x}, seen {expected[700] ^ 0x10000:08x}"
    assert f"output 700 is wrong: {values}; row {row} ({inputs})" in str(failure.value)


def test_runner_stuck_input_is_named(mac: Mac, vectors: Vectors, icarus: str) -> None:
    design = mac(("assign i_ready = en;", "assign i_ready = 1'b0;"), ACCEPTED, full_rate=False)
    with pytest.raises(VerificationError, match=r"row 0 is not accepted, i_ready stays low: nothing moved for \d+ cyc"):
        run(design, *vectors(100), simulator=icarus)


def test_runner_half_rate_passes_where_stated(mac: Mac, vectors: Vectors, icarus: str) -> None:
    design = mac(("assign i_ready = en;", "assign i_ready = en & ~core.row_valid;"), ACCEPTED, full_rate=False)
    assert run(design, *vectors(1000), simulator=icarus).cycles > 2000


def test_runner_port_width_is_compared(mac: Mac, vectors: Vectors, icarus: str) -> None:
    design = mac()
    fields = tuple(Port(name="b", bits=9) if port.name == "b" else port for port in design.ports.fields)
    wrong = replace(design, ports=ShellPorts(fields=fields, output_bits=32))
    with pytest.raises(VerificationError, match="port i_b has 8 bits, described are 9"):
        run(wrong, *vectors(100), simulator=icarus)


def test_runner_verilog_wrong(mac: Mac, vectors: Vectors, simulator: str, tmp_path: Path) -> None:
    with pytest.raises(VerificationError, match="does not build") as failure:
        run(mac(("sum <= base + addend;", "sum <= base +;")), *vectors(100), simulator=simulator, workdir=tmp_path)
    assert "--- end of build.log" in str(failure.value)
    assert re.search(r"mac_int8\.v:\d+:.*syntax error", str(failure.value))
    assert (tmp_path / "build.log").exists()


def test_runner_deadline_stops_a_simulator(mac: Mac, vectors: Vectors, icarus: str) -> None:
    design = mac(("    assign i_ready = en;", "    assign i_ready = en; initial while (1);"))
    with pytest.raises(VerificationError, match=r"stopped after 3\.0 seconds"):
        run(design, *vectors(100), simulator=icarus, timeout_seconds=3.0)


def test_runner_build_is_kept(mac: Mac, vectors: Vectors, simulator: str, tmp_path: Path) -> None:
    design = mac(("INT8 multiply-accumulate by hand", "INT8 multiply-accumulate, built twice"))
    first = run(design, *vectors(300), simulator=simulator, workdir=tmp_path / "first")
    again = run(design, *vectors(300), simulator=simulator, workdir=tmp_path / "again")
    assert (first.cached_build, again.cached_build) == (False, True)
    assert first.cycles == again.cycles
    assert (tmp_path / "again" / "simulation.log").stat().st_size > 0


def test_runner_seed_changes_the_pauses(mac: Mac, vectors: Vectors, icarus: str) -> None:
    one, other = (run(mac(), *vectors(300), simulator=icarus, seed=seed) for seed in (1, 2))
    assert one.modes[1].cycles != other.modes[1].cycles


def test_runner_latency_wrong(mac: Mac) -> None:
    with pytest.raises(ValueError, match=r"^latency must be at least 1, not 0$"):
        mac(latency=0)


def test_runner_expected_wrong(mac: Mac, vectors: Vectors, tmp_path: Path) -> None:
    stimulus, expected = vectors(100)
    with pytest.raises(ValueError, match=rf"row with last, {len(expected)} \(not 0\), not {len(expected) - 1}$"):
        run(mac(), stimulus, expected[:-1], workdir=tmp_path)
    with pytest.raises(ValueError, match=r"^expected must fit 32 bits, not 0x100000000 in output 0$"):
        run(mac(), stimulus, [1 << 32, *expected[1:]], workdir=tmp_path)


def test_runner_stimulus_wrong(mac: Mac, vectors: Vectors, tmp_path: Path) -> None:
    stimulus, expected = vectors(100)
    with pytest.raises(ValueError, match=r"^stimulus must begin with a row that has first set$"):
        run(mac(), stimulus | {"first": [0] * 100}, expected, workdir=tmp_path)
    with pytest.raises(ValueError, match=r"^a must fit 8 bits, not 0x100 in row 0$"):
        run(mac(), stimulus | {"a": [256] * 100}, expected, workdir=tmp_path)
    with pytest.raises(ValueError, match=r"^stimulus must have the fields a, b, c, first, last, not a, b, first"):
        run(mac(), {name: stimulus[name] for name in ("a", "b", "first", "last")}, expected, workdir=tmp_path)
