# SPDX-License-Identifier: Apache-2.0
"""ONNX nodes free of protobuf."""

from collections.abc import Mapping, Sequence
from typing import Any

import onnx

from hwsim.network.pattern import RawNode

__all__ = [
    "STANDARD",
    "raw_nodes",
]

STANDARD = ("", "ai.onnx")  # names of the standard's own domain


def raw_nodes(nodes: Sequence[onnx.NodeProto], opsets: Mapping[str, int]) -> tuple[RawNode, ...]:
    """Free nodes of protobuf and give each a name of its own."""
    raw = []
    taken: set[str] = set()
    for node in nodes:
        base = node.name or next((name for name in node.output if name), node.op_type)
        name, count = base, 1
        while name in taken:
            count += 1
            name = f"{base}_{count}"
        taken.add(name)
        domain = "" if node.domain in STANDARD else node.domain
        raw.append(
            RawNode(
                name=name,
                operator=node.op_type,
                domain=domain,
                opset=opsets.get(domain, 1),
                inputs=tuple(node.input),
                outputs=tuple(node.output),
                attributes={attribute.name: _attribute(attribute) for attribute in node.attribute},
            )
        )
    return tuple(raw)


def _attribute(attribute: onnx.AttributeProto) -> Any:
    """Return an attribute's value; bytes as text, an element type by its name."""
    value = onnx.helper.get_attribute_value(attribute)
    if attribute.name == "output_dtype":
        return onnx.TensorProto.DataType.Name(int(value)).lower()
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, (int, float)):
        return value
    return list(value) if hasattr(value, "__iter__") else value
