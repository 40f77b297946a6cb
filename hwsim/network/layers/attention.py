# SPDX-License-Identifier: Apache-2.0
"""Attention and RotaryEmbedding, written as matrix products, masks, a Softmax and element-wise layers."""

from typing import Any

import numpy as np
import numpy.typing as npt

from hwsim.network.layers.expansion import Expansion
from hwsim.network.pattern import Pattern, RawNode

__all__ = [
    "build_attention",
    "build_rotary_embedding",
]

Array = npt.NDArray[Any]

_PRECISIONS = (1, 10, 11, 16)  # FLOAT, FLOAT16, DOUBLE, BFLOAT16 of TensorProto


def build_attention(node: RawNode, pattern: Pattern) -> None:
    """Build an Attention: q k^T, times the scale, capped, masked, Softmax, times v.

    The heads of queries that share a head of keys are rows of one product, so that keys are not repeated. The scale is
    applied to the product, not as its square root to both operands, so that codes of q and k are multiplied as they
    are; but in half precision, which would overflow, as the standard has it. A row of which every key is masked gives
    zeros.

    Source: ONNX operator Attention-25 (Attention-23 and -24 are parts of it).
    """
    e = Expansion(node, pattern)
    flat = len(e.shape(node.inputs[0])) == 3
    counts = [int(node.attributes.get(name, 0)) for name in ("q_num_heads", "kv_num_heads", "kv_num_heads")]
    q, k, v = (_heads(e, name, count) for name, count in zip(node.inputs[:3], counts, strict=True))
    k, v, past = _with_cache(e, k, v)
    batch, heads, rows, width = e.shape(q)
    kv_heads, columns = e.shape(k)[1:3]
    if heads % kv_heads or e.shape(v)[1:3] != (kv_heads, columns) or e.shape(k)[3] != width:
        raise ValueError(f"node {node.label}: heads of q {e.shape(q)}, k {e.shape(k)} and v {e.shape(v)} do not fit")
    shared = heads // kv_heads * rows
    scores = _scores(e, q, k, (batch, kv_heads, shared, width))
    weights = _weights(e, e.reshape(scores, batch, heads, rows, columns), past)
    result = e("MatMul", e.reshape(weights, batch, kv_heads, shared, columns), v)
    depth = e.shape(v)[3]
    result = e.reshape(result, batch, heads, rows, depth)
    if flat:
        result = e.reshape(e.transpose(result, 0, 2, 1, 3), batch, rows, heads * depth)
    e("Identity", result, output=node.outputs[0])


def _with_cache(e: Expansion, k: str, v: str) -> tuple[str, str, int]:
    """Put past keys and values in front, give present ones their names, and return the number of past ones."""
    past_k, past_v, past = e.present(4), e.present(5), 0
    if bool(past_k) != bool(past_v):
        raise ValueError(f"node {e.node.label}: past_key and past_value must be given together")
    if past_k:
        past = e.shape(past_k)[2]
        k, v = e("Concat", past_k, k, axis=2), e("Concat", past_v, v, axis=2)
    for name, index in ((k, 1), (v, 2)):
        if e.output(index):
            e("Identity", name, output=e.output(index))
    return k, v, past


def _scores(e: Expansion, q: str, k: str, shape: tuple[int, ...]) -> str:
    """Return the scaled products of queries and keys."""
    scale = float(e.node.attributes.get("scale", 0.0)) or shape[3] ** -0.5
    half = e.dtype(q) in ("float16", "bfloat16")
    if half:
        q, k = (e("Mul", name, e.number(scale**0.5, name)) for name in (q, k))
    scores = e("MatMul", e.reshape(q, *shape), e.transpose(k, 0, 1, 3, 2))
    return scores if half else e("Mul", scores, e.number(scale, scores))


def _weights(e: Expansion, scores: str, past: int) -> str:
    """Return the weights of all keys for each query; what the node gives of the way there gets its name."""
    stages = [scores]
    cap = float(e.node.attributes.get("softcap", 0.0))
    if cap > 0:
        limit = e.number(cap, scores)
        scores = e("Mul", e("Tanh", e("Div", scores, limit)), limit)
    stages.append(scores)
    rows, columns = e.shape(scores)[2:]
    bias = _bias(e, scores, past, rows, columns)
    empty = None if bias is None else _empty_rows(e, bias)
    if bias is not None:
        scores = e("Add", scores, bias)
    stages.append(scores)
    zero = e.number(0, scores)
    if empty is not None:
        scores = e("Where", empty, zero, scores)
    weights = _softmax(e, scores)
    if empty is not None:
        weights = e("Where", empty, zero, weights)
    stages.append(weights)
    mode = int(e.node.attributes.get("qk_matmul_output_mode", 0))
    if not 0 <= mode < len(stages):
        raise ValueError(f"node {e.node.label}: qk_matmul_output_mode must be 0 to 3, not {mode}")
    if e.output(3):
        e("Identity", stages[mode], output=e.output(3))
    return weights


def _softmax(e: Expansion, scores: str) -> str:
    """Return the Softmax, in the type that the node wants for it."""
    precision = int(e.node.attributes.get("softmax_precision", 0))
    if precision not in (0, *_PRECISIONS):
        raise ValueError(f"node {e.node.label}: softmax_precision must be one of {_PRECISIONS}, not {precision}")
    if not precision:
        return e("Softmax", scores, axis=-1)
    return e("CastLike", e("Softmax", e("Cast", scores, to=precision), axis=-1), scores)


