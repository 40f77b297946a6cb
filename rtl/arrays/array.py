# SPDX-License-Identifier: Apache-2.0
"""An array of units behind streams, of any kind."""

from typing import Any, Self

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hwsim.datapath.array import ArrayGeometry, ArrayKind
from hwsim.datapath.unit import DotProductUnit
from rtl.architecture import Architecture
from rtl.arrays.frame import Frame
from rtl.arrays.layouts import beat_fields, output_fields
from rtl.arrays.operand_stays import adder_trees, operand_stays
from rtl.arrays.outputs_stay import outputs_stay
from rtl.datapath.merged import check_architecture
from rtl.datapath.pipelined_step import step_ranks
from rtl.datapath.step import check_step

__all__ = [
    "Array",
    "FlatArray",
    "array_latency",
]

_TOOL = Architecture()
_LARGEST = 256


def array_latency(geometry: ArrayGeometry, pipeline: int = 1) -> int:
    """Return the cycles from a step (the last one of a tile, where outputs stay) to its first output."""
    return geometry.skew_cycles + 1 + pipeline


class _Checked(wiring.Component):
    """A component of an array's arguments, checked before it exists: Amaranth warns of one that is not used."""

    def __new__(
        cls, geometry: ArrayGeometry, unit: DotProductUnit, architecture: Architecture = _TOOL, pipeline: int = 1
    ) -> Self:
        for name, value, kind in (
            ("geometry", geometry, ArrayGeometry),
            ("unit", unit, DotProductUnit),
            ("architecture", architecture, Architecture),
        ):
            if not isinstance(value, kind):
                article = "an" if kind.__name__[0] in "AEIOU" else "a"
                raise TypeError(f"{name} must be {article} {kind.__name__}, not {value!r}")
        if max(geometry.rows, geometry.columns) > _LARGEST:
            raise ValueError(f"geometry must have at most {_LARGEST} rows and columns, not {geometry.name}")
        check_step(geometry.element(unit))
        check_architecture(geometry.element(unit), architecture)
        step_ranks(geometry.element(unit), architecture, pipeline)
        made: Self = super().__new__(cls, geometry, unit, architecture, pipeline)
        return made

    geometry: ArrayGeometry
    spec: DotProductUnit
    _architecture: Architecture
    _pipeline: int

    def _built(self, i: Any, o: Any) -> Module:
        """Return the array between two streams."""
        m = Module()
        moves = Signal(name="moves")
        m.d.comb += moves.eq(o.ready | ~o.valid)
        element = self.geometry.element(self.spec)
        ranks = step_ranks(element, self._architecture, self._pipeline)
        frame = Frame(self.geometry, self.spec, self._architecture, element, m, i, o, moves, *ranks)
        if self.geometry.kind is ArrayKind.ADDER_TREE:
            adder_trees(frame)
        elif self.geometry.kind.keeps_outputs:
            outputs_stay(frame)
        else:
            operand_stays(frame)
        return m


class Array(_Checked):
    """An array behind streams. While an output waits, everything stands still.

    Parameters
    ----------
    geometry : ArrayGeometry
    unit : DotProductUnit
    architecture : Architecture
        Of its elements; the synthesizer's own operators if not given.
    pipeline : int
        Ranks of registers of an element, 1 to 32: the accumulator, and those in front of it and behind it, which stand
        where the paths balance.

    Members
    -------
    i : In, stream of beats
        A struct of `beat_fields`. `i.ready` follows from `o.ready`, and in a systolic array with an operand that stays
        from `load`, without a register between.
    o : Out, stream of outputs
        A struct of `output_fields`.

    Attributes
    ----------
    latency : int
        `array_latency`, where nothing waits. Throughput: a beat a cycle; `outputs_stay` says how long a tile waits for
        the one before it, `operand_stays` how long a load.

    Raises
    ------
    TypeError, ValueError
        If an argument is of another kind, the unit one that cannot be built, the geometry's element no unit or the
        geometry too large, or the pipeline none that the element can have.
    """

    def __init__(
        self, geometry: ArrayGeometry, unit: DotProductUnit, architecture: Architecture = _TOOL, pipeline: int = 1
    ) -> None:
        self.geometry, self.spec, self._architecture, self._pipeline = geometry, unit, architecture, pipeline
        self.latency = array_latency(geometry, pipeline)
        beat, output = beat_fields(geometry, unit), output_fields(geometry, unit)
        super().__init__(
            {
                "i": In(stream.Signature(data.StructLayout(beat))),
                "o": Out(stream.Signature(data.StructLayout(output))),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build the array."""
        return self._built(self.i, self.o)


class FlatArray(_Checked):
    """The same with plain ports: `i_` and the fields of a beat, `o_` and the fields of an output, valid and ready."""

    def __init__(
        self, geometry: ArrayGeometry, unit: DotProductUnit, architecture: Architecture = _TOOL, pipeline: int = 1
    ) -> None:
        self.geometry, self.spec, self._architecture, self._pipeline = geometry, unit, architecture, pipeline
        self.latency = array_latency(geometry, pipeline)
        self._fields = beat_fields(geometry, unit), output_fields(geometry, unit)
        ports: dict[str, Any] = {"i_valid": In(1), "i_ready": Out(1), "o_valid": Out(1), "o_ready": In(1)}
        ports |= {f"i_{name}": In(bits) for name, bits in self._fields[0].items()}
        super().__init__(ports | {f"o_{name}": Out(bits) for name, bits in self._fields[1].items()})

    def elaborate(self, platform: Any) -> Module:
        """Build the array between streams of these ports."""
        i, o = (stream.Signature(data.StructLayout(fields)).create() for fields in self._fields)
        m = self._built(i, o)
        m.d.comb += [
            i.valid.eq(self.i_valid),
            self.i_ready.eq(i.ready),
            self.o_valid.eq(o.valid),
            o.ready.eq(self.o_ready),
            *(i.p[name].eq(getattr(self, f"i_{name}")) for name in self._fields[0]),
            *(getattr(self, f"o_{name}").eq(o.p[name]) for name in self._fields[1]),
        ]
        return m
