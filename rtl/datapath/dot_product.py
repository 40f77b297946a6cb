# SPDX-License-Identifier: Apache-2.0
"""The whole unit: a core of fixed latency with a clock enable, and a shell with streams around it."""

from typing import Any, Self

from amaranth.hdl import Const, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hwsim.datapath.unit import DotProductUnit, FixedAccumulator
from rtl.architecture import Architecture
from rtl.datapath.balanced import row_part
from rtl.datapath.buildable import check_buildable
from rtl.datapath.decode import Decode
from rtl.datapath.entry import Enter, changes_codes, entered, loaded
from rtl.datapath.layouts import fused, products_layout, special_bits, total_layout
from rtl.datapath.merged import (
    AccumulateRows,
    RowsOfRow,
    RowSum,
    StepSum,
    operand_ports,
    resolved,
    step_layout,
)
from rtl.datapath.promote import first_register, promoted_loop, second_register
from rtl.datapath.quire_add import quire_step
from rtl.datapath.ranks import chosen_ranks, depth, is_deep, latency, ranks, split_ranks
from rtl.datapath.resolve import Resolve
from rtl.datapath.round_pack import RoundPack
from rtl.datapath.row import row_fields
from rtl.datapath.sparse import Select
from rtl.datapath.stages import accumulate_stage, add_stage, connect_total, multiply_stage
from rtl.pipelining import Pipelined

__all__ = [
    "Core",
    "Shell",
    "check_buildable",
    "chosen_ranks",
    "depth",
    "latency",
    "ranks",
    "row_fields",
]


class _Unit(wiring.Component):
    """A component of a unit and a pipeline, checked before it exists: Amaranth warns of one that is not used."""

    def __new__(
        cls, unit: DotProductUnit, pipeline: int | None = None, architecture: Architecture | None = None
    ) -> Self:
        depth(unit, pipeline, architecture)
        made: Self = super().__new__(cls, unit, pipeline, architecture)
        return made


