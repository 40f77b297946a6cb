# SPDX-License-Identifier: Apache-2.0
"""An ONNX file without the bytes of its large tensors, which protobuf would copy."""

from collections.abc import Iterator
from typing import NamedTuple

import onnx
from google.protobuf.message import DecodeError

from hwsim.network.tensor_files import MAPPED_BYTES

__all__ = [
    "skeleton",
]

# Field numbers of onnx.proto
_GRAPH, _INITIALIZER, _RAW_DATA = 7, 5, 9
_BYTES = 2  # the wire type of a field with a length before it


class _Field(NamedTuple):
    """A field of a protobuf message in a file: where it begins, where what it holds does, and where it ends."""

    number: int
    wire: int
    start: int
    payload: int
    end: int


def skeleton(data: memoryview, name: str) -> bytes:
    """Return a model without the bytes of its large initializers, which become external data in the model's own file.

    Parameters
    ----------
    data : memoryview of bytes
        The file.
    name : str
        Its name, for the location.

    Returns
    -------
    bytes
        As given, where it is no well-formed protobuf message: parsing it gives the error.
    """
    try:
        fields = list(_fields(data, 0, len(data)))
        graphs = [field for field in fields if (field.number, field.wire) == (_GRAPH, _BYTES)]
        if len(graphs) != 1:
            return bytes(data)
        pieces = []
        for field in _fields(data, graphs[0].payload, graphs[0].end):
            kept = bytes(data[field.start : field.end]) if field.end - field.start < MAPPED_BYTES else None
            if kept is None and (field.number, field.wire) == (_INITIALIZER, _BYTES):
                kept = _without_data(data, field, name)
            pieces.append(bytes(data[field.start : field.end]) if kept is None else kept)
    except (DecodeError, IndexError):
        return bytes(data)
    graph = b"".join(pieces)
    rest = b"".join(bytes(data[field.start : field.end]) for field in fields if field is not graphs[0])
    return rest + _with_length(_GRAPH, graph)


def _without_data(data: memoryview, field: _Field, name: str) -> bytes | None:
    """Return an initializer that points to its raw data, or None where it has none of its own."""
    parts = list(_fields(data, field.payload, field.end))
    raw = [part for part in parts if (part.number, part.wire) == (_RAW_DATA, _BYTES)]
    if len(raw) != 1 or raw[0].end - raw[0].payload < MAPPED_BYTES:
        return None
    tensor = onnx.TensorProto()
    tensor.ParseFromString(b"".join(bytes(data[part.start : part.end]) for part in parts if part is not raw[0]))
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        return None
    tensor.data_location = onnx.TensorProto.EXTERNAL
    place = {"location": name, "offset": raw[0].payload, "length": raw[0].end - raw[0].payload}
    for key, value in place.items():
        tensor.external_data.add(key=key, value=str(value))
    return _with_length(_INITIALIZER, tensor.SerializeToString())


def _fields(data: memoryview, at: int, end: int) -> Iterator[_Field]:
    """Give the fields of a message; DecodeError or IndexError where it is malformed."""
    while at < end:
        start = at
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        payload = at
        if wire == 0:
            _, at = _varint(data, at)
        elif wire == _BYTES:
            size, payload = _varint(data, at)
            at = payload + size
        elif wire in (1, 5):
            at += 8 if wire == 1 else 4
        else:
            raise DecodeError(f"wire type {wire}")
        if at > end:
            raise DecodeError("a field beyond its message")
        yield _Field(number, wire, start, payload, at)


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """Return a number of seven bits a byte, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise DecodeError("a number of more than ten bytes")


def _with_length(number: int, payload: bytes) -> bytes:
    """Return a field that holds bytes."""
    size, head = len(payload), bytearray([number << 3 | _BYTES])
    while size >= 0x80:
        head.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes(head) + bytes([size]) + payload