def build_rotary_embedding(node: RawNode, pattern: Pattern) -> None:
    """Build a RotaryEmbedding: each pair of elements turned by an angle that depends on its position.

    Source: ONNX operator RotaryEmbedding-23.
    """
    e = Expansion(node, pattern)
    x = e.float32(node.inputs[0])
    flat = len(e.shape(x)) == 3
    if flat:
        batch, length, hidden = e.shape(x)
        heads = int(node.attributes.get("num_heads", 0))
        if heads < 1 or hidden % heads:
            raise ValueError(f"node {node.label}: num_heads must divide {hidden}, not {heads}")
        x = e.reshape(x, batch, length, heads, hidden // heads)
    else:
        x = e.transpose(x, 0, 2, 1, 3)
    batch, length, heads, size = e.shape(x)
    turned = int(node.attributes.get("rotary_embedding_dim", 0)) or size
    if not 0 < turned <= size or turned % 2:
        raise ValueError(f"node {node.label}: rotary_embedding_dim must be even and at most {size}, not {turned}")
    half = turned // 2
    cos, sin = (_angles(e, e.float32(node.inputs[index]), half) for index in (1, 2))
    rest = "" if turned == size else e.slice(x, 3, turned, size)
    x = x if turned == size else e.slice(x, 3, 0, turned)
    paired = bool(node.attributes.get("interleaved", 0))
    if paired:
        pairs = e.reshape(x, batch, length, heads, half, 2)
        first, second = (e.reshape(e.slice(pairs, 4, i, i + 1), batch, length, heads, half) for i in (0, 1))
    else:
        first, second = e.slice(x, 3, 0, half), e.slice(x, 3, half, turned)
    real = e("Sub", e("Mul", cos, first), e("Mul", sin, second))
    imaginary = e("Add", e("Mul", sin, first), e("Mul", cos, second))
    if paired:
        parts = [e.reshape(part, batch, length, heads, half, 1) for part in (real, imaginary)]
        result = e.reshape(e("Concat", *parts, axis=4), batch, length, heads, turned)
    else:
        result = e("Concat", real, imaginary, axis=3)
    if rest:
        result = e("Concat", result, rest, axis=3)
    result = e.reshape(result, batch, length, heads * size) if flat else e.transpose(result, 0, 2, 1, 3)
    e.back(result, node.inputs[0], node.outputs[0])


def _heads(e: Expansion, name: str, count: int) -> str:
    """Return a tensor as (batch, heads, sequence, size)."""
    shape = e.shape(name)
    if len(shape) == 4:
        return name
    if len(shape) != 3 or count < 1 or shape[2] % count:
        raise ValueError(f"node {e.node.label}: {shape} does not fall into {count} heads")
    return e.transpose(e.reshape(name, shape[0], shape[1], count, shape[2] // count), 0, 2, 1, 3)


def _bias(e: Expansion, scores: str, past: int, rows: int, columns: int) -> str | None:
    """Return what is added to the scores: 0, minus infinity or a given number for each query and key."""
    parts = []
    mask = e.present(3)
    if mask:
        missing = columns - e.shape(mask)[-1]
        truth = e.dtype(mask) == "bool"
        if missing > 0:
            pads = [0] * (2 * len(e.shape(mask)) - 1) + [missing]
            filler = e.constant(False) if truth else e.number(-np.inf, mask)
            mask = e("Pad", mask, e.constant(pads, np.int64), filler)
        parts.append(_allowed(e, mask, scores) if truth else mask)
    ahead = np.arange(columns) - np.arange(rows)[:, np.newaxis]  # of a key before its query's place in the block
    left, right = (int(e.node.attributes.get(f"{side}_window_size", -1)) for side in ("left", "right"))
    causal = bool(e.node.attributes.get("is_causal", 0))
    last = min([right] * (right >= 0) + [0] * causal, default=None)
    if e.present(6):
        count = e.reshape(e.present(6), -1, 1, 1, 1)
        limits = [("Less", np.arange(columns).reshape(1, 1, 1, -1), False)]
        if last is not None:
            limits.append(("LessOrEqual", (ahead + rows - last)[np.newaxis, np.newaxis], False))
        if left >= 0:
            limits.append(("LessOrEqual", (ahead + rows + left)[np.newaxis, np.newaxis], True))
        for operator, bound, above in limits:
            pair = (e.constant(bound, np.int64), count)
            parts.append(_allowed(e, e(operator, *(pair[::-1] if above else pair)), scores))
    elif last is not None or left >= 0:
        inside = np.ones(ahead.shape, np.bool_)
        if last is not None:
            inside &= ahead - past <= last
        if left >= 0:
            inside &= ahead - past >= -left
        parts.append(_allowed(e, e.constant(inside), scores))
    total = None
    for part in parts:
        total = part if total is None else e("Add", total, part)
    return total


def _allowed(e: Expansion, truth: str, like: str) -> str:
    """Return 0 where a truth holds, else minus infinity."""
    return e("Where", truth, e.number(0, like), e.number(-np.inf, like))


def _empty_rows(e: Expansion, bias: str) -> str | None:
    """Return the truth of rows in which every key is masked; None where there is none."""
    known = e.value(bias)
    if known is not None and not np.isneginf(known.max(axis=-1)).any():
        return None
    return e("Equal", e("ReduceMax", bias, e.constant([-1], np.int64)), e.number(-np.inf, bias))


def _angles(e: Expansion, table: str, half: int) -> str:
    """Return the cosines or sines of all positions as (batch or 1, sequence, 1, half)."""
    positions = e.present(3)
    if positions:
        table = e("Gather", table, positions, axis=0)
    shape = e.shape(table)
    if len(shape) != 3 or shape[-1] != half:
        raise ValueError(f"node {e.node.label}: a table {shape} has not {half} angles a position")
    return e.reshape(table, *shape[:2], 1, half)
