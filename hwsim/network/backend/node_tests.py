# SPDX-License-Identifier: Apache-2.0
"""The onnx package's own node tests, run here: bits compared, then values within the tolerance of the case."""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt

from hwsim.network.array_operators import CONVERSIONS
from hwsim.network.backend import prepare
from hwsim.network.backend.reps import as_array

__all__ = [
    "EXPECTED_FAILURES",
    "WRONG_UPSTREAM",
    "NodeTest",
    "Outcome",
    "reason",
    "run_node_tests",
]

Array = npt.NDArray[Any]

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
_HALF = "numpy rounds each step within the Softmax to half precision, ours once: two units in the last place at most"
_TRAINING = "training mode is not inference"
_DOUBLE = "products of float64 are not run: an engine multiplies codes or float32"
_STRINGS = "strings are not run"
# Cases of operators that are run, in which ours fails or is refused, with the reason; the ends of their names.
EXPECTED_FAILURES = {
    "attention_3d_causal_bf16": _HALF,
    "attention_4d_attn_mask_causal_bf16": _HALF,
    "attention_4d_causal_bf16": _HALF,
    "attention_4d_causal_fp16": _HALF,
    "attention_4d_causal_padded_kv_bf16": _HALF,
    "attention_4d_padded_kv_bf16": _HALF,
    "batchnorm_epsilon_training_mode": _TRAINING,
    "batchnorm_example_training_mode": _TRAINING,
    "einsum_batch_matmul": _DOUBLE,
    "einsum_inner_prod": _DOUBLE,
    "equal_string": _STRINGS,
    "equal_string_broadcast": _STRINGS,
    "flexattention_double_expanded_ver26": _DOUBLE,
    "training_dropout": _TRAINING,
    "training_dropout_default": _TRAINING,
    "training_dropout_default_mask": _TRAINING,
    "training_dropout_mask": _TRAINING,
}


class Outcome(Enum):
    """What came of a case.

    Members
    -------
    BITS
        Every bit of every output is that of the case.
    VALUES
        Types and shapes are; floats are within the case's own tolerance (rtol 1e-3, atol 1e-7 unless it has another).
    WRONG
        Neither.
    REFUSED
        Its operators are run, but not in this use: the message says why.
    OTHER
        It has operators that are not run.
    """

    BITS = "bits"
    VALUES = "values"
    WRONG = "wrong"
    REFUSED = "refused"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeTest:
    """A case and what came of it.

    Parameters
    ----------
    name : str
        The case's.
    operators : tuple of str
        Those of its graph, sorted.
    outcome : Outcome
    elements : int
        Number of output elements compared.
    wrong : int
        Number of those whose bits differ, from the case or, for `WRONG_UPSTREAM`, from the standard's text.
    upstream : int
        Number of elements in which the case itself differs from the standard's text.
    message : str
        Why it was not run, or what differs.
    """

    name: str
    operators: tuple[str, ...]
    outcome: Outcome
    elements: int = 0
    wrong: int = 0
    upstream: int = 0
    message: str = ""

    @property
    def passed(self) -> bool:
        """Whether it ran and is right, by its bits or within its tolerance."""
        return self.outcome in (Outcome.BITS, Outcome.VALUES)

    @property
    def converts(self) -> bool:
        """Whether it is a test of an operator that quantizes, dequantizes or casts."""
        stem = f"{self.name}_".removeprefix("test_")
        return any(stem.startswith(f"{name.lower()}_") for name in CONVERSIONS)


def reason(name: str) -> str | None:
    """Return why a case is expected to fail, or None; a function body fails as its operator does."""
    return EXPECTED_FAILURES.get(name.removeprefix("test_").removesuffix("_expanded")) or EXPECTED_FAILURES.get(
        name.removeprefix("test_")
    )


def run_node_tests(chosen: Callable[[str], bool] = lambda name: True) -> Iterator[NodeTest]:
    """Run the node tests of the installed onnx whose names are chosen, in its order."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the generators overflow and divide by zero as they please
        from onnx.backend.test.case.node import collect_testcases

        collect: Callable[[Any], list[Any]] = collect_testcases
        cases = collect(None)
    for case in cases:
        if chosen(case.name):
            yield _result(case)


def _result(case: Any) -> NodeTest:
    """Run one case."""
    operators = tuple(sorted({node.op_type for node in case.model.graph.node}))
    elements = wrong = upstream = 0
    outcome, message = Outcome.BITS, ""
    try:
        rep = prepare(case.model)
        for inputs, outputs in case.data_sets:
            results = rep.run([as_array(value) for value in inputs])
            for got, output in zip(results, outputs, strict=True):
                given = as_array(output)
                expected = _corrected(given, as_array(inputs[0])) if case.name in WRONG_UPSTREAM else given
                elements += expected.size
                upstream += _different(given, expected)
                different = _different(got, expected)
                wrong += different
                if different:
                    close = _close(got, expected, case.rtol, case.atol)
                    outcome = Outcome.VALUES if close and outcome is not Outcome.WRONG else Outcome.WRONG
                    message = message if close else f"{different} of {expected.size} elements differ"
    except ValueError as error:
        message = str(error)
        other = "operators that are not run" in message
        return NodeTest(
            name=case.name, operators=operators, outcome=Outcome.OTHER if other else Outcome.REFUSED, message=message
        )
    return NodeTest(
        name=case.name,
        operators=operators,
        outcome=outcome,
        elements=elements,
        wrong=wrong,
        upstream=upstream,
        message=message,
    )


def _corrected(given: Array, x: Array) -> Array:
    """Return what the standard's text says."""
    largest = np.uint8(_FP4_LARGEST)
    return np.where(np.isnan(x), largest, given.view(np.uint8)).astype(np.uint8).view(given.dtype)


def _different(a: Array, b: Array) -> int:
    """Count the elements whose bits differ; all, where type or shape does."""
    if a.dtype != b.dtype or a.shape != b.shape:
        return max(a.size, b.size, 1)
    if a.dtype.kind in "OSU" or a.dtype.itemsize > 8:
        return int(np.count_nonzero(a != b))
    unsigned = np.dtype(f"u{a.dtype.itemsize}")
    return int(np.count_nonzero(np.asarray(a, order="C").view(unsigned) != np.asarray(b, order="C").view(unsigned)))


def _close(a: Array, b: Array, relative: float, absolute: float) -> bool:
    """Tell whether floats are within a tolerance, NaN equal to NaN; integers and bools have none."""
    if a.dtype != b.dtype or a.shape != b.shape or a.dtype.kind in "iubOSU":
        return False
    got, expected = a.astype(np.float64), b.astype(np.float64)
    return bool(np.allclose(got, expected, rtol=relative, atol=absolute, equal_nan=True))
