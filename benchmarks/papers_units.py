# SPDX-License-Identifier: Apache-2.0
"""Parts that `benchmarks.papers` prices, and their switching energy on operands of a normal distribution."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib.wiring import In, Out
from numpy.typing import NDArray

from cost_models import store
from cost_models.activity import Simulator, Trace, energy, levelize
from cost_models.activity.netlist import Netlist
from cost_models.synthesis.asic import asic
from cost_models.synthesis.results import Asic, AsicResult
from cost_models.technologies import Technology
from hwsim import datapath, formats
from hwsim.datapath.unit import DotProductUnit, TruncatedAlignment
from hwsim.formats import BlockSpec, FloatSpec, ScaleRule, Specials
from rtl.architecture import ARCHITECTURES, Architecture
from rtl.datapath.decode import Decode
from rtl.datapath.layouts import total_layout, total_raw
from rtl.datapath.stages import accumulate_stage, connect_total
from rtl.part import Part
from rtl.units.simd import SimdInteger
from rtl.units.simd_float import SimdFloat
from rtl.verilog import component_verilog, parts_verilog

__all__ = [
    "STEPS",
    "STREAMS",
    "MixedBlocks",
    "Ports",
    "Row",
    "Spent",
    "block_unit",
    "mixed_stimulus",
    "normal_codes",
    "normal_energy",
    "packed",
    "paper_alignment",
    "per_product",
    "smallest",
    "step_stimulus",
    "uniform_energy",
]

STREAMS, STEPS = 512, 32
_SEED = 11
_E4M3 = FloatSpec(exp_bits=4, man_bits=3, bias=7, specials=Specials.FN)
_FLOAT32 = FloatSpec(exp_bits=8, man_bits=23, bias=127, specials=Specials.IEEE)
Ports = Mapping[str, NDArray[Any]]


def block_unit(name: str) -> DotProductUnit:
    """Return the unit of a name, whose power-of-two scales are rounded up (INT v.s. FP, equation 9): the same RTL."""
    unit = datapath.named(name)
    sides = [
        replace(side, rule=ScaleRule.CEIL) if isinstance(side, BlockSpec) and not side.tensor_scale else side
        for side in (unit.a, unit.b)
    ]
    return replace(unit, a=sides[0], b=sides[1])


def paper_alignment(unit: DotProductUnit, fraction_bits: int, exp_floor: int) -> DotProductUnit:
    """Return a unit that brings products to the largest exponent and cuts them, as INT v.s. FP's table 6 counts."""
    alignment = TruncatedAlignment(fraction_bits=fraction_bits, exp_floor=exp_floor, with_accumulator=False)
    return replace(unit, alignment=alignment)


class MixedBlocks(Part):
    """Add a row of 8-bit blocks, or one of twice as many 4-bit elements under an E4M3 scale, to a float32 register.

    Parameters
    ----------
    unit : DotProductUnit
        Of the 8-bit rows: MXFP8 (E4M3) or MXINT8 elements, float32 register.
    architecture : Architecture

    Members
    -------
    narrow : In, 1 bit
        Whether the row is of NVFP4 or NVINT4 blocks.
    a, b : In, ``8 * lanes`` bits
        Of a byte that holds two elements the low one is the first.
    scale_a, scale_b : In, 8 bits
        UE8M0; of a narrow row E4M3, not negative.
    register, following : In and Out, 32 bits

    Latency: none, combinational.
    """

    def __init__(self, unit: DotProductUnit, architecture: Architecture) -> None:
        self._unit, self._architecture = unit, architecture
        codes = {"a": In(8 * unit.lanes), "b": In(8 * unit.lanes), "scale_a": In(8), "scale_b": In(8)}
        super().__init__({"narrow": In(1)} | codes | {"register": In(32), "following": Out(32)})

    def _module_name(self) -> str:
        return "mixed_blocks"

    def _build(self) -> Module:
        m = Module()
        unit = self._unit
        floats = isinstance(unit.element_a, FloatSpec)
        total = Signal(total_layout(unit), name="total")
        bits = len(total.sum)
        make: Any = SimdFloat if floats else SimdInteger
        m.submodules.lanes = lanes = make(unit.lanes, bits, self._architecture)
        m.d.comb += [getattr(lanes, name).eq(getattr(self, name)) for name in ("narrow", "a", "b")]
        # Of 2 * lanes products of 36 quarters in units of 2**-6, or of 64.
        least = (2 * unit.lanes * (36 * 64 if floats else 64)).bit_length() + 1
        m.submodules.decode = decode = Decode(_E4M3, 2)
        m.d.comb += decode.codes.eq(Cat(self.scale_a, self.scale_b))
        first, second = decode.operands[0], decode.operands[1]
        scaled = Signal(signed(least + 8), name="scaled")
        m.d.comb += scaled.eq(lanes.following[:least].as_signed() * (first.significand * second.significand))
        # Of E4M3 codes the exponent field 1 is 2**-9 in the last place; of a narrow sum the unit is 2**-6 or 1.
        offset = -20 - (6 if floats else 0) - total_raw(unit).offset
        exponents = first.exponent + second.exponent + offset
        nan = [self.scale_a.all(), self.scale_b.all()] + ([lanes.following[bits]] if floats else [])
        m.d.comb += [
            total.sum.eq(Mux(self.narrow, scaled, lanes.following[:bits].as_signed())),
            total.exponent.eq(Mux(self.narrow, exponents, self.scale_a + self.scale_b)),
            total.special.eq(Mux(self.narrow, first.nan | second.nan, Cat(*nan).any())),
        ]
        m.submodules.accumulate = accumulate = accumulate_stage(unit, self._architecture)
        connect_total(m, unit, accumulate, total)
        m.submodules.decode_register = register = Decode(_FLOAT32)
        m.d.comb += [
            register.codes.eq(self.register),
            accumulate.decoded.eq(register.operands[0]),
            accumulate.register.value.eq(self.register),
            self.following.eq(accumulate.following.value),
        ]
        return m


