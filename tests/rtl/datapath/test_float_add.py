# SPDX-License-Identifier: Apache-2.0
"""The float register's adder: equal to the model for each format, width and rule, on near and far operands."""

from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib.wiring import In, Out
from numpy.typing import NDArray

from hwsim import formats
from hwsim.datapath import DotProductUnit, ExactAlignment, FixedAccumulator, FloatAccumulator, dot, named, step_exact
from hwsim.formats import FloatSpec, Overflow, Rounding
from rtl.architecture import ARCHITECTURES, Architecture
from rtl.datapath.decode import Decode
from rtl.datapath.float_add import FloatAdd, float_step
from rtl.datapath.layouts import total_layout
from rtl.datapath.merged import RowSum, operand_ports
from rtl.part import Part
from rtl.verilog import parts_verilog
from testbenches.compiled import Compiled

_HEAP = ARCHITECTURES["dadda_heap"]
_COUNT = 1 << 16


def _unit(operand: str, register: str, lanes: int = 1, **rules: Any) -> DotProductUnit:
    spec, held = formats.named(operand), formats.named(register)
    assert isinstance(spec, FloatSpec | formats.PositSpec)
    assert isinstance(held, FloatSpec)
    fields: dict[str, Any] = {
        "format": held,
        "rounding": Rounding.NEAREST_EVEN,
        "overflow": Overflow.INFINITY,
        "result_man_bits": held.man_bits,
    }
    accumulator = FloatAccumulator(**fields | rules)
    return DotProductUnit(a=spec, b=spec, lanes=lanes, alignment=ExactAlignment(), accumulator=accumulator, output=held)


class _Step(Part):
    """A row's sum and the adder behind it."""

    def __init__(self, unit: DotProductUnit, architecture: Architecture) -> None:
        assert isinstance(unit.accumulator, FloatAccumulator)
        self._unit, self._architecture, self._held = unit, architecture, unit.accumulator
        ports = operand_ports(unit) | {"register": In(self._held.bits), "following": Out(self._held.bits)}
        super().__init__(ports | ({"random": In(self._held.random_bits)} if self._held.random_bits else {}))

    def _module_name(self) -> str:
        return "step"

    def _build(self) -> Module:
        m = Module()
        unit = self._unit
        m.submodules.row_sum = row_sum = RowSum(unit, self._architecture)
        m.submodules.decode = decode = Decode(self._held.format)
        m.submodules.float_add = float_add = FloatAdd(unit, self._architecture)
        m.d.comb += [getattr(row_sum, name).eq(getattr(self, name)) for name in operand_ports(unit)]
        m.d.comb += [float_add.total[name].eq(row_sum.total[name]) for name in total_layout(unit).members]
        m.d.comb += [
            decode.codes.eq(self.register),
            float_add.register.value.eq(self.register),
            float_add.decoded.eq(decode.operands[0]),
            float_add.nonzero.eq(row_sum.total.sum.any()),
            self.following.eq(float_add.following.value),
        ]
        if self._held.random_bits:
            m.d.comb += float_add.random.eq(self.random)
        return m


