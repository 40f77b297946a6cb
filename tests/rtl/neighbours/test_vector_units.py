# SPDX-License-Identifier: Apache-2.0
from typing import Any

import numpy as np
import pytest
from amaranth.sim import Simulator
from numpy.typing import NDArray

from hwsim.datapath.layers import (
    LayerNormSpec,
    ShiftGeluSpec,
    ShiftmaxSpec,
    layer_norm,
    shift_gelu,
    shiftmax,
)
from rtl.neighbours.layer_norm import LayerNorm
from rtl.neighbours.shift_gelu import ShiftGelu
from rtl.neighbours.shiftmax import Shiftmax
from rtl.verilog import component_verilog
from testbenches.compiled import Compiled

Vectors = NDArray[np.int64]


def _stream(
    component: Any, elements: list[Any], results: int, *, unit: int = 0, stalls: bool = False
) -> tuple[list[int], int]:
    """Return the results for some elements, and the cycles from the last element to the first result behind it."""
    generator = np.random.default_rng(7)
    seen: list[int] = []
    times: dict[str, int] = {}
    clock = [0]

    async def send(context: Any) -> None:
        if unit:
            context.set(component.unit, unit)
        for element in elements:
            while stalls and generator.random() < 0.3:
                await context.tick()
            context.set(component.i.p, element)
            context.set(component.i.valid, 1)
            await context.tick().until(component.i.ready)
            context.set(component.i.valid, 0)
            times["sent"] = clock[0]

    async def receive(context: Any) -> None:
        held: Any = None
        while len(seen) < results:
            ready = not (stalls and generator.random() < 0.4)
            context.set(component.o.ready, ready)
            _, _, valid, value = await context.tick().sample(component.o.valid, component.o.p)
            assert held is None or (valid and value == held), "a result changed while it waited"
            held = value if valid and not ready else None
            if valid and ready:
                seen.append(value)
                times.setdefault("seen", clock[0])

    async def count(context: Any) -> None:
        async for _ in context.tick():
            clock[0] += 1
            assert clock[0] < 100_000, "no results within the deadline"

    simulator = Simulator(component)
    simulator.add_clock(1e-6)
    simulator.add_testbench(send)
    simulator.add_testbench(receive)
    simulator.add_testbench(count, background=True)
    simulator.run()
    return seen, times["seen"] - times["sent"]


def _vectors(count: int, length: int, bits: int, seed: int) -> Vectors:
    """Return vectors of all sizes, constant ones and the ends of the range among them."""
    generator = np.random.default_rng(seed)
    top = 1 << (bits - 1)
    values = generator.integers(-top, top, (count, length))
    values >>= generator.integers(0, bits, (count, 1))
    values[0], values[1], values[2] = 0, -top, top - 1
    values[3, ::2], values[3, 1::2] = -top, top - 1
    values[4] = -np.abs(values[4]) - (values[4] == 0)
    return np.asarray(np.clip(values, -top, top - 1), np.int64)


@pytest.mark.parametrize("stalls", [False, True])
@pytest.mark.parametrize(
    ("spec", "unit"),
    [
        (ShiftmaxSpec(length=11), 20),
        (ShiftmaxSpec(length=1, bits=4, unit_bits=3, steps=4, code_bits=5), 7),
        (ShiftmaxSpec(length=6, bits=10, unit_bits=16, steps=24), 65535),
    ],
)
def test_shiftmax_is_model(spec: ShiftmaxSpec, unit: int, stalls: bool) -> None:
    x = _vectors(12, spec.length, spec.bits, 1)
    component = Shiftmax(spec)
    seen, _ = _stream(component, x.ravel().tolist(), x.size, unit=unit, stalls=stalls)
    assert seen == shiftmax(x, unit, spec).ravel().tolist()
    assert len(seen) == 12 * spec.length


@pytest.mark.parametrize("stalls", [False, True])
@pytest.mark.parametrize(
    ("spec", "unit"),
    [
        (ShiftGeluSpec(length=7), 12),
        (ShiftGeluSpec(length=3, bits=4, unit_bits=3, steps=5, code_bits=4), 1),
        (ShiftGeluSpec(length=4, bits=12, unit_bits=14, steps=26, code_bits=12), 16383),
    ],
)
def test_shift_gelu_is_model(spec: ShiftGeluSpec, unit: int, stalls: bool) -> None:
    x = _vectors(8, spec.length, spec.bits, 2)
    seen, _ = _stream(ShiftGelu(spec), x.ravel().tolist(), x.size, unit=unit, stalls=stalls)
    assert seen == shift_gelu(x, unit, spec).ravel().tolist()
    assert len(seen) == 8 * spec.length