class Core(_Unit):
    """A dot-product unit of fixed latency, without flow control.

    Parameters
    ----------
    unit : DotProductUnit
    pipeline : int, optional
        Ranks of registers, as of `rtl.datapath.ranks.depth`. 2 if not given.
    architecture : Architecture, optional
        That of the synthesizer if not given.

    Members
    -------
    en : In, 1 bit
        Clock enable of everything.
    valid, first, last : In, 1 bit
        There is a row; it starts from `c` instead of the register; it ends a dot product.
    a, b : In, ``lanes`` codes
        Lane 0 at bit 0.
    index : In, ``lanes`` numbers
        Where a is sparse: then a has ``lanes`` codes and b ``width`` (`rtl.datapath.sparse.Select`).
    scale_a, scale_b : In, a code, or one for each block of a row
        Where the operand is of a block format.
    c : In, a code of the register's format
    d : Out, a code of ``unit.output``
    d_valid : Out, 1 bit

    Attributes
    ----------
    latency : int
        Enabled cycles from a row with `last` to its `d`: the depth of the pipeline. Throughput: one row an enabled
        cycle.
    """

    def __init__(
        self, unit: DotProductUnit, pipeline: int | None = None, architecture: Architecture | None = None
    ) -> None:
        self._architecture = architecture or Architecture()
        self.latency = depth(unit, pipeline, self._architecture)
        self._deep = is_deep(unit, pipeline, self._architecture)
        self._ranks = () if self._deep else chosen_ranks(unit, pipeline, self._architecture)
        self.spec = unit
        self._entered = first_register(entered(unit))
        ports = {name: In(width) for name, width in ({"en": 1, "valid": 1} | row_fields(unit)).items()}
        super().__init__(ports | {"d": Out(unit.output.bits), "d_valid": Out(1)})

    def elaborate(self, platform: Any) -> Module:
        """Connect the stages."""
        m = Module()
        control = {"valid": self.valid, "first": self.first, "last": self.last, "c": loaded(m, self.spec, self.c)}
        self._operands = self._enter(m)
        if self._deep:
            self._balanced(m, control)
        elif self._architecture.reduction == "tool" or fused(self._entered):
            self._stages(m, control)
        elif isinstance(self._entered.accumulator, FixedAccumulator):
            self._merged_fixed(m, control)
        else:
            self._merged_float(m, control)
        return m

    def _enter(self, m: Module) -> dict[str, Any]:
        """Return the codes of a row as they have entered."""
        unit, inner = self.spec, self._entered
        operands = {name: getattr(self, name) for name in operand_ports(inner)}
        if changes_codes(unit):
            for name, spec, count in (("a", unit.element_a, unit.lanes), ("b", unit.element_b, unit.width)):
                m.submodules[f"enter_{name}"] = enter = Enter(unit, spec, count)
                m.d.comb += enter.codes.eq(operands[name])
                operands[name] = enter.entered
        if unit.sparsity is not None:
            m.submodules.select = select = Select(unit, inner.element_a, inner.element_b)
            m.d.comb += [select.a.eq(operands["a"]), select.b.eq(operands["b"]), select.index.eq(self.index)]
            operands |= {"a": select.left, "b": select.right}
        return operands

    def _stages(self, m: Module, control: dict[str, Any]) -> None:
        """Connect one component a stage."""
        unit = self._entered
        products = self._products(m, control)
        m.submodules.align_add = align_add = add_stage(unit, self._architecture)
        m.d.comb += align_add.products.eq(products)
        total = self._rank(m, "align_add", total_layout(unit, narrow=True), align_add.total, control)
        self._accumulate(m, align_add, total, control)

    def _products(self, m: Module, control: dict[str, Any]) -> Any:
        """Decode and multiply."""
        unit = self._entered
        m.submodules.multiply = multiply = multiply_stage(unit, self._architecture)
        for name, spec, lanes in (
            ("a", unit.element_a, unit.lanes),
            ("b", unit.element_b, unit.lanes),
            ("scale_a", unit.scale_a, unit.scale_counts[0]),
            ("scale_b", unit.scale_b, unit.scale_counts[1]),
        ):
            if spec is not None:
                m.submodules[f"decode_{name}"] = decode = Decode(spec, lanes)
                m.d.comb += [decode.codes.eq(self._operands[name]), getattr(multiply, name).eq(decode.operands)]
        return self._rank(m, "multiply", products_layout(unit), multiply.products, control)

    def _merged_fixed(self, m: Module, control: dict[str, Any]) -> None:
        """Connect trees in which the fixed register is an addend, or the two words of a row and it."""
        unit, architecture = self._entered, self._architecture
        if "multiply" not in self._ranks:
            m.submodules.step_sum = step_sum = quire_step(unit, architecture) or StepSum(unit, architecture)
            m.d.comb += [getattr(step_sum, name).eq(self._operands[name]) for name in operand_ports(unit)]
            self._loop(m, step_sum, control)
            return
        if "align_add" not in self._ranks:
            m.submodules.rows = row = RowsOfRow(unit, architecture)
            m.d.comb += [getattr(row, name).eq(self._operands[name]) for name in operand_ports(unit)]
            layout, constant = row.layout, row.constant
            rows = self._rank(m, "multiply", layout, row.rows, control)
        else:
            products = self._products(m, control)
            m.submodules.align_add = align_add = add_stage(unit, architecture)
            m.d.comb += align_add.products.eq(products)
            bits, constant = unit.sum_bits + unit.sum_shift, 0
            layout = data.StructLayout({"first": signed(bits), "second": 0, "special": special_bits(unit)})
            places = unit.sum_shift
            total = align_add.total.sum << places if places >= 0 else align_add.total.sum[-places:].as_signed()
            value = {"first": total, "second": Const(0, 0), "special": align_add.total.special}
            rows = self._rank(m, "align_add", layout, value, control)
        m.submodules.accumulate = accumulate = AccumulateRows(unit, architecture, layout, constant)
        m.d.comb += [accumulate.rows[field].eq(rows[field]) for field in layout.members]
        self._loop(m, accumulate, control)

    def _merged_float(self, m: Module, control: dict[str, Any]) -> None:
        """Connect a tree, and behind it a float register."""
        unit = self._entered
        layout = total_layout(unit, narrow=True)
        if "align_add" in self._ranks:
            products = self._products(m, control)
            m.submodules.align_add = row_sum = add_stage(unit, self._architecture)
            m.d.comb += row_sum.products.eq(products)
        else:
            m.submodules.row_sum = row_sum = RowSum(unit, self._architecture)
            m.d.comb += [getattr(row_sum, name).eq(self._operands[name]) for name in operand_ports(unit)]
        rank = "align_add" if "align_add" in self._ranks else "multiply"
        self._accumulate(m, None, self._rank(m, rank, layout, row_sum.total, control), control)

    def _balanced(self, m: Module, control: dict[str, Any]) -> None:
        """Connect a deep pipeline: the part in front of the accumulator and the one behind it, each with its ranks."""
        unit, architecture = self._entered, self._architecture
        ahead, self._behind = split_ranks(self.spec, self.latency, architecture)
        part = row_part(unit, architecture)
        m.submodules.row = row = Pipelined(part, ahead)
        m.d.comb += row.en.eq(self.en)
        m.d.comb += [getattr(row, name).eq(self._operands[name]) for name in operand_ports(unit)]
        for index in range(ahead):
            self._control_rank(m, f"row_{index + 1}", control)
        if isinstance(part, RowsOfRow):
            m.submodules.accumulate = accumulate = AccumulateRows(unit, architecture, part.layout, part.constant)
            m.d.comb += accumulate.rows.eq(row.rows)
            self._loop(m, accumulate, control)
        elif fused(unit):
            m.submodules.align_add = align_add = add_stage(unit, architecture)
            m.d.comb += align_add.products.eq(row.products)
            self._accumulate(m, align_add, align_add.total, control)
        else:
            self._accumulate(m, None, row.total, control)

    def _control_rank(self, m: Module, name: str, control: dict[str, Any]) -> None:
        """Put the control signals behind registers."""
        with m.If(self.en):
            for field, signal in control.items():
                control[field] = Signal(len(signal), name=f"{name}_{field}", reset_less=field != "valid")
                m.d.sync += control[field].eq(signal)

    def _rank(self, m: Module, name: str, layout: data.StructLayout, value: Any, control: dict[str, Any]) -> Any:
        """Return a stage's output, behind registers if it has them; the control signals go along."""
        if name not in self._ranks:
            return value
        out = Signal(layout, name=f"{name}_data", reset_less=True)
        with m.If(self.en):
            m.d.sync += [out[field].eq(value[field]) for field in layout.members]
        self._control_rank(m, name, control)
        return out

    def _accumulate(self, m: Module, align_add: Any, total: Any, control: dict[str, Any]) -> None:
        """Add a row's sum to the register; in a fused step its align_add takes that."""
        unit = self._entered
        m.submodules.accumulate = accumulate = accumulate_stage(unit, self._architecture)
        connect_total(m, unit, accumulate, total)
        base = self._loop(m, accumulate, control)
        if not isinstance(unit.accumulator, FixedAccumulator):
            m.submodules.decode_register = decode = Decode(unit.accumulator.format)
            m.d.comb += [decode.codes.eq(base.value), accumulate.decoded.eq(decode.operands[0])]
            if fused(unit):
                m.d.comb += align_add.accumulator.eq(decode.operands[0])

    def _loop(self, m: Module, accumulate: Any, control: dict[str, Any]) -> Any:
        """Connect the register, and what is behind it; return what the next step starts from."""
        if self.spec.promotion is not None:
            return self._promoted_loop(m, accumulate, control)
        unit = self._entered
        layout = step_layout(unit, self._architecture)
        register = Signal(layout, name="register", reset_less=True)
        base = Signal(layout, name="base")
        m.d.comb += [
            base.value.eq(Mux(control["first"], control["c"], register.value)),
            *(
                base[field].eq(Mux(control["first"], 0, register[field]))
                for field in layout.members
                if field != "value"
            ),
            accumulate.register.eq(base),
        ]
        done = Signal(name="done")
        with m.If(self.en):
            m.d.sync += done.eq(control["valid"] & control["last"])
            with m.If(control["valid"]):
                m.d.sync += register.eq(accumulate.following)
        if self._deep and self._behind:
            self._result(m, register, done)
            return base
        m.submodules.round_pack = round_pack = RoundPack(unit)
        m.d.comb += round_pack.register.eq(resolved(m, unit, self._architecture, register))
        self._output(m, round_pack, done)
        return base

    def _result(self, m: Module, register: Any, done: Any) -> None:
        """Connect the output of a deep pipeline."""
        m.submodules.result = result = Pipelined(Resolve(self._entered, self._architecture), self._behind)
        m.d.comb += [result.en.eq(self.en), result.register.eq(register), self.d.eq(result.d)]
        for index in range(self._behind):
            following = Signal(name=f"result_{index + 1}_valid")
            with m.If(self.en):
                m.d.sync += following.eq(done)
            done = following
        m.d.comb += self.d_valid.eq(done)

    def _promoted_loop(self, m: Module, accumulate: Any, control: dict[str, Any]) -> Any:
        """Connect both registers, and what is behind the second one; return what the next step starts from."""
        unit = entered(self.spec)
        m.submodules.round_pack = round_pack = RoundPack(second_register(unit))
        apart = "promote" in self._ranks
        base, done, second = promoted_loop(m, unit, self._architecture, accumulate, control, self.en, apart=apart)
        m.d.comb += round_pack.register.eq(second)
        self._output(m, round_pack, done)
        return base

    def _output(self, m: Module, round_pack: Any, done: Any) -> None:
        """Connect the output, behind registers if it has them."""
        if not {"round_pack", "resolve"} & set(self._ranks):
            m.d.comb += [self.d.eq(round_pack.d), self.d_valid.eq(done)]
            return
        packed = Signal(self.spec.output.bits, name="packed", reset_less=True)
        packed_valid = Signal(name="packed_valid")
        with m.If(self.en):
            m.d.sync += [packed.eq(round_pack.d), packed_valid.eq(done)]
        m.d.comb += [self.d.eq(packed), self.d_valid.eq(packed_valid)]


