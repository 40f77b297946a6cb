# SPDX-License-Identifier: Apache-2.0
"""Large tensors of an ONNX file left where they are: mapped to memory, not read."""

import mmap
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import onnx
from google.protobuf.message import DecodeError, Message
from onnx import helper

__all__ = [
    "MAPPED_BYTES",
    "map_tensors",
    "release",
    "skeleton",
]

Array = npt.NDArray[Any]

MAPPED_BYTES = 1 << 16
"""Tensors of so many bytes or more are mapped; smaller ones are read, as shapes may be inferred from them."""
_DEPTH = 64  # of views upon views: more is no array of ours
# Bits of an element in a file where these are packed (ONNX IR specification, onnx.proto, TensorProto.raw_data)
_PACKED_BITS: dict[int, int] = {
    onnx.TensorProto.UINT4: 4,
    onnx.TensorProto.INT4: 4,
    onnx.TensorProto.FLOAT4E2M1: 4,
    onnx.TensorProto.UINT2: 2,
    onnx.TensorProto.INT2: 2,
    onnx.TensorProto.FLOAT6E2M3: 6,
    onnx.TensorProto.FLOAT6E3M2: 6,
}
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


class _Place(NamedTuple):
    """Where the bytes of a tensor are."""

    path: Path
    offset: int
    length: int


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


def map_tensors(model: onnx.ModelProto, file: Path) -> dict[str, Array]:
    """Map the large external initializers of a model, and read all other external tensors into their messages.

    Parameters
    ----------
    model : onnx.ModelProto
        Changed: a mapped initializer becomes an input of its type and shape, by which checks and shapes see it.
    file : path
        Of the model: locations are relative to its folder.

    Returns
    -------
    dict of str to ndarray
        The mapped tensors by name; not to be written to. Those of packed elements (of 2, 4, 6 bits) are read.

    Raises
    ------
    ValueError
        Before any is read, where files are missing (all are listed), lie outside the model's folder, or do not have the
        bytes of a tensor.
    """
    _check(_tensors(model), file)
    graph = model.graph
    declared = {info.name for info in graph.input}
    found: dict[str, Array] = {}
    for index in reversed(range(len(graph.initializer))):
        tensor = graph.initializer[index]
        place = _place(tensor, file) if tensor.data_location == onnx.TensorProto.EXTERNAL else None
        if place is None or place.length < MAPPED_BYTES or tensor.data_type in _PACKED_BITS:
            continue
        found[tensor.name] = _mapped(tensor, place)
        if tensor.name not in declared:
            graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
        del graph.initializer[index]
    for tensor in _tensors(model):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            _read(tensor, _place(tensor, file))
    return found


def release(array: Array) -> None:
    """Give back the memory that the pages of a mapped tensor take; they are read again where they are needed."""
    base: Any = array
    for _ in range(_DEPTH):
        if isinstance(base, mmap.mmap):
            if hasattr(mmap, "MADV_DONTNEED"):
                base.madvise(mmap.MADV_DONTNEED)
            return
        base = base.obj if isinstance(base, memoryview) else getattr(base, "base", None)


def _tensors(message: Message) -> list[onnx.TensorProto]:
    """Every tensor in a message, those of attributes and subgraphs included."""
    if isinstance(message, onnx.TensorProto):
        return [message]
    found = []
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        # protobuf 7 has no `label`: a repeated field iterates, a single message does not
        parts = [value] if isinstance(value, Message) else list(value)
        for part in parts:
            if isinstance(part, Message):
                found += _tensors(part)
    return found


def _check(tensors: list[onnx.TensorProto], file: Path) -> None:
    """Raise unless the data of every external tensor is where it should be."""
    external = [tensor for tensor in tensors if tensor.data_location == onnx.TensorProto.EXTERNAL]
    labels = [f"{_location(tensor)!r} of tensor {tensor.name!r}" for tensor in external]
    missing = {
        label for tensor, label in zip(external, labels, strict=True) if not _is_there(file.parent, _location(tensor))
    }
    if missing:
        raise ValueError(f"{file}: external data is missing: {', '.join(sorted(missing))}")
    for tensor, label in zip(external, labels, strict=True):
        try:
            _place(tensor, file)
        except ValueError as error:
            raise ValueError(f"{file}: external data {label} cannot be read: {error}") from None


def _is_there(folder: Path, location: str) -> bool:
    """Tell whether a location is a file."""
    try:
        return location != "" and (folder / location).is_file()
    except (OSError, ValueError):  # no name that a file can have
        return False


def _location(tensor: onnx.TensorProto) -> str:
    """Return the name of an external tensor's file; "" where none is given."""
    return next((entry.value for entry in tensor.external_data if entry.key == "location"), "")


def _place(tensor: onnx.TensorProto, file: Path) -> _Place:
    """Return where an external tensor is; ValueError where that is not so much of a file in the model's folder."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    path = file.parent / entries["location"]
    if path != file and not path.resolve().is_relative_to(file.parent.resolve()):
        raise ValueError("it lies outside the model's folder")
    try:
        itemsize = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.data_type)).itemsize
    except KeyError:
        raise ValueError(f"element type {tensor.data_type} is unknown") from None
    if tensor.data_type == onnx.TensorProto.STRING or min(tensor.dims, default=0) < 0:
        raise ValueError(f"strings and negative sizes have no raw data, shape {list(tensor.dims)}")
    bits = _PACKED_BITS.get(tensor.data_type, 8 * itemsize)
    size, needed = path.stat().st_size, -(-prod(tensor.dims) * bits // 8)
    try:
        offset = int(entries.get("offset") or 0)
        length = int(entries.get("length") or size - offset)
    except ValueError:
        raise ValueError("offset and length must be numbers") from None
    if offset < 0 or length != needed or offset + length > size:
        raise ValueError(
            f"shape {list(tensor.dims)} needs {needed} bytes, not the {length} from {offset} on of a file of {size}"
        )
    return _Place(path, offset, length)


def _mapped(tensor: onnx.TensorProto, place: _Place) -> Array:
    """Return a tensor as its file's pages."""
    begin = place.offset - place.offset % mmap.ALLOCATIONGRANULARITY
    with place.path.open("rb") as opened:
        pages = mmap.mmap(opened.fileno(), place.offset + place.length - begin, access=mmap.ACCESS_READ, offset=begin)
    dtype = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.data_type))
    array = np.frombuffer(pages, dtype, prod(tensor.dims), place.offset - begin)
    return array.reshape(tuple(tensor.dims))


def _read(tensor: onnx.TensorProto, place: _Place) -> None:
    """Read an external tensor into its message."""
    with place.path.open("rb") as opened:
        opened.seek(place.offset)
        tensor.raw_data = opened.read(place.length)
    tensor.data_location = onnx.TensorProto.DEFAULT
    del tensor.external_data[:]
