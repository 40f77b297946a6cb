# SPDX-License-Identifier: Apache-2.0
"""The onnx package's own node tests of the converting operators, run here and compared bit for bit."""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from hwsim.network.backend import prepare
from hwsim.network.backend.operators import OPERATORS

__all__ = [
    "TESTED",
    "WRONG_UPSTREAM",
    "NodeTest",
    "run_node_tests",
]

Array = npt.NDArray[Any]

TESTED = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "Cast", "CastLike")

_FP4_NAN = (
    "ml_dtypes casts NaN to -0; the table of https://onnx.ai/onnx/technical/float4.html, section Cast, has 6 for NaN"
)
# Cases whose expected bits are not what the standard's text says, with the reason. What the text says, for each: the
# code of every element whose input is NaN; all other elements are as in the case.
WRONG_UPSTREAM = {
    "test_cast_FLOAT_to_FLOAT4E2M1": _FP4_NAN,
    "test_cast_FLOAT16_to_FLOAT4E2M1": _FP4_NAN,
    "test_castlike_FLOAT_to_FLOAT4E2M1": _FP4_NAN,
    "test_castlike_FLOAT16_to_FLOAT4E2M1": _FP4_NAN,
    "test_castlike_FLOAT_to_FLOAT4E2M1_expanded": _FP4_NAN,
    "test_castlike_FLOAT16_to_FLOAT4E2M1_expanded": _FP4_NAN,
}
_FP4_LARGEST = 0b0111  # 6


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeTest:
    """What came of one case.

    Parameters
    ----------
    name : str
        The case's.
    operator : str
        One of `TESTED`; empty for another operator's function body that is written in `OPERATORS`.
    ran : bool
        False where its graph has operators that are not run.
    elements : int
        Number of output elements compared, by their bits.
    wrong : int
        Number of those that differ, from the case or, for `WRONG_UPSTREAM`, from the standard's text.
    upstream : int
        Number of elements in which the case itself differs from the standard's text.
    message : str
        Why it was not run.
    """

    name: str
    operator: str
    ran: bool
    elements: int = 0
    wrong: int = 0
    upstream: int = 0
    message: str = ""

    @property
    def passed(self) -> bool:
        """Whether it ran, and every bit is right."""
        return self.ran and self.elements > 0 and self.wrong == 0


def run_node_tests() -> Iterator[NodeTest]:
    """Run every node test of the installed onnx that has one of the `TESTED` operators in its graph."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the generators overflow and divide by zero as they please
        from onnx.backend.test.case.node import collect_testcases

        collect: Callable[[Any], list[Any]] = collect_testcases
        cases = collect(None)
    for case in cases:
        operators = {node.op_type for node in case.model.graph.node}
        if operators & set(TESTED):
            yield _result(case, operators)


def _result(case: Any, operators: set[str]) -> NodeTest:
    """Run one case."""
    stem = f"{case.name}_".removeprefix("test_")
    operator = next((name for name in TESTED if stem.startswith(f"{name.lower()}_")), "")
    try:
        rep = prepare(case.model)
    except ValueError as error:
        return NodeTest(name=case.name, operator=operator, ran=False, message=str(error))
    if not operators <= set(OPERATORS):
        return NodeTest(name=case.name, operator=operator, ran=False, message="a network of layers")
    elements = wrong = upstream = 0
    for inputs, outputs in case.data_sets:
        try:
            results = rep.run(inputs)
        except ValueError as error:
            return NodeTest(name=case.name, operator=operator, ran=False, message=str(error))
        for got, output in zip(results, outputs, strict=True):
            given = _array(output)
            expected = _corrected(given, _array(inputs[0])) if case.name in WRONG_UPSTREAM else given
            elements += expected.size
            wrong += _different(got, expected)
            upstream += _different(given, expected)
    return NodeTest(name=case.name, operator=operator, ran=True, elements=elements, wrong=wrong, upstream=upstream)


def _corrected(given: Array, x: Array) -> Array:
    """Return what the standard's text says."""
    largest = np.uint8(_FP4_LARGEST)
    return np.where(np.isnan(x), largest, given.view(np.uint8)).astype(np.uint8).view(given.dtype)


def _different(a: Array, b: Array) -> int:
    """Count the elements whose bits differ; all, where type or shape does."""
    if a.dtype != b.dtype or a.shape != b.shape:
        return max(a.size, b.size, 1)
    unsigned = np.dtype(f"u{a.dtype.itemsize}")
    return int(np.count_nonzero(np.asarray(a, order="C").view(unsigned) != np.asarray(b, order="C").view(unsigned)))


def _array(value: Any) -> Array:
    """Return a case's tensor as an array."""
    return np.asarray(numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value)
