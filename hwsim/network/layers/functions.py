# SPDX-License-Identifier: Apache-2.0
"""The functions of element-wise operators, by ONNX name: what they compute, on which types, and their family.

What IEEE 754 defines (sums, products, quotients, roots, comparisons) is rounded once in the operands' own type, as are
the steps of functions that are made of those (LeakyRelu, HardSigmoid, HardSwish, Shrink). Every other function is
computed in float64 and rounded once to the operands' type, so that its float32 values do not depend on the machine
but in the one case of about 2**29 in which float64's own last bit decides.

Source: the ONNX operators of these names, https://onnx.ai/onnx/operators.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = [
    "FUNCTIONS",
    "Function",
]

Array = npt.NDArray[Any]

_SELU_ALPHA = 1.67326319217681884765625
_SELU_GAMMA = 1.05070102214813232421875
_INTEGERS = "iu"
_FLOATS = "f"
_NUMBERS = "iuf"


class Function(NamedTuple):
    """An element-wise function.

    Parameters
    ----------
    compute : callable
        Of the operands, then of the node's attributes by name.
    family : str
        What hardware has to have for it: "activation" (compare, select, multiply), "transcendental" (tables or
        series), "arithmetic" (one operation), "comparison" or "logic".
    operands : int or None
        How many; None for one or more.
    types : str
        Kinds of element types it takes, as numpy writes them: f, i, u, b. Operands are of one type.
    attributes : mapping of str to float or str
        Those it looks at, with their defaults.
    truth : bool
        Whether the result is bool, not the operands' type.
    """

    compute: Callable[..., Any]
    family: str
    operands: int | None = 1
    types: str = _FLOATS
    attributes: Mapping[str, Any] = {}
    truth: bool = False


def _wide(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compute in float64; the layer rounds the result to the operands' type."""

    def run(*operands: Array, **attributes: Any) -> Any:
        return function(*(operand.astype(np.float64) for operand in operands), **attributes)

    return run


_erf = np.vectorize(math.erf, otypes=[np.float64])


def _leaky_relu(x: Array, alpha: float) -> Any:
    return np.where(x < 0, x * x.dtype.type(alpha), x)


def _hard_sigmoid(x: Array, alpha: float, beta: float) -> Any:
    kind = x.dtype.type
    return np.clip(x * kind(alpha) + kind(beta), kind(0), kind(1))


def _shrink(x: Array, lambd: float, bias: float) -> Any:
    low, high = x < -lambd, x > lambd
    kind = x.dtype.type
    return np.where(low, x + kind(bias), np.where(high, x - kind(bias), kind(0)))


def _elu(x: Array, alpha: float) -> Any:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def _celu(x: Array, alpha: float) -> Any:
    return np.maximum(x, 0) + np.minimum(alpha * np.expm1(np.minimum(x, 0) / alpha), 0)


def _sigmoid(x: Array) -> Any:
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + small), small / (1 + small))


def _softplus(x: Array) -> Any:
    return np.logaddexp(0, x)


def _is_infinite(x: Array, detect_negative: float, detect_positive: float) -> Any:
    below = np.isneginf(x) if detect_negative else np.zeros(x.shape, np.bool_)
    return below | np.isposinf(x) if detect_positive else below


def _power(base: Array, exponent: Array) -> Any:
    if base.dtype.kind in _INTEGERS:
        if exponent.dtype.kind in _INTEGERS:
            return np.power(base.astype(np.int64), np.maximum(exponent.astype(np.int64), 0))
        return np.trunc(np.power(base.astype(np.float64), exponent.astype(np.float64)))
    return np.power(base.astype(np.float64), exponent.astype(np.float64))


def _divide(a: Array, b: Array) -> Any:
    if a.dtype.kind == "f":
        return np.divide(a, b)
    if not np.all(b):
        raise ValueError("a division of integers by 0")
    quotient = a // b
    return quotient + ((quotient < 0) & (quotient * b != a)).astype(quotient.dtype)  # truncated, not floored


def _modulo(a: Array, b: Array, fmod: float) -> Any:
    if a.dtype.kind in _INTEGERS and not np.all(b):
        raise ValueError("a division of integers by 0")
    return np.fmod(a, b) if fmod else np.mod(a, b)


def _shift(x: Array, places: Array, direction: str) -> Any:
    if direction not in ("LEFT", "RIGHT"):
        raise ValueError(f"direction must be LEFT or RIGHT, not {direction!r}")
    bits = 8 * x.dtype.itemsize
    inside = (places >= 0) & (places < bits)
    if direction == "LEFT":
        return np.where(inside, np.left_shift(x, np.where(inside, places, 0)), x.dtype.type(0))
    return np.right_shift(x, np.where(inside, places, bits - 1)) * np.where(inside | (x < 0), 1, 0).astype(x.dtype)


def _mean(*operands: Array) -> Any:
    return sum(operand.astype(np.float64) for operand in operands) / np.float64(len(operands))


def _all(function: np.ufunc) -> Callable[..., Any]:
    """Fold a binary function over any number of operands, from the left."""

    def run(*operands: Array) -> Any:
        result = operands[0]
        for operand in operands[1:]:
            result = function(result, operand)
        return result

    return run


