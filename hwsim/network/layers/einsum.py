# SPDX-License-Identifier: Apache-2.0
"""Einsum, written as sums, permutations and matrix products."""

import re
from math import prod

import numpy as np

from hwsim.network.layers.expansion import Expansion
from hwsim.network.pattern import Pattern, RawNode

__all__ = [
    "build_einsum",
]

_TERM = re.compile(r"([A-Za-z]*)(\.\.\.)?([A-Za-z]*)")
Labels = list[str]


def build_einsum(node: RawNode, pattern: Pattern) -> None:
    """Build an Einsum: operands are multiplied two at a time, from the left.

    Labels of a pair that neither the result nor a later operand has are summed over by the matrix product.
    """
    e = Expansion(node, pattern)
    equation = str(node.attributes.get("equation", "")).replace(" ", "")
    left, arrow, right = equation.partition("->")
    texts = left.split(",")
    if len(texts) != len(node.inputs) or not node.inputs:
        raise ValueError(f"node {node.label}: equation {equation!r} does not have {len(node.inputs)} operands")
    terms = [_labels(e, text, len(e.shape(name))) for text, name in zip(texts, node.inputs, strict=True)]
    if arrow:
        dots = max((sum(label.isdigit() for label in term) for term in terms), default=0)
        result = _labels(e, right, dots + len(right.replace("...", "")) if "..." in right else len(right))
    else:
        every = [label for term in terms for label in term]
        dotted = sorted({label for label in every if label.isdigit()}, key=int, reverse=True)
        result = dotted + sorted({label for label in every if not label.isdigit() and every.count(label) == 1})
    unknown = set(result) - {label for term in terms for label in term}
    if unknown or len(set(result)) != len(result):
        raise ValueError(f"node {node.label}: equation {equation!r} has no operand for {sorted(unknown)}, or one twice")
    sizes = _sizes(e, terms)
    names = [e.float32(name) for name in node.inputs]
    operands = [
        _reduced(e, *_diagonal(e, n, t), sizes, {*result, *_others(terms, i)})
        for i, (n, t) in enumerate(zip(names, terms, strict=True))
    ]
    name, labels = operands[0]
    for index in range(1, len(operands)):
        later = {*result, *(label for _, other in operands[index + 1 :] for label in other)}
        name, labels = _product(e, (name, labels), operands[index], later)
    name, labels = _reduced(e, name, labels, sizes, set(result))
    if labels != result:
        missing = [label for label in result if label not in labels]  # of size 1, left out on the way
        if missing:
            name = e.reshape(name, *(1,) * len(missing), *e.shape(name))
            labels = missing + labels
        name = e.transpose(name, *(labels.index(label) for label in result))
    e.back(name, node.inputs[0], node.outputs[0])


def _others(terms: list[Labels], index: int) -> set[str]:
    """Return the labels of all other operands."""
    return {label for place, term in enumerate(terms) if place != index for label in term}


def _labels(e: Expansion, text: str, rank: int) -> Labels:
    """Return a term's labels; the axes of an ellipsis are numbered from its end."""
    match = _TERM.fullmatch(text)
    if match is None:
        raise ValueError(f"node {e.node.label}: {text!r} is not a term of an equation")
    before, dots, after = match.groups()
    count = rank - len(before) - len(after)
    if count < 0 or (count and not dots):
        raise ValueError(f"node {e.node.label}: {text!r} does not label {rank} axes")
    return [*before, *(str(place) for place in range(count)[::-1]), *after]


def _sizes(e: Expansion, terms: list[Labels]) -> dict[str, int]:
    """Return the size of each label; 1 gives way to any other."""
    sizes: dict[str, int] = {}
    for name, term in zip(e.node.inputs, terms, strict=True):
        for label, size in zip(term, e.shape(name), strict=True):
            known = sizes.setdefault(label, size)
            if known == 1:
                sizes[label] = size
            elif size not in (1, known):
                raise ValueError(f"node {e.node.label}: label {label!r} has the sizes {known} and {size}")
    return sizes


def _diagonal(e: Expansion, name: str, labels: Labels) -> tuple[str, Labels]:
    """Keep the diagonal of axes that have one label."""
    while len(set(labels)) != len(labels):
        label = next(label for label in labels if labels.count(label) > 1)
        first, second = [place for place, each in enumerate(labels) if each == label][:2]
        shape = e.shape(name)
        if shape[first] != shape[second]:
            raise ValueError(f"node {e.node.label}: label {label!r} has the sizes {shape[first]} and {shape[second]}")
        rest = [place for place in range(len(labels)) if place not in (first, second)]
        name = e.transpose(name, *rest, first, second)
        size = shape[first]
        kept = [shape[place] for place in rest]
        name = e.reshape(name, *kept, size * size)
        axis = len(kept)
        name = e.slice(name, axis, 0, size * size, size + 1)
        labels = [*(labels[place] for place in rest), label]
    return name, labels


def _reduced(e: Expansion, name: str, labels: Labels, sizes: dict[str, int], wanted: set[str]) -> tuple[str, Labels]:
    """Sum over labels that nobody else wants, and leave out axes of size 1 that others have wider."""
    shape = e.shape(name)
    summed = [place for place, label in enumerate(labels) if label not in wanted]
    narrow = [p for p, label in enumerate(labels) if p not in summed and shape[p] == 1 and sizes[label] != 1]
    if summed:
        name = e("ReduceSum", name, e.constant(summed, np.int64), keepdims=1)
    dropped = {*summed, *narrow}
    if dropped:
        name = e.reshape(name, *(size for place, size in enumerate(shape) if place not in dropped))
    return name, [label for place, label in enumerate(labels) if place not in dropped]


def _product(
    e: Expansion, first: tuple[str, Labels], second: tuple[str, Labels], later: set[str]
) -> tuple[str, Labels]:
    """Multiply two operands as one matrix product."""
    (a, a_labels), (b, b_labels) = first, second
    shared = [label for label in a_labels if label in b_labels]
    batch = [label for label in shared if label in later]
    inner = [label for label in shared if label not in later]
    rows = [label for label in a_labels if label not in shared]
    columns = [label for label in b_labels if label not in shared]
    sizes = dict(zip(a_labels, e.shape(a), strict=True)) | dict(zip(b_labels, e.shape(b), strict=True))

    def matrix(name: str, labels: Labels, groups: tuple[Labels, ...]) -> str:
        order = [label for group in groups for label in group]
        moved = e.transpose(name, *(labels.index(label) for label in order)) if order != labels else name
        shape = [*(sizes[label] for label in groups[0]), *(prod(sizes[x] for x in group) for group in groups[1:])]
        return moved if e.shape(moved) == tuple(shape) else e.reshape(moved, *shape)

    lines = (batch, rows) if batch else ([], *([label] for label in rows))  # rows stay axes of their own where they can
    product = e("MatMul", matrix(a, a_labels, (*lines, inner)), matrix(b, b_labels, (batch, inner, columns)))
    labels = [*batch, *rows, *columns]
    shape = tuple(sizes[label] for label in labels)
    return product if e.shape(product) == shape else e.reshape(product, *shape), labels
