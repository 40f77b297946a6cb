# SPDX-License-Identifier: Apache-2.0
"""Operators that no layer runs, but that the standard defines by a function body, written as that body."""

from typing import Any

import onnx
import onnx.inliner

from hwsim.network.fuse import BUILDERS
from hwsim.network.raw_nodes import STANDARD

__all__ = [
    "with_bodies",
]

_DEPTH = 4  # bodies within bodies


def with_bodies(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model in which each node of an operator that no layer runs is its function body, where it has one.

    Parameters
    ----------
    model : onnx.ModelProto
        Valid; it may be changed: attributes that are left out are given as the defaults of the standard, which onnx's
        inliner does not know.

    Raises
    ------
    ValueError
        Where a Split contradicts itself.

    Returns
    -------
    onnx.ModelProto
        Operators whose bodies the inliner cannot write (LinearAttention with an input left out) are as they were.
    """
    _check_splits(model)
    versions = {"" if entry.domain in STANDARD else entry.domain: entry.version for entry in model.opset_import}
    failed: set[str] = set()
    for _ in range(_DEPTH):
        bodies = {}
        for node in model.graph.node:
            if node.domain in STANDARD and ("", node.op_type) not in BUILDERS and node.op_type not in failed:
                schema = _schema_with_body(node.op_type, versions.get("", 1))
                if schema is not None:
                    bodies[node.op_type] = schema
                    _give_defaults(node, schema)
        if not bodies:
            break
        for name in sorted(bodies):
            try:
                written = onnx.inliner.inline_selected_functions(model, [("", name)], inline_schema_functions=True)
            except (RuntimeError, ValueError, onnx.checker.ValidationError):
                failed.add(name)
                continue
            _name_bodies(model, written, name)
            model = written
    return model


def _name_bodies(model: onnx.ModelProto, written: onnx.ModelProto, operator: str) -> None:
    """Name the nodes of each body after the node that it is written for: its last node as that one."""
    kept = {tuple(node.output) for node in model.graph.node if node.op_type != operator}
    replaced = [node for node in model.graph.node if node.op_type == operator]
    missing = [{name for name in node.output if name} for node in replaced]
    index = 0
    for node in written.graph.node:
        if tuple(node.output) in kept or index == len(replaced):
            continue
        label = replaced[index].name or replaced[index].output[0]
        missing[index] -= set(node.output)
        node.name = f"{label}/{node.op_type}" if missing[index] else label
        index += not missing[index]


def _check_splits(model: onnx.ModelProto) -> None:
    """Raise where onnx's inference of shapes would end the process: a Split with more outputs than it says."""
    for node in model.graph.node:
        counts = [attribute.i for attribute in node.attribute if attribute.name == "num_outputs"]
        if node.op_type == "Split" and counts and counts[0] != len(node.output):
            raise ValueError(f"node {node.name!r} (Split): num_outputs is {counts[0]}, and it has {len(node.output)}")


def _schema_with_body(operator: str, version: int) -> Any:
    """Return the standard's schema of an operator, as of an opset, where it has a function body."""
    try:
        schema: Any = onnx.defs.get_schema(operator, version, "")
    except onnx.defs.SchemaError:
        return None
    return schema if schema.has_function or schema.has_context_dependent_function else None


def _give_defaults(node: onnx.NodeProto, schema: Any) -> None:
    """Give a node the attributes it leaves out."""
    given = {attribute.name for attribute in node.attribute}
    for name, attribute in schema.attributes.items():
        if name not in given and attribute.default_value.name:
            node.attribute.append(attribute.default_value)
