# SPDX-License-Identifier: Apache-2.0
"""Damage to ONNX files, by a seed: bytes, protobuf fields, nodes, shapes, attributes, constants."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError, Message

__all__ = [
    "damaged_model",
]

Rng = np.random.Generator

_INTEGERS = (0, 1, -1, 2, 3, 7, -128, 255, 2**15, 2**31 - 1, -(2**31), 2**40, 2**62, -(2**63))
_SIZES = (0, 1, 2, 3, 5, 17, 1000, 2**16, 2**31, 2**40, 2**62, -1)
_FLOATS = (0.0, -0.0, 1.0, -1.0, 1e-45, 1e38, float("inf"), float("-inf"), float("nan"), 0.3)
_OPERATORS = (
    "Add", "Mul", "Relu", "Conv", "MatMul", "Gemm", "Softmax", "Reshape", "Transpose", "Concat", "MaxPool", "Gelu",
    "QuantizeLinear", "DequantizeLinear", "LayerNormalization", "Identity", "Slice", "Gather", "Loop", "NoSuch", "",
)  # fmt: skip

_BY_INPUTS: dict[int, tuple[str, ...]] = {
    1: ("Relu", "Sigmoid", "Tanh", "Softmax", "Flatten", "Transpose", "Gelu", "Erf", "Neg", "GlobalAveragePool", "Abs",
        "Sqrt", "Exp", "Log", "ReduceMean", "Shape", "Identity", "LogSoftmax", "Squeeze", "Floor", "HardSwish"),
    2: ("Add", "Sub", "Mul", "Div", "MatMul", "Pow", "Max", "Min", "Concat", "Reshape", "Gather", "Expand", "Unsqueeze",
        "ReduceSum", "Equal", "PRelu", "Tile", "Gemm", "Squeeze", "QuantizeLinear", "DequantizeLinear"),
    3: ("Where", "Gemm", "Conv", "QuantizeLinear", "DequantizeLinear", "Clip", "LayerNormalization", "Slice", "Pad",
        "Sum", "ScatterND", "OneHot", "Range"),
}  # fmt: skip


def damaged_model(data: bytes, rng: Rng) -> tuple[bytes, str]:
    """Return an ONNX file with one to three things wrong with it, and what kind of things."""
    if rng.random() < 0.3:
        name = str(rng.choice(list(_BYTES)))
        return _BYTES[name](data, rng), name
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except DecodeError:
        return data, "none"
    names = []
    for _ in range(int(rng.choice([1, 1, 1, 2, 3]))):
        name = str(rng.choice(list(_STRUCTURE)))
        _STRUCTURE[name](model, rng)
        names.append(name)
    return model.SerializeToString(), names[0]


def _at(rng: Rng, size: int) -> int:
    return int(rng.integers(max(size, 1)))


def _flip_bytes(data: bytes, rng: Rng) -> bytes:
    made = bytearray(data)
    for _ in range(int(rng.integers(1, 9))):
        made[_at(rng, len(made))] = int(rng.integers(256))
    return bytes(made)


def _flip_bits(data: bytes, rng: Rng) -> bytes:
    made = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        made[_at(rng, len(made))] ^= 1 << int(rng.integers(8))
    return bytes(made)


def _cut(data: bytes, rng: Rng) -> bytes:
    return data[: _at(rng, len(data))]


def _insert(data: bytes, rng: Rng) -> bytes:
    at = _at(rng, len(data))
    return data[:at] + rng.integers(0, 256, int(rng.integers(1, 40)), np.uint8).tobytes() + data[at:]


def _repeat(data: bytes, rng: Rng) -> bytes:
    start = _at(rng, len(data))
    end = min(len(data), start + int(rng.integers(1, 400)))
    return data[:end] + data[start:]


def _clear(data: bytes, rng: Rng) -> bytes:
    start, length = _at(rng, len(data)), int(rng.integers(1, 64))
    return data[:start] + bytes(len(data[start : start + length])) + data[start + length :]


_BYTES: dict[str, Callable[[bytes, Rng], bytes]] = {
    "flipped bytes": _flip_bytes,
    "flipped bits": _flip_bits,
    "cut off": _cut,
    "bytes put in": _insert,
    "bytes repeated": _repeat,
    "bytes cleared": _clear,
}


def _pick(items: Any, rng: Rng) -> Any:
    return items[_at(rng, len(items))] if len(items) else None


def _tensor_names(model: onnx.ModelProto) -> list[str]:
    names = [info.name for info in model.graph.input] + [tensor.name for tensor in model.graph.initializer]
    return [*names, *(name for node in model.graph.node for name in node.output), "", "nowhere"]


def _drop_node(model: onnx.ModelProto, rng: Rng) -> None:
    """Drop a node; mostly with its readers given what it read."""
    if not model.graph.node:
        return
    at = _at(rng, len(model.graph.node))
    gone = onnx.NodeProto.FromString(model.graph.node[at].SerializeToString())
    del model.graph.node[at]
    if gone.input and gone.output and rng.random() < 0.7:
        for node in model.graph.node:
            node.input[:] = [gone.input[0] if name == gone.output[0] else name for name in node.input]


def _duplicate_node(model: onnx.ModelProto, rng: Rng) -> None:
    """Put in a copy of a node; mostly after it, on its output, for all that read that."""
    if not model.graph.node:
        return
    at = _at(rng, len(model.graph.node))
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in model.graph.node]
    copy = onnx.NodeProto.FromString(nodes[at].SerializeToString())
    if copy.input and copy.output and rng.random() < 0.7:
        copy.input[0], copy.output[0], copy.name = copy.output[0], f"{copy.output[0]}_again", f"{copy.name}_again"
        for node in nodes[at + 1 :]:
            node.input[:] = [copy.output[0] if name == copy.input[0] else name for name in node.input]
    nodes.insert(at + 1, copy)
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _swap_nodes(model: onnx.ModelProto, rng: Rng) -> None:
    count = len(model.graph.node)
    if count > 1:
        nodes = list(model.graph.node)
        i, j = (_at(rng, count) for _ in range(2))
        nodes[i], nodes[j] = nodes[j], nodes[i]
        copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
        del model.graph.node[:]
        model.graph.node.extend(copies)


def _rename_operator(model: onnx.ModelProto, rng: Rng) -> None:
    node = _pick(model.graph.node, rng)
    if node is None:
        return
    if len(node.input) in _BY_INPUTS and rng.random() < 0.7:
        node.op_type = str(rng.choice(_BY_INPUTS[len(node.input)]))
        del node.attribute[:]
    else:
        node.op_type = str(rng.choice(_OPERATORS))


def _rewire(model: onnx.ModelProto, rng: Rng) -> None:
    node = _pick(model.graph.node, rng)
    if node is None:
        return
    ends = node.input if rng.random() < 0.8 else node.output
    name = str(rng.choice(_tensor_names(model)))
    if len(ends) and rng.random() < 0.8:
        ends[_at(rng, len(ends))] = name
    elif len(ends) and rng.random() < 0.5:
        del ends[_at(rng, len(ends))]
    else:
        ends.append(name)


def _change_attribute(model: onnx.ModelProto, rng: Rng) -> None:
    nodes = [node for node in model.graph.node if node.attribute]
    node = _pick(nodes, rng)
    if node is None:
        return
    attribute = _pick(node.attribute, rng)
    choice = rng.random()
    if choice < 0.15:
        node.attribute.remove(attribute)
    elif choice < 0.25:
        attribute.type = int(rng.integers(0, 15))
    elif choice < 0.35:
        attribute.name = str(rng.choice(["axis", "pads", "kernel_shape", "group", "perm", "to", "block_size", "x"]))
    elif attribute.ints:
        _change_repeated(attribute.ints, _INTEGERS, rng)
    elif attribute.type == onnx.AttributeProto.FLOAT:
        attribute.f = float(rng.choice(_FLOATS))
    elif attribute.type == onnx.AttributeProto.INT:
        attribute.i = int(rng.choice(np.array(_INTEGERS, object)))
    elif attribute.type == onnx.AttributeProto.STRING:
        attribute.s = rng.integers(0, 256, int(rng.integers(0, 9)), np.uint8).tobytes()


def _change_repeated(values: Any, choices: tuple[int, ...], rng: Rng) -> None:
    choice = rng.random()
    if choice > 0.5 and len(values):
        at = _at(rng, len(values))
        values[at] = max(min(values[at] + int(rng.integers(-2, 3)), 2**62), -(2**62))
    elif choice < 0.15 and len(values):
        del values[_at(rng, len(values))]
    elif choice < 0.3 or not len(values):
        values.append(int(rng.choice(np.array(choices, object))))
    else:
        values[_at(rng, len(values))] = int(rng.choice(np.array(choices, object)))


def _change_tensor(model: onnx.ModelProto, rng: Rng) -> None:
    tensor = _pick(model.graph.initializer, rng)
    if tensor is None:
        return
    choice = rng.random()
    if choice < 0.3:
        _change_repeated(tensor.dims, _SIZES, rng)
    elif choice < 0.5:
        tensor.data_type = int(rng.integers(0, 30))
    elif choice < 0.65 and tensor.raw_data:
        tensor.raw_data = _cut(tensor.raw_data, rng) if rng.random() < 0.5 else tensor.raw_data * 2
    elif choice < 0.75:
        tensor.data_location = onnx.TensorProto.EXTERNAL
        entry = tensor.external_data.add()
        entry.key, entry.value = "location", str(rng.choice(["../x", "/etc/passwd", "", "weights", "."]))
    elif choice < 0.85:
        tensor.name = str(rng.choice(_tensor_names(model)))
    else:
        model.graph.initializer.remove(tensor)


def _change_values(model: onnx.ModelProto, rng: Rng) -> None:
    """Put a special value into a constant: scales, zero points, shapes, axes, weights."""
    tensor = _pick([t for t in model.graph.initializer if t.raw_data], rng)
    if tensor is None:
        return
    raw = bytearray(tensor.raw_data)
    if tensor.data_type == onnx.TensorProto.FLOAT and len(raw) >= 4:
        at = 4 * _at(rng, len(raw) // 4)
        raw[at : at + 4] = np.float32(rng.choice(_FLOATS)).tobytes()
    elif tensor.data_type == onnx.TensorProto.INT64 and len(raw) >= 8:
        at = 8 * _at(rng, len(raw) // 8)
        value = int.from_bytes(raw[at : at + 8], "little", signed=True) + int(rng.integers(-2, 3))
        if rng.random() < 0.4 or abs(value) > 2**62:
            value = int(rng.choice(np.array(_INTEGERS, object)))
        raw[at : at + 8] = value.to_bytes(8, "little", signed=True)
    else:
        raw[_at(rng, len(raw))] = int(rng.integers(256))
    tensor.raw_data = bytes(raw)


def _change_end(model: onnx.ModelProto, rng: Rng) -> None:
    """Change the type or shape of an input or output of the graph."""
    info = _pick(model.graph.input if rng.random() < 0.7 else model.graph.output, rng)
    if info is None:
        return
    tensor = info.type.tensor_type
    choice = rng.random()
    if choice < 0.25:
        tensor.elem_type = int(rng.integers(0, 30))
    elif choice < 0.35:
        info.type.Clear()
    elif choice < 0.45:
        info.name = str(rng.choice(_tensor_names(model)))
    elif choice < 0.6 and tensor.shape.dim:
        del tensor.shape.dim[_at(rng, len(tensor.shape.dim))]
    elif choice < 0.7 or not tensor.shape.dim:
        tensor.shape.dim.add().dim_value = int(rng.choice(np.array(_SIZES, object)))
    elif choice < 0.8:
        _pick(tensor.shape.dim, rng).dim_param = str(rng.choice(["batch", "n", ""]))
    else:
        _pick(tensor.shape.dim, rng).dim_value = int(rng.choice(np.array(_SIZES, object)))


def _change_versions(model: onnx.ModelProto, rng: Rng) -> None:
    choice = rng.random()
    if choice < 0.3:
        model.ir_version = int(rng.choice([0, 1, 3, 8, 10, 13, 14, 99, 2**40]))
    elif choice < 0.8 and model.opset_import:
        _pick(model.opset_import, rng).version = int(rng.choice([0, 1, 7, 9, 11, 13, 17, 19, 21, 23, 25, 99, -5]))
    elif model.opset_import:
        del model.opset_import[_at(rng, len(model.opset_import))]
    else:
        model.opset_import.add(domain="strange", version=1)


def _any_field(model: onnx.ModelProto, rng: Rng) -> None:
    """Change a field of any message of the file."""
    messages: list[Message] = []
    todo: list[Message] = [model]
    while todo:
        message = todo.pop()
        messages.append(message)
        for field, value in message.ListFields():
            if field.message_type is not None:
                todo += [value] if isinstance(value, Message) else list(value)
    message = _pick(messages, rng)
    fields = message.ListFields()
    if not fields:
        return
    field, value = fields[_at(rng, len(fields))]
    if field.message_type is not None or rng.random() < 0.2:
        if not isinstance(value, (Message, int, float, str, bytes)) and len(value):
            del value[_at(rng, len(value))]
        else:
            message.ClearField(field.name)
    elif isinstance(value, str):
        setattr(message, field.name, str(rng.choice(["", "x", "é" * 40, *_OPERATORS[:4]])))
    elif isinstance(value, bytes):
        setattr(message, field.name, _flip_bytes(value, rng) if value else b"\xff")
    elif isinstance(value, float):
        setattr(message, field.name, float(rng.choice(_FLOATS)))
    elif isinstance(value, int):
        small = field.cpp_type in (field.CPPTYPE_INT32, field.CPPTYPE_ENUM, field.CPPTYPE_BOOL)
        known = [one.number for one in field.enum_type.values] if field.enum_type else [0, 1, 2, 9, 23]
        choices = known if small else list(_INTEGERS)
        setattr(message, field.name, int(rng.choice(np.array(choices, object))))


_STRUCTURE: dict[str, Callable[[onnx.ModelProto, Rng], None]] = {
    "node dropped": _drop_node,
    "node duplicated": _duplicate_node,
    "nodes swapped": _swap_nodes,
    "operator renamed": _rename_operator,
    "node rewired": _rewire,
    "attribute changed": _change_attribute,
    "constant's shape or type": _change_tensor,
    "constant's value": _change_values,
    "input or output changed": _change_end,
    "version changed": _change_versions,
    "any field": _any_field,
}