@pytest.mark.parametrize("stalls", [False, True])
@pytest.mark.parametrize(
    "spec",
    [
        LayerNormSpec(length=12, bias_bits=16),
        LayerNormSpec(length=5, bits=4, start_bits=6, iterations=3),
        LayerNormSpec(length=6, bits=16, bias_bits=33, iterations=12),
    ],
)
def test_layer_norm_is_model(spec: LayerNormSpec, stalls: bool) -> None:
    x = _vectors(8, spec.length, spec.bits, 3)
    bias = None
    if spec.bias_bits:
        limit = 1 << (spec.bias_bits - 1)
        bias = np.random.default_rng(4).integers(-limit, limit, spec.length)
    elements = [
        {"value": value} | ({} if bias is None else {"bias": int(bias[index % spec.length])})
        for index, value in enumerate(x.ravel().tolist())
    ]
    seen, _ = _stream(LayerNorm(spec), elements, x.size, stalls=stalls)
    assert seen == layer_norm(x, spec, bias).ravel().tolist()
    assert len(seen) == 8 * spec.length


def test_vector_units_latency() -> None:
    for component, elements, unit in (
        (Shiftmax(ShiftmaxSpec(length=5)), [1, 2, 3, 4, 5], 9),
        (LayerNorm(LayerNormSpec(length=5)), [{"value": value} for value in (1, 2, 3, 4, 5)], 0),
    ):
        assert _stream(component, elements, 5, unit=unit)[1] == component.latency
    gelu = ShiftGelu(ShiftGeluSpec(length=1))
    assert _stream(gelu, [5], 1, unit=9)[1] == gelu.interval + 1


def _flow(component: Any, x: Vectors, bits: int, result_bits: int, unit: int) -> Vectors:
    """Return the results for vectors that come and go without a pause, from the compiled Verilog."""
    compiled = Compiled(component_verilog(component, "vector_unit", "vector_unit"), "vector_unit")

    def run(elements: NDArray[np.uint64]) -> dict[str, NDArray[np.uint64]]:
        always = np.ones(len(elements), np.uint64)
        given = {"i__valid": always, "o__ready": always, "rst": 0 * always, "i__payload": elements}
        if "unit" in compiled.inputs:
            given["unit"] = unit * always
        compiled.restart()
        compiled.reset()
        return compiled.run(given)

    # When elements are taken does not depend on their values: the cycles of one vector are those of every one.
    ready = run(np.zeros(100 * x.shape[1] + 2000, np.uint64))["i__ready"].astype(np.int64)
    interval = int(np.flatnonzero(np.diff(ready) == 1)[0]) + 1
    elements = np.zeros((len(x), interval), np.uint64)
    elements[:, : x.shape[1]] = (x & ((1 << bits) - 1)).astype(np.uint64)
    found = run(elements.ravel())
    assert int(found["i__ready"].sum()) == x.size
    results = found["o__payload"][found["o__valid"] == 1].astype(np.int64)
    return np.asarray(results - ((results >> (result_bits - 1)) << result_bits), np.int64).reshape(x.shape)


@pytest.mark.slow
@pytest.mark.parametrize("unit", [1, 7, 20, 255])
def test_shiftmax_many_vectors(unit: int) -> None:
    spec = ShiftmaxSpec(length=197)
    x = _vectors(3000, spec.length, spec.bits, unit)
    assert np.array_equal(_flow(Shiftmax(spec), x, spec.bits, spec.code_bits, unit), shiftmax(x, unit, spec))


@pytest.mark.slow
@pytest.mark.parametrize("unit", [1, 12, 255])
def test_shift_gelu_many_vectors(unit: int) -> None:
    spec = ShiftGeluSpec(length=32)
    x = _vectors(3000, spec.length, spec.bits, unit)
    assert np.array_equal(_flow(ShiftGelu(spec), x, spec.bits, spec.product_bits, unit), shift_gelu(x, unit, spec))


@pytest.mark.slow
@pytest.mark.parametrize("spec", [LayerNormSpec(length=192, bits=16), LayerNormSpec(length=8)])
def test_layer_norm_many_vectors(spec: LayerNormSpec) -> None:
    x = _vectors(5000, spec.length, spec.bits, 6)
    assert np.array_equal(_flow(LayerNorm(spec), x, spec.bits, spec.sum_bits, 0), layer_norm(x, spec))


@pytest.mark.parametrize(
    ("part", "name"), [(Shiftmax, "ShiftmaxSpec"), (ShiftGelu, "ShiftGeluSpec"), (LayerNorm, "LayerNormSpec")]
)
def test_vector_unit_spec_wrong(part: Any, name: str) -> None:
    with pytest.raises(TypeError, match=f"^spec must be a {name}, not 8$"):
        part(8)