def smallest(
    make: Callable[[Architecture], Any],
    technology: Technology,
    recipes: tuple[str, ...],
    architectures: Iterable[str],
) -> Asic:
    """Synthesize a component in each architecture that it can have with each recipe."""
    results: list[AsicResult] = []
    for name in architectures:
        try:
            part = make(ARCHITECTURES[name])
            text = _text(part)
        except ValueError:  # an architecture that the unit cannot have
            continue
        results += [replace(row, architecture=name) for row in asic(text, "unit", technology, recipes).results]
    return Asic(results=tuple(results))


def _text(part: Any) -> str:
    """Return Verilog of a component, whose module is ``unit``."""
    if isinstance(part, Part):
        return parts_verilog({"unit": part})["unit"]
    return component_verilog(part, "unit", "unit")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """Energy of a step in fJ: of gates and of the pins that the inputs drive; of flip-flops with their clock."""

    gates_fj: float
    flip_flops_fj: float


class Row(NamedTuple):
    """A unit's figures for one product: of its gates alone, and with registers."""

    area_um2: float
    equal_fj: float
    normal_fj: float
    area_with_um2: float
    normal_with_fj: float


def per_product(
    result: AsicResult, spent: Spent, equal: Spent, technology: Technology, count: int, products: int
) -> Row:
    """Divide by the products, and add so many flip-flops: area, clock and, at the toggle rate 1/4, their outputs."""
    cells = [cell for cell in technology.cells.values() if cell.is_flip_flop]
    cell = min(cells, key=lambda item: item.area_um2)
    voltage = technology.operating_point.voltage_v
    clocked = 2 * (cell.clock_fj + 0.5 * cell.pin_caps_ff[cell.clock] * voltage**2)
    each = clocked + 0.25 * cell.internal_fj
    return Row(
        result.area_um2 / products,
        equal.gates_fj / products,
        spent.gates_fj / products,
        (result.area_um2 + count * cell.area_um2) / products,
        (spent.gates_fj + count * each) / products,
    )


def uniform_energy(result: AsicResult, technology: Technology) -> Spent:
    """Return the energy of a step in which every net changes once: equal toggle rates."""
    netlist = levelize(result.netlist_json, technology, result.top)
    ones = np.ones(netlist.nets, dtype=np.int64)
    return _spent(netlist, technology, Trace(outputs={}, toggles=ones, transitions=1), 1)