class Shell(_Unit):
    """A core behind streams.

    While an output waits, everything stands still: `i.ready` is ``o.ready`` or no output, without a register between.

    Parameters
    ----------
    unit, pipeline, architecture
        As of `Core`.

    Members
    -------
    i : In, stream of rows
        A struct of first, last, a, b, [scale_a, scale_b], c.
    o : Out, stream of codes of ``unit.output``
        One for each row with `last`, in order.

    Attributes
    ----------
    latency : int
        Cycles from an accepted row with `last` to a valid `o`, where nothing waits. Throughput: one row a cycle.
    """

    def __init__(
        self, unit: DotProductUnit, pipeline: int | None = None, architecture: Architecture | None = None
    ) -> None:
        self.spec = unit
        self._core = Core(unit, pipeline, architecture)
        self.latency = self._core.latency
        super().__init__(
            {
                "i": In(stream.Signature(data.StructLayout(row_fields(unit)))),
                "o": Out(stream.Signature(unit.output.bits)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Connect the streams to the core."""
        m = Module()
        m.submodules.core = core = self._core
        for name in row_fields(self.spec):
            m.d.comb += getattr(core, name).eq(self.i.p[name])
        m.d.comb += [
            core.en.eq(self.o.ready | ~core.d_valid),
            core.valid.eq(self.i.valid),
            self.i.ready.eq(core.en),
            self.o.valid.eq(core.d_valid),
            self.o.p.eq(core.d),
        ]
        return m
