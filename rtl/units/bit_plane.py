# SPDX-License-Identifier: Apache-2.0
"""Dot products of bit planes: AND and population count for each pair, XNOR for signs, add or subtract for ternary.

Sources: ABQ-LLM (arXiv:2408.08554) and FlexQ: ``sum_ij 2**(i + j) c_i c_j popcount(A_i & B_j)``, where c is -1 for the
highest plane of a signed operand. XNOR-Net (arXiv:1603.05279): ``2 * popcount(xnor) - lanes``. BitNet b1.58
(arXiv:2402.17764): ternary weights.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Self

import numpy as np
from amaranth.hdl import Cat, Module
from amaranth.lib.wiring import In, Out
from numpy.typing import NDArray

from hwsim.datapath import catalog
from hwsim.datapath.unit import DotProductUnit
from hwsim.formats import CodebookSpec, IntegerSpec
from hwsim.formats.codebook import BIPOLAR, TERNARY
from hwsim.formats.codes import check_int
from rtl.arithmetic.heap import Heap
from rtl.blocks import Block
from rtl.part import Part
from rtl.units.bit_serial import check_integers, check_sum

__all__ = [
    "BipolarStep",
    "PlanesStep",
    "PopulationCount",
    "TernaryStep",
    "blocks",
]


class PopulationCount(Part):
    """
    Count the ones of a word.

    Parameters
    ----------
    width : int
        1 to 1024.

    Members
    -------
    word : In, ``width`` bits
    ones : Out, as many bits as ``width`` needs

    Latency: none, combinational.
    """

    def __new__(cls, width: int) -> Self:
        """Check before there is a component: Amaranth warns of one that is not used."""
        check_int("width", width, 1, 1024)
        made: Self = super().__new__(cls)
        return made

    def __init__(self, width: int) -> None:
        super().__init__({"word": In(width), "ones": Out(width.bit_length())})

    def _module_name(self) -> str:
        return f"population_count_{len(self.word)}"

    def _build(self) -> Module:
        m = Module()
        heap = Heap(len(self.ones))
        for bit in self.word:
            heap.add_bit(bit, 0)
        m.d.comb += self.ones.eq(heap.total(m, "ones", "ripple"))
        return m


class _Step(Part):
    """
    A unit's step, the register excluded; the step of `rtl.units.step_core.StepCore`.

    Parameters
    ----------
    unit : DotProductUnit
        With an integer register that wraps and is the output.

    Members
    -------
    a, b : In, ``lanes`` codes
        Lane 0 at bit 0.
    base : In, following : Out, a code of the register
        Before the step and behind it.

    Latency: none, combinational.
    """

    def __new__(cls, unit: DotProductUnit) -> Self:
        """Check before there is a component: Amaranth warns of one that is not used."""
        cls._check(unit)
        made: Self = super().__new__(cls)
        return made

    def __init__(self, unit: DotProductUnit) -> None:
        self.spec = unit
        bits = unit.accumulator.bits
        operands = {"a": In(unit.lanes * unit.element_a.bits), "b": In(unit.lanes * unit.element_b.bits)}
        super().__init__(operands | {"base": In(bits), "following": Out(bits)})

    @classmethod
    def _check(cls, unit: DotProductUnit) -> None:
        raise NotImplementedError

    def _module_name(self) -> str:
        return "step"

    def _lanes(self, name: str) -> list[Any]:
        """Return the codes of an operand."""
        bits = len(getattr(self, name)) // self.spec.lanes
        return [getattr(self, name).word_select(i, bits) for i in range(self.spec.lanes)]


class PlanesStep(_Step):
    """
    Count, for each plane of a and each of b, the lanes that have both bits; add the counts at their weights.

    Parameters, members and latency as of `_Step`, for integer operands.
    """

    @classmethod
    def _check(cls, unit: DotProductUnit) -> None:
        check_integers(unit)

    def _build(self) -> Module:
        m = Module()
        unit = self.spec
        assert isinstance(unit.a, IntegerSpec)
        assert isinstance(unit.b, IntegerSpec)
        a, b = self._lanes("a"), self._lanes("b")
        heap = Heap(len(self.base))
        heap.add(self.base)
        for i in range(unit.a.bits):
            for j in range(unit.b.bits):
                counter = PopulationCount(unit.lanes)
                m.submodules[f"count_{i}_{j}"] = counter
                m.d.comb += counter.word.eq(Cat(*(x[i] & y[j] for x, y in zip(a, b, strict=True))))
                negative = (unit.a.signed and i == unit.a.bits - 1) != (unit.b.signed and j == unit.b.bits - 1)
                (heap.subtract if negative else heap.add)(counter.ones, i + j, 4.0)
        m.d.comb += self.following.eq(heap.total(m, "planes"))
        return m


class BipolarStep(_Step):
    """
    Count the lanes whose signs agree, twice, less the lanes.

    Parameters, members and latency as of `_Step`, for bipolar operands: -1 and 1.
    """

    @classmethod
    def _check(cls, unit: DotProductUnit) -> None:
        check_sum(unit)
        if unit.a != BIPOLAR or unit.b != BIPOLAR:
            raise ValueError(f"both operands must be bipolar, not {unit.a.name} and {unit.b.name}")

    def _build(self) -> Module:
        m = Module()
        lanes = self.spec.lanes
        m.submodules.count = counter = PopulationCount(lanes)
        m.d.comb += counter.word.eq(~(self.a ^ self.b))
        heap = Heap(len(self.base))
        heap.add(self.base)
        heap.add(counter.ones, 1, 4.0)
        heap.add_constant(-lanes)
        m.d.comb += self.following.eq(heap.total(m, "signs"))
        return m


class TernaryStep(_Step):
    """
    Add, subtract or leave out each lane of b, as a's code says.

    Parameters, members and latency as of `_Step`, for a ternary a (0, 1, 0, -1 by code) and a ternary or integer b.
    """

    @classmethod
    def _check(cls, unit: DotProductUnit) -> None:
        check_sum(unit)
        integer = isinstance(unit.b, IntegerSpec) and not unit.b.zero_point
        if unit.a != TERNARY or not (integer or unit.b == TERNARY):
            raise ValueError(
                f"the operands must be ternary and an integer or ternary, not {unit.a.name} and {unit.b.name}"
            )

    def _build(self) -> Module:
        m = Module()
        spec = self.spec.b
        heap = Heap(len(self.base))
        heap.add(self.base)
        for code, operand in zip(self._lanes("a"), self._lanes("b"), strict=True):
            taken, negative = code[0], code[0] & code[1]
            if isinstance(spec, CodebookSpec):  # one of two bits says that it is not 0, the other that it is -1
                both = taken & operand[0]
                heap.add_bit(both & ~(code[1] ^ operand[1]), 0, 2.0)
                minus = both & (code[1] ^ operand[1])
                heap.subtract(minus, 0, 2.0)
                continue
            assert isinstance(spec, IntegerSpec)
            masked = operand & taken.replicate(len(operand))
            heap.add_signed_if(masked.as_signed() if spec.signed else masked, negative, 0, 1.0)
        m.d.comb += self.following.eq(heap.total(m, "lanes"))
        return m


def _oracle(values_a: Callable[[Any], Any], values_b: Callable[[Any], Any], unit: DotProductUnit) -> Any:
    def oracle(a: Any, b: Any, base: Any) -> Mapping[str, NDArray[Any]]:
        """Add products of Python integers."""
        total = base.astype(object)
        for lane in range(unit.lanes):
            x, y = (
                (word.astype(object) >> (lane * spec.bits)) % (1 << spec.bits)
                for word, spec in ((a, unit.element_a), (b, unit.element_b))
            )
            total = total + values_a(x) * values_b(y)
        return {"following": total % (1 << unit.accumulator.bits)}

    return oracle


def _integer(bits: int) -> Callable[[Any], Any]:
    return lambda codes: (codes ^ (1 << (bits - 1))) - (1 << (bits - 1))


def _bipolar(codes: Any) -> Any:
    return 2 * codes - 1


def _ternary(codes: Any) -> Any:
    return np.asarray([(0, 1, 0, -1)[int(code)] for code in codes], dtype=object)


def blocks() -> tuple[Block, ...]:
    """Return the catalog's entries: a population count and a step of each kind."""
    entries = [
        ("planes_int2_by_int8_l16", "int2_by_int8_l16_int24", PlanesStep, _integer(2), _integer(8), "arXiv:2408.08554"),
        ("planes_int4_l8", "int4_l8_int16", PlanesStep, _integer(4), _integer(4), "arXiv:2408.08554"),
        ("bipolar_l64", "bipolar_l64_int16_to_int16", BipolarStep, _bipolar, _bipolar, "arXiv:1603.05279"),
        ("ternary_l16", "ternary_l16_int16_to_int16", TernaryStep, _ternary, _ternary, "arXiv:2402.17764"),
        (
            "ternary_by_int8_l16",
            "ternary_by_int8_l16_int32_to_int32",
            TernaryStep,
            _ternary,
            _integer(8),
            "arXiv:2402.17764",
        ),
    ]
    made = [
        Block(
            name=name,
            summary=f"one step of {unit_name}",
            part=partial(step, catalog.named(unit_name)),
            oracle=_oracle(of_a, of_b, catalog.named(unit_name)),
            source=source,
        )
        for name, unit_name, step, of_a, of_b, source in entries
    ]
    counter = Block(
        name="population_count_16",
        summary="the ones of 16 bits",
        part=lambda: PopulationCount(16),
        oracle=lambda word: {"ones": np.asarray([int(code).bit_count() for code in word], np.uint64)},
        source="Wallace 1964",
    )
    return (counter, *made)