def normal_energy(
    result: AsicResult,
    technology: Technology,
    stimulus: tuple[Ports, Ports | None],
    feedback: tuple[str, str] | None,
    label: str,
) -> Spent:
    """
    Return the energy of a step on a stimulus, without glitches or wires, and check the last outputs.

    Parameters
    ----------
    result : AsicResult
    technology : Technology
    stimulus : tuple
        Inputs by port, shape (steps, streams[, limbs]), and the outputs wanted after the last step, of the first
        streams; None: not checked.
    feedback : tuple of str or None
        The output port that comes back as an input port, from 0, in a part without registers.
    label : str
        Of the stimulus, for the cache.
    """
    name = store.key(netlist=result.netlist_hash, technology=technology.digest, stimulus=label, kept=1)
    known = store.load("papers", name)
    if known is not None:
        return Spent(**known)
    inputs, wanted = stimulus
    netlist = levelize(result.netlist_json, technology, result.top)
    simulator = Simulator(netlist, STREAMS)
    toggles = np.zeros(netlist.nets, dtype=np.int64)
    trace = None
    if feedback is None:
        simulator.run({port: words[:4] for port, words in inputs.items()})
        trace = simulator.run({port: words[4:] for port, words in inputs.items()})
        toggles, steps = trace.toggles, len(next(iter(inputs.values()))) - 4
    else:
        back, out = feedback
        nets = len(netlist.inputs[back])
        register = np.zeros((1, STREAMS) if nets <= 64 else (1, STREAMS, -(-nets // 64)), np.uint64)
        steps = len(next(iter(inputs.values())))
        for step in range(steps):
            trace = simulator.run({port: words[step : step + 1] for port, words in inputs.items()} | {back: register})
            register = trace.outputs[out]
            toggles += trace.toggles
        steps -= 1
    assert trace is not None
    for port, words in (wanted or {}).items():
        given = trace.outputs[port][-1][: len(words)]
        if (given != words).any():
            raise AssertionError(f"{label}: the netlist gives {given[:4]} in place of {words[:4]}")
    counted = Trace(outputs={}, toggles=toggles, transitions=steps * STREAMS)
    spent = _spent(netlist, technology, counted, steps * STREAMS)
    store.save("papers", name, {"gates_fj": spent.gates_fj, "flip_flops_fj": spent.flip_flops_fj})
    return spent


def _spent(netlist: Netlist, technology: Technology, trace: Trace, operations: int) -> Spent:
    found = energy(netlist, technology, trace, operations, 1.0)
    return Spent(
        gates_fj=1e3 * (found.logic_pj + found.inputs_pj), flip_flops_fj=1e3 * (found.registers_pj + found.clock_pj)
    )


def step_stimulus(unit: DotProductUnit, checked: int = 8) -> tuple[Ports, Ports]:
    """Return normal operands of a step, quantized as the format does, and the register after the last of some."""
    generator = np.random.default_rng(_SEED)
    inputs, matrices = {}, []
    for name, spec in (("a", unit.a), ("b", unit.b)):
        codes, scales = normal_codes(spec, unit.lanes, generator)
        inputs[name] = packed(codes, (unit.element_a if name == "a" else unit.element_b).bits)
        rows = [codes[:, :checked].swapaxes(0, 1).reshape(checked, -1)]
        if scales is not None:
            inputs[f"scale_{name}"] = scales
            assert isinstance(spec, BlockSpec)
            rows.append(scales[:: spec.block_size // unit.lanes, :checked].T)
        matrices.append(rows)
    (a, *a_scales), (b, *b_scales) = matrices
    a_given, b_given = (a_scales[0], b_scales[0].T) if a_scales else (None, None)
    product = datapath.matmul(unit, a, b.T, a_scales=a_given, b_scales=b_given)
    return inputs, {"following": np.diagonal(product).astype(np.uint64)}


def mixed_stimulus(unit: DotProductUnit, narrow: bool, checked: int = 8) -> tuple[Ports, Ports]:
    """Return the same for `MixedBlocks`, in one of its precisions."""
    if not narrow:
        inputs, wanted = step_stimulus(unit, checked)
        return {**inputs, "narrow": np.zeros((STEPS, STREAMS), np.uint64)}, wanted
    kind = "nvfp4" if isinstance(unit.element_a, FloatSpec) else "nvint4"
    lanes = 2 * unit.lanes
    blocks = replace(datapath.named(f"{kind}_l{min(lanes, 16)}"))
    inputs, wanted = step_stimulus(blocks, checked)
    if lanes == 16:
        return {**inputs, "narrow": np.ones((STEPS, STREAMS), np.uint64)}, wanted
    raise ValueError(f"a narrow row must be one block of 16, not {lanes} elements")


def normal_codes(spec: Any, lanes: int, generator: np.random.Generator) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Return codes of normal operands (steps, streams, lanes), and for a block format scale codes (steps, streams)."""
    values = generator.standard_normal((STREAMS, STEPS * lanes))
    if isinstance(spec, BlockSpec):
        q = formats.quantize(values, spec, -1)
        scales = np.repeat(np.asarray(q.scales), spec.block_size // lanes, axis=1)[:, :STEPS]
        return q.codes.reshape(STREAMS, STEPS, lanes).swapaxes(0, 1), scales.T.astype(np.uint64)
    # One scale: the largest of 4096 normal numbers, about 3.5, becomes the largest value.
    codes = spec.encode(np.clip(values * (spec.max_value / 3.5), spec.min_value, spec.max_value))
    return codes.reshape(STREAMS, STEPS, lanes).swapaxes(0, 1), None


def packed(codes: NDArray[Any], bits: int) -> NDArray[np.uint64]:
    """Pack codes of the last axis into words of 64 bits, lane 0 at bit 0; `bits` is a power of two, 4 to 16."""
    lanes = codes.shape[-1]
    each = min(lanes, 64 // bits)
    shifts = np.arange(each, dtype=np.uint64) * np.uint64(bits)
    grouped = codes.astype(np.uint64).reshape(*codes.shape[:-1], lanes // each, each)
    limbs: NDArray[np.uint64] = np.bitwise_or.reduce(grouped << shifts, axis=-1)
    return limbs if lanes * bits > 64 else limbs[..., 0]