def _simple(compute: Callable[..., Any], types: str = _NUMBERS, **attributes: Any) -> Function:
    return Function(compute, "activation", types=types, attributes=attributes)


def _curve(compute: Callable[..., Any], **attributes: Any) -> Function:
    return Function(_wide(compute), "transcendental", attributes=attributes)


def _binary(compute: Callable[..., Any], types: str = _NUMBERS, **attributes: Any) -> Function:
    return Function(compute, "arithmetic", 2, types, attributes)


def _many(compute: Callable[..., Any], types: str = _NUMBERS) -> Function:
    return Function(compute, "arithmetic", None, types)


def _comparison(compute: Callable[..., Any], types: str = "iuf") -> Function:
    return Function(compute, "comparison", 2, types, truth=True)


def _logic(compute: Callable[..., Any], types: str, operands: int = 2) -> Function:
    return Function(compute, "logic", operands, types)


FUNCTIONS: Mapping[str, Function] = {
    "Abs": _simple(np.abs),
    "Acos": _curve(np.arccos),
    "Acosh": _curve(np.arccosh),
    "Add": _binary(np.add),
    "And": _logic(np.logical_and, "b"),
    "Asin": _curve(np.arcsin),
    "Asinh": _curve(np.arcsinh),
    "Atan": _curve(np.arctan),
    "Atanh": _curve(np.arctanh),
    "BitShift": _binary(_shift, _INTEGERS, direction=""),
    "BitwiseAnd": _logic(np.bitwise_and, _INTEGERS),
    "BitwiseNot": _logic(np.bitwise_not, _INTEGERS, 1),
    "BitwiseOr": _logic(np.bitwise_or, _INTEGERS),
    "BitwiseXor": _logic(np.bitwise_xor, _INTEGERS),
    "Ceil": _simple(np.ceil, _FLOATS),
    "Celu": _curve(_celu, alpha=1.0),
    "Cos": _curve(np.cos),
    "Cosh": _curve(np.cosh),
    "Div": _binary(_divide),
    "Elu": _curve(_elu, alpha=1.0),
    "Equal": _comparison(np.equal, "biuf"),
    "Erf": _curve(_erf),
    "Exp": _curve(np.exp),
    "Floor": _simple(np.floor, _FLOATS),
    "Greater": _comparison(np.greater),
    "GreaterOrEqual": _comparison(np.greater_equal),
    "HardSigmoid": _simple(_hard_sigmoid, _FLOATS, alpha=0.2, beta=0.5),
    "HardSwish": _simple(lambda x: x * _hard_sigmoid(x, 1 / 6, 0.5), _FLOATS),
    "IsInf": Function(
        _is_infinite, "comparison", attributes={"detect_negative": 1.0, "detect_positive": 1.0}, truth=True
    ),
    "IsNaN": Function(np.isnan, "comparison", truth=True),
    "LeakyRelu": _simple(_leaky_relu, _FLOATS, alpha=0.01),
    "Less": _comparison(np.less),
    "LessOrEqual": _comparison(np.less_equal),
    "Log": _curve(np.log),
    "Max": _many(_all(np.maximum)),
    "Mean": _many(_mean, _FLOATS),
    "Min": _many(_all(np.minimum)),
    "Mish": _curve(lambda x: x * np.tanh(_softplus(x))),
    "Mod": _binary(_modulo, fmod=0.0),
    "Mul": _binary(np.multiply),
    "Neg": _simple(np.negative),
    "Not": _logic(np.logical_not, "b", 1),
    "Or": _logic(np.logical_or, "b"),
    "PRelu": Function(lambda x, slope: np.where(x < 0, x * slope, x), "activation", 2, _NUMBERS),
    "Pow": Function(_power, "transcendental", 2, _NUMBERS),
    "Reciprocal": Function(lambda x: x.dtype.type(1) / x, "arithmetic"),
    "Relu": _simple(lambda x: np.maximum(x, x.dtype.type(0))),
    "Round": _simple(np.rint, _FLOATS),
    "Selu": _curve(lambda x, alpha, gamma: gamma * _elu(x, alpha), alpha=_SELU_ALPHA, gamma=_SELU_GAMMA),
    "Shrink": _simple(_shrink, lambd=0.5, bias=0.0),
    "Sigmoid": _curve(_sigmoid),
    "Sign": _simple(np.sign),
    "Sin": _curve(np.sin),
    "Sinh": _curve(np.sinh),
    "Softplus": _curve(_softplus),
    "Softsign": Function(lambda x: x / (x.dtype.type(1) + np.abs(x)), "activation"),
    "Sqrt": Function(np.sqrt, "arithmetic"),
    "Sub": _binary(np.subtract),
    "Sum": _many(_all(np.add)),
    "Swish": _curve(lambda x, alpha: x * _sigmoid(alpha * x), alpha=1.0),
    "Tan": _curve(np.tan),
    "Tanh": _curve(np.tanh),
    "ThresholdedRelu": _simple(lambda x, alpha: np.where(x > alpha, x, x.dtype.type(0)), _FLOATS, alpha=1.0),
    "Xor": _logic(np.logical_xor, "b"),
}
