# SPDX-License-Identifier: Apache-2.0
"""The Verilog of arrays, compiled: tiles of a convolution of the digits network, with and without stalls; and AXI."""

import re
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import rtl
from hwsim import data, datapath, network
from hwsim.accelerator import streamed
from hwsim.datapath.array import ArrayGeometry, ArrayKind
from hwsim.network import ExactEngine, Layer, MatmulShape
from rtl.axi import Register, axi_array_name, axi_array_verilog
from rtl.axi.layouts import IDENTIFIER
from testbenches.arrays import program, run_verilog
from testbenches.arrays_axi import AxiHost, BusError, described
from testbenches.compiled import Compiled
from testbenches.lint import lint

_FIRST = [ArrayKind.OUTPUT_STATIONARY, ArrayKind.ADDER_TREE]
_KINDS = [kind if kind in _FIRST else pytest.param(kind, marks=pytest.mark.slow) for kind in ArrayKind]


@pytest.fixture(scope="module")
def convolution() -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the operands of the second convolution, unrolled: (64, 72) and (72, 16)."""
    found: list[tuple[NDArray[Any], NDArray[Any]]] = []

    class Recorder(ExactEngine):
        def matmul(self, layer: Layer, a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
            found.append((a[0], b[0]))
            return super().matmul(layer, a, b)

    net = network.read(data.digits_model_path(quantized=True))
    network.run(net, {"input": data.digits_test()[0][:1]}, engine=Recorder())
    a, b = found[1]
    assert (a.shape, b.shape) == ((64, 72), (72, 16))
    assert {a.dtype.name, b.dtype.name} == {"int8"}
    return a, b


def _geometry(kind: ArrayKind, rows: int, columns: int) -> ArrayGeometry:
    depth = 4 if kind is ArrayKind.CUBE else 1
    return ArrayGeometry(kind=kind, rows=rows, columns=columns, depth=depth, partial_sums=not kind.keeps_outputs)


@pytest.mark.parametrize("kind", _KINDS)
def test_array_verilog_convolution_bit_equal_in_closed_form_cycles(convolution: Any, kind: ArrayKind) -> None:
    a, b = convolution[0][:14], convolution[1][:, :7]
    unit = datapath.named("int8")
    geometry = _geometry(kind, 4, 3)
    stream = program(geometry, unit, a.astype(np.uint8), b.astype(np.uint8))
    text = rtl.array_verilog(geometry, unit)
    compiled = Compiled(text, rtl.array_name(geometry, unit))
    expected = streamed(geometry, MatmulShape(1, 14, 72, 7), 1).cycles
    for bubbles, stalls in ((0.0, 0.0), (0.3, 0.0), (0.0, 0.6), (0.5, 0.5)):
        run = run_verilog(compiled, geometry, unit, stream, bubbles=bubbles, stalls=stalls)
        assert (run.wrong, run.broken) == (0, 0)
        found = stream.gather(run.d, geometry, 32).astype(np.uint32).view(np.int32)
        assert np.array_equal(found, a.astype(np.int64) @ b.astype(np.int64))
        assert run.cycles == expected if bubbles == stalls == 0 else run.cycles > expected


@pytest.mark.slow
def test_array_verilog_sees_a_wrong_element(convolution: Any) -> None:
    a, b = convolution
    unit = datapath.named("int8")
    geometry = _geometry(ArrayKind.OUTPUT_STATIONARY, 4, 3)
    stream = program(geometry, unit, a[:4].view(np.uint8), b[:, :3].view(np.uint8))
    text = rtl.array_verilog(geometry, unit)
    broken = text.replace("assign closed = |", "assign closed = 1'h0 & |")
    assert broken != text
    run = run_verilog(Compiled(broken, rtl.array_name(geometry, unit)), geometry, unit, stream)
    assert run.wrong == 0  # one tile has no other behind it
    two = program(geometry, unit, a[:8].view(np.uint8), b[:, :3].view(np.uint8))
    assert run_verilog(Compiled(broken, rtl.array_name(geometry, unit)), geometry, unit, two).wrong > 0


@pytest.mark.parametrize("kind", _KINDS)
def test_array_verilog_is_clean(kind: ArrayKind) -> None:
    unit = datapath.named("int8")
    geometry = _geometry(kind, 2, 3)
    text, name = axi_array_verilog(geometry, unit), axi_array_name(geometry, unit)
    lint({f"{name}.v": text}, name)
    assert f"module {rtl.array_name(geometry, unit)}(clk, rst, i_valid, i_ready, " in text
    assert text.count(f"{rtl.array_name(geometry, unit)}_element element_r1_c2 (") == (kind is not ArrayKind.ADDER_TREE)
    assert text == axi_array_verilog(geometry, unit)


def test_output_stationary_element_has_two_operands_and_an_accumulator() -> None:
    unit = datapath.named("int8")
    geometry = _geometry(ArrayKind.OUTPUT_STATIONARY, 2, 2)
    modules = rtl.array_verilog(geometry, unit).split("endmodule\n")
    (element,) = (module for module in modules if f"module {rtl.array_name(geometry, unit)}_element(" in module)
    registers = re.findall(r"^  reg (?:\[(\d+):0\] )?(\w+);$", element, re.MULTILINE)
    assert sorted(int(high or 0) + 1 for high, _ in registers) == [8, 8, 32]


@pytest.mark.parametrize(
    "kind", [ArrayKind.WEIGHT_STATIONARY, pytest.param(ArrayKind.OUTPUT_STATIONARY, marks=pytest.mark.slow)]
)
def test_axi_array(convolution: Any, kind: ArrayKind) -> None:
    a, b = convolution
    unit = datapath.named("int8")
    geometry = _geometry(kind, 2, 3)
    m, k, n = 5, 8, 6
    stream = program(geometry, unit, a[:m, :k].view(np.uint8), b[:k, :n].view(np.uint8))
    expected = streamed(geometry, MatmulShape(1, m, k, n), 1)
    steps = k if kind.keeps_outputs else m
    compiled = Compiled(axi_array_verilog(geometry, unit), axi_array_name(geometry, unit), clock="aclk")
    for pause in (0.0, 0.5):
        compiled.restart()
        host = AxiHost(compiled, geometry, unit, pause=pause)
        assert host.read(Register.IDENTIFIER) == (IDENTIFIER, 0)
        assert host.read(Register.SHAPE) == (geometry.rows | geometry.columns << 16, 0)
        assert host.write(Register.CONTROL, 1) == 0
        assert described(host.read(Register.STATUS)[0]) == {"REFUSED"}  # no steps yet
        assert host.write(Register.CONTROL, 2) == 0
        for _ in range(2):
            run = host.run(stream, steps, expected.folds)
            assert list(zip(run.d, run.last, strict=True)) == [
                (output["d"], output["last"]) for output in stream.outputs
            ]
            assert described(run.status) == {"DONE"}
            assert run.cycles == expected.cycles if pause == 0 else run.cycles > expected.cycles
        assert host.read(Register.STEPS) == (steps, 0)
        assert host.write(Register.STEPS, 0x1234, strobes=0b0010) == 0
        assert host.read(Register.STEPS) == (0x1200 | steps, 0)
        assert host.write(Register.STATUS, 0) == 2
        assert host.read(0x3C) == (0, 2)
        run = host.run(stream, steps, expected.folds, lasts={0: 1, len(stream.beats) - 1: 0})
        assert described(run.status) == {"DONE", "EARLY_LAST", "MISSING_LAST"}


@pytest.mark.slow
def test_axi_host_sees_a_payload_that_changes(convolution: Any) -> None:
    a, b = convolution
    unit = datapath.named("int8")
    geometry = _geometry(ArrayKind.WEIGHT_STATIONARY, 2, 3)
    stream = program(geometry, unit, a[:5, :8].view(np.uint8), b[:8, :6].view(np.uint8))
    text = axi_array_verilog(geometry, unit)
    broken = text.replace("assign m_axis_tdata = ", "assign m_axis_tdata = {143'h0, m_axis_tready} ^ ")
    assert broken != text
    host = AxiHost(Compiled(broken, axi_array_name(geometry, unit), clock="aclk"), geometry, unit, pause=0.5)
    with pytest.raises(BusError, match=r"^m_axis_tvalid fell, or m_axis_tdata, m_axis_tlast changed, before"):
        host.run(stream, 5, 8)