def _vectors(unit: DotProductUnit, count: int, seed: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return codes: half of them random, in the others the register is close to minus the sum, or a power away."""
    assert isinstance(unit.accumulator, FloatAccumulator)
    random = np.random.default_rng(seed)
    bits, held = unit.element_a.bits, unit.accumulator.format
    a, b = (random.integers(0, 1 << bits, (count, unit.lanes), dtype=np.uint64) for _ in range(2))
    a[: count // 8, 1:] = 0
    if unit.lanes > 1:  # two products that cancel
        pair = slice(count // 8, count // 4)
        a[pair, 1], b[pair, 1], a[pair, 2:] = a[pair, 0], b[pair, 0] ^ np.uint64(1 << (bits - 1)), 0
    with np.errstate(all="ignore"):
        near = -(unit.element_a.decode(a) * unit.element_b.decode(b)).astype(np.float64).sum(axis=1)
        near *= random.choice([1.0, 1.0, 1.0, -1.0, 0.5, 2.0, 0.25, 4.0], count)
    c = held.encode(near, overflow="infinity").astype(np.int64) + random.integers(-3, 4, count)
    register = c.astype(np.uint64) & np.uint64((1 << held.bits) - 1)
    register[count // 2 :] = random.integers(0, 1 << held.bits, count - count // 2, dtype=np.uint64)
    return a, b, register


def _packed(codes: NDArray[Any], bits: int) -> NDArray[Any]:
    shifts = np.arange(codes.shape[1], dtype=np.uint64) * np.uint64(bits)
    return np.asarray(np.bitwise_or.reduce(codes << shifts, axis=1))


def _differences(unit: DotProductUnit, a: Any, b: Any, register: Any, architecture: Architecture = _HEAP) -> int:
    compiled = Compiled(parts_verilog({"step": _Step(unit, architecture)})["step"], "step")
    assert isinstance(unit.accumulator, FloatAccumulator)
    inputs = {"a": _packed(a, unit.element_a.bits), "b": _packed(b, unit.element_b.bits), "register": register}
    words = None
    if bits := unit.accumulator.random_bits:
        inputs["random"] = np.random.default_rng(7).integers(0, 1 << bits, len(register), dtype=np.uint64)
        words = inputs["random"].astype(np.int64)
    ones = np.ones(len(register), bool)
    expected = dot(unit, a, b, ones, ones, register, words=words)
    found = np.asarray(compiled.run(inputs)["following"]).reshape(len(register))
    return int(np.count_nonzero(found != expected))


@pytest.mark.parametrize(
    ("operand", "register", "lanes", "rules"),
    [
        ("float8_e4m3", "float8_e4m3", 1, {}),
        ("float8_e4m3fn", "float32", 1, {"result_man_bits": 13}),
        ("float8_e4m3", "float8_e4m3", 1, {"rounding": Rounding.STOCHASTIC, "random_bits": 6}),
        ("float8_e4m3", "float8_e4m3", 1, {"signed_zero": True, "flush": True, "overflow": Overflow.SATURATE}),
        pytest.param("float8_e4m3fn", "float32", 4, {}, marks=pytest.mark.slow),
        ("posit8_1", "float16", 1, {}),
    ],
)
def test_float_add_equals_model(operand: str, register: str, lanes: int, rules: dict[str, Any]) -> None:
    unit = _unit(operand, register, lanes, **rules)
    assert _differences(unit, *_vectors(unit, _COUNT, 1)) == 0


@pytest.mark.slow
@pytest.mark.parametrize("rounding", [rounding for rounding in Rounding if rounding is not Rounding.STOCHASTIC])
def test_float_add_rounding(rounding: Rounding) -> None:
    unit = _unit("float8_e4m3", "float8_e4m3", rounding=rounding)
    assert _differences(unit, *_vectors(unit, _COUNT, 2)) == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("operand", "register", "lanes"),
    [
        ("float8_e5m2", "float8_e5m2", 1),
        ("float16", "float16", 1),
        ("bfloat16", "bfloat16", 1),
        ("float16", "float32", 1),
        ("float8_e4m3fn", "float16", 2),
        ("float8_e5m2", "float16", 2),
    ],
)
def test_float_add_formats(operand: str, register: str, lanes: int) -> None:
    unit = _unit(operand, register, lanes)
    assert _differences(unit, *_vectors(unit, 1 << 20, 3), ARCHITECTURES["fast_heap"]) == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["float8_e4m3", "float8_e5m2"])
def test_float_add_exhaustive(name: str) -> None:
    codes = np.arange(1 << 24, dtype=np.uint64)
    a, b, register = codes & np.uint64(255), (codes >> np.uint64(8)) & np.uint64(255), codes >> np.uint64(16)
    assert _differences(_unit(name, name), a[:, None], b[:, None], register) == 0


def test_float_add_model_is_exact() -> None:
    """The kernel that the others are compared with agrees with plain integers."""
    unit = _unit("float8_e4m3", "float8_e4m3")
    a, b, register = _vectors(unit, 500, 4)
    ones = np.ones(500, bool)
    expected = [
        step_exact(unit, (int(r), 0), [int(x[0])], [int(y[0])])[0] for x, y, r in zip(a, b, register, strict=True)
    ]
    assert dot(unit, a, b, ones, ones, register).tolist() == expected


def test_float_step_only_where_it_is_one() -> None:
    unit = _unit("float8_e4m3", "float8_e4m3")
    part = float_step(unit, _HEAP)
    assert isinstance(part, FloatAdd)
    assert "module add(" in parts_verilog({"add": part})["add"]
    assert float_step(unit, Architecture()) is None
    fixed = named("int8")
    assert isinstance(fixed.accumulator, FixedAccumulator)
    assert float_step(fixed, _HEAP) is None


def test_float_add_unit_wrong() -> None:
    with pytest.raises(ValueError, match="unit must add its sum to a float register, not int8_l1_int32"):
        FloatAdd(named("int8"), _HEAP)
